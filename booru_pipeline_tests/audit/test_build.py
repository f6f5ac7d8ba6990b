import shutil

import numpy as np
import pyarrow.parquet as pq
import pytest

from booru_pipeline.audit.build import build_audit
from booru_pipeline.audit.options import AuditOptions
from booru_pipeline.audit.release_posts import ReleasePosts
from booru_pipeline.audit.tables import MISSING, NOT_KEPT, SCHEMAS, SUSPECT
from booru_pipeline.errors import BooruError
from booru_pipeline.training_shards.relations import Relations
from booru_pipeline.training_shards.shards import shard_files
from booru_pipeline.vocabulary.vocabulary import Vocabulary

RELATIONS = Relations({}, {"usada_pekora": frozenset({"rabbit_ears"}), "hat": frozenset({"sword"})}, "the test")
OPTIONS = AuditOptions(min_probability=0.2, max_ratio=0.8, asked_share=0.5, core_posts=10)


def build(world, output, release="2021b", **changed):
    places = {
        "shards": world.shards[release],
        "dataset": world.dataset,
        "vocabulary": world.vocabulary,
        "checkpoint": world.checkpoint,
        "output": output,
        "options": OPTIONS,
        "relations": RELATIONS,
    }
    return build_audit(**{**places, **changed})


@pytest.fixture(scope="module")
def audit(world, tmp_path_factory):
    folder = tmp_path_factory.mktemp("audit") / "2021b"
    return build(world, folder), folder


def rows(folder, name):
    return pq.read_table(folder / f"{name}.parquet").to_pylist()


def posts_of(world, release):
    table = pq.read_table(shard_files(world.shards[release])).to_pylist()
    return {(post["booru"], post["fid"]): set(post["tags"]) for post in table}


def test_every_table_has_its_columns_and_the_rows_that_are_told(audit):
    found, folder = audit
    for name, schema in SCHEMAS.items():
        file = pq.ParquetFile(folder / f"{name}.parquet")
        assert file.schema_arrow.equals(schema)
        assert file.metadata.num_rows == found.rows[name]
    assert set(found.rows) == set(SCHEMAS)


def test_findings_are_about_the_release_s_posts(world, audit):
    found, folder = audit
    posts, labels = posts_of(world, "2021b"), set(Vocabulary.load(world.vocabulary).labels)
    assert found.posts == len(posts)
    assert found.tags == sum(len(tags & labels) for tags in posts.values())
    assert found.left_out == 0
    missing, suspects = rows(folder, MISSING), rows(folder, SUSPECT)
    assert missing
    assert suspects
    for row in missing:
        assert row["tag"] in labels - posts[row["booru"], row["fid"]]
    for row in suspects:
        assert row["tag"] in posts[row["booru"], row["fid"]]


def test_evidence_is_counted_on_all_posts_so_far(world, audit):
    _, folder = audit
    labels = set(Vocabulary.load(world.vocabulary).labels)
    # The second release lists some posts of the first again: each counts as it was listed last.
    every = {**posts_of(world, "2021a"), **posts_of(world, "2021b")}
    kept = [tags & labels for tags in every.values()]
    missing = [row for row in rows(folder, MISSING) if row["because"]][:20]
    assert missing
    for row in missing:
        for one in row["because"]:
            with_tag = [tags for tags in kept if one["tag"] in tags]
            assert one["posts"] == len(with_tag)
            assert one["together"] == sum(row["tag"] in tags for tags in with_tag)
    for row in [row for row in rows(folder, SUSPECT) if row["because"]][:20]:
        for one in row["because"]:
            assert one["tag"] != row["tag"]
            assert one["together"] < one["expected"]


def test_order_and_probabilities(audit):
    _, folder = audit
    missing, suspects = rows(folder, MISSING), rows(folder, SUSPECT)
    probabilities = [row["probability"] for row in missing]
    assert probabilities == sorted(probabilities, reverse=True)
    assert all(row["probability"] == 1 for row in missing if row["implied"])
    assert all(row["probability"] >= OPTIONS.min_probability or row["core_of"] for row in missing)
    ratios = [row["ratio"] for row in suspects]
    assert ratios == sorted(ratios)
    assert max(ratios) <= OPTIONS.max_ratio
    for row in suspects:
        assert row["ratio"] == pytest.approx(row["probability"] / row["rate"], rel=1e-4)


def test_what_is_implied_is_told_by_what_implies_it(audit):
    _, folder = audit
    implied = [row for row in rows(folder, MISSING) if row["implied"]]
    assert {row["tag"] for row in implied} == {"rabbit_ears", "sword"}
    sources = {"rabbit_ears": "usada_pekora", "sword": "hat"}
    assert all(row["because"][0]["tag"] == sources[row["tag"]] for row in implied)


def test_an_implication_that_posts_do_not_keep_is_named(audit):
    _, folder = audit
    broken = {(row["antecedent"], row["consequent"]): row for row in rows(folder, NOT_KEPT)}
    assert ("hat", "sword") in broken
    assert broken["hat", "sword"]["counter_examples"]


def test_another_vocabulary_is_refused_and_nothing_is_written(world, tmp_path):
    other = shutil.copytree(world.vocabulary, tmp_path / "other")
    table = pq.read_table(other / "labels.parquet")
    pq.write_table(table.take(np.arange(len(table))[::-1].copy()), other / "labels.parquet")
    with pytest.raises(BooruError, match="was trained with another vocabulary than"):
        build(world, tmp_path / "audit", vocabulary=other)
    assert not (tmp_path / "audit").exists()


@pytest.mark.parametrize("what", ["shards", "dataset", "vocabulary", "checkpoint"])
def test_what_is_not_there_is_named(world, tmp_path, what):
    with pytest.raises(BooruError, match="booru run"):
        build(world, tmp_path / "audit", **{what: tmp_path / "nowhere"})
    assert not (tmp_path / "audit").exists()


def test_tags_that_are_no_labels_are_passed_over(world):
    vocabulary = Vocabulary.load(world.vocabulary)
    posts = ReleasePosts.read(world.shards["2021b"], vocabulary, RELATIONS).posts
    expected = posts_of(world, "2021b")
    for about, labels in zip(posts.about.to_pylist(), posts.labels, strict=True):
        tags = expected[about["booru"], about["fid"]]
        assert {vocabulary.labels[row] for row in labels} == tags & set(vocabulary.labels)


def test_what_a_rare_tag_implies_is_missing_and_never_suspect(world, tmp_path):
    # carrot_pen is on too few posts to be a label.
    relations = Relations({}, {"carrot_pen": frozenset({"pen"}), "pen": frozenset({"carrot", "smile"})}, "the test")
    options = AuditOptions(asked_share=1.0, max_ratio=1e9)
    build(world, tmp_path / "audit", release="2021a", relations=relations, options=options)
    posts = {key: tags for key, tags in posts_of(world, "2021a").items() if "carrot_pen" in tags}
    assert posts
    implied = [row for row in rows(tmp_path / "audit", MISSING) if row["implied"]]
    found = {(row["booru"], row["fid"], row["tag"]) for row in implied}
    assert found == {(*key, tag) for key, tags in posts.items() for tag in {"carrot", "smile"} - tags}
    first = {"tag": "carrot_pen", "together": None, "posts": None, "expected": None}
    assert all(row["because"][0] == first for row in implied)
    suspect = {(row["booru"], row["fid"]) for row in rows(tmp_path / "audit", SUSPECT) if row["tag"] == "smile"}
    assert suspect
    assert not suspect & {key for key, tags in posts.items() if "smile" in tags}
