import os
import re
import sqlite3
import subprocess
import sys
from contextlib import closing

import duckdb
import pytest

from booru_pipeline import sql
from booru_pipeline.errors import BooruError
from booru_pipeline.lake.lake import Lake
from booru_pipeline.tag_table import export
from booru_pipeline.tag_table.attach import attach_all
from booru_pipeline.tag_table.export import export_sqlite

# The origin's schema, as its own script makes it.
FILES = (
    "create table files ( booru text not null, fid integer not null, shard text not null, file_name text not null, "
    "torr_md5 text, orig_ext text, orig_md5 text, file_size integer, img_width_torr integer, img_height_torr integer, "
    "jq text, torr_path text, tags_copyr text, tags_char text, tags_artist text, primary key (booru, fid) )"
)
TAGS = (
    "create table tags ( booru text, fid integer, tag text, tag_id integer, tag_cat integer, danb_fr text, "
    "primary key (booru, fid, tag), foreign key (booru, fid) references files (booru, fid) "
    "on delete cascade on update no action )"
)
INDEXES = {
    "create index idx_file_name on files (file_name)",
    "create index idx_tag on tags (tag)",
    "create index idx_tag_cat on tags (tag_cat)",
}


def ask(path, query, *values):
    with closing(sqlite3.connect(path)) as database:
        return database.execute(query, *values).fetchall()


@pytest.fixture(scope="module")
def database(lake, tmp_path_factory):
    path = tmp_path_factory.mktemp("export") / "booru-chars.db"
    counts = export_sqlite(lake, path)
    assert counts == {
        "files": ask(path, "select count(*) from files")[0][0],
        "tags": ask(path, "select count(*) from tags")[0][0],
    }
    assert [other.name for other in path.parent.iterdir()] == [path.name]
    return path


def test_tables_keys_and_indexes_are_the_origins(database):
    statements = ask(database, "select sql from sqlite_master where sql is not null")
    made = {re.sub(r"\s+", " ", text).lower() for (text,) in statements}
    assert made == {FILES, TAGS, *INDEXES}
    assert ask(database, "pragma integrity_check") == [("ok",)]
    assert ask(database, "pragma foreign_key_check") == []


@pytest.mark.parametrize("table", ["files", "tags"])
def test_rows_are_those_of_the_latest_listings(database, lake, table):
    with duckdb.connect() as connection:
        attach_all(connection, lake)
        ours = "release, rating, score, source" if table == "files" else "release"
        expected = connection.execute(f"SELECT * EXCLUDE ({ours}) FROM {table}_latest").fetchall()
    found = ask(database, f"select * from {table}")
    assert len(found) > 700
    assert sorted(map(repr, found)) == sorted(map(repr, expected))


def test_the_origins_queries_run_on_it(database, lake):
    prevalence = "select count(*) as prevalence, lower(t.TAG) from tags t where t.TAG_CAT = 0 group by lower(t.TAG)"
    with duckdb.connect() as connection:
        attach_all(connection, lake)
        expected = connection.execute(prevalence.replace("tags t", "tags_latest t")).fetchall()
    assert sorted(ask(database, prevalence)) == sorted(expected)
    [(booru, fid)] = ask(database, "select booru, fid from files where shard = 'Safebooru 2021b' limit 1")
    tags = ask(
        database,
        "select tag, tag_cat from tags where booru = :booru and fid = :fid group by tag order by tag asc",
        {"booru": booru, "fid": fid},
    )
    assert len(tags) > 1
    assert ask(database, "select distinct shard from files order by 1") == [
        ("Safebooru 2021a",),
        ("Safebooru 2021b",),
        ("manual_walfie",),
    ]


def test_a_post_that_is_deleted_takes_its_tags_with_it(lake, tmp_path):
    path = tmp_path / "copy.db"
    export_sqlite(lake, path, ["manual_walfie"])
    with closing(sqlite3.connect(path)) as copy:
        copy.execute("pragma foreign_keys = on")
        copy.execute("delete from files where booru = 'nobooru'")
        assert copy.execute("select count(*) from tags where booru = 'nobooru'").fetchall() == [(0,)]


def test_only_the_chosen_releases_are_in_it(lake, tmp_path):
    path = tmp_path / "one.db"
    export_sqlite(lake, path, ["2021a"])
    assert ask(path, "select distinct shard from files") == [("Safebooru 2021a",)]
    assert ask(path, "select count(*) from files") == [(400,)]


