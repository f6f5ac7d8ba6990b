"""The page for people: one HTML file that needs nothing but a browser."""

import base64
import hashlib
from collections.abc import Mapping
from importlib import resources
from typing import Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from booru_pipeline.evaluation.options import HEADLINE_K
from booru_pipeline.evaluation.probes.characters import TOP
from booru_pipeline.evaluation.probes.claims import YES_RANK
from booru_pipeline.evaluation.report.findings import DEFINITIONS, Findings
from booru_pipeline.evaluation.report.page import headline, tables, words
from booru_pipeline.evaluation.report.plots import forest, loss, parts, recall, reliability
from booru_pipeline.evaluation.results import MODEL, QuestionResult

_PACKAGE: Final = "booru_pipeline.evaluation.report"
_CHARACTERS_IN_FULL: Final = 6


def render(findings: Findings) -> str:
    """Lay out the findings: self-contained HTML, nothing fetched, label text escaped.

    The page's own script, which sorts tables, is the only one that its content security policy lets run.
    """
    environment = Environment(
        loader=PackageLoader(_PACKAGE, "."),
        autoescape=True,  # labels are other people's text: <3, >_<
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    for name in ("percent", "whole_percent", "number", "count", "points", "points_interval", "interval"):
        environment.filters[name] = getattr(words, name)
    script = _text("sort.js")
    summary = findings.summary
    return environment.get_template("page/report.html.j2").render(
        findings=findings,
        summary=summary,
        sizes=findings.sizes,
        options=findings.options,
        probes=findings.probes,
        comparison=findings.comparison,
        model=MODEL,
        headline_k=HEADLINE_K,
        yes_rank=YES_RANK,
        top=TOP,
        in_full=_CHARACTERS_IN_FULL,
        definitions=DEFINITIONS,
        title=headline.title(summary),
        tiles=headline.tiles(summary),
        script=Markup(script),
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        style=Markup(_text("style.css")),
        **_tables(findings),
        **_plots(findings),
    )


def _text(name: str) -> str:
    return resources.files(_PACKAGE).joinpath("page", name).read_text(encoding="utf-8").strip()


def _questions(findings: Findings) -> dict[float, QuestionResult]:
    """The headline's question by hidden share."""
    return {share.share: share.not_derivable for share in findings.shares if share.not_derivable}


def _tables(findings: Findings) -> Mapping[str, Any]:
    shares, methods, probes = findings.shares, list(findings.summary.methods), findings.probes
    return {
        "table_headline": tables.figures(
            shares, lambda share: share.not_derivable, "Every method on hidden labels that are not derivable"
        ),
        "table_derivable": tables.figures(
            shares, lambda share: share.derivable, "Every method on hidden labels that are derivable"
        ),
        "table_all": tables.figures(shares, lambda share: share.all, "Every method on all hidden labels"),
        "table_questions": tables.questions(shares),
        "table_differences": tables.differences(findings.summary.shares),
        "table_categories": tables.parts(
            shares, lambda own: own.by_category, "category", f"recall@{HEADLINE_K} by category", methods
        ),
        "table_frequencies": tables.parts(
            shares, lambda own: own.by_frequency, "train posts", f"recall@{HEADLINE_K} by train posts", methods
        ),
        "table_characters": tables.characters(probes.characters),
        "table_pairs": tables.pairs(probes.pairs),
        "table_implications": probes.implications and tables.implications(probes.implications),
    }


def _plots(findings: Findings) -> Mapping[str, Any]:
    """SVG by name; of those that there is one a hidden share, the share's words with it."""
    questions = _questions(findings)
    asked = {words.percent(share): own for share, own in questions.items()}
    best = {own.whole.best_baseline for own in questions.values()}
    whole = [own.whole for own in questions.values()]

    def by_share(metric: str, title: str) -> Markup:
        values = {
            name: [own.methods[name].to_json()[metric] or 0.0 for own in whole] for name in findings.summary.methods
        }
        return recall.by_share(list(questions), values, title, best)

    curve = findings.loss
    return {
        "plot_recall": by_share(f"recall@{HEADLINE_K}", f"recall@{HEADLINE_K}"),
        "plot_mrr": by_share("mrr", "MRR"),
        "plots_differences": [(share, forest.forest(own.whole.differences, share)) for share, own in asked.items()],
        "plots_guesses": [
            (share, recall.by_guesses(own.curve, share, {own.whole.best_baseline})) for share, own in asked.items()
        ],
        "plots_categories": [
            (share, parts.dots(own.by_category, "by category", share)) for share, own in asked.items()
        ],
        "plots_frequencies": [
            (share, parts.dots(own.by_frequency, "by the train posts of a label", share))
            for share, own in asked.items()
        ],
        "plots_reliability": [
            (share, reliability.reliability_plot(own.calibration, share), own.calibration.error)
            for share, own in asked.items()
            if own.calibration
        ],
        "plot_loss": loss.loss_curve(curve) if curve.train or curve.validation else None,
    }
