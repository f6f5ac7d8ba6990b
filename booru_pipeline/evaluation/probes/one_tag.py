"""One tag alone: the probability that is shown for a label, against the label's share of held-out posts."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Final

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from booru_pipeline.evaluation.figures.bootstrap import Interval
from booru_pipeline.evaluation.figures.probing import mean_intervals, sampling_error
from booru_pipeline.evaluation.finding import Count, Finding, Share, definitions
from booru_pipeline.evaluation.probes.calibration import first
from booru_pipeline.evaluation.probes.counts import Exam, Supported, choose

MODEL: Final = "model"
T5_ALONE: Final = "T5 alone"
COUNTS: Final = "counts"

GUESSES: Final = 10
"""Of the model and of counting each, whose pairs are asked about."""
CERTAIN: Final = 0.95
SHOWN: Final = 0.9
_WORST: Final = 10
_AT_ONCE: Final = 64
"""Tags; bounds the probabilities."""

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
    derivable_shown: Count = Field(
        description="The same of pairs that an implication gives away, if the tag is given without what it implies."
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
        description="The tags given alone, together with what they imply: labels on `probe_tag_support` test posts or "
        "more, drawn by hash of seed and name if there are more than `probe_tags`; of a checkpoint that ranks slowly, "
        "`test_posts_slow` at most. If fewer than five have the support, the best supported ones."
    )
    pairs: Count = Field(description="Pairs of a tag and a label. What the tag implies is no question.")
    noise: Share = Field(
        description="The error that the true shares themselves would have, as a held-out share of n posts is off by "
        "chance: mean over pairs of sqrt(2 p (1 - p) / (pi (n - 1))), p the held-out share. That is the mean "
        "deviation E|X / n - p| of a binomial X in the normal approximation, with p (1 - p) estimated without bias."
    )
    certain: Count = Field(
        description=f"Pairs that hold on {CERTAIN:.0%} or more, and that no implication gives away; see `shown`. Some "
        "hold so often by chance: of few posts, or where the true share is a little less."
    )
    derivable: Count = Field(description="Those that one gives away; see `derivable_shown`.")
    methods: dict[str, OneTagFigures] = Field(
        description=f"`{MODEL}` is the answer, `{T5_ALONE}` is there if counting takes part in it, and `{COUNTS}` are "
        "shares of train posts."
    )
    misses: list[Miss] = Field(
        description=f"The {_WORST} pairs where the model is off by most standard errors, the worst first."
    )


@dataclass(frozen=True)
class _Tag:
    """What is held against a tag's test posts.

    Attributes:
        row: The tag.
        posts: Test posts that have it.
        labels: Rows of the labels asked about.
        share: Their shares of those posts.
        shown: What each method shows for them.
        certain: What each shows for the labels on CERTAIN of the posts or more that the tag does not imply.
        derivable: And for those that it does, if the tag is given without them.
    """

    row: int
    posts: int
    labels: NDArray[np.int64]
    share: Shares
    shown: dict[str, Shares]
    certain: dict[str, Shares]
    derivable: dict[str, Shares]


def probe_one_tag(exam: Exam) -> OneTagFindings | None:
    """Give tags alone, and compare what is shown with the posts that have them; None if no tag has support."""
    chosen, supported = _choose_tags(exam)
    if not chosen:
        return None
    tags = [tag for start in range(0, len(chosen), _AT_ONCE) for tag in _ask(exam, chosen[start : start + _AT_ONCE])]
    names, methods = exam.vocabulary.labels, list(tags[0].shown)
    owners = [names[tag.row] for tag in tags for _ in tag.labels]
    posts = np.concatenate([np.full(len(tag.labels), tag.posts) for tag in tags])
    share = np.concatenate([tag.share for tag in tags])
    shown = {name: np.concatenate([tag.shown[name] for tag in tags]) for name in methods}
    errors = {name: np.abs(chances - share) for name, chances in shown.items()}
    others = [name for name in methods if name != COUNTS]
    less = np.array([errors[name] - errors[COUNTS] for name in others])
    more = dict(zip(others, mean_intervals(less, owners, exam.options), strict=True))
    return OneTagFindings(
        min_support=exam.options.probe_tag_support,
        eligible=int(np.count_nonzero(exam.test.support >= exam.options.probe_tag_support)),
        supported=supported,
        tags=[names[tag.row] for tag in tags],
        pairs=len(share),
        noise=_mean(sampling_error(share, posts)),
        certain=sum(len(tag.certain[MODEL]) for tag in tags),
        derivable=sum(len(tag.derivable[MODEL]) for tag in tags),
        methods={
            name: OneTagFigures(
                error=_mean(errors[name]),
                more_than_counts=more.get(name),
                shown=sum(int(np.count_nonzero(tag.certain[name] >= SHOWN)) for tag in tags),
                derivable_shown=sum(int(np.count_nonzero(tag.derivable[name] >= SHOWN)) for tag in tags),
            )
            for name in methods
        },
        misses=_misses(owners, [names[row] for tag in tags for row in tag.labels], shown, share, posts),
    )


def _choose_tags(exam: Exam) -> tuple[list[int], bool]:
    """The tags, and whether all have the support that is asked for."""
    options, supports, names = exam.options, exam.test.support.tolist(), exam.vocabulary.labels
    places, supported = choose(supports, least=options.probe_tag_support, limit=len(supports))
    if supported:  # not the most frequent ones alone, of which all is known
        places.sort(key=lambda row: hashlib.blake2b(f"{options.seed}\t{names[row]}".encode(), digest_size=16).digest())
    return places[: min(options.probe_tags, exam.questions)], supported


def _ask(exam: Exam, tags: Sequence[int]) -> Iterator[_Tag]:
    counted = [exam.train.counts(tag) for tag in tags]
    counts = np.stack([together / max(1, posts) for posts, together in counted])
    closed, alone = (
        {**_probabilities(exam, contexts), COUNTS: counts}
        for contexts in ([sorted(exam.closed(tag)) for tag in tags], [[tag] for tag in tags])
    )
    for place, tag in enumerate(tags):
        posts, together = exam.test.counts(tag)
        share = together / posts
        implied = exam.closed(tag)[1:]
        asked = np.zeros(len(share), dtype=bool)
        for method in (MODEL, COUNTS):
            guesses = first(closed[method][place], [tag, *implied], GUESSES)
            asked[guesses[closed[method][place, guesses] > 0]] = True
        labels = np.flatnonzero(asked)
        holds = share >= CERTAIN
        derivable = [row for row in implied if holds[row]]
        holds[[tag, *implied]] = False
        yield _Tag(
            row=tag,
            posts=posts,
            labels=labels,
            share=share[labels],
            shown={name: chances[place, labels] for name, chances in closed.items()},
            certain={name: chances[place, holds] for name, chances in closed.items()},
            derivable={name: chances[place, derivable] for name, chances in alone.items()},
        )


def _probabilities(exam: Exam, contexts: Sequence[Sequence[int]]) -> dict[str, Shares]:
    """What the model and the T5 alone show, [contexts, labels]."""
    models = {MODEL: exam.model} if exam.t5 is None else {MODEL: exam.model, T5_ALONE: exam.t5}
    return {name: np.asarray(model.probabilities(contexts), dtype=np.float64) for name, model in models.items()}


def _misses(
    tags: Sequence[str], labels: Sequence[str], shown: dict[str, Shares], share: Shares, posts: NDArray[np.int64]
) -> list[Miss]:
    smoothed = (share * posts + 1) / (posts + 2)  # Laplace's: a share of 0 or 1 has an error too
    off = np.abs(shown[MODEL] - share) / np.sqrt(smoothed * (1 - smoothed) / posts)
    return [
        Miss(
            tag=tags[pair],
            label=labels[pair],
            probability=float(shown[MODEL][pair]),
            counts=float(shown[COUNTS][pair]),
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
