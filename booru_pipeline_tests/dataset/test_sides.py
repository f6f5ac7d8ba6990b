"""The rules of the split, on posts made by hand."""

import pyarrow.parquet as pq
import pytest

from booru_pipeline.dataset.sides import (
    decide_sides,
)
from booru_pipeline_tests.dataset.listed_posts import (
    CAT,
    CAT_AND,
    CAT_LESS,
    DOG,
    ONLY_PICTURES,
    OPTIONS,
    Post,
    groups,
    places,
    posts_of,
)


class TestOneRelease:
    def test_a_post_takes_the_side_of_its_picture(self, decide):
        sides = decide([Post(1, "train 1"), Post(2, "validation 1"), Post(3, "test 1")])
        assert places(sides) == {1: "train", 2: "validation", 3: "test"}
        assert sides.table.to_pylist()[0] == {
            "booru": "b",
            "fid": 1,
            "release": "r0",
            "picture": "train 1",
            "group_md5": "train 1",
            "split": "train",
            "left_out": None,
        }

    def test_posts_of_one_picture_are_a_group_whatever_their_tags(self, decide):
        sides = decide([Post(1, "train 1", CAT), Post(2, "train 1", DOG, booru="c", artist="other")])
        assert groups(sides) == {"train 1": {1, 2}}

    def test_near_duplicates_are_a_group_on_the_side_of_the_smallest_picture(self, decide):
        sides = decide([Post(1, "train 1", CAT), Post(2, "test 1", CAT_AND), Post(3, "validation 1", DOG)])
        assert groups(sides) == {"test 1": {1, 2}, "validation 1": {3}}
        assert places(sides) == {1: "test", 2: "test", 3: "validation"}

    def test_a_chain_is_one_group_though_its_ends_are_not_alike(self, decide):
        sides = decide([Post(1, "train 3", CAT_AND), Post(2, "test 2", CAT), Post(3, "train 1", CAT_LESS)])
        assert groups(sides) == {"test 2": {1, 2, 3}}

    def test_a_chain_goes_over_likeness_and_over_pictures(self, decide):
        sides = decide([Post(1, "train 2", CAT), Post(2, "train 2", DOG), Post(3, "test 1", DOG | {"more"})])
        assert groups(sides) == {"test 1": {1, 2, 3}}

    def test_posts_are_in_order(self, decide):
        sides = decide([Post(3, "train 3"), Post(1, "train 1", booru="c"), Post(2, "test 2")], [Post(1, "train 4")])
        assert [(row["booru"], row["fid"]) for row in sides.table.to_pylist()] == [
            ("b", 1),
            ("b", 2),
            ("b", 3),
            ("c", 1),
        ]

    def test_another_artist_or_few_tags_make_no_near_duplicate(self, decide):
        few = frozenset(sorted(CAT)[:7])
        sides = decide(
            [
                Post(1, "train 1", CAT),
                Post(2, "test 1", CAT, artist="x"),
                Post(3, "test 2", few),
                Post(4, "train 2", few),
            ]
        )
        assert places(sides) == {1: "train", 2: "test", 3: "test", 4: "train"}

    def test_near_duplicates_can_be_turned_off(self, decide):
        sides = decide([Post(1, "train 1", CAT), Post(2, "test 1", CAT)], options=ONLY_PICTURES)
        assert places(sides) == {1: "train", 2: "test"}

    def test_a_release_without_posts_adds_none(self, decide):
        sides = decide([], [Post(1, "train 1", CAT)], [], [Post(2, "test 1", CAT)])
        assert places(sides) == {1: "train", 2: "train"}
        assert decide_sides({}, OPTIONS).table.num_rows == 0


