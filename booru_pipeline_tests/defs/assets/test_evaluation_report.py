"""What the UI shows of an evaluation."""

import pytest

from booru_pipeline.defs.assets.evaluation_report import _metadata
from booru_pipeline.pipeline.promoted import Settlement
from booru_pipeline.pipeline.settings import load_settings
from booru_pipeline_tests.evaluation.made_findings import findings, result, t5_alone

SHARES = ("at_10", "at_30", "at_50", "at_90")


@pytest.fixture
def shown(tmp_path):
    """The metadata of made findings."""
    settings = load_settings(home=tmp_path)

    def of(found):
        path = settings.lake.evaluation_report("2021a")
        return _metadata(settings, path, found, Settlement(is_promoted=True, why="it is the first"), None)

    return of


def test_no_address_is_written_down_that_would_be_another_one_later(shown):
    assert "http" not in repr(shown(findings(at_50=result())))


def numbers(metadata):
    """What the UI plots by name."""
    return {
        name: value
        for name, value in metadata.items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    }


def test_plots_have_the_same_names_whichever_baseline_is_best_and_with_or_without_a_mixture(shown):
    ease = numbers(shown(findings(**{share: result() for share in SHARES})))
    popularity = numbers(shown(findings(**{share: result(ease_recall=0.2) for share in SHARES})))
    mixed = numbers(
        shown(findings(**{share: result() for share in SHARES}, t5={share: t5_alone() for share in SHARES}))
    )
    assert list(ease) == list(popularity) == list(mixed)
    assert not [name for name in ease if "EASE" in name or "popularity" in name]
    for share in (10, 30, 50, 90):
        hidden = f"{share} % hidden"
        assert ease[f"recall@10, {hidden}"] == 0.45
        assert ease[f"MRR, {hidden}"] == 0.7
        assert ease[f"recall@10 less the best baseline, {hidden}"] == 0.05
        assert popularity[f"recall@10 less the best baseline, {hidden}"] == 0.2
        assert ease[f"T5 alone: recall@10, {hidden}"] == 0.45
        assert mixed[f"T5 alone: recall@10, {hidden}"] == 0.42
        assert mixed[f"T5 alone: MRR, {hidden}"] == 0.65
        assert mixed[f"T5 alone: recall@10 less the best baseline, {hidden}"] == 0.02
