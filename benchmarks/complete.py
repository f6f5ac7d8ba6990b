"""Are drawn tag sets like posts? `booru complete` on held-out posts, beside drawing from counts.

    python -m benchmarks.complete                       # shared releases, 7 minutes of training
    python -m benchmarks.complete --world sample --seconds 60
    python -m benchmarks.complete --checkpoint FOLDER   # of these posts, such as `benchmarks.model --keep` left

Two labels of each of some hundreds of test posts are given, and a set of the post's own size is drawn. It is measured
against the other test posts, as are the posts themselves: how many have a pair that no train post has, how far tags and
pairs are off in frequency, how many tags there are, how alike two sets. Total variation (TV) counts chance too, and
there is less of it where sets are alike; "without chance" is the distance of the pairs less its sampling variance, in
parts of their length. Each method has the temperature, of six, that brings tags nearest on validation posts.
"""

import argparse
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import duckdb
import numpy as np
from scipy import sparse
from scipy.special import expit

from benchmarks.corpus import SHARED
from benchmarks.frame import machine, show
from benchmarks.model import WORLDS, World
from booru_pipeline.dataset.posts import incidence, load_posts
from booru_pipeline.model.predictor import Predictor
from booru_pipeline.model.ranking import as_posts
from booru_pipeline.model.suggest.completing import Completer
from booru_pipeline.model.suggest.counting import PostCounter
from booru_pipeline.training_shards.shards import shard_files
from booru_pipeline.vocabulary.vocabulary import Vocabulary

TEMPERATURES: Final = (0.7, 0.8, 0.85, 0.9, 0.95, 1.0)
SEEDS: Final = (0, 1, 2)
TAGS: Final = "tags off, TV"
FIGURES: Final = ("with a new pair", TAGS, "pairs off, TV", "pairs off, without chance", "distinct tags", "Jaccard")

Sets = list[np.ndarray]
After = Callable[[int], np.ndarray]
Method = Callable[[Sets, Sequence[int], float, int], Sets]


