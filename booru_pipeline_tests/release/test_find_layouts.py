"""Releases in other layouts than the origin's: where each is found, and under which key."""

import gzip
import time
from pathlib import Path

import pytest

from booru_pipeline.release.at_rest import look_at
from booru_pipeline.release.find import find_release, find_releases
from booru_pipeline.release.fingerprint import is_known, release_fingerprint
from booru_pipeline.release.layout import Layout

POST = '{"id": 1, "tags": "a"}\n'
ALIAS = '{"id": 1, "antecedent_name": "a", "consequent_name": "b", "status": "active"}\n'


def put(folder: Path, *names: str, text: str = POST) -> Path:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
    return folder


def only(raw: Path) -> tuple[str, Layout, list[str]]:
    found = find_releases(raw)
    assert not found.incomplete
    (release,) = found.releases
    return release.key, release.layout, [path.relative_to(raw).as_posix() for path in release.paths]


@pytest.mark.parametrize(
    ("names", "key", "layout"),
    [
        (["danbooru2021.jsonl"], "danbooru2021", Layout.JSON_LINES),
        (["danbooru2021.jsonl.gz"], "danbooru2021", Layout.JSON_LINES),
        (["Danbooru 2021.ndjson"], "danbooru_2021", Layout.JSON_LINES),
        (["posts.json"], "posts", Layout.JSON_LINES),
        (["2021a.jsonl"], "2021a", Layout.JSON_LINES),
        (["Safebooru 2021a.jsonl"], "2021a", Layout.JSON_LINES),
        (["posts.parquet"], "posts", Layout.PARQUET),
        (["Safebooru 2021a/x.jsonl"], "2021a", Layout.JSON_LINES),
        (["deep/Danbooru 2021/a.jsonl", "deep/Danbooru 2021/b.json.gz"], "danbooru_2021", Layout.JSON_LINES),
        (["danbooru_2021/0.parquet", "danbooru_2021/1.parquet"], "danbooru_2021", Layout.PARQUET),
        (["BC_posts.tsv", "BC_tags.tsv"], "bc", Layout.TSV),
        (["Safebooru 2022a/BC_posts.tsv", "Safebooru 2022a/BC_tags.tsv.gz"], "2022a", Layout.TSV),
        (["walfie/1.txt", "walfie/2.txt"], "walfie", Layout.CAPTIONS),
        (["walfie/10_x/1.txt", "walfie/5_y/1.txt"], "walfie", Layout.CAPTIONS),
        (["walfie/img/10_x/1.txt"], "walfie", Layout.CAPTIONS),
        (["sets/walfie/1.txt", "sets/walfie/more/2.txt"], "walfie", Layout.CAPTIONS),
    ],
)
def test_a_release_of_each_layout_is_found_by_its_name(tmp_path, names, key, layout):
    put(tmp_path, *names)
    assert only(tmp_path) == (key, layout, names)


def test_what_is_no_release_is_left_alone(tmp_path):
    put(tmp_path, "tag_aliases.json", "tag_implications.jsonl.gz", "deprecated_tags.json", text=ALIAS)
    put(tmp_path, "tags.json", "other.json", text='{"id": 1, "name": "a", "post_count": 5}\n')
    put(tmp_path, "2021a.truth.json", "package.json", text='{\n  "posts": 400,\n  "name": "x"\n}\n')
    put(tmp_path, "notes.txt", "requirements.txt", "relations/README.txt", "relations/LICENSE.txt", text="x")
    put(tmp_path, "lists/tag_aliases.jsonl", text=ALIAS)
    put(tmp_path, ".hidden.jsonl")
    put(tmp_path / "tokenizer", "tokenizer.json", text='{"id": 1, "tags": {}, "vocab": "' + "x" * 99_999 + '"}')
    found = find_releases(tmp_path)
    assert (found.releases, found.incomplete) == ([], [])


def test_posts_on_one_long_line_are_found(tmp_path):
    put(tmp_path, "posts.json", text='{"posts": [' + ",".join(['{"id": 1, "tags": "a", "md5": "x"}'] * 3000) + "]}")
    assert only(tmp_path) == ("posts", Layout.JSON_LINES, ["posts.json"])


def test_notes_beside_a_release_are_no_captions(tmp_path):
    put(tmp_path / "Safebooru 2021a", "V2021A_files.tsv", "V2021A_tags.tsv", "notes.txt")
    put(tmp_path / "manual walfie", "walfie.sql", "mappings.txt")
    put(tmp_path / "danbooru", "posts.jsonl", "urls.txt")
    put(tmp_path / "Safebooru 2021b", "V2021B.7z", "info.txt")
    found = find_releases(tmp_path)
    assert {release.key: release.layout for release in found.releases} == {
        "danbooru": Layout.JSON_LINES,
        "manual_walfie": Layout.SCRIPT,
        "2021a": Layout.TSV,
    }
    assert [item.key for item in found.incomplete] == ["2021b"]


