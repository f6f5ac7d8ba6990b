"""The whole graph on a tiny sample, on a real instance, with real training in its own process."""

import json
import re
import shutil
import time
from pathlib import Path

import dagster as dg
import pytest

from booru_pipeline.audit.tables import SCHEMAS
from booru_pipeline.defs.build import LOCATION, build_defs
from booru_pipeline.defs.runs.history import PARTITION
from booru_pipeline.defs.runs.instance import open_instance
from booru_pipeline.defs.shell import make_plan, run_plan
from booru_pipeline.errors import BooruError
from booru_pipeline.evaluation.results import BASELINES
from booru_pipeline.lake.lake import Lake
from booru_pipeline.lake.record import read_record
from booru_pipeline.pipeline.promoted import read_promoted
from booru_pipeline.pipeline.settings import load_settings
from booru_pipeline.pipeline.stages import Stage

LAST = list(Stage)[-1]
QUICK = {
    "checkpoint": {"max_steps": 30, "wandb_project": ""},
    "evaluation_report": {"bootstrap_samples": 50, "hidden_shares": [0.2, 0.5]},
}


@pytest.fixture(scope="module")
def settings(raw, tmp_path_factory):
    home = tmp_path_factory.mktemp("home")
    return load_settings(raw=raw, home=home, vocabulary={"min_general_posts": 5, "min_name_posts": 5}, **QUICK)


class Heard:
    """The lines for the console."""

    def __init__(self):
        self.lines = []

    def __call__(self, line):
        self.lines.append(line)

    @property
    def stages(self):
        made = [re.match(r"(\w+)  \[green\](\w+)\[/\] in \d+\.\d s", line) for line in self.lines]
        return [(match[1], Stage(match[2])) for match in made if match]


@pytest.fixture(scope="module")
def first_run(settings):
    heard = Heard()
    run_plan(settings, make_plan(settings, [], LAST), heard)
    with open_instance(settings.lake) as opened:
        heard.checks = {
            (run.tags[PARTITION], f"{check.asset_key.to_user_string()}: {check.check_name}"): check.passed
            for run in opened.get_runs()
            for entry in opened.all_logs(run.run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION)
            for check in [entry.dagster_event.asset_check_evaluation_data]
        }
    return heard


@pytest.fixture
def aside(first_run, settings, tmp_path):
    """The settings on a copy of raw folder and home, to change."""
    for name, folder in (("raw", settings.raw), ("home", settings.home)):
        shutil.copytree(folder, tmp_path / name)
    return settings.model_copy(update={"raw": tmp_path / "raw", "home": tmp_path / "home"})


@pytest.fixture
def instance(settings):
    with open_instance(settings.lake) as opened:
        yield opened


def artifacts(lake: Lake):
    return {(key, stage): stage.path(lake, key) for key in ("2021a", "2021b") for stage in Stage}


def test_every_stage_of_every_release_is_made_in_order(first_run, settings):
    assert first_run.stages == [(key, stage) for key in ("2021a", "2021b") for stage in Stage]
    for (key, stage), path in artifacts(settings.lake).items():
        record = read_record(path)
        assert (record.release, record.stage) == (key, stage.value)
        name = stage.upstream
        above = read_record(Stage(name).path(settings.lake, key)).key if name in list(Stage) else None
        assert above is None or record.inputs[name] == above
        also = {
            Stage.TRAINING_SHARDS: {"aliases"},
            Stage.EVALUATION_REPORT: {"implications"},
            Stage.TAG_AUDIT: {"aliases", "implications"},
        }
        assert set(record.inputs) - {name} == also.get(stage, set())
    assert not [path for path in settings.lake.staging.folder.iterdir() if path.is_dir()]


def test_every_check_ran_and_the_blocking_ones_passed(first_run, settings):
    graph = build_defs(settings).resolve_asset_graph()
    ran = {check for _, check in first_run.checks}
    by_schedule = "raw_release: bytes_are_what_was_loaded"
    assert ran == {f"{key.asset_key.to_user_string()}: {key.name}" for key in graph.asset_check_keys} - {by_schedule}
    warnings = {
        "vocabulary: labels_occur_in_train",
        "checkpoint: has_left_the_unigram_plateau",
        "evaluation_report: beats_the_baselines",
        "evaluation_report: does_not_lose",
    }
    assert [check for (_, check), passed in first_run.checks.items() if not passed and check not in warnings] == []
    assert {key.to_user_string() for key in {check.asset_key for check in graph.asset_check_keys}} == {
        "raw_release",
        *Stage,
    }


def test_training_streams_its_progress_into_the_runs_log(first_run):
    assert any("step" in line and "loss" in line for line in first_run.lines)


