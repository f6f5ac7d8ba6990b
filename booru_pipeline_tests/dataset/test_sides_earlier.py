"""Sides in a file, and where deciding starts."""

from dataclasses import replace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from booru_pipeline.dataset.options import DatasetOptions, SplitOptions
from booru_pipeline.dataset.sides import (
    SIDES_FILE,
    Sides,
    decide_sides,
)
from booru_pipeline.errors import BooruError
from booru_pipeline_tests.dataset.listed_posts import (
    CAT,
    CAT_AND,
    DOG,
    OPTIONS,
    Post,
    places,
)


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
