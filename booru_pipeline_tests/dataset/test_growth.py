"""A dataset that goes on from an earlier release's is the one that is made of all releases at once."""

import json
import random
import shutil

import datasets
import pytest

from booru_pipeline.dataset.build import DatasetSummary, build_dataset
from booru_pipeline.dataset.growth import Totals
from booru_pipeline.dataset.ledger import LEDGER_FOLDER
from booru_pipeline.dataset.options import DatasetOptions
from booru_pipeline.dataset.posts import load_posts, releases_of
from booru_pipeline.dataset.sides import Sides
from booru_pipeline.errors import BooruError
from booru_pipeline.lake.publish import Staging
from booru_pipeline.lake.record import Record
from booru_pipeline.vocabulary.build import build_vocabulary
from booru_pipeline.vocabulary.options import VocabularyOptions
from booru_pipeline.vocabulary.vocabulary import Vocabulary
from booru_pipeline_tests.dataset.listed_posts import Post, write
from booru_pipeline_tests.vocabulary.labels import TINY

RECORD = Record(stage="tokenized_dataset", release="r0", key="key")
THRESHOLDS = VocabularyOptions(min_general_posts=4, min_name_posts=4)
SIDES = ["train"] * 6 + ["validation", "test"]


def made_up(seed, releases=4, posts=30):
    """Releases that list posts again, share pictures, have near-duplicates, and use tags ever more often."""
    rng = random.Random(seed)
    tags = [f"tag_{number}" for number in range(60)]
    listed = []
    for release in range(releases):
        rows = {}
        for _ in range(posts):
            former = rng.choice(listed) if listed and rng.random() < 0.5 else None
            fid = former.fid if former and rng.random() < 0.4 else rng.randrange(10**6)
            picture = former.picture if former and rng.random() < 0.5 else f"{rng.choice(SIDES)} {rng.randrange(10**6)}"
            own = set(rng.sample(tags[: 20 + 10 * release], rng.randrange(1, 12)))
            if former and rng.random() < 0.6:
                own = (set(former.tags) | set(rng.sample(tags, 1))) - set(rng.sample(sorted(former.tags), 1))
            rows[fid] = Post(fid, picture, frozenset(own), artist=rng.choice(["one", "two"]))
        listed += rows.values()
        yield list(rows.values())


def chain(folder, shards, **options):
    """The dataset of each release, each from the one before."""
    earlier, before = None, None
    for number, release in enumerate(shards):
        some = dict(list(shards.items())[: number + 1])
        staging = Staging(folder / "s")
        words = build_vocabulary(some, TINY, folder / "v" / release, staging, THRESHOLDS, RECORD, earlier)
        earlier = folder / "v" / release
        final = folder / "d" / release
        build_dataset(some, words, final, staging, DatasetOptions(**options), RECORD, before)
        before = final
    return words


def content(folder):
    """Posts by split and key, summary, sides, and totals of a dataset."""
    posts = {
        (split, row["post_key"]): row
        for split, rows in datasets.load_from_disk(str(folder)).items()
        for row in rows.to_list()
    }
    totals = json.loads((folder / Totals.FILE).read_text())
    counts = {
        name: {key: value for key, value in counts.items() if value}
        for name, counts in {**totals, **totals["tokens"]}.items()
        if isinstance(counts, dict) and name != "tokens"
    }
    return posts, DatasetSummary.read(folder), Sides.read(folder), counts


@pytest.mark.parametrize(("seed", "options"), [(1, {}), (2, {"encoding": "pieces", "min_tokens": 12}), (3, {})])
def test_release_by_release_it_is_the_same_as_at_once(tmp_path, seed, options):
    shards = {f"r{n}": write(tmp_path / "shards" / f"r{n}", posts) for n, posts in enumerate(made_up(seed))}
    options = {"near_duplicate_min_tags": 4, "near_duplicate_jaccard": 0.7, **options}
    words = chain(tmp_path, shards, **options)
    build_dataset(shards, words, tmp_path / "all", Staging(tmp_path / "s"), DatasetOptions(**options), RECORD)
    grown, at_once = tmp_path / "d" / "r3", tmp_path / "all"
    assert content(grown) == content(at_once)
    for split in ("train", "validation", "test"):
        one, other = load_posts(grown, split, about=True), load_posts(at_once, split, about=True)
        assert one.keys.tolist() == other.keys.tolist()
        assert one.rows.tolist() == other.rows.tolist()
        assert one.about.equals(other.about)
        assert releases_of(grown, split).tolist() == one.column("release")