def test_the_ui_can_show_what_was_made(first_run, settings, instance):
    for key in ("2021a", "2021b"):
        for stage in Stage:
            records = instance.fetch_materializations(
                dg.AssetRecordsFilter(asset_key=dg.AssetKey(stage.value), asset_partitions=[key]), limit=5
            ).records
            (materialization,) = [record.asset_materialization for record in records]
            assert materialization.tags["dagster/data_version"] == read_record(stage.path(settings.lake, key)).key
            assert Path(materialization.metadata["path"].path).exists()
            if stage is Stage.EVALUATION_REPORT:
                assert "recall@10" in materialization.metadata["summary"].md_str
                assert materialization.metadata["recall"].md_str.startswith("![")
                methods = [row.data["method"] for row in materialization.metadata["methods"].records]
                assert methods == ["model", "T5 alone", *BASELINES] * 2
                assert materialization.metadata["verdict"].text in materialization.metadata["summary"].md_str
            elif stage is Stage.TAG_AUDIT:
                metadata = materialization.metadata
                counts = json.loads((settings.lake.tag_audit(key) / "audit.json").read_text())
                assert {name: metadata[name].value for name in SCHEMAS} == counts["rows"]
                assert {name: metadata[name].value for name in ("posts", "tags")} == {
                    name: counts[name] for name in ("posts", "tags")
                }
            elif stage is Stage.CHECKPOINT:
                assert "data:image/png;base64," in materialization.metadata["loss curve"].md_str
            else:
                assert materialization.metadata["dagster/row_count"].value > 0
                assert materialization.metadata["dagster/column_schema"].schema.columns
    runs = instance.get_runs()
    assert {run.status for run in runs} == {dg.DagsterRunStatus.SUCCESS}
    assert {run.tags["dagster/partition"] for run in runs} == {"2021a", "2021b"}


def test_the_ui_shows_posts_their_way_and_how_they_are_seen(first_run, settings, instance):
    (record,) = instance.fetch_materializations(
        dg.AssetRecordsFilter(asset_key=dg.AssetKey("tokenized_dataset"), asset_partitions=["2021b"]), limit=1
    ).records
    metadata = record.asset_materialization.metadata
    posts = [row.data for row in metadata["sample posts"].records]
    examples = [row.data for row in metadata["sample examples"].records]
    assert len(posts) == 3
    assert any("are not learned" in row["dropped, and why"] for row in posts)
    assert {row["what is hidden"] for row in examples} == {
        "caption completion",
        "label completion",
        "span corruption",
    }
    assert all(row["input"] and row["target"] for row in examples)
    assert {row.data["encoding"] for row in metadata["tokens per caption"].records} == {"labels", "pieces"}


def test_an_evaluation_says_with_what_it_compared_and_promotes_what_does_not_lose(first_run, settings, instance):
    promoted = None
    for key, compared in (("2021a", "none: this is the first release"), ("2021b", "the checkpoint of 2021a")):
        (record,) = instance.fetch_materializations(
            dg.AssetRecordsFilter(asset_key=dg.AssetKey("evaluation_report"), asset_partitions=[key]), limit=1
        ).records
        metadata = record.asset_materialization.metadata
        losses = json.loads((settings.lake.evaluation_report(key) / "metrics.json").read_text())["losses"]
        assert metadata["compared with"].text == compared
        assert metadata["promoted"].text.startswith("no: " if losses else "yes: ")
        assert first_run.checks[key, "evaluation_report: does_not_lose"] is not bool(losses)
        promoted = promoted if losses else key
    assert any("is promoted: " in line or "is not promoted: " in line for line in first_run.lines)
    pointer = read_promoted(settings.lake)
    assert (pointer and pointer.release) == promoted
    read = read_record(settings.lake.evaluation_report("2021b")).also_read
    assert read["checkpoint of 2021a"] == read_record(settings.lake.checkpoint("2021a")).key


def test_an_audit_is_made_of_what_is_not_promoted_too(first_run, settings):
    pointer = read_promoted(settings.lake)
    others = {"2021a", "2021b"} - {pointer and pointer.release}
    assert others
    assert {*settings.lake.releases_with(settings.lake.tag_audit)} >= others


