"""What T5 adds to counting, on ranks that are known."""

import numpy as np
import pytest

from booru_pipeline.evaluation.figures.ranks import Ranks
from booru_pipeline.evaluation.recovery import Asked
from booru_pipeline.evaluation.report.added import find_added
from booru_pipeline.evaluation.results import EASE, MODEL, POPULARITY, T5_ALONE
from booru_pipeline.evaluation.task import Question, RecoveryTask
from booru_pipeline_tests.evaluation.named_posts import posts_of

LABELS = [f"label_{row}" for row in range(20)]


def asked_of(**ranks):
    """Two posts that hide labels 1, 2 and 3; their ranks by method, in that order."""
    question = Question(np.array([0, 1]), [np.array([0]), np.array([0, 4])], [np.array([1, 2]), np.array([3])])
    by_method = {
        name.replace("_", " "): Ranks.of([0, 1], question.asked, [np.array(places[:2]), np.array(places[2:])])
        for name, places in ranks.items()
    }
    return Asked(question, by_method[MODEL], [], by_method)


def found(**ranks):
    posts = posts_of([[0, 1, 2], [0, 3, 4]], fid=[7, 8])
    task = RecoveryTask(posts, [], 2, 0)
    names = {"model": MODEL, "t5": T5_ALONE, "ease": EASE, "popular": POPULARITY}
    return find_added(task, asked_of(**{names[name]: places for name, places in ranks.items()}), LABELS)


def test_it_is_the_named_label_that_the_best_baseline_ranks_lowest():
    added = found(model=[2, 9, 4], t5=[1, 2, 3], ease=[1, 15, 60], popular=[5, 40, 12])
    # Label 3 is at 12 for the best baseline, label 2 at 15, label 1 at 1.
    assert (added.label, added.fid, added.given) == ("label_2", 7, ["label_0"])
    assert (added.t5_rank, added.answer_rank, added.baseline, added.baseline_rank) == (2, 9, EASE, 15)
    assert (added.found, added.lost) == (2, 0)
    assert "given label_0 (post 7 of safebooru), it names label_2 as guess 2" in added.sentence
    assert "no way of counting puts it before guess 15 (EASE)" in added.sentence


def test_a_label_that_t5_does_not_name_is_none():
    assert found(model=[1, 2, 3], t5=[4, 5, 6], ease=[50, 60, 70], popular=[50, 60, 70]) is None


def test_what_counting_names_and_t5_does_not_is_counted_too():
    added = found(model=[1, 2, 3], t5=[1, 11, 12], ease=[1, 2, 14], popular=[9, 9, 3])
    assert (added.found, added.lost) == (0, 2)


def test_without_t5_alone_there_is_nothing_to_compare():
    assert found(model=[1, 2, 3], ease=[50, 60, 70]) is None


@pytest.mark.parametrize("given", [3, 30])
def test_a_long_caption_is_cut_in_the_sentence(given):
    added = found(model=[1, 2, 3], t5=[1, 2, 3], ease=[4, 5, 6], popular=[4, 5, 6])
    sentence = added.model_copy(update={"given": [f"tag_{row}" for row in range(given)]}).sentence
    assert ("22 more" in sentence) == (given == 30)
