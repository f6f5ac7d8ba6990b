from dataclasses import replace

import pytest

from booru_pipeline.dataset.build import build_dataset
from booru_pipeline.dataset.inspection import KEPT, Inspector
from booru_pipeline.dataset.options import DatasetOptions
from booru_pipeline.dataset.sides import Sides
from booru_pipeline.errors import BooruError
from booru_pipeline.lake.publish import Staging
from booru_pipeline.lake.record import Record
from booru_pipeline.release.find import find_releases
from booru_pipeline.tag_table.load import load_release
from booru_pipeline.tag_table.options import TagTableOptions
from booru_pipeline.training_shards.options import ShardOptions
from booru_pipeline.training_shards.relations import Relations, find_relations
from booru_pipeline.training_shards.shards import build_shards
from booru_pipeline.vocabulary.build import build_vocabulary
from booru_pipeline.vocabulary.options import VocabularyOptions
from booru_pipeline_tests.vocabulary.labels import TINY
from booru_pipeline_tests.vocabulary.test_build import latest_posts

RECORD = Record(stage="tokenized_dataset", release="2021b", key="key")


def inspector_of(shards, tables, relations, folder, options=None, encoding="pieces"):
    vocabulary = build_vocabulary(shards, TINY, folder / "v", Staging(folder / "s"), VocabularyOptions(), RECORD)
    options = options or DatasetOptions(encoding=encoding)
    build_dataset(shards, vocabulary, folder / "d", Staging(folder / "s"), options, RECORD)
    return Inspector(folder / "d", vocabulary, shards, tables, relations)


@pytest.fixture(scope="module")
def made(raw, tmp_path_factory):
    """An inspector over the sample world, in which `shirt` is an alias of `dress`."""
    folder = tmp_path_factory.mktemp("inspected")
    shards, tables = {}, {}
    for release in find_releases(raw).releases:
        key = release.key
        tables[key], shards[key] = folder / f"{key}.duckdb", folder / key
        load_release(release, tables[key], Staging(folder / "s"), TagTableOptions(), RECORD)
        build_shards(
            tables[key],
            shards[key],
            Staging(folder / "s"),
            ShardOptions(),
            Record(stage="s", release=key, key="k"),
            {"smile": "happy"},
        )
    implications = {
        tag: frozenset("happy" if other == "smile" else other for other in implied)
        for tag, implied in find_relations(None, raw).implications.items()
    }
    relations = Relations({"smile": "happy"}, implications, "the test")
    return inspector_of(shards, tables, relations, folder)


def test_every_tag_of_a_post_has_a_fate(made):
    posts = {(row["booru"], row["fid"]): row for row in latest_posts(made.shards)}
    fates = set()
    for booru, fid in made.sample(30, seed=3):
        found = made.inspect(booru, fid)
        row = posts[booru, fid]
        assert found.release == row["release"]
        by_tag = {item.tag: item.fate for item in found.tags}
        assert set(row["tags"]) <= set(by_tag)
        for tag, category in zip(row["tags"], row["categories"], strict=True):
            fate = by_tag[tag]
            fates.add(fate.split(":")[0].split(",")[0])
            assert (tag in made.vocabulary.index) == (fate == KEPT or fate.startswith("a label"))
            if category in (1, 5, -1) and tag not in made.vocabulary.index:
                assert "are not learned" in fate
        assert found.left_out is None
        assert len(found.examples) == 3
    assert fates == {KEPT, "no label", "a label"}


def test_an_alias_is_told(made):
    told = 0
    for booru, fid in made.sample(60):
        for item in made.inspect(booru, fid).tags:
            if item.tag == "smile":
                assert item.fate == "an alias of happy, which stands for it"
                told += 1
    assert told


def test_what_is_rare_says_how_rare(made):
    posts = latest_posts(made.shards)
    for booru, fid in made.sample(30):
        for item in made.inspect(booru, fid).tags:
            if item.fate.startswith("no label: on"):
                number = int(item.fate.split()[3])
                listings = sum(item.tag in row["tags"] for row in posts)
                assert listings <= number < 10


