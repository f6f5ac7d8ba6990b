"""The methods' table in wandb, where the checkpoint's training was recorded there."""

import logging
from pathlib import Path

from booru_pipeline.evaluation.methods_table import methods_table
from booru_pipeline.evaluation.summary import EvaluationSummary
from booru_pipeline.training.provenance import read_provenance
from booru_pipeline.training.tracking import Wandb

TABLE = "evaluation/methods"


def record_methods(summary: EvaluationSummary, checkpoint: Path, folder: Path, log: logging.Logger) -> Path | None:
    """Add the table of methods to the run of the checkpoint's training.

    Args:
        summary: What was found.
        checkpoint: The checkpoint's folder, whose provenance names the training's run.
        folder: Where wandb keeps its run folders.
        log: Told if something is wrong; the evaluation goes on all the same.

    Returns:
        The folder of what was recorded; None if the training was not recorded in wandb, or wandb failed.
    """
    provenance = read_provenance(checkpoint)
    run, project = provenance.get("wandb"), provenance.get("options", {}).get("wandb_project", "")
    if not run:
        return None
    wandb = Wandb(
        log,
        folder=folder,
        project=project,
        name=summary.release,
        config={},
        run_id=Path(run).name.rsplit("-", 1)[-1],  # run-20260102_030405-<id>, offline-run-…
    )
    wandb.table(TABLE, *methods_table(summary))
    wandb.finish({"beats_baselines": float(summary.beats_baselines)})
    return wandb.folder
