from itertools import combinations

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

from booru_pipeline.dataset.posts import incidence
from booru_pipeline.evaluation.baselines import rules as rules_module
from booru_pipeline.evaluation.baselines.rules import LEAST_CONFIDENCE, LEAST_POSTS, AssociationRules, mine
from booru_pipeline_tests.evaluation.baselines.countable_posts import random_posts

LABELS = 7
POSTS = st.lists(st.sets(st.integers(0, LABELS - 1), max_size=LABELS), min_size=1, max_size=25)


def matrix(posts):
    return incidence([np.array(sorted(post), dtype=np.int64) for post in posts], LABELS)


def slow_rules(posts):
    """(antecedent, consequent) to (confidence, lift), by going through all sets."""
    found = {}
    for size in (1, 2):
        for antecedent in combinations(range(LABELS), size):
            having = [post for post in posts if set(antecedent) <= post]
            for label in set(range(LABELS)) - set(antecedent):
                both = sum(label in post for post in having)
                if both >= LEAST_POSTS and both / len(having) >= LEAST_CONFIDENCE:
                    confidence = both / len(having)
                    share = sum(label in post for post in posts) / len(posts)
                    found[antecedent, label] = (confidence, confidence / share)
    return found


@settings(max_examples=60)
@given(POSTS.map(lambda posts: posts * 8))
def test_rules_are_those_that_going_through_all_sets_finds(posts):
    rules = mine(matrix(posts))
    found = {}
    for given_, label, confidence, lift in zip(
        rules.antecedent.tolist(), rules.consequent.tolist(), rules.confidence, rules.lift, strict=True
    ):
        antecedent = (given_,) if given_ < LABELS else tuple(rules.twos[given_ - LABELS].tolist())
        found[antecedent, label] = (confidence, lift)
    expected = slow_rules(posts)
    assert found.keys() == expected.keys()
    for rule, values in expected.items():
        assert found[rule] == pytest.approx(values)


@pytest.mark.parametrize("weight", [0.0, 0.5])
def test_the_best_rule_that_fires_decides_and_lift_breaks_ties(weight):
    posts = [set(post.tolist()) for post in random_posts(3, 150, LABELS)]
    rules = slow_rules(posts)
    contexts = [sorted(post)[:4] for post in posts[:40]] + [[0], [6], [1, 2, 3, 4, 5, 6]]
    scores = AssociationRules(mine(matrix(posts)), lift_weight=weight).scores(contexts)
    for row, context in zip(scores, contexts, strict=True):
        best = {}
        for label in set(range(LABELS)) - set(context):
            fired = [own for (given_, to), own in rules.items() if to == label and set(given_) <= set(context)]
            fired.append((sum(label in post for post in posts) / len(posts), 1.0))
            best[label] = max((round(confidence * lift**weight, 6), round(lift, 6)) for confidence, lift in fired)
        for a, b in combinations(best, 2):
            assert np.sign(row[a] - row[b]) == (best[a] > best[b]) - (best[a] < best[b])


def test_two_antecedents_say_what_neither_says_alone():
    # 2 stands where both 0 and 1 do, 3 where only one of them does.
    posts = [{0, 1, 2}, {0, 3}, {0, 3}, {0, 3}, {1, 3}, {1, 3}, {1, 3}, {4}, {4}, {4}] * 20
    scores = AssociationRules(mine(matrix(posts))).scores([[0, 1], [0], [1]])
    assert scores[0].argmax() == 2
    assert scores[1].argmax() == 3
    assert scores[2].argmax() == 3


def test_a_rule_below_the_floor_does_not_fire():
    posts = [{0, 1}] * (LEAST_POSTS - 1) + [{2}] * 50
    assert AssociationRules(mine(matrix(posts))).scores([[0]])[0].argmax() == 2  # 2 is the most frequent
    posts.append({0, 1})
    assert AssociationRules(mine(matrix(posts))).scores([[0]])[0].argmax() == 1


def test_of_many_posts_the_first_are_mined_and_all_say_how_frequent_a_label_is(monkeypatch):
    first, others = [{0, 1}, {0, 1}, {2}] * LEAST_POSTS, [{2, 3}] * 100
    alone = mine(matrix(first))
    monkeypatch.setattr(rules_module, "MINED_POSTS", len(first))
    rules = mine(matrix(first + others))
    assert (rules.posts, rules.least_posts) == (len(first), LEAST_POSTS)
    for name in ("twos", "antecedent", "consequent", "confidence", "lift"):
        np.testing.assert_array_equal(getattr(rules, name), getattr(alone, name))
    assert rules.share[2] == pytest.approx(110 / 130)
