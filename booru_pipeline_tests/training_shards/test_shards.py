import itertools
import shutil
from collections import Counter

import duckdb
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from booru_pipeline import sql
from booru_pipeline.errors import BooruError
from booru_pipeline.lake.publish import Staging
from booru_pipeline.lake.record import Record
from booru_pipeline.release.find import find_releases
from booru_pipeline.tag_table.load import load_release
from booru_pipeline.tag_table.options import TagTableOptions
from booru_pipeline.training_shards.options import ShardOptions
from booru_pipeline.training_shards.shards import (
    ShardManifest,
    build_shards,
    count_lost,
    count_straddling,
    earlier_releases,
    shard_files,
)


def record(stage, release):
    return Record(stage=stage, release=release, key="key")


@pytest.fixture(scope="module")
def tables(raw, tmp_path_factory):
    folder = tmp_path_factory.mktemp("tables")
    paths = {}
    for release in find_releases(raw).releases:
        paths[release.key] = folder / f"{release.key}.duckdb"
        options = TagTableOptions()
        load_release(
            release, paths[release.key], Staging(folder / ".staging"), options, record("tag_table", release.key)
        )
    return paths


@pytest.fixture
def build(tables, tmp_path):
    def make(release, options=ShardOptions(), name=None, aliases=None):  # noqa: B008  (frozen)
        folder = tmp_path / (name or release)
        made = record("training_shards", release)
        build_shards(tables[release], folder, Staging(tmp_path / ".staging"), options, made, aliases)
        return folder

    return make


def rows(*folders):
    return [row for path in shard_files(*folders) for row in pq.read_table(path).to_pylist()]


def test_posts_are_the_tag_tables_own(build, tables):
    shards = build("2021a")
    with duckdb.connect(str(tables["2021a"]), read_only=True) as connection:
        tags = {}
        for booru, fid, tag, category in connection.execute("SELECT booru, fid, tag, tag_cat FROM tags").fetchall():
            tags.setdefault((booru, fid), {})[tag] = category
        files = connection.execute("SELECT booru, fid, orig_md5 FROM files").fetchall()
    posts = {(row["booru"], row["fid"]): row for row in rows(shards)}
    assert len(posts) == len(rows(shards)) == len(files)
    for booru, fid, md5 in files:
        post = posts[booru, fid]
        assert dict(zip(post["tags"], post["categories"], strict=True)) == tags.get((booru, fid), {})
        assert post["group_md5"] == md5
        assert post["release"] == "2021a"
    assert count_lost(shards, tables["2021a"]) == {"posts": 0, "tags": 0}


def test_the_manifest_counts_what_is_there(build):
    shards = build("2021a")
    manifest = ShardManifest.read(shards)
    content = rows(shards)
    assert manifest.posts == len(content)
    assert manifest.tags == sum(len(row["tags"]) for row in content)
    assert {split: counts["posts"] for split, counts in manifest.splits.items()} == {
        split: sum(row["split"] == split for row in content) for split in ("train", "validation", "test")
    }


def write_table(path, posts):
    """A tag table with these posts: of each its tags, and their categories (None is what an empty field becomes)."""
    with duckdb.connect(str(path)) as connection:
        sql.run(connection, "tag_table", "schema")
        for fid, tags in enumerate(posts):
            connection.execute("INSERT INTO files (booru, fid, shard, file_name) VALUES ('b', ?, 's', 'f')", [fid])
            for tag, category in tags.items():
                connection.execute(
                    "INSERT INTO tags (booru, fid, tag, tag_cat) VALUES ('b', ?, ?, ?)", [fid, tag, category]
                )
    return path


def posts_with_aliases(folder, posts, aliases):
    """The posts in the shards, by fid, and the manifest."""
    table = write_table(folder / "table.duckdb", posts)
    shards = folder / "shards"
    manifest = build_shards(
        table, shards, Staging(folder / ".staging"), ShardOptions(), record("training_shards", "2021a"), aliases
    )
    assert ShardManifest.read(shards) == manifest
    assert count_lost(shards, table) == {"posts": 0, "tags": 0}
    content = {row["fid"]: dict(zip(row["tags"], row["categories"], strict=True)) for row in rows(shards)}
    assert [row["tags"] for row in rows(shards)] == [sorted(row["tags"]) for row in rows(shards)]
    return [content[fid] for fid in range(len(posts))], manifest