def test_an_audit_that_breaks_off_leaves_the_former_one_and_asks_no_checkpoint_but_the_reports(aside, monkeypatch):
    audit = aside.lake.tag_audit("2021b")
    former = {path.name: path.read_bytes() for path in audit.iterdir()}
    changed = aside.model_copy(update={"tag_audit": aside.tag_audit.model_copy(update={"min_share": 0.9})})

    def half(*, output, **_):
        output.mkdir()
        (output / "missing.parquet").write_bytes(b"PAR1")
        raise BooruError("it broke off.")

    with monkeypatch.context() as patched:
        patched.setattr("booru_pipeline.audit.build.build_audit", half)
        with pytest.raises(BooruError, match=r"it broke off"):
            run_plan(changed, make_plan(changed, ["2021b"], LAST), print)
    assert {path.name: path.read_bytes() for path in audit.iterdir()} == former
    assert not [path for path in aside.lake.staging.folder.iterdir() if path.is_dir()]

    record = read_record(aside.lake.checkpoint("2021b"))
    record.model_copy(update={"key": "another"}).write(aside.lake.checkpoint("2021b"))
    job = build_defs(changed).resolve_job_def("refresh_release")
    with open_instance(aside.lake) as instance:
        result = job.get_subset(asset_selection={dg.AssetKey("tag_audit")}).execute_in_process(
            instance=instance, partition_key="2021b", raise_on_error=False
        )
    (failure,) = [event.step_failure_data for event in result.all_events if event.is_step_failure]
    assert "the report of 2021b is not one of the checkpoint that is there" in failure.error.to_string()


def test_states_that_a_killed_run_left_beside_its_checkpoint_go_with_the_evaluation(aside):
    states = aside.lake.training_states("2021a")
    published = states / read_record(aside.lake.checkpoint("2021a")).key / "step-000000030"
    other = states / "0123456789abcdef" / "step-000000001"
    for state in (published, other):
        state.mkdir(parents=True)
    other_seed = aside.model_copy(update={"evaluation_report": aside.evaluation_report.model_copy(update={"seed": 7})})
    run_plan(other_seed, make_plan(other_seed, ["2021a"], LAST), print)
    assert not published.exists()
    assert other.exists()


def test_a_release_goes_on_from_the_checkpoint_before_it(aside):
    """And not from one that was trained in another way, which the run's log says."""
    going_on = aside.model_copy(
        # Another strategy alone would leave what was trained anew as it is.
        update={"checkpoint": aside.checkpoint.model_copy(update={"strategy": "continue", "seed": 4})}
    )
    heard = Heard()
    run_plan(going_on, make_plan(going_on, ["2021b"], Stage.CHECKPOINT), heard)
    assert ("2021b", Stage.CHECKPOINT) in heard.stages
    provenance = json.loads((aside.lake.checkpoint("2021b") / "provenance.json").read_text())
    parent = read_record(aside.lake.checkpoint("2021a"))
    assert provenance["parent"] == {"release": "2021a", "key": parent.key}
    assert provenance["lineage"] == ["2021a", "2021b"]
    assert 0 < provenance["trained_on"]["2021a"] <= provenance["trained_on"]["2021b"]
    assert read_record(aside.lake.checkpoint("2021b")).also_read["checkpoint of 2021a"] == parent.key
    with open_instance(aside.lake) as instance:
        (record,) = instance.fetch_materializations(
            dg.AssetRecordsFilter(asset_key=dg.AssetKey("checkpoint"), asset_partitions=["2021b"]), limit=1
        ).records
    assert record.asset_materialization.metadata["lineage"].text == "2021a → 2021b"

    otherwise = going_on.model_copy(
        update={"checkpoint": going_on.checkpoint.model_copy(update={"objective": "sequence"})}
    )
    heard = Heard()
    run_plan(otherwise, make_plan(otherwise, ["2021b"], Stage.CHECKPOINT), heard)
    assert any("is no parent (objective was present, is sequence)" in line for line in heard.lines)
    provenance = json.loads((aside.lake.checkpoint("2021b") / "provenance.json").read_text())
    assert provenance["parent"] is None


def test_the_shells_runs_are_listed_with_their_job_and_the_raw_release_as_there(first_run, settings, instance):
    listed = instance.get_runs(dg.RunsFilter(tags={".dagster/repository": f"__repository__@{LOCATION}"}))
    assert {run.run_id for run in listed} == {run.run_id for run in instance.get_runs()}
    assert instance.get_materialized_partitions(dg.AssetKey("raw_release")) == {"2021a", "2021b"}


def test_load_only_checks_the_raw_files_too(first_run, settings, instance):
    result = (
        build_defs(settings)
        .resolve_job_def("load_only")
        .execute_in_process(instance=instance, partition_key="2021a", raise_on_error=False)
    )
    assert result.success
    checks = {evaluation.check_name for evaluation in result.get_asset_check_evaluations()}
    assert {"release_is_whole", "keys_hold", "nothing_is_lost"} <= checks


