"""Ranking the whole vocabulary side by side: decoding every candidate by itself, and ours, for both encodings.

    python benchmarks/ranking.py                      # 3 runs each: some minutes, most of them for t5-small
    python benchmarks/ranking.py --runs 1 --shapes tiny
    python benchmarks/ranking.py --data ../shared     # the folder of releases and of T5's SentencePiece model

Contexts are test posts with every other label hidden, of the releases in the data folder (default: `shared/` beside the
checkout), or of the sample world where there is no such folder. Models have random weights: what they say costs as much
as what a trained one says. `tiny` has pieces of its own tokenizer, `t5-small` (6 layers of width 512) T5's own.

(a) is transformers' `model(input_ids, labels=candidate)`, with the loss of each candidate rather than their mean: 64
candidates of one context at a time, sorted by length, so that there is next to no padding, and the cross-entropy of
their logits taken once. (b) is (a) with the encoder run once a context and `encoder_outputs` given.

(a) and (b) are timed on some candidates drawn at random, of one context, and scaled to all; ours is timed on all labels
of many contexts. (a) and (b) end a candidate in pieces with the end of sequence alone, where ours adds up both ways to
end; that ours is exact is what the tests show.

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
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

HERE: Final = Path(__file__).resolve()
SHARED: Final = HERE.parents[2] / "shared"
MIB: Final = 1 << 20
CANDIDATES_AT_ONCE: Final = 64
SHORTLIST: Final = 200
SHAPES: Final[dict[str, dict[str, int]]] = {
    "tiny": {"d_model": 128, "d_kv": 32, "d_ff": 256, "num_layers": 1, "num_decoder_layers": 1, "num_heads": 4},
    "t5-small": {"d_model": 512, "d_kv": 64, "d_ff": 2048, "num_layers": 6, "num_heads": 8},
}
GOALS: Final = {"labels": 50, "pieces": 5}
_OUTCOME: Final = "outcome.json"


# --- The data --------------------------------------------------------------------------------------------------------


def prepare(world: Path, data: Path) -> None:
    """Make `world/tiny` and `world/t5-small`, vocabularies of the same labels, and `world/contexts.json`."""
    import numpy as np
    import training  # the benchmark beside this one

    from booru_pipeline.dataset.build import build_dataset
    from booru_pipeline.dataset.options import DatasetOptions
    from booru_pipeline.dataset.posts import load_posts
    from booru_pipeline.lake.lake import Lake
    from booru_pipeline.lake.record import Record
    from booru_pipeline.sample import generate
    from booru_pipeline.vocabulary.base_model import BaseModel
    from booru_pipeline.vocabulary.build import build_vocabulary
    from booru_pipeline.vocabulary.options import VocabularyOptions

    raw, t5 = data / "data" / "releases", BaseModel("t5", str(data / "t5"))
    if not raw.is_dir():
        raw, t5 = world / "raw", BaseModel("tiny", None)
        generate(raw, posts=5_000)
    lake = Lake(world / "home")
    shards = training.make_shards(raw, lake)
    record = Record(stage="made for a benchmark", release="all", key="")
    options = VocabularyOptions()
    known = build_vocabulary(shards, BaseModel("tiny", None), world / "tiny", lake.staging, options, record)
    build_vocabulary(shards, t5, world / "t5-small", lake.staging, options, record)
    build_dataset(shards, known, world / "dataset", lake.staging, DatasetOptions(), record)
    test = load_posts(world / "dataset", "test")
    contexts = [part[::2].tolist() for part in np.split(test.rows, test.offsets[1:-1])]
    (world / "contexts.json").write_text(json.dumps(contexts))


# --- The contenders, each in a process of its own --------------------------------------------------------------------


@dataclass(frozen=True)
class Task:
    """What a contender is to do.

    Attributes:
        contender: One of `CONTENDERS`.
        world: What `prepare` made.
        shape: One of `SHAPES`.
        encoding: `labels` or `pieces`.
        contexts: How many ours ranks.
        candidates: How many of a context (a) and (b) are timed on.
        threads: Of torch.
    """

    contender: str
    world: str
    shape: str
    encoding: str
    contexts: int
    candidates: int
    threads: int


@dataclass(frozen=True)
class Bench:
    """A model, its vocabulary and what it is asked."""

    model: Any
    vocabulary: Any
    encoding: Any
    contexts: list[list[int]]

    @classmethod
    def of(cls, task: Task) -> "Bench":
        """What a task needs; the model is on the GPU if there is one."""
        import torch
        from transformers import T5Config, T5ForConditionalGeneration

        from booru_pipeline.vocabulary.options import EncodingName
        from booru_pipeline.vocabulary.vocabulary import Vocabulary

        torch.set_num_threads(task.threads)
        torch.manual_seed(0)
        vocabulary = Vocabulary.load(Path(task.world) / task.shape)
        pad = vocabulary.special_tokens.pad
        size = vocabulary.first_token_id + len(vocabulary)
        config = T5Config(vocab_size=size, pad_token_id=pad, decoder_start_token_id=pad, **SHAPES[task.shape])
        model = T5ForConditionalGeneration(config).eval().to("cuda" if torch.cuda.is_available() else "cpu")
        contexts = json.loads((Path(task.world) / "contexts.json").read_text())
        return cls(model, vocabulary, EncodingName(task.encoding), contexts)

    def timed(self, function: Callable[[], Any]) -> float:
        """Seconds that it takes."""
        import torch

        begin = time.perf_counter()
        function()
        if self.model.device.type == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter() - begin


def run_candidates(task: Task, *, shared_encoder: bool) -> float:
    """(a) and (b): every candidate by itself; contexts a second."""
    import numpy as np
    import torch
    from torch.nn import functional

    from booru_pipeline.vocabulary.encoding import Encoding
    from booru_pipeline.vocabulary.options import EncodingName

    bench = Bench.of(task)
    model, special = bench.model, bench.vocabulary.special_tokens
    layout = Encoding.of(bench.vocabulary, bench.encoding)
    end = [special.eos] if bench.encoding is EncodingName.PIECES else []
    labels = np.random.default_rng(0).permutation(len(bench.vocabulary))[: task.candidates]
    candidates = sorted(([*layout.encode([int(row)]), *end] for row in labels), key=len)
    context = sorted(bench.contexts, key=len)[len(bench.contexts) // 2]  # of the usual length
    source = torch.tensor([[*layout.encode(context), special.eos]], device=model.device)

    @torch.inference_mode()
    def score(some: list[list[int]]) -> list[float]:
        scores: list[float] = []
        encoded = model.encoder(input_ids=source).last_hidden_state if shared_encoder else None
        for start in range(0, len(some), CANDIDATES_AT_ONCE):
            batch = some[start : start + CANDIDATES_AT_ONCE]
            targets = torch.full((len(batch), max(map(len, batch))), -100, device=model.device)
            for row, tokens in enumerate(batch):
                targets[row, : len(tokens)] = torch.tensor(tokens)
            given: dict[str, Any] = {"decoder_input_ids": model.prepare_decoder_input_ids_from_labels(targets)}
            if encoded is None:
                given["input_ids"] = source.expand(len(batch), -1)
            else:
                given["encoder_outputs"] = (encoded.expand(len(batch), -1, -1),)
            logits = model(**given).logits.flatten(0, 1)
            losses = functional.cross_entropy(logits, targets.flatten(), ignore_index=-100, reduction="none")
            scores += (-losses.view(targets.shape).sum(1)).tolist()
        return scores

    score(candidates[:CANDIDATES_AT_ONCE])
    seconds = bench.timed(lambda: score(candidates))
    return len(candidates) / len(bench.vocabulary) / seconds


def run_ours(task: Task, *, shortlist: bool) -> float:
    """(c) and (d): contexts a second."""
    import numpy as np

    from booru_pipeline.model.calibration import Calibration
    from booru_pipeline.model.objective import ObjectiveName, objective_name
    from booru_pipeline.model.predictor import Predictor
    from booru_pipeline.model.ranking import ranker_for

    bench = Bench.of(task)
    objective: ObjectiveName = objective_name("auto", bench.encoding)
    ranker = ranker_for(bench.model, bench.vocabulary, bench.encoding, objective)
    predictor = Predictor(ranker, bench.vocabulary, Calibration())
    contexts = bench.contexts[: task.contexts]
    random = np.random.default_rng(0)
    size = min(SHORTLIST, len(bench.vocabulary))
    # Frequent labels are proposed more often; the vocabulary has them first.
    rows = [np.unique((len(bench.vocabulary) * random.random(size) ** 2).astype(np.int64)) for _ in contexts]
    predictor.scores(contexts[:1], shortlist=rows[:1])
    seconds = bench.timed(lambda: predictor.scores(contexts, shortlist=rows if shortlist else None))
    return len(contexts) / seconds


CONTENDERS: Final[dict[str, Callable[[Task], float]]] = {
    "candidates": lambda task: run_candidates(task, shared_encoder=False),
    "encoder-once": lambda task: run_candidates(task, shared_encoder=True),
    "ours": lambda task: run_ours(task, shortlist=False),
    "shortlist": lambda task: run_ours(task, shortlist=True),
}
NAMES: Final = {
    "candidates": "(a) every candidate by itself",
    "encoder-once": "(b) the same, the encoder once a context",
    "ours": "(c) ours, all labels",
    "shortlist": f"(d) ours, a shortlist of {SHORTLIST}",
}


@dataclass(frozen=True)
class Outcome:
    """What one run of a contender gave.

    Attributes:
        rate: Contexts a second.
        peak: Memory of its process, in bytes; weights and imports included.
    """

    rate: float
    peak: int


def measure(task: Task) -> Outcome:
    """Run a contender in a fresh process."""
    with tempfile.TemporaryDirectory() as workspace:
        arguments = [json.dumps(asdict(task)), workspace]
        process = subprocess.Popen([sys.executable, str(HERE), "--child", "run", *arguments])
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise SystemExit(f"{task.contender} failed with exit status {process.returncode}")
        rate = json.loads((Path(workspace) / _OUTCOME).read_text())
        return Outcome(rate, usage.ru_maxrss << 10)


def child(what: str, first: str, second: str) -> None:
    """What a process of its own does."""
    if what == "prepare":
        prepare(Path(first), Path(second))
    else:
        task = Task(**json.loads(first))
        (Path(second) / _OUTCOME).write_text(json.dumps(CONTENDERS[task.contender](task)))


def compare(world: Path, shape: str, encoding: str, runs: int, threads: int) -> float:
    """The contenders in turn; gives how many times (a) ours is."""
    outcomes: dict[str, list[Outcome]] = {
        name: [] for name in CONTENDERS if encoding == "pieces" or name != "shortlist"
    }
    small = shape == "t5-small"
    contexts = (64 if small else 1024) if encoding == "labels" else (2 if small else 16)
    candidates = 512 if small else 2048
    for _ in range(runs):
        for name, done in outcomes.items():
            done.append(measure(Task(name, str(world), shape, encoding, contexts, candidates, threads)))
    rates = {name: statistics.median(run.rate for run in done) for name, done in outcomes.items()}
    for name, done in outcomes.items():
        every = " ".join(f"{run.rate:.3g}" for run in done)
        peak = max(run.peak for run in done) / MIB
        print(
            f"| {shape} | {encoding} | {NAMES[name]} | {rates[name]:.3g} | {every} "
            f"| {rates[name] / rates['candidates']:,.1f} | {rates[name] / rates['encoder-once']:,.1f} | {peak:,.0f} |",
            flush=True,
        )
    return rates["ours"] / rates["candidates"]


def main() -> None:
    if sys.argv[1:2] == ["--child"]:
        child(*sys.argv[2:])
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=SHARED, help="folder of releases and T5's SentencePiece model")
    parser.add_argument("--runs", type=int, default=3, help="runs of each contender (default 3)")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1, help="of torch (default: all cores)")
    parser.add_argument("--shapes", nargs="+", choices=SHAPES, default=list(SHAPES), help="shapes of the model")
    arguments = parser.parse_args()
    busy = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as folder:
        world = Path(folder)
        command = [sys.executable, str(HERE), "--child", "prepare", str(world), str(arguments.data.resolve())]
        subprocess.run(command, check=True)
        print(f"{datetime.date.today()}. {_machine(arguments.threads)}, {busy:.1f} other processes running.\n")
        for shape in arguments.shapes:
            print(f"{shape}: {_tree(world / shape)}\n")
        print("| shape | encoding | | contexts a second, median | all | (a) times | (b) times | peak memory, MiB |")
        print("|---|---|---|--:|---|--:|--:|--:|")
        reached = {
            (shape, encoding): compare(world, shape, encoding, arguments.runs, arguments.threads)
            for shape in arguments.shapes
            for encoding in GOALS
        }
        print("\n| goal | measured | |\n|---|--:|---|")
        for (shape, encoding), times in reached.items():
            goal = GOALS[encoding]
            verdict = "met" if times >= goal else "missed"
            print(f"| {shape}, {encoding}: (c)/(a) at least {goal} | {times:,.1f} | {verdict} |")


def _tree(folder: Path) -> str:
    """How many labels a vocabulary has, and how many nodes their prefix tree."""
    from booru_pipeline.model.prefix_tree import PrefixTree
    from booru_pipeline.vocabulary.encoding import Encoding
    from booru_pipeline.vocabulary.options import EncodingName
    from booru_pipeline.vocabulary.vocabulary import Vocabulary

    vocabulary = Vocabulary.load(folder)
    layout = Encoding.of(vocabulary, EncodingName.PIECES)
    tree = PrefixTree.of(layout.tokens, layout.offsets, [vocabulary.special_tokens.pad])
    return (
        f"{len(vocabulary):,} labels of {len(layout.tokens):,} pieces (of {vocabulary.first_token_id:,}), "
        f"{len(tree):,} nodes in the prefix tree"
    )


def _machine(threads: int) -> str:
    import importlib.metadata

    import torch

    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else f"{threads} threads"
    versions = [f"{name} {importlib.metadata.version(name)}" for name in ("torch", "transformers")]
    parts = [f"{os.cpu_count()} cores", f"{memory:.0f} GiB", device, f"Python {platform.python_version()}", *versions]
    return ", ".join(parts)


if __name__ == "__main__":
    main()
