"""Locks that work, and disks without them, as the kernel answers there."""

import errno
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from booru_pipeline.errors import BooruError
from booru_pipeline.lake.locks import check_locks
from booru_pipeline.sample import generate
from booru_pipeline_tests.lake import no_flock

BOORU = Path(sys.executable).with_name("booru")


def test_locks_of_a_local_disk_work_and_leave_nothing(tmp_path):
    check_locks(tmp_path)
    with ThreadPoolExecutor(8) as pool:  # who looks at the same time is not taken for a fault
        list(pool.map(check_locks, [tmp_path] * 40))
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_there_is_no_disk_without_locks(tmp_path):
    with pytest.raises(BooruError, match=r"cannot write to .*gone.*: No such file.*--home"):
        check_locks(tmp_path / "gone")


@pytest.mark.skipif(no_flock.FLOCK is None, reason="needs Linux on x86_64 or aarch64: a seccomp filter answers flock")
@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (errno.ENOLCK, "No locks available"),
        (errno.ENOSYS, "Function not implemented"),
        (errno.EOPNOTSUPP, "Operation not supported"),
        (0, "one was given twice"),
    ],
    ids=["NFS without its lock service", "no such call", "not supported", "nolock"],
)
def test_a_home_on_a_disk_without_locks_is_refused_before_anything_is_made(tmp_path, answer, says):
    generate(tmp_path / "booru_raw", posts=20)
    (tmp_path / "booru_home" / "checkpoints" / "2021a").mkdir(parents=True)
    for command in (["run", "--to", "tag_table"], ["dev"], ["promote", "--none"]):
        if command[0] == "promote":
            (tmp_path / "booru_home" / "promoted.json").write_text("{}")
        result = subprocess.run(
            [sys.executable, no_flock.__file__, str(answer), BOORU, *command],
            cwd=tmp_path,
            env={**os.environ, "COLUMNS": "120"},
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert result.returncode == 1, result.stderr
        [line] = result.stderr.splitlines()
        assert f"is on a disk where file locks do not work ({says})" in line
        assert "choose a home on a local disk with --home or BOORU_HOME" in line
    assert not list((tmp_path / "booru_home" / "dagster").rglob("*.db"))
    assert (tmp_path / "booru_home" / "promoted.json").exists()
