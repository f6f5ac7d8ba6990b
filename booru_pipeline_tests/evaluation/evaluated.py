"""A small world under the evaluation: shards of two releases, and what the pipeline itself makes of them."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from booru_pipeline.dataset.build import build_dataset
from booru_pipeline.dataset.options import DatasetOptions
from booru_pipeline.lake.publish import Staging
from booru_pipeline.lake.record import Record
from booru_pipeline.model.calibration import Calibration
from booru_pipeline.training_shards.shards import ShardManifest
from booru_pipeline.vocabulary.base_model import resolve_base_model
from booru_pipeline.vocabulary.build import build_vocabulary
from booru_pipeline.vocabulary.options import VocabularyOptions
from booru_pipeline.vocabulary.vocabulary import Vocabulary

# Labels that break what is careless: HTML, Markdown, SQL and JSON.
NASTY = ["<3", ">_<", "a&b", "<script>alert(1)</script>", 'it\'s_"quoted"', "p|pe", "^_^"]
CHARACTERS = {"usada_pekora": ["rabbit_ears", "carrot"], "hatsune_miku": ["twintails", "aqua_hair"]}
GENERAL = ["1girl", "solo", "smile", "long_hair", "hat", "sword", *NASTY]
RARE = "carrot_pen"  # on too few posts for the vocabulary


@dataclass(frozen=True)
class World:
    shards: dict[str, Path]
    vocabulary: Path
    dataset: Path
    checkpoint: Path


def make_posts(releases=("2021a", "2021b"), posts=400, seed=0):
    """Rows as the shards have them; the second release lists every tenth post of the first again, with other tags."""
    rng = np.random.default_rng(seed)
    rows = []
    for number, release in enumerate(releases):
        for index in range(posts):
            fid = index if number and index % 10 == 0 else number * posts + index
            tags = {str(tag) for tag in rng.choice(GENERAL, size=6, replace=False)}
            if rng.random() < 0.5:
                character = ("usada_pekora", "hatsune_miku")[int(rng.integers(2))]
                tags |= {character, *(trait for trait in CHARACTERS[character] if rng.random() < 0.9)}
            if index in (3, 4):
                tags.add(RARE)
            side = fid % 10
            rows.append(
                {
                    "booru": "safebooru",
                    "fid": fid,
                    "release": release,
                    "split": "test" if side < 3 else "validation" if side == 3 else "train",
                    "group_md5": f"picture {fid // 2 * 2 if side % 2 and side < 3 else fid}",
                    "tags": sorted(tags),
                    "categories": [4 if tag in CHARACTERS else 0 for tag in sorted(tags)],
                }
            )
    return rows


def write_shards(folder: Path, rows: list[dict]) -> Path:
    folder.mkdir(parents=True)
    schema = pa.schema(
        [
            ("booru", pa.string()),
            ("fid", pa.int64()),
            ("release", pa.string()),
            ("split", pa.string()),
            ("group_md5", pa.string()),
            ("tags", pa.list_(pa.string())),
            ("categories", pa.list_(pa.int8())),
        ]
    )
    half = len(rows) // 2
    for number, part in enumerate((rows[:half], rows[half:])):
        pq.write_table(pa.Table.from_pylist(part, schema), folder / f"posts-{number}.parquet")
    manifest = ShardManifest(
        release=folder.name,
        posts=len(rows),
        tags=0,
        splits={},
        files=["posts-0.parquet", "posts-1.parquet"],
        content_sha256="",
    )
    manifest.write(folder)
    return folder


def write_checkpoint(folder: Path, vocabulary: Vocabulary) -> Path:
    """A T5 with random weights over the vocabulary's tokens."""
    import torch
    from transformers import AutoTokenizer, T5Config, T5ForConditionalGeneration

    torch.manual_seed(0)
    tokenizer = AutoTokenizer.from_pretrained(vocabulary.tokenizer_folder)
    config = T5Config(
        vocab_size=vocabulary.first_token_id + len(vocabulary),
        d_model=16,
        d_kv=8,
        d_ff=32,
        num_layers=1,
        num_decoder_layers=1,
        num_heads=2,
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id,
        decoder_start_token_id=tokenizer.pad_token_id,
    )
    T5ForConditionalGeneration(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    Calibration(bias=1.0).write(folder)
    pq.write_table(vocabulary.table, folder / "labels.parquet")
    log = [{"step": step, "loss": 8 / step} for step in (1, 2, 4, 8)] + [{"step": 8, "eval_loss": 1.5}]
    (folder / "training_log.json").write_text(json.dumps(log))
    (folder / "provenance.json").write_text("{}")
    return folder


def make_world(folder: Path) -> World:
    rows = make_posts()
    shards = {
        release: write_shards(folder / "shards" / release, [row for row in rows if row["release"] == release])
        for release in ("2021a", "2021b")
    }
    record = Record(stage="test", release="2021b", key="key")
    staging = Staging(folder / "staging")
    vocabulary = build_vocabulary(
        shards,
        resolve_base_model("tiny"),
        folder / "vocabulary",
        staging,
        VocabularyOptions(min_general_posts=10, min_name_posts=10),
        record,
    )
    build_dataset(shards, vocabulary, folder / "dataset", staging, DatasetOptions(min_tokens=2), record)
    checkpoint = write_checkpoint(folder / "checkpoint", vocabulary)
    return World(shards, folder / "vocabulary", folder / "dataset", checkpoint)
