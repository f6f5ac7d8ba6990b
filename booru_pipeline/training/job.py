"""One training job: everything that the payload needs, as a JSON file, so that it can run anywhere."""

import re
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, Field, ValidationError

from booru_pipeline.errors import BooruError
from booru_pipeline.training.options import TrainingOptions

INTERRUPTED_PROBLEM: Final = "interrupted"  # what the problem of a job begins with that somebody ended
LOCKED_PROBLEM: Final = "another process is training this release now"  # or if somebody else is at it

_RESUMES: Final = re.compile(rf"{INTERRUPTED_PROBLEM}(?: after step (\d+))?; .* goes on from (?:there|step (\d+))\.")


def resumes_at(problem: str) -> int | None:
    """The step that the next attempt goes on from, by what an interrupted training left as its problem; None if none.

    Of several processes and of the launchers between, others may have said more after it.
    """
    found = _RESUMES.search(problem)
    return int(found[2] or found[1]) if found else None


class TrainingJob(BaseModel, frozen=True):
    """A training: on what data, from what model, how, and where the checkpoint goes."""

    dataset: Path = Field(description="Folder of the tokenized dataset.")
    vocabulary: Path = Field(description="Folder of the vocabulary.")
    output: Path = Field(description="Folder to write the checkpoint to; made if it is not there.")
    base_name: str = Field(description="The base model as the user named it.")
    base_source: str | None = Field(None, description="What from_pretrained takes; None = random weights (tiny).")
    parent: Path | None = Field(None, description="Checkpoint folder to go on from; None = start from the base model.")
    options: TrainingOptions = TrainingOptions()
    provenance: dict[str, Any] = Field(
        default_factory=dict, description="Release, releases, fingerprints, git revision, parent: kept with the result."
    )
    wandb_folder: Path | None = Field(None, description="Where wandb keeps its run folders; None = no wandb.")
    states: Path | None = Field(
        None, description="Folder of the release's training states, from which an interrupted job goes on; None = none."
    )
    key: str = Field("", description="What the job makes. A state made under another key is removed, never resumed.")
    problem: Path | None = Field(None, description="File to write to why the job failed; None = only the log says it.")

    @property
    def name(self) -> str:
        """The trial or else the release that it is for, else the output's name."""
        return str(self.provenance.get("trial") or self.provenance.get("release", self.output.name))

    def write(self, path: Path) -> Path:
        """Write the job as JSON and give back the path."""
        path.write_text(self.model_dump_json(indent=2) + "\n", encoding="utf-8")
        return path

    @classmethod
    def read(cls, path: Path) -> "TrainingJob":
        """Read a job.

        Raises:
            BooruError: The file is not there or is not a job.
        """
        try:
            return cls.model_validate_json(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise BooruError(
                f"cannot read the training job {path}: {error.strerror}. `booru run` writes it."
            ) from error
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"])
            raise BooruError(f"{path} is not a training job: {where}: {first['msg']}. Correct that field.") from error
