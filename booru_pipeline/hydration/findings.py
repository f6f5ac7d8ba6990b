"""What the experiment found: figures by arm and share, differences, and the verdict."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from booru_pipeline.evaluation.figures.bootstrap import Interval, paired_bootstrap
from booru_pipeline.hydration.arms import CONTROLS, MEANINGS, Arm
from booru_pipeline.hydration.measure import Measures
from booru_pipeline.hydration.options import HydrationOptions
from booru_pipeline.hydration.rule import HELD_OUT, RECALL, RULE, Comparison, Verdict, decide

SCHEMA_VERSION: Final = 1


@dataclass(frozen=True)
class Cell:
    """One training: an arm, a share of the train posts, a seed."""

    arm: Arm
    share: float
    seed: int

    @property
    def name(self) -> str:
        """Of its folder and of its step in the UI: `pretrained_10pc_seed0`."""
        return f"{self.arm}_{100 * self.share:g}pc_seed{self.seed}".replace(".", "p").replace("-", "m")


@dataclass(frozen=True)
class Row:
    """An arm with one share of the train posts, mean over seeds.

    Attributes:
        arm: Which.
        share: Of the train posts.
        posts: That it was trained on.
        steps: Optimizer steps.
        recall: recall@10 with its 95 % interval, by picture group.
        held_out: Mean AUC of held-out labels with its 95 % interval, by label.
        recall_spread: Standard deviation of recall@10 between seeds; None with one seed.
        held_out_spread: The same of the AUC.
        concepts_before: AUC by concept before training, None where it could not be measured.
        concepts_after: The same after it.
        seconds: Of training, all seeds.
    """

    arm: Arm
    share: float
    posts: int
    steps: int
    recall: Interval
    held_out: Interval
    recall_spread: float | None
    held_out_spread: float | None
    concepts_before: dict[str, float | None]
    concepts_after: dict[str, float | None]
    seconds: float


@dataclass(frozen=True)
class Sizes:
    """What the figures are made of.

    Attributes:
        learned: Labels that arms are trained on.
        held_out: Labels that no arm sees.
        test_posts: Posts whose labels are recovered.
        groups: Pictures among them.
        held_out_posts: Test posts that held-out labels are ranked on.
        concept_labels: Listed labels that are in the vocabulary.
        concept_list: Labels in the list.
        concepts: By concept: labels of which it holds, and controls.
    """

    learned: int
    held_out: int
    test_posts: int
    groups: int
    held_out_posts: int
    concept_labels: int
    concept_list: int
    concepts: dict[str, tuple[int, int]]


@dataclass(frozen=True)
class Findings:
    """Everything that the report shows.

    Attributes:
        release: The release's key.
        base: The base model as it was named.
        options: What was asked for.
        sizes: What the figures are made of.
        rows: By arm and share.
        comparisons: The pre-trained arm less each control.
        verdict: What the rule makes of them.
        held_out_labels: For each held-out label its AUC by arm with the smallest share.
    """

    release: str
    base: str
    options: HydrationOptions
    sizes: Sizes
    rows: list[Row]
    comparisons: list[Comparison]
    verdict: Verdict
    held_out_labels: dict[str, dict[str, float]]

    def to_json(self) -> dict[str, Any]:
        """For hydration.json."""
        return {
            "schema_version": SCHEMA_VERSION,
            "release": self.release,
            "base_model": self.base,
            "verdict": {"outcome": self.verdict.outcome, "text": self.verdict.text, "shares": self.verdict.shares},
            "rule": " ".join(RULE.split()),
            "options": self.options.model_dump(mode="json"),
            "sizes": asdict(self.sizes),
            "arms": {arm: MEANINGS[arm] for arm in Arm},
            "rows": [asdict(row) for row in self.rows],
            "comparisons": [{**asdict(item), "sign": item.sign} for item in self.comparisons],
            "held_out_labels": self.held_out_labels,
        }


def conclude(
    release: str,
    base: str,
    options: HydrationOptions,
    sizes: Sizes,
    groups: Sequence[str],
    measured: Mapping[Cell, Measures],
) -> Findings:
    """Put the arms' measures together and apply the rule.

    Args:
        release: The release's key.
        base: The base model as it was named.
        options: What was asked for.
        sizes: What the figures are made of.
        groups: The picture group of each post of the recovery task.
        measured: Every arm.
    """
    shares = sorted({cell.share for cell in measured})
    by_arm = {
        (arm, share): [own for cell, own in measured.items() if (cell.arm, cell.share) == (arm, share)]
        for share in shares
        for arm in Arm
    }
    comparisons = []
    for share in shares:
        for control in CONTROLS:
            pair = by_arm[Arm.PRETRAINED, share], by_arm[control, share]
            for figure, read in ((RECALL, _recall), (HELD_OUT, _held_out)):
                ours, theirs = (np.stack([read(own) for own in side]) for side in pair)
                units = groups if figure == RECALL else list(pair[0][0].held_out_auc)
                less = ours - theirs
                interval = _interval(less.mean(0), units, options)
                comparisons.append(Comparison(share, control, figure, interval, tuple(map(float, less.mean(1)))))
    rows = [_row(arm, share, own, groups, options) for (arm, share), own in by_arm.items()]
    return Findings(
        release=release,
        base=base,
        options=options,
        sizes=sizes,
        rows=rows,
        comparisons=comparisons,
        verdict=decide(comparisons),
        held_out_labels={
            label: {arm: float(np.mean([own.held_out_auc[label] for own in by_arm[arm, shares[0]]])) for arm in Arm}
            for label in by_arm[Arm.PRETRAINED, shares[0]][0].held_out_auc
        },
    )


def _row(arm: Arm, share: float, own: list[Measures], groups: Sequence[str], options: HydrationOptions) -> Row:
    recall = np.stack([_recall(item) for item in own])
    held_out = np.stack([_held_out(item) for item in own])
    return Row(
        arm=arm,
        share=share,
        posts=own[0].posts,
        steps=round(float(np.mean([item.steps for item in own]))),
        recall=_interval(recall.mean(0), groups, options),
        held_out=_interval(held_out.mean(0), list(own[0].held_out_auc), options),
        recall_spread=_spread(recall),
        held_out_spread=_spread(held_out),
        concepts_before=_concepts([{n: r.auc for n, r in item.concepts_before.items()} for item in own]),
        concepts_after=_concepts([{n: r.auc for n, r in item.concepts_after.items()} for item in own]),
        seconds=sum(item.seconds for item in own),
    )


def _recall(measures: Measures) -> NDArray[np.float64]:
    return np.array(measures.recall_at_10)


def _held_out(measures: Measures) -> NDArray[np.float64]:
    return np.array(list(measures.held_out_auc.values()))


def _interval(values: NDArray[np.float64], units: Sequence[str], options: HydrationOptions) -> Interval:
    [interval] = paired_bootstrap(values[:, None], units, samples=options.bootstrap_samples, seed=options.seed)
    return interval


def _spread(values: NDArray[np.float64]) -> float | None:
    return float(values.mean(1).std(ddof=1)) if len(values) > 1 else None


def _concepts(by_seed: list[dict[str, float | None]]) -> dict[str, float | None]:
    found: dict[str, float | None] = {}
    for name in by_seed[0]:
        values = [own[name] for own in by_seed]
        known = [value for value in values if value is not None]
        found[name] = float(np.mean(known)) if known else None
    return found