def test_aliases_become_their_tag_once_a_post(tmp_path):
    posts = [
        {"bunny_ears": 0, "rabbit_ears": 4, "hat": 0},  # both: the tag's own row counts
        {"bunny_ears": 3, "usagimimi": 3},  # two aliases of a tag: the tag's usual category
        {"rabbit_ears": 0},
        {"rabbit_ears": 0},
        {"inu": 4, "doggo": None},  # a tag that is nowhere in the table: the first alias's category
        {"inu": 4},
        {},
    ]
    aliases = {"bunny_ears": "rabbit_ears", "usagimimi": "rabbit_ears", "inu": "dog", "doggo": "dog", "x": "hat"}
    content, manifest = posts_with_aliases(tmp_path, posts, aliases)
    assert content == [
        {"rabbit_ears": 4, "hat": 0},
        {"rabbit_ears": 0},
        {"rabbit_ears": 0},
        {"rabbit_ears": 0},
        {"dog": -1},
        {"dog": 4},
        {},
    ]
    assert (manifest.tags, manifest.aliased, manifest.merged) == (7, 6, 3)
    assert manifest.frequent_aliases == [
        {"alias": "bunny_ears", "tag": "rabbit_ears", "rows": 2},
        {"alias": "inu", "tag": "dog", "rows": 2},
        {"alias": "doggo", "tag": "dog", "rows": 1},
        {"alias": "usagimimi", "tag": "rabbit_ears", "rows": 1},
    ]


NAMES = ["a", "b", "c", "d", "e", "f"]
CATEGORIES = st.sampled_from([None, -1, 0, 3, 4])


@settings(max_examples=40)
@given(
    posts=st.lists(st.dictionaries(st.sampled_from(NAMES), CATEGORIES), min_size=1, max_size=8),
    aliases=st.dictionaries(st.sampled_from(NAMES[:4]), st.sampled_from(NAMES[4:])),
)
def test_aliases_equal_plain_python(tmp_path_factory, posts, aliases):
    content, manifest = posts_with_aliases(tmp_path_factory.mktemp("aliases"), posts, aliases)
    posts = [{tag: -1 if category is None else category for tag, category in post.items()} for post in posts]
    usual = {}
    for tag in NAMES:
        counts = Counter(post[tag] for post in posts if tag in post)
        usual[tag] = min(counts, key=lambda category: (-counts[category], category), default=None)
    for post, got in zip(posts, content, strict=True):
        wanted = {tag: category for tag, category in post.items() if tag not in aliases}
        for alias in sorted(set(post) & set(aliases)):
            tag = aliases[alias]
            if tag not in wanted:
                wanted[tag] = post[alias] if usual[tag] is None else usual[tag]
        assert got == wanted
    assert manifest.aliased == sum(tag in aliases for post in posts for tag in post)
    assert manifest.merged == sum(map(len, posts)) - sum(map(len, content))


def test_a_tag_that_got_lost_is_not_taken_for_a_merged_one(tmp_path):
    posts_with_aliases(tmp_path, [{"a": 0, "b": 0, "c": 0}], {"a": "b"})
    with duckdb.connect(str(tmp_path / "table.duckdb")) as connection:
        connection.execute("INSERT INTO tags (booru, fid, tag) VALUES ('b', 0, 'd'), ('b', 0, 'e')")
    assert count_lost(tmp_path / "shards", tmp_path / "table.duckdb") == {"posts": 0, "tags": 2}


def test_aliases_that_no_post_has_change_nothing(build):
    unused = {f"unused {number}": "rabbit_ears" for number in range(100)}
    plain, same = ShardManifest.read(build("2021a", name="plain")), ShardManifest.read(build("2021a", aliases=unused))
    assert plain == same
    assert (same.aliased, same.merged, same.frequent_aliases) == (0, 0, [])


def test_the_same_table_gives_the_same_bytes(build):
    assert (
        ShardManifest.read(build("2021a", name="one")).content_sha256
        == ShardManifest.read(build("2021a", name="two")).content_sha256
        != ShardManifest.read(build("2021b")).content_sha256
    )


