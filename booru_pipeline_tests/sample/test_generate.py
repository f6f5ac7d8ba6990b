"""Samples as a folder: the same bytes everywhere, and what is refused."""

import gzip
import os
import subprocess
import sys
from pathlib import Path

import pytest

from booru_pipeline.errors import BooruError
from booru_pipeline.sample import generate
from booru_pipeline_tests.sample.generated import Sample, digests


def test_the_same_arguments_give_the_same_bytes_whatever_the_hash_seed(sample: Sample, tmp_path: Path) -> None:
    code = "import sys, pathlib, booru_pipeline.sample as s; s.generate(pathlib.Path(sys.argv[1]))"
    for hash_seed in ("1", "4242"):
        folder = tmp_path / hash_seed
        environment = os.environ | {"PYTHONHASHSEED": hash_seed, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        subprocess.run([sys.executable, "-c", code, str(folder)], check=True, env=environment)
        assert digests(folder) == digests(sample.folder)


def test_another_seed_gives_other_posts(sample: Sample, tmp_path: Path) -> None:
    generate(tmp_path, seed=1, releases=["2021a"])
    other = Sample(tmp_path, [])
    assert other.content("2021a", "tags") != sample.content("2021a", "tags")
    assert not {row[5] for row in other.lines("2021a", "files")[1:]} & {
        row[5] for row in sample.lines("2021a", "files")[1:]
    }


def test_more_releases_leave_the_former_ones_as_they_are(tmp_path: Path) -> None:
    generate(tmp_path / "one", posts=200, releases=["2021a"])
    generate(tmp_path / "three", posts=200, releases=["2021a", "2021b", "2022a"], defects=True)
    generate(tmp_path / "two", posts=200, releases=["2021a", "2021b"], defects=True)
    one, two, three = (digests(tmp_path / name) for name in ("one", "two", "three"))
    kept = [name for name in two if name.startswith("Safebooru")]
    assert len(kept) == 4
    assert [three[name] for name in kept] == [two[name] for name in kept]
    generate(tmp_path / "one", posts=200, releases=["2021a"], defects=True)
    again = digests(tmp_path / "one")
    assert again != one
    assert [two[name] for name in again if name.startswith("Safebooru")] == [
        again[name] for name in again if name.startswith("Safebooru")
    ]


def test_later_releases_number_their_posts_apart(tmp_path: Path) -> None:
    truths = generate(tmp_path, posts=300, releases=["2021a", "2021b", "2021c"])
    sample = Sample(tmp_path, truths)
    keys = [{tuple(row[:2]) for row in sample.lines(truth.release, "files")[1:]} for truth in truths]
    assert len(keys[0] & keys[1]) == truths[1].warts["files_listed_again"]
    assert len(keys[2] & (keys[0] | keys[1])) == truths[2].warts["files_listed_again"]


def test_compressed_files_hold_the_same_bytes_and_replace_the_plain_ones(sample: Sample, tmp_path: Path) -> None:
    generate(tmp_path, releases=["2021a"])
    generate(tmp_path, releases=["2021a"], compress=True)
    first = digests(tmp_path)
    for table in ("files", "tags"):
        packed = tmp_path / "Safebooru 2021a" / f"V2021A_{table}.tsv.gz"
        assert gzip.decompress(packed.read_bytes()) == sample.content("2021a", table)
        assert packed.read_bytes()[4:8] == bytes(4)  # the time in gzip's header
        assert not packed.with_suffix("").exists()
    generate(tmp_path, releases=["2021a"], compress=True)
    assert digests(tmp_path) == first


@pytest.mark.parametrize("posts", [1, 2, 9, 10, 40])
def test_small_samples_are_whole(tmp_path: Path, posts: int) -> None:
    for truth in generate(tmp_path, posts=posts, defects=True):
        assert truth.files_good == posts
        sample = Sample(tmp_path, [])
        assert sample.content(truth.release, "files").count(b"\n") == truth.files_lines
        assert sample.content(truth.release, "tags").count(b"\n") == truth.tags_lines
        assert truth.files_lines > 1 + truth.files_good


@pytest.mark.parametrize("release", ["2021", "2021A", "21a", "2021a ", "2021-a", "", "../2021a", "v2021a"])
def test_a_release_that_is_no_key_is_refused(tmp_path: Path, release: str) -> None:
    with pytest.raises(BooruError, match=r"not a release key.*2021a"):
        generate(tmp_path / "new", releases=["2021a", release])
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("posts", [0, -1, 10**9])
def test_an_impossible_number_of_posts_is_refused(tmp_path: Path, posts: int) -> None:
    with pytest.raises(BooruError, match=f"{posts} posts.*from 1"):
        generate(tmp_path, posts=posts)


def test_no_release_and_one_release_twice_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BooruError, match="at least one"):
        generate(tmp_path, releases=[])
    with pytest.raises(BooruError, match="2021a is asked for twice"):
        generate(tmp_path, releases=["2021a", "2021b", "2021a"])


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(BooruError, match=r"taken.*Choose a folder"):
        generate(tmp_path / "taken" / "deeper", posts=10)
