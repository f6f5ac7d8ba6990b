"""Trials on a real instance, with real training: beside what is there, and nothing that is there changes."""

import json
import shutil

import dagster as dg
import pytest

from booru_pipeline.defs.assets.trial import TRIAL_CHECKPOINT, TRIAL_REPORT, TRIALS
from booru_pipeline.defs.automation.jobs import TRIAL
from booru_pipeline.defs.build import build_defs
from booru_pipeline.defs.resources import run_config
from booru_pipeline.defs.runs.instance import open_instance
from booru_pipeline.defs.shell import make_plan, run_job, run_plan, stoppable
from booru_pipeline.defs.status import trial_status
from booru_pipeline.defs.trials import plan_trial, run_trial
from booru_pipeline.errors import BooruError
from booru_pipeline.hashing import sha256_of
from booru_pipeline.model.provenance import read_provenance
from booru_pipeline.pipeline.checkpoints import find_earlier
from booru_pipeline.pipeline.promoted import checkpoint_in_use, go_back, promote, read_promoted
from booru_pipeline.pipeline.settings import load_settings
from booru_pipeline.pipeline.stages import Stage
from booru_pipeline_tests.cli.command import quick_settings

LR5 = [
    *("checkpoint.learning_rate=0.005", "evaluation_report.test_posts=20"),
    "evaluation_report.hidden_shares=[0.1, 0.3, 0.5, 0.9]",
]


def settings_with(raw, home, *overrides):
    with quick_settings():
        return load_settings(list(overrides), raw=raw, home=home)


@pytest.fixture(scope="module")
def base(workplace, tmp_path_factory):
    """Settings of a home in which everything of 2021a is made, and promoted."""
    home = shutil.copytree(workplace / "booru_home", tmp_path_factory.mktemp("home"), dirs_exist_ok=True)
    settings = settings_with(workplace / "booru_raw", home)
    assert [release.due for release in make_plan(settings, ["2021a"], Stage.TAG_AUDIT).releases] == [[]]
    promote(settings.lake, "2021a", "by hand")
    return settings


def try_out(base, name, *overrides, retrain=False):
    settings = settings_with(base.raw, base.home, *overrides)
    plan = plan_trial(settings, base, name, "2021a", retrain=retrain)
    lines = []
    run_plan(base, plan.before, lines.append)
    if plan.due:
        run_trial(settings, plan, lines.append)
    return plan, lines


