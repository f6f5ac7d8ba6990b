"""What an evaluation found, in a few lines on a terminal."""

import json
from pathlib import Path
from typing import Any, Final

from rich.markup import escape
from rich.table import Table

from booru_pipeline.cli.app import say
from booru_pipeline.cli.tables import show
from booru_pipeline.errors import BooruError, first_line
from booru_pipeline.lake.lake import Lake
from booru_pipeline.pipeline.promoted import read_promoted

_AUDITED: Final = {
    "missing": "Of the first 100 tags that the audit of these posts says are missing, had been hidden",
    "wrong, by frequency": "Of the first 100 that it says are wrong, had been planted",
}


def say_summary(lake: Lake, key: str, folder: Path) -> None:
    """Print how the answer and T5 alone stand beside the best baseline, what T5 adds, and whether it is promoted.

    Raises:
        BooruError: The report cannot be read, or was made before it held all this.
    """
    from booru_pipeline.evaluation.report.added import Added  # imports scipy
    from booru_pipeline.evaluation.results import MODEL, MRR, RECALL, T5_ALONE

    path = folder / "metrics.json"
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        version = int(found["format_version"])
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise BooruError(
            f"{path} cannot be read: {first_line(error)}. Remove {folder} and make it again with `booru run`."
        ) from error
    if version < 3:
        raise BooruError(f"the report of {key} was made before it had a summary. Make it again with `booru run`.")
    results = {share["hidden_share"]: share["not_derivable"] for share in found["shares"] if share["not_derivable"]}
    shown = [MODEL, *([T5_ALONE] if T5_ALONE in next(iter(results.values()))["methods"] else [])]
    table = Table("hidden", *("answer" if name == MODEL else name for name in shown), "best baseline")
    table.title = f"{RECALL} / {MRR.upper()} of hidden labels on {found['sizes']['test_posts']:,} test posts"
    for share, result in results.items():
        best = result["best_baseline"]
        cells = [_figures(result["methods"][name], RECALL, MRR) for name in (*shown, best)]
        table.add_row(f"{100 * share:.3g} %", *cells[:-1], f"{cells[-1]} {best}")
    show(table)
    if found["added"]:
        say(escape(Added.model_validate(found["added"]).sentence))
    for question in (found.get("audit") or {}).get("questions", []):
        if question["question"] in _AUDITED:
            first = [100 * figures["precision_at_100"]["mean"] for figures in question["methods"].values()]
            say(f"{_AUDITED[question['question']]}: {first[0]:.0f} %, by counting alone {first[1]:.0f} %.")
    promoted = read_promoted(lake)
    if promoted is not None and promoted.release == key:
        say(f"The checkpoint of {key} is promoted: {escape(promoted.reason)}.")
    else:
        stays = f"{promoted.release} is promoted" if promoted else "none is promoted, so the newest is asked"
        say(f"The checkpoint of {key} is not promoted: {escape(found['judgement_in_words'])}; {stays}.")
    say(f"The report: {escape(str(folder / 'report.html'))}")


def _figures(of_method: dict[str, Any], *metrics: str) -> str:
    return " / ".join(f"{of_method[metric]:.3f}" for metric in metrics)
