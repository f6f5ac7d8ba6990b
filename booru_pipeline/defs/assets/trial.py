"""The assets of trials: a checkpoint with other options beside its release's own, and its report."""

from typing import TYPE_CHECKING

import dagster as dg
from pydantic import Field

from booru_pipeline.dataset.options import DatasetOptions
from booru_pipeline.defs.assets.checkpoint import train
from booru_pipeline.defs.assets.common import OWNERS, earlier_keys, shards_so_far
from booru_pipeline.defs.assets.evaluation_report import report_on
from booru_pipeline.defs.assets.tokenized_dataset import earlier_dataset
from booru_pipeline.defs.assets.vocabulary import earlier_vocabulary
from booru_pipeline.defs.payload import TRAINING_POOL
from booru_pipeline.defs.resources import BaseModelChoice, FoldersParam
from booru_pipeline.defs.retry import retry_io
from booru_pipeline.defs.runs.history import TRIAL_PARTITIONS
from booru_pipeline.defs.telling import telling
from booru_pipeline.errors import BooruError
from booru_pipeline.evaluation.options import EvaluationOptions
from booru_pipeline.lake.lake import Lake
from booru_pipeline.lake.publish import discard
from booru_pipeline.lake.record import Record
from booru_pipeline.lake.trial import is_kept, parse_trial, release_part
from booru_pipeline.pipeline.checkpoints import find_predecessor, source_of
from booru_pipeline.pipeline.promoted import Settlement, find_promoted_before, read_promoted
from booru_pipeline.pipeline.settings import Folders
from booru_pipeline.pipeline.stages import Stage, stage_record, upstream_key
from booru_pipeline.training.options import TrainingOptions
from booru_pipeline.vocabulary.build import build_vocabulary
from booru_pipeline.vocabulary.options import VocabularyOptions
from booru_pipeline.vocabulary.vocabulary import Vocabulary

if TYPE_CHECKING:
    from booru_pipeline.evaluation.report.findings import Findings

TRIALS = dg.DynamicPartitionsDefinition(name=TRIAL_PARTITIONS)
TRIAL_CHECKPOINT = "trial_checkpoint"
TRIAL_REPORT = "trial_report"
_GROUP = "trials"


class TrialConfig(dg.Config):
    """What becomes of a trial that is there."""

    retrain: bool = Field(False, description="Train it again though it was made with other options or data.")


@dg.asset(
    name=TRIAL_CHECKPOINT,
    deps=[Stage.TOKENIZED_DATASET.value],
    partitions_def=TRIALS,
    group_name=_GROUP,
    kinds={"transformers", "pytorch"},
    owners=OWNERS,
    pool=TRAINING_POOL,
)
def trial_checkpoint(
    context: dg.AssetExecutionContext,
    config: TrialConfig,
    folders: FoldersParam,
    base_model: BaseModelChoice,
    vocabulary_options: dg.ResourceParam[VocabularyOptions],
    dataset_options: dg.ResourceParam[DatasetOptions],
    training_options: dg.ResourceParam[TrainingOptions],
    pipes: dg.PipesSubprocessClient,
) -> dg.MaterializeResult:
    """A model that was trained with other options, to try them beside what is there. What is there stays as it is: the
    T5 lies beside the checkpoint of its release. To make one, add a partition named by release and a name of your
    choice, such as `2021d@lr5`, change options in the launchpad, and launch; `booru run --as lr5 --set
    checkpoint.learning_rate=0.005` does the same. Options of vocabulary and dataset, and another base model, give the
    trial a vocabulary and dataset of its own. `booru promote 2021d@lr5` makes `booru suggest` ask it. A number in the
    place of the name, `2021d@1`, is a checkpoint that was promoted and is kept.
    """
    name = trial_of(context)
    inputs = _Inputs(context, folders, name)
    records = inputs.records(base_model, vocabulary_options, dataset_options)
    if not config.retrain:
        _refuse_to_replace(folders.lake, name, records[Stage.TOKENIZED_DATASET], training_options)
    inputs.make_vocabulary(base_model, vocabulary_options, records[Stage.VOCABULARY])
    inputs.make_dataset(dataset_options, records[Stage.TOKENIZED_DATASET])
    return train(context, folders, base_model, training_options, pipes, name)


def _refuse_to_replace(lake: Lake, name: str, dataset: Record, options: TrainingOptions) -> None:
    """A trial is a person's: another one of its name does not take its place unasked.

    Raises:
        BooruError: There is one, made in another way.
    """
    made = lake.record(lake.checkpoint(name))
    wanted = stage_record(Stage.CHECKPOINT, dataset.release, dataset.key, options.model_dump(mode="json"))
    if made is not None and made.key != wanted.key:
        raise BooruError(
            f"there is a trial {name} already, and it was made in another way. Add a partition of another name, or set "
            f"retrain under ops.{TRIAL_CHECKPOINT}.config to train it again."
        )


