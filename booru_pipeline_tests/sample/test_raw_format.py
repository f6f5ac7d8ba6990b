"""The releases of a sample are in the raw format, and the truth about them is true."""

import json
from collections import Counter, defaultdict
from dataclasses import asdict
from itertools import pairwise

import pytest

from booru_pipeline.tags import Category
from booru_pipeline_tests.sample.generated import FILES_HEADER, TAGS_HEADER, WORLD, Sample, digests


def test_the_folder_holds_what_it_should_and_no_drafts(sample: Sample) -> None:
    assert set(digests(sample.folder)) == {
        "Safebooru 2021a/V2021A_files.tsv",
        "Safebooru 2021a/V2021A_tags.tsv",
        "Safebooru 2021b/V2021B_files.tsv",
        "Safebooru 2021b/V2021B_tags.tsv",
        "tag_aliases.json",
        "tag_implications.json",
        "sample_files.json",
        "sample_truth.json",
    }


@pytest.mark.parametrize("release", ["2021a", "2021b"])
def test_files_are_in_the_raw_format(sample: Sample, release: str) -> None:
    header, *rows = sample.lines(release, "files")
    assert header == FILES_HEADER.split()
    sites = {"sankakucomplex", "donmai", "safebooru", "zerochan", "yande"}
    for row in rows:
        booru, fid, name, torr_md5, ext, orig_md5, size, img_size, quality, path, copyrights, characters, artists = row
        site, _, rest = name.partition(" - ")
        assert site in sites
        assert site in booru
        assert rest.removeprefix('"quoted" ') == f"{fid} - {copyrights} ~ {characters} ({artists}).jpg"
        assert {len(torr_md5), len(orig_md5)} == {32}
        assert torr_md5 != orig_md5
        assert ext == "jpg"
        assert 85 <= int(quality) <= 98
        assert int(size) > 0
        assert all(int(side) > 0 for side in img_size.split("x"))
        assert path.startswith(f"V{release.upper()}.7x10\\S")
        assert path.endswith(".zip")
    keys = [(booru, int(fid)) for booru, fid, *_ in rows]
    assert keys == sorted(set(keys))


@pytest.mark.parametrize("release", ["2021a", "2021b"])
def test_tags_are_in_the_raw_format(sample: Sample, release: str) -> None:
    header, *rows = sample.lines(release, "tags")
    assert header == TAGS_HEADER.split()
    franchises = {"0": {"GENERAL"}, "1": {"ARTIST"}, "5": {"META"}}
    copyrights = {tag for tag, category in WORLD.categories.items() if category is Category.COPYRIGHT} | {"COPYRIGHT"}
    for row in rows:
        assert len(row) in {5, 6}
        assert row[4] in {"-1", "0", "1", "3", "4", "5"}
        if len(row) == 6 and row[4] != "-1":
            assert row[5] in franchises.get(row[4], copyrights)
    assert {row[3] for row in rows if row[4] in {"1", "5"}} == {"0"}


@pytest.mark.parametrize("release", ["2021a", "2021b"])
def test_the_names_in_the_files_file_are_the_posts_tags(sample: Sample, release: str) -> None:
    posts = sample.posts(release)
    rows = sample.lines(release, "files")[1:]
    assert {(row[0], row[1]) for row in rows} == set(posts)
    for row in rows:
        tags = posts[row[0], row[1]]
        for column, category in ((10, Category.COPYRIGHT), (11, Category.CHARACTER), (12, Category.ARTIST)):
            assert row[column] == "+".join(sorted(tag for tag in tags if WORLD.categories[tag] is category))


def test_aliases_and_implications_are_in_danboorus_form(sample: Sample) -> None:
    aliases = [json.loads(line) for line in (sample.folder / "tag_aliases.json").read_text().splitlines()]
    assert {row["antecedent_name"]: row["consequent_name"] for row in aliases} == WORLD.aliases
    implications = [json.loads(line) for line in (sample.folder / "tag_implications.json").read_text().splitlines()]
    pairs = [(row["antecedent_name"], row["consequent_name"]) for row in implications]
    assert len(set(pairs)) == len(pairs) == sum(map(len, WORLD.implications.values()))
    assert ("rabbit_ears", "animal_ears") in pairs
    for rows in (aliases, implications):
        assert [row["id"] for row in rows] == list(range(1, len(rows) + 1))
        assert all(list(row) == ["id", "antecedent_name", "consequent_name", "status"] for row in rows)
        assert {row["status"] for row in rows} == {"active"}


