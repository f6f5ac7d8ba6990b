import pytest

from booru_pipeline.errors import BooruError
from booru_pipeline.lake.lake import Lake
from booru_pipeline.pipeline.freshness import expected_records, release_status
from booru_pipeline.pipeline.stages import Recipe, Sources, Stage, stage_record, upstream_key

ALIASES = "fingerprint of the aliases"
IMPLICATIONS = "fingerprint of the implications"


def put(lake, stage, record):
    path = stage.path(lake, "2021a")
    path.mkdir(parents=True)
    record.write(path)


def write_all(lake, recipe, fingerprint="raw", aliases=ALIASES):
    """Records of all stages but the first, whose artifact is a DuckDB file, in folders where the artifacts would be."""
    for stage, record in expected_records("2021a", Sources(fingerprint, aliases, IMPLICATIONS), recipe).items():
        put(lake, stage, record)


def states(lake, recipe, fingerprint="raw", aliases=ALIASES, implications=IMPLICATIONS):
    sources = Sources(fingerprint, aliases, implications)
    return [status.state for status in release_status(lake, "2021a", sources, recipe)]


def test_nothing_then_all_fresh_then_all_stale_when_the_raw_bytes_change(tmp_path):
    lake, recipe = Lake(tmp_path), Recipe()
    assert states(lake, recipe) == ["missing"] * len(Stage)
    write_all(lake, recipe)
    assert states(lake, recipe) == ["fresh"] * len(Stage)
    assert states(lake, recipe, "other") == ["stale"] * len(Stage)


@pytest.mark.parametrize(
    ("change", "first_stale"),
    [
        ({"preset": "t5-small"}, Stage.VOCABULARY),
        ({"training_shards": {"salt": "other"}}, Stage.TRAINING_SHARDS),
        ({"tokenized_dataset": {"min_tokens": 5}}, Stage.TOKENIZED_DATASET),
        ({"checkpoint": {"seed": 3}}, Stage.CHECKPOINT),
        ({"evaluation_report": {"seed": 3}}, Stage.EVALUATION_REPORT),
        ({"tag_audit": {"min_share": 0.9}}, Stage.TAG_AUDIT),
    ],
)
def test_an_option_makes_its_stage_and_the_later_ones_stale(tmp_path, change, first_stale):
    lake = Lake(tmp_path)
    write_all(lake, Recipe())
    row = first_stale.order
    assert states(lake, Recipe(**change)) == ["fresh"] * row + ["stale"] * (len(Stage) - row)
    statuses = release_status(lake, "2021a", Sources("raw", ALIASES, IMPLICATIONS), Recipe(**change))
    whys = [status.why for status in statuses if status.why]
    assert "was" in whys[0]
    assert all(why.endswith("changed") for why in whys[1:])


@pytest.mark.parametrize(
    ("inputs", "why"),
    [
        ({"aliases": "other"}, "the aliases changed"),
        ({"tag_table": "other", "aliases": "other"}, "tag_table and the aliases changed"),
    ],
)
def test_other_aliases_make_the_shards_stale_and_say_so(tmp_path, inputs, why):
    lake = Lake(tmp_path)
    write_all(lake, Recipe())
    assert states(lake, Recipe(), aliases="other") == ["fresh"] + ["stale"] * (len(Stage) - 1)
    raw = inputs.get("tag_table", "raw")
    statuses = release_status(lake, "2021a", Sources(raw, "other", IMPLICATIONS), Recipe())
    assert statuses[1].why == why


def test_other_implications_make_the_report_and_the_audit_stale_and_nothing_else(tmp_path):
    lake = Lake(tmp_path)
    write_all(lake, Recipe())
    assert states(lake, Recipe(), implications="other") == ["fresh"] * 5 + ["stale"] * 2
    statuses = release_status(lake, "2021a", Sources("raw", ALIASES, "other"), Recipe())
    assert [status.why for status in statuses[5:]] == [
        "the implications changed",
        "evaluation_report and the implications changed",
    ]


def test_shards_from_before_aliases_are_stale_for_the_code_that_made_them(tmp_path):
    lake = Lake(tmp_path)
    upstream = "raw"
    for stage in (Stage.TAG_TABLE, Stage.TRAINING_SHARDS):
        record = stage_record(stage, "2021a", upstream, Recipe().options(stage))
        put(lake, stage, record)
        upstream = record.key
    statuses = release_status(lake, "2021a", Sources("raw", ALIASES, IMPLICATIONS), Recipe())
    assert [statuses[1].state, statuses[1].why] == ["stale", "the code that makes it changed"]


def test_the_stage_above_must_be_there(tmp_path):
    with pytest.raises(BooruError, match="--release 2021a --to vocabulary"):
        upstream_key(Lake(tmp_path), Stage.TOKENIZED_DATASET, "2021a")
