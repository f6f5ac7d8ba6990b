import numpy as np
import pytest

from booru_pipeline.evaluation.figures.probing import wilson
from booru_pipeline.evaluation.options import ProbeOptions
from booru_pipeline.evaluation.probes.characters import probe_characters
from booru_pipeline_tests.evaluation.probes.known_scores import (
    Constant,
    Oracle,
    Reversed,
    exam_of,
    relations_of,
    split_of,
    vocabulary_of,
)

CHARACTERS = ["reimu", "marisa", "cirno", "letty"]
TRAITS = ["bow", "hat", "ice", "snow", "smile", "scarf", "wings", "red"]
KNOWN = vocabulary_of(*CHARACTERS, *TRAITS, characters=CHARACTERS)
TEST = split_of(
    KNOWN,
    *[(4, "reimu bow red"), (3, "reimu bow smile"), (1, "reimu hat")],
    *[(3, "marisa hat"), (2, "marisa hat smile wings"), (1, "marisa scarf")],
    *[(2, "cirno ice wings"), (1, "cirno ice bow smile")],
    (2, "letty snow"),
)
TRAIN = split_of(KNOWN, (7, "reimu bow red"), (3, "reimu bow"), (5, "marisa hat"), (9, "smile red"))
OPTIONS = ProbeOptions(probe_min_support=50, bootstrap_samples=100)


def ask(options=OPTIONS, relations=None, test=TEST, model=None, **methods):
    model = model or Oracle(test)
    methods = {"model": model, **methods}
    return probe_characters(exam_of(methods, KNOWN, TRAIN, test, relations=relations, options=options))


def test_a_model_that_knows_the_posts_is_perfect():
    found = ask(reversed=Reversed(TEST), constant=Constant(len(KNOWN)))
    assert [(one.character, one.test_posts, one.train_posts) for one in found.characters] == [
        ("reimu", 8, 10),
        ("marisa", 6, 5),
        ("cirno", 3, 0),
    ]
    for one in found.characters:
        assert one.ndcg["model"] == pytest.approx(1.0)
        assert one.spearman["model"] == pytest.approx(1.0)
        assert one.spearman["reversed"] == pytest.approx(-1.0)
        assert one.spearman["constant"] == 0.0
        assert one.ndcg["reversed"] < one.ndcg["constant"] < 1
        assert one.within == one.asked > 0
    assert found.within.mean == 1.0
    figures = found.methods["model"]
    assert (figures.ndcg.mean, figures.spearman.mean) == (pytest.approx(1.0), pytest.approx(1.0))
    assert figures.ndcg_behind.mean == figures.spearman_behind.mean == 0
    worst = found.methods["reversed"]
    assert worst.spearman.mean == pytest.approx(-1.0)
    assert worst.spearman_behind.low == pytest.approx(2.0)
    assert worst.ndcg_behind.low > 0
    assert found.methods["constant"].ndcg_behind.mean == pytest.approx(1 - found.methods["constant"].ndcg.mean)


def test_frequencies_have_their_intervals_and_the_model_its_guesses():
    reimu = ask().characters[0]
    assert [(one.label, one.posts, one.share) for one in reimu.observed] == [
        ("bow", 7, 7 / 8),
        ("red", 4, 0.5),
        ("smile", 3, 3 / 8),
        ("hat", 1, 1 / 8),
    ]
    for one in reimu.observed:
        assert (one.low, one.high) == wilson(one.posts, 8)
        assert one.probability == pytest.approx(one.share)
    assert reimu.predicted[:4] == ["bow", "red", "smile", "hat"]
    assert "reimu" not in reimu.predicted
    assert set(reimu.predicted) == set(KNOWN.labels) - {"reimu"}


def test_probabilities_outside_the_interval_are_counted():
    class Sure(Oracle):
        """Says 0.99 of the hat and nothing of the rest."""

        def probabilities(self, contexts):
            chances = np.zeros((len(contexts), len(KNOWN)))
            chances[:, KNOWN.index["hat"]] = 0.99
            return chances

    found = ask(model=Sure(TEST))
    reimu, marisa, cirno = found.characters
    # Asked of reimu: bow and red, which train posts have, and the hat, which the model expects. None is right.
    assert (reimu.asked, reimu.within) == (3, 0)
    assert wilson(5, 6)[1] > 0.96  # the hat on 5 of marisa's 6 posts allows for 0.96, and for 0.99
    assert (marisa.asked, marisa.within) == (1, int(wilson(5, 6)[1] >= 0.99))
    assert (cirno.asked, cirno.within) == (1, 0)
    assert found.within.mean == pytest.approx((reimu.within + marisa.within + cirno.within) / 5)


def test_what_a_character_implies_is_no_question():
    found = ask(relations=relations_of({"reimu": ["red"]}))
    reimu = found.characters[0]
    assert "red" not in [one.label for one in reimu.observed]
    assert "red" not in reimu.predicted
    assert reimu.ndcg["model"] == pytest.approx(1.0)


def test_too_little_support_is_said_and_enough_is_too():
    found = ask()
    assert (found.min_support, found.eligible, found.supported) == (50, 0, False)
    many = ask(test=split_of(KNOWN, *[(50, f"{character} bow") for character in (*CHARACTERS, "ice")]))
    assert (many.eligible, many.supported, len(many.characters)) == (4, True, 4)
    assert many.characters[0].spearman["model"] is None  # one label cannot be ordered
    assert many.methods["model"].spearman is None


def test_no_support_and_no_wish_give_nothing():
    for found in (
        ask(test=split_of(KNOWN, "reimu bow", "hat")),
        ask(OPTIONS.model_copy(update={"probe_characters": 0})),
    ):
        assert found.characters == []
        assert found.within is None
        assert found.methods["model"].ndcg is None
    assert len(ask(OPTIONS.model_copy(update={"probe_characters": 1})).characters) == 1


def test_a_character_without_other_labels_scores_nothing():
    found = ask(test=split_of(KNOWN, (3, "letty"), (4, "reimu bow red")))
    letty = found.characters[1]
    assert (letty.character, letty.observed, letty.ndcg["model"], letty.spearman["model"]) == ("letty", [], 0.0, None)
