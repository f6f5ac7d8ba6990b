"""The headline of an evaluation: typed, and in words that make no more of it than it shows."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from booru_pipeline.evaluation.comparison.compare import Comparison
from booru_pipeline.evaluation.comparison.leakage import Leaks
from booru_pipeline.evaluation.comparison.promotion import find_losses
from booru_pipeline.evaluation.figures.bootstrap import Interval
from booru_pipeline.evaluation.options import HEADLINE_K
from booru_pipeline.evaluation.probes.claims import ClaimResult
from booru_pipeline.evaluation.results import MODEL, Result

_RECALL: Final = f"recall@{HEADLINE_K}"


@dataclass(frozen=True)
class EvaluationSummary:
    """What an evaluation found.

    Attributes:
        release: The release evaluated.
        test_posts: Test posts scored.
        pictures: Pictures they show.
        methods: The model, then the baselines, in the report's order.
        headline_share: The hidden share that is shown where there is room for one.
        shares: By hidden share, from the least, what was found on labels that are not derivable; a share at which no
            post hides such a label is left out, but not all are.
        claims: What the model answers to the README's claims.
        leaks: What lies on two sides of the split; if anything does, the numbers are not to be trusted.
        comparison: The model beside its parent; None for the first release.
    """

    release: str
    test_posts: int
    pictures: int
    methods: tuple[str, ...]
    headline_share: float
    shares: Mapping[float, Result]
    claims: Sequence[ClaimResult]
    leaks: Leaks
    comparison: Comparison | None = None

    @property
    def losses(self) -> list[str]:
        """To what the model loses, which keeps it from being promoted; see `promotion.find_losses`."""
        return find_losses(self.shares, self.comparison, self.leaks)

    @property
    def headline(self) -> Result:
        """The result at the share nearest `headline_share`."""
        return self.shares[min(self.shares, key=lambda share: abs(share - self.headline_share))]

    @property
    def beats_baselines(self) -> bool:
        """Whether the model is ahead of every baseline at every share, in recall@10 and MRR, by more than chance."""
        return all(result.beats_baselines for result in self.shares.values())

    def best_baseline(self, share: float) -> str:
        """The strongest baseline at a hidden share: the one with the highest recall@10."""
        return self.shares[share].best_baseline

    def verdict(self) -> str:
        """Plain sentences: whether the model beats the baselines, at each share, and by how much."""
        lines = [f"Leak: do not trust these numbers. {_capital(str(self.leaks))}."] if self.leaks else []
        beaten = [share for share, result in self.shares.items() if result.beats_baselines]
        if len(beaten) == len(self.shares):
            lines.append("The model beats every baseline at every hidden share, in recall@10 and MRR.")
        elif beaten:
            missed = [share for share in self.shares if share not in beaten]
            lines.append(
                f"The model beats every baseline with {_shares(beaten)} of the labels hidden, in recall@10 and MRR; "
                f"with {_shares(missed)} hidden it does not."
            )
        else:
            lines.append("The model beats every baseline in recall@10 and MRR at no hidden share.")
        lines.append(
            f"Asked for were labels of {self.test_posts:,} held-out posts ({self.pictures:,} pictures) that no "
            "implication of the others gives away."
        )
        lines += [_share_sentence(share, result) for share, result in self.shares.items()]
        return " ".join(lines)

    def to_markdown(self) -> str:
        """The headline as Markdown: verdict, a table of the methods by share, the claims."""
        lines = [self.verdict(), ""]
        if self.leaks:
            lines = [f"**Leak: {self.leaks}.**", "", *lines]
        lines += [f"#### {_RECALL} / MRR, hidden labels that are not derivable", ""]
        lines += [
            "| method | " + " | ".join(f"{_percent(share)} hidden" for share in self.shares) + " |",
            "| :--- |" + " ---: |" * len(self.shares),
        ]
        for method in self.methods:
            figures = [result.methods[method] for result in self.shares.values()]
            cells = [f"{own.recall[HEADLINE_K]:.3f} / {own.mrr:.3f}" for own in figures]
            lines.append(f"| {method} | " + " | ".join(cells) + " |")
        since = self.comparison.to_markdown() if self.comparison else "First release: there is none to compare with.\n"
        lines += ["", since, "#### Does it know what people know?", ""]
        lines += ["| given | implies | answer | probability | rank |", "| :--- | :--- | :--- | ---: | ---: |"]
        for claim in self.claims:
            implied = _escape(claim.expected)
            if claim.rank is None or claim.probability is None:
                answer = f"not in the vocabulary: {_escape(', '.join(claim.missing))} | | |"
            else:
                answer = f"{'yes' if claim.holds else 'no'} | {claim.probability:.2f} | {claim.rank:,} |"
            lines.append(f"| {_escape(claim.given)} | {implied} | {answer}")
        return "\n".join(lines) + "\n"


def _share_sentence(share: float, result: Result) -> str:
    """The model beside the strongest baseline, and which others it does not beat."""
    best = result.best_baseline
    model, other, difference = result.methods[MODEL], result.methods[best], result.differences[best]
    unbeaten = [name for name, lead in result.differences.items() if name != best and not lead.is_ahead]
    also = f"; not clearly ahead of {_listed(unbeaten)}" if unbeaten else ""
    return (
        f"{_percent(share)} hidden: {_RECALL} {model.recall[HEADLINE_K]:.3f}, and {other.recall[HEADLINE_K]:.3f} of "
        f"{best}, the strongest baseline ({_interval(difference.recall)}); MRR {model.mrr:.3f} and {other.mrr:.3f} "
        f"({_interval(difference.mrr)}){also}."
    )


def _interval(difference: Interval) -> str:
    return f"{difference.mean:+.3f}, 95 % interval {difference.low:+.3f} to {difference.high:+.3f}"


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"


def _shares(shares: Sequence[float]) -> str:
    return f"{_listed([f'{100 * share:.3g}' for share in shares])} %"


def _listed(words: Sequence[str]) -> str:
    *first, last = words
    return f"{', '.join(first)} and {last}" if first else last


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _escape(text: str) -> str:
    return re.sub(r"([\\`*_{}\[\]()<>#+\-.!|~^:])", r"\\\1", text)


def methods_table(summary: EvaluationSummary) -> tuple[list[str], list[tuple[float, str, float, float]]]:
    """A row a method and hidden share: recall@10 and MRR of labels that are not derivable.

    Returns:
        The columns' names and the rows.
    """
    columns = ["hidden", "method", f"recall@{HEADLINE_K}", "MRR"]
    rows = []
    for share, result in summary.shares.items():
        for name, figures in result.methods.items():
            rows.append((share, name, round(figures.recall[HEADLINE_K], 4), round(figures.mrr, 4)))
    return columns, rows