def test_examples_say_what_is_seen_and_what_is_asked(made):
    booru, fid = made.sample(1)[0]
    found = made.inspect(booru, fid)
    assert [example.kind for example in found.examples] == [
        "caption completion",
        "label completion",
        "span corruption",
    ]
    completion, _, corruption = found.examples
    kept = {
        made.vocabulary.table["text"][made.vocabulary.index[item.tag]].as_py()
        for item in found.tags
        if item.fate == KEPT
    }
    seen, asked = (set(text.split(", ")) for text in (completion.source, completion.target))
    assert {text.strip() for text in seen | asked} == kept
    assert "<0>" in corruption.source
    assert corruption.target.startswith("<0>")
    assert made.inspect(booru, fid) == found
    assert made.inspect(booru, fid, seed=1).examples != found.examples


def test_labels_of_one_token_are_shown_as_labels(made, tmp_path):
    other = inspector_of(made.shards, {}, made.relations, tmp_path, encoding="labels")
    booru, fid = other.sample(1)[0]
    found = other.inspect(booru, fid)
    kept = {item.tag for item in found.tags if item.fate == KEPT}
    first = found.examples[0]
    assert set(first.source.split(", ")) | set(first.target.split(", ")) == kept


def test_a_post_that_is_left_out_says_why(made, tmp_path):
    options = DatasetOptions(min_tokens=60, encoding="labels")
    with pytest.raises(BooruError, match="min_tokens = 60"):
        inspector_of(made.shards, {}, made.relations, tmp_path, options)
    options = DatasetOptions(min_tokens=25, encoding="labels")
    short = inspector_of(made.shards, {}, made.relations, tmp_path / "again", options)
    found = [short.inspect(*post) for post in short.sample(20)]
    out = [post for post in found if post.left_out]
    assert out
    for post in out:
        assert "fewer than min_tokens 25" in post.left_out
        assert post.examples == []
        assert KEPT not in {item.fate for item in post.tags}


def test_implied_tags_that_are_missing_are_named(made):
    for booru, fid in made.sample(20):
        found = made.inspect(booru, fid)
        tags = {item.tag for item in found.tags}
        assert not set(found.implied) & tags
        assert set(found.implied) == made.relations.closure({t for t in tags if t != "smile"}) - tags


def test_posts_are_found_by_id_and_booru(made):
    rows = Sides.read(made.dataset).table.to_pylist()
    row = rows[0]
    assert made.find([row["booru"], str(row["fid"])]) == (row["booru"], row["fid"])
    assert made.find([f"{row['booru']}/{row['fid']}"]) == (row["booru"], row["fid"])
    by_id = {}
    for row in rows:
        by_id.setdefault(row["fid"], set()).add(row["booru"])
    alone = next(fid for fid, boorus in by_id.items() if len(boorus) == 1)
    assert made.find([str(alone)])[1] == alone
    for words, problem in [
        (["999999999"], "no post 999999999 in 2021a, 2021b"),
        (["pekora"], "'pekora' names no post"),
        (["a", "b", "3"], "names no post"),
        ([rows[0]["booru"], "junk", str(rows[0]["fid"])], "names no post"),
        ([f"{rows[0]['booru']}/x", "junk", str(rows[0]["fid"])], "names no post"),
        ([""], "names no post"),
        ([str(10**20)], "names no post"),
        (["elsewhere", str(alone)], "no post elsewhere"),
    ]:
        with pytest.raises(BooruError, match=problem):
            made.find(words)


def test_deprecated_tags_are_marked_and_nothing_else_changes(made):
    booru, fid = made.sample(1)[0]
    before = made.inspect(booru, fid)
    gone = before.tags[0].tag
    after = replace(made, relations=replace(made.relations, deprecated=frozenset({gone}))).inspect(booru, fid)
    assert [item.tag for item in after.tags if item.deprecated] == [gone]
    assert replace(after, tags=[replace(item, deprecated=False) for item in after.tags]) == before
