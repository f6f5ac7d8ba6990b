"""The experiment's findings: figures by arm and share, differences, and the verdict."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel

from booru_pipeline.evaluation.figures.bootstrap import Interval, paired_bootstrap
from booru_pipeline.hydration.arms import CONTROLS, MEANINGS, Arm
from booru_pipeline.hydration.concepts import ConceptResult
from booru_pipeline.hydration.measure import Measures
from booru_pipeline.hydration.options import HydrationOptions
from booru_pipeline.hydration.rule import FIGURES, HELD_OUT, RECALL, RULE, Comparison, Verdict, decide

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
    """The numbers of labels and posts behind the figures.

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


class Findings(BaseModel, frozen=True):
    """Everything that the report shows; its dump is hydration.json.

    Attributes:
        base_model: As it was named.
        rows: By arm and share.
        comparisons: The pre-trained arm less each control.
        held_out_labels: For each held-out label its AUC by arm with the smallest share.
    """

    schema_version: int = SCHEMA_VERSION
    release: str
    base_model: str
    verdict: Verdict
    rule: str = " ".join(RULE.split())
    options: HydrationOptions
    sizes: Sizes
    arms: dict[Arm, str] = MEANINGS
    rows: list[Row]
    comparisons: list[Comparison]
    held_out_labels: dict[str, dict[Arm, float]]


Values = Mapping[str, NDArray[np.float64]]  # by figure: [seeds, posts] or [seeds, held-out labels]


def conclude(
    release: str,
    base_model: str,
    options: HydrationOptions,
    sizes: Sizes,
    groups: Sequence[str],
    measured: Mapping[Cell, Measures],
) -> Findings:
    """Put the measures of every arm together and apply the rule; `groups` are the recovery task's posts' pictures."""
    shares = sorted({cell.share for cell in measured})
    seeds = {
        (arm, share): [one for cell, one in measured.items() if (cell.arm, cell.share) == (arm, share)]
        for share in shares
        for arm in Arm
    }
    values: dict[tuple[Arm, float], Values] = {
        key: {
            RECALL: np.array([one.recall_at_10 for one in all_seeds]),
            HELD_OUT: np.array([list(one.held_out_auc.values()) for one in all_seeds]),
        }
        for key, all_seeds in seeds.items()
    }
    labels = list(seeds[Arm.PRETRAINED, shares[0]][0].held_out_auc)

    def interval(figure: str, of_seeds: NDArray[np.float64]) -> Interval:
        units = {RECALL: groups, HELD_OUT: labels}[figure]
        samples, seed = options.bootstrap_samples, options.seed
        return paired_bootstrap(of_seeds.mean(0)[:, None], units, samples=samples, seed=seed)[0]

    comparisons = [
        Comparison(share, control, figure, interval(figure, less), tuple(less.mean(1).tolist()))
        for share in shares
        for control in CONTROLS
        for figure in FIGURES
        for less in [values[Arm.PRETRAINED, share][figure] - values[control, share][figure]]
    ]
    by_arm = {arm: values[arm, shares[0]][HELD_OUT].mean(0).tolist() for arm in Arm}
    return Findings(
        release=release,
        base_model=base_model,
        options=options,
        sizes=sizes,
        rows=[_row(*key, seeds[key], values[key], interval) for key in seeds],
        comparisons=comparisons,
        verdict=decide(comparisons),
        held_out_labels={label: {arm: by_arm[arm][row] for arm in Arm} for row, label in enumerate(labels)},
    )


def _row(
    arm: Arm,
    share: float,
    seeds: Sequence[Measures],
    values: Values,
    interval: Callable[[str, NDArray[np.float64]], Interval],
) -> Row:
    spreads = {name: float(of.mean(1).std(ddof=1)) if len(seeds) > 1 else None for name, of in values.items()}
    return Row(
        arm=arm,
        share=share,
        posts=seeds[0].posts,
        steps=round(float(np.mean([one.steps for one in seeds]))),
        recall=interval(RECALL, values[RECALL]),
        held_out=interval(HELD_OUT, values[HELD_OUT]),
        recall_spread=spreads[RECALL],
        held_out_spread=spreads[HELD_OUT],
        concepts_before=_mean_auc([one.concepts_before for one in seeds]),
        concepts_after=_mean_auc([one.concepts_after for one in seeds]),
        seconds=sum(one.seconds for one in seeds),
    )


def _mean_auc(by_seed: Sequence[Mapping[str, ConceptResult]]) -> dict[str, float | None]:
    known = {name: [auc for one in by_seed if (auc := one[name].auc) is not None] for name in by_seed[0]}
    return {name: float(np.mean(values)) if values else None for name, values in known.items()}
