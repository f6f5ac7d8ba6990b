"""Opening what a home has of a release or trial, to ask it: its checkpoint with what is beside it, its posts."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from booru_pipeline.lake.lake import Lake
from booru_pipeline.lake.trial import release_part
from booru_pipeline.pipeline.checkpoints import source_of
from booru_pipeline.pipeline.settings import Settings
from booru_pipeline.pipeline.stages import Stage
from booru_pipeline.release.key import release_order
from booru_pipeline.training_shards.shards import shard_files
from booru_pipeline.vocabulary.options import VocabularyOptions

if TYPE_CHECKING:
    from booru_pipeline.dataset.inspection import Inspector
    from booru_pipeline.model.suggest.asking import Asker
    from booru_pipeline.model.suggest.counting import Counter


def counted_releases(lake: Lake, name: str) -> list[str]:
    """The releases whose posts are counted beside the checkpoint of a release or trial: its own and those before it."""
    until = release_order(release_part(name))
    return [other for other in lake.releases_with(lake.training_shards) if release_order(other) <= until]


def open_asker(settings: Settings, name: str, count_in: "Callable[[Sequence[str]], Counter]") -> "Asker":
    """What answers questions with the checkpoint of a release or trial.

    Args:
        settings: Where it is.
        name: Its key.
        count_in: Makes of Parquet files of shards what counts posts in them.

    Raises:
        BooruError: It is not whole, or something beside it is missing.
    """
    from booru_pipeline.model.predictor import Predictor
    from booru_pipeline.model.suggest.asking import Asker

    lake = settings.lake
    shards = [lake.bring(lake.training_shards(other)) for other in counted_releases(lake, name)]
    files = shard_files(*shards)
    relations = settings.tag_relations
    predictor = Predictor.load(lake.bring(lake.checkpoint(name)), graph=True)
    return Asker(predictor, relations, count_in(files), thresholds=thresholds_of(settings, name))


def open_inspector(settings: Settings, release: str) -> "Inspector":
    """What says what became of a post, and how the model sees it, in the dataset of a release.

    Raises:
        BooruError: Something of it is missing.
    """
    from booru_pipeline.dataset.inspection import Inspector
    from booru_pipeline.dataset.ledger import Ledger
    from booru_pipeline.dataset.options import MaskingOptions
    from booru_pipeline.vocabulary.vocabulary import Vocabulary

    lake = settings.lake
    dataset = lake.bring(lake.tokenized_dataset(release))
    keys = list(Ledger.read(dataset).shards)
    return Inspector(
        dataset=dataset,
        vocabulary=Vocabulary.load(lake.bring(lake.vocabulary(release))),
        shards={name: lake.bring(lake.training_shards(name)) for name in keys},
        tag_tables={name: lake.bring(lake.tag_table(name)) for name in keys},
        relations=settings.tag_relations,
        thresholds=settings.vocabulary,
        masking=MaskingOptions(**{name: getattr(settings.checkpoint, name) for name in MaskingOptions.model_fields}),
    )


def thresholds_of(settings: Settings, name: str) -> VocabularyOptions:
    """Those that the vocabulary of a release or trial was made with, or else those in force."""
    record = settings.lake.record(source_of(settings.lake, Stage.VOCABULARY, name))
    made_with = {} if record is None else record.options
    return VocabularyOptions(**{option: made_with.get(option, value) for option, value in settings.vocabulary})
