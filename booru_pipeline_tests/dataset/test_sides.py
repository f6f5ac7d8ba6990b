"""The split's rules on posts made by hand, its promises over random sequences of releases, and checks on planted leaks.

A picture's name begins with the side that the shards have for it, as a hash would decide: `train 1`, `test 1`.
"""

import hashlib
import json
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from booru_pipeline.dataset.options import DatasetOptions, SplitOptions
from booru_pipeline.dataset.sides import (
    SIDES,
    SIDES_FILE,
    Sides,
    count_moved,
    count_near_duplicates_across,
    count_straddling,
    decide_sides,
)
from booru_pipeline.errors import BooruError
from booru_pipeline.training_shards.shards import shard_files

OPTIONS = SplitOptions()
ONLY_PICTURES = SplitOptions(near_duplicate_jaccard=0)

# Ten tags each. Posts with one more or one fewer are near-duplicates of the plain one, and not of each other.
CAT = frozenset(f"cat {i}" for i in range(10))
DOG = frozenset(f"dog {i}" for i in range(10))
CAT_AND, CAT_LESS = CAT | {"more"}, CAT - {"cat 0"}


@dataclass(frozen=True)
class Post:
    fid: int
    picture: str
    tags: frozenset = frozenset()
    booru: str = "b"
    artist: str = "someone"


def write(folder, posts):
    """A folder of shards, with what `decide_sides` reads of a manifest."""
    tags = [[*post.tags, post.artist] for post in posts]
    table = pa.table(
        {
            "booru": pa.array([post.booru for post in posts], pa.string()),
            "fid": pa.array([post.fid for post in posts], pa.int64()),
            "split": pa.array([post.picture.split()[0] for post in posts], pa.string()),
            "group_md5": pa.array([post.picture for post in posts], pa.string()),
            "tags": pa.array(tags, pa.list_(pa.string())),
            "categories": pa.array([[*[0] * len(post.tags), 1] for post in posts], pa.list_(pa.int8())),
        }
    ).add_column(2, "release", pa.array([folder.name] * len(posts), pa.string()))
    return write_shards(folder, table)


def write_shards(folder, table):
    folder.mkdir(parents=True)
    pq.write_table(table, folder / "posts-0.parquet")
    manifest = {
        "release": folder.name,
        "posts": len(table),
        "tags": len(table["tags"].combine_chunks().flatten()),
        "splits": {},
        "files": ["posts-0.parquet"],
        "content_sha256": hashlib.sha256((folder / "posts-0.parquet").read_bytes()).hexdigest(),
    }
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


@pytest.fixture
def lake(tmp_path):
    def make(*releases, name="lake"):
        return {f"r{number}": write(tmp_path / name / f"r{number}", posts) for number, posts in enumerate(releases)}

    return make


def posts_of(sides):
    return {(row["booru"], row["fid"]): row for row in sides.table.to_pylist()}


def places(sides):
    """By fid: the side of a post in use, or why it is left out."""
    return {row["fid"]: row["left_out"] or row["split"] for row in sides.table.to_pylist()}


def groups(sides):
    found = {}
    for row in sides.table.to_pylist():
        found.setdefault(row["group_md5"], set()).add(row["fid"])
    return found


@pytest.fixture
def decide(lake):
    def run(*releases, options=OPTIONS):
        shards = lake(*releases)
        sides = decide_sides(shards, options)
        assert count_straddling(sides).examples == []
        assert count_near_duplicates_across(shards, sides).pairs == 0
        return sides

    return run


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


POSTS = st.builds(
    Post,
    fid=st.integers(1, 9),
    picture=st.sampled_from([f"{side} {number}" for side in SIDES for number in range(3)]),
    tags=st.builds(
        lambda base, less, more: (base - less) | more,
        st.sampled_from([CAT, DOG]),
        st.frozensets(st.sampled_from(["cat 0", "cat 1", "dog 0", "dog 1"]), max_size=1),
        st.frozensets(st.sampled_from(["x", "y", "z"]), max_size=1),
    ),
    booru=st.sampled_from(["b", "c"]),
    artist=st.sampled_from(["someone", "someone", "other"]),
)
RELEASES = st.lists(st.lists(POSTS, max_size=8, unique_by=lambda post: (post.booru, post.fid)), min_size=2, max_size=3)


