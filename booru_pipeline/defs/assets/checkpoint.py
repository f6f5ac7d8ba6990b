"""The asset `checkpoint` and its check."""

import json
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import dagster as dg

from booru_pipeline.defs.assets.common import asset_settings, at_hand, check_settings, record_for, shards_so_far
from booru_pipeline.defs.assets.metadata import line_plot, location, open_with, table_of
from booru_pipeline.defs.payload import TRAINING_POOL, refuse_failed_gate, run_payload
from booru_pipeline.defs.resources import BaseModelChoice, FoldersParam
from booru_pipeline.defs.telling import telling
from booru_pipeline.lake.publish import staged
from booru_pipeline.lake.record import Record
from booru_pipeline.lake.trial import is_trial, release_part
from booru_pipeline.model.provenance import CARD_FILE, EarlierCheckpoint, code_revision, read_provenance, soundness_of
from booru_pipeline.pipeline.checkpoints import find_parent, source_of
from booru_pipeline.pipeline.promoted import keep_promoted
from booru_pipeline.pipeline.settings import Folders
from booru_pipeline.pipeline.stages import Stage
from booru_pipeline.training.job import TrainingJob
from booru_pipeline.training.options import TrainingOptions
from booru_pipeline.training_shards.shards import ShardManifest
from booru_pipeline.vocabulary.vocabulary import Vocabulary


@dg.asset(**asset_settings(Stage.CHECKPOINT, "model", {"transformers", "pytorch"}), pool=TRAINING_POOL)
def checkpoint(
    context: dg.AssetExecutionContext,
    folders: FoldersParam,
    base_model: BaseModelChoice,
    training_options: dg.ResourceParam[TrainingOptions],
    pipes: dg.PipesSubprocessClient,
) -> dg.MaterializeResult:
    """The trained model: given some tags of a picture, it says which others belong to it. A T5 that was fine-tuned on
    the captions, in a process of its own, in a plain transformers folder with provenance and model card.
    `AutoModelForSeq2SeqLM.from_pretrained(path)` loads it, `booru suggest` asks it.
    """
    return train(context, folders, base_model, training_options, pipes, context.partition_key)


def train(
    context: dg.AssetExecutionContext,
    folders: Folders,
    base_model: BaseModelChoice,
    options: TrainingOptions,
    pipes: dg.PipesSubprocessClient,
    name: str,
) -> dg.MaterializeResult:
    """Train and publish the checkpoint of a release or trial.

    Raises:
        BooruError: The dataset is not there or its gate did not pass, or the training did not end well.
    """
    lake, release = folders.lake, release_part(name)
    path = lake.checkpoint(name)
    dataset = lake.bring(source_of(lake, Stage.TOKENIZED_DATASET, name))
    refuse_failed_gate(dataset)
    base = base_model.resolve()
    shards = shards_so_far(context, folders, release)
    parent = find_parent(lake, release, dataset, base.name, options, context.log)
    also_read = {f"checkpoint of {parent.release}": parent.key} if parent else {}
    record = record_for(Stage.CHECKPOINT, folders, name, options, also_read=also_read)
    vocabulary = lake.bring(source_of(lake, Stage.VOCABULARY, name))
    states = lake.training_states(name)
    with tempfile.TemporaryDirectory() as scratch, staged(path, lake.staging) as draft:
        job = TrainingJob(
            dataset=dataset,
            vocabulary=vocabulary,
            output=draft,
            base_name=base.name,
            base_source=base.source,
            parent=parent.checkpoint if parent else None,
            options=options,
            provenance={**_provenance(record, name, parent, shards), "dagster_run": context.run.run_id},
            wandb_folder=lake.wandb,
            states=states,
            # The parent is no part of the record's key, but of what a state is on the way to.
            key=f"{record.key}-{parent.key}" if parent else record.key,
            problem=Path(scratch, "problem.txt"),  # not in the home, whose disk may be what is full
        )
        file = job.write(draft.parent / "job.json")
        after = "The next materialization goes on from its last state."
        run_payload(context, pipes, lake, file, what=name, after=after)
        record.write(draft)
        # Not before: a training that fails leaves everything as it was.
        if (kept := keep_promoted(lake, name)) is not None:
            context.log.info(f"the promoted checkpoint of {name} is kept as {kept}, with its report")
    shutil.rmtree(states, ignore_errors=True)
    return dg.MaterializeResult(
        data_version=dg.DataVersion(record.key),
        metadata={**location(folders, path), **_metadata(folders, name, vocabulary)},
    )


