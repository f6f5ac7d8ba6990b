"""A release of themes whose labels go together, and small T5s that know of them or do not."""

import logging
import string
from dataclasses import dataclass
from pathlib import Path

import datasets
import numpy as np
import pyarrow as pa
import torch
import transformers
from transformers import T5Config, T5ForConditionalGeneration

from booru_pipeline.dataset.build import DatasetSummary
from booru_pipeline.dataset.gate import GateReport
from booru_pipeline.dataset.options import CaptionOptions
from booru_pipeline.hydration.concepts import load_concepts
from booru_pipeline.training.finetune import run
from booru_pipeline.training.interruption import Interruption
from booru_pipeline.training.job import TrainingJob
from booru_pipeline.training.processes import Processes
from booru_pipeline.training_shards.relations import Relations
from booru_pipeline.vocabulary.base_model import BaseModel
from booru_pipeline.vocabulary.build import tokenize_labels, write_vocabulary
from booru_pipeline.vocabulary.faults import find_faults
from booru_pipeline.vocabulary.vocabulary import Vocabulary

THEMES = 6
PER_THEME = 24
CONCEPTS = {
    "girls": ["1girl", "kirisame_marisa", "hakurei_reimu", "tohsaka_rin"],
    "nobody": ["cat", "dog", "forest", "cake", "robot"],
}
WIDTH = 32


def label(theme: int, number: int) -> str:
    """A name of two words that no other label has."""
    return f"noun{theme}x{number} adjective{theme}x{number}".replace(" ", "_")


@dataclass(frozen=True)
class ThemedRelease:
    """Its artifacts, and two base models: one whose words of a theme are close to each other, and one without."""

    vocabulary: Path
    dataset: Path
    knowing: Path
    ignorant: Path
    relations: Relations


def make_themed_release(folder: Path, train: int = 1500, held_out: int = 400) -> ThemedRelease:
    labels = [label(theme, number) for theme in range(THEMES) for number in range(PER_THEME)]
    names = [name for group in CONCEPTS.values() for name in group]
    splits = {
        name: _captions(posts, seed)
        for seed, (name, posts) in enumerate({"train": train, "validation": 60, "test": held_out}.items())
    }
    tiny = BaseModel("tiny", None)
    counts: dict[str, int] = dict.fromkeys([*labels, *names], 0)
    for caption in splits["train"]:
        for name in caption:
            counts[name] += 1
    ordered = sorted(counts, key=lambda name: (-counts[name], name))
    table = pa.table(
        {
            "label": ordered,
            "category": pa.array([0] * len(ordered), pa.int8()),
            "posts": [counts[name] for name in ordered],
            "train_posts": [counts[name] for name in ordered],
        }
    )
    vocabulary = folder / "vocabulary"
    vocabulary.mkdir(parents=True)
    write_vocabulary(vocabulary, *tokenize_labels(table, tiny))
    known = Vocabulary.load(vocabulary)
    datasets.disable_progress_bars()
    datasets.DatasetDict(
        {
            split: datasets.Dataset.from_dict(
                {
                    "booru": ["danbooru"] * len(posts),
                    "fid": list(range(len(posts))),
                    "release": ["2021a"] * len(posts),
                    "group_md5": [f"{split}{row // 2}" for row in range(len(posts))],
                    "post_key": [1000 * number + row for row in range(len(posts))],
                    "label_rows": [sorted(known.index[name] for name in caption) for caption in posts],
                    "length": [len(caption) for caption in posts],
                }
            )
            for number, (split, posts) in enumerate(splits.items())
        }
    ).save_to_disk(str(folder / "dataset"))
    sizes = {split: len(posts) for split, posts in splits.items()}
    DatasetSummary(posts=sizes, captions=CaptionOptions()).write(folder / "dataset")
    find_faults(known).write(vocabulary)
    GateReport(
        faults=find_faults(known),
        encoding="labels",
        longest_caption=10,
        most_tokens=512,
        coverage={},
        min_coverage=0.0,
        worst=[],
    ).write(folder / "dataset")
    for name, knows in (("knowing", True), ("ignorant", False)):
        _base(folder / name, labels, names, knows)
    relations = Relations({}, {label(0, 0): frozenset({label(0, 1)})}, "the test")
    return ThemedRelease(vocabulary, folder / "dataset", folder / "knowing", folder / "ignorant", relations)


def _captions(posts: int, seed: int) -> list[list[str]]:
    """Eight labels of a theme, two of any other, and often a label of which it is known what it is."""
    random = np.random.default_rng(seed)
    made = []
    for _ in range(posts):
        theme = int(random.integers(THEMES))
        themed = [label(theme, int(number)) for number in random.choice(PER_THEME, 8, replace=False)]
        others = [label(int(random.integers(THEMES)), int(random.integers(PER_THEME))) for _ in range(2)]
        names = CONCEPTS["girls" if theme % 2 else "nobody"]
        made.append(sorted({*themed, *others, names[int(random.integers(len(names)))]}))
    return made


def _base(folder: Path, labels: list[str], names: list[str], knows: bool) -> None:
    """A T5 with a piece for each word; if it knows, words of a theme have rows that are close to each other."""
    random = np.random.default_rng(5)
    words = [word for name in [*labels, *names] for word in name.split("_")] + list(load_concepts().words.values())
    texts = sorted({f"▁{word}" for word in words})
    characters = sorted(
        {character for text in texts for character in text} | set(string.ascii_lowercase + "()0123456789▁,")
    )
    vocab = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0)]
    vocab += [(text, -5.0) for text in texts if len(text) > 1] + [(character, -12.0) for character in characters]
    tokenizer = transformers.T5Tokenizer(vocab=vocab, extra_ids=100)
    torch.manual_seed(7)
    model = T5ForConditionalGeneration(
        T5Config(
            vocab_size=len(tokenizer),
            d_model=WIDTH,
            d_kv=16,
            d_ff=64,
            num_layers=1,
            num_decoder_layers=1,
            num_heads=2,
            pad_token_id=tokenizer.pad_token_id,
            eos_token_id=tokenizer.eos_token_id,
            decoder_start_token_id=tokenizer.pad_token_id,
        )
    )
    if knows:
        centres = random.normal(size=(THEMES, WIDTH))
        with torch.no_grad():
            for row, (text, _) in enumerate(vocab):
                theme = text.removeprefix("▁noun").removeprefix("▁adjective").partition("x")
                if theme[1] and theme[0].isdigit():
                    near = centres[int(theme[0])] + 0.4 * random.normal(size=WIDTH)
                    model.shared.weight[row] = torch.from_numpy(near)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def train_here(job: Path) -> None:
    """The training program in this process."""
    run(TrainingJob.read(job), logging.getLogger("hydration"), Processes(), Interruption())
