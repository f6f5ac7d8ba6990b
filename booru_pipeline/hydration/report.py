"""The page for people: one HTML file that needs nothing but a browser."""

from typing import Final

from jinja2 import Environment, PackageLoader, StrictUndefined

from booru_pipeline.hydration import plots
from booru_pipeline.hydration.arms import MEANINGS, Arm
from booru_pipeline.hydration.concepts import LEAST, load_concepts
from booru_pipeline.hydration.findings import Findings
from booru_pipeline.hydration.rule import FIGURES, RULE, Outcome

_TEMPLATE: Final = "report.html.j2"
_LABELS_SHOWN: Final = 20


def render(findings: Findings) -> str:
    """Lay out the findings: self-contained HTML, no script, nothing fetched, label text escaped."""
    environment = Environment(
        loader=PackageLoader("booru_pipeline.hydration", "."),
        autoescape=True,  # labels are other people's text
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    labels = sorted(findings.held_out_labels.items(), key=lambda item: -item[1][Arm.PRETRAINED])
    return environment.get_template(_TEMPLATE).render(
        findings=findings,
        sizes=findings.sizes,
        options=findings.options,
        verdict=findings.verdict,
        outcomes=Outcome,
        arms=list(Arm),
        meanings=MEANINGS,
        figures=FIGURES,
        rule=" ".join(RULE.split()),
        words=load_concepts().words,
        least=LEAST,
        held_out_labels=labels[:_LABELS_SHOWN],
        held_out_left=max(0, len(labels) - _LABELS_SHOWN),
        plot_recall=plots.by_share(findings.rows, "recall", "recall@10"),
        plot_held_out=plots.by_share(findings.rows, "held_out", "AUC of held-out labels"),
    )
