"""Which options make stale what was made with others, and in which words."""

import json
from typing import get_args, get_origin

import duckdb
import pytest

from booru_pipeline.lake.lake import Lake
from booru_pipeline.pipeline.freshness import expected_records, release_status
from booru_pipeline.pipeline.stages import Recipe, Sources, Stage, makes_nothing_stale
from booru_pipeline.training.options import OPTIMIZERS, SCHEDULES
from booru_pipeline.vocabulary.faults import LabelFaults

FAULTS = set(LabelFaults.model_fields) - {"labels"}
SOURCES = Sources("raw", "aliases", "implications")
OPTIONS = [(stage, name) for stage in Stage for name in type(Recipe().options_model(stage)).model_fields]

# The decision on every option: these say when to stop, what is accepted, how fast it goes, what is said and kept.
NOTHING_STALE = {
    Stage.TAG_TABLE: {"max_reject_share", "memory_mib"},
    Stage.TOKENIZED_DATASET: {"min_coverage"},
    Stage.CHECKPOINT: {
        *("time_limit_s", "gradient_checkpointing", "compile", "threads", "evaluations"),
        *("log_interval_s", "log_interval_steps", "state_interval_s", "state_interval_steps", "states_kept"),
        *("wandb_project", "wandb_artifact"),
    },
    Stage.EVALUATION_REPORT: {"batch_size"},
}


@pytest.fixture
def lake(tmp_path):
    return Lake(tmp_path)


def make(lake, **recipe):
    """Records of all stages in place of the artifacts, each made of what is there before it."""
    for stage, record in expected_records("2021a", SOURCES, Recipe(**recipe)).items():
        path = stage.path(lake, "2021a")
        path.mkdir(parents=True)
        record.write(path)


def statuses(lake, **recipe):
    return release_status(lake, "2021a", SOURCES, Recipe(**recipe))


def states(lake, **recipe):
    return [status.state.value for status in statuses(lake, **recipe)]


def why(lake, **recipe):
    return next(status.why for status in statuses(lake, **recipe) if not status.is_fresh)


def another(stage, name):
    """Another value of an option, that it takes."""
    field = type(Recipe().options_model(stage)).model_fields[name]
    if name in ("optimizer", "schedule"):
        return [*OPTIMIZERS, *SCHEDULES][-1] if name == "schedule" else "adamw"
    kinds = [kind for kind in get_args(field.annotation) if kind is not type(None)]
    if kinds and all(isinstance(kind, str) for kind in kinds):  # a Literal
        return kinds[-1] if kinds[-1] not in (field.default, "retrain") else kinds[0]
    if name == "skip_name_rules":
        return ["case"]
    if name == "ratings":
        return ["g"]
    if get_origin(field.annotation) is list:
        return [0.25] if "shares" in name else [4]
    if field.annotation is bool:
        return not field.default
    if field.annotation is str:
        return "other"
    default = field.default or 0
    return default / 2 if 0 < default <= 1 and isinstance(default, float) else default + 11 if default >= 1 else 0.25


def changed(stage, name):
    value = another(stage, name)
    whole = type(Recipe().options_model(stage)).model_fields[name].annotation in (int, int | None)
    return {stage.value: {name: 11 if whole and isinstance(value, float) else value}}


def test_it_is_decided_of_every_option_whether_it_makes_stale():
    assert {stage: makes_nothing_stale(stage) for stage in Stage if makes_nothing_stale(stage)} == NOTHING_STALE


@pytest.mark.parametrize(("stage", "name"), OPTIONS, ids=lambda value: str(value))
def test_another_value_makes_stale_unless_the_option_says_otherwise(lake, stage, name):
    make(lake)
    before = ["fresh"] * stage.order
    if name in NOTHING_STALE.get(stage, set()) or (stage, name) == (Stage.CHECKPOINT, "replay_share"):
        assert states(lake, **changed(stage, name)) == ["fresh"] * len(Stage)  # without `continue` nothing is replayed
    elif name == "strategy":  # a retraining makes up for what a chain forgets
        assert states(lake, checkpoint={"strategy": "continue"}) == ["fresh"] * len(Stage)
    else:
        assert states(lake, **changed(stage, name)) == before + ["stale"] * (len(Stage) - stage.order)
        assert why(lake, **changed(stage, name)).startswith(f"{name} was ")
        assert "None" not in why(lake, **changed(stage, name))


@pytest.mark.parametrize(("stage", "name"), OPTIONS, ids=lambda value: str(value))
def test_what_was_made_with_another_value_is_judged_alike(lake, stage, name):
    make(lake, **changed(stage, name))
    is_alike = name in NOTHING_STALE.get(stage, set()) or (stage, name) == (Stage.CHECKPOINT, "replay_share")
    assert states(lake) == ["fresh"] * (len(Stage) if is_alike else stage.order) + ["stale"] * (
        0 if is_alike else len(Stage) - stage.order
    )


@pytest.mark.parametrize(
    "explicit",
    [
        {"checkpoint": {"batch_size": 64, "optimizer": "adamw_rms", "learning_rate": 0.02, "epochs": 20}},
        {"checkpoint": {"objective": "present"}},
        {"tokenized_dataset": {"max_tokens": 64}},
    ],
)
def test_what_was_in_force_anyway_makes_nothing_stale_when_it_is_set(lake, explicit):
    make(lake)
    assert states(lake, **explicit) == ["fresh"] * len(Stage)


