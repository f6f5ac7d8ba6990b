"""A home opened from Python: what was made of each release, and the checkpoint to ask."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from booru_pipeline.errors import BooruError, first_line
from booru_pipeline.lake.lake import Lake
from booru_pipeline.lake.trial import is_trial
from booru_pipeline.pipeline.checkpoints import find_named, source_of
from booru_pipeline.pipeline.promoted import checkpoint_in_use
from booru_pipeline.pipeline.settings import Settings, load_settings
from booru_pipeline.pipeline.stages import Stage

if TYPE_CHECKING:
    import pyarrow as pa
    from datasets import DatasetDict

    from booru_pipeline.dataset.collator import CaptionCollator
    from booru_pipeline.model.predictor import Predictor
    from booru_pipeline.training_shards.relations import Relations
    from booru_pipeline.vocabulary.vocabulary import Vocabulary


def open_home(home: str | PathLike[str] | None = None, **settings: Any) -> "Home":
    """Open a home, as the command does.

    Args:
        home: Its folder; by default as `BOORU_HOME` and `booru.toml` say, or `booru_home`.
        settings: Others, such as `raw` or `relations`, where Danbooru's lists of aliases and implications are.

    Raises:
        BooruError: There is no such folder, or a setting is wrong.
    """
    found = load_settings((), home=None if home is None else Path(home), **settings)
    if not found.lake.home.is_dir():
        raise BooruError(f"there is no home at {found.lake.home}. Make one with `booru run`, or name another.")
    return Home(found)


@dataclass(frozen=True)
class Home:
    """What lies in a home. Everything is read when it is asked for, and nothing is changed.

    Attributes:
        settings: With its folder and all options.
    """

    settings: Settings

    @property
    def lake(self) -> Lake:
        """Where each artifact lies."""
        return self.settings.lake

    @property
    def relations(self) -> "Relations":
        """Aliases, implications and deprecated tags.

        Raises:
            BooruError: They cannot be read.
        """
        return self.settings.tag_relations

    @property
    def releases(self) -> list[str]:
        """Keys of the releases that have training shards, in their order."""
        return self.lake.releases_with(self.lake.training_shards)

    @property
    def checkpoints(self) -> list[str]:
        """Keys of the releases and trials that have a checkpoint; `2021d@lr5` is a trial of 2021d."""
        return [*self.lake.releases_with(self.lake.checkpoint), *self.lake.trials_with(self.lake.checkpoint)]

    @property
    def in_use(self) -> str:
        """The key of the checkpoint that is asked by default: the promoted one, or the newest.

        Raises:
            BooruError: There is none.
        """
        return checkpoint_in_use(self.lake)[0]

    def posts(self, release: str | None = None) -> "pa.Table":
        """A release's posts, those of the newest by default, one row a post.

        Returns:
            Columns booru, fid, release, split, group_md5, tags (list of string, canonical), categories (list of int8,
            Danbooru's numbers), rating, score.

        Raises:
            BooruError: There are none.
        """
        import pyarrow.parquet as pq

        from booru_pipeline.training_shards.shards import shard_files

        key = self.lake.newest(self.lake.training_shards, release)
        files = shard_files(self.lake.bring(self.lake.training_shards(key)))
        return pq.read_table(files)

    def vocabulary(self, release: str | None = None) -> "Vocabulary":
        """The labels of a release, of the newest by default.

        Raises:
            BooruError: There are none.
        """
        from booru_pipeline.vocabulary.vocabulary import Vocabulary

        key = self.lake.newest(self.lake.vocabulary, release)
        return Vocabulary.load(self.lake.bring(self.lake.vocabulary(key)))

    def predictor(self, name: str | None = None, device: str | None = None) -> "Predictor":
        """A checkpoint, ready to be asked.

        Args:
            name: Of a release or trial; by default the promoted one, or the newest.
            device: As of `Predictor.load`.

        Raises:
            BooruError: There is none, or it is not whole.
        """
        from booru_pipeline.model.predictor import Predictor

        return Predictor.load(self.lake.bring(self._checkpoint(name)), device, relations=self.relations)

    def dataset(self, name: str | None = None) -> "DatasetDict":
        """The posts that a checkpoint was trained, validated and tested on, by split, as sets of labels.

        Args:
            name: The checkpoint's release or trial; the newest release with a dataset by default. Rows are of that
                one's vocabulary: those of a later one are beyond what an earlier checkpoint knows.

        Returns:
            Each split with columns booru, fid, release, group_md5, post_key, label_rows (rows of the vocabulary),
            length.

        Raises:
            BooruError: There is none.
        """
        from booru_pipeline.dataset.posts import open_splits

        return open_splits(self._dataset(name))

    def collator(self, name: str | None = None, *, seed: int = 0, **masking: Any) -> "CaptionCollator":
        """What makes batches for T5 of rows of `dataset`.

        Args:
            name: As of `dataset`.
            seed: Of what is hidden.
            masking: Options of `MaskingOptions`, such as `hidden_share_max`.

        Raises:
            BooruError: There is no dataset.
        """
        from booru_pipeline.dataset.collator import CaptionCollator
        from booru_pipeline.dataset.options import MaskingOptions

        dataset = self._dataset(name)
        vocabulary = self.lake.bring(source_of(self.lake, Stage.VOCABULARY, dataset.name))
        return CaptionCollator.from_folders(dataset, vocabulary, MaskingOptions(**masking), seed)

    def evaluation(self, name: str | None = None) -> Mapping[str, Any]:
        """What an evaluation found: `metrics.json` of the report of a release or trial, the newest by default.

        Raises:
            BooruError: There is no report, or it cannot be read.
        """
        lake = self.lake
        key = lake.newest(lake.evaluation_report) if name is None else find_named(lake, lake.evaluation_report, name)
        path = lake.bring(lake.evaluation_report(key)) / "metrics.json"
        try:
            return dict(json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError) as error:
            raise BooruError(f"{path} cannot be read: {first_line(error)}. Make it again with `booru run`.") from error

    def _dataset(self, name: str | None) -> Path:
        if name is None or not is_trial(name):
            name = self.lake.newest(self.lake.tokenized_dataset, name)
        return self.lake.bring(source_of(self.lake, Stage.TOKENIZED_DATASET, name))

    def _checkpoint(self, name: str | None) -> Path:
        key = self.in_use if name is None else find_named(self.lake, self.lake.checkpoint, name)
        return self.lake.checkpoint(key)
