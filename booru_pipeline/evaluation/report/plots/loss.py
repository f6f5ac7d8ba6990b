"""The loss curve."""

from markupsafe import Markup
from matplotlib.ticker import MaxNLocator

from booru_pipeline.evaluation.report.plots.canvas import BEST_COLOUR, MODEL_COLOUR, canvas, svg
from booru_pipeline.model.provenance import LossCurve


def loss_curve(curve: LossCurve) -> Markup:
    """Training loss by step, and validation loss where it was logged."""
    with canvas(3.0) as (figure, axes):
        if curve.train:
            axes.plot(*zip(*curve.train, strict=True), color=MODEL_COLOUR, linewidth=1.6, label="train batches")
        if curve.validation:
            steps, losses = zip(*curve.validation, strict=True)
            axes.plot(steps, losses, "s--", markersize=5, color=BEST_COLOUR, label="validation posts")
        axes.set(xlabel="optimizer steps", ylabel="loss, nats")
        axes.xaxis.set_major_locator(MaxNLocator(nbins=5, integer=True))
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
        axes.legend(loc="upper right")
        return svg(figure, "loss by optimizer step")
