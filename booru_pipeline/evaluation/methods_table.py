"""Every method's headline figures as plain rows, for the web UI and wandb."""

from booru_pipeline.evaluation.options import HEADLINE_K
from booru_pipeline.evaluation.summary import EvaluationSummary


def methods_table(summary: EvaluationSummary) -> tuple[list[str], list[tuple[float, str, float, float]]]:
    """A row a method and hidden share: recall@10 and MRR of labels that are not derivable.

    Returns:
        The columns' names and the rows.
    """
    columns = ["hidden", "method", f"recall@{HEADLINE_K}", "MRR"]
    rows = []
    for share, result in summary.shares.items():
        for name, figures in result.methods.items():
            rows.append((share, name, round(figures.recall[HEADLINE_K], 4), round(figures.mrr, 4)))
    return columns, rows
