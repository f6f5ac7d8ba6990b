"""The baselines of the evaluation, fitted and scored: seconds and memory, beside libraries that do the same.

    python benchmarks/evaluation.py --baselines                    # 250,000 posts, 10,000 labels, 3 runs each
    python benchmarks/evaluation.py --baselines --posts 20000      # a quick look
    python benchmarks/evaluation.py --baselines EASE item-kNN      # some of them

The posts are those of `benchmarks/dataset.py`: of the releases in `shared/` beside the checkout, each several times
with some tags left out, or of the sample world. Each contender runs in a process of its own, so that its peak memory is
its own, and they take turns. What is fitted and scored is the same for all: the train posts, their most frequent
labels, and 2,000 test posts with half of their labels hidden, for which every label gets a score. Seconds are on the
clock and leave out Python's start, imports and the reading of the posts; CPU seconds and peak memory include them.

Ours is `fit_baselines`: "one setting" is the grid's start, "chosen" the climb over the grid with 2,000 validation
pairs. Libraries fit one setting. Those that are not installed are left out: `pip install implicit mlxtend` adds them.
"""

import argparse
import datetime
import importlib.util
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

HERE: Final = Path(__file__).resolve()
MIB: Final = 1 << 20
PAIRS: Final = 2_000
SEED: Final = 0
_OUTCOME: Final = "outcome.json"
GOAL_S: Final = 120
GOAL_MIB: Final = 2048


# --- The data --------------------------------------------------------------------------------------------------------


def prepare(world: Path, posts: int) -> None:
    """Make `world/posts.npz`: posts as label rows, in hash order, train posts first, and what labels imply."""
    import dataset  # the benchmark beside this one
    import numpy as np
    import pyarrow.parquet as pq

    from booru_pipeline.evaluation.task import implied_matrix
    from booru_pipeline.training_shards.relations import Relations, load_relations
    from booru_pipeline.vocabulary.vocabulary import Vocabulary

    dataset.prepare(world, posts)
    vocabulary = Vocabulary.load(world / "vocabulary")
    captions = [
        np.array(sorted(vocabulary.index[tag] for tag in set(tags) if tag in vocabulary.index), dtype=np.int64)
        for path in sorted((world / "shards").glob("*.parquet"))
        for tags in pq.read_table(path, columns=["tags"])["tags"].to_pylist()
    ]
    captions = [own for own in captions if len(own) >= 4]
    known = dataset.SHARED / "data"
    relations = load_relations(known, skip_ambiguous=True) if known.is_dir() else Relations({}, {}, "nowhere")
    implied = implied_matrix(vocabulary, relations)
    np.savez(
        world / "posts.npz",
        rows=np.concatenate(captions),
        starts=np.concatenate([[0], np.cumsum([len(own) for own in captions])]),
        implied_rows=implied.indices,
        implied_starts=implied.indptr,
    )


