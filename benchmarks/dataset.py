"""Shards to tokenized dataset, side by side: `Dataset.map` with the Hugging Face tokenizer on caption text, and ours.

    python benchmarks/dataset.py                 # 250,000 posts, 3 runs each: some minutes
    python benchmarks/dataset.py --posts 20000   # a quick look

The posts are those of the releases in `shared/` beside the checkout, each several times with some tags left out, or of
the sample world where there is no such folder; the tokenizer is T5's own, or the one trained on the sample's labels.
Each contender runs in a process of its own, so that its peak memory is its own, and they take turns.
"""

import argparse
import datetime
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

HERE: Final = Path(__file__).resolve()
SHARED: Final = HERE.parents[2] / "shared"
MIB: Final = 1 << 20
KEY: Final = "2021z"
_OUTCOME: Final = "outcome.json"

# Copies of the posts under other ids, by other artists, and without some tags, so that few are like another.
COPIES: Final = """
WITH copies AS (
    SELECT
        * EXCLUDE (tags, categories),
        list_zip(tags, categories) AS pairs,
        unnest(generate_series(0, $copies - 1)) AS copy
    FROM read_parquet(getvariable('shards'))
), thinned AS (
    SELECT *, list_filter(pairs, lambda pair: hash(pair[1], fid, copy) % 100 >= 5) AS kept
    FROM copies
)
SELECT
    booru,
    fid * 1000 + copy * 10 + list_position($releases, release) AS fid,
    $key AS release,
    split,
    md5(group_md5 || copy || release) AS group_md5,
    list_transform(kept, lambda pair: if(pair[2] = 1, pair[1] || copy, pair[1])) AS tags,
    list_transform(kept, lambda pair: pair[2]) AS categories
FROM thinned
ORDER BY md5(booru || fid || copy)
LIMIT $posts
"""


# --- The data --------------------------------------------------------------------------------------------------------


