"""The scan of posts: which labels a post lacks, and which of its own the others speak against."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.special import expit

from booru_pipeline.audit.options import AuditOptions
from booru_pipeline.audit.planted import by_frequency, plant_one
from booru_pipeline.dataset.posts import Posts
from booru_pipeline.model.pair_table import PairTable
from booru_pipeline.model.predictor import Predictor
from booru_pipeline.model.ranking import as_posts, best_of
from booru_pipeline.progress import side_by_side, step
from booru_pipeline.ragged import gather, offsets_of, places
from booru_pipeline.vocabulary.implied import close

_AT_ONCE: Final = 256
"""Posts, or tags that are left out, which are scored at a time."""
_LINEAR: Final = "sparse"
"""The linear regression that finds odd tags: it misses fewer planted ones than the other, or the strongest partner."""
_FIRST: Final = 64  # labels of each post that the T5 puts first
NO_LABEL: Final = -1
_WEIGHTS: Final = (0.0, 0.25, 0.5, 0.75, 1.0)
_LEAST: Final = 1e-9  # of a probability in a logarithm

Rows = NDArray[np.int64]
Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Missing:
    """Labels that posts lack, by post, the most probable first.

    Attributes:
        posts: int64 [found], positions of the posts.
        labels: int64 [found], rows of the labels.
        probability: float32 [found], that the post would have it if a part of its tags had been hidden; 1 if implied.
        implied: bool [found], whether a label of the post implies it.
        core_of: int64 [found], the character of the post whose core tag it is, as a row; NO_LABEL if there is none.
    """

    posts: Rows
    labels: Rows
    probability: Floats
    implied: NDArray[np.bool_]
    core_of: Rows


@dataclass(frozen=True)
class Suspects:
    """Labels of posts that the others speak against, the oddest first.

    Attributes:
        posts: int64 [found], positions of the posts.
        labels: int64 [found], rows of the labels.
        probability: float32 [found], that a post with the other labels has it.
        rate: float32 [found], the label's share of the posts that were counted.
    """

    posts: Rows
    labels: Rows
    probability: Floats
    rate: Floats

    @property
    def ratio(self) -> Floats:
        """float32 [found]: how many times as probable the others make it as it is on any post."""
        return self.probability / self.rate


@dataclass(frozen=True)
class Scanner:
    """A checkpoint that looks posts over.

    Attributes:
        predictor: The checkpoint.
        table: Counts of labels and pairs; the checkpoint's, if it has some.
        implied: Which label implies which, see `implied_matrix`.
        core: Core tags of characters, see `core_tags`; bool [labels, labels].
        options: What is kept.
        weight: Of the T5 beside counting, where tags are suspect.
    """

    predictor: Predictor
    table: PairTable
    implied: sparse.csr_array
    core: sparse.csr_array
    options: AuditOptions
    weight: float = 0.5

    @classmethod
    def of(
        cls,
        predictor: Predictor,
        train: Callable[[], sparse.csr_array],
        implied: sparse.csr_array,
        options: AuditOptions,
        core: sparse.csr_array | None = None,
    ) -> Self:
        """Make one; a checkpoint without counts gets those of the train posts, which `train` gives, [posts, labels]."""
        table = predictor.table if predictor.table is not None else PairTable.of(train())
        nothing = sparse.csr_array(implied.shape, dtype=bool)
        return cls(predictor, table, implied, nothing if core is None else core, options)

    @cached_property
    def rate(self) -> Floats:
        """float32 [labels]: the share of train posts that have each."""
        return ((self.table.counts + 0.5) / (self.table.posts + 1)).astype(np.float32)

    def scan(self, posts: Posts, told: sparse.csr_array | None = None) -> tuple[Missing, Suspects]:
        """What posts lack, and what of them is suspect; see `look` and `suspects`."""
        missing, odd = self.look(posts, told)
        return missing, self.suspects(posts, odd)

    def look(self, posts: Posts, told: sparse.csr_array | None = None) -> tuple[Missing, Floats]:
        """What posts lack, and how odd each of their labels is by counting.

        A post is seen with all that its labels imply. What another of its labels implies is never odd: if it is wrong,
        that one is.

        Args:
            posts: Sets of labels.
            told: Not 0 where a tag of the post that is no label implies a label, [posts, labels]; None if none does.

        Returns:
            What they lack; and float32 [labels of all posts], the log of what counting says of each by the others over
            its share of posts, inf for what is never odd.
        """
        ends = range(0, len(posts) + _AT_ONCE, _AT_ONCE)
        with step("looking for tags that posts lack", total=len(posts)) as looking:

            def look_at(part: tuple[int, int]) -> tuple[Missing, Floats]:
                found = self._look(posts, told, *part)
                looking.advance(part[1] - part[0])
                return found

            parts = side_by_side(look_at, pairwise(min(end, len(posts)) for end in ends))
        missing = _joined([found for found, _ in parts])
        odd = np.concatenate([np.empty(0, np.float32), *(odd for _, odd in parts)])
        return missing, odd

    def _look(self, posts: Posts, told: sparse.csr_array | None, start: int, end: int) -> tuple[Missing, Floats]:
        """What some posts lack, by position, and how odd each of their labels is, float32 [labels of these posts].

        Not all labels are weighed: only those that the T5 puts first, that counting finds likely, and core tags. All
        others have no chance to be listed, and would be most of the work.
        """
        own, labels = posts.take(np.arange(start, end)), self.table.labels
        nothing = sparse.csr_array((len(own), labels), dtype=np.float32)
        given = nothing if told is None else sparse.csr_array(told[start:end])
        also = np.split(given.indices, given.indptr[1:-1])
        closed = close([np.union1d(mine, more) for mine, more in zip(own.sets, also, strict=True)], self.implied)
        seen = as_posts(closed)
        t5, estimates = self.predictor.t5.scores([rows.tolist() for rows in closed]), self.table.estimates(seen)
        core = self._core(closed)
        first = _flat(best_of(t5, max(_FIRST, self.options.missing_a_post)))
        of_each = (first, self.table.likely(seen, estimates), core[:2], (own.owner, own.rows))
        asked = np.unique(np.concatenate([post * labels + label for post, label in of_each]))
        post, label = np.divmod(asked, labels)
        counted = self.table.says_of(seen, estimates, post, label)

        lacked = ~np.isneginf(t5[post, label])
        sizes = seen.sizes[post[lacked]]
        says = {name: said[lacked] for name, said in counted.items()}
        scores = self.predictor.mixed(t5[post[lacked], label[lacked]], says, sizes)
        chance = self.predictor.to_probabilities(scores[:, None], sizes)[:, 0].astype(np.float32)
        missing = self._missing(own, closed, core, (post[lacked], label[lacked], chance))

        # No label has a weight for itself: what counting says of a visible one is what the others say.
        place = np.searchsorted(asked, own.owner * labels + own.rows)
        linear, strongest = (counted[name][place] for name in (f"log {_LINEAR}", "strongest"))
        odd = np.where(self._is_linear[own.rows], linear, strongest) - np.log(self.rate[own.rows])
        odd[self._given_away(own, given)] = np.inf
        return replace(missing, posts=missing.posts + start), odd

    @cached_property
    def _is_linear(self) -> NDArray[np.bool_]:
        """bool [labels]: which have weights; rare ones have none where labels are many."""
        return np.bincount(self.table.linear[_LINEAR].indices, minlength=self.table.labels) > 0

    def _given_away(self, own: Posts, told: sparse.csr_array) -> NDArray[np.bool_]:
        """bool [labels of the posts]: which another tag of the post implies."""
        given = sparse.csr_array(own.matrix(self.table.labels) @ self.implied + told)
        return np.asarray(given[own.owner, own.rows]).ravel() > 0

    def _missing(
        self, own: Posts, closed: list[Rows], core: tuple[Rows, Rows, Rows], weighed: tuple[Rows, Rows, Floats]
    ) -> Missing:
        """The labels that posts lack.

        Args:
            own: The posts.
            closed: Their labels and what these imply.
            core: As `_core` gives them.
            weighed: Post, label and chance of labels that are not in `closed`.
        """
        labels = self.table.labels
        core_cell, character = core[0] * labels + core[1], core[2]
        post, label, chance = weighed
        order = np.lexsort((label, -chance, post))
        post, label, chance = post[order], label[order], chance[order]
        core_of = self._core_of(post * labels + label, core_cell, character)
        rank = places(offsets_of(np.bincount(post, minlength=len(own))))
        likely = (rank < self.options.missing_a_post) & (chance >= self.options.min_probability)
        kept = likely | (core_of != NO_LABEL)
        uncertain = Missing(post[kept], label[kept], chance[kept], np.zeros(int(kept.sum()), bool), core_of[kept])

        post, label = _flat([np.setdiff1d(rows, mine) for rows, mine in zip(closed, own.sets, strict=True)])
        core_of = self._core_of(post * labels + label, core_cell, character)
        certain = Missing(post, label, np.ones(len(post), np.float32), np.ones(len(post), bool), core_of)
        both = _joined([certain, uncertain])
        order = np.argsort(both.posts, kind="stable")
        return Missing(*(getattr(both, name)[order] for name in _MISSING))

    @staticmethod
    def _core_of(cells: Rows, core: Rows, character: Rows) -> Rows:
        """int64 [cells]: the character whose core tag each is, of several the first; NO_LABEL of the others.

        Args:
            cells: Post x labels + label of each.
            core: The same of all core tags of characters on posts.
            character: The character of each of those.
        """
        of = np.full(len(cells), NO_LABEL, dtype=np.int64)
        known, first = np.unique(core, return_index=True)
        if len(known):
            place = np.minimum(np.searchsorted(known, cells), len(known) - 1)
            found = known[place] == cells
            of[found] = character[first[place[found]]]
        return of

    def _core(self, closed: list[Rows]) -> tuple[Rows, Rows, Rows]:
        """Post, core tag and character of all core tags of the characters on posts."""
        post, label = _flat(closed)
        tags, ends = gather(self.core.indices, self.core.indptr, label)
        sizes = np.diff(ends)
        return np.repeat(post, sizes), tags.astype(np.int64), np.repeat(label, sizes)

    def suspects(self, posts: Posts, odd: Floats) -> Suspects:
        """The labels of posts that the others speak against, of those that counting finds the oddest.

        The ratio is a weighted geometric mean of two: what the T5 makes of the label, left out with what it alone
        implies, over the label's rate; and what counting makes of it.

        Args:
            posts: Sets of labels.
            odd: float32 [labels of all posts], as `look` gives it.
        """
        asked = self._oddest(posts, odd)
        label = posts.rows[asked]
        rate = self.rate[label]
        ratio = np.exp(self.weight * self._t5_says(posts, asked) + (1 - self.weight) * odd[asked]).astype(np.float32)
        kept = np.flatnonzero(ratio <= self.options.max_ratio)
        kept = kept[np.argsort(ratio[kept], kind="stable")]
        return Suspects(posts.owner[asked[kept]], label[kept], (ratio * rate)[kept], rate[kept])

    def weighed(self, validation: Posts, seed: int = 0) -> Self:
        """The same, with the weight of five by which planted labels are found best on held-out posts.

        One label is planted on each post, as often as posts have it; average precision decides.

        Args:
            validation: Posts that neither the checkpoint nor its counts have seen.
            seed: Of what is planted.
        """
        faulty = plant_one(validation, self.implied, by_frequency(self.table.counts, seed))
        if not len(faulty):
            return self
        with step("weighing T5 and counting"):
            _, odd = self.look(faulty.posts)
            asked = self._oddest(faulty.posts, odd)
            t5 = self._t5_says(faulty.posts, asked)
        right = faulty.fault[faulty.posts.owner[asked]] == faulty.posts.rows[asked]

        def precision(weight: float) -> float:
            found = right[np.argsort(weight * t5 + (1 - weight) * odd[asked], kind="stable")]
            return float((np.cumsum(found) / np.arange(1, len(found) + 1))[found].sum())

        return replace(self, weight=max(reversed(_WEIGHTS), key=precision))

    def _oddest(self, posts: Posts, odd: Floats) -> Rows:
        """int64 [asked]: positions of the labels that counting finds the oddest, ascending."""
        asked = np.flatnonzero(np.isfinite(odd) & (posts.sizes > 1)[posts.owner])
        size = max(int(np.ceil(self.options.asked_share * len(asked))), self.options.asked_least)
        return np.sort(asked[np.argsort(odd[asked], kind="stable")[:size]])

    def _t5_says(self, posts: Posts, asked: Rows) -> Floats:
        """float32 [asked]: log of the T5's probability of labels, by their positions, over their rate."""
        owner, label = posts.owner[asked], posts.rows[asked]
        with step("asking whether odd tags are wrong", total=len(asked)) as asking:

            def ask(part: tuple[int, int]) -> Floats:
                found = self._leave_out(posts, owner[slice(*part)], label[slice(*part)])
                asking.advance(part[1] - part[0])
                return found

            ends = range(0, len(asked) + _AT_ONCE, _AT_ONCE)
            parts = side_by_side(ask, pairwise(min(end, len(asked)) for end in ends))
        return np.log(np.maximum(np.concatenate([np.empty(0, np.float32), *parts]), _LEAST)) - np.log(self.rate[label])

    def _leave_out(self, posts: Posts, owner: Rows, label: Rows) -> Floats:
        """The T5's probability of each label given the others of its post, float32 [asked]."""
        those, place = np.unique(owner, return_inverse=True)
        own = posts.take(those).sets
        closed = close(own, self.implied)
        implies = np.diff(self.implied.indptr)[label] > 0
        contexts = [
            without(own[post], one, self.implied) if one_implies else closed[post][closed[post] != one]
            for post, one, one_implies in zip(place.tolist(), label.tolist(), implies.tolist(), strict=True)
        ]
        odds = self.predictor.t5.log_odds_of([rows.tolist() for rows in contexts], label)
        return np.asarray(expit(odds), dtype=np.float32)


_MISSING: Final = {
    "posts": np.int64,
    "labels": np.int64,
    "probability": np.float32,
    "implied": np.bool_,
    "core_of": np.int64,
}


def _joined(parts: Sequence[Missing]) -> Missing:
    """One after another."""
    columns = (
        np.concatenate([np.empty(0, kind), *(getattr(part, name) for part in parts)]) for name, kind in _MISSING.items()
    )
    return Missing(*columns)


def without(own: Rows, label: int, implied: sparse.csr_array) -> Rows:
    """A post's labels, and what they imply, without one of them and what it alone implies, ascending.

    Where nothing else would be left, what it implies stays.
    """
    those = implied.indices[implied.indptr[label] : implied.indptr[label + 1]]
    others = own[own != label]
    left = others[~np.isin(others, those)]
    [closed] = close([left if len(left) else others], implied)
    return closed[closed != label]


def _flat(lists: Iterable[Rows]) -> tuple[Rows, Rows]:
    """Position of the list and value of each value of some lists."""
    lists = list(lists)
    sizes = [len(one) for one in lists]
    return np.repeat(np.arange(len(lists)), sizes), np.concatenate([np.empty(0, np.int64), *lists])
