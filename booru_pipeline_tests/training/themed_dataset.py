"""A made-up dataset and vocabulary in the formats that training reads: themes whose labels go together."""

from pathlib import Path

import datasets
import numpy as np
import pyarrow as pa
import torch
from transformers import PreTrainedTokenizerFast, T5Config, T5ForConditionalGeneration

from booru_pipeline.dataset.build import DatasetSummary
from booru_pipeline.dataset.options import CaptionOptions
from booru_pipeline.vocabulary.base_model import BaseModel
from booru_pipeline.vocabulary.build import tokenize_labels, write_vocabulary
from booru_pipeline.vocabulary.vocabulary import Vocabulary

THEMES = {
    "usada_pekora": ["rabbit_ears", "carrot", "animal_ears", "hololive", "twin_braids", "white_hair"],
    "hatsune_miku": ["twintails", "aqua_hair", "vocaloid", "detached_sleeves", "necktie", "spring_onion"],
    "kirisame_marisa": ["witch_hat", "broom", "touhou", "blonde_hair", "apron", "star_(symbol)"],
    "hakurei_reimu": ["hair_bow", "gohei", "touhou", "detached_sleeves", "ascot", "yin_yang"],
}
COMMON = ["1girl", "solo", "smile", ">_<"]


def small_t5(vocabulary: Vocabulary) -> T5ForConditionalGeneration:
    """A T5 of random weights over a vocabulary's tokens, the same each time."""
    torch.manual_seed(0)
    config = T5Config(
        vocab_size=vocabulary.first_token_id + len(vocabulary),
        d_model=16,
        d_kv=8,
        d_ff=32,
        num_layers=1,
        num_heads=2,
        decoder_start_token_id=vocabulary.special_tokens.pad,
    )
    return T5ForConditionalGeneration(config).eval()


def captions(posts: int, seed: int) -> list[list[str]]:
    """Posts with a character, most of its traits, and some common labels."""
    random = np.random.default_rng(seed)
    made = []
    for _ in range(posts):
        name = list(THEMES)[random.integers(len(THEMES))]
        traits = [label for label in THEMES[name] if random.random() < 0.8]
        made.append([name, *traits, *(label for label in COMMON if random.random() < 0.5)])
    return made


def build(
    folder: Path, base: BaseModel, train: int = 600, held_out: int = 80, options: CaptionOptions | None = None
) -> tuple[Path, Path]:
    """Write a vocabulary and a dataset; gives their folders."""
    splits = {"train": captions(train, 1), "validation": captions(held_out, 2), "test": captions(held_out, 3)}
    counts: dict[str, int] = {}
    for caption in splits["train"]:
        for label in caption:
            counts[label] = counts.get(label, 0) + 1
    labels = sorted(counts, key=lambda label: (-counts[label], label))
    vocabulary = folder / "vocabulary"
    vocabulary.mkdir()
    table = pa.table(
        {
            "label": labels,
            "category": pa.array([4 if label in THEMES else 0 for label in labels], pa.int8()),
            "posts": [counts[label] for label in labels],
            "train_posts": [counts[label] for label in labels],
        }
    )
    write_vocabulary(vocabulary, *tokenize_labels(table, base))
    known = Vocabulary.load(vocabulary)
    datasets.disable_progress_bars()
    dataset = datasets.DatasetDict(
        {
            split: datasets.Dataset.from_dict(
                {
                    "booru": ["danbooru"] * len(posts),
                    "fid": list(range(len(posts))),
                    "release": ["2021a"] * len(posts),
                    "group_md5": [f"{row:032x}" for row in range(len(posts))],
                    "post_key": list(range(len(posts))),
                    "label_rows": [[known.index[label] for label in caption] for caption in posts],
                    "length": [len(caption) for caption in posts],
                },
            )
            for split, posts in splits.items()
        }
    )
    dataset.save_to_disk(str(folder / "dataset"))
    sizes = {split: len(posts) for split, posts in splits.items()}
    DatasetSummary(posts=sizes, captions=options or CaptionOptions()).write(folder / "dataset")
    return vocabulary, folder / "dataset"


def tokenizer_of(vocabulary: Path) -> PreTrainedTokenizerFast:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(vocabulary / "tokenizer")