def _provenance(
    record: Record, name: str, parent: EarlierCheckpoint | None, shards: Mapping[str, Path]
) -> dict[str, Any]:
    lineage = read_provenance(parent.checkpoint).get("lineage", [parent.release]) if parent else []
    return {
        "release": record.release,
        **({"trial": name} if is_trial(name) else {}),
        "parent": {"release": parent.release, "key": parent.key} if parent else None,
        "lineage": [*lineage, record.release],
        "releases": {name: ShardManifest.read(folder).content_sha256 for name, folder in shards.items()},
        "dataset": record.inputs[Stage.CHECKPOINT.upstream],
        "code": code_revision(),
    }


def _metadata(folders: Folders, name: str, vocabulary: Path) -> dict[str, Any]:
    path = folders.lake.checkpoint(name)
    known = Vocabulary.load(vocabulary)
    frequent = known.labels[known.by_posts[0]]
    where = ("--raw", folders.raw, "--home", folders.home)
    relations = ("--relations", folders.relations) if folders.relations else ()
    provenance = read_provenance(path)
    log = json.loads((path / "training_log.json").read_text(encoding="utf-8"))

    def curve(column: str) -> list[tuple[float, float]]:
        return [(entry["step"], entry[column]) for entry in log if column in entry]

    training = provenance["training"]
    figures = {name: value for name, value in provenance["metrics"].items() if isinstance(value, int | float)}
    parent = provenance.get("parent")
    posts = provenance["trained_on"]
    return {
        **open_with("booru", "suggest", *where, *relations, "--release", name, "--", frequent),
        "parent": f"the checkpoint of {parent['release']}"
        if parent
        else f"none, from {provenance['base_model']['name']}",
        "lineage": " → ".join(provenance["lineage"]),
        "trained on": table_of(
            ["release", "posts", "share"],
            [(name, number, f"{number / sum(posts.values()):.1%}") for name, number in posts.items()],
        ),
        "loss curve": line_plot({"training": curve("loss"), "validation": curve("eval_loss")}, "step", "loss"),
        "learning rate": line_plot({"learning rate": curve("learning_rate")}, "step", "learning rate"),
        "steps": training["steps"],
        "seconds of training": round(training["seconds"], 1),
        "posts per second": round(training["steps"] * training["posts_per_step"] / max(training["seconds"], 1e-9)),
        "tokens per second": _mean(curve("tokens_per_s")),
        "epochs": log[-1]["epoch"],
        **{f"validation {name}".replace("_", " "): round(value, 4) for name, value in figures.items()},
        "model card": dg.MetadataValue.md((path / CARD_FILE).read_text(encoding="utf-8")),
        "provenance": dg.MetadataValue.json(provenance),
    }


def _mean(points: list[tuple[float, float]]) -> int:
    """Of rates that are each since the step of the one before."""
    weights = [step - before for (step, _), (before, _) in zip(points, [(0.0, 0.0), *points], strict=False)]
    return round(sum(w * value for w, (_, value) in zip(weights, points, strict=True)) / max(sum(weights), 1))


@dg.asset_check(**check_settings(Stage.CHECKPOINT, blocking=True))
@telling
def weights_are_sound(context: dg.AssetCheckExecutionContext, folders: FoldersParam) -> dg.AssetCheckResult:
    """The model's files can be used. Every weight is a finite number, and nothing in the folder would be unpickled."""
    found = soundness_of(at_hand(context, folders, Stage.CHECKPOINT))
    return dg.AssetCheckResult(
        passed=found.is_sound,
        metadata={
            "weights": found.weights,
            "weights that are not finite": found.not_finite,
            "pickled files": ", ".join(found.pickled) or "none",
        },
    )


@dg.asset_check(**check_settings(Stage.CHECKPOINT, blocking=False))
@telling
def has_left_the_unigram_plateau(context: dg.AssetCheckExecutionContext, folders: FoldersParam) -> dg.AssetCheckResult:
    """The model has learned more than which tags are frequent. On the validation split it finds more hidden labels than
    the most frequent ones would: it is off the plateau on which T5 starts from random weights.
    """
    found = soundness_of(at_hand(context, folders, Stage.CHECKPOINT))
    return dg.AssetCheckResult(
        passed=found.has_learned,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={
            "recall at 10": round(found.recall_at_10, 4),
            "popularity's": round(found.popularity_recall_at_10, 4),
        },
    )