@settings(max_examples=20, suppress_health_check=[HealthCheck.too_slow])
@given(releases=RELEASES, data=st.data())
def test_the_split_keeps_its_promises(tmp_path_factory, releases, data):
    folder = tmp_path_factory.mktemp("lake")
    shards = {f"r{number}": write(folder / f"r{number}", posts) for number, posts in enumerate(releases)}
    final = decide_sides(shards, OPTIONS)

    latest = {(post.booru, post.fid): (f"r{n}", post) for n, posts in enumerate(releases) for post in posts}
    assert {key: (row["release"], row["picture"]) for key, row in posts_of(final).items()} == {
        key: (release, post.picture) for key, (release, post) in latest.items()
    }
    rows = list(posts_of(final).values())
    assert all(row["split"] == row["group_md5"].split()[0] for row in rows), "a group's side is its picture's"
    used = [row for row in rows if row["left_out"] is None]
    for one in used:
        for other in used:
            same_picture = one["picture"] == other["picture"]
            if same_picture or alike(latest[one["booru"], one["fid"]][1], latest[other["booru"], other["fid"]][1]):
                assert one["split"] == other["split"]
    assert count_straddling(final).examples == []
    assert count_near_duplicates_across(shards, final).pairs == 0

    before = None
    for number in range(1, len(shards) + 1):
        prefix = dict(list(shards.items())[:number])
        after = decide_sides(prefix, OPTIONS, before)
        assert count_moved(after, final).examples == []
        if before is not None:
            assert count_moved(before, after).examples == []
            assert posts_of(before).keys() <= posts_of(after).keys()
            for post, row in posts_of(before).items():
                assert posts_of(after)[post]["split"] == row["split"]
                assert row["left_out"] in (None, posts_of(after)[post]["left_out"])
        before = after
    assert before == final, "step by step it is the same as from the start"

    shuffled = {
        f"r{number}": write(folder / "shuffled" / f"r{number}", data.draw(st.permutations(posts)))
        for number, posts in enumerate(releases)
    }
    assert decide_sides(shuffled, OPTIONS).table == final.table


def alike(one, other):
    common = len(one.tags & other.tags)
    return one.artist == other.artist and common / (len(one.tags) + len(other.tags) - common) >= 0.9


