"""The asset `evaluation_report` and its checks."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg

from booru_pipeline.defs.assets.common import asset_settings, at_hand, check_settings, record_for
from booru_pipeline.defs.assets.metadata import line_plot, location, open_with, table_of
from booru_pipeline.defs.resources import FoldersParam
from booru_pipeline.defs.retry import retry_io
from booru_pipeline.defs.telling import telling
from booru_pipeline.evaluation.options import EvaluationOptions
from booru_pipeline.lake.publish import staged
from booru_pipeline.pipeline.checkpoints import find_predecessor, source_of
from booru_pipeline.pipeline.promoted import Settlement, find_promoted_before, settle
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
@telling
def evaluation_report(
    context: dg.AssetExecutionContext, folders: FoldersParam, evaluation_options: dg.ResourceParam[EvaluationOptions]
) -> dg.MaterializeResult:
    """How well the model finds tags that were hidden from it, beside what plain counting finds: a page to read. Hidden
    labels of test posts are recovered by the answer, by T5 alone and by every baseline at several hidden shares:
    recall@k and mean reciprocal rank with intervals, derivable and other labels apart, and what the README claims, by
    name; and by the parent's checkpoint, on the same posts. `report.html` is self-contained, `metrics.json` for
    machines, `predictions.parquet` has a row a test post and share. A checkpoint that does not lose is promoted: `booru
    suggest` asks it.
    """
    key, lake = context.partition_key, folders.lake
    for states in states_of_published(lake, key):
        shutil.rmtree(states, ignore_errors=True)
    promoted = find_promoted_before(lake, key)
    parent = find_predecessor(lake, key) or promoted  # of a first release: what was promoted before it was made again

    def decide(findings: "Findings", checkpoint_key: str) -> Settlement:
        return settle(lake, key, checkpoint_key, findings.judgement_in_words, loses=bool(findings.losses))

    return report_on(context, folders, evaluation_options, key, parent, promoted, decide)


def report_on(
    context: dg.AssetExecutionContext,
    folders: Folders,
    options: EvaluationOptions,
    name: str,
    parent: "EarlierCheckpoint | None",
    promoted: "EarlierCheckpoint | None",
    decide: "Callable[[Findings, str], Settlement]",
) -> dg.MaterializeResult:
    """Evaluate the checkpoint of a release or trial, decide on its promotion, and publish the report.

    Args:
        context: The step's.
        folders: Where things are.
        options: Of the evaluation.
        name: The release's key, or the trial's.
        parent: The checkpoint that the report says what has changed since; None if there is none.
        promoted: The promoted one, if it is another; it may be the parent.
        decide: Is given what was found and the key of the checkpoint's record.
    """
    from booru_pipeline.evaluation.evaluate import evaluate
    from booru_pipeline.evaluation.report.tracking import record_methods

    lake, relations = folders.lake, folders.tag_relations
    path = lake.evaluation_report(name)
    if missing := relations.missing(IMPLICATIONS_FILE):
        context.log.warning(missing)
    record = record_for(
        Stage.EVALUATION_REPORT,
        folders,
        name,
        options,
        also_read={f"checkpoint of {other.release}": other.key for other in (parent, promoted) if other},
        relations={IMPLICATIONS: relations.implications_fingerprint},
    )
    with staged(path, lake.staging) as draft:
        findings = evaluate(
            lake.checkpoint(name),
            lake.bring(source_of(lake, Stage.TOKENIZED_DATASET, name)),
            lake.bring(source_of(lake, Stage.VOCABULARY, name)),
            draft,
            options,
            release=name,
            relations=relations,
            parent=parent,
            promoted=promoted,
        )
        record.write(draft)
        # Before the report has its name: killed in between, the next run makes the report and comes here again.
        decision = decide(findings, record.inputs[Stage.EVALUATION_REPORT.upstream])
    context.log.info(f"the checkpoint of {name} is {'' if decision.is_promoted else 'not '}promoted: {decision.why}")
    record_methods(findings, lake.checkpoint(name), lake.wandb, context.log)
    return dg.MaterializeResult(
        data_version=dg.DataVersion(record.key),
        metadata={
            **location(folders, path),
            "implications from": missing or relations.source,
            **_metadata(folders, path, findings, decision, parent),
        },
    )


@dg.asset_check(**check_settings(Stage.EVALUATION_REPORT, blocking=False))
@telling
def beats_the_baselines(context: dg.AssetCheckExecutionContext, folders: FoldersParam) -> dg.AssetCheckResult:
    """The model finds more hidden tags than any way of counting does. At every hidden share the model recovers more
    labels that are not derivable than every baseline, in recall@10 and MRR and by more than the 95 % interval, and
    nothing lies on two sides of the split. Below that it has learned nothing that counting would not give. Where the
    answer contains what counting knows, how T5 alone stands is beside.
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
@telling
def does_not_lose(context: dg.AssetCheckExecutionContext, folders: FoldersParam) -> dg.AssetCheckResult:
    """The model is not clearly worse than counting, nor than the model before it. It loses neither to a baseline nor to
    its parent or the promoted checkpoint: at no hidden share does the whole 95 % interval of a difference lie below 0,
    in recall@10 or MRR of labels that are not derivable. It has left the plateau on which training starts, and nothing
    lies on two sides of the split. A checkpoint that loses is not promoted.
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
    return {
        **_found(path, findings),
        "promoted": f"{'yes' if decision.is_promoted else 'no'}: {decision.why}",
        "compared with": f"the checkpoint of {parent.release}" if parent else "none: this is the first release",
        **_plotted(findings),
    }


def metadata_of_report(path: Path) -> dict[str, Any]:
    """What a report that is there shows in the UI, if nobody knows any more how it was made; empty if it is broken."""
    from booru_pipeline.evaluation.report.findings import read_findings

    findings = read_findings(path)
    return {**_found(path, findings), **_plotted(findings)} if findings is not None else {}


def _found(path: Path, findings: "Findings") -> dict[str, Any]:
    from booru_pipeline.evaluation.report.summary import methods_table, to_markdown
    from booru_pipeline.evaluation.results import MODEL, RECALL, T5_ALONE

    headline = findings.headline
    page = path / "report.html"
    best = {result.best_baseline for result in findings.results.values()}
    by_share = {
        method: [(100 * share, result.figure(method, RECALL)) for share, result in findings.results.items()]
        for method in headline.methods
        if method in (MODEL, T5_ALONE) or method in best
    }
    return {
        "report": dg.MetadataValue.path(str(page)),
        **open_with("python", "-m", "webbrowser", page.as_uri()),
        "summary": dg.MetadataValue.md(to_markdown(findings)),
        "verdict": findings.verdict,
        "recall": line_plot(by_share, "labels hidden, %", "recall@10 of labels that are not derivable"),
        "methods": table_of(*methods_table(findings)),
        "test posts": findings.sizes.test_posts,
        "beats every baseline": findings.beats_baselines,
        **({"T5 alone beats every baseline": findings.t5_beats_baselines} if findings.t5_alone else {}),
    }


def _plotted(findings: "Findings") -> dict[str, float]:
    """Figures by hidden share whose history the UI plots by name: each evaluation with these shares has the same names,
    whichever baseline is the best and whether or not the answer is the T5's own.
    """
    from booru_pipeline.evaluation.results import MODEL, MRR, RECALL, T5_ALONE

    plotted = {}
    for share, answer in findings.results.items():
        alone = findings.t5_alone.get(share)
        for who, method, result in (("", MODEL, answer), ("T5 alone: ", T5_ALONE if alone else MODEL, alone or answer)):
            recall, hidden = result.figure(method, RECALL), f"{100 * share:.3g} % hidden"
            plotted[f"{who}{RECALL}, {hidden}"] = recall
            plotted[f"{who}MRR, {hidden}"] = result.figure(method, MRR)
            plotted[f"{who}{RECALL} less the best baseline, {hidden}"] = recall - result.figure(
                result.best_baseline, RECALL
            )
    return {name: round(value, 4) for name, value in plotted.items()}


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
