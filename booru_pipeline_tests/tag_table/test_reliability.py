"""A load that is killed, finds the disk full or read-only, or meets another one: there is always one good table."""

import multiprocessing
import os
import random
import re
import signal
import subprocess
import time
from contextlib import contextmanager

import duckdb
import pytest

from booru_pipeline.errors import BooruError
from booru_pipeline.lake.publish import Staging
from booru_pipeline.lake.record import Record, read_record
from booru_pipeline.release.find import find_releases
from booru_pipeline.sample import generate
from booru_pipeline.tag_table.accounting import key_violations, summarise
from booru_pipeline.tag_table.load import load_release
from booru_pipeline.tag_table.options import TagTableOptions

KILLS = 25
PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(["booru_pipeline.tag_table.load", "pandas", "pytest"])  # what takes long to import


@pytest.fixture(scope="module")
def releases(tmp_path_factory):
    """Two releases of different sizes, to be loaded under one name in turn."""
    folder = tmp_path_factory.mktemp("raw")
    for posts in (500, 1500):
        generate(folder / str(posts), releases=["2021a"], posts=posts, seed=posts)
    return [find_releases(folder / str(posts)).releases[0] for posts in (500, 1500)]


@pytest.fixture(scope="module")
def posts(releases):
    return [release.files.read_bytes().count(b"\n") - 1 for release in releases]


def arguments(release, home, name):
    record = Record(stage="tag_table", release="2021a", key=name, inputs={"raw_release": name})
    return release, home / "warehouse" / "2021a.duckdb", Staging(home / ".staging"), TagTableOptions(), record


def load(release, home, name):
    load_release(*arguments(release, home, name))
    return home / "warehouse" / "2021a.duckdb"


def assert_good(table, expected):
    """The table is whole, and it is one of those expected: posts by the record's key."""
    record = read_record(table)
    assert record is not None, "there is no readable table"
    summary = summarise(table)
    assert all(accounting.holds for accounting in summary.accounting)
    assert key_violations(table) == {"repeated_files": 0, "repeated_tags": 0, "tags_without_file": 0}
    assert summary.accounting[0].kept == expected[record.key]
    with duckdb.connect(str(table), read_only=True) as connection:
        [counted] = connection.execute("SELECT (SELECT count(*) FROM files), (SELECT count(*) FROM tags)").fetchall()
    assert list(counted) == [accounting.kept for accounting in summary.accounting]
    return record.key


def leftovers(home):
    return [path for path in (home / ".staging").iterdir() if path.is_dir()]


def test_after_a_kill_at_any_moment_the_former_table_reads_or_the_new_one(tmp_path, releases, posts):
    table = load(releases[0], tmp_path, "0")
    longest = 0.0
    for _ in range(2):  # the first process is also the one that starts the server
        begin = time.perf_counter()
        process = PROCESSES.Process(target=load_release, args=arguments(releases[1], tmp_path / "other", "0"))
        process.start()
        process.join()
        longest = time.perf_counter() - begin
    rng = random.Random(0)
    former = "0"
    outcomes = {"former": 0, "new": 0}
    attempt = 0
    while sum(outcomes.values()) < KILLS:
        attempt += 1
        assert attempt < 20 * KILLS, f"only {outcomes} loads were killed before their end"
        number = attempt % 2
        name = f"{attempt}"
        process = PROCESSES.Process(target=load_release, args=arguments(releases[number], tmp_path, name))
        process.start()
        time.sleep(rng.uniform(0, longest))
        process.kill()
        process.join()
        present = assert_good(table, {former: posts[(int(former)) % 2], name: posts[number]})
        if process.exitcode == -signal.SIGKILL:
            outcomes["new" if present == name else "former"] += 1
        else:
            assert (process.exitcode, present) == (0, name)
        former = present
    assert load(releases[1], tmp_path, "last") == table
    assert assert_good(table, {"last": posts[1]}) == "last"
    assert leftovers(tmp_path) == [], "what the killed loads left is still there"


def test_two_loads_at_once_end_with_one_good_table(tmp_path, releases, posts):
    for _ in range(5):
        pair = [
            PROCESSES.Process(target=load_release, args=arguments(release, tmp_path, name))
            for release, name in zip(releases, ["small", "large"], strict=True)
        ]
        for process in pair:
            process.start()
        for process in pair:
            process.join()
        assert [process.exitcode for process in pair] == [0, 0]
        assert_good(tmp_path / "warehouse" / "2021a.duckdb", dict(zip(["small", "large"], posts, strict=True)))
    load(releases[0], tmp_path, "last")
    assert leftovers(tmp_path) == []


@contextmanager
def small_disk(folder):
    """A tmpfs of 64 MiB."""
    if os.geteuid() != 0:
        pytest.skip("needs root: mounts a small tmpfs as the disk")
    folder.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", folder], capture_output=True).returncode:
        pytest.skip("needs a tmpfs as the disk, and mounting is not allowed here")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


# In table sizes. DuckDB needs up to three, for its log and the table: with less, the insert, a commit or the checkpoint
# meets the end of the disk. A checkpoint left to closing would fail in silence, with two to publish an empty table.
@pytest.mark.parametrize("room", [0, 0.02, 0.3, 0.7, 0.95, 1.2, 1.5, 1.8, 2, 2.2, 2.5, 3, 4])
def test_a_full_disk_is_named_with_the_remedy_and_the_former_table_stays(tmp_path, releases, posts, room):
    needed = load(releases[1], tmp_path / "roomy", "new").stat().st_size
    with small_disk(tmp_path / "disk") as disk:
        table = load(releases[0], disk, "former")
        free = os.statvfs(disk).f_bavail * os.statvfs(disk).f_frsize
        with (disk / "filler").open("wb") as filler:
            filler.write(b"x" * (free - int(room * needed) // 4096 * 4096))
        problem = None
        try:
            load(releases[1], disk, "new")
        except BooruError as error:
            problem = str(error)
        if problem:
            assert re.match(r"cannot write .*No space left.*Free some space.*--home", problem)
            assert assert_good(table, {"former": posts[0]}) == "former"
        else:
            assert room >= 1, "a table was written that the disk has no room for"
            assert assert_good(table, {"new": posts[1]}) == "new"
        (disk / "filler").unlink()
        load(releases[1], disk, "new")
        assert assert_good(table, {"new": posts[1]}) == "new"
        assert leftovers(disk) == []


def test_a_read_only_home_is_named_with_the_remedy_and_the_former_table_stays(tmp_path, releases, posts):
    with small_disk(tmp_path / "disk") as disk:
        table = load(releases[0], disk, "former")
        subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
        for home in (disk, disk / "new"):
            with pytest.raises(BooruError, match=r"cannot write to .*/disk/.*Read-only file system.*--home"):
                load(releases[1], home, "new")
        assert assert_good(table, {"former": posts[0]}) == "former"
