"""One figure of every method, for several kinds of labels at once."""

from collections.abc import Mapping

from markupsafe import Markup

from booru_pipeline.evaluation.options import HEADLINE_K
from booru_pipeline.evaluation.report.plots.canvas import BEST_COLOUR, GRID, MODEL_COLOUR, OTHER_COLOUR, canvas, svg
from booru_pipeline.evaluation.results import MODEL, Result


def dots(parts: Mapping[str, Result], what: str, share: str) -> Markup:
    """Recall@10 of every method on each part: the model, the part's best baseline, and the others as ticks.

    Args:
        parts: By name, the first on top.
        what: What the parts are, in words.
        share: The hidden share in words.
    """
    names = list(parts)[::-1]
    with canvas(1.0 + 0.42 * len(names), grid="x") as (figure, axes):
        seen: set[str] = set()
        for place, name in enumerate(names):
            result = parts[name]
            values = {method: figures.recall[HEADLINE_K] for method, figures in result.methods.items()}
            best = result.best_baseline
            others = [value for method, value in values.items() if method not in (MODEL, best)]
            axes.plot([min(values.values()), max(values.values())], [place] * 2, color=GRID, linewidth=2, zorder=1)
            drawn = (
                ("other baselines", others, "|", OTHER_COLOUR, 9),
                ("best baseline", [values[best]], "s", BEST_COLOUR, 6),
                ("model", [values[MODEL]], "o", MODEL_COLOUR, 8),
            )
            for order, (legend, own, marker, colour, size) in enumerate(drawn, start=2):
                label = legend if own and legend not in seen else None
                seen.add(legend)
                axes.plot(
                    own, [place] * len(own), marker, color=colour, markersize=size, zorder=order, label=label,
                    linestyle="none",
                )  # fmt: skip
        axes.set(xlabel=f"recall@{HEADLINE_K}", xlim=(0, None), ylim=(-0.6, len(names) - 0.4))
        axes.set_yticks(range(len(names)), names)
        axes.spines["left"].set_visible(False)
        axes.legend(
            loc="lower left", bbox_to_anchor=(0, 1), ncols=3, borderaxespad=0, handletextpad=0.2, columnspacing=1.2
        )
        return svg(figure, f"recall@{HEADLINE_K} of each method {what}, {share} hidden")
