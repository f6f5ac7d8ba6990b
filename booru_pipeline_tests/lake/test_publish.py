import os
import signal
import subprocess
import sys
import textwrap

import duckdb
import pytest

from booru_pipeline.errors import BooruError
from booru_pipeline.hashing import fingerprint
from booru_pipeline.lake.publish import Staging, leftovers, staged, sweep
from booru_pipeline.lake.record import Record, read_record

RECORD = Record(
    stage="tag_table",
    release="2021a",
    key="key",
    inputs={"raw_release": "abc"},
    options={"max_reject_share": 0.1},
    also_read={"2020d": "k"},
)


def write_file(path, text):
    path.write_text(text)


def write_folder(path, text):
    path.mkdir()
    (path / "a").write_text(text)


def read(path):
    return (path / "a" if path.is_dir() else path).read_text()


@pytest.mark.parametrize("write", [write_file, write_folder])
def test_an_artifact_appears_whole_replaces_the_former_and_leaves_nothing_else(tmp_path, write):
    final = tmp_path / "things" / "2021a"
    for text in ("first", "second"):
        with staged(final, Staging(tmp_path / ".staging")) as draft:
            write(draft, text)
            assert not final.exists() or read(final) == "first"
        assert read(final) == text
    assert [path for path in (tmp_path / ".staging").iterdir() if path.is_dir()] == []


def test_an_error_keeps_the_former_one(tmp_path):
    final = tmp_path / "things" / "2021a"
    with staged(final, Staging(tmp_path / ".staging")) as draft:
        write_folder(draft, "good")
    with pytest.raises(FileExistsError), staged(final, Staging(tmp_path / ".staging")) as draft:
        write_folder(draft, "half")
        draft.mkdir()
    assert read(final) == "good"


def test_a_killed_writer_leaves_the_former_one_and_the_next_writer_cleans_up(tmp_path):
    final = tmp_path / "things" / "2021a"
    with staged(final, Staging(tmp_path / ".staging")) as draft:
        write_folder(draft, "good")
    program = textwrap.dedent(
        """
        import sys, time, pathlib
        from booru_pipeline.lake.publish import Staging, leftovers, staged, sweep
        home = pathlib.Path(sys.argv[1])
        with staged(home / "things" / "2021a", Staging(home / ".staging")) as draft:
            draft.mkdir()
            (draft / "a").write_text("half")
            print("writing", flush=True)
            time.sleep(60)
        """
    )
    with subprocess.Popen([sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"writing\n"
        with staged(tmp_path / "other" / "b", Staging(tmp_path / ".staging")) as draft:
            write_file(draft, "x")
        assert process.poll() is None
        assert any(path.is_dir() for path in (tmp_path / ".staging").iterdir()), "a living writer's folder was removed"
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    assert read(final) == "good"
    with staged(final, Staging(tmp_path / ".staging")) as draft:
        write_folder(draft, "new")
    assert read(final) == "new"
    assert [path for path in (tmp_path / ".staging").iterdir() if path.is_dir()] == []


def test_two_writers_at_once_end_with_one_whole_artifact(tmp_path):
    program = textwrap.dedent(
        """
        import sys, pathlib
        from booru_pipeline.lake.publish import Staging, leftovers, staged, sweep
        home, name = pathlib.Path(sys.argv[1]), sys.argv[2]
        for _ in range(40):
            with staged(home / "things" / "2021a", Staging(home / ".staging")) as draft:
                draft.mkdir()
                for part in "ab":
                    (draft / part).write_text(name)
        """
    )
    processes = [subprocess.Popen([sys.executable, "-c", program, str(tmp_path), name]) for name in ("one", "two")]
    assert [process.wait() for process in processes] == [0, 0]
    folder = tmp_path / "things" / "2021a"
    assert (folder / "a").read_text() == (folder / "b").read_text()


def test_a_home_that_cannot_be_written_is_named_with_the_remedy(tmp_path):
    (tmp_path / "home").write_text("a file, not a folder")
    with (
        pytest.raises(BooruError, match="BOORU_HOME"),
        staged(tmp_path / "home" / "things" / "x", Staging(tmp_path / "home" / ".staging")),
    ):
        pass


def test_a_full_disk_is_named_and_keeps_the_former_one(tmp_path):
    if os.geteuid() != 0:
        pytest.skip("needs root: mounts a small tmpfs as the disk that is full")
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", disk], capture_output=True).returncode:
        pytest.skip("needs a tmpfs as the disk that is full, and mounting is not allowed here")
    try:
        final = disk / "things" / "2021a"
        with staged(final, Staging(disk / ".staging")) as draft:
            write_file(draft, "good")
        with pytest.raises(BooruError, match="No space left"), staged(final, Staging(disk / ".staging")) as draft:
            draft.write_bytes(b"x" * (2 << 20))
        assert read(final) == "good"
    finally:
        subprocess.run(["umount", disk], check=True)


def test_a_record_comes_back_from_a_folder_and_from_a_duckdb_file(tmp_path):
    (tmp_path / "folder").mkdir()
    RECORD.write(tmp_path / "folder")
    with duckdb.connect(str(tmp_path / "table.duckdb")) as connection:
        RECORD.write_table(connection)
    assert read_record(tmp_path / "folder") == read_record(tmp_path / "table.duckdb") == RECORD


def test_nothing_or_something_else_has_no_record(tmp_path):
    (tmp_path / "file.duckdb").write_text("not a database")
    (tmp_path / "folder").mkdir()
    for name in ("absent", "file.duckdb", "folder"):
        assert read_record(tmp_path / name) is None


def test_fingerprints_differ_by_value_and_not_by_order_of_keys():
    assert fingerprint({"a": 1, "b": 2}) == fingerprint({"b": 2, "a": 1})
    assert len({fingerprint("a"), fingerprint("b"), fingerprint("a", "b"), fingerprint(["a", "b"])}) == 4


def test_a_gate_that_cannot_be_taken_at_the_end_does_not_hide_the_error(tmp_path):
    final, staging = tmp_path / "things" / "2021a", tmp_path / ".staging"
    with staged(final, Staging(staging)) as draft:
        write_file(draft, "good")
    with pytest.raises(ZeroDivisionError), staged(final, Staging(staging)) as draft:
        write_file(draft, "half")
        (staging / "gate").unlink()
        (staging / "gate").mkdir()  # as on a disk that became read-only: it cannot be opened
        raise ZeroDivisionError
    (staging / "gate").rmdir()
    assert read(final) == "good"
    [left] = leftovers(staging)
    assert leftovers(staging) == [left], "looking for them does not change them"
    sweep(staging)
    assert leftovers(staging) == []
    assert not left.exists()
