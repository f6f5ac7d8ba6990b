"""The page's tables of methods: what stands in which cell, without any markup."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from booru_pipeline.evaluation.audit.measure import AUDIT, AuditFindings
from booru_pipeline.evaluation.audit.proposals import ProposalFindings
from booru_pipeline.evaluation.figures.bootstrap import Interval
from booru_pipeline.evaluation.figures.ranks import heading
from booru_pipeline.evaluation.probes.characters import CharacterFindings
from booru_pipeline.evaluation.probes.implications import ImplicationFindings
from booru_pipeline.evaluation.probes.pairs import PairFindings
from booru_pipeline.evaluation.report.page import words
from booru_pipeline.evaluation.results import (
    HEADLINE,
    MODEL,
    RECALL,
    BaselineComparison,
    Difference,
    QuestionResult,
    ShareResult,
    is_ahead,
    is_behind,
)

AHEAD, BEHIND, UNCLEAR = "ahead", "behind", "unclear"


@dataclass(frozen=True)
class Cell:
    """A cell.

    Attributes:
        text: What it says.
        value: What it is sorted by; None = last.
        style: `top` for the best value of its column, or a state that is shown as a pill; empty = none.
    """

    text: str
    value: float | None = None
    style: str = ""


@dataclass(frozen=True)
class Row:
    """A row: its name, its cells, and whether it is the model's or a best baseline's (`model`, `best`, empty)."""

    name: str
    cells: Sequence[Cell]
    style: str = ""


@dataclass(frozen=True)
class Group:
    """Rows that are sorted among themselves, under a heading; without a title there is none."""

    rows: Sequence[Row]
    title: str = ""
    detail: str = ""


@dataclass(frozen=True)
class Table:
    """A table that can be sorted by every column.

    Attributes:
        caption: What it shows.
        first: Heading of the column of names.
        columns: Headings of the others, all of figures.
        groups: The rows.
    """

    caption: str
    first: str
    columns: Sequence[str]
    groups: Sequence[Group] = field(default_factory=tuple)


Question = Callable[[ShareResult], QuestionResult | None]
Parts = Callable[[QuestionResult], Mapping[str, BaselineComparison]]


def figures(shares: Iterable[ShareResult], question: Question, caption: str) -> Table:
    """All figures of all methods to one question, by hidden share; first how far the model is ahead of each."""
    asked = [(share, result) for share in shares if (result := question(share))]
    keys = list(asked[0][1].methods[MODEL]) if asked else []
    groups = []
    for share, result in asked:
        best = {key: _highest(values[key] for values in result.methods.values()) for key in keys}
        rows = [
            Row(
                name,
                [_ahead_of(name, result), *(_figure(values[key], best[key]) for key in keys)],
                _style(name, result),
            )
            for name, values in result.methods.items()
        ]
        detail = f"{result.posts:,} posts, {result.labels:,} hidden labels; {result.labels_counted:,} labels behind AP"
        groups.append(Group(rows, _hidden(share.hidden_share), detail))
    return Table(caption, "method", [f"model less this, {RECALL} points", *map(heading, keys)], groups)


def questions(shares: Iterable[ShareResult]) -> Table:
    """Recall@10 and MRR of every method where labels are derivable and where not."""
    groups = []
    for share in shares:
        asked = (share.not_derivable, share.derivable, share.all)
        present = [result for result in asked if result]
        if not present:
            continue
        columns = [
            {name: values[metric] for name, values in result.methods.items()} if result else {}
            for result in asked
            for metric in HEADLINE
        ]
        rows = [
            Row(
                name,
                [_figure(values.get(name), _highest(values.values())) for values in columns],
                _style(name, present[0]),
            )
            for name in present[0].methods
        ]
        detail = f"{share.hidden_labels:,} labels hidden, {share.derivable_labels:,} of them derivable"
        groups.append(Group(rows, _hidden(share.hidden_share), detail))
    heads = [
        f"{question}: {heading(metric)}" for question in ("not derivable", "derivable", "all") for metric in HEADLINE
    ]
    return Table(f"{RECALL} and MRR by what the visible labels imply", "method", heads, groups)


def parts(shares: Iterable[ShareResult], part: Parts, first: str, caption: str, methods: Sequence[str]) -> Table:
    """The lead over the best baseline on the parts of the headline's question, and recall@10 of every method."""
    groups = []
    for share in shares:
        if share.not_derivable is None:
            continue
        rows = []
        for name, result in part(share.not_derivable).items():
            best = result.best_baseline
            values = {method: result.methods[method][RECALL] for method in methods}
            highest = _highest(values.values())
            cells = [
                lead(result.differences[best][RECALL], words.points_interval),
                Cell(best),
                Cell(words.count(result.labels), result.labels),
                *(_figure(values[method], highest) for method in methods),
            ]
            rows.append(Row(name, cells))
        groups.append(Group(rows, _hidden(share.hidden_share)))
    return Table(caption, first, ["model less best baseline, points", "best baseline", "labels", *methods], groups)


def differences(results: Mapping[float, BaselineComparison], who: str = MODEL) -> Table:
    """The model, or T5 alone, less each other method, by hidden share."""
    groups = [
        Group(
            [
                Row(
                    name,
                    [*(Cell(words.points_interval(one), one.mean) for one in difference.values()), _state(difference)],
                    _style(name, result),
                )
                for name, difference in result.differences.items()
            ],
            _hidden(share),
            f"{result.posts:,} posts of {result.pictures:,} pictures",
        )
        for share, result in results.items()
    ]
    columns = [*(f"{heading(metric)}, points" for metric in HEADLINE), f"{who} is"]
    subject = "The model" if who == MODEL else who
    return Table(f"{subject} less each baseline, with 95 % intervals", "less", columns, groups)


