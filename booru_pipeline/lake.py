"""Where every artifact lies. No other module joins a path by hand."""

from dataclasses import dataclass
from pathlib import Path


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

    def evaluation_report(self, release: str) -> Path:
        """A folder: metrics.json, report.html, predictions.parquet."""
        return self.home / "reports" / release
