"""The asset `evaluation_report` and its checks."""

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg

from booru_pipeline.defs.assets.common import asset_settings, at_hand, check_settings, record_for
from booru_pipeline.defs.assets.metadata import line_plot, location, open_with, table_of
from booru_pipeline.defs.resources import FoldersParam
from booru_pipeline.defs.retry import retry_io
from booru_pipeline.evaluation.options import EvaluationOptions
from booru_pipeline.lake.publish import staged
from booru_pipeline.pipeline.checkpoints import Settlement, find_earlier, find_predecessor, read_promoted, settle
from booru_pipeline.pipeline.report_server import report_url
from booru_pipeline.pipeline.retention import states_of_published
from booru_pipeline.pipeline.settings import Folders
from booru_pipeline.pipeline.stages import IMPLICATIONS, Stage
from booru_pipeline.training_shards.relations import IMPLICATIONS_FILE

if TYPE_CHECKING:
    from booru_pipeline.evaluation.report.findings import Findings
    from booru_pipeline.model.provenance import EarlierCheckpoint

_DIFFERENCE = ("hidden", "metric", "less", "mean", "low", "high")  # low and high: the 95 % interval


@dg.asset(**asset_settings(Stage.EVALUATION_REPORT, "model", {"html", "parquet"}))
@retry_io
def evaluation_report(
    context: dg.AssetExecutionContext, folders: FoldersParam, evaluation_options: dg.ResourceParam[EvaluationOptions]
) -> dg.MaterializeResult:
    """Hidden labels of test posts, recovered by the answer, by T5 alone and by every baseline at several hidden shares:
    recall@k and mean reciprocal rank with intervals, derivable and other labels apart, and what the README claims, by
    name; and by the parent's checkpoint, on the same posts. `report.html` is self-contained, `metrics.json` for
    machines, `predictions.parquet` has a row a test post and share. A checkpoint that does not lose is promoted: `booru
    suggest` asks it.
    """
    from booru_pipeline.evaluation.evaluate import evaluate
    from booru_pipeline.evaluation.report.tracking import record_methods

    key = context.partition_key
    lake = folders.lake
    path = lake.evaluation_report(key)
    relations = folders.tag_relations
    if missing := relations.missing(IMPLICATIONS_FILE):
        context.log.warning(missing)
    for states in states_of_published(lake, key):
        shutil.rmtree(states, ignore_errors=True)
    parent = find_predecessor(lake, key)
    pointer = read_promoted(lake)
    is_earlier = pointer is not None and pointer.release in lake.releases_before(lake.checkpoint, key)
    promoted = find_earlier(lake, pointer.release) if pointer is not None and is_earlier else None
    record = record_for(
        Stage.EVALUATION_REPORT,
        folders,
        key,
        evaluation_options,
        also_read={f"checkpoint of {other.release}": other.key for other in (parent, promoted) if other},
        relations={IMPLICATIONS: relations.implications_fingerprint},
    )
    with staged(path, lake.staging) as draft:
        findings = evaluate(
            lake.checkpoint(key),
            lake.bring(lake.tokenized_dataset(key)),
            lake.bring(lake.vocabulary(key)),
            draft,
            evaluation_options,
            release=key,
            relations=relations,
            parent=parent,
            promoted=promoted,
        )
        record.write(draft)
        # Before the report has its name: killed in between, the next run makes the report and comes here again.
        judgement, loses = findings.judgement_in_words, bool(findings.losses)
        decision = settle(lake, key, record.inputs[Stage.EVALUATION_REPORT.upstream], judgement, loses=loses)
    context.log.info(f"the checkpoint of {key} is {'' if decision.is_promoted else 'not '}promoted: {decision.why}")
    record_methods(findings, lake.checkpoint(key), lake.wandb, context.log)
    return dg.MaterializeResult(
        data_version=dg.DataVersion(record.key),
        metadata={
            **location(folders, path),
            "implications from": missing or relations.source,
            **_metadata(folders, path, findings, decision, parent),
        },
    )


