import os
from pathlib import Path

import pytest

from booru_pipeline.errors import BooruError
from booru_pipeline.release.find import find_release, find_releases
from booru_pipeline.release.walk import walk
from booru_pipeline_tests.release.test_find import put

TABLES = ("V2021A_files.tsv", "V2021A_tags.tsv")


def problems(raw: Path) -> dict[str, str]:
    found = find_releases(raw)
    assert all(item.problem.isprintable() and item.key.isprintable() for item in found.incomplete)
    return {item.key: item.problem for item in found.incomplete}


def test_links_to_folders_and_files_are_followed(tmp_path):
    raw = put(tmp_path / "raw")
    (raw / "Safebooru 2021a").symlink_to(put(tmp_path / "disk" / "a", *TABLES))
    (raw / "more").symlink_to(put(tmp_path / "disk" / "b", "V2021B_files.tsv.zst").parent)
    put(tmp_path / "elsewhere", "x")
    (raw / "V2021B_tags.tsv").symlink_to(tmp_path / "elsewhere" / "x")
    found = find_releases(raw)
    assert found.incomplete == []
    first, second = found.releases
    assert first.paths == [raw / "Safebooru 2021a" / name for name in TABLES]
    assert second.paths == [raw / "more" / "b" / "V2021B_files.tsv.zst", raw / "V2021B_tags.tsv"]


def test_a_folder_or_file_that_several_paths_lead_to_counts_once_and_under_its_own_name(tmp_path):
    release = put(tmp_path / "manual walfie", "walfie.sql")
    tables = put(tmp_path / "Safebooru 2021a", *TABLES)
    for name in ("Another", "zzz"):
        (tmp_path / name).symlink_to(release)
        put(tmp_path / f"copy {name}")
        os.link(tables / TABLES[0], tmp_path / f"copy {name}" / TABLES[0])
        (tmp_path / f"copy {name}" / TABLES[1]).symlink_to(tables / TABLES[1])
    found = find_releases(tmp_path)
    assert found.keys == ["manual_walfie", "2021a"]
    assert found.incomplete == []
    assert found.releases[0].files == release / "walfie.sql"
    assert found.releases[1].paths == [tables / name for name in TABLES]


def test_links_that_go_in_circles_are_walked_once(tmp_path):
    raw = put(tmp_path / "raw" / "Safebooru 2021a", *TABLES).parent
    outside = put(tmp_path / "outside", "secret.sql")
    (raw / "parent").symlink_to("..")  # it holds the raw folder itself
    (raw / "root").symlink_to("/")
    (raw / "self").symlink_to(".")
    (raw / "one").symlink_to(put(tmp_path / "a"))
    (tmp_path / "a" / "two").symlink_to(put(tmp_path / "b"))
    (tmp_path / "b" / "one").symlink_to(tmp_path / "a")
    found = find_releases(raw)
    assert found.keys == ["2021a"]
    assert found.incomplete == []
    assert [folder.path.name for folder in walk(raw)] == ["raw", "Safebooru 2021a", "one", "two"]
    (raw / "out").symlink_to(outside)
    assert find_releases(raw).keys == ["out", "2021a"]


def test_a_link_that_leads_nowhere_is_named(tmp_path):
    put(tmp_path / "Safebooru 2021b", "V2021B_files.tsv", "V2021B_tags.tsv")
    folder = put(tmp_path / "Safebooru 2021a", TABLES[0])
    for path in (
        folder / TABLES[1],
        tmp_path / "Safebooru 2021c",
        tmp_path / "V2021B_tags.tsv",
        tmp_path / "disk",
        tmp_path / "walfie.sql",
    ):
        path.symlink_to("gone")
    (tmp_path / "round").symlink_to("about")
    (tmp_path / "about").symlink_to("round")
    named = problems(tmp_path)
    assert set(named) == {"2021a", "2021c", "walfie", *(f"{name} (link)" for name in ("V2021B_tags.tsv", "disk"))} | {
        "round (link)",
        "about (link)",
    }
    assert f"{folder / TABLES[1]} is a link to gone, which is not there" in named["2021a"]
    assert all("Mend the link or remove it." in problem for problem in named.values())
    assert find_releases(tmp_path).keys == ["walfie", "2021a", "2021b", "2021c"]
    assert find_release(tmp_path, "2021b").tags == tmp_path / "Safebooru 2021b" / "V2021B_tags.tsv"


def test_a_name_that_is_not_utf_8_is_named_and_the_rest_goes_on(tmp_path):
    put(tmp_path / "Safebooru 2021b", "V2021B_files.tsv", "V2021B_tags.tsv")
    put(tmp_path / "Safebooru 2021a \udce9", *TABLES)
    put(tmp_path, "caf\udce9.sql", "r\udcff\x1b.txt")
    found = find_releases(tmp_path)
    assert [release.key for release in found.releases] == found.keys == ["2021b"]
    says = "(and 2 more beside it): the name is not UTF-8, so nothing of it is read. Rename it."
    assert problems(tmp_path) == {"Safebooru 2021a \\xe9": f"{tmp_path}/Safebooru 2021a \\xe9 {says}"}
    with pytest.raises(BooruError, match=r"Safebooru 2021a \\xe9, is not UTF-8\. Rename it"):
        find_releases(tmp_path / "Safebooru 2021a \udce9")


def test_a_name_with_control_bytes_never_reaches_a_message(tmp_path):
    put(tmp_path / "a\x1b[31m\n", "V20X1_tags.tsv", "2021a.sql", "V2021A_tags.tsv")
    assert set(problems(tmp_path)) == {"20X1", "2021a.sql", "2021a"}