def test_checks_started_without_a_release_say_what_to_do(first_run, settings, instance):
    graph = build_defs(settings).resolve_asset_graph()
    job = build_defs(settings).resolve_implicit_global_asset_job_def()
    result = job.get_subset(asset_selection=set(), asset_check_selection=graph.asset_check_keys).execute_in_process(
        instance=instance, raise_on_error=False
    )
    failures = [event.step_failure_data for event in result.all_events if event.is_step_failure]
    assert failures
    assert all("Materialize the asset" in data.user_failure_data.description for data in failures)


def test_a_second_run_has_nothing_to_do(first_run, settings):
    plan = make_plan(settings, [], LAST)
    assert [item.due for item in plan.releases] == [[], []]


def test_the_checkpoint_is_a_plain_transformers_folder_with_provenance(first_run, settings):
    import transformers

    folder = settings.lake.checkpoint("2021b")
    model = transformers.AutoModelForSeq2SeqLM.from_pretrained(folder)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    assert model.get_input_embeddings().num_embeddings >= len(tokenizer)
    provenance = json.loads((folder / "provenance.json").read_text())
    assert list(provenance["releases"]) == ["2021a", "2021b"]
    assert provenance["dataset"] == read_record(settings.lake.tokenized_dataset("2021b")).key
    assert not [path for path in folder.rglob("*") if path.suffix in (".bin", ".pt", ".pkl")]


def test_a_changed_byte_redoes_that_release_and_no_other(aside):
    before = {place: path.stat().st_mtime_ns for place, path in artifacts(aside.lake).items()}
    (tags,) = aside.raw.rglob("V2021B_tags.tsv")
    content = bytearray(tags.read_bytes())
    content[content.index(b"\t0\t0\tGENERAL\n") + 1] = ord("7")  # a tag id
    tags.write_bytes(content)
    plan = make_plan(aside, [], LAST)
    assert {item.release.key: item.due for item in plan.releases} == {"2021a": [], "2021b": list(Stage)}
    assert plan.releases[1].statuses[0].why == "the raw files changed"
    time.sleep(0.01)
    heard = Heard()
    run_plan(aside, make_plan(aside, [], Stage.TOKENIZED_DATASET), heard)
    assert heard.stages == [("2021b", stage) for stage in list(Stage)[:4]]
    after = {place: path.stat().st_mtime_ns for place, path in artifacts(aside.lake).items()}
    assert {place for place in before if before[place] != after[place]} == {
        ("2021b", stage) for stage in list(Stage)[:4]
    }


def test_another_option_or_a_deleted_artifact_redoes_from_there_and_says_why(first_run, settings):
    changed = settings.model_copy(
        update={"vocabulary": settings.vocabulary.model_copy(update={"min_general_posts": 6})}
    )
    (plan, _) = make_plan(changed, [], LAST).releases
    assert plan.due == list(Stage)[2:]
    assert plan.statuses[2].why == "min_general_posts was 5, is 6"
    path = settings.lake.tokenized_dataset("2021a")
    path.rename(path.with_name("away"))
    try:
        (plan, _) = make_plan(settings, [], LAST).releases
        assert plan.due == list(Stage)[3:]
        assert plan.statuses[3].state == "missing"
    finally:
        path.with_name("away").rename(path)


def test_one_release_brings_earlier_ones_as_far_as_it_needs_them(raw, tmp_path):
    settings = load_settings(raw=raw, home=tmp_path)
    plan = make_plan(settings, ["2021b"], Stage.VOCABULARY)
    assert [(item.release.key, item.due) for item in plan.releases] == [
        ("2021a", list(Stage)[:2]),
        ("2021b", list(Stage)[:3]),
    ]
    plan = make_plan(settings, ["2021b"], Stage.TRAINING_SHARDS)
    assert [item.release.key for item in plan.releases] == ["2021b"]


def test_a_later_release_alone_in_the_ui_fails_with_the_remedy(raw, tmp_path):
    settings = load_settings(raw=raw, home=tmp_path)
    with dg.DagsterInstance.ephemeral() as instance:
        instance.add_dynamic_partitions("release", ["2021b"])
        result = (
            build_defs(settings)
            .resolve_job_def("refresh_release")
            .execute_in_process(
                instance=instance,
                partition_key="2021b",
                asset_selection=[dg.AssetKey(stage.value) for stage in list(Stage)[:3]],
                raise_on_error=False,
            )
        )
    assert not result.success
    errors = [event.step_failure_data.error.to_string() for event in result.all_events if event.is_step_failure]
    assert any("booru run --release 2021a --to training_shards" in error for error in errors)
