"""The methods' table in wandb, where the checkpoint's training was recorded there."""

import logging
import shutil
from pathlib import Path
from typing import Final

from booru_pipeline.evaluation.report.findings import Findings
from booru_pipeline.evaluation.report.summary import methods_table
from booru_pipeline.model.provenance import read_provenance
from booru_pipeline.training.tracking import Wandb

TABLE = "evaluation/methods"
_MARK: Final = "evaluation"  # tells such a folder from the training's own ones, which have the same run id


def record_methods(findings: Findings, checkpoint: Path, folder: Path, log: logging.Logger) -> Path | None:
    """Add the table of methods to the run of the checkpoint's training.

    Args:
        findings: What was found.
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
        name=findings.release,
        config={},
        run_id=Path(run).name.rsplit("-", 1)[-1],  # run-20260102_030405-<id>, offline-run-…
    )
    wandb.table(TABLE, *methods_table(findings))
    beats = {"beats_baselines": findings.beats_baselines, "t5_beats_baselines": findings.t5_beats_baselines}
    wandb.finish({name: float(value) for name, value in beats.items() if value is not None})
    if wandb.folder is not None:
        _keep_newest(wandb.folder, str(wandb.id))
    return wandb.folder


def _keep_newest(folder: Path, run_id: str) -> None:
    """Remove what earlier evaluations of the checkpoint left: without a server each gets a folder of its own."""
    (folder / _MARK).touch()
    for former in folder.parent.glob(f"offline-run-*-{run_id}"):
        if former != folder and (former / _MARK).is_file():
            shutil.rmtree(former, ignore_errors=True)
