"""Two releases of a small world, each with its own vocabulary, dataset and checkpoint, as the pipeline makes them."""

import json

import pytest

from booru_pipeline.dataset.build import build_dataset
from booru_pipeline.dataset.options import DatasetOptions
from booru_pipeline.lake.lake import Lake
from booru_pipeline.lake.record import Record
from booru_pipeline.vocabulary.base_model import resolve_base_model
from booru_pipeline.vocabulary.build import build_vocabulary
from booru_pipeline.vocabulary.options import VocabularyOptions
from booru_pipeline_tests.evaluation.evaluated import make_posts, write_checkpoint, write_shards

NEWCOMER = "gawr_gura"


def rows_of_both():
    """The second release has a character that the first has not, and far fewer hats."""
    rows = make_posts()
    for number, row in enumerate(rows):
        if row["release"] == "2021b":
            tags = set(row["tags"]) - ({"hat"} if number % 4 else set())
            tags |= {NEWCOMER} if number % 3 == 0 else set()
            row["tags"] = sorted(tags)
            row["categories"] = [4 if tag == NEWCOMER else 0 for tag in row["tags"]]
    return rows


@pytest.fixture(scope="module")
def lake(tmp_path_factory):
    lake = Lake(tmp_path_factory.mktemp("home"))
    rows = rows_of_both()
    releases = ["2021a", "2021b"]
    for release in releases:
        write_shards(lake.training_shards(release), [row for row in rows if row["release"] == release])
    for place, release in enumerate(releases, start=1):
        shards = {key: lake.training_shards(key) for key in releases[:place]}
        base = resolve_base_model("tiny")
        known = build_vocabulary(
            shards,
            base,
            lake.vocabulary(release),
            lake.staging,
            VocabularyOptions(min_general_posts=10, min_name_posts=10),
            Record(stage="vocabulary", release=release, key="key"),
        )
        record = Record(stage="tokenized_dataset", release=release, key=f"dataset of {release}")
        build_dataset(
            shards, known, lake.tokenized_dataset(release), lake.staging, DatasetOptions(min_tokens=2), record
        )
        lake.checkpoint(release).parent.mkdir(exist_ok=True)
        folder = write_checkpoint(lake.checkpoint(release), known)
        (folder / "provenance.json").write_text(json.dumps({"releases": dict.fromkeys(releases[:place], "sha")}))
        Record(
            stage="checkpoint", release=release, key=f"key of {release}", inputs={"tokenized_dataset": record.key}
        ).write(folder)
    return lake
