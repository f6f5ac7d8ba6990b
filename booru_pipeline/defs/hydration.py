"""The job `hydration_experiment`: one step an arm, so that the UI shows each with its log, and then the report.

A job of its own and no asset of the chain: a release is complete without it, and nothing is made from it. Its result is
in the catalog as `hydration_report`, a materialization for each run.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import dagster as dg
from pydantic import Field

from booru_pipeline.defs.assets.metadata import line_plot, open_with, table_of
from booru_pipeline.defs.payload import TRAINING_POOL, refuse_failed_gate, run_payload
from booru_pipeline.defs.resources import FoldersParam
from booru_pipeline.hydration.options import HydrationOptions
from booru_pipeline.pipeline.settings import Folders
from booru_pipeline.training_shards.relations import IMPLICATIONS_FILE

if TYPE_CHECKING:
    from booru_pipeline.hydration.experiment import Experiment
    from booru_pipeline.hydration.findings import Cell, Findings

REPORT: Final = "hydration_report"  # its name in the catalog
CONCLUDE: Final = "compare_arms"  # the step whose output is the report's path


class HydrationConfig(HydrationOptions, dg.Config):
    """The experiment's options, and which release it is made on."""

    release: str = Field("", description="Release whose tokenized dataset is taken; empty = the newest that has one.")


@dg.op(out=dg.DynamicOut(dict[str, Any]))
def plan_arms(
    context: dg.OpExecutionContext, config: HydrationConfig, folders: FoldersParam
) -> Iterator[dg.DynamicOutput[dict[str, Any]]]:
    """Chooses the labels that are held out, cuts the labels' texts with the base model's tokenizer, takes the shares of
    the train posts, and gives one training for each arm, share and seed.
    """
    lake = folders.lake
    release = lake.newest(lake.tokenized_dataset, config.release or None)
    refuse_failed_gate(lake.tokenized_dataset(release))
    options = config.model_dump(mode="json", exclude={"release"})
    experiment = _experiment(folders, {"release": release, "options": options})
    cells = experiment.prepare()
    finished = sum(map(experiment.is_finished, cells))
    context.log.info(f"{len(cells)} trainings on {release}, {finished} of them finished already")
    for cell in cells:
        order = {"release": release, "options": options, "arm": cell.arm, "share": cell.share, "seed": cell.seed}
        yield dg.DynamicOutput(order, mapping_key=cell.name)


@dg.op(pool=TRAINING_POOL)
def train_arm(
    context: dg.OpExecutionContext, order: dict[str, Any], folders: FoldersParam, pipes: dg.PipesSubprocessClient
) -> dg.Output[dict[str, Any]]:
    """Trains an arm with the same program as the asset checkpoint, in a process of its own, and measures it. An arm
    that is finished is taken as it is.
    """
    experiment, cell = _experiment(folders, order), _cell(order)
    again = experiment.is_finished(cell)

    def train(job: Path) -> None:
        after = "The next run starts this arm again and keeps the others."
        run_payload(context, pipes, folders.lake, job, what=cell.name, after=after)

    measures = experiment.run(cell, train)
    recall = sum(measures.recall_at_10) / len(measures.recall_at_10)
    held_out = sum(measures.held_out_auc.values()) / len(measures.held_out_auc)
    context.log.info(
        f"{cell.name}: recall@10 {recall:.3f}, held-out AUC {held_out:.3f}{' (as it was)' if again else ''}"
    )
    return dg.Output(
        order,
        metadata={
            "path": dg.MetadataValue.path(str(experiment.arm(cell))),
            "recall@10": round(recall, 4),
            "held-out AUC": round(held_out, 4),
            "train posts": measures.posts,
            "steps": measures.steps,
            "seconds of training": round(measures.seconds, 1),
            "taken as it was": again,
        },
    )


@dg.op(name=CONCLUDE)
def compare_arms(context: dg.OpExecutionContext, orders: list[dict[str, Any]], folders: FoldersParam) -> str:
    """Compares the pre-trained arm with the controls by the rule, and writes hydration.json and hydration.html."""
    if missing := folders.tag_relations.missing(IMPLICATIONS_FILE):
        context.log.warning(missing)
    experiment = _experiment(folders, orders[0])
    findings = experiment.conclude()
    context.log.info(findings.verdict.text)
    context.log_event(
        dg.AssetMaterialization(
            asset_key=REPORT,
            description=findings.verdict.text,
            metadata=_metadata(experiment.report, findings),
            tags={"booru/release": experiment.release},
        )
    )
    return str(experiment.report)


@dg.job
def hydration_experiment() -> None:
    """An experiment: does the English that the model has read before help it with tags? Trains the pre-trained T5 and
    three controls (random weights, permuted embedding rows, opaque labels) alike on shares of a release's posts, and
    compares them by a rule that was written down before. `booru experiment hydration` starts it from the shell.
    Finished arms are kept. Its page is among the reports that the asset evaluation_report links to.
    """
    compare_arms(plan_arms().map(train_arm).collect())


def _experiment(folders: Folders, order: dict[str, Any]) -> "Experiment":
    from booru_pipeline.hydration.experiment import Experiment  # imports torch

    return Experiment.of(folders.lake, order["release"], HydrationOptions(**order["options"]), folders.tag_relations)


def _cell(order: dict[str, Any]) -> "Cell":
    from booru_pipeline.hydration.arms import Arm
    from booru_pipeline.hydration.findings import Cell

    return Cell(Arm(order["arm"]), order["share"], order["seed"])


def _metadata(report: Path, findings: "Findings") -> dict[str, Any]:
    arms = sorted({row.arm for row in findings.rows})

    def curves(figure: str) -> dict[str, list[tuple[float, float]]]:
        return {
            arm: [(100 * row.share, getattr(row, figure).mean) for row in findings.rows if row.arm == arm]
            for arm in arms
        }

    return {
        "report": dg.MetadataValue.path(str(report)),
        **open_with("python", "-m", "webbrowser", report.as_uri()),
        "release": findings.release,
        "outcome": findings.verdict.outcome.value,
        "verdict": dg.MetadataValue.md(findings.verdict.text),
        "base model": findings.base_model,
        "recall by share": line_plot(curves("recall"), "share of the train posts, %", "recall@10"),
        "held-out AUC by share": line_plot(curves("held_out"), "share of the train posts, %", "AUC of held-out labels"),
        "arms": table_of(
            ["arm", "share of the train posts", "recall@10", "held-out AUC"],
            [
                (row.arm.value, f"{row.share:.4g}", round(row.recall.mean, 4), round(row.held_out.mean, 4))
                for row in findings.rows
            ],
        ),
        "pretrained less the controls": table_of(
            ["share", "control", "figure", "difference", "low", "high"],
            [
                (
                    f"{item.share:.4g}",
                    item.control.value,
                    item.figure,
                    *(round(value, 4) for value in vars(item.interval).values()),
                )
                for item in findings.comparisons
            ],
        ),
    }