@pytest.mark.parametrize("position", [0, 1])
def test_counts_are_those_of_the_files(sample: Sample, position: int) -> None:
    truth = sample.truths[position]
    files, tags = sample.lines(truth.release, "files"), sample.lines(truth.release, "tags")
    assert (truth.files_lines, truth.tags_lines) == (len(files), len(tags))
    assert truth.files_good == len(files) - 1 == 1500
    good = list(dict.fromkeys(map(tuple, tags[1:])))
    assert truth.tags_good == len(good) == len({row[:3] for row in good})
    assert truth.duplicate_tag_rows == len(tags) - 1 - len(good)
    assert truth.tags_lines == 1 + truth.tags_good + truth.duplicate_tag_rows
    repeated_next = sum(row == before for before, row in pairwise(tags))
    originals = Counter(row[5] for row in files[1:])
    earlier = {tuple(row[:2]) for t in sample.truths[:position] for row in sample.lines(t.release, "files")[1:]}
    assert truth.warts == {
        "files_quoted_name": sum('"' in row[2] for row in files),
        "tags_quoted_tag": sum('"' in row[2] for row in good),
        "tags_id_0": sum(row[3] == "0" for row in good),
        "tags_category_minus_1": sum(row[4] == "-1" for row in good),
        "tags_no_last_field": sum(len(row) == 5 for row in good),
        "tags_repeated_next_to_it": repeated_next,
        "tags_repeated_elsewhere": truth.duplicate_tag_rows - repeated_next,
        "files_on_two_boorus": sum(times == 2 for times in originals.values()),
        "files_listed_again": sum(tuple(row[:2]) in earlier for row in files[1:]),
    }
    assert max(originals.values()) == 2
    assert all(truth.warts[wart] > 0 for wart in truth.warts if wart != "files_listed_again")
    assert (truth.warts["files_listed_again"] > 0) == (position > 0)
    assert truth.defects == {}


def test_some_general_tags_lack_their_category_here_and_there(sample: Sample) -> None:
    categories = defaultdict(set)
    for row in sample.lines("2021a", "tags")[1:]:
        categories[row[2]].add(row[4])
    torn = {tag: seen for tag, seen in categories.items() if len(seen) > 1}
    assert torn
    assert all(seen == {"-1", "0"} for seen in torn.values())


def test_the_truth_is_beside_the_releases(sample: Sample) -> None:
    truth = json.loads((sample.folder / "sample_truth.json").read_text())
    assert truth["releases"] == [asdict(release) for release in sample.truths]
    assert (truth["seed"], truth["posts"]) == (0, 1500)
    assert set(truth["characters"]) == {character.name for character in WORLD.characters}
    assert truth["characters"]["usada_pekora"]["copyrights"] == ["hololive"]
    assert truth["characters"]["usada_pekora"]["traits"]["carrot"] == pytest.approx(0.75)


def test_the_same_picture_on_two_boorus_has_nearly_the_same_tags(sample: Sample) -> None:
    posts = sample.posts("2021a")
    same = defaultdict(list)
    for row in sample.lines("2021a", "files")[1:]:
        same[row[5]].append((row[0], row[1]))
    pairs = [keys for keys in same.values() if len(keys) == 2]
    assert pairs
    for one, other in pairs:
        assert one[0] != other[0]
        assert len(posts[one] ^ posts[other]) <= 3
    assert any(posts[one] != posts[other] for one, other in pairs)


def test_posts_listed_again_are_slightly_edited_mostly_by_more_tags(sample: Sample) -> None:
    before, after = sample.posts("2021a"), sample.posts("2021b")
    again = before.keys() & after.keys()
    assert again
    for key in again:
        assert len(before[key] - after[key]) <= 1
        assert len(after[key] - before[key]) <= 12
    assert sum(len(after[key]) > len(before[key]) for key in again) > len(again) / 2
    originals = [{row[0] + row[1]: row[5] for row in sample.lines(r, "files")[1:]} for r in ("2021a", "2021b")]
    assert all(originals[0][booru + fid] == originals[1][booru + fid] for booru, fid in again)


@pytest.mark.parametrize("position", [0, 1])
def test_defects_are_counted_and_leave_the_good_lines_alone(sample: Sample, defective: Sample, position: int) -> None:
    truth = defective.truths[position]
    files = [line.split(b"\t") for line in defective.content(truth.release, "files").split(b"\n")[1:-1]]
    tags = [line.split(b"\t") for line in defective.content(truth.release, "tags").split(b"\n")[1:-1]]
    bad_files = {
        "files_short_line": [row for row in files if len(row) < 13],
        "files_bad_fid": [row for row in files if not row[1].isdigit()],
        "files_invalid_utf8": [row for row in files if not _is_utf8(row)],
    }
    listed = {(row[0], row[1]) for row in files if row not in [bad for rows in bad_files.values() for bad in rows]}
    bad_tags = {
        "tags_short_line": [row for row in tags if len(row) < 5],
        "tags_empty_tag": [row for row in tags if row[2] == b""],
        "tags_invalid_utf8": [row for row in tags if not _is_utf8(row)],
        "tags_orphan_row": [row for row in tags if (row[0], row[1]) not in listed],
    }
    assert truth.defects == {kind: len(rows) for kind, rows in (bad_files | bad_tags).items()}
    assert all(truth.defects.values())
    for table, rows, bad in (("files", files, bad_files), ("tags", tags, bad_tags)):
        unusable = [row for rows in bad.values() for row in rows]
        left = [b"\t".join(row) for row in rows if row not in unusable]
        assert left == sample.content(truth.release, table).split(b"\n")[1:-1]
    clean = sample.truths[position]
    assert (truth.files_good, truth.tags_good, truth.warts) == (clean.files_good, clean.tags_good, clean.warts)
    assert truth.files_lines == 1 + len(files) == clean.files_lines + sum(map(len, bad_files.values()))
    assert truth.tags_lines == 1 + len(tags) == clean.tags_lines + sum(map(len, bad_tags.values()))


def _is_utf8(row: list[bytes]) -> bool:
    try:
        b"\t".join(row).decode()
    except UnicodeDecodeError:
        return False
    return True
