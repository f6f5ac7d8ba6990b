"""Findings made by hand: the model beside two baselines, with differences that are known."""

from booru_pipeline.evaluation.comparison.leakage import Leaks
from booru_pipeline.evaluation.figures.bootstrap import Interval
from booru_pipeline.evaluation.options import EvaluationOptions
from booru_pipeline.evaluation.probes.characters import CharacterFindings
from booru_pipeline.evaluation.probes.pairs import PairFindings
from booru_pipeline.evaluation.probes.probe import ProbeFindings
from booru_pipeline.evaluation.report.findings import Findings, Method, Sizes
from booru_pipeline.evaluation.results import MRR, RECALL, T5_ALONE, BaselineComparison, QuestionResult, ShareResult

AHEAD, LEVEL, BEHIND = Interval(0.05, 0.03, 0.07), Interval(0.0, -0.01, 0.01), Interval(-0.05, -0.07, -0.03)
NO_LEAKS = Leaks(groups=0, posts=0)


def difference(recall, mrr):
    return {RECALL: recall, MRR: mrr}


def figures(recall, mrr):
    others = dict.fromkeys(("ndcg@10", "ndcg@20", "r_precision", "map"), 0.1)
    return {RECALL: recall, MRR: mrr, **others, "micro_ap": None, "macro_ap": None}


def result(ease=(AHEAD, AHEAD), popularity=(AHEAD, AHEAD), ease_recall=0.4):
    """EASE is the best baseline, unless its recall is below popularity's 0.25."""
    return QuestionResult(
        posts=90,
        pictures=80,
        labels=500,
        methods={
            "model": figures(0.45, 0.7),
            "popularity": figures(0.25, 0.4),
            "EASE": figures(ease_recall, 0.6),
        },
        differences={"popularity": difference(*popularity), "EASE": difference(*ease)},
        by_category={},
        by_frequency={},
        curve={},
        labels_counted=0,
        calibration=None,
    )


def t5_alone(ease=(AHEAD, AHEAD), popularity=(AHEAD, AHEAD)):
    """T5 alone beside the same baselines."""
    return BaselineComparison(
        posts=90,
        pictures=80,
        labels=500,
        methods={T5_ALONE: figures(0.42, 0.65), "popularity": figures(0.25, 0.4), "EASE": figures(0.4, 0.6)},
        differences={"popularity": difference(*popularity), "EASE": difference(*ease)},
    )


def share_of(name):
    """0.1 for `at_10`."""
    return int(name.removeprefix("at_")) / 100


def findings(t5=None, **shares):
    """A result by hidden share, named `at_10` and so on; with T5 alone likewise, if its are given."""
    nothing = {"min_support": 50, "eligible": 0, "supported": True, "methods": {}}
    return Findings(
        release="2021d",
        leaks=NO_LEAKS,
        headline_share=0.5,
        options=EvaluationOptions(),
        sizes=Sizes(
            labels=50,
            train_posts=1000,
            validation_posts=100,
            test_posts=100,
            test_posts_available=100,
            test_posts_too_short=0,
            pictures=90,
            is_slow=False,
        ),
        methods=[Method(name=name, description="") for name in ("model", "popularity", "EASE")],
        shares=[
            ShareResult(
                hidden_share=share_of(name),
                visible_labels=500,
                hidden_labels=500,
                derivable_labels=0,
                not_derivable=own,
                derivable=None,
                all=None,
                t5_alone=(t5 or {}).get(name),
            )
            for name, own in shares.items()
        ],
        probes=ProbeFindings(
            calibration=[],
            one_tag=None,
            claims=[],
            characters=CharacterFindings(characters=[], within=None, **nothing),
            pairs=PairFindings(pairs=[], log_odds_shift=None, train_shift=None, **nothing),
            implications=None,
        ),
        examples=[],
    )
