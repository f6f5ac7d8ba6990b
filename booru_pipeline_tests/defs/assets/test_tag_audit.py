"""What the UI shows of an audit, and what its check finds."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from booru_pipeline.audit.tables import MISSING, SCHEMAS, SUSPECT
from booru_pipeline.defs.assets.tag_audit import (
    AuditCounts,
    _faults_of_findings,
    _faults_of_tables,
    metadata_of_audit,
)
from booru_pipeline.training_shards.shards import ShardManifest
from booru_pipeline.vocabulary.vocabulary import LABELS_FILE

BECAUSE = [
    {"tag": "bunny_suit", "together": 93, "posts": 98, "expected": 7.5},
    {"tag": "rabbit_tail", "together": 1_200, "posts": 1_300, "expected": 9.0},
]


def finding(tag, fid=1, **more):
    return {"booru": "example.org", "fid": fid, "tag": tag, "category": "general", "because": BECAUSE, **more}


def write(folder, missing=(), suspect=()):
    """An audit with these findings."""
    folder.mkdir(exist_ok=True)
    rows = {
        MISSING: [{"probability": 0.875, "implied": False, "core_of": None, **row} for row in missing],
        SUSPECT: [{"probability": 0.001, "rate": 0.1, "ratio": 0.01, **row} for row in suspect],
    }
    for name, schema in SCHEMAS.items():
        pq.write_table(pa.Table.from_pylist(rows.get(name, []), schema), folder / f"{name}.parquet")
    counts = {name: len(rows.get(name, [])) for name in SCHEMAS}
    AuditCounts(posts=2, tags=5, rows=counts).write(folder)
    return folder


@pytest.fixture
def shards(tmp_path):
    """Two posts."""
    folder = tmp_path / "shards"
    folder.mkdir()
    posts = {"booru": ["example.org"] * 2, "fid": [1, 2], "tags": [["bunny_suit", "solo"], ["rabbit_ears", "solo"]]}
    pq.write_table(pa.table(posts), folder / "posts.parquet")
    ShardManifest(release="2021a", posts=2, tags=4, splits={}, files=["posts.parquet"], content_sha256="").write(folder)
    return folder


@pytest.fixture
def vocabulary(tmp_path):
    folder = tmp_path / "vocabulary"
    folder.mkdir()
    pq.write_table(pa.table({"label": ["bunny_suit", "rabbit_ears", "solo"]}), folder / LABELS_FILE)
    return folder


def test_the_ui_shows_how_many_there_are_of_each_and_the_first_with_their_reasons(tmp_path):
    many = [finding("rabbit_ears", fid) for fid in range(30)]
    shown = metadata_of_audit(write(tmp_path / "audit", many, [finding("solo", probability=0.0012)]))
    assert {name: shown[name] for name in ("posts", "tags", *SCHEMAS)} == {
        "posts": 2,
        "tags": 5,
        **dict.fromkeys(SCHEMAS, 0),
        MISSING: 30,
        SUSPECT: 1,
    }
    rows = [row.data for row in shown["missing tags"].records]
    assert len(rows) == 20
    assert rows[0] == {
        "booru": "example.org",
        "fid": 0,
        "tag": "rabbit_ears",
        "probability": "87.5 %",
        "because": "bunny_suit 93 of 98, rabbit_tail 1,200 of 1,300",
    }
    assert shown["suspect tags"].records[0].data["probability"] == "0.12 %"
    assert "missing.parquet" in shown["open with"].text


def test_of_an_audit_without_findings_that_is_said_and_of_a_broken_one_nothing_is(tmp_path):
    audit = write(tmp_path / "audit")
    assert metadata_of_audit(audit)["missing tags"].text == "none"
    (audit / "missing.parquet").write_bytes(b"PAR1")
    assert metadata_of_audit(audit) == {}
    assert metadata_of_audit(tmp_path / "nowhere") == {}


def test_findings_that_can_be_have_no_fault(tmp_path, shards, vocabulary):
    audit = write(tmp_path / "audit", [finding("rabbit_ears")], [finding("solo"), finding("solo", 2)])
    assert _faults_of_tables(audit) == {}
    assert _faults_of_findings(audit, shards, vocabulary) == {}


@pytest.mark.parametrize(
    ("missing", "suspect", "faults"),
    [
        ([finding("rabbit_ears", 3)], [], {"no post of the release": "1"}),
        ([], [finding("solo", booru="other.org")], {"no post of the release": "1"}),
        ([finding("carrot"), finding("radish")], [], {"no label": "2"}),
        ([finding("solo")], [], {"missing and on its post, or suspect and not": "1"}),
        ([], [finding("rabbit_ears")], {"missing and on its post, or suspect and not": "1"}),
    ],
)
def test_findings_that_cannot_be_are_counted_by_what_is_wrong(tmp_path, shards, vocabulary, missing, suspect, faults):
    assert _faults_of_findings(write(tmp_path / "audit", missing, suspect), shards, vocabulary) == faults


def test_a_table_that_is_broken_lacks_a_column_or_rows_is_named(tmp_path):
    audit = write(tmp_path / "audit", [finding("rabbit_ears")])
    pq.write_table(SCHEMAS[MISSING].empty_table(), audit / f"{MISSING}.parquet")
    pq.write_table(pa.table({"tag": ["solo"]}), audit / f"{SUSPECT}.parquet")
    (audit / "exclusions.parquet").write_bytes(b"PAR1")
    (audit / "core_tags.parquet").unlink()
    faults = _faults_of_tables(audit)
    assert list(faults) == [MISSING, SUSPECT, "exclusions", "core_tags"]
    assert faults[MISSING] == "has 0 rows, and 1 were counted"
    assert faults[SUSPECT].startswith("lacks booru, fid, category, ")
