"""What lies in the home and in the store of a release whose raw files are gone, or of a trial, and its removal."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path

from booru_pipeline.errors import BooruError
from booru_pipeline.lake.lake import Lake
from booru_pipeline.lake.publish import discard
from booru_pipeline.lake.trial import is_trial, name_part, parse_trial, release_part
from booru_pipeline.pipeline.promoted import read_promoted
from booru_pipeline.pipeline.retention import size_of
from booru_pipeline.pipeline.stages import Stage, all_trials
from booru_pipeline.release.key import parse_key


@dataclass(frozen=True)
class Trace:
    """Something that was made of a release.

    Attributes:
        what: In a word or two, such as `checkpoint` or `training states`.
        path: In the home, where it need not be if the store has it.
        bytes: Here and in the store.
    """

    what: str
    path: Path
    bytes: int


def keys_of(lake: Lake, name: str, partitions: Collection[str] = ()) -> list[str]:
    """A release with its trials, or a trial alone, by its name alone too if there is one such; a name that can be none
    of these stands for itself.
    """
    key = name if name in partitions else parse_trial(name) or parse_key(name) or name
    if is_trial(key) or parse_key(key) != key:
        return [key]
    trials = {*all_trials(lake)}
    trials |= {partition for partition in partitions if parse_trial(partition) == partition}
    named = [trial for trial in trials if name_part(trial) == key]
    if len(named) == 1 and key not in partitions and not traces_of(lake, key):
        return named
    return [key, *sorted(trial for trial in trials if release_part(trial) == key)]


def traces_of(lake: Lake, key: str) -> list[Trace]:
    """Everything that was made of a release or trial: artifacts, notes of removed ones, training states, experiments.

    A name that is no key has none, wherever it may point.
    """
    if key not in (parse_key(key), parse_trial(key)):
        return []
    places = {stage.value: stage.path(lake, key) for stage in Stage}
    places |= {f"note of a removed {stage.value}": lake.retired(stage.value, key) for stage in Stage}
    places["training states"] = lake.training_states(key)
    experiments = lake.experiments.iterdir() if lake.experiments.is_dir() else ()
    places |= {f"experiment {folder.name}": lake.experiment(folder.name, key) for folder in experiments}
    stored = lake.store.listing() if lake.store is not None else {}
    found = []
    for what, path in places.items():
        copy = stored.get(lake.name_of(path))
        if copy is not None or path.exists():
            here = size_of(path) if path.exists() else 0
            found.append(Trace(what.replace("_", " "), path, here + (copy.bytes if copy else 0)))
    return found


def refuse_promoted(lake: Lake, keys: Collection[str]) -> None:
    """What people are answered from is not forgotten in passing.

    Raises:
        BooruError: The checkpoint of one of them is promoted.
    """
    promoted = read_promoted(lake)
    if promoted is not None and promoted.release in keys:
        raise BooruError(
            f"the checkpoint of {promoted.release} is promoted: `booru suggest` asks it. Promote another one first "
            "with `booru promote 2021a`, or none with `booru promote --none`."
        )


def remove_traces(lake: Lake, traces: Iterable[Trace]) -> None:
    """Remove them, here and in the store. Each leaves its name in one step; killed in between, the others are there.

    Raises:
        BooruError: Something cannot be removed.
    """
    for trace in traces:
        discard(trace.path, lake.staging)
