"""Are drawn tag sets like posts? `booru complete` on held-out posts, beside drawing from counts.

    python -m benchmarks.complete                       # shared releases, 7 minutes of training
    python -m benchmarks.complete --world sample --seconds 60
    python -m benchmarks.complete --checkpoint FOLDER   # of these posts, such as `benchmarks.model --keep` left

Of each of some hundreds of test posts two labels are given, and a set of the post's own size is drawn. All are measured
against the other test posts, and so are the posts themselves: a set can be nearer than these only by lack of variety.
Each method has the temperature, of six, at which its tag frequencies are nearest on validation posts.
"""

import argparse
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from scipy import sparse
from scipy.special import expit

from benchmarks.corpus import SHARED
from benchmarks.frame import machine, show
from benchmarks.model import WORLDS, World, spread

TEMPERATURES: Final = (0.7, 0.8, 0.85, 0.9, 0.95, 1.0)
SEEDS: Final = (0, 1, 2)
NEVER, TAGS, SHARE, PAIRS = "sets with a pair on no train post", "tags off, TV", "a share off, 1e-4", "pairs off, TV"
FIGURES: Final = (NEVER, TAGS, SHARE, PAIRS, "distinct tags", "Jaccard of two sets")

Sets = list[np.ndarray]
Method = Callable[[Sets, Sequence[int], float, int], Sets]