class TestEarlier:
    FIRST = (Post(1, "train 1", CAT), Post(2, "test 1", DOG))
    SECOND = (Post(3, "train 2", CAT_AND), Post(2, "train 3", DOG))

    @pytest.fixture
    def shards(self, lake):
        return lake(self.FIRST, self.SECOND)

    def first(self, shards):
        return {"r0": shards["r0"]}

    def flipped(self, sides):
        """Sides that cannot be right, to see whether they are used."""
        column = sides.table.column_names.index("split")
        return replace(
            sides, table=sides.table.set_column(column, "split", pa.array(["validation"] * len(sides.table)))
        )

    def test_it_is_written_and_read(self, shards, tmp_path):
        sides = decide_sides(shards, DatasetOptions(near_duplicate_min_tags=9))
        sides.write(tmp_path)
        assert Sides.read(tmp_path) == sides
        assert sides.options == SplitOptions(near_duplicate_min_tags=9)
        assert list(sides.shards) == ["r0", "r1"]

    def test_it_is_where_deciding_starts(self, shards):
        sides = decide_sides(shards, OPTIONS, self.flipped(decide_sides(self.first(shards), OPTIONS)))
        assert places(sides) == {1: "validation", 2: "validation", 3: "validation"}

    def test_it_keeps_who_is_left_out(self, lake):
        first = [Post(1, "train 1", DOG), Post(2, "test 1", CAT)]
        shards = lake(first, [Post(1, "train 1", CAT)], [Post(3, "train 3", CAT_AND)])
        earlier = decide_sides({release: shards[release] for release in ("r0", "r1")}, OPTIONS)
        sides = decide_sides(shards, OPTIONS, earlier)
        assert places(sides) == {1: "joined a test group", 2: "test", 3: "like a post that is left out"}
        assert sides == decide_sides(shards, OPTIONS)

    def test_it_is_the_result_if_it_has_all_releases(self, shards):
        sides = decide_sides(shards, OPTIONS)
        assert decide_sides(shards, OPTIONS, sides) is sides

    @pytest.mark.parametrize("other", ["options", "content", "order", "more"])
    def test_sides_of_something_else_are_not_used(self, shards, lake, other):
        expected = decide_sides(shards, OPTIONS)
        earlier = decide_sides(self.first(shards), OPTIONS)
        if other == "options":
            earlier = decide_sides(self.first(shards), SplitOptions(near_duplicate_min_tags=9))
        elif other == "content":
            earlier = decide_sides({"r0": lake(self.SECOND, name="other")["r0"]}, OPTIONS)
        elif other == "order":
            earlier = decide_sides({"r1": shards["r1"]}, OPTIONS)
        else:
            earlier = decide_sides({**shards, **lake([], [], [Post(7, "test 7")], name="more")}, OPTIONS)
        assert decide_sides(shards, OPTIONS, self.flipped(earlier)) == expected

    def test_what_is_no_file_of_sides_says_so(self, shards, tmp_path):
        path = tmp_path / SIDES_FILE
        with pytest.raises(BooruError, match="there are no sides"):
            Sides.read(tmp_path)
        path.write_bytes(b"nonsense")
        with pytest.raises(BooruError, match=r"sides\.parquet cannot be read"):
            Sides.read(tmp_path)
        pq.write_table(pa.table({"a": [1]}), path)
        with pytest.raises(BooruError, match="cannot be read"):
            Sides.read(tmp_path)
        sides = decide_sides(shards, OPTIONS)
        replace(sides, table=sides.table.drop_columns(["left_out"])).write(tmp_path)
        with pytest.raises(BooruError, match="another version"):
            Sides.read(tmp_path)

    def test_a_changed_byte_is_noticed_or_is_in_the_way_or_does_not_matter(self, shards, tmp_path):
        sides = decide_sides(shards, OPTIONS)
        sides.write(tmp_path)
        content = (tmp_path / SIDES_FILE).read_bytes()
        noticed = 0
        for place in range(0, len(content), 11):
            (tmp_path / SIDES_FILE).write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
            try:
                found = Sides.read(tmp_path)
            except BooruError:
                noticed += 1
            else:
                assert found == sides or not found.is_start_of(sides.shards, OPTIONS)
        assert noticed > len(content) / 11 / 2

    def test_missing_shards_say_how_to_make_them(self, tmp_path):
        with pytest.raises(BooruError, match="--to training_shards"):
            decide_sides({"r0": tmp_path / "r0"}, OPTIONS)


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


def test_copies_of_the_sample_worlds_posts_join_the_originals(shards, tmp_path):
    """Every post once more, under another number and picture, on another side by its hash."""
    originals = decide_sides(shards, OPTIONS)
    assert count_straddling(originals).examples == []
    rows = {
        (r["booru"], r["fid"]): r for path in shard_files(*shards.values()) for r in pq.read_table(path).to_pylist()
    }
    following = dict(zip(SIDES, [*SIDES[1:], SIDES[0]], strict=True))
    copies = [
        {
            **row,
            "release": "2021c",
            "fid": row["fid"] + 10**9,
            "split": following[row["split"]],
            "group_md5": row["group_md5"][::-1],
        }
        for row in rows.values()
    ]
    write_shards(tmp_path / "2021c", pa.Table.from_pylist(copies, pq.read_schema(shard_files(shards["2021a"])[0])))
    releases = {**shards, "2021c": tmp_path / "2021c"}
    sides = decide_sides(releases, OPTIONS, originals)
    assert count_moved(originals, sides).examples == []
    assert count_straddling(sides).examples == []
    assert count_near_duplicates_across(releases, sides).pairs == 0
    placed = posts_of(sides)
    content = {post: sum(category not in (1, 5) for category in row["categories"]) for post, row in rows.items()}
    for booru, fid in rows:
        copy = placed[booru, fid + 10**9]
        assert copy["left_out"] is None
        if content[booru, fid] >= OPTIONS.near_duplicate_min_tags:
            assert copy["group_md5"] == placed[booru, fid]["group_md5"]
    alone = sum(placed[booru, fid + 10**9]["split"] == following[row["split"]] for (booru, fid), row in rows.items())
    assert 0 < alone < len(rows) / 5, "those of too few tags"
    pictures_only = replace(decide_sides(releases, ONLY_PICTURES), options=OPTIONS)
    assert count_near_duplicates_across(releases, pictures_only).pairs > len(rows) / 2