@pytest.mark.parametrize(
    ("made", "now", "says"),
    [
        ({}, {"learning_rate": 0.005}, "learning_rate was 0.02 (preset tiny), is 0.005"),
        ({"optimizer": "adamw"}, {}, "optimizer was adamw, is adamw_rms (preset tiny)"),
        (
            {"epochs": 3},
            {"epochs": 0, "max_steps": 7},
            "epochs was 3, is unlimited; max_steps was unlimited (preset tiny), is 7",
        ),
        ({}, {"objective": "set"}, "objective was present (auto), is set"),
        ({}, {"hidden_shares": [0.5]}, "hidden_shares was [], is [0.5]"),
    ],
)
def test_reasons_are_the_values_in_force_and_who_chose_them(lake, made, now, says):
    make(lake, checkpoint=made)
    assert why(lake, checkpoint=now) == says


def test_a_length_that_the_encoding_decides_is_said(lake):
    make(lake)
    assert why(lake, tokenized_dataset={"max_tokens": 40}) == "max_tokens was 64 (encoding labels), is 40"


def trained(lake, seconds):
    text = json.dumps({"training": {"seconds": seconds}})
    (lake.checkpoint("2021a") / "provenance.json").write_text(text, encoding="utf-8")


@pytest.mark.parametrize(
    ("limit", "seconds", "now", "note"),
    [
        (10, 10.2, None, "time_limit_s ended its training after 10 s and is 60 s (preset tiny) now"),
        (10, 10.2, 0, "time_limit_s ended its training after 10 s and is unlimited now"),
        (None, 60.1, 3600, "time_limit_s ended its training after 60 s and is 3600 s now"),
        (10, 4.0, None, ""),  # ended by epochs
        (10, 10.2, 5, ""),
        (0, 100.0, None, ""),
    ],
)
def test_a_limit_of_time_makes_nothing_stale_and_is_noted_where_it_cut_short(lake, limit, seconds, now, note):
    make(lake, checkpoint={"time_limit_s": limit})
    trained(lake, seconds)
    found = statuses(lake, checkpoint={"time_limit_s": now})
    assert [status.state for status in found] == ["fresh"] * len(Stage)
    said = found[Stage.CHECKPOINT.order].note
    assert said.startswith(note)
    assert bool(said) is bool(note)
    assert not note or said.endswith("`booru run --release 2021a --retrain` trains it again")


def table_with_rejects(lake, share, limit):
    (record, *_) = expected_records("2021a", SOURCES, Recipe(tag_table={"max_reject_share": limit})).values()
    path = lake.tag_table("2021a")
    path.parent.mkdir(parents=True)
    with duckdb.connect(str(path)) as connection:
        record.write_table(connection)
        connection.execute(
            "CREATE TABLE accounting AS SELECT * FROM (VALUES ('files', 101, 1, 100, 0, 0, 0, 0), "
            "('tags', 1001, 1, $kept, 0, 0, $rejected, 0)) "
            "t(source, lines_read, header, kept, duplicates, merged, rejected, blank)",
            {"kept": round(1000 * (1 - share)), "rejected": round(1000 * share)},
        )


@pytest.mark.parametrize(
    ("limit", "now", "reason"),
    [
        (0.005, 0.2, ""),
        (0.2, 0.005, "1.00% of its lines are rejects, max_reject_share is 0.50% now"),
        (0.2, 0.01, ""),
        (0.2, 0.02, ""),
    ],
)
def test_only_a_table_with_more_rejects_than_are_accepted_now_is_stale(lake, limit, now, reason):
    table_with_rejects(lake, min(limit, 0.01), limit)
    status = statuses(lake, tag_table={"max_reject_share": now})[0]
    assert (status.state, status.why, status.by_options) == ("stale" if reason else "fresh", reason, bool(reason))


def test_a_table_whose_accounting_cannot_be_read_is_left_to_its_checks(lake):
    make(lake)
    assert states(lake, tag_table={"max_reject_share": 0.0}) == ["fresh"] * len(Stage)


@pytest.mark.parametrize(
    ("was", "now", "state"), [(0.5, 0.4, "fresh"), (0.5, 0.7, "stale"), (0.7, 0.5, "stale"), (0.7, 0.8, "fresh")]
)
def test_a_dataset_is_stale_if_the_gate_judges_it_otherwise_now(lake, was, now, state):
    make(lake, tokenized_dataset={"min_coverage": was})
    report = {
        "faults": {"labels": 1, **{name: [] for name in FAULTS}},
        "encoding": "labels",
        "longest_caption": 9,
        "most_tokens": 512,
        "coverage": {"general": 0.6},
        "min_coverage": was,
        "worst": [],
    }
    (lake.tokenized_dataset("2021a") / "gate.json").write_text(json.dumps(report), encoding="utf-8")
    status = statuses(lake, tokenized_dataset={"min_coverage": now})[Stage.TOKENIZED_DATASET.order]
    assert status.state == state
    says = f"its labels cover 60.0% of general tags, min_coverage was {was:.1%}, is {now:.1%}"
    assert status.why == (says if state == "stale" else "")