def contents(folder):
    return {path.relative_to(folder): sha256_of(path) for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def lr5(base):
    before = [contents(stage.path(base.lake, "2021a")) for stage in (Stage.CHECKPOINT, Stage.EVALUATION_REPORT)]
    plan, lines = try_out(base, "lr5", *LR5)
    after = [contents(stage.path(base.lake, "2021a")) for stage in (Stage.CHECKPOINT, Stage.EVALUATION_REPORT)]
    assert before == after
    return plan, lines


def test_a_trial_has_a_checkpoint_and_a_report_of_its_own(base, lr5):
    plan, lines = lr5
    assert (plan.trial, plan.due) == ("2021a@lr5", [Stage.CHECKPOINT, Stage.EVALUATION_REPORT])
    assert any("trial_report" in line for line in lines)
    checkpoint = base.lake.checkpoint("2021a@lr5")
    provenance = read_provenance(checkpoint)
    assert (provenance["release"], provenance["trial"]) == ("2021a", "2021a@lr5")
    assert provenance["options"]["learning_rate"] == 0.005
    metrics = json.loads((base.lake.evaluation_report("2021a@lr5") / "metrics.json").read_text())
    assert metrics["release"] == "2021a@lr5"
    assert metrics["comparison"]["parent"]["release"] == "2021a"  # what has changed since the release's own
    assert find_earlier(base.lake, "2021a@lr5").dataset == base.lake.tokenized_dataset("2021a")
    assert not base.lake.vocabulary("2021a@lr5").exists()


def test_a_trial_is_never_promoted_by_itself_and_by_hand_it_is(base, lr5):
    assert read_promoted(base.lake).release == "2021a"
    promote(base.lake, "lr5", "by hand")
    assert checkpoint_in_use(base.lake) == ("2021a@lr5", "")
    promote(base.lake, "2021a", "by hand")


def test_the_ui_has_it_as_a_partition_whose_figures_can_be_plotted(base, lr5):
    with open_instance(base.lake) as instance:
        assert "2021a@lr5" in instance.get_dynamic_partitions(TRIALS.name)
        for asset in (TRIAL_CHECKPOINT, TRIAL_REPORT):
            which = dg.AssetRecordsFilter(asset_key=dg.AssetKey(asset), asset_partitions=["2021a@lr5"])
            (record,) = instance.fetch_materializations(which, limit=2).records
        names = record.asset_materialization.metadata.keys()
        assert {f"recall@10, {share} % hidden" for share in (10, 30, 50, 90)} <= names
        assert instance.get_dynamic_partitions("release") == ["2021a"]


def test_status_shows_it_with_its_figures_and_what_is_other(base, lr5):
    with open_instance(base.lake) as instance:
        (item,) = [one for one in trial_status(base, instance) if one.trial == "2021a@lr5"]
    assert (item.state, item.promoted) == ("evaluated", False)
    assert set(item.recall) == {0.1, 0.3, 0.5, 0.9}
    assert any("learning_rate" in option and "0.005" in option for option in item.options)
    json.dumps(item.as_dict())


def test_the_same_trial_again_is_nothing_to_do_and_another_of_its_name_is_refused(base, lr5):
    plan, lines = try_out(base, "LR5", *LR5)
    assert (plan.due, lines) == ([], [])
    with pytest.raises(BooruError, match=r"there is a trial 2021a@lr5 already.*learning_rate.*--retrain"):
        try_out(base, "lr5", "checkpoint.learning_rate=0.01")
    settings = settings_with(base.raw, base.home, "checkpoint.learning_rate=0.01")
    assert plan_trial(settings, base, "lr5", "2021a", retrain=True).due[0] is Stage.CHECKPOINT


def test_options_of_the_vocabulary_give_a_trial_its_own(base):
    before = contents(base.lake.vocabulary("2021a"))
    try_out(base, "rare", "vocabulary.min_general_posts=3", "evaluation_report.test_posts=20")
    lake = base.lake
    assert contents(lake.vocabulary("2021a")) == before
    labels = [len((lake.vocabulary(key) / "labels.parquet").read_bytes()) for key in ("2021a", "2021a@rare")]
    assert labels[1] > labels[0]
    record = lake.record(lake.checkpoint("2021a@rare"))
    assert record.inputs["tokenized_dataset"] == lake.record(lake.tokenized_dataset("2021a@rare")).key
    assert lake.record(lake.evaluation_report("2021a@rare")).inputs["checkpoint"] == record.key


@pytest.mark.parametrize(
    ("override", "says"),
    [
        ("tag_table.max_reject_share=0.4", "options of tag_table are not a trial's"),
        ("tag_audit.min_probability=0.4", "options of tag_audit are not a trial's, which has no audit"),
    ],
)
def test_options_that_all_trials_share_or_have_no_use_for_are_refused(base, override, says):
    with pytest.raises(BooruError, match=says):
        try_out(base, "shared", override)


@pytest.mark.parametrize(("name", "release"), [("7", "2021a"), ("2021b", "2021a"), ("a b", "2021a"), ("fine", "2019z")])
def test_a_bad_name_or_release_is_refused_before_anything_is_made(base, name, release):
    settings = settings_with(base.raw, base.home)
    with pytest.raises(BooruError):
        plan_trial(settings, base, name, release, retrain=False)
    assert not any("2019z" in path.name for path in base.lake.home.rglob("*"))


def test_a_partition_that_names_no_trial_fails_with_a_sentence(base):
    assert "'lr5' names no trial. Add a partition such as 2021d@lr5" in launch(base, "lr5", [])
    with open_instance(base.lake) as instance:
        instance.delete_dynamic_partition(TRIALS.name, "lr5")


def launch(base, trial, options, **ops):
    """A run of the job as the launchpad makes one; gives what it says if it is refused."""
    config = run_config(settings_with(base.raw, base.home, *options))
    config["ops"] = {TRIAL_CHECKPOINT: {"config": ops}} if ops else {}

    def say(line):
        return None

    job = build_defs(base).resolve_job_def(TRIAL.name)
    with stoppable(say) as stop, open_instance(base.lake) as instance:
        instance.add_dynamic_partitions(TRIALS.name, [trial])
        with pytest.raises(BooruError) as refused:
            run_job(job, instance, config, say, stop, key=trial)
    return str(refused.value)


def test_the_launchpad_replaces_no_trial_unasked_and_takes_no_options_in_a_wrong_place(base, lr5):
    before = contents(base.lake.checkpoint("2021a@lr5"))
    said = launch(base, "2021a@lr5", ["checkpoint.learning_rate=0.02"])
    assert "there is a trial 2021a@lr5 already" in said
    assert "retrain under ops.trial_checkpoint.config" in said
    assert contents(base.lake.checkpoint("2021a@lr5")) == before
    job = build_defs(base).resolve_job_def(TRIAL.name)
    for op in (TRIAL_CHECKPOINT, TRIAL_REPORT):
        with pytest.raises(dg.DagsterInvalidConfigError, match="unexpected config entry"):
            dg.validate_run_config(job, {"ops": {op: {"config": {"learning_rate": 0.02}}}})


def test_a_checkpoint_that_is_trained_again_does_not_show_the_figures_of_the_one_before(base, lr5):
    lake = base.lake
    record = lake.record(lake.checkpoint("2021a@lr5"))
    path = lake.checkpoint("2021a@lr5") / "record.json"
    former = path.read_text()
    path.write_text(record.model_copy(update={"made": "9"}).model_dump_json())
    with open_instance(lake) as instance:
        (item,) = [one for one in trial_status(base, instance) if one.trial == "2021a@lr5"]
    assert (item.state, item.recall) == ("trained", {})
    path.write_text(former)


def test_a_retraining_lands_beside_the_promoted_checkpoint_and_is_compared_with_it(base, lr5):
    """Counting is in the answer of both, so how far a learning rate that is far too large falls behind is left open."""
    lake = base.lake
    promote(lake, "2021a", "by hand")
    kept = contents(lake.checkpoint("2021a"))
    report = contents(lake.evaluation_report("2021a"))
    bad = settings_with(base.raw, base.home, "checkpoint.learning_rate=0.9", "checkpoint.max_steps=2")
    run_plan(bad, make_plan(bad, ["2021a"], Stage.EVALUATION_REPORT), lambda line: None)
    assert lake.record(lake.checkpoint("2021a")).options["learning_rate"] == 0.9
    assert contents(lake.checkpoint("2021a@1")) == kept
    assert contents(lake.evaluation_report("2021a@1")) == report
    metrics = json.loads((lake.evaluation_report("2021a") / "metrics.json").read_text())
    assert metrics["comparison"]["parent"]["release"] == "2021a@1"
    assert checkpoint_in_use(lake) == ("2021a@1" if metrics["losses"] else "2021a", "")
    if not metrics["losses"]:
        assert go_back(lake).release == "2021a@1"
