from dataclasses import dataclass
from pathlib import Path

import pytest

from booru_pipeline.evaluation import evaluate as evaluation
from booru_pipeline.evaluation.options import EvaluationOptions
from booru_pipeline.evaluation.report.findings import Findings
from booru_pipeline.training_shards.relations import Relations
from booru_pipeline_tests.evaluation.evaluated import World, make_world


@pytest.fixture(scope="session")
def world(tmp_path_factory) -> World:
    return make_world(tmp_path_factory.mktemp("world"))


@dataclass(frozen=True)
class Evaluated:
    """An evaluation of the world's checkpoint: what it found, and the folder that it wrote."""

    findings: Findings
    folder: Path

    @property
    def page(self) -> Path:
        return self.folder / "report.html"


@pytest.fixture(scope="session")
def evaluated(world, tmp_path_factory) -> Evaluated:
    folder = tmp_path_factory.mktemp("evaluated") / "2021b"
    kept = []
    with pytest.MonkeyPatch.context() as patch:
        render = evaluation.render
        patch.setattr(evaluation, "render", lambda findings: kept.append(findings) or render(findings))
        evaluation.evaluate(
            world.checkpoint,
            world.dataset,
            world.vocabulary,
            folder,
            EvaluationOptions(test_posts=100, bootstrap_samples=100),
            release="2021b",
            relations=Relations({}, {"usada_pekora": frozenset({"rabbit_ears"})}, "the test"),
        )
    (findings,) = kept
    return Evaluated(findings, folder)
