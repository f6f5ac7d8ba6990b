from collections import Counter
from itertools import combinations

import duckdb
import numpy as np
import pytest

from booru_pipeline.model.suggest.counting import Parts, PostCounter, pairs_apart
from booru_pipeline.model.suggest.post_index import PostIndex
from booru_pipeline.training_shards.shards import shard_files
from booru_pipeline_tests.evaluation.evaluated import GENERAL, write_shards

TAGS = [*GENERAL, "usada_pekora", "hatsune_miku", "rabbit_ears"]


@pytest.fixture(scope="module")
def posts(world):
    from booru_pipeline_tests.model.suggest.test_asking import latest_posts

    return list(latest_posts().values())


@pytest.fixture(scope="module", params=[PostCounter, PostIndex.of], ids=["shards", "memory"])
def counter(request, world):
    with duckdb.connect() as connection:
        yield request.param(connection, shard_files(*world.shards.values()))


@pytest.mark.parametrize("base", [(), ("smile",), ("smile", "usada_pekora")])
def test_parts_tags_and_pairs_are_counted_as_in_plain_python(counter, posts, base):
    parts = counter.parts(TAGS, base)
    of_base = [tags for tags in posts if tags >= set(base)]
    assert (parts.total(), parts.total(of_base=True)) == (len(posts), len(of_base))
    if isinstance(parts, Parts):
        assert Counter(
            {part: int(n) for part, n in zip(map(frozenset, named(parts)), parts.posts, strict=True)}
        ) == Counter(frozenset(tags & set(TAGS)) for tags in posts)
    for counted, among in ((parts.together(), posts), (parts.together(of_base=True), of_base)):
        for (i, first), (j, second) in combinations(enumerate(TAGS), 2):
            assert counted[i, j] == counted[j, i] == sum({first, second} <= tags for tags in among)
        assert counted.diagonal().tolist() == [sum(tag in tags for tags in among) for tag in TAGS]
    assert counter.tags(base) == dict(Counter(tag for tags in of_base for tag in tags))


def named(parts):
    return [[parts.tags[column] for column in parts.members[[row]].indices] for row in range(len(parts.posts))]


def test_thirty_tags_are_counted_at_once(counter, posts):
    every = sorted(set().union(*posts))
    asked = (every + [f"unseen_{number}" for number in range(30)])[:40]
    parts = counter.parts(asked)
    largest, count = parts.largest()
    most = max(len(tags & set(asked)) for tags in posts)
    assert len(largest) == most
    assert count == max(
        Counter(frozenset(tags & set(asked)) for tags in posts if len(tags & set(asked)) == most).values()
    )


def counted(tmp_path, *tag_sets):
    """The counter's parts of a and b, over posts that have these tags."""
    row = {"booru": "danbooru", "release": "2021a", "split": "train", "group_md5": "x"}
    rows = [
        {**row, "fid": fid, "tags": sorted(tags), "categories": [0] * len(tags)} for fid, tags in enumerate(tag_sets)
    ]
    with duckdb.connect() as connection:
        return PostCounter(connection, shard_files(write_shards(tmp_path / "2021a", rows))).parts("ab", "c")


def test_pairs_are_apart_only_where_chance_would_put_them_together(tmp_path):
    [pair] = pairs_apart(counted(tmp_path / "far", *["a"] * 40, *["b"] * 40, *["ab"] * 2, *["d"] * 20))
    assert (pair.first, pair.second, pair.together, pair.either) == ("a", "b", 2, 82)
    assert pair.expected == pytest.approx(42 * 42 / 102)
    # 12 of 25 that chance would give are rare, but no exclusion; and of a handful nothing can be said.
    assert pairs_apart(counted(tmp_path / "rare", *["a"] * 38, *["b"] * 38, *["ab"] * 12, *["d"] * 12)) == []
    assert pairs_apart(counted(tmp_path / "few", *["a"] * 5, *["b"] * 5, *["d"] * 10)) == []


def test_the_posts_of_the_base_decide_where_they_suffice(tmp_path):
    apart, joined = ["a"] * 200 + ["b"] * 200 + ["d"] * 100, ["abc"] * 20 + ["c"] * 10
    parts = counted(tmp_path / "joined", *apart, *joined)
    assert [pair.among for pair in pairs_apart(parts)] == [()]
    assert pairs_apart(parts, ("c",)) == []  # of the posts with c, those with a have b
    few = counted(tmp_path / "few", *apart, *["abc"] * 3)
    assert [(pair.together, pair.among) for pair in pairs_apart(few, ("c",))] == [(3, ())]
    within = counted(tmp_path / "within", *["ab"] * 300, *["ac"] * 30, *["bc"] * 30, *["c"] * 10)
    assert pairs_apart(within) == []
    assert [(pair.together, pair.either, pair.among) for pair in pairs_apart(within, ("c",))] == [(0, 60, ("c",))]


def test_no_post_at_all_is_no_error(tmp_path):
    parts = counted(tmp_path)
    assert parts.largest() == ((), 0)
    assert np.array_equal(parts.together(), np.zeros((2, 2)))
    assert pairs_apart(parts, ("c",)) == []