def characters(found: CharacterFindings) -> Table:
    """Every method on characters given alone."""
    rows = [
        _probed(name, figures.ndcg_behind, _mean(figures.ndcg), figures.spearman_behind, _mean(figures.spearman))
        for name, figures in found.methods.items()
    ]
    columns = ["model less this", "NDCG@20", "model less this", "Spearman"]
    return Table("Characters alone: mean over characters, with 95 % intervals", "method", columns, [Group(rows)])


def pairs(found: PairFindings) -> Table:
    """Every method on a character with another label."""
    rows = [
        _probed(name, one.gain_behind, _mean(one.gain), one.shift_behind, _mean(one.shift), _mean(one.ndcg))
        for name, one in found.methods.items()
    ]
    columns = ["model less this", "gain", "model less this", "shift", "NDCG@20"]
    return Table("Pairs: mean over pairs, with 95 % intervals", "method", columns, [Group(rows)])


def implications(found: ImplicationFindings) -> Table:
    """Every method on telling implications from edges that are none."""
    groups = []
    for kind, contrast in found.contrasts.items():
        highest = _highest(figures.auc for figures in contrast.methods.values())
        rows = []
        for name, figures in contrast.methods.items():
            text = words.interval(figures.interval) if figures.interval else words.number(figures.auc)
            rows.append(_probed(name, figures.behind, Cell(text, figures.auc, "top" if figures.auc == highest else "")))
        groups.append(Group(rows, f"against {kind} edges", f"{contrast.edges:,} edges of {contrast.children:,} labels"))
    caption = "Area under the ROC curve of implications against false edges, with 95 % intervals"
    return Table(caption, "method", ["model less this", "AUC"], groups)


def audit(found: AuditFindings) -> Table:
    """Every method on faults that were hidden or planted."""
    groups = []
    for question in found.questions:
        figures = {name: one.figures for name, one in question.methods.items()}
        best = {key: _highest(one[key].mean for one in figures.values()) for key in figures[AUDIT]}
        rows = []
        for name, one in question.methods.items():
            cells = [
                Cell(words.interval(interval, 2), interval.mean, "top" if interval.mean == best[key] else "")
                for key, interval in figures[name].items()
            ]
            ahead = lead(None if name == AUDIT else one.behind["average_precision"], words.points_interval)
            rows.append(Row(name, [*cells, ahead], MODEL if name == AUDIT else ""))
        groups.append(Group(rows, question.question, f"{question.faults:,} posts with one each"))
    caption = (
        "What was hidden or planted, found again: precision at 100 and at 1,000, or as many as there are faults, and "
        "average precision, with 95 % intervals"
    )
    return Table(caption, "method", ["P@100", "P@1,000", "AP", "audit less this, AP, points"], groups)


def proposals(found: ProposalFindings) -> Table:
    """Every way to rank pairs of labels, on implications that were hidden."""
    precision = _highest(one.precision for one in found.methods.values())
    recall = _highest(one.recall for one in found.methods.values())
    rows = [
        Row(name, [_figure(one.precision, precision), _figure(one.recall, recall)], MODEL if name == AUDIT else "")
        for name, one in found.methods.items()
    ]
    caption = "Hidden implications among the first 100 pairs, mean of five fifths"
    return Table(caption, "method", ["precision", "recall"], [Group(rows)])


def _probed(method: str, *cells: Cell | Interval | None) -> Row:
    """A method's row; an interval, or None where there is none, is how far the model is ahead of it."""
    return Row(
        method,
        [cell if isinstance(cell, Cell) else _lead(method, cell) for cell in cells],
        MODEL if method == MODEL else "",
    )


def _hidden(share: float) -> str:
    return f"{words.percent(share)} hidden"


def _figure(value: float | None, highest: float | None) -> Cell:
    return Cell(words.number(value), value, "top" if value is not None and value == highest else "")


def _highest(values: Iterable[float | None]) -> float | None:
    return max((value for value in values if value is not None), default=None)


def _style(method: str, result: BaselineComparison) -> str:
    return MODEL if method == MODEL else "best" if method == result.best_baseline else ""


def _verdict(interval: Interval) -> str:
    return AHEAD if interval.low > 0 else BEHIND if interval.high < 0 else UNCLEAR


def _state(difference: Difference) -> Cell:
    if is_ahead(difference):
        return Cell(AHEAD, 1, AHEAD)
    return Cell(BEHIND, -1, BEHIND) if is_behind(difference) else Cell(UNCLEAR, 0, UNCLEAR)


def _ahead_of(method: str, result: BaselineComparison) -> Cell:
    """How far the model is ahead of another method in recall@10."""
    return lead(result.differences[method][RECALL] if method != MODEL else None, words.points_interval)


def _mean(interval: Interval | None) -> Cell:
    return Cell(words.interval(interval), interval.mean if interval else None)


def lead(interval: Interval | None, written: Callable[[Interval], str], *, less_is_better: bool = False) -> Cell:
    """A difference with its interval, as a pill that says whether it is one."""
    if interval is None:
        return Cell(words.NOTHING)
    verdict = _verdict(interval)
    if less_is_better:
        verdict = {AHEAD: BEHIND, BEHIND: AHEAD}.get(verdict, verdict)
    return Cell(written(interval), interval.mean, verdict)


def _lead(method: str, interval: Interval | None) -> Cell:
    return lead(None if method == MODEL else interval, words.signed_interval)
