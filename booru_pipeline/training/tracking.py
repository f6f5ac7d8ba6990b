"""Where a run's progress goes: the run's log in Dagster or standard error, and wandb if it is there."""

import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, Self

from dagster_pipes import PipesEnvVarParamsLoader, open_dagster_pipes

from booru_pipeline.errors import first_line

LOGGER: Final = "booru_pipeline.training"


def under_pipes() -> bool:
    """Whether Dagster started this process."""
    return PipesEnvVarParamsLoader().is_dagster_pipes_process()


@contextmanager
def run_log(*, main_process: bool) -> Iterator[logging.Logger]:
    """The log that people read.

    Under Dagster Pipes its lines go to the run's log, else to standard error. Only the main process of a distributed
    run opens Pipes; the others write warnings to standard error.
    """
    if main_process and under_pipes():
        with open_dagster_pipes() as context:
            yield context.log
        return
    logger = logging.getLogger(LOGGER)
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%H:%M:%S"))
    logger.handlers = [handler]
    logger.propagate = False
    logger.setLevel(logging.INFO if main_process else logging.WARNING)
    yield logger


class Wandb:
    """A wandb run that may fail without harm. As a context manager it marks a run that raised as failed.

    Offline, into `folder`, unless WANDB_API_KEY is set or WANDB_MODE says otherwise; `wandb sync` uploads it later.

    Args:
        log: Told if something is wrong.
        folder: Where run folders go; None = no wandb.
        project: The project; empty = no wandb.
        name: Of the run.
        config: Kept with the run.
        run_id: Of the run that this one continues.

    Attributes:
        folder: The run's own folder, or None if nothing is recorded.
        id: The run's id, or None.
    """

    def __init__(
        self,
        log: logging.Logger,
        *,
        folder: Path | None,
        project: str,
        name: str,
        config: Mapping[str, Any],
        run_id: str | None = None,
    ) -> None:
        self._log = log
        self._run: Any = None
        self.folder: Path | None = None
        self.id = run_id
        if folder is None or not project:
            return
        mode: Any = os.environ.get("WANDB_MODE") or ("online" if os.environ.get("WANDB_API_KEY") else "offline")
        with self._harmless("start"):
            import wandb

            folder.mkdir(parents=True, exist_ok=True)
            self._run = wandb.init(
                project=project,
                dir=str(folder),
                name=name,
                config=dict(config),
                mode=mode,
                id=run_id,
                resume="allow" if run_id and mode == "online" else None,
                settings=wandb.Settings(silent=True, console="off"),
            )
            self.folder = Path(self._run.dir).parent
            self.id = str(self._run.id)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if self._run is not None and error is not None:
            with self._harmless("finish"):
                self._run.finish(exit_code=1)

    def record(self, step: int, values: Mapping[str, float]) -> None:
        """Record figures of a step."""
        if self._run is not None:
            with self._harmless("record"):
                self._run.log(dict(values), step=step)

    def table(self, name: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        """Record a table of figures that belong to no step."""
        if self._run is not None:
            with self._harmless("record"):
                import wandb

                self._run.log({name: wandb.Table(columns=list(columns), data=[list(row) for row in rows])})

    def finish(self, summary: Mapping[str, float], checkpoint: Path | None = None) -> None:
        """Close the run.

        Args:
            summary: Figures of the whole run.
            checkpoint: A folder to keep with the run, as an artifact; None = none.
        """
        if self._run is not None:
            with self._harmless("finish"):
                import wandb

                self._run.summary.update(dict(summary))
                if checkpoint is not None:
                    artifact = wandb.Artifact(f"checkpoint-{self._run.name}", type="model")
                    artifact.add_dir(str(checkpoint))
                    self._run.log_artifact(artifact)
                self._run.finish()

    @contextmanager
    def _harmless(self, deed: str) -> Iterator[None]:
        """Go on without wandb if the block fails: it is never required, whatever is wrong with it."""
        try:
            yield
        except Exception as error:
            self._run = None
            self._log.warning(f"wandb did not {deed} and is left out of this run: {first_line(error)}")
