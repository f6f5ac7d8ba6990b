"""Shards to tokenized dataset, side by side: `Dataset.map` with the Hugging Face tokenizer on caption text, and ours.

python -m benchmarks.dataset                            # 250,000 posts, 3 rounds: some minutes
python -m benchmarks.dataset --posts 20000 --rounds 1   # a quick look
"""

import time
from argparse import Namespace
from pathlib import Path
from typing import Any, Final

from benchmarks.corpus import KEY, base_model, enlarged_shards, record
from benchmarks.frame import Benchmark, Contender, Outcome, clock
from booru_pipeline.lake.lake import Lake
from booru_pipeline.vocabulary.vocabulary import Vocabulary


def prepare(world: Path, options: Namespace) -> None:
    """A lake with the release, and the base tokenizer without tokens for labels."""
    from booru_pipeline.vocabulary.tokenizer import base_tokenizer

    lake = enlarged_shards(world, options.posts)
    tokenizer, _ = base_tokenizer(base_model(), Vocabulary.load(lake.vocabulary(KEY)).table["text"].to_pylist())
    tokenizer.save_pretrained(world / "plain")


def mapped(world: Path, workspace: Path, options: Namespace) -> Outcome:
    """The usual recipe: caption text, cut by the tokenizer in a batched map of two processes. It decides no sides."""
    import datasets
    import transformers

    datasets.disable_progress_bars()
    lake = Lake(world / "home")
    labels = frozenset(Vocabulary.load(lake.vocabulary(KEY)).labels)
    tokenizer = transformers.AutoTokenizer.from_pretrained(world / "plain")
    files = [str(path) for path in sorted(lake.training_shards(KEY).glob("*.parquet"))]

    def encode(batch: dict[str, list[Any]]) -> dict[str, list[Any]]:
        captions = [", ".join(tag.replace("_", " ") for tag in tags if tag in labels) for tags in batch["tags"]]
        return {"input_ids": tokenizer(captions, add_special_tokens=False)["input_ids"]}

    with clock() as outcome:
        posts = datasets.load_dataset("parquet", data_files=files, split="train", cache_dir=str(workspace / "cache"))
        posts = posts.map(encode, batched=True, num_proc=2, remove_columns=["tags", "categories"])
        posts = posts.filter(lambda batch: [len(ids) >= 4 for ids in batch["input_ids"]], batched=True, num_proc=2)
        splits = {
            side: posts.filter(lambda batch, side=side: [split == side for split in batch["split"]], batched=True)
            for side in ("train", "validation", "test")
        }
        datasets.DatasetDict(splits).save_to_disk(str(workspace / "dataset"))
    outcome.count = sum(map(len, splits.values()))
    return outcome


def ours(world: Path, workspace: Path, options: Namespace) -> Outcome:
    """`build_dataset`: sides with near-duplicates, the gate over every label, and the dataset."""
    import datasets  # noqa: F401  (imports take seconds and are not what is measured)
    import transformers  # noqa: F401

    from booru_pipeline.dataset import build, growth
    from booru_pipeline.dataset.options import DatasetOptions
    from booru_pipeline.lake.publish import Staging

    lake, decide, taken = Lake(world / "home"), growth.settle, Outcome()

    def timed(*arguments: Any) -> Any:
        begin = time.perf_counter()
        sides = decide(*arguments)
        taken.seconds = time.perf_counter() - begin
        return sides

    growth.settle = timed
    staging = Staging(workspace / "staging")
    with clock() as outcome:
        vocabulary = Vocabulary.load(lake.vocabulary(KEY))
        shards = {KEY: lake.training_shards(KEY)}
        made = build.build_dataset(shards, vocabulary, workspace / "dataset", staging, DatasetOptions(), record(KEY))
    outcome.count = sum(made.posts.values())
    outcome.figures["seconds of deciding sides"] = taken.seconds
    return outcome


BENCHMARK: Final = Benchmark(
    about=__doc__,
    unit="posts",
    prepare=prepare,
    contenders={
        "map": Contender("Dataset.map with the tokenizer, 2 processes", mapped),
        "ours": Contender("build_dataset, sides and gate included", ours),
    },
    options={"--posts": {"type": int, "default": 250_000, "help": "posts (default %(default)s)"}},
    packages=("transformers", "tokenizers", "datasets", "pyarrow", "duckdb"),
)

if __name__ == "__main__":
    BENCHMARK.main()
