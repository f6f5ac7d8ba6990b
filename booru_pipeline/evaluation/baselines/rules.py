"""The baseline of market baskets: association rules, found by FP-growth."""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from rusket import FPGrowth
from scipy import sparse

from booru_pipeline.evaluation.baselines.counting import Batched
from booru_pipeline.ragged import gather

LEAST_POSTS: Final = 10
LEAST_SHARE: Final = 0.001
LEAST_CONFIDENCE: Final = 0.05
MINED_POSTS: Final = 250_000  # of 1.35 million it took 34 s and 1.2 GB, of these 5 s and 0.4 GB

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Rules:
    """Rules "who has these has that" of one and two antecedents, and for each label the rule without any.

    Attributes:
        posts: Train posts that the rules are from.
        share: float32 [labels], each label's share of all train posts, which is the confidence of the rule without.
        twos: int64 [twos, 2], the pairs of labels that are antecedents, each ascending, none twice.
        antecedent: int64 [rules], a label's row, or the number of labels plus the row in `twos`; ascending.
        consequent: int64 [rules], a label's row.
        confidence: float64 [rules], share of the posts with the antecedent that have the consequent.
        lift: float64 [rules], confidence over the consequent's share of these posts.
        least_posts: Posts that had to have antecedent and consequent together.
    """

    posts: int
    share: NDArray[np.float32]
    twos: Ints
    antecedent: Ints
    consequent: Ints
    confidence: NDArray[np.float64]
    lift: NDArray[np.float64]
    least_posts: int


def mine(train: sparse.csr_array) -> Rules:
    """Find the rules by FP-growth (Han, Pei and Yin 2000).

    Antecedent and consequent are together in LEAST_POSTS posts, and LEAST_SHARE of all, or more, and the confidence is
    LEAST_CONFIDENCE or more. They are from the first MINED_POSTS posts: a share of LEAST_SHARE is then known to 6 %.

    Args:
        train: Incidence matrix of the train posts, [posts, labels]; more than MINED_POSTS are in random order, so that
            the first ones are a sample of all.
    """
    share = (np.asarray(train.sum(axis=0, dtype=np.float64)).ravel() / max(1, train.shape[0])).astype(np.float32)
    train = train[:MINED_POSTS]
    posts, labels = max(1, train.shape[0]), train.shape[1]
    counts = np.asarray(train.sum(axis=0, dtype=np.float64)).ravel()
    least = max(LEAST_POSTS, int(np.ceil(LEAST_SHARE * posts)))
    sets = _frequent_sets(train, least) if train.nnz else {2: _none(2), 3: _none(3)}
    (ones, together), (threes, of_threes) = sets[2], sets[3]

    # Every part of a frequent set is frequent, so each antecedent of two is among the pairs.
    twos = ones[np.lexsort((ones[:, 1], ones[:, 0]))]
    keys = twos[:, 0] * labels + twos[:, 1]
    of_twos = together[np.lexsort((ones[:, 1], ones[:, 0]))]
    parts: list[tuple[Ints, Ints, NDArray[np.float64], NDArray[np.float64]]] = []
    for given, other in ((0, 1), (1, 0)):
        parts.append((ones[:, given], ones[:, other], together, counts[ones[:, given]]))
    for first, second, other in ((0, 1, 2), (0, 2, 1), (1, 2, 0)):
        place = np.searchsorted(keys, threes[:, first] * labels + threes[:, second])
        parts.append((labels + place, threes[:, other], of_threes, of_twos[place]))
    antecedent, consequent, both, having = (np.concatenate(column) for column in zip(*parts, strict=True))
    confidence = both / having
    kept = np.flatnonzero(confidence >= LEAST_CONFIDENCE)
    kept = kept[np.lexsort((consequent[kept], antecedent[kept]))]
    return Rules(
        posts=train.shape[0],
        share=share,
        twos=twos,
        antecedent=antecedent[kept],
        consequent=consequent[kept],
        confidence=confidence[kept],
        lift=confidence[kept] * posts / counts[consequent[kept]],
        least_posts=least,
    )


