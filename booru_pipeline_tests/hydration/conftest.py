import pytest

from booru_pipeline_tests.hydration.themed_bases import ThemedRelease, make_themed_release


@pytest.fixture(scope="session")
def world(tmp_path_factory) -> ThemedRelease:
    return make_themed_release(tmp_path_factory.mktemp("hydration"))
