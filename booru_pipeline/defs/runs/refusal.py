"""What a run is refused for before anything is made: its options, or its release."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

import dagster as dg
from dagster._core.errors import DagsterUserCodeProcessError
from dagster._core.storage.tags import ASSET_PARTITION_RANGE_START_TAG
from dagster_shared.error import SerializableErrorInfo
from pydantic import BaseModel, ValidationError

from booru_pipeline.defs.runs.history import PARTITION, RELEASE_PARTITIONS, TRIAL_PARTITIONS
from booru_pipeline.errors import BooruError
from booru_pipeline.pipeline.contradictions import check_recipe
from booru_pipeline.pipeline.option_words import refusals
from booru_pipeline.pipeline.stages import Recipe, Stage

_PRESET: Final = "base_model"  # the resource with the recipe's `preset`


class Refused(DagsterUserCodeProcessError, BooruError):
    """A run that cannot be.

    Dagster shows any other error with its class, the stack, and words of its own about where it was raised; of one that
    comes from another process it shows what that has said.
    """

    def __init__(self, text: str) -> None:
        said = SerializableErrorInfo(text, [], BooruError.__name__)
        super().__init__(text, user_code_process_error_infos=[said])


@contextmanager
def refused(key: str, model: type[BaseModel]) -> Iterator[None]:
    """Say in the launchpad's words what a model does not take of the values of one resource.

    Raises:
        Refused: The model did not take them; the message has each one's name, value, and what is allowed.
    """
    try:
        yield
    except ValidationError as error:
        found = refusals(error, model).items()
        said = "; ".join(f"{'.'.join(filter(None, [key, *path]))}{phrase}" for path, phrase in found)
        raise Refused(f"{said}. Correct it under resources in the launchpad.") from None


def check_run(run: dg.DagsterRun, instance: dg.DagsterInstance, defaults: Recipe) -> None:
    """Refuse a run whose options contradict each other, or whose release there is none.

    Args:
        run: Which.
        instance: Which has the partitions.
        defaults: The options that its config does not name.

    Raises:
        Refused: It cannot be.
    """
    _check_partition(run, instance)
    config: Mapping[str, Any] = run.run_config
    given = {key: item.get("config", {}) for key, item in config.get("resources", {}).items()}
    options = {
        stage.value: {**defaults.options_model(stage).model_dump(), **given.get(stage.options_key, {})}
        for stage in Stage
    }
    with refused("", Recipe):  # what the run has no use for was not looked at when it was launched
        recipe = Recipe.model_validate({"preset": defaults.preset, **given.get(_PRESET, {}), **options})
    try:
        check_recipe(recipe)
    except BooruError as error:
        raise Refused(str(error)) from None


def _check_partition(run: dg.DagsterRun, instance: dg.DagsterInstance) -> None:
    there = instance.get_dynamic_partitions(RELEASE_PARTITIONS)
    choose = f"Choose one of {', '.join(sorted(there))}" if there else "There is none yet"
    arrive = "a release becomes one when its folder lies in the raw folder"
    release = run.tags.get(PARTITION)
    if release in instance.get_dynamic_partitions(TRIAL_PARTITIONS):
        return  # a trial's assets look at its name
    if ASSET_PARTITION_RANGE_START_TAG in run.tags:
        raise Refused("a run makes one release, not a range. Choose the releases as partitions: each gets a run.")
    if release is not None and release not in there:
        raise Refused(f"{release} is no release of this home. {choose}; {arrive}.")
    stages = {key.to_user_string() for key in run.asset_selection or ()} & set(Stage)
    if release is None and stages:
        raise Refused(f"no release was chosen to make {', '.join(sorted(stages))} of. {choose} as the partition.")