def test_a_picture_is_on_one_side_over_boorus_and_releases(build):
    content = rows(build("2021a"), build("2021b"))
    sides = {}
    for row in content:
        sides.setdefault(row["group_md5"], set()).add(row["split"])
    assert all(len(side) == 1 for side in sides.values())
    assert len(sides) < len(content), "the sample world has no picture on two boorus: this test cannot fail"
    posts = {}
    for row in content:
        posts.setdefault((row["booru"], row["fid"]), set()).add(row["release"])
    assert any(len(releases) == 2 for releases in posts.values()), "no post is listed again: this test cannot fail"


def test_another_salt_moves_pictures_and_the_check_notices(build):
    shards = build("2021a"), build("2021b", ShardOptions(salt="other"))
    assert count_straddling(*shards) > 0
    assert count_straddling(shards[0]) == 0


def test_shares_are_about_what_was_asked_for(build):
    posts = ShardManifest.read(build("2021a", ShardOptions(validation_share=0.2, test_share=0.3))).splits
    total = sum(split["posts"] for split in posts.values())
    assert 0.1 < posts["validation"]["posts"] / total < 0.3
    assert 0.2 < posts["test"]["posts"] / total < 0.4


def test_reading_in_order_is_already_shuffled(build):
    fids = [row["fid"] for row in rows(build("2021a"))]
    rising = sum(first < second for first, second in itertools.pairwise(fids))
    assert 0.4 < rising / len(fids) < 0.6


def test_missing_artifacts_say_how_to_make_them(tmp_path):
    with pytest.raises(BooruError, match="--to tag_table"):
        build_shards(
            tmp_path / "x.duckdb", tmp_path / "x", Staging(tmp_path / "s"), ShardOptions(), record("s", "2021a")
        )
    assert not (tmp_path / "x").exists()
    with pytest.raises(BooruError, match="--to training_shards"):
        ShardManifest.read(tmp_path / "nothing")


def test_a_gap_in_the_history_is_an_error_that_names_it():
    assert earlier_releases("2021c", ["2021a", "2021c"], {"2021b", "2021a", "2021d"}) == ["2021a", "2021b"]
    with pytest.raises(BooruError, match="2021b, which comes earlier and has no training shards"):
        earlier_releases("2021c", ["2021a", "2021b", "2021c"], {"2021a"})


@pytest.fixture
def altered(tables, tmp_path):
    """Shards of the first release after a statement changed its tag table."""

    def make(statement, **options):
        table = tmp_path / "altered.duckdb"
        shutil.copy(next(iter(tables.values())), table)
        with duckdb.connect(str(table)) as connection:
            connection.execute(statement)
        folder = tmp_path / "altered"
        made = record("training_shards", "2021a")
        manifest = build_shards(table, folder, Staging(tmp_path / ".staging"), ShardOptions(**options), made)
        assert count_lost(folder, table) == {"posts": 0, "tags": 0}
        return manifest, rows(folder)

    return make


@pytest.mark.parametrize(
    "md5", [None, "", "0" * 32, "f" * 32, "d41d8cd98f00b204e9800998ecf8427e", "abc", "5" + "0123456789abcde" * 2 + "f"]
)
def test_posts_whose_md5_is_no_pictures_are_not_one_picture(altered, md5):
    value = "NULL" if md5 is None else f"'{md5}'"
    manifest, posts = altered(f"UPDATE files SET orig_md5 = {value} WHERE rowid < 200")
    groups = Counter(row["group_md5"] for row in posts)
    assert manifest.without_picture == 200
    assert max(groups.values()) < 20
    assert len(groups) > len(posts) - 100


def test_ratings_and_scores_choose_posts_and_are_in_the_shards(altered):
    rate = """
        UPDATE files SET
            rating = CASE fid % 4 WHEN 0 THEN 'g' WHEN 1 THEN 's' WHEN 2 THEN 'e' END,
            score = CASE WHEN fid % 3 > 0 THEN (fid % 10)::INTEGER END
    """
    manifest, posts = altered(rate, ratings=["g", "s", "unrated"], min_score=5)
    assert {row["rating"] for row in posts} == {"g", "s", None}
    assert {row["score"] for row in posts} == {None, *range(5, 10)}
    assert manifest.left_out_posts + len(posts) == 400
    assert 0 < len(posts) < 400
    assert manifest.left_out_tags > 0


def test_ratings_that_leave_nothing_are_named(altered):
    with pytest.raises(BooruError, match=r"ratings and min_score leave out all .* `unrated` is for posts"):
        altered("UPDATE files SET rating = NULL", ratings=["g"])