@dg.asset(
    name=TRIAL_REPORT,
    deps=[TRIAL_CHECKPOINT],
    partitions_def=TRIALS,
    group_name=_GROUP,
    kinds={"html", "parquet"},
    owners=OWNERS,
    config_schema={},
)
@retry_io
@telling
def trial_report(
    context: dg.AssetExecutionContext, folders: FoldersParam, evaluation_options: dg.ResourceParam[EvaluationOptions]
) -> dg.MaterializeResult:
    """How well a trial's model finds tags that were hidden from it, beside the model that it is to better. That is the
    checkpoint of its release, and the promoted one. Plots show all trials side by side. A trial is never promoted by
    itself: `booru promote 2021d@lr5` does it, `booru compare lr5 2021d` sets any two beside each other.
    """
    name, lake = trial_of(context), folders.lake
    parent, promoted = find_predecessor(lake, name), find_promoted_before(lake, name)

    def decide(findings: "Findings", key: str) -> Settlement:
        pointer = read_promoted(lake)
        if pointer is not None and (pointer.release, pointer.key) == (name, key):
            return Settlement(True, f"since {pointer.date}: {pointer.reason}")
        return Settlement(False, f"{findings.judgement_in_words}; a trial waits for `booru promote {name}`")

    return report_on(context, folders, evaluation_options, name, parent, promoted, decide)


def trial_of(context: dg.AssetExecutionContext) -> str:
    """The step's trial.

    Raises:
        BooruError: The partition's key names no trial.
    """
    key = context.partition_key
    if parse_trial(key) != key or is_kept(key):
        raise BooruError(
            f"{key!r} names no trial. Add a partition such as 2021d@lr5 instead: a release, @, and a name of small "
            "letters, digits, - and _; a number alone is for kept checkpoints."
        )
    return key


class _Inputs:
    """The vocabulary and dataset of a trial: its release's, or its own where its options ask for others."""

    def __init__(self, context: dg.AssetExecutionContext, folders: Folders, name: str) -> None:
        self._context, self._folders, self._name = context, folders, name
        self._release = release_part(name)
        self._shards = shards_so_far(context, folders, self._release)

    @property
    def _lake(self) -> Lake:
        return self._folders.lake

    def records(
        self, base_model: BaseModelChoice, vocabulary: VocabularyOptions, dataset: DatasetOptions
    ) -> dict[Stage, Record]:
        """What vocabulary and dataset are to be."""
        upstream = upstream_key(self._lake, Stage.VOCABULARY, self._release)
        chosen = {"preset": base_model.preset, **vocabulary.model_dump(mode="json")}
        words = self._record(Stage.VOCABULARY, upstream, chosen)
        posts = self._record(Stage.TOKENIZED_DATASET, words.key, dataset.model_dump(mode="json"))
        return {Stage.VOCABULARY: words, Stage.TOKENIZED_DATASET: posts}

    def make_vocabulary(self, base_model: BaseModelChoice, options: VocabularyOptions, record: Record) -> None:
        """Make the vocabulary, if neither release nor trial has it."""
        if not self._is_there(Stage.VOCABULARY, record):
            base, path = base_model.resolve(), self._lake.vocabulary(self._name)
            earlier = earlier_vocabulary(self._folders, self._release)
            build_vocabulary(self._shards, base, path, self._lake.staging, options, record, earlier)

    def make_dataset(self, options: DatasetOptions, record: Record) -> None:
        """Make the dataset, if neither release nor trial has it."""
        from booru_pipeline.dataset.build import build_dataset  # imports scipy

        lake = self._lake
        if not self._is_there(Stage.TOKENIZED_DATASET, record):
            labels = Vocabulary.load(lake.bring(source_of(lake, Stage.VOCABULARY, self._name)))
            earlier, path = earlier_dataset(self._folders, self._release), lake.tokenized_dataset(self._name)
            build_dataset(self._shards, labels, path, lake.staging, options, record, earlier)

    def _record(self, stage: Stage, upstream: str, options: dict[str, object]) -> Record:
        also_read = earlier_keys(self._shards, self._release)
        return stage_record(stage, self._release, upstream, options, also_read=also_read)

    def _is_there(self, stage: Stage, record: Record) -> bool:
        """Whether release or trial has the artifact; one of the trial's own that is not needed is removed."""
        lake, own = self._lake, stage.path(self._lake, self._name)
        made, of_release = lake.record(own), lake.record(stage.path(lake, self._release))
        if of_release is not None and of_release.key == record.key:
            if made is not None:
                discard(own, lake.staging)
            return True
        if made is not None and made.key == record.key:
            return True
        self._context.log.info(f"the options ask for another {stage.value}: {self._name} gets one of its own")
        return False
