"""Where every artifact lies. No other module joins a path by hand."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from booru_pipeline.errors import BooruError
from booru_pipeline.release.key import check_key, parse_key, release_order


@dataclass(frozen=True)
class Lake:
    """The folder of artifacts (`BOORU_HOME`): one file or folder for each stage and release.

    A path that a property or method returns need not exist yet.
    """

    home: Path

    @property
    def dagster_home(self) -> Path:
        """Dagster's instance: runs, events and schedules, so that history survives."""
        return self.home / "dagster"

    @property
    def wandb(self) -> Path:
        """wandb's run folders, offline ones included."""
        return self.home / "wandb"

    @property
    def staging(self) -> Path:
        """Artifacts being written. On the same file system as the artifacts, so that a rename publishes them."""
        return self.home / ".staging"

    @property
    def raw_fingerprints(self) -> Path:
        """Content hashes of raw files already read, by path, size and times."""
        return self.home / "raw_fingerprints.json"

    @property
    def promoted(self) -> Path:
        """A JSON file: the release whose checkpoint is in use, and why; see `booru_pipeline.promoted`."""
        return self.home / "promoted.json"

    def tag_table(self, release: str) -> Path:
        """A DuckDB file: files, tags, rejects, accounting."""
        return self.home / "warehouse" / f"{release}.duckdb"

    def training_shards(self, release: str) -> Path:
        """A folder of Parquet files, one row a post."""
        return self.home / "shards" / release

    def vocabulary(self, release: str) -> Path:
        """A folder: labels.parquet, one row a label, and the tokenizer that has a token for each."""
        return self.home / "vocabulary" / release

    def tokenized_dataset(self, release: str) -> Path:
        """A Hugging Face DatasetDict, `datasets.load_from_disk` opens it."""
        return self.home / "datasets" / release

    def checkpoint(self, release: str) -> Path:
        """A plain transformers model folder."""
        return self.home / "checkpoints" / release

    def training_states(self, release: str) -> Path:
        """A folder of what an interrupted training goes on from; empty or gone once its checkpoint is published."""
        return self.home / "states" / release

    @property
    def reports(self) -> Path:
        """The folder of the evaluation reports."""
        return self.home / "reports"

    def evaluation_report(self, release: str) -> Path:
        """A folder: metrics.json, report.html, predictions.parquet."""
        return self.reports / release

    @property
    def experiments(self) -> Path:
        """The folder of the experiments, by name."""
        return self.home / "experiments"

    def experiment(self, name: str, release: str) -> Path:
        """A folder of an experiment's results, which are no stage's: `arms/`, and its report as JSON and HTML."""
        return self.experiments / name / release

    def retired(self, stage: str, release: str) -> Path:
        """A file with the key of an artifact that retention removed, so that nobody makes it again unasked."""
        return self.home / "retired" / stage / release

    def releases_with(self, artifact: Callable[[str], Path]) -> list[str]:
        """Keys of the releases that have an artifact, in release order.

        Args:
            artifact: One of the methods above, such as `lake.checkpoint`.
        """
        folder = artifact("any").parent
        keys = [path.stem for path in folder.iterdir()] if folder.is_dir() else []
        return sorted((key for key in keys if parse_key(key)), key=release_order)

    def newest(self, artifact: Callable[[str], Path], release: str | None = None) -> str:
        """The release given, if it has the artifact, or the newest that has.

        Raises:
            BooruError: There is none.
        """
        keys = self.releases_with(artifact)
        what = artifact.__name__.replace("_", " ")
        if release is not None and check_key(release) not in keys:
            raise BooruError(
                f"there is no {what} of {release} in {self.home} (there: {', '.join(keys) or 'none'}). "
                f"Make it with `booru run --release {release}`."
            )
        if not keys:
            raise BooruError(f"there is no {what} in {self.home} yet. Make one with `booru run`.")
        return check_key(release) if release else keys[-1]
