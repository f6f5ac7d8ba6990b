"""One tag alone: the probability that is shown for a label, against the label's share of held-out posts."""

import hashlib
from collections.abc import Sequence
from typing import Annotated, Final

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from booru_pipeline.evaluation.figures.bootstrap import Interval
from booru_pipeline.evaluation.figures.probing import mean_intervals, sampling_error
from booru_pipeline.evaluation.finding import Count, Finding, Share, definitions
from booru_pipeline.evaluation.probes.calibration import first
from booru_pipeline.evaluation.probes.counts import LEAST_SUPPORT, Exam, Supported

MODEL: Final = "model"
T5_ALONE: Final = "T5 alone"
COUNTS: Final = "counts"

GUESSES: Final = 10
"""Of the model and of counting each, whose pairs are asked about."""
CERTAIN: Final = 0.95
SHOWN: Final = 0.9
_WORST: Final = 10

Shares = NDArray[np.float64]
Signed = Annotated[float, Field(ge=-1, le=1)]


class OneTagFigures(Finding):
    """What a method shows for one tag alone."""

    error: Share = Field(
        description="Mean over pairs of a tag and a label of |probability shown - share of test posts with the tag "
        f"that have the label|. Pairs: each tag with the model's first {GUESSES} guesses and those of counting."
    )
    more_than_counts: Interval | None = Field(
        description="The error less that of counts, with a 95 % interval, bootstrap over tags; below 0 is better. null "
        "for counts themselves and with fewer than two tags."
    )
    shown: Count = Field(
        description=f"Of the pairs that hold on {CERTAIN:.0%} of the test posts with the tag or more, whatever the "
        f"guesses: how many are shown at {SHOWN:.0%} or more."
    )


class Miss(Finding):
    """A pair whose probability is far from the held-out share."""

    tag: str = Field(description="Given alone.")
    label: str = Field(description="What is asked.")
    probability: Share = Field(description="The model's.")
    counts: Share = Field(description="Share of the train posts with the tag that have the label.")
    share: Share = Field(description="The same of test posts.")
    posts: Count = Field(description="Test posts with the tag.")


class OneTagFindings(Supported):
    """One tag alone."""

    tags: list[str] = Field(
        description="The tags given alone, together with what they imply: labels on `probe_min_support` test posts or "
        "more, drawn by hash of seed and name if there are more than `probe_tags`. If fewer have the support, the "
        f"best supported ones, on {LEAST_SUPPORT} test posts or more."
    )
    pairs: Count = Field(description="Pairs of a tag and a label. What the tag implies is no question.")
    noise: Share = Field(
        description="The error that the true shares themselves would have, as a held-out share of n posts is off by "
        "chance: mean over pairs of sqrt(2 p (1 - p) / (pi (n - 1))), p the held-out share. That is the mean "
        "deviation E|X / n - p| of a binomial X in the normal approximation, with p (1 - p) estimated without bias."
    )
    certain: Count = Field(description=f"Pairs that hold on {CERTAIN:.0%} or more; see `shown`.")
    methods: dict[str, OneTagFigures] = Field(
        description=f"`{MODEL}` is the answer, `{T5_ALONE}` is there if counting takes part in it, and `{COUNTS}` are "
        "shares of train posts."
    )
    misses: list[Miss] = Field(
        description=f"The {_WORST} pairs where the model is off by most standard errors, the worst first."
    )


