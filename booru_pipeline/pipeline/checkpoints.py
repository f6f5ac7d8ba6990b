"""Checkpoints of releases and trials: which one a name means, and which ones a training or an evaluation builds on."""

import logging
from collections.abc import Callable
from pathlib import Path

from booru_pipeline.errors import BooruError
from booru_pipeline.lake.lake import Lake
from booru_pipeline.lake.record import read_record
from booru_pipeline.lake.trial import is_trial, name_part, release_part
from booru_pipeline.model.objective_name import objective_name
from booru_pipeline.model.provenance import EarlierCheckpoint, read_provenance
from booru_pipeline.pipeline.stages import Stage
from booru_pipeline.release.key import parse_key
from booru_pipeline.training.options import TrainingOptions


def find_named(lake: Lake, artifact: Callable[[str], Path], name: str) -> str:
    """The release or trial whose artifact somebody means by a release's key, a trial's, or a trial's name alone.

    Of trials of one name it is that of the newest release.

    Args:
        lake: Where artifacts are.
        artifact: Which, such as `lake.checkpoint`.
        name: As the person gave it.

    Raises:
        BooruError: There is none.
    """
    trials = lake.trials_with(artifact)
    said = name.strip().lower()
    key = parse_key(said)
    if not is_trial(said) and (key in lake.releases_with(artifact) or not trials):
        return lake.newest(artifact, key or name)
    found = [trial for trial in trials if said in (trial, name_part(trial))]
    if not found:
        what = artifact.__name__.replace("_", " ")
        there = [*lake.releases_with(artifact), *trials]
        raise BooruError(
            f"there is no {what} of {said!r} in {lake.home} (there: {', '.join(there)}). `booru run` makes those of "
            "releases, `booru run --as lr5` that of a trial."
        )
    return found[-1]


def find_parent(
    lake: Lake, release: str, dataset: Path, base: str, options: TrainingOptions, log: logging.Logger
) -> EarlierCheckpoint | None:
    """The newest earlier checkpoint, if the strategy is to go on from it and it was trained in the same way.

    Args:
        lake: Where checkpoints are.
        release: Of which release the training is.
        dataset: The dataset's folder, which says how captions are written.
        base: Name of the base model.
        options: Of the training.
        log: Told why the newest earlier one is no parent.
    """
    if options.strategy != "continue":
        return None
    from booru_pipeline.dataset.build import DatasetSummary  # imports scipy

    earlier = lake.releases_before(lake.checkpoint, release)
    if not earlier:
        log.info(f"no release before {release} has a checkpoint: training starts from {base}")
        return None
    folder = lake.bring(lake.checkpoint(earlier[-1]))
    record, provenance = read_record(folder), read_provenance(folder)
    captions = DatasetSummary.read(dataset).captions
    objective = objective_name(options.objective, captions.encoding_name)
    ours = {"base model": base, "encoding": captions.encoding, "objective": objective.value}
    theirs = {
        "base model": provenance["base_model"]["name"],
        "encoding": provenance.get("encoding"),
        "objective": provenance.get("objective"),
    }
    different = [f"{name} was {theirs[name]}, is {ours[name]}" for name in ours if ours[name] != theirs[name]]
    if record is None or different:
        why = "; ".join(different) or "it has no record"
        log.warning(f"the checkpoint of {earlier[-1]} is no parent ({why}): training starts from {base}")
        return None
    return EarlierCheckpoint(earlier[-1], record.key, folder)


def find_earlier(lake: Lake, name: str) -> EarlierCheckpoint | None:
    """The checkpoint of a release or trial, or None if it has none with a record."""
    folder = lake.checkpoint(name)
    record = lake.record(folder)
    if record is None:
        return None
    dataset = source_of(lake, Stage.TOKENIZED_DATASET, name)
    made = lake.record(dataset)
    is_its_own = made is not None and made.key == record.inputs.get(Stage.CHECKPOINT.upstream)
    return EarlierCheckpoint(name, record.key, lake.bring(folder), lake.bring(dataset) if is_its_own else None)


def find_predecessor(lake: Lake, name: str) -> EarlierCheckpoint | None:
    """The checkpoint that a report says what has changed since; None if there is none.

    Of a release it is the one that it went on from, or else the newest of the earlier releases; of a trial its
    release's own, or else those in turn.
    """
    release = release_part(name)
    earlier = lake.releases_before(lake.checkpoint, release)
    went_on_from = (read_provenance(lake.bring(lake.checkpoint(name))).get("parent") or {}).get("release")
    candidates = [release] if is_trial(name) else []
    candidates += [key for key in earlier if key == went_on_from] + earlier[::-1]
    return next((found for key in candidates if (found := find_earlier(lake, key))), None)


def source_of(lake: Lake, stage: Stage, name: str) -> Path:
    """The artifact of a stage that a release or trial is made from: a trial's own if it has one, else its release's."""
    own = stage.path(lake, name)
    return own if not is_trial(name) or lake.record(own) is not None else stage.path(lake, release_part(name))
