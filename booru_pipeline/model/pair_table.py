"""The counts that lie beside a checkpoint: which labels stand together, as sparse tables of bounded size."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file
from scipy import sparse
from scipy.special import logit

from booru_pipeline.dataset.posts import Posts
from booru_pipeline.errors import BooruError
from booru_pipeline.model.mixture import Views
from booru_pipeline.model.pairs import PairCounts, edlae, exclude_each_other
from booru_pipeline.model.ranking import as_posts
from booru_pipeline.progress import step
from booru_pipeline.ragged import gather

PAIRS_FILE: Final = "pairs.safetensors"
PARTNERS: Final = 512
"""Labels at most that a table keeps beside each label. The three take 20 bytes a partner: 10 MB for 1,000 labels."""
LINEAR_LABELS: Final = 6144
"""Labels at most, the most frequent ones, that have linear weights: the matrix to invert then takes 150 MB."""
_LINEAR: Final = {"linear": (10.0, 0.1), "sparse": (30.0, 0.5)}
"""Penalty in posts and dropout: one for captions of which little is hidden, one for those of which much is."""
_PRIOR_POSTS: Final = 10.0  # that a label's share of all posts is worth beside its share of those with another label
_LEAST: Final = 1e-4  # of a linear estimate in a logarithm; it may be negative
_LIKELY: Final = 0.1
_SCALE: Final = 4.0  # of an estimate itself, to be about as large as log-odds
_BLOCK: Final = 1024


@dataclass(frozen=True)
class PairTable:
    """Counts of labels and pairs on train posts, and linear weights learned from them.

    Attributes:
        posts: Train posts.
        counts: int64 [labels], posts that have each label.
        together: int32 [labels, labels] in sparse rows: posts that have both, of each row's most frequent partners.
        linear: By name float32 [labels, labels] in sparse rows, the weight of the row's label for the column's; see
            `edlae`. Of each column the weights that say most.
    """

    posts: int
    counts: NDArray[np.int64]
    together: sparse.csr_array
    linear: Mapping[str, sparse.csr_array]

    @classmethod
    def of(cls, train: sparse.csr_array, *, partners: int = PARTNERS, linear_labels: int = LINEAR_LABELS) -> Self:
        """Count.

        Args:
            train: Incidence matrix of train posts, [posts, labels].
            partners: Labels at most that a table keeps beside each label.
            linear_labels: Labels at most that have linear weights; memory grows with the square, time with the cube.
        """
        pairs = PairCounts.of(train)
        known = np.sort(np.argsort(-pairs.labels, kind="stable")[:linear_labels])
        some = pairs if len(known) == len(pairs.labels) else pairs.among(known)
        linear = {}
        for name, (ridge, dropout) in _LINEAR.items():
            with step("learning linear weights"):
                weights = _strongest_weights(edlae(some, ridge=ridge, dropout=dropout), some.labels, partners).tocoo()
            place = known[weights.row], known[weights.col]
            linear[name] = sparse.csr_array((weights.data, place), shape=pairs.together.shape)
        return cls(train.shape[0], pairs.labels.astype(np.int64), _most_frequent(pairs.together, partners), linear)

    def says(self, visible: Posts) -> dict[str, NDArray[np.float32]]:
        """What counting says of posts with these visible labels, by name float32 [posts, labels].

        The log-odds by the label that says most, and of each linear regression the estimate and its logarithm: the
        first tells likely labels from certain ones, the second rare ones from impossible ones.
        """
        estimates = {name: found.toarray() for name, found in self.estimates(visible).items()}
        return {"strongest": self.strongest(visible), **_as_views(estimates)}

    def says_of(
        self,
        visible: Posts,
        estimates: Mapping[str, sparse.csr_array],
        post: NDArray[np.int64],
        label: NDArray[np.int64],
    ) -> dict[str, NDArray[np.float32]]:
        """What `says` says of some labels, by name float32 [asked]; of few ones it takes a fraction of the time.

        Args:
            visible: The posts.
            estimates: Those of `estimates`.
            post: int64 [asked], ascending, positions of posts.
            label: int64 [asked], the labels that are asked for.
        """
        told = {name: np.zeros(len(post), dtype=np.float32) for name in estimates}
        strongest = np.full(len(post), -np.inf, dtype=np.float32)
        least = np.zeros(len(visible), dtype=np.int64)
        ends = np.searchsorted(post, np.arange(len(visible) + 1))
        # What is said of one post is spread out over all labels: looking each label up takes many times as long.
        best, sums = np.full(self.labels, -np.inf, dtype=np.float32), np.zeros(self.labels, dtype=np.float32)
        for row, given in enumerate(np.split(visible.rows, visible.offsets[1:-1])):
            asked = slice(ends[row], ends[row + 1])
            parts = [slice(self.together.indptr[one], self.together.indptr[one + 1]) for one in given.tolist()]
            for part in parts:
                partners = self.together.indices[part]
                best[partners] = np.maximum(best[partners], self._odds_beside[part])
            strongest[asked] = best[label[asked]]
            for part in parts:
                best[self.together.indices[part]] = -np.inf
            for name, found in estimates.items():
                part = slice(found.indptr[row], found.indptr[row + 1])
                sums[found.indices[part]] = found.data[part]
                told[name][asked] = sums[label[asked]]
                sums[found.indices[part]] = 0
            least[row] = self.counts[given].min() if len(given) else 0
        others = logit(self._prior[label] / (least[post] + _PRIOR_POSTS)).astype(np.float32)
        return {"strongest": np.maximum(strongest, others), **_as_views(told)}

    def estimates(self, visible: Posts) -> dict[str, sparse.csr_array]:
        """The sums of linear weights, by name float32 [posts, labels], where a visible label has a weight."""
        return {name: sparse.csr_array(visible.matrix(self.labels) @ weights) for name, weights in self.linear.items()}

    def likely(
        self, visible: Posts, estimates: Mapping[str, sparse.csr_array]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Labels to which a visible one, or a linear estimate, gives a chance of a tenth: position of the post, label.

        A label may be there twice, and visible ones are too.
        """
        strong, ends = gather(self._strong.indices, self._strong.indptr, visible.rows)
        post, label = [np.repeat(visible.owner, np.diff(ends))], [strong]
        for found in estimates.values():
            high = np.flatnonzero(found.data >= _LIKELY)
            post.append(np.searchsorted(found.indptr, high, side="right") - 1)
            label.append(found.indices[high])
        return np.concatenate(post).astype(np.int64), np.concatenate(label).astype(np.int64)

    @cached_property
    def _strong(self) -> sparse.csr_array:
        """The pairs whose column is likely given the row, bool [labels, labels]."""
        return _only(self.together, self._odds_beside >= logit(_LIKELY), np.bool_)

    def strongest(self, visible: Posts) -> NDArray[np.float32]:
        """Log-odds of the highest P(t | c) over the visible labels c, for each label t, float32 [posts, labels].

        P(t | c) = (n(c, t) + a p(t)) / (n(c) + a), a Dirichlet prior worth `a` = 10 posts, p the share of all posts.
        """
        prior = self._prior.astype(np.float32)
        log_prior = np.log(prior)
        found = np.empty((len(visible), self.labels), dtype=np.float32)
        for row, given in zip(found, np.split(visible.rows, visible.offsets[1:-1]), strict=True):
            # Of pairs that are not in the table no post is known; the rarest visible label says least against them.
            least = self.counts[given].min() if len(given) else 0
            # The logit of prior / of, in single precision, where numpy's logarithm is many times as fast.
            of = np.float32(least + _PRIOR_POSTS)
            np.subtract(log_prior, np.log(of - prior), out=row)
            for label in given.tolist():
                part = slice(self.together.indptr[label], self.together.indptr[label + 1])
                partners = self.together.indices[part]
                row[partners] = np.maximum(row[partners], self._odds_beside[part])
        return found

    @cached_property
    def _prior(self) -> NDArray[np.float64]:
        """float64 [labels]: posts that each label's share of all posts is worth."""
        return _PRIOR_POSTS * (self.counts + 0.5) / (self.posts + 1)

    @cached_property
    def _odds_beside(self) -> NDArray[np.float32]:
        """Log-odds of the column's label given the row's, float32, one for each stored entry of `together`."""
        chance = self.together.data + self._prior[self.together.indices]
        chance /= np.repeat(self.counts + _PRIOR_POSTS, np.diff(self.together.indptr))
        return logit(np.minimum(chance, 1 - 1e-6)).astype(np.float32)

    def beside(self, label: int) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """The labels that are counted beside one, as rows, and how many posts have both."""
        part = slice(self.together.indptr[label], self.together.indptr[label + 1])
        return self.together.indices[part], self.together.data[part]

    def beside_all(self, given: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """Posts that have two labels, int64 [given, labels], and where that is known, bool [given, labels].

        It is not known of what was cut from a row that is full.
        """
        together = np.zeros((len(given), self.labels), dtype=np.int64)
        known = np.zeros(together.shape, dtype=bool)
        fullest = np.diff(self.together.indptr).max(initial=0)
        for place, label in enumerate(given.tolist()):
            partners, counts = self.beside(label)
            together[place, partners] = counts
            known[place, partners if len(partners) == fullest and fullest < self.labels - 1 else slice(None)] = True
        return together, known

    def excluded_by(self, label: int) -> NDArray[np.int64]:
        """The labels that exclude one, as rows; see `exclude_each_other`.

        What was cut from the rows of both is on no more posts than what either row kept, which often suffices to tell.
        """
        together = np.minimum(self._cut[label], self._cut)
        part = slice(*self._both_ways.indptr[label : label + 2])
        together[self._both_ways.indices[part]] = self._both_ways.data[part]
        together[label] = self.counts[label]
        return np.flatnonzero(exclude_each_other(together, self.counts * (self.counts[label] / max(self.posts, 1))))

    @cached_property
    def _both_ways(self) -> sparse.csr_array:
        """The pairs that the row of either label has kept."""
        return sparse.csr_array(self.together.maximum(self.together.T))

    @cached_property
    def _cut(self) -> NDArray[np.int64]:
        """Posts at most of a pair that was cut from each row, int64 [labels]; 0 where nothing was."""
        sizes = np.diff(self.together.indptr)
        fullest = sizes.max(initial=0)
        least = np.zeros(self.labels, dtype=np.int64)
        if 0 < fullest < self.labels - 1:
            full = np.flatnonzero(sizes == fullest)
            least[full] = self.together.data[self.together.indptr[full, None] + np.arange(fullest)].min(axis=1)
        return least

    def close(self, visible: Posts, hidden: Posts) -> tuple[Posts, Posts]:
        """Move hidden labels that came with a visible one on every train post to the visible ones; none may be left."""
        seen, left = [], []
        for given, asked in zip(visible.labels, hidden.labels, strict=True):
            certain = np.concatenate([asked[:0], *(self._always(label) for label in given.tolist())])
            derivable = np.isin(asked, certain)
            seen.append(np.concatenate([given, asked[derivable]]))
            left.append(asked[~derivable])
        return as_posts(seen), as_posts(left)

    def _always(self, label: int) -> NDArray[np.int64]:
        """The labels that every train post with this one has."""
        partners, together = self.beside(label)
        return partners[together >= self.counts[label]].astype(np.int64)

    def alone(self, given: NDArray[np.int64]) -> int | None:
        """The one label of some that always came with all the others, so that it says as much as all; None if none did.

        A single label is that label. So is one given with what it implies.
        """
        if len(given) == 0:
            return None
        rarest = int(given[np.argmin(self.counts[given])])
        return rarest if np.isin(given[given != rarest], self._always(rarest)).all() else None

    @property
    def labels(self) -> int:
        """Labels counted."""
        return len(self.counts)

    def write(self, folder: Path) -> None:
        """Write it into a checkpoint's folder."""
        parts = {"posts": np.array([self.posts], dtype=np.int64), "counts": self.counts}
        for name, table in {"together": self.together, **self.linear}.items():
            parts[f"{name}.indptr"] = table.indptr.astype(np.int64)
            parts[f"{name}.indices"] = table.indices.astype(np.int32)
            parts[f"{name}.data"] = table.data.astype(np.float16 if name in self.linear else np.int32)
        save_file(parts, str(folder / PAIRS_FILE))

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Read it from a checkpoint's folder.

        Raises:
            BooruError: It is not there, or not whole.
        """
        path = folder / PAIRS_FILE
        try:
            parts = load_file(str(path))
            labels = len(parts["counts"])
            tables = {
                name: sparse.csr_array(
                    (parts[f"{name}.data"].astype(kind), parts[f"{name}.indices"], parts[f"{name}.indptr"]),
                    shape=(labels, labels),
                )
                for name, kind in {"together": np.int32, **dict.fromkeys(_LINEAR, np.float32)}.items()
            }
        except (OSError, SafetensorError, KeyError, ValueError) as error:
            raise BooruError(
                f"{path} cannot be read: {error}. Make it again with `booru run --to checkpoint`."
            ) from error
        return cls(int(parts["posts"][0]), parts["counts"], tables.pop("together"), tables)


def views_of(t5: NDArray[np.floating], table: PairTable, visible: Posts) -> Views:
    """What T5 (its calibrated log-odds, [posts, labels]) and the table say of posts with these visible labels."""
    return Views(t5, table.says(visible), visible.sizes)


def _as_views(estimates: Mapping[str, NDArray[np.float32]]) -> dict[str, NDArray[np.float32]]:
    """Each estimate and its logarithm, scaled to be inputs of the mixture."""
    said = {}
    for name, estimate in estimates.items():
        said[name] = _SCALE * np.clip(estimate, -0.2, 1.2)
        said[f"log {name}"] = np.log(np.maximum(estimate, _LEAST))
    return said


def _most_frequent(together: sparse.csr_array, partners: int) -> sparse.csr_array:
    """The entries of each row with the highest counts, `partners` at most."""
    kept = np.ones(together.nnz, dtype=bool)
    for start, end in zip(together.indptr[:-1], together.indptr[1:], strict=True):
        if end - start > partners:
            kept[start + np.argpartition(-together.data[start:end], partners - 1)[partners:]] = False
    return _only(together, kept, np.int32)


def _strongest_weights(weights: NDArray[np.float32], counts: NDArray[np.float64], partners: int) -> sparse.csr_array:
    """Of each column the weights that move its scores most, `partners` at most: by weight times root of the count."""
    labels = len(counts)
    if labels <= partners:
        return sparse.csr_array(weights)
    spread = np.sqrt(counts).astype(np.float32)
    blocks = []
    for start in range(0, labels, _BLOCK):
        part = np.ascontiguousarray(weights[:, start : start + _BLOCK].T)  # to sort along memory
        best = np.argpartition(-np.abs(part) * spread, partners - 1, axis=1)[:, :partners]
        ends = np.arange(0, best.size + 1, partners)
        blocks.append(
            sparse.csr_array((np.take_along_axis(part, best, axis=1).ravel(), best.ravel(), ends), part.shape)
        )
    return sparse.csr_array(sparse.vstack(blocks).T)


def _only(table: sparse.csr_array, kept: NDArray[np.bool_], kind: type[np.generic]) -> sparse.csr_array:
    """Some entries of a table, in its order."""
    ends = np.concatenate([[0], np.cumsum(kept)])[table.indptr]
    return sparse.csr_array((table.data[kept].astype(kind), table.indices[kept], ends), shape=table.shape)
