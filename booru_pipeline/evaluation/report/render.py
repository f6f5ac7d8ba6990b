"""The page for people: one HTML file that needs nothing but a browser."""

import base64
import hashlib
from collections.abc import Mapping
from importlib import resources
from typing import Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from booru_pipeline.evaluation.comparison.two import TwoCompared
from booru_pipeline.evaluation.figures.ranks import heading
from booru_pipeline.evaluation.options import HEADLINE_K
from booru_pipeline.evaluation.probes.characters import TOP
from booru_pipeline.evaluation.probes.claims import YES_RANK
from booru_pipeline.evaluation.report.findings import Findings
from booru_pipeline.evaluation.report.page import calibration, headline, tables, words
from booru_pipeline.evaluation.report.plots import curves, points
from booru_pipeline.evaluation.results import MODEL, MRR, RECALL, T5_ALONE

_PACKAGE: Final = "booru_pipeline.evaluation.report"
_CHARACTERS_IN_FULL: Final = 6


def render(findings: Findings) -> str:
    """Lay out the findings: self-contained HTML, nothing fetched, label text escaped.

    The page's own script, which sorts tables, is the only one that its content security policy lets run.
    """
    return _render(
        "page/report.html.j2",
        findings=findings,
        sizes=findings.sizes,
        options=findings.options,
        probes=findings.probes,
        comparison=findings.comparison,
        t5=T5_ALONE,
        yes_rank=YES_RANK,
        top=TOP,
        in_full=_CHARACTERS_IN_FULL,
        title=headline.title(findings),
        tiles=headline.tiles(findings),
        **_tables(findings),
        **calibration.parts(findings),
        **_plots(findings),
    )


def render_two(found: TwoCompared) -> str:
    """Lay out two checkpoints beside each other: the part of a report that says what has changed, alone."""
    return _render("page/two.html.j2", found=found, comparison=found.comparison)


def _render(template: str, **parts: Any) -> str:
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
    return environment.get_template(template).render(
        model=MODEL,
        recall=RECALL,
        headline_k=HEADLINE_K,
        script=Markup(script),
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        style=Markup(_text("style.css") + "\n" + _text("scroll.css")),
        **parts,
    )


def _text(name: str) -> str:
    return resources.files(_PACKAGE).joinpath("page", name).read_text(encoding="utf-8").strip()


def _tables(findings: Findings) -> Mapping[str, Any]:
    shares, methods, probes = findings.shares, list(findings.headline.methods), findings.probes
    return {
        "table_headline": tables.figures(
            shares, lambda share: share.not_derivable, "Every method on hidden labels that are not derivable"
        ),
        "table_derivable": tables.figures(
            shares, lambda share: share.derivable, "Every method on hidden labels that are derivable"
        ),
        "table_all": tables.figures(shares, lambda share: share.all, "Every method on all hidden labels"),
        "table_questions": tables.questions(shares),
        "table_differences": tables.differences(findings.results),
        "table_t5": tables.differences(findings.t5_alone, T5_ALONE) if findings.t5_alone else None,
        "table_categories": tables.parts(
            shares, lambda result: result.by_category, "category", f"{RECALL} by category", methods
        ),
        "table_frequencies": tables.parts(
            shares, lambda result: result.by_frequency, "train posts", f"{RECALL} by train posts", methods
        ),
        "table_characters": tables.characters(probes.characters),
        "table_pairs": tables.pairs(probes.pairs),
        "table_audit": findings.audit and tables.audit(findings.audit),
        "table_proposals": findings.audit and findings.audit.proposals and tables.proposals(findings.audit.proposals),
        "table_implications": probes.implications and tables.implications(probes.implications),
    }


def _plots(findings: Findings) -> Mapping[str, Any]:
    """SVG by name; of those that there is one a hidden share, the share's words with it."""
    results = findings.results
    asked = {words.percent(share): result for share, result in results.items()}
    best = {result.best_baseline for result in results.values()}

    def by_share(metric: str) -> Markup:
        values = {
            name: [result.figure(name, metric) for result in results.values()] for name in findings.headline.methods
        }
        return curves.by_share(list(results), values, heading(metric), best)

    curve = findings.loss
    return {
        "plot_recall": by_share(RECALL),
        "plot_mrr": by_share(MRR),
        "plots_differences": [(share, points.forest(result.differences, share)) for share, result in asked.items()],
        "plots_guesses": [
            (share, curves.by_guesses(result.curve, share, {result.best_baseline})) for share, result in asked.items()
        ],
        "plots_categories": [
            (share, points.dots(result.by_category, "by category", share)) for share, result in asked.items()
        ],
        "plots_frequencies": [
            (share, points.dots(result.by_frequency, "by the train posts of a label", share))
            for share, result in asked.items()
        ],
        "plot_loss": curves.loss_curve(curve) if curve.train or curve.validation else None,
    }