def probe_one_tag(exam: Exam) -> OneTagFindings | None:
    """Give tags alone, and compare what is shown with the posts that have them; None if no tag has support."""
    chosen, supported = _choose_tags(exam)
    if not chosen:
        return None
    held = [exam.test.counts(tag) for tag in chosen]
    posts = np.array([posts for posts, _ in held])
    share = np.stack([counts / on for on, counts in held])
    shown = _shown(exam, chosen)
    asked, certain = np.zeros(share.shape, dtype=bool), share >= CERTAIN
    for place, tag in enumerate(chosen):
        known = exam.closed(tag)
        certain[place, known] = False
        for method in (MODEL, COUNTS):
            guesses = first(shown[method][place], known, GUESSES)
            asked[place, guesses[shown[method][place, guesses] > 0]] = True
    tags, labels = np.nonzero(asked)
    at_pairs = {name: chances[tags, labels] for name, chances in shown.items()}
    owners = [exam.vocabulary.labels[chosen[tag]] for tag in tags]
    noise = sampling_error(share[tags, labels], posts[tags])
    errors = {name: np.abs(chances - share[tags, labels]) for name, chances in at_pairs.items()}
    others = [name for name in errors if name != COUNTS]
    less = np.array([errors[name] - errors[COUNTS] for name in others])
    intervals = mean_intervals(less, owners, exam.options)
    more = dict(zip(others, intervals, strict=True))
    return OneTagFindings(
        min_support=exam.options.probe_min_support,
        eligible=int(np.count_nonzero(exam.test.support >= exam.options.probe_min_support)),
        supported=supported,
        tags=[exam.vocabulary.labels[tag] for tag in chosen],
        pairs=len(tags),
        noise=_mean(noise),
        certain=int(certain.sum()),
        methods={
            name: OneTagFigures(
                error=_mean(errors[name]),
                more_than_counts=more.get(name),
                shown=int(np.count_nonzero(chances[certain] >= SHOWN)),
            )
            for name, chances in shown.items()
        },
        misses=_misses(exam, owners, labels, at_pairs, share[tags, labels], posts[tags]),
    )


def _choose_tags(exam: Exam) -> tuple[list[int], bool]:
    """The tags, and whether all have the support that is asked for."""
    options, supports, names = exam.options, exam.test.support, exam.vocabulary.labels
    enough = np.flatnonzero(supports >= options.probe_min_support).tolist()
    if len(enough) > options.probe_tags:  # not the most frequent ones alone, of which all is known
        enough.sort(key=lambda row: hashlib.blake2b(f"{options.seed}\t{names[row]}".encode(), digest_size=16).digest())
        return enough[: options.probe_tags], True
    best = np.argsort(-supports, kind="stable")[: options.probe_tags]
    chosen = best[supports[best] >= LEAST_SUPPORT].tolist()
    return chosen, len(chosen) == len(enough)


def _shown(exam: Exam, tags: Sequence[int]) -> dict[str, Shares]:
    """What each method shows, [tags, labels]."""
    contexts = [sorted(exam.closed(tag)) for tag in tags]
    counted = [exam.train.counts(tag) for tag in tags]
    shown = {MODEL: np.asarray(exam.model.probabilities(contexts), dtype=np.float64)}
    if exam.t5 is not None:
        shown[T5_ALONE] = np.asarray(exam.t5.probabilities(contexts), dtype=np.float64)
    return {**shown, COUNTS: np.stack([counts / max(1, posts) for posts, counts in counted])}


def _misses(
    exam: Exam,
    owners: Sequence[str],
    labels: NDArray[np.int64],
    at_pairs: dict[str, Shares],
    share: Shares,
    posts: NDArray[np.int64],
) -> list[Miss]:
    smoothed = (share * posts + 1) / (posts + 2)  # Laplace's: a share of 0 or 1 has an error too
    off = np.abs(at_pairs[MODEL] - share) / np.sqrt(smoothed * (1 - smoothed) / posts)
    return [
        Miss(
            tag=owners[pair],
            label=exam.vocabulary.labels[labels[pair]],
            probability=float(at_pairs[MODEL][pair]),
            counts=float(at_pairs[COUNTS][pair]),
            share=float(share[pair]),
            posts=int(posts[pair]),
        )
        for pair in np.argsort(-off, kind="stable")[:_WORST].tolist()
    ]


def _mean(values: Shares) -> float:
    return float(values.mean()) if len(values) else 0.0


DEFINITIONS: Final = {
    **definitions(OneTagFindings, one_tag="tags", one_tag_noise="noise"),
    **definitions(OneTagFigures, one_tag_error="error", one_tag_shown="shown"),
}
