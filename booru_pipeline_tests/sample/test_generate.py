import gzip
import hashlib
import json
import math
import os
import subprocess
import sys
from collections import Counter, defaultdict
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path

import pytest

from booru_pipeline.errors import BooruError
from booru_pipeline.sample import generate, load_world
from booru_pipeline.sample.generate import ReleaseTruth
from booru_pipeline.tags import Category

FILES_HEADER = (
    "BOORU FID FILE_NAME TORR_MD5 ORIG_EXT ORIG_MD5 FILE_SIZE IMG_SIZE_TORR JQ TORR_PATH "
    "TAGS_COPYR TAGS_CHAR TAGS_ARTIST"
)
TAGS_HEADER = "BOORU FID TAG TAG_ID TAG_CAT DANB_FR"
PEOPLE = {"1girl": 1, "2girls": 2, "3girls": 3, "1boy": 1, "2boys": 2, "3boys": 3}
WORLD = load_world()

Key = tuple[str, str]


@dataclass
class Sample:
    """A generated folder, read back with nothing but split."""

    folder: Path
    truths: list[ReleaseTruth]

    def content(self, release: str, table: str) -> bytes:
        return (self.folder / f"Safebooru {release}" / f"V{release.upper()}_{table}.tsv").read_bytes()

    def lines(self, release: str, table: str) -> list[list[str]]:
        text = self.content(release, table).decode()
        assert text.endswith("\n")
        assert "\r" not in text
        return [line.split("\t") for line in text.split("\n")[:-1]]

    def posts(self, release: str) -> dict[Key, set[str]]:
        posts: dict[Key, set[str]] = defaultdict(set)
        for booru, fid, tag, *_ in self.lines(release, "tags")[1:]:
            posts[booru, fid].add(tag)
        return posts


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Sample:
    folder = tmp_path_factory.mktemp("default")
    return Sample(folder, generate(folder))


@pytest.fixture(scope="module")
def defective(tmp_path_factory: pytest.TempPathFactory) -> Sample:
    folder = tmp_path_factory.mktemp("defective")
    return Sample(folder, generate(folder, defects=True))


def digests(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


# -- the format


def test_the_folder_holds_what_it_should_and_no_drafts(sample: Sample) -> None:
    assert set(digests(sample.folder)) == {
        "Safebooru 2021a/V2021A_files.tsv",
        "Safebooru 2021a/V2021A_tags.tsv",
        "Safebooru 2021b/V2021B_files.tsv",
        "Safebooru 2021b/V2021B_tags.tsv",
        "tag_aliases.json",
        "tag_implications.json",
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


# -- the posts


@pytest.mark.parametrize("release", ["2021a", "2021b"])
def test_posts_are_closed_under_the_implications(sample: Sample, release: str) -> None:
    implications = [json.loads(line) for line in (sample.folder / "tag_implications.json").read_text().splitlines()]
    for tags in sample.posts(release).values():
        for row in implications:
            assert row["antecedent_name"] not in tags or row["consequent_name"] in tags, (row, tags)


@pytest.mark.parametrize("release", ["2021a", "2021b"])
def test_posts_use_the_worlds_tags_and_no_alias(sample: Sample, release: str) -> None:
    seen = set().union(*sample.posts(release).values())
    assert seen <= WORLD.tags
    assert not seen & WORLD.aliases.keys()
    assert len(seen) > 0.9 * len(WORLD.tags)


@pytest.mark.parametrize("release", ["2021a", "2021b"])
def test_posts_have_twenty_to_thirty_tags_on_average(sample: Sample, release: str) -> None:
    posts = sample.posts(release)
    assert 20 <= sum(map(len, posts.values())) / len(posts) <= 30


def test_the_counting_tags_agree_with_each_other(sample: Sample) -> None:
    for tags in sample.posts("2021a").values():
        people = sum(number for tag, number in PEOPLE.items() if tag in tags)
        assert ("solo" in tags) == (people == 1)
        assert ("no_humans" in tags) == (people == 0)
        assert ("multiple_girls" in tags) == bool({"2girls", "3girls"} & tags)
        named = [c for c in WORLD.characters if c.name in tags and c.kind != "creature"]
        assert people == len(named) or (people <= 1 and not named)


def test_pekora_is_frequent_and_has_a_long_tail_behind_her(sample: Sample) -> None:
    counts = Counter(tag for tags in sample.posts("2021a").values() for tag in tags)
    names = sorted((c.name for c in WORLD.characters), key=lambda name: -counts[name])
    assert counts["usada_pekora"] >= 50
    assert names[0] == "usada_pekora"
    assert counts[names[len(names) // 2]] < counts["usada_pekora"] / 4
    assert counts[names[-1]] > 0


@pytest.mark.parametrize("name", ["usada_pekora", "hatsune_miku", "houshou_marine", "kirisame_marisa"])
def test_traits_are_as_frequent_as_the_truth_says(sample: Sample, name: str) -> None:
    """Not below the stated chance, and near it where nothing else gives the tag."""
    traits = json.loads((sample.folder / "sample_truth.json").read_text())["characters"][name]["traits"]
    posts = [tags for r in ("2021a", "2021b") for tags in sample.posts(r).values() if name in tags and "solo" in tags]
    elsewhere = _tags_given_without(name)
    checked = 0
    for trait, chance in traits.items():
        # Four standard deviations, and a post's worth for the few tags that second boorus and edits take away.
        margin = 4 * math.sqrt(len(posts) * chance * (1 - chance)) + 1
        have = sum(trait in tags for tags in posts)
        assert have >= len(posts) * chance - margin, trait
        if trait not in elsewhere:
            checked += 1
            assert have <= len(posts) * chance + margin, trait
    assert checked >= 3
    assert len(posts) >= 40


def _tags_given_without(name: str) -> set[str]:
    """Tags that a post showing only this character may get from something other than its traits."""
    bundles = [*WORLD.scenes, *WORLD.expressions, *WORLD.poses, *WORLD.outfits]
    given = {*WORLD.details, *WORLD.tail, name}
    given.update(*(bundle.tags for bundle in bundles), *WORLD.with_copyright.values())
    return WORLD.closure(given)


def test_traits_are_not_spread_over_everybody(sample: Sample) -> None:
    without = [tags for tags in sample.posts("2021a").values() if "usada_pekora" not in tags]
    assert sum("carrot_hair_ornament" in tags for tags in without) == 0
    assert sum("rabbit_ears" in tags for tags in without) < 0.1 * len(without)


# -- the truth


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


# -- defects


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


# -- the same bytes everywhere


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


# -- what is refused


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


@pytest.mark.parametrize("ending", [".tsv", ".tsv.gz"])
def test_releases_that_are_not_samples_are_never_overwritten(tmp_path: Path, ending: str) -> None:
    real = tmp_path / "Safebooru 2021a" / f"V2021A_tags{ending}"
    real.parent.mkdir()
    real.write_text("somebody's download")
    with pytest.raises(BooruError, match=r"not a sample.*another folder"):
        generate(tmp_path, posts=10)
    assert real.read_text() == "somebody's download"
    assert list(digests(tmp_path)) == [str(real.relative_to(tmp_path))]


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(BooruError, match=r"taken.*Choose a folder"):
        generate(tmp_path / "taken" / "deeper", posts=10)
