"""The views over all releases, against a slow reference that reads each release by itself."""

import duckdb
import pytest

from booru_pipeline.errors import BooruError
from booru_pipeline.lake.lake import Lake
from booru_pipeline.tag_table.attach import attach_all


@pytest.fixture
def connection():
    with duckdb.connect() as connection:
        yield connection


def by_release(lake, table):
    """All rows of a table, with the release's key behind each, release after release."""
    rows = []
    for key in ["manual_walfie", "2021a", "2021b"]:
        with duckdb.connect(str(lake.tag_table(key)), read_only=True) as single:
            rows += [(*row, key) for row in single.execute(f"FROM {table}").fetchall()]
    return rows


@pytest.mark.parametrize("table", ["files", "tags", "raw_tags", "spellings", "rejects", "accounting"])
def test_a_view_has_all_releases_rows_and_says_which(connection, lake, table):
    assert attach_all(connection, lake) == ["manual_walfie", "2021a", "2021b"]
    found = connection.execute(f"FROM {table}")
    assert found.description[-1][0] == "release"
    assert sorted(map(repr, found.fetchall())) == sorted(map(repr, by_release(lake, table)))


def test_a_post_that_is_listed_again_is_there_as_it_was_listed_last(connection, lake):
    attach_all(connection, lake)
    latest = {(booru, fid): release for booru, fid, *_, release in by_release(lake, "files")}
    files = [row for row in by_release(lake, "files") if latest[row[:2]] == row[-1]]
    tags = [row for row in by_release(lake, "tags") if latest[row[:2]] == row[-1]]
    assert len(files) < len(by_release(lake, "files"))
    assert sorted(map(repr, connection.execute("FROM files_latest").fetchall())) == sorted(map(repr, files))
    assert sorted(map(repr, connection.execute("FROM tags_latest").fetchall())) == sorted(map(repr, tags))
    # The hand-tagged listing comes first, so the one of 2021a wins over it, with its tags.
    assert connection.execute("FROM tags WHERE tag = 'only_by_hand'").fetchall()
    assert not connection.execute("FROM tags_latest WHERE tag = 'only_by_hand'").fetchall()
    assert connection.execute("SELECT release FROM files_latest WHERE booru = 'nobooru'").fetchall() == [
        ("manual_walfie",)
    ]


def test_what_is_latest_is_decided_among_the_releases_that_are_attached(connection, lake):
    assert attach_all(connection, lake, ["2021A", "manual walfie", "2021a"]) == ["manual_walfie", "2021a"]
    assert connection.execute("SELECT DISTINCT release FROM files ORDER BY 1").fetchall() == [
        ("2021a",),
        ("manual_walfie",),
    ]
    count = connection.execute("SELECT count(*) FROM files_latest WHERE release = '2021a'").fetchall()
    assert count == connection.execute('SELECT count(*) FROM "2021a".files').fetchall()


def test_the_views_do_not_change_with_a_variable(connection, lake):
    attach_all(connection, lake)
    count = connection.execute("SELECT count(*) FROM tags_latest").fetchall()
    connection.execute("SET VARIABLE keys = ['2021a']")
    assert connection.execute("SELECT count(*) FROM tags_latest").fetchall() == count


def test_releases_that_are_not_there_or_broken_are_named(connection, lake, tmp_path):
    with pytest.raises(BooruError, match=r"no tag table of 2029a .*there: manual_walfie, 2021a, 2021b"):
        attach_all(connection, lake, ["2029a"])
    with pytest.raises(BooruError, match="no release is loaded"):
        attach_all(connection, Lake(tmp_path))
    broken = Lake(tmp_path).tag_table("2021a")
    broken.parent.mkdir()
    broken.write_bytes(b"no table" * 1000)
    with pytest.raises(BooruError, match=r"2021a\.duckdb cannot be opened.*--release 2021a"):
        attach_all(connection, Lake(tmp_path))