class TestLaterReleases:
    def test_who_is_like_a_settled_group_joins_it_on_its_side(self, decide):
        sides = decide([Post(1, "train 5", CAT)], [Post(2, "test 1", CAT_AND), Post(3, "validation 1", CAT_LESS)])
        assert groups(sides) == {"train 5": {1, 2, 3}}
        assert set(places(sides).values()) == {"train"}

    def test_a_picture_that_a_group_ever_had_leads_to_it(self, decide):
        sides = decide([Post(1, "train 1")], [Post(1, "test 1")], [Post(2, "test 1"), Post(3, "train 1")])
        assert groups(sides) == {"train 1": {1, 2, 3}}
        assert posts_of(sides)["b", 1]["picture"] == "test 1"
        assert [posts_of(sides)["b", fid]["release"] for fid in (1, 2, 3)] == ["r1", "r2", "r2"]

    def test_so_does_one_that_no_post_of_it_shows_any_more(self, decide):
        first = [Post(1, "train 5", CAT), Post(2, "train 1", CAT_AND)]
        sides = decide(first, [Post(1, "test 9", CAT)], [Post(3, "train 5", DOG)])
        assert groups(sides) == {"train 1": {1, 2, 3}}

    def test_settled_groups_on_one_side_become_one(self, decide):
        sides = decide([Post(1, "train 2", CAT_AND), Post(2, "train 1", CAT_LESS)], [Post(3, "test 1", CAT)])
        assert groups(sides) == {"train 1": {1, 2, 3}}
        assert places(sides)[3] == "train"

    def test_between_a_train_and_a_test_group_a_post_is_left_out_and_the_groups_stay(self, decide):
        sides = decide([Post(1, "train 1", CAT_AND), Post(2, "test 1", CAT_LESS)], [Post(3, "train 2", CAT)])
        assert places(sides) == {1: "train", 2: "test", 3: "between train and test"}
        assert groups(sides) == {"train 1": {1}, "test 1": {2}, "train 2": {3}}

    def test_between_three_sides(self, decide):
        first = [Post(1, "train 1", CAT_AND), Post(2, "test 1", CAT_LESS), Post(3, "validation 1", CAT | {"again"})]
        sides = decide(first, [Post(4, "train 2", CAT)])
        assert places(sides)[4] == "between train and validation and test"

    def test_who_is_left_out_is_counted_to_the_group_of_its_picture(self, decide):
        first = [Post(1, "train 1", CAT_AND), Post(2, "test 1", CAT_LESS), Post(4, "test 5", CAT_LESS)]
        assert groups(decide(first, [Post(3, "test 5", CAT)])) == {"train 1": {1}, "test 1": {2, 3, 4}}

    def test_to_the_one_on_the_strictest_side_if_several_showed_it(self, decide):
        sides = decide(
            [Post(1, "train 1"), Post(2, "validation 1")], [Post(1, "validation 1")], [Post(3, "validation 1")]
        )
        assert places(sides)[3] == "like a post that is left out"
        assert groups(sides) == {"train 1": {1}, "validation 1": {2, 3}}

    def test_left_out_is_for_ever_and_for_who_is_like_it(self, decide):
        first = [Post(1, "train 1", CAT_AND), Post(2, "test 1", CAT_LESS)]
        later = [Post(3, "train 3", DOG), Post(4, "train 4", CAT | {"a"}), Post(5, "train 2", DOG - {"dog 0"})]
        sides = decide(first, [Post(3, "train 2", CAT)], later)
        assert places(sides)[3] == "between train and test"
        assert places(sides)[4] == "train", "like the post before, but not like what it shows now"
        assert places(sides)[5] == "like a post that is left out"
        assert posts_of(sides)["b", 5]["group_md5"] == "train 2"

    def test_a_left_out_post_ties_nobody_to_its_group(self, decide):
        first = [Post(1, "train 1", DOG), Post(2, "train 2", DOG), Post(3, "test 1", CAT)]
        sides = decide(first, [Post(2, "train 2", CAT)], [Post(4, "test 2", DOG), Post(2, "train 2", CAT)])
        assert places(sides) == {1: "train", 2: "joined a test group", 3: "test", 4: "train"}

    @pytest.mark.parametrize(("mild", "strict"), [("train", "validation"), ("train", "test"), ("validation", "test")])
    def test_a_post_that_joins_a_stricter_group_later_is_left_out_and_keeps_its_side(self, decide, mild, strict):
        first = [Post(1, f"{mild} 1", DOG), Post(2, f"{strict} 1", CAT)]
        sides = decide(first, [Post(1, f"{mild} 1", CAT_AND)])
        assert places(sides) == {1: f"joined a {strict} group", 2: strict}
        assert posts_of(sides)["b", 1]["split"] == mild

    def test_so_is_one_that_joins_by_its_picture(self, decide):
        sides = decide([Post(1, "train 1"), Post(2, "test 1")], [Post(1, "test 1")])
        assert places(sides) == {1: "joined a test group", 2: "test"}

    def test_a_test_post_that_becomes_like_a_train_post_gives_way_itself(self, decide):
        first = [Post(1, "train 1", DOG), Post(2, "test 1", CAT)]
        sides = decide(first, [Post(2, "test 1", DOG)])
        assert places(sides) == {1: "train", 2: "between train and test"}
        assert posts_of(sides)["b", 2]["split"] == "test"

    def test_who_is_listed_again_unchanged_stays(self, decide):
        first = [Post(1, "train 1", CAT_AND), Post(2, "test 1", CAT_LESS), Post(4, "test 4", DOG)]
        sides = decide(first, [*first[:2], Post(3, "train 2", CAT), Post(4, "test 4", CAT_AND)])
        assert places(sides) == {1: "train", 2: "test", 3: "between train and test", 4: "between train and test"}

    def test_unchanged_means_since_it_was_listed_last(self, decide):
        first = [Post(1, "train 1", CAT_AND), Post(2, "test 1", DOG)]
        again = Post(2, "test 1", CAT_LESS)
        sides = decide(first, [again], [again, Post(3, "train 2", CAT)])
        assert places(sides) == {1: "train", 2: "test", 3: "between train and test"}

    def test_two_that_change_places_are_both_left_out(self, decide):
        sides = decide([Post(1, "train 1"), Post(2, "test 1")], [Post(1, "test 1"), Post(2, "train 1")])
        assert places(sides) == {1: "joined a test group", 2: "between train and test"}

    def test_only_the_latest_listing_is_what_a_post_is_like(self, decide):
        sides = decide(
            [Post(1, "test 1", CAT)], [Post(1, "test 1", DOG)], [Post(2, "train 1", CAT), Post(3, "train 2", DOG)]
        )
        assert places(sides) == {1: "test", 2: "train", 3: "test"}

    def test_a_picture_on_another_side_of_a_later_shard_stays_where_it_was(self, lake):
        shards = lake([Post(1, "train 1")], [Post(2, "train 1")])
        later = pq.read_table(shards["r1"] / "posts-0.parquet")
        moved = later.set_column(later.column_names.index("split"), "split", [["test"]])
        pq.write_table(moved, shards["r1"] / "posts-0.parquet")
        assert places(decide_sides(shards, OPTIONS)) == {1: "train", 2: "train"}