def prepare(world: Path, posts: int) -> None:
    """Make `world/shards`, `world/vocabulary` and `world/plain` (the base tokenizer, without tokens for labels)."""
    import duckdb

    from booru_pipeline.lake.publish import Staging
    from booru_pipeline.lake.record import Record
    from booru_pipeline.release.find import find_releases
    from booru_pipeline.sample import generate
    from booru_pipeline.tag_table.load import load_release
    from booru_pipeline.tag_table.options import TagTableOptions
    from booru_pipeline.training_shards.options import ShardOptions
    from booru_pipeline.training_shards.shards import build_shards, shard_files
    from booru_pipeline.vocabulary.base_model import BaseModel
    from booru_pipeline.vocabulary.build import build_vocabulary
    from booru_pipeline.vocabulary.options import VocabularyOptions
    from booru_pipeline.vocabulary.tokenizer import base_tokenizer

    raw, base = SHARED / "data" / "releases", BaseModel("t5", str(SHARED / "t5"))
    if not raw.is_dir():
        raw, base = world / "raw", BaseModel("tiny", None)
        generate(raw, posts=min(posts, 20_000))
    folders = []
    for release in find_releases(raw).releases:
        record = Record(stage="made for a benchmark", release=release.key, key="")
        table, staging = world / f"{release.key}.duckdb", Staging(world / "staging")
        load_release(release, table, staging, TagTableOptions(max_reject_share=1), record)
        build_shards(table, world / release.key, staging, ShardOptions(), record)
        folders.append(world / release.key)

    with duckdb.connect() as connection:
        connection.execute("SET VARIABLE shards = $files", {"files": shard_files(*folders)})
        given = {"copies": 1 + posts // 20_000, "posts": posts, "key": KEY, "releases": [f.name for f in folders]}
        rows = connection.sql(COPIES, params=given).to_arrow_table()
    _write_shards(world / "shards", rows)
    record = Record(stage="made for a benchmark", release=KEY, key="")
    shards = {KEY: world / "shards"}
    built = build_vocabulary(
        shards, base, world / "vocabulary", Staging(world / "staging"), VocabularyOptions(), record
    )
    plain, _ = base_tokenizer(base, built.table["text"].to_pylist())
    plain.save_pretrained(world / "plain")


def _write_shards(folder: Path, rows: Any) -> None:
    import pyarrow.parquet as pq

    from booru_pipeline.training_shards.shards import ShardManifest

    folder.mkdir()
    files = []
    for number, start in enumerate(range(0, len(rows), 65_536)):
        files.append(f"posts-{number}.parquet")
        pq.write_table(rows.slice(start, 65_536), folder / files[-1], compression="zstd", row_group_size=8192)
    manifest = ShardManifest(
        release=KEY, posts=len(rows), tags=0, splits={}, files=files, content_sha256="made for a benchmark"
    )
    manifest.write(folder)


# --- The contenders --------------------------------------------------------------------------------------------------


def run_map(world: Path, workspace: Path) -> dict[str, Any]:
    """The usual recipe: caption text, cut by the tokenizer in a batched map of two processes."""
    import datasets
    import transformers

    from booru_pipeline.vocabulary.vocabulary import Vocabulary

    datasets.disable_progress_bars()
    labels = frozenset(Vocabulary.load(world / "vocabulary").labels)
    tokenizer = transformers.AutoTokenizer.from_pretrained(world / "plain")
    files = [str(path) for path in sorted((world / "shards").glob("*.parquet"))]

    def encode(batch: dict[str, list[Any]]) -> dict[str, list[Any]]:
        captions = [", ".join(tag.replace("_", " ") for tag in tags if tag in labels) for tags in batch["tags"]]
        return {"input_ids": tokenizer(captions, add_special_tokens=False)["input_ids"]}

    begin = time.perf_counter()
    posts = datasets.load_dataset("parquet", data_files=files, split="train", cache_dir=str(workspace / "cache"))
    mapped = posts.map(encode, batched=True, num_proc=2, remove_columns=["tags", "categories"])
    kept = mapped.filter(lambda batch: [len(ids) >= 4 for ids in batch["input_ids"]], batched=True, num_proc=2)
    splits = {
        side: kept.filter(lambda batch, side=side: [split == side for split in batch["split"]], batched=True)
        for side in ("train", "validation", "test")
    }
    datasets.DatasetDict(splits).save_to_disk(str(workspace / "dataset"))
    seconds = time.perf_counter() - begin
    return {"seconds": seconds, "posts": sum(map(len, splits.values())), "steps": {}}


def run_ours(world: Path, workspace: Path) -> dict[str, Any]:
    """`build_dataset`: sides with near-duplicates, the gate over every label, and the dataset."""
    import datasets  # noqa: F401  (imports take seconds and are not what is measured)
    import transformers  # noqa: F401

    from booru_pipeline.dataset import build as stage
    from booru_pipeline.dataset.options import DatasetOptions
    from booru_pipeline.lake.publish import Staging
    from booru_pipeline.lake.record import Record
    from booru_pipeline.vocabulary.vocabulary import Vocabulary

    steps: dict[str, float] = {}

    def timed(name: str) -> None:
        function = getattr(stage, name)

        def wrapper(*args: Any, **kwargs: Any) -> Any:
            begin = time.perf_counter()
            result = function(*args, **kwargs)
            steps[name] = steps.get(name, 0.0) + time.perf_counter() - begin
            return result

        setattr(stage, name, wrapper)

    for name in ("decide_sides", "_read", "inspect", "_split"):
        timed(name)
    record = Record(stage="made for a benchmark", release=KEY, key="")
    begin = time.perf_counter()
    vocabulary = Vocabulary.load(world / "vocabulary")
    shards = {KEY: world / "shards"}
    made = stage.build_dataset(
        shards, vocabulary, workspace / "dataset", Staging(workspace / "staging"), DatasetOptions(), record
    )
    seconds = time.perf_counter() - begin
    steps["other"] = seconds - sum(steps.values())
    return {
        "seconds": seconds,
        "posts": sum(made.posts.values()),
        "steps": steps,
        "tokens": made.tokens_per_caption,
    }


def run_pieces(world: Path, workspace: Path) -> dict[str, Any]:
    """Ours, and then every caption laid out as pieces and stored, so that the output is the map's."""
    import numpy as np
    import pyarrow as pa

    from booru_pipeline.dataset.posts import load_posts
    from booru_pipeline.ragged import gather
    from booru_pipeline.vocabulary.encoding import Encoding
    from booru_pipeline.vocabulary.options import EncodingName
    from booru_pipeline.vocabulary.vocabulary import Vocabulary

    done = run_ours(world, workspace)
    begin = time.perf_counter()
    encoding = Encoding.of(Vocabulary.load(world / "vocabulary"), EncodingName.PIECES)
    for split in ("train", "validation", "test"):
        posts = load_posts(workspace / "dataset", split)
        tokens, offsets = gather(encoding.tokens, encoding.offsets, posts.rows)
        tokens = np.insert(tokens, offsets[1:], encoding.separator).astype(np.int32)
        ends = offsets[posts.offsets] + posts.offsets
        captions = pa.ListArray.from_arrays(pa.array(ends.astype(np.int32)), pa.array(tokens))
        with (
            pa.OSFile(str(workspace / f"{split}.arrow"), "wb") as sink,
            pa.ipc.new_stream(sink, pa.schema([("input_ids", captions.type)])) as writer,
        ):
            writer.write_table(pa.table({"input_ids": captions}))
    done["steps"]["laying out pieces"] = time.perf_counter() - begin
    return {**done, "seconds": done["seconds"] + done["steps"]["laying out pieces"]}


CONTENDERS: Final = {"map": run_map, "ours": run_ours, "pieces": run_pieces}
NAMES: Final = {
    "map": "(a) Dataset.map with the tokenizer, 2 processes",
    "ours": "(b) build_dataset, sides and gate included",
    "pieces": "(c) the same, and every caption laid out as pieces",
}


@dataclass(frozen=True)
class Outcome:
    """What one run of a contender took.

    Attributes:
        seconds: On the clock, without Python's start and imports.
        posts: In the dataset.
        steps: Seconds by step.
        cpu: Processor seconds of all its processes, start and imports included.
        peak: Memory of its largest process, in bytes.
        tokens: Mean tokens a caption, by encoding.
    """

    seconds: float
    posts: int
    steps: dict[str, float]
    cpu: float
    peak: int
    tokens: dict[str, float] | None = None


def measure(contender: str, world: Path) -> Outcome:
    """Run a contender in a fresh process and a fresh folder."""
    with tempfile.TemporaryDirectory(dir=world.parent) as workspace:
        process = subprocess.Popen([sys.executable, str(HERE), "--child", contender, str(world), workspace])
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise SystemExit(f"{contender} failed with exit status {process.returncode}")
        outcome = json.loads((Path(workspace) / _OUTCOME).read_text())
        return Outcome(cpu=usage.ru_utime + usage.ru_stime, peak=usage.ru_maxrss << 10, **outcome)


def child(contender: str, world: str, workspace: str) -> None:
    """What a contender's own process does."""
    if contender == "prepare":
        prepare(Path(world), int(workspace))
    else:
        result = CONTENDERS[contender](Path(world), Path(workspace))
        (Path(workspace) / _OUTCOME).write_text(json.dumps(result))


def compare(world: Path, runs: int) -> None:
    """The contenders in turn, and where our time goes."""
    outcomes: dict[str, list[Outcome]] = {name: [] for name in CONTENDERS}
    for _ in range(runs):
        for contender, done in outcomes.items():
            done.append(measure(contender, world))
    rates = {
        name: statistics.median(run.posts / run.seconds for run in done) for name, done in outcomes.items() if done
    }
    print("| | posts | seconds, median | seconds, all | CPU seconds | posts a second | (a) times | peak memory, MiB |")
    print("|---|--:|--:|---|--:|--:|--:|--:|")
    for name, done in outcomes.items():
        median = statistics.median(run.seconds for run in done)
        every = " ".join(f"{run.seconds:.1f}" for run in done)
        cpu = statistics.median(run.cpu for run in done)
        peak = max(run.peak for run in done) / MIB
        print(
            f"| {NAMES[name]} | {done[0].posts:,} | {median:.1f} | {every} | {cpu:.1f} | {rates[name]:,.0f} "
            f"| {rates[name] / rates['map']:.1f} | {peak:,.0f} |"
        )
    alone = statistics.median(run.posts / (run.seconds - run.steps["decide_sides"]) for run in outcomes["ours"])
    print(
        f"\nThe map decides no sides. Without: (b) does {alone:,.0f} posts a second: {alone / rates['map']:.1f} times."
    )
    tokens = outcomes["ours"][0].tokens or {}
    print(f"\nMean tokens a caption: {', '.join(f'{name} {mean:.1f}' for name, mean in tokens.items())}.\n")
    print("| step of build_dataset | seconds, median |\n|---|--:|")
    for step in outcomes["ours"][0].steps:
        print(f"| {step.strip('_')} | {statistics.median(run.steps[step] for run in outcomes['ours']):.2f} |")


def main() -> None:
    if sys.argv[1:2] == ["--child"]:
        child(*sys.argv[2:])
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--posts", type=int, default=250_000, help="posts (default: the true scale)")
    parser.add_argument("--runs", type=int, default=3, help="runs of each contender (default 3)")
    arguments = parser.parse_args()
    busy = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as folder:
        world = Path(folder) / "world"
        world.mkdir()
        subprocess.run([sys.executable, str(HERE), "--child", "prepare", str(world), str(arguments.posts)], check=True)
        print(
            f"{datetime.date.today()}, {arguments.posts:,} posts. {_machine()}, {busy:.1f} other processes running.\n"
        )
        compare(world, arguments.runs)


def _machine() -> str:
    import importlib.metadata

    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
    names = ("transformers", "tokenizers", "datasets", "pyarrow", "duckdb")
    versions = [f"{name} {importlib.metadata.version(name)}" for name in names]
    return ", ".join([f"{os.cpu_count()} cores", f"{memory:.0f} GiB", f"Python {platform.python_version()}", *versions])


if __name__ == "__main__":
    main()