class Side:
    """Posts of a split: some to complete, with what is given of each, and others that sets are measured against."""

    def __init__(self, posts: Sets, most: int, seen: sparse.csr_array) -> None:
        most, random = min(most, len(posts) // 2), np.random.default_rng(0)
        self.posts, self._seen = posts[:most], seen
        self.given = [random.choice(post, 2, replace=False) for post in self.posts]
        self._tags, self._pairs = self._frequencies(self._matrix(posts[most:]))

    def draw(self, method: Method, temperature: float, seed: int) -> dict[str, float]:
        """The figures of what a method draws."""
        return self.measure(method(self.given, [len(post) for post in self.posts], temperature, seed))

    def measure(self, sets: Sets) -> dict[str, float]:
        """The figures of some sets."""
        made = self._matrix(sets)
        tags, pairs = self._frequencies(made)
        both, sizes = (made @ made.T).toarray(), made.sum(axis=1)
        figures = (
            np.mean([self._seen[one][:, one].nnz < len(one) ** 2 for one in sets]),
            np.abs(tags / tags.sum() - self._tags / self._tags.sum()).sum() / 2,
            np.abs(tags - self._tags).mean() * 1e4,
            np.abs((pairs / pairs.sum() - self._pairs / self._pairs.sum()).data).sum() / 2,
            (tags > 0).sum(),
            (both / (sizes[:, None] + sizes - both))[np.triu_indices(len(sets), 1)].mean(),
        )
        return dict(zip(FIGURES, map(float, figures), strict=True))

    def _matrix(self, sets: Sets) -> sparse.csr_array:
        from booru_pipeline.dataset.posts import incidence

        return incidence(sets, self._seen.shape[0])

    def _frequencies(self, made: sparse.csr_array) -> tuple[np.ndarray, sparse.csr_array]:
        share = np.asarray(made.sum(axis=0)).ravel() / made.shape[0]
        return share, sparse.csr_array(sparse.triu(made.T @ made, 1)) / made.shape[0]


def methods(world: World, checkpoint: Path, counter: Any) -> dict[str, Method]:
    """All that take part, by name."""
    from booru_pipeline.model.predictor import Predictor
    from booru_pipeline.model.ranking import as_posts
    from booru_pipeline.model.suggest import Completer

    predictor = Predictor.load(checkpoint)
    completer, table = Completer(predictor, world.relations, counter), predictor.table
    labels, index = predictor.vocabulary.labels, predictor.vocabulary.index

    def ours(given: Sets, sizes: Sequence[int], temperature: float, seed: int) -> Sets:
        names = [[labels[row] for row in one] for one in given]
        seeds = range(seed * len(given), (seed + 1) * len(given))
        made = completer.complete(names, seeds, sizes, temperature=temperature)
        return [np.array([index[tag.tag] for tag in one.tags]) for one in made]

    def independent(given: np.ndarray) -> Callable[[int], np.ndarray]:
        weights = expit(table.strongest(as_posts([given]))[0].astype(np.float64))
        return lambda last: weights.copy()

    def chain(given: np.ndarray) -> Callable[[int], np.ndarray]:
        share = 1e-3 * table.counts / table.posts  # where a label has no partner left
        return lambda last: table.together[[last]].toarray()[0] + share

    return {
        "booru complete": ours,
        "independent, by P(t) given the strongest": one_by_one(independent),
        "Markov chain of pair counts": one_by_one(chain),
    }


def one_by_one(weights_given: Callable[[np.ndarray], Callable[[int], np.ndarray]]) -> Method:
    """Each label by weights that follow from the given ones and from the last."""

    def draw(given: Sets, sizes: Sequence[int], temperature: float, seed: int) -> Sets:
        random, found = np.random.default_rng(seed), []
        for one, size in zip(given, sizes, strict=True):
            weights_after, rows = weights_given(one), one.tolist()
            while len(rows) < size:
                weights = weights_after(rows[-1]) ** (1 / temperature)
                weights[rows] = 0
                rows.append(int(random.choice(len(weights), p=weights / weights.sum())))
            found.append(np.array(rows))
        return found

    return draw


def main() -> None:
    """Train, choose on validation posts, measure on test posts, print; in brackets over the posts' own figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--world", choices=WORLDS, default="shared" if SHARED.is_dir() else "sample")
    parser.add_argument("--seconds", type=float, default=420.0, help="of training (default %(default)s)")
    parser.add_argument("--checkpoint", type=Path, help="train nothing and draw from this folder")
    parser.add_argument("--posts", type=int, default=400, help="to complete, half of a split at most")
    options = parser.parse_args()
    import duckdb

    from booru_pipeline.dataset.posts import load_posts
    from booru_pipeline.model.suggest.counting import PostCounter
    from booru_pipeline.training_shards.shards import shard_files
    from booru_pipeline.vocabulary.vocabulary import Vocabulary

    print(machine("torch", "transformers", "numpy", "scipy"), "" if SHARED.is_dir() else "No shared releases: skipped.")
    with tempfile.TemporaryDirectory() as scratch, duckdb.connect() as connection:
        world = World(Path(scratch), options.world)
        made = options.checkpoint or world.train(Path(scratch) / "made", "present", 0, options.seconds, None)
        files = shard_files(*sorted((Path(scratch) / "home" / "shards").iterdir()))
        train = load_posts(world.dataset, "train").matrix(len(Vocabulary.load(world.vocabulary)))
        validation, test = (
            Side(
                [post for post in load_posts(world.dataset, split).sets if len(post) > 2],
                options.posts,
                train.T @ train,
            )
            for split in ("validation", "test")
        )
        own = test.measure(test.posts)
        rows = [["the posts themselves", "", *(f"{own[name]:.4g}" for name in FIGURES)]]
        for title, method in methods(world, made, PostCounter(connection, files)).items():
            tried = {each: validation.draw(method, each, 0)[TAGS] for each in TEMPERATURES}
            best = min(tried, key=tried.__getitem__)
            done = [test.draw(method, best, seed) for seed in SEEDS]
            mean = {name: float(np.mean([one[name] for one in done])) for name in FIGURES}
            rows.append([title, f"{best:g}", *(f"{mean[name]:.4g} ({mean[name] / own[name]:.2f})" for name in FIGURES)])
            said = ", ".join(f"{each:g}: {off:.3f}" for each, off in tried.items())
            print(f"{title}: tags off on validation posts {said}; on test posts {spread([one[TAGS] for one in done])}")
    print(f"\n{len(test.posts)} test posts, {len(SEEDS)} seeds:\n")
    show(["", "temperature", *FIGURES], rows)


if __name__ == "__main__":
    main()
