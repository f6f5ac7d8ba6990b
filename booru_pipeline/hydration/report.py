"""The experiment's page: one HTML file that needs nothing but a browser."""

from collections.abc import Sequence
from importlib import resources
from typing import Final

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from booru_pipeline.evaluation.report.plots.canvas import canvas, svg
from booru_pipeline.hydration.arms import Arm
from booru_pipeline.hydration.concepts import LEAST, load_concepts
from booru_pipeline.hydration.findings import Findings, Row
from booru_pipeline.hydration.rule import FIGURES, Outcome

_LABELS_SHOWN: Final = 20
# Colours that matplotlib writes and nothing else does, each to become a custom property of the page's style sheet.
_COLOURS: Final = {arm: f"#0404{number:02d}" for number, arm in enumerate(Arm, start=10)}
_MARKS: Final = {Arm.PRETRAINED: "o-", Arm.RANDOM: "s--", Arm.PERMUTED: "^-.", Arm.OPAQUE: "D:"}


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
    return environment.get_template("report.html.j2").render(
        scroll=Markup(
            resources.files("booru_pipeline.evaluation.report.page").joinpath("scroll.css").read_text("utf-8")
        ),
        findings=findings,
        sizes=findings.sizes,
        options=findings.options,
        verdict=findings.verdict,
        outcomes=Outcome,
        figures=FIGURES,
        words=load_concepts().words,
        least=LEAST,
        held_out_labels=labels[:_LABELS_SHOWN],
        held_out_left=max(0, len(labels) - _LABELS_SHOWN),
        plot_recall=_by_share(findings.rows, "recall", "recall@10"),
        plot_held_out=_by_share(findings.rows, "held_out", "AUC of held-out labels"),
    )


def _by_share(rows: Sequence[Row], figure: str, label: str) -> Markup:
    """A figure of each arm (`recall` or `held_out`) by share of the train posts, with 95 % intervals."""
    with canvas(3.2, width=7.2) as (figure_of_all, axes):
        shares = sorted({row.share for row in rows})
        for place, arm in enumerate(Arm):
            intervals = {row.share: getattr(row, figure) for row in rows if row.arm is arm}  # shares ascend
            means, lows, highs = zip(*(vars(interval).values() for interval in intervals.values()), strict=True)
            ends = np.maximum(0, [np.subtract(means, lows), np.subtract(highs, means)])
            where = [100 * share * 1.03 ** (place - 1.5) for share in intervals]  # side by side, not on one another
            axes.errorbar(where, means, yerr=ends, fmt=_MARKS[arm], color=_COLOURS[arm], label=arm.value, capsize=3)
        axes.set_xscale("log")
        axes.set_xticks([100 * share for share in shares], [f"{100 * share:g} %" for share in shares])
        axes.minorticks_off()
        axes.set(xlabel="share of the train posts (logarithmic)", ylabel=label)
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=4, borderaxespad=0)
        description = f"{label} by share of the train posts, for each arm"
        return svg(figure_of_all, description, {_COLOURS[arm]: f"--{arm.value}" for arm in Arm})
