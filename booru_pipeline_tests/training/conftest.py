from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from booru_pipeline.training.job import TrainingJob
from booru_pipeline.training.options import TrainingOptions
from booru_pipeline.vocabulary.base_model import BaseModel
from booru_pipeline_tests.training import themed_dataset
from booru_pipeline_tests.training.process import Forks, run_payload


@dataclass(frozen=True)
class Trained:
    job: TrainingJob
    stderr: str


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Folders of a vocabulary with a tokenizer of its own, and of a dataset."""
    return themed_dataset.build(tmp_path_factory.mktemp("world"), BaseModel("tiny", None))


@pytest.fixture(scope="session")
def forks() -> Iterator[Forks]:
    server = Forks()
    yield server
    server.close()


@pytest.fixture(scope="session")
def trained(made: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """A real run of the payload, in a process of its own."""
    folder = tmp_path_factory.mktemp("trained")
    job = TrainingJob(
        vocabulary=made[0],
        dataset=made[1],
        output=folder / "checkpoint",
        base_name="tiny",
        options=TrainingOptions(time_limit_s=0, max_steps=150, batch_size=32, log_interval_steps=10, threads=1),
        provenance={"release": "2021a", "releases": ["2021a"], "git_revision": "abc"},
        wandb_folder=folder / "wandb",
    )
    done = run_payload(job.write(folder / "job.json"))
    assert done.returncode == 0, done.stderr
    return Trained(job, done.stderr)
