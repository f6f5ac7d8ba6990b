"""What would be made otherwise now: the difference between an artifact's record and the present options, in words."""

import functools
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import duckdb

from booru_pipeline.dataset.options import MAX_TOKENS
from booru_pipeline.errors import BooruError
from booru_pipeline.lake.lake import Lake
from booru_pipeline.lake.record import Record
from booru_pipeline.model.objective_name import objective_name
from booru_pipeline.model.provenance import PROVENANCE_FILE
from booru_pipeline.pipeline.option_words import written
from booru_pipeline.pipeline.stages import CAME_LATER, Recipe, Stage, makes_nothing_stale
from booru_pipeline.training.options import plan_defaults
from booru_pipeline.vocabulary.base_model import TINY
from booru_pipeline.vocabulary.options import EncodingName

_UNLIMITED: Final = ("time_limit_s", "max_steps", "epochs")  # if 0


class OptionsInForce:
    """A stage's options as they work: what is not set has the value that the preset or another option gives it.

    Args:
        stage: Whose.
        options: As a record or the settings have them; those that are not set are None.
        recipe: For the preset and the encoding, which an artifact of the same inputs was made with too.
    """

    def __init__(self, stage: Stage, options: Mapping[str, Any], recipe: Recipe) -> None:
        self._options = options
        self._defaults: dict[str, tuple[Any, str]] = {}
        encoding = recipe.tokenized_dataset.encoding_name
        if stage is Stage.CHECKPOINT:
            plan = plan_defaults(options.get("optimizer"), pretrained=recipe.preset != TINY)
            self._defaults = {name: (value, f"preset {recipe.preset}") for name, value in plan.items()}
            if options.get("objective") == "auto":
                self._defaults["objective"] = objective_name("auto", encoding).value, "auto"
        if stage is Stage.TOKENIZED_DATASET:
            encoding = EncodingName(options.get("encoding", encoding))
            self._defaults["max_tokens"] = MAX_TOKENS[encoding], f"encoding {encoding.value}"

    def value(self, name: str) -> Any:
        """The value in force."""
        return self._found(name)[0]

    def said(self, name: str) -> str:
        """The same for people, with its unit, and who chose it if nobody set it: `60 s (preset tiny)`."""
        value, chosen_by = self._found(name)
        if value is None:
            text = "not set"
        elif not value and name in _UNLIMITED:
            text = "unlimited"
        elif isinstance(value, float) and value.is_integer():
            text = f"{value:.0f}"
        else:
            text = value if isinstance(value, str) and value else written(value)
        unit = " s" if name.endswith("_s") and value else ""
        return f"{text}{unit}{f' ({chosen_by})' if chosen_by else ''}"

    def _found(self, name: str) -> tuple[Any, str]:
        value = self._options.get(name)
        return self._defaults.get(name, (value, "")) if value in (None, "auto") else (value, "")


def other_options(made: Record, expected: Record, recipe: Recipe) -> list[str]:
    """The options that would be others now and make a difference, each as `seed was 0, is 1`.

    A checkpoint that was trained from the base model is as good where the recipe would have it go on from an earlier
    one: `retrain` is what people do once in a while to make up for what such a chain forgets.
    """
    stage = Stage(made.stage)
    before, after = ({**CAME_LATER.get(stage, {}), **record.options} for record in (made, expected))
    was, now = (OptionsInForce(stage, options, recipe) for options in (before, after))
    ignored = set(makes_nothing_stale(stage))
    if before.get("strategy") == "retrain":
        ignored |= {"strategy", "replay_share"}
    # An option that only one of the two has came or went with the code.
    names = [name for name in after if name in before and name not in ignored]
    return [
        f"{name} was {was.said(name)}, is {now.said(name)}"
        for name in sorted(names)
        if before[name] != after[name] and was.value(name) != now.value(name)
    ]


def judged_otherwise(lake: Lake, path: Path, made: Record, expected: Record) -> str:
    """Why an artifact would not be accepted now, or would be where it was not; empty if nothing is judged otherwise.

    It is looked at only if the limit that it was judged by is another now.
    """
    was, now = (record.options.get(_LIMITS.get(Stage(made.stage), "")) for record in (made, expected))
    if was is None or now is None or was == now:
        return ""
    try:
        if made.stage == Stage.TAG_TABLE:
            share = _reject_share(lake.bring(path)) if now < was else 0.0
            return f"{share:.2%} of its lines are rejects, max_reject_share is {now:.2%} now" if share > now else ""
        coverage = _coverage(lake, path)
        if (coverage < was) is (coverage < now):
            return ""
        return f"its labels cover {coverage:.1%} of general tags, min_coverage was {was:.1%}, is {now:.1%}"
    except (BooruError, OSError, ValueError, duckdb.Error):  # what is broken is for its checks to say
        return ""


_LIMITS: Final = {Stage.TAG_TABLE: "max_reject_share", Stage.TOKENIZED_DATASET: "min_coverage"}


def _reject_share(tag_table: Path) -> float:
    stat = tag_table.stat()
    return _read_reject_share(tag_table, stat.st_ino, stat.st_mtime_ns, stat.st_size)


@functools.lru_cache(maxsize=1024)
def _read_reject_share(tag_table: Path, *marks: int) -> float:
    """It takes 20 ms, and a scan may ask for that of all releases."""
    from booru_pipeline.tag_table.accounting import reject_share

    return reject_share(tag_table)


def _coverage(lake: Lake, dataset: Path) -> float:
    from booru_pipeline.dataset.gate import GateReport

    report = GateReport.model_validate_json(lake.read(dataset, GateReport.FILE) or "")
    return report.coverage.get("general", 1.0)


def cut_short(lake: Lake, path: Path, made: Record, expected: Record, recipe: Recipe) -> str:
    """Whether a checkpoint's training was ended by a limit of time that is longer now, in words; else empty."""
    if made.stage != Stage.CHECKPOINT:
        return ""
    was, now = (OptionsInForce(Stage.CHECKPOINT, record.options, recipe) for record in (made, expected))
    limit = was.value("time_limit_s")
    if not limit or (now.value("time_limit_s") or math.inf) <= limit:
        return ""
    try:
        seconds = json.loads(lake.read(path, PROVENANCE_FILE) or "{}").get("training", {}).get("seconds", 0.0)
    except (BooruError, OSError, ValueError):
        return ""
    if seconds < limit:
        return ""
    return (
        f"time_limit_s ended its training after {limit:g} s and is {now.said('time_limit_s')} now; "
        f"`booru run --release {made.release} --retrain` trains it again"
    )
