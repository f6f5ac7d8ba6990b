from pathlib import Path

import pytest

from booru_pipeline.errors import BooruError
from booru_pipeline.release.find import find_release, find_releases
from booru_pipeline.release.layout import Layout


def put(folder: Path, *names: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).write_text("x\n")
    return folder


def test_releases_are_found_at_any_depth_plain_and_gzip_in_release_order(tmp_path):
    put(tmp_path / "deep" / "down" / "Safebooru 2022a", "V2022A_files.tsv.gz", "V2022A_tags.tsv.gz")
    put(tmp_path / "Safebooru 2021b", "V2021B_files.tsv", "V2021B_tags.tsv")
    put(tmp_path, "V2021A_files.tsv", "V2021A_tags.tsv", "readme.txt")
    found = find_releases(tmp_path)
    assert [release.key for release in found.releases] == ["2021a", "2021b", "2022a"]
    assert found.incomplete == []
    assert found.releases[2].shard == "Safebooru 2022a"


@pytest.mark.parametrize(
    ("names", "says"),
    [
        (["V2021A_files.tsv"], "V2021A_tags.tsv"),
        (["V2021A_tags.tsv.gz"], "V2021A_files.tsv"),
        ([], "V2021A_files.tsv"),
        (["V2021A_files.tsv", "V2021A_tags.tsv.part"], "still being downloaded"),
        (["V2021A_files.tsv", "V2021A_tags.tsv", "V2021A_tags.tsv.!qB"], "still being downloaded"),
        (["V2021A_files.tsv", "V2021A_tags.tsv", "V2021A_tags.tsv.gz"], "Remove one of the two"),
    ],
)
def test_a_release_that_is_not_whole_is_named_with_the_remedy(tmp_path, names, says):
    put(tmp_path / "Safebooru 2021a", *names)
    (incomplete,) = find_releases(tmp_path).incomplete
    assert incomplete.key == "2021a"
    assert says in incomplete.problem
    with pytest.raises(BooruError, match="2021a"):
        find_release(tmp_path, "2021a")


@pytest.mark.parametrize("ending", ["", ".gz", ".zst", ".bz2", ".xz", ".zip", ".GZ"])
def test_a_table_in_any_compression_that_is_read_is_taken(tmp_path, ending):
    put(tmp_path, f"V2021A_files.tsv{ending}", "V2021A_tags.tsv")
    assert find_release(tmp_path, "2021a").files == tmp_path / f"V2021A_files.tsv{ending}"


PACKED = [".tsv.7z", ".7z", ".tsv.rar", ".tar", ".tgz", ".tsv.tar.gz", ".tsv.tar.zst", ".7z.001", ".part1.rar", ".zip"]


@pytest.mark.parametrize("ending", PACKED)
def test_an_archive_where_a_table_is_missing_is_to_be_unpacked(tmp_path, ending):
    put(tmp_path / "Safebooru 2021a", "V2021A_files.tsv", f"V2021A_tags{ending}")
    (incomplete,) = find_releases(tmp_path).incomplete
    assert incomplete.key == "2021a"
    assert f"V2021A_tags{ending} is packed. Unpack it: " in incomplete.problem
    put(tmp_path / "Safebooru 2021a", "V2021A_tags.tsv")  # the archive may stay
    assert find_releases(tmp_path).incomplete == []


@pytest.mark.parametrize(
    ("names", "key", "shown"),
    [
        (["Safebooru 2021A.7z"], "2021a", "Safebooru 2021A.7z"),
        (["V2021A.zip"], "2021a", "V2021A.zip"),
        (["V2021A_files.rar", "V2021A_tags.rar"], "2021a", "V2021A_files.rar"),
        (["walfie.sql.gz"], "walfie", "walfie.sql.gz"),
    ],
)
def test_a_release_that_is_nothing_but_packed_is_named(tmp_path, names, key, shown):
    put(tmp_path, *names, "Vacation.zip", "pictures.7z")
    (incomplete,) = find_releases(tmp_path).incomplete
    assert incomplete.key == key
    assert f"{shown} is packed. Unpack it: " in incomplete.problem


@pytest.mark.parametrize(
    ("folder", "names"),
    [("Safebooru spring", ["V2021A_files.tsv", "V2021A_tags.tsv"]), ("other", ["V20X1_files.tsv", "V20X1_tags.tsv"])],
)
def test_a_key_that_is_none_is_named(tmp_path, folder, names):
    put(tmp_path / folder, *names)
    found = find_releases(tmp_path)
    assert found.releases == []
    assert all("is not a release key" in item.problem for item in found.incomplete)
    assert found.incomplete


def test_no_folder_and_an_absent_release_say_what_to_do(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # where there is no sample
    with pytest.raises(BooruError, match="booru sample"):
        find_releases(tmp_path / "nowhere")
    with pytest.raises(BooruError, match=r"found: none"):
        find_release(tmp_path, "2021a")


@pytest.mark.parametrize(
    ("folder", "names", "key"),
    [
        ("manual walfie", ["walfie.sql"], "manual_walfie"),
        ("deep/Manual Walfie", ["walfie.SQL", "mappings.txt", "old.sql.bak"], "manual_walfie"),
        (".", ["Manual Walfie.sql"], "manual_walfie"),
        ("Safebooru 2021b", ["V2021B_files.tsv", "V2021B_tags.tsv", "walfie.sql"], "walfie"),
        ("2021b", ["walfie.sql"], "walfie"),
    ],
)
def test_a_script_is_a_hand_tagged_release_and_comes_before_dated_ones(tmp_path, folder, names, key):
    put(tmp_path / "Safebooru 2021a", "V2021A_files.tsv", "V2021A_tags.tsv")
    put(tmp_path / folder, *names)
    found = find_releases(tmp_path)
    assert found.incomplete == []
    assert found.keys[:1] == [key]
    assert "2021a" in found.keys
    release = find_release(tmp_path, key)
    assert release.layout is Layout.SCRIPT
    assert release.shard == key
    assert [path.suffix.lower() for path in release.paths] == [".sql"]


@pytest.mark.parametrize(
    ("folder", "names", "says"),
    [
        ("manual walfie", ["files.sql", "tags.sql"], "Join them into one file"),
        ("manual walfie", ["walfie.sql.part"], "still being downloaded"),
        (".", ["2021a.sql"], "'2021a' cannot be a release key"),
        (".", ["walfie's.sql"], "manual_walfie.sql"),
        ("Safebooru 2021a", ["walfie.sql"], "V2021A_files.tsv (or .tsv.gz) is missing"),
    ],
)
def test_a_script_that_is_no_release_is_named_with_the_remedy(tmp_path, folder, names, says):
    put(tmp_path / folder, *names)
    (incomplete,) = find_releases(tmp_path).incomplete
    assert says in incomplete.problem