@dg.asset_check(**check_settings(Stage.EVALUATION_REPORT, blocking=False))
def beats_the_baselines(context: dg.AssetCheckExecutionContext, folders: FoldersParam) -> dg.AssetCheckResult:
    """At every hidden share the model recovers more labels that are not derivable than every baseline, in recall@10 and
    MRR and by more than the 95 % interval, and nothing lies on two sides of the split. Below that it has learned
    nothing that counting would not give. Where the answer contains what counting knows, how T5 alone stands is beside.
    """
    metrics = _metrics(context, folders)
    leaks = metrics["leaks"]
    rows, of_t5 = [], []
    for share in metrics["shares"]:
        result = share["not_derivable"]
        if result is not None:
            best = result["best_baseline"]
            rows += _differences(share["hidden_share"], best, result["differences"][best])
        alone = share.get("t5_alone")  # reports of before format 3 have none
        if alone is not None:
            best = alone["best_baseline"]
            of_t5 += _differences(share["hidden_share"], best, alone["differences"][best])
    return dg.AssetCheckResult(
        passed=metrics["beats_baselines"] and not any(leaks.values()),
        severity=dg.AssetCheckSeverity.WARN,
        metadata={
            "leaks": f"{leaks['groups']} pictures, {leaks['posts']} posts",
            "model less the best baseline": table_of(_DIFFERENCE, rows),
            "T5 alone less the best baseline": table_of(_DIFFERENCE, of_t5),
        },
    )


@dg.asset_check(**check_settings(Stage.EVALUATION_REPORT, blocking=False))
def does_not_lose(context: dg.AssetCheckExecutionContext, folders: FoldersParam) -> dg.AssetCheckResult:
    """The model loses neither to a baseline nor to its parent or the promoted checkpoint: at no hidden share does the
    whole 95 % interval of a difference lie below 0, in recall@10 or MRR of labels that are not derivable. It has left
    the plateau on which training starts, and nothing lies on two sides of the split. A checkpoint that loses is not
    promoted.
    """
    metrics = _metrics(context, folders)
    losses, comparison = metrics["losses"], metrics["comparison"]
    rows = []
    for standing in (comparison["parent"], comparison["promoted"]) if comparison else ():
        for result in standing["shares"] if standing else ():
            for name, difference in result["differences"].items():
                rows += _differences(result["hidden_share"], f"{name} ({standing['release']})", difference)
    return dg.AssetCheckResult(
        passed=not losses,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={
            "losses": "; ".join(losses) or "none",
            "model less earlier checkpoints": table_of(_DIFFERENCE, rows)
            if comparison
            else dg.MetadataValue.text("none: this is the first release"),
        },
    )


def _metadata(
    folders: Folders, path: Path, findings: "Findings", decision: Settlement, parent: "EarlierCheckpoint | None"
) -> dict[str, Any]:
    from booru_pipeline.evaluation.report.summary import methods_table, to_markdown
    from booru_pipeline.evaluation.results import MODEL, MRR, RECALL, T5_ALONE

    headline = findings.headline
    page = report_url(folders.reports_url, folders.lake, path / "report.html")
    shown = (MODEL, *([T5_ALONE] if T5_ALONE in headline.methods else []), headline.best_baseline)
    recall = {method: headline.figure(method, RECALL) for method in shown}
    best = {result.best_baseline for result in findings.results.values()}
    by_share = {
        method: [(100 * share, result.figure(method, RECALL)) for share, result in findings.results.items()]
        for method in headline.methods
        if method in (MODEL, T5_ALONE) or method in best
    }
    return {
        "report": dg.MetadataValue.path(str(path / "report.html")),
        "report in the browser": dg.MetadataValue.url(page),
        **open_with("python", "-m", "webbrowser", page),
        "summary": dg.MetadataValue.md(to_markdown(findings)),
        "verdict": findings.verdict,
        "recall": line_plot(by_share, "labels hidden, %", "recall@10 of labels that are not derivable"),
        "methods": table_of(*methods_table(findings)),
        "test posts": findings.sizes.test_posts,
        "beats every baseline": findings.beats_baselines,
        **({"T5 alone beats every baseline": findings.t5_beats_baselines} if findings.t5_alone else {}),
        "promoted": f"{'yes' if decision.is_promoted else 'no'}: {decision.why}",
        "compared with": f"the checkpoint of {parent.release}" if parent else "none: this is the first release",
        **{f"recall@10 {method}": round(value, 4) for method, value in recall.items()},
        **{f"MRR {method}": round(headline.figure(method, MRR), 4) for method in shown},
        # Whichever that is: its name changes from release to release, and the plot of the history goes by the name.
        "recall@10 less the best baseline": round(recall[MODEL] - recall[headline.best_baseline], 4),
    }


def _metrics(context: dg.AssetCheckExecutionContext, folders: Folders) -> dict[str, Any]:
    report = at_hand(context, folders, Stage.EVALUATION_REPORT)
    metrics: dict[str, Any] = json.loads((report / "metrics.json").read_text(encoding="utf-8"))
    return metrics


def _differences(share: float, other: str, difference: dict[str, dict[str, float]]) -> list[tuple[str, ...]]:
    """Rows of `_DIFFERENCE`: what the model is ahead of another at one hidden share."""
    return [
        (f"{100 * share:.3g} %", metric, other, *(f"{item[part]:+.3f}" for part in ("mean", "low", "high")))
        for metric, item in difference.items()
    ]