@dataclass(frozen=True)
class Work:
    """What every contender gets.

    Attributes:
        train: Incidence matrix [posts, labels].
        validation: Visible and hidden rows.
        contexts: Visible rows of the test posts.
        implied: Implications, [labels, labels].
        cap: Labels that baselines of pairs know.
    """

    train: Any
    validation: list[tuple[list[int], Any]]
    contexts: list[list[int]]
    implied: Any
    cap: int

    @classmethod
    def read(cls, world: Path, cap: int) -> "Work":
        import numpy as np
        from scipy import sparse

        with np.load(world / "posts.npz") as file:
            rows, starts, implied_rows, implied_starts = (
                file[name] for name in ("rows", "starts", "implied_rows", "implied_starts")
            )
        labels, held_out = len(implied_starts) - 1, 2 * PAIRS
        last = max(1, len(starts) - 1 - held_out)
        ones = np.ones(starts[last], dtype=np.float32)
        train = sparse.csr_array((ones, rows[: starts[last]], starts[: last + 1]), shape=(last, labels))
        implied = sparse.csr_array(
            (np.ones(len(implied_rows), dtype=np.float32), implied_rows, implied_starts), shape=(labels, labels)
        )
        rng = np.random.default_rng(SEED)
        halves = []
        for start, end in zip(starts[last:-1], starts[last + 1 :], strict=True):
            own = rng.permutation(rows[start:end])
            halves.append((own[: len(own) // 2].tolist(), own[len(own) // 2 :]))
        return cls(train, halves[:PAIRS], [visible for visible, _ in halves[PAIRS:]], implied, cap)

    def capped(self) -> tuple[Any, list[list[int]]]:
        """Train posts and contexts with the most frequent labels alone, as libraries without a cap need them."""
        import numpy as np
        from scipy import sparse

        from booru_pipeline.evaluation.baselines.fit import column_of, most_frequent
        from booru_pipeline.evaluation.scorer import rows_of

        counts = np.asarray(self.train.sum(axis=0)).ravel()
        known = most_frequent(counts, self.cap)
        column = column_of(known, len(counts))
        posts = sparse.csr_matrix(self.train[:, known])
        posts.indices, posts.indptr = posts.indices.astype(np.int32), posts.indptr.astype(np.int32)
        return posts, [rows_of(context, column) for context in self.contexts]


# --- The contenders --------------------------------------------------------------------------------------------------


def ours(work: Work, names: list[str], *, chosen: bool) -> dict[str, Any]:
    """`fit_baselines`, and the scores of the test posts."""
    from booru_pipeline.evaluation.baselines.fit import fit_baselines

    begin = time.perf_counter()
    pairs = work.validation if chosen else []
    fitted = fit_baselines(work.train, pairs, work.implied, label_cap=work.cap, only=names)
    fit = time.perf_counter() - begin
    begin = time.perf_counter()
    for baseline in fitted.values():
        for start in range(0, len(work.contexts), 512):
            baseline.scores(work.contexts[start : start + 512])
    described = "; ".join(baseline.described for baseline in fitted.values()) if len(fitted) == 1 else ""
    return {"fit": fit, "score": time.perf_counter() - begin, "described": described}


def ease_numpy(work: Work) -> dict[str, Any]:
    """EASE as the paper prints it: `numpy.linalg.inv`."""
    import numpy as np

    from booru_pipeline.dataset.posts import incidence

    posts, contexts = work.capped()
    begin = time.perf_counter()
    gram = (posts.T @ posts).toarray()
    gram[np.diag_indices(len(gram))] += 10
    inverse = np.linalg.inv(gram)
    weights = inverse / -np.diag(inverse)
    weights[np.diag_indices(len(gram))] = 0
    fit = time.perf_counter() - begin
    begin = time.perf_counter()
    for start in range(0, len(contexts), 512):
        incidence(contexts[start : start + 512], len(gram)) @ weights
    return {"fit": fit, "score": time.perf_counter() - begin}


def ease_rusket(work: Work) -> dict[str, Any]:
    """`rusket.EASE`; it scores users of its own matrix, so only the fit is timed."""
    import rusket

    posts, _ = work.capped()
    begin = time.perf_counter()
    rusket.EASE(regularization=10.0).fit(posts)
    return {"fit": time.perf_counter() - begin, "score": None}


def knn_implicit(work: Work) -> dict[str, Any]:
    """`implicit.nearest_neighbours.CosineRecommender` with 500 neighbours; its scores are sparse."""
    from implicit.nearest_neighbours import CosineRecommender

    from booru_pipeline.dataset.posts import incidence

    posts, contexts = work.capped()
    begin = time.perf_counter()
    model = CosineRecommender(K=500)
    model.fit(posts, show_progress=False)
    fit = time.perf_counter() - begin
    begin = time.perf_counter()
    for start in range(0, len(contexts), 512):
        (incidence(contexts[start : start + 512], posts.shape[1]) @ model.similarity).toarray()
    return {"fit": fit, "score": time.perf_counter() - begin}


def rules_mlxtend(work: Work) -> dict[str, Any]:
    """`mlxtend.frequent_patterns.fpgrowth`, frequent sets alone, at ten times our floor for support."""
    import pandas as pd
    from mlxtend.frequent_patterns import fpgrowth

    from booru_pipeline.evaluation.baselines.rules import LEAST_SHARE

    posts, _ = work.capped()
    begin = time.perf_counter()
    columns = [str(column) for column in range(posts.shape[1])]
    frame = pd.DataFrame.sparse.from_spmatrix(posts.astype(bool), columns=columns)
    fpgrowth(frame, min_support=10 * LEAST_SHARE, max_len=3)
    return {"fit": time.perf_counter() - begin, "score": None}


def rules_rusket(work: Work) -> dict[str, Any]:
    """`rusket.FPGrowth`, which ours calls, at the same floor as mlxtend."""
    import rusket

    from booru_pipeline.evaluation.baselines.rules import LEAST_SHARE

    posts, _ = work.capped()
    begin = time.perf_counter()
    rusket.FPGrowth(posts, min_support=10 * LEAST_SHARE, use_colnames=False, max_len=3).mine()
    return {"fit": time.perf_counter() - begin, "score": None}


def nothing(work: Work) -> dict[str, Any]:
    """What reading the posts takes of memory."""
    return {"fit": 0.0, "score": 0.0}


PEERS: Final[dict[str, tuple[str, str, Callable[[Work], dict[str, Any]]]]] = {
    "EASE with numpy.linalg.inv": ("EASE", "numpy", ease_numpy),
    "rusket.EASE": ("EASE", "rusket", ease_rusket),
    "implicit's CosineRecommender": ("item-kNN", "implicit", knn_implicit),
    "mlxtend's fpgrowth at 1 % support": ("association rules", "mlxtend", rules_mlxtend),
    "rusket.FPGrowth at 1 % support": ("association rules", "rusket", rules_rusket),
}


def run(contender: str, work: Work) -> dict[str, Any]:
    """Fit and score one."""
    from booru_pipeline.evaluation.results import BASELINES

    if contender in PEERS:
        return PEERS[contender][2](work)
    if contender == "nothing":
        return nothing(work)
    how, _, name = contender.partition(":")
    return ours(work, list(BASELINES) if name == "all" else [name], chosen=how == "chosen")


# --- Measuring -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Outcome:
    """What one run took.

    Attributes:
        fit: Seconds.
        score: Seconds for the test posts, if they were scored.
        cpu: Processor seconds, start, imports and reading included.
        peak: Bytes.
        described: The setting that was chosen.
    """

    fit: float
    score: float | None
    cpu: float
    peak: int
    described: str = ""


def measure(contender: str, world: Path, cap: int) -> Outcome:
    """Run a contender in a fresh process."""
    with tempfile.TemporaryDirectory() as workspace:
        outcome = Path(workspace) / _OUTCOME
        command = [sys.executable, str(HERE), "--child", contender, str(world), str(cap), str(outcome)]
        process = subprocess.Popen(command)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise SystemExit(f"{contender} failed with exit status {process.returncode}")
        return Outcome(
            cpu=usage.ru_utime + usage.ru_stime, peak=usage.ru_maxrss << 10, **json.loads(outcome.read_text())
        )


def child(contender: str, world: str, number: str, outcome: str = "") -> None:
    """What a contender's own process does."""
    if contender == "prepare":
        prepare(Path(world), int(number))
    else:
        Path(outcome).write_text(json.dumps(run(contender, Work.read(Path(world), int(number)))))


def compare(world: Path, names: list[str], cap: int, runs: int) -> None:
    """Each baseline, its peers, and all in one process."""
    contenders = ["nothing"]
    for name in names:
        contenders += [f"one setting:{name}", f"chosen:{name}"]
        contenders += [
            peer for peer, (of, package, _) in PEERS.items() if of == name and importlib.util.find_spec(package)
        ]
    contenders.append("chosen:all")
    outcomes: dict[str, list[Outcome]] = {contender: [] for contender in contenders}
    for _ in range(runs):
        for contender, done in outcomes.items():
            done.append(measure(contender, world, cap))
            print(f"{contender}: {done[-1]}", file=sys.stderr, flush=True)
    work = Work.read(world, cap)
    print(
        f"{work.train.shape[0]:,} train posts, {work.train.shape[1]:,} labels, of which {cap:,} are known to baselines "
        f"of pairs; {len(work.contexts):,} test posts scored.\n"
    )
    print("| | fit, s, median | all | score, s | CPU seconds | peak memory, MiB | |\n|---|--:|---|--:|--:|--:|---|")
    for contender, done in outcomes.items():
        how, _, name = contender.partition(":")
        title = "reading the posts" if contender == "nothing" else f"{name}, {how}" if name else contender
        every = " ".join(f"{own.fit:.2f}" for own in done)
        scored = [own.score for own in done if own.score is not None]
        score = f"{statistics.median(scored):.2f}" if scored else ""
        peak = max(own.peak for own in done) / MIB
        print(
            f"| {title} | {statistics.median(own.fit for own in done):.2f} | {every} | {score} "
            f"| {statistics.median(own.cpu for own in done):.1f} | {peak:,.0f} "
            f"| {done[-1].described} |"
        )
    whole = outcomes["chosen:all"]
    seconds = statistics.median(own.fit + (own.score or 0) for own in whole)
    peak = max(own.peak for own in whole) / MIB
    print("\n| goal, all baselines in one process | measured | |\n|---|--:|---|")
    print(f"| fitted, tuned and scored in {GOAL_S} s | {seconds:.0f} s | {'met' if seconds <= GOAL_S else 'missed'} |")
    print(f"| in {GOAL_MIB:,} MiB at most | {peak:,.0f} MiB | {'met' if peak <= GOAL_MIB else 'missed'} |")


def main() -> None:
    if sys.argv[1:2] == ["--child"]:
        child(*sys.argv[2:])
        return
    from booru_pipeline.evaluation.results import BASELINES

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--baselines", nargs="*", choices=BASELINES, default=[], help="some baselines (default: all)")
    parser.add_argument("--posts", type=int, default=250_000, help="posts (default: the true scale)")
    parser.add_argument("--labels", type=int, default=10_000, help="most frequent labels (default 10,000)")
    parser.add_argument("--runs", type=int, default=3, help="runs of each contender (default 3)")
    arguments = parser.parse_args()
    busy = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as folder:
        world = Path(folder) / "world"
        world.mkdir()
        subprocess.run([sys.executable, str(HERE), "--child", "prepare", str(world), str(arguments.posts)], check=True)
        print(f"{datetime.date.today()}. {_machine()}, {busy:.1f} other processes running.\n")
        compare(world, arguments.baselines or list(BASELINES), arguments.labels, arguments.runs)


def _machine() -> str:
    import importlib.metadata

    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
    versions = [f"{name} {importlib.metadata.version(name)}" for name in ("numpy", "scipy", "rusket")]
    return ", ".join([f"{os.cpu_count()} cores", f"{memory:.0f} GiB", f"Python {platform.python_version()}", *versions])


if __name__ == "__main__":
    main()
