"""The commands tags, related and their exports, on a sample home: against plain counting in its shards."""

import csv
import io
import json

import duckdb
import numpy as np
import pyarrow.parquet as pq
import pytest
from safetensors.numpy import load_file

from booru_pipeline.vocabulary.vocabulary import Vocabulary
from booru_pipeline_tests.cli.command import booru


def done(result):
    assert result.returncode == 0, result.stderr
    return result.stdout


def refused(result):
    assert result.returncode == 1
    assert "Traceback" not in result.stderr
    return " ".join(result.stderr.split())


@pytest.fixture(scope="module")
def train(workplace):
    """The label sets of the train posts."""
    shards = workplace / "booru_home" / "shards" / "2021a" / "*.parquet"
    labels = set(Vocabulary.load(checkpoint(workplace)).labels)
    rows = duckdb.sql(f"SELECT tags FROM '{shards}' WHERE split = 'train'").fetchall()
    return [labels.intersection(tags) for (tags,) in rows]


def checkpoint(workplace):
    return workplace / "booru_home" / "checkpoints" / "2021a"


def test_tags_are_found_by_name_and_alias(workplace):
    rows = list(csv.DictReader(io.StringIO(done(booru(workplace, "tags", "rabbit", "--csv")))))
    assert rows[0] == {"tag": "rabbit_ears", "category": "general", "posts": rows[0]["posts"], "alias": ""}
    [row] = [json.loads(line) for line in done(booru(workplace, "tags", "bunny ears", "--json")).splitlines()]
    assert (row["tag"], row["alias"]) == ("rabbit_ears", "bunny_ears")
    assert "no label is called" in refused(booru(workplace, "tags", "no such name"))
    assert "Give one of the two" in refused(booru(workplace, "tags", "hair", "--csv", "--json"))


@pytest.mark.parametrize("by", ["cosine", "jaccard", "lift"])
def test_related_labels_are_those_of_plain_counting(workplace, train, by):
    stated = done(booru(workplace, "related", "bunny ears", "--by", by, "--top", "1000", "--json"))
    found = [json.loads(line) for line in stated.splitlines()]
    with_one = [tags for tags in train if "rabbit_ears" in tags]
    assert len(found) > 20
    for row in found:
        n, m = len(with_one), sum(row["tag"] in tags for tags in train)
        k = sum(row["tag"] in tags for tags in with_one)
        likeness = {"cosine": k / (n * m) ** 0.5, "jaccard": k / (n + m - k), "lift": k * len(train) / (n * m)}[by]
        assert (row["together"], row["posts"]) == (k, m)
        assert row[by] == pytest.approx(likeness, rel=0.02, abs=1e-3)
        assert by != "lift" or k >= 5
    assert [row[by] for row in found] == sorted((row[by] for row in found), reverse=True)


def test_related_by_vectors_and_their_export_are_the_models(workplace, tmp_path):
    done(booru(workplace, "export", "embeddings", str(tmp_path / "labels.parquet")))
    table = pq.read_table(tmp_path / "labels.parquet")
    vocabulary = Vocabulary.load(checkpoint(workplace))
    weights = load_file(checkpoint(workplace) / "model.safetensors")["shared.weight"]
    vectors = np.stack(table["vector"].to_numpy())
    assert table["tag"].to_pylist() == vocabulary.labels
    assert (vectors == weights[vocabulary.first_token_id :][: len(vocabulary)]).all()
    stated = done(booru(workplace, "related", "rabbit_ears", "--by", "vectors", "--top", "3", "--json"))
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    for row in map(json.loads, stated.splitlines()):
        cosine = unit[vocabulary.index["rabbit_ears"]] @ unit[vocabulary.index[row["tag"]]]
        assert row["vectors"] == pytest.approx(cosine, abs=1e-3)
    assert "as Parquet" in refused(booru(workplace, "export", "embeddings", str(tmp_path / "labels.csv")))


def test_other_tools_read_the_exports_and_nothing_is_overwritten(workplace, train, tmp_path):
    path = tmp_path / "tags.csv"
    done(booru(workplace, "export", "tags", str(path)))
    rows = list(csv.reader(path.open(encoding="utf-8")))
    [ears] = [row for row in rows if row[0] == "rabbit_ears"]
    assert ears[1] == "0"
    assert "bunny_ears" in ears[3].split(",")
    assert [int(row[2]) for row in rows] == sorted((int(row[2]) for row in rows), reverse=True)
    path.write_text("mine")
    assert "--force" in refused(booru(workplace, "export", "tags", str(path)))
    assert path.read_text() == "mine"
    done(booru(workplace, "export", "cooccurrence", str(path), "--force"))
    pairs = list(csv.DictReader(path.open(encoding="utf-8")))
    assert len({frozenset((row["first"], row["second"])) for row in pairs}) == len(pairs)
    for row in pairs[:: len(pairs) // 50]:
        assert int(row["together"]) == sum({row["first"], row["second"]} <= tags for tags in train)
    assert "Name a file" in refused(booru(workplace, "export", "tags", str(tmp_path)))
    assert "cannot write" in refused(booru(workplace, "export", "tags", str(tmp_path / "no" / "tags.csv")))
    assert [item.name for item in tmp_path.iterdir()] == ["tags.csv"]


def test_unknown_names_and_likenesses_are_refused_with_the_remedy(workplace):
    assert "Did you mean rabbit_ears" in refused(booru(workplace, "related", "rabbit_eers"))
    assert "cosine, jaccard, lift, vectors" in refused(booru(workplace, "related", "1girl", "--by", "taste"))
