"""Loading what a raw folder holds, as tests of the layouts do."""

from pathlib import Path

import duckdb
import pytest

from booru_pipeline.errors import BooruError, printable_lines
from booru_pipeline.lake.publish import Staging
from booru_pipeline.lake.record import Record
from booru_pipeline.release.find import find_releases
from booru_pipeline.tag_table.accounting import TagTableSummary, key_violations, summarise
from booru_pipeline.tag_table.load import load_release
from booru_pipeline.tag_table.options import TagTableOptions

RECORD = Record(stage="tag_table", release="posts", key="key", inputs={"raw_release": "abc"})
ALL = TagTableOptions(max_reject_share=1)


def load_found(raw: Path, options: TagTableOptions = ALL) -> Path:
    """The table of the only release in a raw folder."""
    found = find_releases(raw)
    assert not found.incomplete
    (release,) = found.releases
    final = raw.with_name(f"{raw.name}.duckdb")
    load_release(release, final, Staging(raw.with_name(".staging")), options, RECORD)
    return final


def rows(path: Path, query: str) -> list[tuple[object, ...]]:
    with duckdb.connect(str(path), read_only=True) as connection:
        return connection.execute(query).fetchall()


def accounted(path: Path) -> TagTableSummary:
    """The summary, after a look at what always holds."""
    summary = summarise(path)
    assert all(item.holds for item in summary.accounting)
    assert not any(key_violations(path).values())
    return summary


def assert_refused(raw: Path, *says: str) -> None:
    """Loading says why not, in text that a terminal can show, and a former table stays."""
    final = raw.with_name(f"{raw.name}.duckdb")
    final.write_bytes(b"former")
    with pytest.raises(BooruError) as refused:
        load_found(raw, TagTableOptions())
    message = str(refused.value)
    assert printable_lines(message) == message
    for text in says:
        assert text in message
    assert final.read_bytes() == b"former"
