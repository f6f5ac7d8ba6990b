import pytest

from booru_pipeline_tests.hydration.themed_bases import World, make_world


@pytest.fixture(scope="session")
def world(tmp_path_factory) -> World:
    return make_world(tmp_path_factory.mktemp("hydration"))
