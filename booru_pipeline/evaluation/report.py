"""The page for people: one HTML file that needs nothing but a browser."""

from typing import Final

from jinja2 import Environment, PackageLoader, StrictUndefined

from booru_pipeline.evaluation import plots
from booru_pipeline.evaluation.findings import DEFINITIONS, Findings
from booru_pipeline.evaluation.probes import TOP, YES_RANK
from booru_pipeline.evaluation.summary import CO_OCCURRENCE, HEADLINE_K, METHODS, MODEL, POPULARITY

_TEMPLATE: Final = "report.html.j2"


def render(findings: Findings) -> str:
    """Lay out the findings: self-contained HTML, no script, nothing fetched, label text escaped."""
    environment = Environment(
        loader=PackageLoader("booru_pipeline.evaluation", "."),
        autoescape=True,  # labels are other people's text: <3, >_<
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    loss = findings.loss
    return environment.get_template(_TEMPLATE).render(
        findings=findings,
        summary=findings.summary,
        sizes=findings.sizes,
        options=findings.options,
        methods=METHODS,
        model=MODEL,
        co_occurrence=CO_OCCURRENCE,
        popularity=POPULARITY,
        headline_k=HEADLINE_K,
        yes_rank=YES_RANK,
        top=TOP,
        definitions=DEFINITIONS,
        plot_recall=plots.recall_curve(findings.curve),
        plot_differences=plots.differences(findings.summary.differences),
        plot_categories=plots.category_bars(
            {
                result.category: {method: by_k[HEADLINE_K] for method, by_k in result.recall.items()}
                for result in findings.categories
            }
        ),
        plot_loss=plots.loss_curve(loss) if loss.train or loss.validation else None,
    )
