import numpy as np
import pytest

from booru_pipeline.evaluation.options import ProbeOptions
from booru_pipeline.evaluation.probes.pairs import probe_pairs
from booru_pipeline_tests.evaluation.probes.known_scores import (
    Constant,
    Forgetful,
    Oracle,
    exam_of,
    relations_of,
    split_of,
    vocabulary_of,
)

CHARACTERS = ["miku", "reimu", "cirno", "rin", "teto"]
DRY = ["twintails", "necktie", "headset", "boots", "skirt", "sleeves"]
WET = ["water", "sky", "navel", "barefoot", "towel", "sand"]
LABELS = [*CHARACTERS, "swimsuit", "hat", *DRY, *WET, "filler"]
KNOWN = vocabulary_of(*LABELS, characters=CHARACTERS, copyrights=[*DRY, *WET])  # leaves two that can be a costume
ALL_GENERAL = vocabulary_of(*LABELS, characters=CHARACTERS)


def posts(seed, scale=1):
    """Characters of whom a third wear a swimsuit, which changes what else is there; a hat changes nothing."""
    generator = np.random.default_rng(seed)
    rows = [(400 * scale, "filler")]
    for character in CHARACTERS[:4]:
        for number in range(60 * scale):
            wet = number % 3 == 0
            likely, unlikely = (WET, DRY) if wet else (DRY, WET)
            labels = [label for place, label in enumerate(likely) if generator.random() < 0.95 - 0.1 * place]
            labels += [label for place, label in enumerate(unlikely) if generator.random() < 0.02 + 0.05 * place]
            labels += ["swimsuit"] * wet + ["hat"] * bool(generator.random() < 0.4)
            rows.append(" ".join([character, *labels]))
    return rows


TRAIN, TEST = split_of(KNOWN, *posts(0, scale=2)), split_of(KNOWN, *posts(1))
OPTIONS = ProbeOptions(probe_min_support=10, bootstrap_samples=100)


def ask(options=OPTIONS, relations=None, train=TRAIN, test=TEST, known=KNOWN, model=None, **methods):
    model = model or Oracle(test)
    methods = {"model": model, **methods}
    return probe_pairs(exam_of(methods, known, train, test, relations=relations, options=options))


def test_the_costume_is_found_and_the_hat_is_not():
    found = ask()
    assert [(pair.character, pair.label) for pair in found.pairs] == [
        (character, "swimsuit") for character in CHARACTERS[:4]
    ]
    miku = found.pairs[0]
    assert (miku.train_posts, miku.test_posts, miku.character_posts) == (40, 20, 60)
    assert miku.moved >= 5
    assert set(miku.gained) <= set(WET)
    assert miku.predicted_gained == miku.gained  # the oracle has counted these posts


def test_the_oracle_gains_and_who_ignores_the_costume_does_not():
    found = ask(forgetful=Forgetful(TEST), constant=Constant(len(KNOWN)), learned=Oracle(TRAIN))
    for pair in found.pairs:
        assert pair.ndcg["model"] == pytest.approx(1.0)
        assert pair.ndcg["model"] > pair.ndcg_alone["model"] == pair.ndcg["forgetful"]
        assert pair.shift["forgetful"] == pair.shift["constant"] == 0.0
        assert pair.shift["model"] > 0.9
        assert pair.log_odds_shift > 0.9
        assert pair.shift["learned"] > 0.5
        assert pair.train_shift > 0.5
    model, forgetful = found.methods["model"], found.methods["forgetful"]
    assert model.ndcg.mean == pytest.approx(1.0)
    assert model.gain.low > 0
    assert forgetful.gain.mean == forgetful.shift.mean == 0
    assert forgetful.gain_behind.mean == pytest.approx(model.gain.mean)
    assert forgetful.shift_behind.low > 0.9
    assert model.ndcg_behind.mean == 0
    assert found.log_odds_shift.low > 0.9
    assert found.train_shift.low > 0.5


def test_at_most_three_pairs_a_character_and_no_more_than_asked_for():
    found = ask(OPTIONS.model_copy(update={"probe_pairs": 100}), known=ALL_GENERAL)
    of_each = [pair.character for pair in found.pairs]
    assert {of_each.count(character) for character in CHARACTERS[:4]} == {3}
    assert len(ask(OPTIONS.model_copy(update={"probe_pairs": 2}), known=ALL_GENERAL).pairs) == 2
    assert ask(OPTIONS.model_copy(update={"probe_pairs": 0})).pairs == []


def test_too_little_support_is_said():
    enough, little = ask(), ask(OPTIONS.model_copy(update={"probe_min_support": 1000}))
    assert (enough.eligible, little.eligible, len(little.pairs)) == (4, 0, 4)
    assert (enough.supported, little.supported) == (True, False)


def test_what_the_character_implies_is_no_pair_and_what_either_implies_no_question():
    found = ask(relations=relations_of({"miku": ["swimsuit"], "swimsuit": ["water"]}))
    assert [pair.character for pair in found.pairs] == CHARACTERS[1:4]
    reimu, before = found.pairs[0], ask().pairs[1]
    assert "water" in before.gained
    assert "water" not in (*reimu.gained, *reimu.predicted_gained)
    assert reimu.moved == before.moved - 1


def test_what_nearly_every_post_has_is_no_look():
    everywhere = split_of(KNOWN, *[row for row in posts(0, scale=2) if isinstance(row, str)], (400, "swimsuit"))
    assert ask(train=everywhere).pairs == []


def test_no_pair_no_figures():
    found = ask(test=split_of(KNOWN, "miku swimsuit", "filler"))
    assert (found.pairs, found.eligible) == ([], 0)
    assert found.methods["model"].ndcg is None
    assert found.train_shift is None
