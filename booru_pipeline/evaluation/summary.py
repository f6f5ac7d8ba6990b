"""The headline of an evaluation: typed, and in words that make no more of it than it shows."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from booru_pipeline.evaluation.metrics import Interval
from booru_pipeline.evaluation.probes import ClaimResult

MODEL: Final = "model"
CO_OCCURRENCE: Final = "co-occurrence"
POPULARITY: Final = "popularity"
METHODS: Final = (MODEL, CO_OCCURRENCE, POPULARITY)
HEADLINE_K: Final = 10


@dataclass(frozen=True)
class EvaluationSummary:
    """What an evaluation found.

    Attributes:
        release: The release evaluated.
        test_posts: Test posts scored.
        groups: Pictures they show.
        recall: For each method, mean recall by k.
        mrr: For each method, the mean reciprocal rank of a post's first hidden label.
        differences: For each baseline, the model's recall@HEADLINE_K less the baseline's, with 95 % interval.
        probes: What the model answers to the README's claims.
        shared_groups: Pictures on two sides of the split; above 0 the numbers are not to be trusted.
    """

    release: str
    test_posts: int
    groups: int
    recall: Mapping[str, Mapping[int, float]]
    mrr: Mapping[str, float]
    differences: Mapping[str, Interval]
    probes: list[ClaimResult]
    shared_groups: int

    @property
    def beats_popularity(self) -> bool:
        """Whether the whole interval of the difference in recall lies above 0."""
        return self.differences[POPULARITY].low > 0

    @property
    def beats_cooccurrence(self) -> bool:
        """Whether the whole interval of the difference in recall lies above 0."""
        return self.differences[CO_OCCURRENCE].low > 0

    def verdict(self) -> str:
        """Two or three plain sentences: what was measured, and whether the model beats the baselines."""
        found = {method: f"{100 * self.recall[method][HEADLINE_K]:.1f} %" for method in METHODS}
        return (
            f"Some labels of {self.test_posts:,} held-out posts ({self.groups:,} pictures) were hidden. "
            f"Among its first {HEADLINE_K} guesses the model found {found[MODEL]} of those it could, co-occurrence "
            f"{found[CO_OCCURRENCE]}, popularity {found[POPULARITY]}. "
            f"The model {_compare(self.differences[CO_OCCURRENCE], CO_OCCURRENCE)}, and it "
            f"{_compare(self.differences[POPULARITY], POPULARITY)}."
        )

    def to_markdown(self) -> str:
        """The headline as Markdown: verdict, a table of the methods, the probes."""
        ks = sorted(self.recall[MODEL])
        lines = [self.verdict(), ""]
        if self.shared_groups:
            lines += [f"**Leak: {self.shared_groups:,} pictures are on two sides of the split.**", ""]
        lines += [
            "| method | " + " | ".join(f"recall@{k}" for k in ks) + " | MRR |",
            "| :--- |" + " ---: |" * (len(ks) + 1),
        ]
        for method in METHODS:
            cells = [f"{self.recall[method][k]:.3f}" for k in ks] + [f"{self.mrr[method]:.3f}"]
            lines.append(f"| {method} | " + " | ".join(cells) + " |")
        lines += ["", "#### Does it know what people know?", ""]
        lines += ["| given | implies | answer | probability | rank |", "| :--- | :--- | :--- | ---: | ---: |"]
        for probe in self.probes:
            implied = _escape(probe.label or " or ".join(probe.implied))
            if probe.rank is None or probe.probability is None:
                answer = f"not in the vocabulary: {_escape(', '.join(probe.missing))} | | |"
            else:
                answer = f"{'yes' if probe.holds else 'no'} | {probe.probability:.2f} | {probe.rank:,} |"
            lines.append(f"| {_escape(probe.given)} | {implied} | {answer}")
        return "\n".join(lines) + "\n"


def _compare(difference: Interval, baseline: str) -> str:
    mean, low, high = (100 * value for value in (difference.mean, difference.low, difference.high))
    if low > 0:
        return f"beats {baseline} by {mean:.1f} points (95 % interval {low:.1f} to {high:.1f})"
    if high < 0:
        return f"falls short of {baseline} by {-mean:.1f} points (95 % interval {-high:.1f} to {-low:.1f})"
    return f"cannot be told apart from {baseline} ({mean:+.1f} points, 95 % interval {low:+.1f} to {high:+.1f})"


def _escape(text: str) -> str:
    return re.sub(r"([\\`*_{}\[\]()<>#+\-.!|~^:])", r"\\\1", text)
