"""Promises of the split over random releases, and over copies of the sample world."""

from dataclasses import replace

import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from booru_pipeline.dataset.sides import (
    SIDES,
    count_moved,
    count_near_duplicates_across,
    count_straddling,
    decide_sides,
)
from booru_pipeline.training_shards.shards import shard_files
from booru_pipeline_tests.dataset.listed_posts import (
    CAT,
    DOG,
    ONLY_PICTURES,
    OPTIONS,
    Post,
    alike,
    posts_of,
    write,
    write_shards,
)

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