def test_only_a_script_is_an_addition_to_others(tmp_path):
    put(tmp_path, "walfie.sql", "danbooru.jsonl", "posts.parquet", "cap/1.txt")
    put(tmp_path / "two", "a.sql", "b.sql")
    found = find_releases(tmp_path)
    assert found.keys == ["cap", "danbooru", "posts", "two", "walfie"]
    assert found.additions == {"two", "walfie"}


@pytest.mark.parametrize(
    ("names", "says"),
    [
        (["x/a.jsonl", "x/b.parquet"], ["a.jsonl (JSON)", "b.parquet (Parquet)", "Move one of them"]),
        (["x/a.jsonl", "x/a.sql"], ["(JSON)", "(SQL statements)"]),
        (
            ["Safebooru 2021a/V2021A_files.tsv", "Safebooru 2021a/V2021A_tags.tsv", "Safebooru 2021a/x.jsonl"],
            ["(JSON)", "(TSV files)"],
        ),
        (["x/a.jsonl", "x/a.jsonl.gz"], ["Remove one of the two"]),
        (["a/x/1.jsonl", "b/x/1.jsonl"], ["a/x/1.jsonl and in", "b/x/1.jsonl", "Rename one of the two folders"]),
        (["a/x/1.txt", "b/x/1.txt"], ["a/x and in", "Rename one of the two"]),
        (["x/a.jsonl", "x/b.jsonl.part"], ["still being downloaded", "b.jsonl.part"]),
        (["x/1.txt", "x/Unconfirmed 5.crdownload"], ["still being downloaded"]),
        (["x.parquet.crdownload"], ["release x is still being downloaded"]),
        (["x.jsonl.tar.xz"], ["x.jsonl.tar.xz is packed. Unpack it"]),
        (["Safebooru 2021a/BC_posts.tsv"], ["BC_tags.tsv (or .tsv.gz) is missing in"]),
        (["1 & 2/a.jsonl"], ["1 & 2 is no release key", "danbooru_2021"]),
        (["1 & 2.jsonl"], ["1 & 2.jsonl is no release key"]),
        (["1 & 2/a.txt", "1 & 2/a.png"], ["1 & 2 holds captions", "danbooru_2021"]),
    ],
)
def test_what_is_not_one_release_is_named_with_the_remedy(tmp_path, names, says):
    put(tmp_path, *names)
    found = find_releases(tmp_path)
    assert not found.releases
    (item,) = found.incomplete
    for text in says:
        assert text in item.problem


@pytest.mark.parametrize("text", ["", "<html>", "{broken\n", "\x1f\x8b\x08cut"])
def test_a_file_named_as_json_lines_is_a_release_even_if_it_cannot_be_read(tmp_path, text):
    put(tmp_path, "posts.jsonl", "other.json", text=text)
    assert find_release(tmp_path, "posts").files.name == "posts.jsonl"  # loading says what is wrong


def test_the_fingerprint_of_captions_is_of_names_and_bytes(tmp_path):
    put(tmp_path / "raw", "walfie/10_x/1.txt", "walfie/5_y/1.txt")
    cache = tmp_path / "cache.json"

    def fingerprint() -> str:
        return release_fingerprint(find_release(tmp_path / "raw", "walfie"), cache)

    first = fingerprint()
    assert is_known(find_release(tmp_path / "raw", "walfie"), cache)
    put(tmp_path / "raw", "walfie/5_y/1.txt", text="another")
    assert not is_known(find_release(tmp_path / "raw", "walfie"), cache)
    second = fingerprint()
    (tmp_path / "raw/walfie/5_y/1.txt").rename(tmp_path / "raw/walfie/5_y/2.txt")
    assert len({first, second, fingerprint()}) == 3
    put(tmp_path / "raw", "walfie/5_y/1.txt")
    (tmp_path / "raw/walfie/5_y/2.txt").unlink()
    assert fingerprint() == first


def test_many_captions_are_one_entry_for_cache_and_cursor(tmp_path):
    put(tmp_path / "raw/walfie", *(f"{number}.txt" for number in range(3000)))
    start = time.process_time()
    release = find_release(tmp_path / "raw", "walfie")
    release_fingerprint(release, tmp_path / "cache.json")
    assert len(look_at(release)) == 1
    assert time.process_time() - start < 3
    assert (tmp_path / "cache.json").stat().st_size < 1000
