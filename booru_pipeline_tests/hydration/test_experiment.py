"""Whether the experiment finds knowledge that was planted, and none where there is none."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import dagster as dg
import pytest

from booru_pipeline.defs.build import build_defs
from booru_pipeline.defs.hydration import HydrationConfig
from booru_pipeline.defs.runs.instance import open_instance
from booru_pipeline.errors import BooruError
from booru_pipeline.hydration.arms import Arm
from booru_pipeline.hydration.experiment import Experiment
from booru_pipeline.hydration.findings import Cell
from booru_pipeline.hydration.options import HydrationOptions
from booru_pipeline.hydration.report import render
from booru_pipeline.hydration.rule import Outcome
from booru_pipeline.lake.lake import Lake
from booru_pipeline.lake.publish import Staging
from booru_pipeline.orphan import PARENT_VARIABLE
from booru_pipeline.pipeline.settings import load_settings
from booru_pipeline_tests.evaluation.layout import assert_fits
from booru_pipeline_tests.hydration.themed_bases import train_here

QUICK = {
    "shares": [0.1],
    "steps": 60,
    "batch_size": 32,
    "warmup_steps": 10,
    "learning_rate": 2e-3,
    "threads": 1,
    "held_out_share": 0.1,
    "bootstrap_samples": 200,
}


def experiment(world, base: Path, folder: Path, **options) -> Experiment:
    chosen = HydrationOptions(**{**QUICK, "base_model": str(base), **options})
    return Experiment(
        "2021a",
        world.dataset,
        world.vocabulary,
        folder / "results",
        Staging(folder / "staging"),
        chosen,
        world.relations,
    )


class Killed(Exception):
    pass


class Counted:
    """Trains, and dies on the way if it is told to."""

    def __init__(self, dies_at: int = -1):
        self.jobs: list[str] = []
        self._dies_at = dies_at

    def __call__(self, job: Path) -> None:
        self.jobs.append(json.loads(job.read_text())["base_name"])
        if len(self.jobs) == self._dies_at:
            raise Killed
        train_here(job)


@pytest.fixture(scope="module")
def knowing(world, tmp_path_factory):
    """Killed in the third arm, and run again."""
    folder = tmp_path_factory.mktemp("knowing")
    tried = experiment(world, world.knowing, folder)
    first, second = Counted(dies_at=3), Counted()
    cells = tried.prepare()
    with pytest.raises(Killed):
        for cell in cells:
            tried.run(cell, first)
    with pytest.raises(BooruError, match=r"not finished: permuted_10pc_seed0, opaque_10pc_seed0"):
        tried.conclude()
    again = experiment(world, world.knowing, folder)
    for cell in again.prepare():
        again.run(cell, second)
    return again, again.conclude(), first, second


def test_its_page_fits_on_a_desk_and_a_telephone(browser, knowing, tmp_path):
    findings = knowing[1]
    several = findings.options.model_copy(update={"seeds": 3})  # a column more
    scores = next(iter(findings.held_out_labels.values()))
    changed = {"options": several, "held_out_labels": {"a_tag_" + "without_end" * 8: scores, "M" * 70: scores}}
    page = tmp_path / "hydration.html"
    page.write_text(render(findings.model_copy(update=changed)))
    assert_fits(browser, page)


def test_planted_knowledge_is_found(knowing):
    tried, findings, _, _ = knowing
    assert findings.verdict.outcome is Outcome.HELPS
    assert {item.sign for item in findings.comparisons} == {1}
    held_out = {row.arm: row.held_out.mean for row in findings.rows}
    assert held_out[Arm.PRETRAINED] > 0.75
    assert all(0.3 < held_out[arm] < 0.7 for arm in Arm if arm is not Arm.PRETRAINED)
    assert {(row.posts, row.steps) for row in findings.rows} == {(150, 60)}
    report = tried.report.read_text()
    assert findings.verdict.text in report
    assert "<script" not in report
    assert "http" not in report.replace("http://www.w3.org", "")
    content = json.loads((tried.folder / "hydration.json").read_text())
    assert content["verdict"]["outcome"] == "helps"
    assert len(content["held_out_labels"]) == content["sizes"]["held_out"] == findings.sizes.held_out
    assert content["sizes"]["concept_labels"] == 9


def test_a_kill_loses_one_arm_and_nothing_else_is_left_behind(knowing):
    tried, _, first, second = knowing
    names = [job.rpartition(" ")[2] for job in (*first.jobs, *second.jobs)]
    assert names == ["(pretrained)", "(random)", "(permuted)", "(permuted)", "(opaque)"]
    assert {path.name for path in tried.folder.iterdir()} == {"arms", "hydration.json", "hydration.html"}
    for cell in tried.cells:
        files = {path.name for path in tried.arm(cell).iterdir()}
        assert files == {"measures.json", "provenance.json", "training_log.json", "record.json"}


def test_an_arm_is_made_again_when_what_it_was_made_from_has_changed(knowing, world):
    tried, _, _, _ = knowing
    folder = tried.folder.parent
    assert all(map(tried.is_finished, tried.cells))
    same = experiment(world, world.knowing, folder, bootstrap_samples=50, threads=2)
    assert all(map(same.is_finished, same.cells))
    others = [
        experiment(world, world.knowing, folder, steps=61),
        experiment(world, world.ignorant, folder),
        replace(tried, relations=replace(world.relations, implications={})),
    ]
    for other in others:
        assert not any(map(other.is_finished, other.cells))
    assert not tried.is_finished(Cell(Arm.OPAQUE, 1.0, 0))


def test_without_knowledge_there_is_no_evidence(world, tmp_path):
    tried = experiment(world, world.ignorant, tmp_path, keep_checkpoints=True)
    for cell in tried.prepare():
        tried.run(cell, train_here)
    findings = tried.conclude()
    assert findings.verdict.outcome is Outcome.NO_EVIDENCE
    assert all(0.3 < row.held_out.mean < 0.7 for row in findings.rows)
    assert (tried.arm(tried.cells[0]) / "checkpoint" / "model.safetensors").is_file()


def test_an_arm_of_pieces_is_trained_and_measured_by_its_texts(world, tmp_path):
    tried = experiment(world, world.knowing, tmp_path, encoding="pieces", steps=20, test_posts=40, min_positives=3)
    tried.prepare()
    measures = tried.run(Cell(Arm.PRETRAINED, 0.1, 0), train_here)
    provenance = json.loads((tried.arm(Cell(Arm.PRETRAINED, 0.1, 0)) / "provenance.json").read_text())
    assert (provenance["encoding"], provenance["objective"]) == ("pieces", "sequence")
    assert all(0 <= value <= 1 for value in measures.held_out_auc.values())
    assert 0 <= min(measures.recall_at_10) <= max(measures.recall_at_10) <= 1


def test_seeds_are_trained_apart_and_their_spread_is_told(world, tmp_path):
    tried = experiment(world, world.ignorant, tmp_path, seeds=2, steps=5, test_posts=50, min_positives=3)
    for cell in tried.prepare():
        tried.run(cell, train_here)
    findings = tried.conclude()
    assert {len(item.by_seed) for item in findings.comparisons} == {2}
    assert all(row.recall_spread is not None for row in findings.rows)
    assert any(row.held_out_spread for row in findings.rows)
    assert "spread of seeds" in tried.report.read_text()


def test_what_cannot_be_asked_is_refused_with_a_remedy(world, tmp_path):
    with pytest.raises(BooruError, match=r"no pre-trained weights.*--base-model"):
        replace(experiment(world, Path("tiny"), tmp_path)).prepare()
    with pytest.raises(BooruError, match="raise held_out_share"):
        experiment(world, world.knowing, tmp_path, min_positives=200).prepare()
    with pytest.raises(BooruError, match="Raise the smallest of the shares"):
        experiment(world, world.knowing, tmp_path, shares=[0.0001]).prepare()


class InThisProcess(dg.ConfigurableResource):
    """Stands in for the Pipes client: the same command, without a process of its own for each arm."""

    def run(self, *, context, command, env):
        assert command[1:3] == ["-m", "booru_pipeline.training.payload"]
        assert env == {PARENT_VARIABLE: str(os.getpid())}
        train_here(Path(command[3]))
        return self

    def get_results(self):
        return ()


@pytest.fixture(scope="module")
def home(world, tmp_path_factory):
    folder = tmp_path_factory.mktemp("home")
    lake = Lake(folder)
    shutil.copytree(world.dataset, lake.tokenized_dataset("2021a"))
    shutil.copytree(world.vocabulary, lake.vocabulary("2021a"))
    return folder


def test_the_job_shows_each_arm_and_the_shell_tells_its_outcome(home, world, tmp_path):
    settings = load_settings(home=home, raw=tmp_path)
    options = {**QUICK, "base_model": str(world.knowing), "steps": 40}
    definitions = build_defs(settings, resources={"pipes": InThisProcess()})
    with open_instance(settings.lake) as instance:  # jobs resolve against the instance that was opened last
        job = definitions.resolve_job_def("hydration_experiment")
        result = job.execute_in_process(instance=instance, run_config={"ops": {"plan_arms": {"config": options}}})
        assert result.success
        steps = {event.step_key for event in result.all_events if event.is_step_success}
        assert steps == {"plan_arms", "compare_arms", *(f"train_arm[{arm}_10pc_seed0]" for arm in Arm)}
        event = instance.get_latest_materialization_event(dg.AssetKey("hydration_report"))
        metadata = event.asset_materialization.metadata
        assert metadata["outcome"].value == "helps"
        assert metadata["recall by share"].md_str.startswith("![")
        assert Path(metadata["report"].path).is_file()
        assert len(metadata["arms"].records) == 4

    def booru(*arguments):
        command = [Path(sys.executable).with_name("booru"), "experiment", "hydration", "--home", home, *arguments]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)

    more = [f"--set={name}={json.dumps(value)}" for name, value in options.items() if name != "base_model"]
    told = booru("--base-model", world.knowing, *more)
    assert told.returncode == 0, told.stderr
    assert "4 of them finished already" in told.stdout
    assert "helps: C4 knowledge helps" in told.stdout
    assert str(settings.lake.experiment("hydration", "2021a") / "hydration.html") in told.stdout
    for arguments, says in [((), "no pre-trained weights"), (("--set", "stepss=3"), "option stepss")]:
        refused = booru(*arguments)
        assert refused.returncode == 1
        assert says in refused.stderr
        assert "Traceback" not in refused.stderr + refused.stdout


def test_the_launchpads_defaults_are_the_options_and_are_described():
    config = HydrationConfig()
    assert config.model_dump(exclude={"release"}) == HydrationOptions().model_dump()
    assert all(field.description for field in HydrationConfig.model_fields.values())
    with dg.DagsterInstance.ephemeral():
        assert dg.validate_run_config(build_defs().resolve_job_def("hydration_experiment"), {})
