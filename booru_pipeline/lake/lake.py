"""Where every artifact lies. No other module joins a path by hand."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from booru_pipeline.errors import BooruError
from booru_pipeline.lake.publish import Staging, staged
from booru_pipeline.lake.record import Record, read_record
from booru_pipeline.lake.store import Store, Stored
from booru_pipeline.lake.trial import parse_trial, release_part
from booru_pipeline.release.key import check_key, parse_key, release_order
from booru_pipeline.sample.place import sample_home_remedy


@dataclass(frozen=True)
class Lake:
    """The folder of artifacts (`BOORU_HOME`): one file or folder for each stage and release.

    A method that is given a release is as well given a trial's key (`lake/trial.py`): its artifacts lie beside the
    release's. A path that a property or method returns need not exist yet.

    With a store, whatever is published here is published there first, and the later one of two is the artifact:
    `record` says what it was made from, and `bring` gives its path once it is here.

    Attributes:
        home: The folder.
        store: Where else artifacts are, or None. Training states, Dagster's history and wandb's runs stay in the home.
    """

    home: Path
    store: Store | None = None

    @property
    def dagster_home(self) -> Path:
        """Dagster's instance: runs, events and schedules, so that history survives."""
        return self.home / "dagster"

    @property
    def dev_log(self) -> Path:
        """A file: the words of the processes of `booru dev`."""
        return self.dagster_home / "dev.log"

    @property
    def dev_note(self) -> Path:
        """A JSON file: which `booru dev` serves the home; see `booru_pipeline.server.dev`."""
        return self.dagster_home / "dev.json"

    @property
    def dev_lock(self) -> Path:
        """A file that `booru dev` locks: a home has but one."""
        return self.dagster_home / "dev.lock"

    @property
    def server_note(self) -> Path:
        """A JSON file: where a server answers with this home's checkpoints; see `booru_pipeline.server.client`."""
        return self.home / "server.json"

    @property
    def wandb(self) -> Path:
        """wandb's run folders, offline ones included."""
        return self.home / "wandb"

    @property
    def staging(self) -> Staging:
        """Where artifacts are written first."""
        folder, store = self.home / ".staging", self.store
        if store is None:
            return Staging(folder)
        return Staging(
            folder,
            publish=lambda draft, final: store.publish(draft, self.name_of(final)),
            withdraw=lambda final: store.remove(self.name_of(final)),
        )

    @property
    def raw_fingerprints(self) -> Path:
        """Content hashes of raw files already read, by path, size and times."""
        return self.home / "raw_fingerprints.json"

    @property
    def promoted(self) -> Path:
        """A JSON file: the release whose checkpoint is in use, and why; see `booru_pipeline.pipeline.checkpoints`."""
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

    def training_slot(self, number: int) -> Path:
        """A file that a training locks: there are as many as may run at once."""
        return self.home / "states" / f".slot-{number}"

    @property
    def reports(self) -> Path:
        """The folder of the evaluation reports."""
        return self.home / "reports"

    def evaluation_report(self, release: str) -> Path:
        """A folder: metrics.json, report.html, predictions.parquet."""
        return self.reports / release

    def tag_audit(self, release: str) -> Path:
        """A folder: the tables of `booru_pipeline.audit.tables` as Parquet files, and audit.json with their rows."""
        return self.home / "audits" / release

    @property
    def experiments(self) -> Path:
        """The folder of the experiments, by name."""
        return self.home / "experiments"

    def experiment(self, name: str, release: str) -> Path:
        """A folder of an experiment's results, which are no stage's: `arms/`, and its report as JSON and HTML."""
        return self.experiments / name / release

    def retired(self, stage: str, release: str) -> Path:
        """A JSON file: the record of an artifact that retention removed, so that it is not made again unattended."""
        return self.home / "retired" / stage / release

    def releases_with(self, artifact: Callable[[str], Path]) -> list[str]:
        """Keys of the releases that have an artifact, such as `lake.checkpoint`, in release order."""
        return sorted((key for key in self._keys(artifact) if parse_key(key)), key=release_order)

    def trials_with(self, artifact: Callable[[str], Path]) -> list[str]:
        """Keys of the trials that have an artifact, by release, then name."""
        trials = {trial for key in self._keys(artifact) if (trial := parse_trial(key)) == key}
        return sorted(trials, key=lambda trial: (release_order(release_part(trial)), trial))

    def _keys(self, artifact: Callable[[str], Path]) -> set[str]:
        folder = artifact("any").parent
        keys = {path.stem for path in folder.iterdir()} if folder.is_dir() else set()
        if self.store is not None:
            names = map(PurePosixPath, self.store.listing())
            keys |= {name.stem for name in names if self.home / name.parent == folder}
        return keys

    def releases_before(self, artifact: Callable[[str], Path], release: str) -> list[str]:
        """Keys of the earlier releases that have an artifact, in release order."""
        return [key for key in self.releases_with(artifact) if release_order(key) < release_order(release)]

    def name_of(self, path: Path) -> str:
        """An artifact's name in the store."""
        return path.relative_to(self.home).as_posix()

    def record(self, path: Path) -> Record | None:
        """The record of an artifact, the later one of here and of the store; None if there is none, or no record."""
        stored = self._stored(path)
        both = (read_record(path), stored and stored.record)
        return max((record for record in both if record), key=lambda record: record.made, default=None)

    def bring(self, path: Path) -> Path:
        """The path of an artifact, after the store's has been fetched if it is later or none is here.

        Of a note without a record, such as `promoted`, the store's is the later one.

        Raises:
            BooruError: It cannot be fetched; what is here is untouched.
        """
        if self.store is not None and not self._is_here(path):
            with staged(path, self.staging.here()) as draft:
                self.store.fetch(self.name_of(path), draft)
        return path

    def is_stored(self, path: Path) -> bool:
        """Whether the store has what is here, or something later."""
        stored = self._stored(path)
        if stored is None or stored.record is None:
            return stored is not None
        here = read_record(path)
        return here is not None and stored.record.made >= here.made

    def read(self, path: Path, file: str) -> str | None:
        """A text file of an artifact that is a folder, without fetching the others; None if it is not there."""
        if self.store is not None and not self._is_here(path):
            content = self.store.read(self.name_of(path), file)
            return content.decode() if content is not None else None
        return (path / file).read_text(encoding="utf-8") if (path / file).is_file() else None

    def _is_here(self, path: Path) -> bool:
        """Whether nothing, or nothing later, is in the store."""
        stored = self._stored(path)
        if stored is None:
            return True
        if stored.record is None:
            return stored.is_copy(path)
        here = read_record(path)
        return here is not None and here.made >= stored.record.made

    def _stored(self, path: Path) -> Stored | None:
        return self.store.listing().get(self.name_of(path)) if self.store is not None else None

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
            other = sample_home_remedy(self.home, artifact("any").parent)
            raise BooruError(f"there is no {what} in {self.home} yet. Make one with `booru run`.{other}")
        return check_key(release) if release else keys[-1]
