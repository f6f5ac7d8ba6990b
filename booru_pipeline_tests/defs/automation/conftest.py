import pytest

from booru_pipeline.defs.runs.instance import open_instance
from booru_pipeline.lake.lake import Lake
from booru_pipeline_tests.defs.automation.automated_home import AutomatedHome


@pytest.fixture
def automated(raw, tmp_path):
    with open_instance(Lake(tmp_path / "home")) as instance:
        yield AutomatedHome(raw, tmp_path, instance)
