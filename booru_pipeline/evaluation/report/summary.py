"""The headline as Markdown and as a table, for the UI and for wandb."""

import re

from booru_pipeline.evaluation.comparison.compare import PARENT, Comparison
from booru_pipeline.evaluation.report.findings import Findings
from booru_pipeline.evaluation.results import HEADLINE, MODEL, MRR, RECALL


def to_markdown(findings: Findings) -> str:
    """Write down the verdict, a table of the methods by share, what changed since the parent, and the claims."""
    results = findings.results
    lines = [findings.verdict, ""]
    if findings.leaks:
        lines = [f"**Leak: {findings.leaks}.**", "", *lines]
    lines += [f"#### {RECALL} / MRR, hidden labels that are not derivable", ""]
    lines += [
        "| method | " + " | ".join(f"{_percent(share)} hidden" for share in results) + " |",
        "| :--- |" + " ---: |" * len(results),
    ]
    for method in findings.headline.methods:
        figures = [[result.figure(method, metric) for metric in HEADLINE] for result in results.values()]
        cells = [" / ".join(f"{figure:.3f}" for figure in both) for both in figures]
        lines.append(f"| {method} | " + " | ".join(cells) + " |")
    since = _since(findings.comparison) if findings.comparison else ["First release: there is none to compare with."]
    lines += ["", *since, "", "#### Does it know what people know?", ""]
    lines += [
        "| given | implies | answer | probability | of test posts | rank |",
        "| :--- | :--- | :--- | ---: | ---: | ---: |",
    ]
    for claim in findings.probes.claims:
        if claim.rank is None:
            answer = f"not in the vocabulary: {_escape(', '.join(claim.missing))} | | | |"
        else:
            answer = f"{claim.words} | {_whole(claim.probability)} | {_whole(claim.test_share)} | {claim.rank:,} |"
        lines.append(f"| {_escape(claim.given)} | {_escape(claim.expected)} | {answer}")
    return "\n".join(lines) + "\n"


def _since(comparison: Comparison) -> list[str]:
    """A table of model and parent by share, and how many labels are new."""
    parent, changes = comparison.parent, comparison.changes
    lines = [
        f"#### Since {parent.release}",
        "",
        f"{RECALL} of the model less its parent's, and MRR, on {parent.posts:,} test posts; "
        f"{comparison.labels_new:,} labels are new, {changes.significant:,} of {changes.labels:,} known ones "
        "have changed by more than chance.",
        "",
        f"| hidden | model | parent | {RECALL} | MRR |",
        "| ---: | ---: | ---: | ---: | ---: |",
    ]
    for result in parent.shares:
        recall = [f"{result.figure(method, RECALL):.3f}" for method in (MODEL, PARENT)]
        less = [f"{one.mean:+.3f} ({one.low:+.3f} to {one.high:+.3f})" for one in result.differences[PARENT].values()]
        lines.append(f"| {_percent(result.hidden_share)} | {' | '.join([*recall, *less])} |")
    return lines


def methods_table(findings: Findings) -> tuple[list[str], list[tuple[float, str, float, float]]]:
    """A row a method and hidden share: recall@10 and MRR of labels that are not derivable.

    Returns:
        The columns' names and the rows.
    """
    rows = [
        (share, method, round(result.figure(method, RECALL), 4), round(result.figure(method, MRR), 4))
        for share, result in findings.results.items()
        for method in result.methods
    ]
    return ["hidden", "method", RECALL, "MRR"], rows


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"


def _whole(share: float | None) -> str:
    return "" if share is None else f"{100 * share:.0f} %"


def _escape(text: str) -> str:
    return re.sub(r"([\\`*_{}\[\]()<>#+\-.!|~^:])", r"\\\1", text)
