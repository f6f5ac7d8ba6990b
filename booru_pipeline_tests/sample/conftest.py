import pytest

from booru_pipeline.sample import generate
from booru_pipeline_tests.sample.generated import Sample


@pytest.fixture(scope="session")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Sample:
    folder = tmp_path_factory.mktemp("default")
    return Sample(folder, generate(folder))


@pytest.fixture(scope="session")
def defective(tmp_path_factory: pytest.TempPathFactory) -> Sample:
    folder = tmp_path_factory.mktemp("defective")
    return Sample(folder, generate(folder, defects=True))
