"""The checks of the split find planted leaks."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from booru_pipeline.dataset.options import SplitOptions
from booru_pipeline.dataset.sides import (
    SIDES,
    count_moved,
    count_near_duplicates_across,
    count_straddling,
    decide_sides,
)
from booru_pipeline.errors import BooruError
from booru_pipeline_tests.dataset.listed_posts import (
    CAT,
    CAT_AND,
    DOG,
    ONLY_PICTURES,
    OPTIONS,
    Post,
    alike,
)


class TestPlantedLeaks:
    """The checks find what they are there for."""

    def with_value(self, sides, fid, **values):
        rows = [{**row, **values} if row["fid"] == fid else row for row in sides.table.to_pylist()]
        return replace(sides, table=pa.Table.from_pylist(rows, sides.table.schema))

    @pytest.fixture
    def shards(self, lake):
        return lake(
            [Post(1, "train 1", CAT), Post(2, "train 1", DOG)], [Post(3, "train 2", CAT_AND), Post(4, "test 1")]
        )

    @pytest.fixture
    def sides(self, shards):
        return decide_sides(shards, OPTIONS)

    def test_a_group_on_two_sides(self, sides):
        found = count_straddling(self.with_value(sides, 3, split="test"))
        assert (found.groups, found.pictures, found.posts) == (1, 0, 0)
        assert found.examples == ["group train 1"]

    def test_a_picture_on_two_sides(self, sides):
        found = count_straddling(self.with_value(sides, 2, split="test", group_md5="test 9"))
        assert (found.groups, found.pictures, found.posts) == (0, 1, 0)
        assert found.examples == ["picture train 1"]

    def test_a_post_on_two_sides(self, sides):
        twice = pa.concat_tables(
            [sides.table, self.with_value(sides, 4, split="train", group_md5="x", picture="x").table]
        )
        found = count_straddling(replace(sides, table=twice))
        assert (found.groups, found.pictures, found.posts) == (0, 0, 1)
        assert found.examples == ["post b 4"]

    def test_what_is_left_out_is_on_no_side(self, sides):
        found = count_straddling(self.with_value(sides, 3, split="test", left_out="joined a test group"))
        assert (found.groups, found.pictures, found.posts, found.examples) == (0, 0, 0, [])

    def test_a_post_and_its_picture_that_moved(self, sides):
        found = count_moved(sides, self.with_value(sides, 4, split="train"))
        assert (found.posts, found.pictures, found.returned) == (1, 1, 0)
        assert found.examples == ["picture test 1", "post b 4"]

    def test_a_left_out_post_that_returned(self, sides):
        found = count_moved(self.with_value(sides, 4, left_out="between train and test"), sides)
        assert (found.posts, found.pictures, found.returned) == (0, 0, 1)
        assert found.examples == ["returned b 4"]

    def test_a_picture_that_was_left_out_may_be_shown_elsewhere(self, sides):
        before = self.with_value(sides, 4, left_out="between train and test")
        after = self.with_value(self.with_value(sides, 3, picture="test 1"), 4, left_out="between train and test")
        assert count_moved(before, after).examples == []

    def test_near_duplicates_on_two_sides(self, shards, sides):
        assert count_near_duplicates_across(shards, sides).pairs == 0
        leak = self.with_value(sides, 3, split="validation")
        found = count_near_duplicates_across(shards, leak)
        assert (found.pairs, found.skipped_blocks, found.examples) == (1, 0, ["b 3 and b 1"])
        left_out = self.with_value(leak, 3, left_out="between train and validation")
        assert count_near_duplicates_across(shards, left_out).pairs == 0
        few = replace(leak, options=SplitOptions(near_duplicate_min_tags=11))
        assert count_near_duplicates_across(shards, few).pairs == 0
        assert count_near_duplicates_across(shards, replace(leak, options=ONLY_PICTURES)).pairs == 0

    def test_blocks_that_are_too_large_are_counted(self, shards, sides):
        found = count_near_duplicates_across(shards, self.with_value(sides, 3, split="test"), largest_block=2)
        assert (found.pairs, found.skipped_blocks, found.skipped_posts) == (0, 1, 3)

    def test_shards_of_something_else_are_no_proof(self, lake, sides):
        other = lake([Post(1, "train 1", CAT), Post(2, "train 1", DOG)], name="other")
        with pytest.raises(BooruError, match="4 posts in use, and the shards hold 2 of them"):
            count_near_duplicates_across(other, sides)

    def test_only_the_latest_listing_counts(self, lake):
        shards = lake([Post(1, "train 1", CAT), Post(2, "test 1", CAT_AND)], [Post(2, "test 1", DOG)])
        sides = decide_sides(shards, ONLY_PICTURES)
        assert count_near_duplicates_across(shards, replace(sides, options=OPTIONS)).pairs == 0
        first = {"r0": shards["r0"]}
        sides = decide_sides(first, ONLY_PICTURES)
        assert count_near_duplicates_across(first, replace(sides, options=OPTIONS)).pairs == 1

    @pytest.mark.parametrize("seed", range(3))
    def test_as_many_pairs_as_brute_force_finds(self, lake, seed):
        random = np.random.default_rng(seed)
        posts = []
        for fid in range(300):
            tags = [f"{random.integers(3)} {tag}" if random.random() < 0.01 else f"0 {tag}" for tag in range(20)]
            picture = f"{random.choice(SIDES)} {fid}"
            posts.append(
                Post(fid, picture, frozenset(tags[: random.integers(10, 21)]), artist=f"a{random.integers(9)}")
            )
        shards = lake(posts)
        sides = replace(decide_sides(shards, ONLY_PICTURES), options=OPTIONS)
        expected = sum(
            alike(one, other) and one.picture.split()[0] != other.picture.split()[0]
            for place, one in enumerate(posts)
            for other in posts[:place]
        )
        assert expected > 100
        assert count_near_duplicates_across(shards, sides).pairs == expected