class Side:
    """Posts of a split: some to complete, with what is given of each, and others that sets are measured against."""

    def __init__(self, posts: Sets, most: int, seen: sparse.csr_array) -> None:
        posts = [post for post in posts if len(post) > 2]
        most, random = min(most, len(posts) // 2), np.random.default_rng(0)
        self.posts, self._seen = posts[:most], seen
        self.given = [random.choice(post, 2, replace=False) for post in self.posts]
        self._others = len(posts) - most
        self._tags, self._pairs = self._frequencies(incidence(posts[most:], seen.shape[0]))

    def draw(self, method: Method, temperature: float, seed: int) -> dict[str, float]:
        return self.measure(method(self.given, [len(post) for post in self.posts], temperature, seed))

    def measure(self, sets: Sets) -> dict[str, float]:
        made = incidence(sets, self._seen.shape[0])
        tags, pairs = self._frequencies(made)
        both, sizes = (made @ made.T).toarray(), made.sum(axis=1)
        length, own = _length(pairs, len(sets)), _length(self._pairs, self._others)
        figures = (
            np.mean([self._seen[one][:, one].nnz < len(one) ** 2 for one in sets]),
            np.abs(tags / tags.sum() - self._tags / self._tags.sum()).sum() / 2,
            np.abs((pairs / pairs.sum() - self._pairs / self._pairs.sum()).data).sum() / 2,
            np.sqrt(max(length + own - 2 * (pairs * self._pairs).sum(), 0) / own),
            (tags > 0).sum(),
            (both / (sizes[:, None] + sizes - both))[np.triu_indices(len(sets), 1)].mean(),
        )
        return dict(zip(FIGURES, map(float, figures), strict=True))

    def _frequencies(self, made: sparse.csr_array) -> tuple[np.ndarray, sparse.csr_array]:
        share = np.asarray(made.sum(axis=0)).ravel() / made.shape[0]
        return share, sparse.csr_array(sparse.triu(made.T @ made, 1)) / made.shape[0]


def _length(shares: sparse.csr_array, posts: int) -> float:
    """The sum of squared shares, less what chance adds to it."""
    return float((posts * (shares**2).sum() - shares.sum()) / (posts - 1))


def one_by_one(weights_given: Callable[[np.ndarray], After]) -> Method:
    """Each label by weights that follow from the given ones and from the last."""

    def draw(given: Sets, sizes: Sequence[int], temperature: float, seed: int) -> Sets:
        random, found = np.random.default_rng(seed), [one.tolist() for one in given]
        for rows, one, size in zip(found, given, sizes, strict=True):
            weights_after = weights_given(one)
            while len(rows) < size:
                weights = weights_after(rows[-1]) ** (1 / temperature)
                weights[rows] = 0
                rows.append(int(random.choice(len(weights), p=weights / weights.sum())))
        return [np.array(rows) for rows in found]

    return draw


def methods(world: World, checkpoint: Path, counter: Any) -> dict[str, Method]:
    """All that take part, by name."""
    predictor = Predictor.load(checkpoint)
    completer, table = Completer(predictor, world.relations, counter), predictor.table
    labels, index = predictor.vocabulary.labels, predictor.vocabulary.index

    def ours(given: Sets, sizes: Sequence[int], temperature: float, seed: int) -> Sets:
        names = [[labels[row] for row in one] for one in given]
        seeds = range(seed * len(given), (seed + 1) * len(given))
        made = completer.complete(names, seeds, sizes, temperature=temperature)
        return [np.array([index[tag.tag] for tag in one.tags]) for one in made]

    def independent(given: np.ndarray) -> After:
        weights = expit(table.strongest(as_posts([given]))[0].astype(np.float64))
        return lambda last: weights

    def chain(given: np.ndarray) -> After:
        share = 1e-3 * table.counts / table.posts  # where a label has no partner left
        return lambda last: table.together[[last]].toarray()[0] + share

    return {
        "booru complete": ours,
        "independent, by P(t) given the strongest": one_by_one(independent),
        "Markov chain of pair counts": one_by_one(chain),
    }


def main() -> None:
    """Train, choose, measure, print; in brackets are ratios to the posts' own figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--world", choices=WORLDS, default="shared" if SHARED.is_dir() else "sample")
    parser.add_argument("--seconds", type=float, default=420.0, help="of training (default %(default)s)")
    parser.add_argument("--checkpoint", type=Path, help="train nothing and draw from this folder")
    parser.add_argument("--posts", type=int, default=400, help="to complete, half of a split at most")
    options = parser.parse_args()
    print(machine("torch", "transformers", "numpy", "scipy"), "" if SHARED.is_dir() else "No shared releases: skipped.")
    with tempfile.TemporaryDirectory() as scratch, duckdb.connect() as connection:
        world = World(Path(scratch), options.world)
        made = options.checkpoint or world.train(Path(scratch) / "made", "present", 0, options.seconds, None)
        files = shard_files(*sorted((Path(scratch) / "home" / "shards").iterdir()))
        train = load_posts(world.dataset, "train").matrix(len(Vocabulary.load(world.vocabulary)))
        seen, most = train.T @ train, options.posts
        validation, test = (Side(load_posts(world.dataset, one).sets, most, seen) for one in ("validation", "test"))
        own = test.measure(test.posts)
        rows = [["the posts themselves", "", *(f"{own[name]:.4g}" for name in FIGURES)]]
        for title, method in methods(world, made, PostCounter(connection, files)).items():
            best = min(TEMPERATURES, key=lambda each, draw=method: validation.draw(draw, each, 0)[TAGS])
            done = [test.draw(method, best, seed) for seed in SEEDS]
            mean = [(float(np.mean([one[name] for one in done])), own[name]) for name in FIGURES]
            cells = [f"{value:.4g}" + (f" ({value / of:.2f})" if of else "") for value, of in mean]
            rows.append([title, f"{best:g}", *cells])
    print(f"\n{len(test.posts)} test posts, {len(SEEDS)} seeds:\n")
    show(["", "temperature", *FIGURES], rows)


if __name__ == "__main__":
    main()