class AssociationRules(Batched):
    """The place of the best rule that fires for t, in the order by confidence x lift^w; ties go by lift.

    A rule fires when all of its antecedents are visible; the rule without antecedents always does, so that labels
    without any other go by popularity. w = 0 is the order by confidence.
    """

    def __init__(self, rules: Rules, *, lift_weight: float = 0.0) -> None:
        """Put the rules in order; the weight is the power w."""
        order = f"confidence x lift^{lift_weight:g}" if lift_weight else "confidence"
        super().__init__(
            rules.share,
            f"best rule of up to two antecedents by {order}, ties by lift; {len(rules.confidence):,} rules of "
            f"{rules.least_posts:,} of {rules.posts:,} posts and confidence {LEAST_CONFIDENCE:g} or more",
        )
        labels = len(rules.share)
        confidence = np.concatenate([rules.confidence, rules.share.astype(np.float64)])
        lift = np.concatenate([rules.lift, np.ones(labels)])
        places = _places(confidence * lift**lift_weight, lift)
        starts = np.searchsorted(rules.antecedent, np.arange(labels + len(rules.twos) + 1))
        self._rules = sparse.csr_array(
            (places[:-labels] if labels else places, rules.consequent, starts),
            shape=(labels + len(rules.twos), labels),
        )
        self._always = places[len(rules.confidence) :]
        ones = np.ones(2 * len(rules.twos), dtype=np.float32)
        pairs = (ones, rules.twos.ravel(), np.arange(0, len(ones) + 1, 2))
        self._twos = sparse.csc_array(sparse.csr_array(pairs, shape=(len(rules.twos), labels)).T)

    def _batch(self, visible: sparse.csr_array) -> NDArray[np.float32]:
        posts, labels = visible.shape
        post, antecedent = visible.nonzero()
        found = sparse.coo_array(visible @ self._twos)
        both = found.data == 2
        post = np.concatenate([post, found.coords[0][both]]).astype(np.int64)
        antecedent = np.concatenate([antecedent, labels + found.coords[1][both].astype(np.int64)])

        fired, starts = gather(np.arange(self._rules.nnz), self._rules.indptr.astype(np.int64), antecedent)
        scores = np.tile(self._always, posts)
        cells = np.repeat(post, np.diff(starts)) * labels + self._rules.indices[fired]
        np.maximum.at(scores, cells, self._rules.data[fired])
        return scores.reshape(posts, labels)


def _places(strength: NDArray[np.float64], lift: NDArray[np.float64]) -> NDArray[np.float32]:
    """Each rule's place by strength, then lift, 0 is the weakest; equal rules share one. Whole numbers, so exact."""
    order = np.lexsort((lift, strength))
    steps = (np.diff(strength[order]) > 0) | (np.diff(lift[order]) > 0)
    places = np.empty(len(order), dtype=np.float32)
    places[order] = np.concatenate([[0], np.cumsum(steps)])[: len(order)]
    return places


def _frequent_sets(train: sparse.csr_array, least: int) -> dict[int, tuple[Ints, NDArray[np.float64]]]:
    """Sets of two and of three labels that `least` posts or more have, with their posts; members ascend."""
    posts = train.shape[0]
    # The library takes a share, and rounds up the posts that it makes of it.
    found = FPGrowth(sparse.csr_matrix(train), min_support=(least - 0.5) / posts, use_colnames=False, max_len=3).mine()
    if not len(found):
        return {2: _none(2), 3: _none(3)}
    itemsets: Any = pa.array(found["itemsets"])
    itemsets = itemsets.combine_chunks() if isinstance(itemsets, pa.ChunkedArray) else itemsets
    sizes = itemsets.value_lengths().to_numpy()
    starts = itemsets.offsets.to_numpy()[:-1]
    members = itemsets.values.to_numpy().astype(np.int64)
    having = np.rint(found["support"].to_numpy() * posts)
    return {
        size: (np.sort(members[starts[sizes == size][:, None] + np.arange(size)], axis=1), having[sizes == size])
        for size in (2, 3)
    }


def _none(size: int) -> tuple[Ints, NDArray[np.float64]]:
    return np.empty((0, size), dtype=np.int64), np.empty(0)
