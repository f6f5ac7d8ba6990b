"""Sides in a file, and where deciding starts."""

import json
from dataclasses import replace

import pyarrow as pa
import pytest

from booru_pipeline.dataset.ledger import LEDGER_FOLDER, version_of_rules
from booru_pipeline.dataset.options import SplitOptions
from booru_pipeline.dataset.sides import Sides, decide_sides
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

    def test_what_holds_no_sides_says_so(self, tmp_path):
        with pytest.raises(BooruError, match="there are no sides"):
            Sides.read(tmp_path)
        (tmp_path / LEDGER_FOLDER).mkdir()
        with pytest.raises(BooruError, match="cannot be read"):
            Sides.read(tmp_path)
        for version, match in (("1", "another version"), (version_of_rules(), "cannot be read")):
            content = {"version": version, "shards": {"r0": ""}, "options": {}, "checksums": [0]}
            (tmp_path / LEDGER_FOLDER / "parts.json").write_text(json.dumps(content))
            (tmp_path / LEDGER_FOLDER / "r0.arrow").write_bytes(b"nonsense")
            with pytest.raises(BooruError, match=match):
                Sides.read(tmp_path)

    def test_missing_shards_say_how_to_make_them(self, tmp_path):
        with pytest.raises(BooruError, match="--to training_shards"):
            decide_sides({"r0": tmp_path / "r0"}, OPTIONS)
