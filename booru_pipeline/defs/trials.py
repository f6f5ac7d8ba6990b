"""Trials from the shell: what one takes, and running it on the instance that the UI shows."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from booru_pipeline.defs.assets.trial import TRIAL_CHECKPOINT, TRIAL_REPORT, TRIALS
from booru_pipeline.defs.automation.jobs import TRIAL
from booru_pipeline.defs.build import build_defs
from booru_pipeline.defs.resources import run_config
from booru_pipeline.defs.runs.instance import open_instance
from booru_pipeline.defs.shell import RunPlan, make_plan, refuse_second_run, run_job, stoppable
from booru_pipeline.errors import BooruError
from booru_pipeline.lake.record import Record
from booru_pipeline.lake.trial import check_name, trial_key
from booru_pipeline.pipeline.contradictions import check_recipe
from booru_pipeline.pipeline.freshness import compare, expected_record
from booru_pipeline.pipeline.promoted import read_promoted
from booru_pipeline.pipeline.settings import Settings
from booru_pipeline.pipeline.stages import Stage
from booru_pipeline.release.find import Release, find_release, find_releases

_ASSETS: Final = {Stage.CHECKPOINT: TRIAL_CHECKPOINT, Stage.EVALUATION_REPORT: TRIAL_REPORT}


@dataclass(frozen=True)
class TrialPlan:
    """What a trial takes.

    Attributes:
        trial: Its key.
        before: What has to be made of the release first.
        due: Stages of the trial to make, in order; empty if it is there as asked for.
        retrain: Whether what is there is trained again.
    """

    trial: str
    before: RunPlan
    due: list[Stage]
    retrain: bool


def plan_trial(settings: Settings, base: Settings, name: str, release: str | None, *, retrain: bool) -> TrialPlan:
    """Decide what a trial takes.

    Args:
        settings: With the trial's options.
        base: Without them: what the release's own artifacts are made with.
        name: As the person gave it.
        release: Of which release; None for the last whole one that is not hand-tagged.
        retrain: Whether a trial of the name that was made in another way is trained again.

    Raises:
        BooruError: The name is none or taken, the release is not there, or the options change what all trials share.
    """
    for stage in Stage.TRAINING_SHARDS.upto():
        if settings.options_model(stage) != base.options_model(stage):
            raise BooruError(
                f"options of {stage.value} are not a trial's: all that is made of a release shares its {stage.value}. "
                f"Set them in booru.toml, or run without --as."
            )
    if settings.tag_audit != base.tag_audit:
        raise BooruError(
            "options of tag_audit are not a trial's, which has no audit. Leave them out, or run without --as."
        )
    check_recipe(settings)
    found = _release(settings, release)
    trial = trial_key(found.key, check_name(name))
    shared = all(
        settings.options(stage) == base.options(stage) for stage in (Stage.VOCABULARY, Stage.TOKENIZED_DATASET)
    )
    last = Stage.TOKENIZED_DATASET if shared else Stage.TRAINING_SHARDS
    expected = _expected(settings, trial, found)
    due = list(_ASSETS) if retrain else _due(settings, trial, expected)
    if found.key != name and name in find_releases(settings.raw_folder).keys:
        raise BooruError(f"{name!r} is a release. Choose another name for the trial.")
    if Stage.CHECKPOINT in due and not retrain:
        _refuse_to_replace(settings, trial, expected[Stage.CHECKPOINT])
    return TrialPlan(trial, make_plan(base, [found.key], last), due, retrain)


def _release(settings: Settings, key: str | None) -> Release:
    if key is not None:
        return find_release(settings.raw_folder, key)
    releases = find_releases(settings.raw_folder).releases
    whole = [item for item in releases if not item.is_addition]
    if not whole:
        raise BooruError(
            f"there is no whole release in {settings.raw_folder}, so there is nothing to try. `booru releases` says "
            "what is missing; make a sample with `booru sample`."
        )
    return whole[-1]


def _expected(settings: Settings, trial: str, release: Release) -> dict[Stage, Record]:
    """The records that a trial's artifacts would have now, and those of its release that it is made from."""
    lake, sources = settings.lake, settings.sources(release, settings.tag_relations.fingerprints)
    upstream, records = sources.raw, {}
    for stage in Stage:
        records[stage] = expected_record(stage, release.key, upstream, sources, settings)
        own = [trial] if stage not in Stage.TRAINING_SHARDS.upto() else []
        paths = [stage.path(lake, key) for key in (own if stage in _ASSETS else [release.key, *own])]
        made = ((lake.record(path), path) for path in paths)
        fresh = (one.key for one, path in made if one and compare(one, records[stage], settings, lake, path).is_fresh)
        upstream = next(fresh, records[stage].key)
    return records


def _due(settings: Settings, trial: str, expected: dict[Stage, Record]) -> list[Stage]:
    """The first stage that is not there as it would be made now, and what comes after it."""
    late = [stage for stage in _ASSETS if _unlike(settings, trial, expected[stage]) is not None]
    return list(_ASSETS)[list(_ASSETS).index(late[0]) :] if late else []


def _unlike(settings: Settings, trial: str, expected: Record) -> str | None:
    """What of a trial's artifact would be otherwise now, in words, empty if it is not there; None if nothing would."""
    stage, lake = Stage(expected.stage), settings.lake
    made = lake.record(stage.path(lake, trial))
    if made is None:
        return ""
    status = compare(made, expected, settings, lake, stage.path(lake, trial))
    return status.note.partition(";")[0] or None if status.is_fresh else status.why


def _refuse_to_replace(settings: Settings, trial: str, expected: Record) -> None:
    """A trial is a person's: another one of its name does not take its place unasked."""
    if unlike := _unlike(settings, trial, expected):
        promoted = read_promoted(settings.lake)
        kept = " It is promoted, and would be kept under a number." if promoted and promoted.release == trial else ""
        raise BooruError(
            f"there is a trial {trial} already, and it was made in another way: {unlike}.{kept} Choose another name, "
            "or train it again with --retrain."
        )


def run_trial(settings: Settings, plan: TrialPlan, say: Callable[[str], None]) -> None:
    """Train and evaluate a trial, once its release is there; see `run_plan`.

    Raises:
        BooruError: A run failed, or another one makes the same trial; what comes before is done.
    """
    with stoppable(say) as stop, open_instance(settings.lake) as instance:
        refuse_second_run(instance, plan.trial)
        instance.add_dynamic_partitions(str(TRIALS.name), [plan.trial])
        job = build_defs(settings).resolve_job_def(TRIAL.name)
        assets = {_ASSETS[stage] for stage in plan.due}
        config = run_config(settings)
        if TRIAL_CHECKPOINT in assets:
            config["ops"] = {TRIAL_CHECKPOINT: {"config": {"retrain": plan.retrain}}}
        run_job(job, instance, config, say, stop, key=plan.trial, assets=assets)