def test_a_file_that_is_there_is_replaced_only_if_asked(lake, tmp_path):
    path = tmp_path / "booru-chars.db"
    path.write_text("mine")
    with pytest.raises(BooruError, match=r"there already.*--force"):
        export_sqlite(lake, path)
    assert path.read_text() == "mine"
    export_sqlite(lake, path, ["2021a"], force=True)
    assert ask(path, "select count(*) from files") == [(400,)]


@pytest.mark.parametrize(
    ("place", "releases", "says"),
    [
        ("nowhere/x.db", [], "cannot write to .*nowhere"),
        (".", [], "is a folder"),
        ("x.db", ["2029a"], "no tag table of 2029a"),
        ("x.db", ["20x1"], "'20x1' is not a release key"),
    ],
)
def test_what_cannot_be_written_is_named_and_leaves_nothing(lake, tmp_path, place, releases, says):
    with pytest.raises(BooruError, match=says):
        export_sqlite(lake, tmp_path / place, releases)
    assert list(tmp_path.iterdir()) == []


def test_an_empty_home_is_named(tmp_path):
    with pytest.raises(BooruError, match="no release is loaded"):
        export_sqlite(Lake(tmp_path / "home"), tmp_path / "x.db")
    assert list(tmp_path.iterdir()) == []


def test_an_export_that_fails_midway_leaves_the_former_file(lake, tmp_path, monkeypatch):
    path = tmp_path / "booru-chars.db"
    export_sqlite(lake, path, ["2021a"])
    whole = sql.statement

    def with_a_full_disk(stage, name):
        return "pragma max_page_count = 40;" + whole(stage, name) if name == "schema" else whole(stage, name)

    monkeypatch.setattr(export.sql, "statement", with_a_full_disk)
    with pytest.raises(BooruError, match=r"cannot write booru-chars\.db to .*full.*Free some space"):
        export_sqlite(lake, path, force=True)
    assert ask(path, "select count(*) from files") == [(400,)]
    assert [other.name for other in tmp_path.iterdir()] == [path.name]


def test_a_killed_export_leaves_nothing_that_the_next_one_does_not_take_away(lake, tmp_path):
    path = tmp_path / "booru-chars.db"
    dead = tmp_path / ".booru-chars.db.staging" / "dead"
    dead.mkdir(parents=True)
    (dead / "booru-chars.db").write_text("half")
    export_sqlite(lake, path)
    assert [other.name for other in tmp_path.iterdir()] == [path.name]


EXPORT = """
import resource, sys
from pathlib import Path
from booru_pipeline.lake.lake import Lake
from booru_pipeline.tag_table.export import export_sqlite
print(export_sqlite(Lake(Path(sys.argv[1])), Path(sys.argv[2]))["tags"])
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""


def test_memory_does_not_grow_with_the_rows(tmp_path):
    peaks = []
    for posts in (20_000, 120_000):
        lake = Lake(tmp_path / str(posts))
        table = lake.tag_table("2021a")
        table.parent.mkdir(parents=True)
        with duckdb.connect(str(table)) as connection:
            sql.run(connection, "tag_table", "schema")
            connection.execute(
                "INSERT INTO files BY NAME SELECT 'danbooru.donmai.us' AS booru, i * 7919 % $posts AS fid, "
                "'s' AS shard, 'a file name that is as long as they are ' || i AS file_name FROM range($posts) AS t(i)",
                {"posts": posts},
            )
            connection.execute(
                "INSERT INTO tags BY NAME SELECT booru, fid, 'a_tag_that_is_long_' || i AS tag, i AS tag_id, "
                "0 AS tag_cat, 'GENERAL' AS danb_fr FROM files, range(10) AS t(i)"
            )
        result = subprocess.run(
            [sys.executable, "-c", EXPORT, str(tmp_path / str(posts)), str(tmp_path / f"{posts}.db")],
            check=True,
            capture_output=True,
            text=True,
            env=os.environ,
        )
        rows, peak = map(int, result.stdout.split())
        assert rows == 10 * posts
        peaks.append(peak)
    # A Python list of the larger one's rows alone takes 400 MiB; DuckDB may take 256 MiB to sort.
    assert peaks[1] - peaks[0] < 200, f"{peaks} MiB"
