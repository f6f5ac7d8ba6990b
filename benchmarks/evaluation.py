"""The evaluation's baselines at size: settings chosen, fitted and scored, each alone and all in one process.

    python -m benchmarks.evaluation                                          # 250,000 posts, 10,000 labels
    python -m benchmarks.evaluation --posts 20000 --rounds 1 --only all      # a quick look

All fit the same train posts, climb over their grid of settings for each hidden share with 1,000 validation posts, and
score all labels for 2,000 test posts, 500 at each share with the settings chosen for it, which is what counts as work.
The contender `posts` reads the posts and no more: its memory is in everybody's.
"""

from argparse import Namespace
from functools import partial
from pathlib import Path
from typing import Any, Final

from benchmarks.corpus import KEY, SHARED, enlarged_shards
from benchmarks.frame import Benchmark, Contender, Outcome, clock
from booru_pipeline.evaluation.results import BASELINES

SHARES: Final = (0.1, 0.3, 0.5, 0.9)
VALIDATION: Final = 1_000
TEST: Final = 2_000
AT_ONCE: Final = 512  # posts that are scored together


def prepare(world: Path, options: Namespace) -> None:
    """`posts.npz`, an incidence matrix of posts in hash order, and `implied.npz`, what labels imply."""
    import numpy as np
    import pyarrow.parquet as pq
    from scipy import sparse

    from booru_pipeline.ragged import offsets_of
    from booru_pipeline.training_shards.relations import Relations, load_relations
    from booru_pipeline.vocabulary.implied import implied_matrix
    from booru_pipeline.vocabulary.vocabulary import Vocabulary

    lake = enlarged_shards(world, options.posts)
    vocabulary = Vocabulary.load(lake.vocabulary(KEY))
    index = vocabulary.index
    captions = [
        sorted(index[tag] for tag in set(tags) if tag in index)
        for path in sorted(lake.training_shards(KEY).glob("*.parquet"))
        for tags in pq.read_table(path, columns=["tags"])["tags"].to_pylist()
    ]
    captions = [rows for rows in captions if len(rows) >= 4]
    ends = offsets_of(list(map(len, captions)))
    rows = np.concatenate(captions)
    posts = (np.ones(len(rows), dtype=np.float32), rows, ends)
    sparse.save_npz(world / "posts.npz", sparse.csr_array(posts, shape=(len(captions), len(vocabulary))))
    known = SHARED / "data"
    relations = load_relations(known, skip_ambiguous=True) if known.is_dir() else Relations({}, {}, "nowhere")
    sparse.save_npz(world / "implied.npz", implied_matrix(vocabulary, relations))


def baselines(names: tuple[str, ...], world: Path, workspace: Path, options: Namespace) -> Outcome:
    """`fit_baselines`, and the scores of the test posts."""
    import numpy as np
    from scipy import sparse

    from booru_pipeline.evaluation.baselines.fit import fit_baselines

    posts: Any = sparse.load_npz(world / "posts.npz").astype(np.float32)
    implied: Any = sparse.load_npz(world / "implied.npz")
    random = np.random.default_rng(0)
    tuned_on, asked = min(VALIDATION, posts.shape[0] // 4), min(TEST, posts.shape[0] // 4)
    shuffled = [random.permutation(row.indices) for row in posts[-tuned_on - asked :]]

    def visible(row: Any, share: float) -> int:
        return max(1, len(row) - max(1, round(share * len(row))))

    pairs = {
        share: [(row[: visible(row, share)], row[visible(row, share) :]) for row in shuffled[:tuned_on]]
        for share in SHARES
    }
    contexts = {
        share: [row[: visible(row, share)].tolist() for row in shuffled[tuned_on + place :: len(SHARES)]]
        for place, share in enumerate(SHARES)
    }
    with clock() as outcome:
        if names:
            train = posts[: -tuned_on - asked]
            fitted = fit_baselines(train, pairs, implied, label_cap=options.labels, only=names)
            for share, methods in fitted.items():
                for baseline in methods.values():
                    for start in range(0, len(contexts[share]), AT_ONCE):
                        baseline.scores(contexts[share][start : start + AT_ONCE])
    outcome.count = sum(map(len, contexts.values())) if names else 0
    return outcome


BENCHMARK: Final = Benchmark(
    about=__doc__,
    unit="test posts",
    prepare=prepare,
    contenders={
        "all": Contender("all baselines in one process", partial(baselines, BASELINES)),
        **{name: Contender(name, partial(baselines, (name,))) for name in BASELINES},
        "posts": Contender("reading the posts", partial(baselines, ())),
    },
    options={
        "--posts": {"type": int, "default": 250_000, "help": "posts (default %(default)s)"},
        "--labels": {"type": int, "default": 10_000, "help": "that baselines of pairs know (default %(default)s)"},
    },
    packages=("numpy", "scipy", "rusket"),
    rounds=1,
)

if __name__ == "__main__":
    BENCHMARK.main()
