"""How probabilities come true."""

from markupsafe import Markup

from booru_pipeline.evaluation.figures.reliability import Reliability
from booru_pipeline.evaluation.report.plots.canvas import GRID, MODEL_COLOUR, MUTED, canvas, svg


def reliability_plot(calibration: Reliability, share: str) -> Markup:
    """Of guesses of like probability, the share that was right, against the mean probability.

    Args:
        calibration: The bins.
        share: The hidden share in words.
    """
    probability = [100 * own.probability for own in calibration.bins]
    found = [100 * own.found for own in calibration.bins]
    with canvas(3.1, grid="both") as (figure, axes):
        axes.plot([0, 100], [0, 100], "--", color=MUTED, linewidth=1.2, label="exact")
        axes.vlines(probability, probability, found, color=GRID, linewidth=2)  # how far off each is
        axes.plot(probability, found, "o-", color=MODEL_COLOUR, markersize=4.5, linewidth=1.4, label="model")
        ticks = range(0, 101, 20)
        axes.set(
            xlabel="probability, %", ylabel="right, % of guesses", xlim=(0, 100), ylim=(0, 100), xticks=ticks,
            yticks=ticks,
        )  # fmt: skip
        axes.legend(loc="upper left")
        return svg(figure, f"share of guesses that are right by their probability, {share} hidden")