FIRST = [Post(number, f"train {number}", frozenset({"a", "b", "c", f"only_{number % 5}"})) for number in range(12)]
FIRST += [Post(100, "test 100", frozenset("abc")), Post(101, "train 101", frozenset("abc"))]
FULL = {"min_tokens": 2, "near_duplicate_jaccard": 0}


@pytest.fixture
def made(tmp_path):
    """Two releases: the second lists post 101 again, and makes a label of the tag that posts 0, 5 and 10 have."""
    shards = {
        "r0": write(tmp_path / "shards" / "r0", FIRST),
        "r1": write(
            tmp_path / "shards" / "r1",
            [Post(101, "train 101", frozenset("ab")), Post(200, "train 200", frozenset({"a", "b", "only_0"}))],
        ),
    }
    chain(tmp_path, shards, **FULL)
    return tmp_path, shards


def tags_of(folder, words):
    names = Vocabulary.load(words).labels
    return {
        row["fid"]: {names[label] for label in row["label_rows"]}
        for rows in datasets.load_from_disk(str(folder)).values()
        for row in rows.to_list()
    }


def test_a_tag_that_becomes_a_label_is_in_the_captions_of_the_posts_that_had_it_before(made):
    folder, _ = made
    before, after = (tags_of(folder / "d" / release, folder / "v" / release) for release in ("r0", "r1"))
    assert before[5] == {"a", "b", "c"}
    assert after[5] == {"a", "b", "c", "only_0"}
    assert after[6] == {"a", "b", "c"}
    assert after[101] == {"a", "b"}


def test_files_without_a_change_are_shared_and_stay_when_the_earlier_dataset_goes(made):
    folder, _ = made
    before, after = folder / "d" / "r0", folder / "d" / "r1"
    shared = [path for path in after.rglob("r0*.arrow") if path.samefile(before / path.relative_to(after))]
    assert {path.parent.name for path in shared} >= {"test", "pairs", LEDGER_FOLDER}
    expected = content(after)
    earlier = {path: path.read_bytes() for path in before.rglob("*") if path.is_file()}
    shutil.rmtree(before)
    assert content(after) == expected
    assert earlier


def test_the_earlier_dataset_is_left_as_it_was(made):
    folder, shards = made
    before = {path: path.read_bytes() for path in (folder / "d" / "r0").rglob("*") if path.is_file()}
    chain_again = folder / "again"
    words = chain(chain_again, shards, **FULL)
    build_dataset(
        shards, words, folder / "d" / "x", Staging(folder / "s"), DatasetOptions(**FULL), RECORD, folder / "d" / "r0"
    )
    assert {path: path.read_bytes() for path in (folder / "d" / "r0").rglob("*") if path.is_file()} == before


@pytest.mark.parametrize("other", ["options", "shards", "vocabulary", "damage"])
def test_an_earlier_dataset_of_something_else_is_not_gone_on_from(made, other):
    folder, shards = made
    options, earlier = DatasetOptions(**FULL), folder / "d" / "r0"
    words = folder / "v" / "r1"
    if other == "options":
        options = DatasetOptions(**{**FULL, "min_tokens": 3})
    elif other == "shards":
        shutil.rmtree(shards["r0"])
        write(shards["r0"], FIRST[:-3])
    elif other == "vocabulary":
        posts = [Post(number, f"train {number}", frozenset("ab" if number else "b")) for number in range(9)]
        words = folder / "words"
        build_vocabulary({"x": write(folder / "x", posts)}, TINY, words, Staging(folder / "s"), THRESHOLDS, RECORD)
    else:
        (earlier / Totals.FILE).write_text("{")
    for name, given in (("with", earlier), ("without", None)):
        build_dataset(shards, Vocabulary.load(words), folder / name, Staging(folder / "s"), options, RECORD, given)
    assert content(folder / "with") == content(folder / "without")
    assert not any(path.samefile(earlier / "pairs" / "r0.arrow") for path in (folder / "with").rglob("*.arrow"))


def test_a_file_of_sides_that_is_damaged_is_named(made):
    folder, _ = made
    path = folder / "d" / "r1" / LEDGER_FOLDER / "r1.arrow"
    content = path.read_bytes()
    path.write_bytes(content[:-40] + bytes([content[-40] ^ 1]) + content[-39:])
    with pytest.raises(BooruError, match=r"r1\.arrow|cannot be read"):
        Sides.read(folder / "d" / "r1")
