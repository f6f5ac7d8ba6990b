"""The asset `evaluation_report` and its checks."""

import json

import dagster as dg

from booru_pipeline.artifact import staged
from booru_pipeline.defs.pictures import line_plot
from booru_pipeline.defs.releases import release_of
from booru_pipeline.defs.resources import EvaluationResource, Folders
from booru_pipeline.defs.stage import asset_settings, check_settings, record_for
from booru_pipeline.stages import Stage


@dg.asset(
    **asset_settings(Stage.EVALUATION_REPORT, "model", {"html", "parquet"}),
    description=(
        "Hidden labels of test posts, recovered by the model, by co-occurrence and by popularity: recall@k and mean "
        "reciprocal rank with intervals, and what the README claims, by name. `report.html` is self-contained, "
        "`metrics.json` for machines, `predictions.parquet` has a row a test post."
    ),
)
def evaluation_report(
    context: dg.AssetExecutionContext, folders: Folders, evaluation_options: EvaluationResource
) -> dg.MaterializeResult:
    """Evaluate the release's checkpoint."""
    from booru_pipeline.evaluation.evaluate import evaluate
    from booru_pipeline.evaluation.summary import METHODS

    key = context.partition_key
    lake = folders.lake
    path = lake.evaluation_report(key)
    record = record_for(Stage.EVALUATION_REPORT, folders, key, evaluation_options)
    with staged(path, lake.staging) as draft:
        summary = evaluate(
            lake.checkpoint(key),
            lake.tokenized_dataset(key),
            lake.vocabulary(key),
            draft,
            evaluation_options,
            release=key,
        )
        record.write(draft)
    curves = {method: [(k, value) for k, value in sorted(summary.recall[method].items())] for method in METHODS}
    return dg.MaterializeResult(
        data_version=dg.DataVersion(record.key),
        metadata={
            "report": dg.MetadataValue.path(str(path / "report.html")),
            "path": dg.MetadataValue.path(str(path)),
            "summary": dg.MetadataValue.md(summary.to_markdown()),
            "recall": line_plot(curves, "k (guesses)", "recall@k: found / min(k, hidden)"),
            "test posts": summary.test_posts,
            **{f"recall@10 {method}": round(summary.recall[method][10], 4) for method in METHODS},
            **{f"MRR {method}": round(summary.mrr[method], 4) for method in METHODS},
        },
    )


@dg.asset_check(
    **check_settings(Stage.EVALUATION_REPORT, blocking=False),
    description="The model finds more hidden labels among its first ten guesses than popularity and co-occurrence do, "
    "by more than the 95 % interval. Below that it has learned nothing that a count would not give.",
)
def beats_the_baselines(context: dg.AssetCheckExecutionContext, folders: Folders) -> dg.AssetCheckResult:
    """Read the differences from metrics.json."""
    report = folders.lake.evaluation_report(release_of(context))
    metrics = json.loads((report / "metrics.json").read_text(encoding="utf-8"))
    differences = {baseline: less["recall@10"] for baseline, less in metrics["model_less"].items()}
    return dg.AssetCheckResult(
        passed=all(item["low"] > 0 for item in differences.values()),
        severity=dg.AssetCheckSeverity.WARN,
        metadata={
            f"recall@10 less {baseline}": f"{item['mean']:+.3f} ({item['low']:+.3f} to {item['high']:+.3f})"
            for baseline, item in differences.items()
        },
    )
