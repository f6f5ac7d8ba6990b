"""A home that cannot be written: who only reads gets the answer, who must write one sentence."""

import json
import os
import shutil
import subprocess

import pytest

from booru_pipeline.sample import generate
from booru_pipeline_tests.cli.command import BOORU, QUICK, assert_refused, booru

# Root may write whatever the modes say, unless this is taken from it.
AS_OTHERS = ["setpriv", "--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-all"]


@pytest.fixture(scope="module")
def shelf(workplace, tmp_path_factory):
    """A workplace whose home nobody may write, with one release made and one that failed."""
    folder = tmp_path_factory.mktemp("shelf") / "workplace"
    shutil.copytree(workplace, folder)
    generate(folder / "booru_raw", releases=["2021a", "2021b"], posts=500)
    tags = folder / "booru_raw" / "Safebooru 2021b" / "V2021B_tags.tsv"
    tags.write_text(tags.read_text().replace("TAG_CAT", "TAG_DOG", 1))
    assert booru(folder, "run").returncode == 1
    (folder / "booru_home" / "promoted.json").write_text(
        json.dumps({"release": "2021a", "key": "k", "date": "today", "reason": "by hand"})
    )
    home = folder / "booru_home"
    for path in [home, *home.rglob("*")]:
        path.chmod(path.stat().st_mode & ~0o222)
    yield folder
    for path in [home, *home.rglob("*")]:
        path.chmod(path.stat().st_mode | 0o200)


def read_only(folder, *arguments):
    prefix = AS_OTHERS if os.geteuid() == 0 else []
    if prefix and shutil.which(prefix[0]) is None:
        pytest.skip("root may write anywhere, and util-linux's setpriv, which takes that from it, is not on the PATH")
    environment = {**os.environ, **QUICK, "COLUMNS": "160"}
    return subprocess.run(
        [*prefix, BOORU, *arguments], cwd=folder, env=environment, capture_output=True, text=True, timeout=300
    )


def test_the_home_is_read_only_to_these_commands(shelf):
    attempt = [*AS_OTHERS, "touch", "booru_home/new"] if os.geteuid() == 0 else ["touch", "booru_home/new"]
    assert subprocess.run(attempt, cwd=shelf, capture_output=True).returncode != 0


def test_status_is_what_it_is_where_one_may_write(shelf):
    result = read_only(shelf, "status")
    assert (result.returncode, result.stderr) == (0, "")
    assert "succeeded" in result.stdout
    assert "column TAG_CAT is missing" in result.stdout
    as_json = [json.loads(run(shelf, "status", "--json").stdout) for run in (read_only, booru)]
    assert as_json[0] == as_json[1]


@pytest.mark.parametrize(
    "command",
    [
        ["releases"],
        ["suggest", "usada_pekora"],
        ["inspect"],
        ["report"],
        ["report", "--summary"],
        ["sql", "select count(*) from tags"],
        ["clean"],
        ["settings"],
        ["run", "--release", "2021a", "--dry-run"],
        ["run", "--release", "2021a"],  # of which nothing is due
    ],
    ids=" ".join,
)
def test_who_only_reads_gets_an_answer(shelf, command):
    result = read_only(shelf, *command)
    assert result.returncode == 0, result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize(
    "command",
    [
        ["run", "--release", "2021b"],
        ["promote", "2021a"],
        ["promote", "--none"],
        ["dev"],
        ["experiment", "hydration"],
    ],
    ids=" ".join,
)
def test_who_must_write_is_refused_with_what_to_do(shelf, command):
    assert_refused(read_only(shelf, *command), "cannot write to", "Permission denied", "--home or BOORU_HOME")
