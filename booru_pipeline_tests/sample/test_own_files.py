"""The sample replaces and removes its own files only, and never makes less of itself unasked."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from booru_pipeline.errors import BooruError
from booru_pipeline.release.find import find_releases
from booru_pipeline.sample import generate
from booru_pipeline.sample.own_files import MANIFEST_NAME
from booru_pipeline_tests.sample.generated import digests

REFUSED = r"nothing was written\. Choose another folder"


@pytest.mark.parametrize(
    "name",
    [
        "Safebooru 2021a/V2021A_tags.tsv",
        "Safebooru 2021a/V2021A_tags.tsv.gz",
        "Safebooru 2019a/V2019A_tags.tsv",
        "deeper/Safebooru 2021a/v2021a_files.tsv.part",
        "tag_aliases.json",
        "walfie.sql",
        MANIFEST_NAME,
    ],
)
def test_a_folder_with_something_else_in_it_is_left_as_it_is(tmp_path: Path, name: str) -> None:
    real = tmp_path / name
    real.parent.mkdir(parents=True, exist_ok=True)
    real.write_text('{"files": {}}')
    for replace in (False, True):
        with pytest.raises(BooruError, match=f"{real.name} .*{REFUSED}"):
            generate(tmp_path, posts=10, replace=replace)
        assert list(digests(tmp_path)) == [name]
        assert real.read_text() == '{"files": {}}'


@pytest.mark.parametrize("name", ["Safebooru 2021b/V2021B_files.tsv", "tag_implications.json", "sample_truth.json"])
def test_an_edit_of_a_sample_file_stays(tmp_path: Path, name: str) -> None:
    generate(tmp_path, posts=20)
    with (tmp_path / name).open("ab") as file:
        file.write(b"mine\n")
    before = digests(tmp_path)
    for more in ({"posts": 30}, {"posts": 20}, {"posts": 20, "releases": ["2021a"], "replace": True}):
        with pytest.raises(BooruError, match=f"{Path(name).name} .*{REFUSED}"):
            generate(tmp_path, **more)
        assert digests(tmp_path) == before


def test_a_real_file_in_the_place_of_a_sample_file_stays(tmp_path: Path) -> None:
    generate(tmp_path, posts=20)
    real = tmp_path / "Safebooru 2021a" / "V2021A_tags.tsv"
    real.unlink()
    other = tmp_path / "a download"
    other.write_text("real")
    real.symlink_to(other)
    with pytest.raises(BooruError, match=REFUSED):
        generate(tmp_path, posts=30)
    assert real.is_symlink()
    assert other.read_text() == "real"


@pytest.mark.parametrize("name", ["Safebooru 2022a/V2022A_files.tsv.gz", "elsewhere/v2022a_tags.tsv"])
def test_a_real_release_put_beside_the_sample_is_not_mixed_with_one_of_its_key(tmp_path: Path, name: str) -> None:
    generate(tmp_path, posts=20)
    (tmp_path / name).parent.mkdir()
    (tmp_path / name).write_text("real")
    generate(tmp_path, posts=25)  # which has nothing to do with it
    with pytest.raises(BooruError, match=REFUSED):
        generate(tmp_path, posts=25, releases=["2021a", "2021b", "2022a"])
    assert (tmp_path / name).read_text() == "real"
    assert not (tmp_path / "Safebooru 2022a" / "V2022A_files.tsv").exists()


@pytest.mark.parametrize("name", ["Safebooru 2021a", "more"])
def test_a_link_to_a_folder_elsewhere_is_not_written_through(tmp_path: Path, name: str) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "notes.txt").write_text("mine")
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / name).symlink_to(elsewhere)
    with pytest.raises(BooruError, match=f"{name} .*{REFUSED}"):
        generate(tmp_path / "raw", posts=10)
    assert list(digests(elsewhere)) == ["notes.txt"]
    assert [path.name for path in (tmp_path / "raw").iterdir()] == [name]


def test_a_larger_sample_is_made_smaller_only_if_that_is_asked_for(tmp_path: Path) -> None:
    generate(tmp_path, posts=30)
    before = digests(tmp_path)
    for smaller, says in (
        ({"posts": 29}, "30 posts a release would become 29"),
        ({"posts": 40, "releases": ["2021b"]}, "2021a would go"),
    ):
        with pytest.raises(BooruError, match=f"larger sample: {says}.*--replace"):
            generate(tmp_path, **smaller)
        assert digests(tmp_path) == before
    generate(tmp_path, posts=30, releases=["2021a", "2021b", "2022a"])
    generate(tmp_path, posts=20, releases=["2021a"], replace=True)
    found = find_releases(tmp_path)
    assert (found.keys, found.incomplete) == (["2021a"], [])
    generate(tmp_path / "new", posts=20, releases=["2021a"])
    assert (
        digests(tmp_path / "new").items()
        <= {name.removeprefix("new/"): of for name, of in digests(tmp_path).items()}.items()
    )


def test_what_is_there_as_it_should_be_is_not_written_again(tmp_path: Path) -> None:
    generate(tmp_path, posts=20)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    generate(tmp_path, posts=20)
    generate(tmp_path, posts=20, releases=["2021a", "2021b", "2021c"])
    after = {path: path.stat().st_mtime_ns for path in before if path.suffix == ".tsv" or "tag_" in path.name}
    assert after == {path: before[path] for path in after}


def test_a_sample_from_before_there_was_a_record_is_taken_on_if_it_is_the_same(tmp_path: Path) -> None:
    generate(tmp_path, posts=20)
    whole = digests(tmp_path)
    (tmp_path / MANIFEST_NAME).unlink()
    with pytest.raises(BooruError, match=REFUSED):
        generate(tmp_path, posts=30)
    generate(tmp_path, posts=20)
    assert digests(tmp_path) == whole


DYING = """
import os, sys, pathlib
from booru_pipeline.sample import generate

left = int(sys.argv[2])

def die(event, arguments):
    global left
    if event == "os.rename":
        left -= 1
        if left < 0:
            os._exit(9)

sys.addaudithook(die)
generate(pathlib.Path(sys.argv[1]), posts=30)
"""


@pytest.mark.parametrize("renames", range(7))
def test_killed_in_the_middle_each_file_is_whole_and_the_next_call_goes_on(tmp_path: Path, renames: int) -> None:
    generate(tmp_path / "old", posts=20)
    generate(tmp_path / "new", posts=30)
    old, new = digests(tmp_path / "old"), digests(tmp_path / "new")
    here = tmp_path / "here"
    generate(here, posts=20)
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    killed = subprocess.run([sys.executable, "-c", DYING, str(here), str(renames)], env=environment)
    assert killed.returncode == 9
    for name, found in digests(here).items():
        if not name.rpartition("/")[2].startswith(".") and name != MANIFEST_NAME:
            assert found in (old[name], new[name])
    assert find_releases(here).incomplete == []
    generate(here, posts=40)
    generate(tmp_path / "whole", posts=40)
    drafts = {name for name in digests(here) if name.rpartition("/")[2].startswith(".")}
    assert {name: found for name, found in digests(here).items() if name not in drafts} == digests(tmp_path / "whole")
    assert not drafts
