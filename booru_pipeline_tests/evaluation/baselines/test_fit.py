import time
from collections import Counter
from functools import partial
from pathlib import Path

import duckdb
import numpy as np
import pytest
from scipy import sparse

from booru_pipeline.dataset.posts import incidence
from booru_pipeline.evaluation import results as names
from booru_pipeline.evaluation.baselines.counting import CoOccurrence
from booru_pipeline.evaluation.baselines.fit import TUNABLE, Capped, describe, fit_baselines, most_frequent
from booru_pipeline.evaluation.baselines.later import Later, Place
from booru_pipeline.evaluation.baselines.tuning import standing
from booru_pipeline.model.pairs import PairCounts
from booru_pipeline.progress import side_by_side
from booru_pipeline_tests.evaluation.baselines.countable_posts import correlated_posts, halves

LABELS = 60
POSTS = correlated_posts(0, 1200)
TRAIN = incidence(POSTS[:800], LABELS)
VALIDATION = halves(1, POSTS[800:1000])
TEST = halves(2, POSTS[1000:])
IMPLIED = incidence([np.array([1]) if label == 0 else np.array([], dtype=np.int64) for label in range(LABELS)], LABELS)
CONTEXTS = [[], *(visible for visible, _ in TEST[:50])]


def fit(validation=VALIDATION, **other):
    """At one share."""
    return fit_baselines(TRAIN, {0.5: validation}, IMPLIED, **other)[0.5]


@pytest.fixture(scope="module")
def fitted():
    return fit()


def test_all_are_there_in_the_reports_order_and_say_what_they_are(fitted):
    assert tuple(fitted) == names.BASELINES
    assert len({baseline.described for baseline in fitted.values()}) == len(fitted)


def test_what_learns_from_pairs_beats_popularity_on_posts_that_it_has_not_seen(fitted):
    recall = {name: standing(baseline, TEST).recall for name, baseline in fitted.items()}
    for name in names.BASELINES[1:-1]:
        assert recall[name] > recall[names.POPULARITY] + 0.1
    assert recall[names.IMPLICATION_CLOSURE] < recall[names.POPULARITY]


def test_fitting_again_gives_the_same_scores(fitted):
    again = fit()
    for name, baseline in fitted.items():
        assert again[name].described == baseline.described
        np.testing.assert_array_equal(again[name].scores(CONTEXTS), baseline.scores(CONTEXTS))


def test_settings_do_not_depend_on_the_test_posts_but_on_the_validation_posts(fitted):
    untuned = fit([])
    assert any(untuned[name].described != fitted[name].described for name in names.BASELINES)


def test_beyond_the_cap_labels_go_by_popularity_below_all_others():
    counts = np.asarray(TRAIN.sum(axis=0)).ravel()
    known = most_frequent(counts, 20)
    assert counts[known].min() >= np.delete(counts, known).max()
    others = np.setdiff1d(np.arange(LABELS), known)
    capped = fit(label_cap=20)
    for name in names.BASELINES[1:-1]:
        assert "20 most frequent labels" in capped[name].described
        for row, context in zip(capped[name].scores(CONTEXTS), CONTEXTS, strict=True):
            assert not np.isnan(row).any()
            assert (np.isinf(row) == np.isin(np.arange(LABELS), context)).all()
            inside, outside = (np.setdiff1d(part, context) for part in (known, others))
            assert row[outside].max() < row[inside].min()
            by_popularity = sorted(outside, key=lambda label: -counts[label])
            assert (np.diff(row[by_popularity]) <= 0).all()
            assert ((np.diff(row[by_popularity]) < 0) == (np.diff(counts[by_popularity]) < 0)).all()


def test_a_capped_baseline_knows_its_labels_as_one_that_never_saw_the_others():
    counts = np.asarray(TRAIN.sum(axis=0)).ravel()
    known = most_frequent(counts, 20)
    column = {label: place for place, label in enumerate(known.tolist())}
    inner = CoOccurrence(PairCounts.of(sparse.csr_array(TRAIN[:, known])))
    whole = Capped(inner, known, counts).scores(CONTEXTS, 7)
    alone = inner.scores([[column[label] for label in context if label in column] for context in CONTEXTS])
    np.testing.assert_array_equal(whole[:, known], alone)


def test_where_all_known_labels_are_visible_the_others_still_go_by_popularity():
    counts = np.asarray(TRAIN.sum(axis=0)).ravel()
    known = most_frequent(counts, 2)
    inner = CoOccurrence(PairCounts.of(sparse.csr_array(TRAIN[:, known])))
    row = Capped(inner, known, counts).scores([known.tolist()])[0]
    order = np.argsort(-row, kind="stable")[: LABELS - 2]
    assert np.isfinite(row[order]).all()
    assert (np.diff(counts[order]) <= 0).all()


def test_hidden_labels_beyond_the_cap_leave_nothing_to_tune_on():
    rare = int(np.argmin(np.asarray(TRAIN.sum(axis=0)).ravel()))
    capped = fit([([0], np.array([rare]))], label_cap=20)
    untuned = fit([], label_cap=20)
    assert [own.described for own in capped.values()] == [own.described for own in untuned.values()]


def test_on_a_shared_release_a_tuned_ease_is_far_ahead_of_popularity(shared: Path):
    """Of 8,000 posts, with their 1,500 most frequent tags, half of each hidden: .40 against .31."""
    files = sorted((shared / "data" / "releases").glob("*/*_tags.tsv*"))
    if not files:
        pytest.skip("the shared folder has no releases")
    captions = duckdb.sql(
        """
        SELECT list_sort(list(DISTINCT TAG))
        FROM read_csv($file, delim = '\t', quote = '', ignore_errors = true, header = true, all_varchar = true)
        WHERE TAG IS NOT NULL
        GROUP BY BOORU, FID HAVING count(DISTINCT TAG) > 5 ORDER BY md5(BOORU || FID) LIMIT 8000
        """,
        params={"file": str(files[0])},
    ).fetchall()
    frequent = Counter(tag for (own,) in captions for tag in own).most_common(1500)
    row = {tag: place for place, (tag, _) in enumerate(frequent)}
    posts = [np.array(sorted(row[tag] for tag in own if tag in row), dtype=np.int64) for (own,) in captions]
    train, nothing = incidence(posts[:7000], len(row)), sparse.csr_array((len(row), len(row)), dtype=np.float32)
    tuned_on = {0.5: halves(0, posts[7000:7500])}
    best = fit_baselines(train, tuned_on, nothing, only=[names.POPULARITY, names.EASE])[0.5]
    recall = {name: standing(own, halves(1, posts[7500:])).recall for name, own in best.items()}
    assert recall[names.EASE] > recall[names.POPULARITY] + 0.06


def test_implications_of_another_vocabulary_are_refused():
    with pytest.raises(ValueError, match="61 labels"):
        fit_baselines(TRAIN, {0.5: []}, sparse.csr_array((61, 61), dtype=np.float32))


def test_each_share_has_settings_of_its_own_and_equal_choices_are_one():
    """With one label given much must be dropped in training; with all but one little."""
    few = [(post[:1].tolist(), post[1:]) for post in POSTS[800:1000] if len(post) > 3]
    many = [(post[:-1].tolist(), post[-1:]) for post in POSTS[800:1000] if len(post) > 3]
    fitted = fit_baselines(TRAIN, {0.1: many, 0.5: VALIDATION, 0.9: few}, IMPLIED)
    assert list(fitted) == [0.1, 0.5, 0.9]
    assert fitted[0.1][names.EDLAE].described != fitted[0.9][names.EDLAE].described
    for share, pairs in ((0.1, many), (0.9, few)):
        alone = fit_baselines(TRAIN, {share: pairs}, IMPLIED)[share]
        for name, own in fitted[share].items():
            # What other shares tried is known too: it is never worse than one share's climb by itself.
            assert standing(own, pairs) >= standing(alone[name], pairs)
    for name in names.BASELINES:
        chosen = [of_share[name] for of_share in fitted.values()]
        assert len({id(own) for own in chosen}) == len({own.described for own in chosen})


def test_settings_are_described_by_share_where_they_differ():
    class Set:
        def __init__(self, described):
            self.described = described

    few, many = Set("ridge 3"), Set("ridge 10")
    fitted = {
        0.1: {"EASE": few, "popularity": few},
        0.3: {"EASE": many, "popularity": few},
        0.9: {"EASE": few, "popularity": few},
    }
    assert describe(fitted) == {
        "EASE": "10 and 90 % hidden: ridge 3; 30 % hidden: ridge 10",
        "popularity": "ridge 3",
    }


def test_what_is_asked_has_the_settings_that_it_says(fitted):
    pairs, name = PairCounts.of(TRAIN), names.CO_OCCURRENCE
    tried = [CoOccurrence(pairs, prior_posts=worth) for worth in TUNABLE[name].grid["prior_posts"]]
    [said] = [one for one in tried if one.described == fitted[name].described]
    np.testing.assert_array_equal(fitted[name].scores(CONTEXTS), said.scores(CONTEXTS))


def test_it_is_fitted_when_it_is_first_asked_and_not_again():
    made = []

    def fit_one():
        made.append(CoOccurrence(PairCounts.of(TRAIN)))
        return made[0]

    later = Later(names.CO_OCCURRENCE, "in words", fit_one)
    assert (later.described, made) == ("in words", [])
    for _ in range(2):
        np.testing.assert_array_equal(later.scores(CONTEXTS), CoOccurrence(PairCounts.of(TRAIN)).scores(CONTEXTS))
    assert len(made) == 1


def test_of_those_that_share_a_place_one_is_in_memory():
    made: list[float] = []

    def fit_with(prior_posts: float) -> CoOccurrence:
        made.append(prior_posts)
        return CoOccurrence(PairCounts.of(TRAIN), prior_posts=prior_posts)

    place = Place()
    few, many = (Later(names.CO_OCCURRENCE, f"prior of {prior}", partial(fit_with, prior), place) for prior in (1, 100))
    answers = [later.scores(CONTEXTS) for later in (few, few, many, few)]
    assert made == [1, 100, 1]
    np.testing.assert_array_equal(answers[0], answers[3])
    assert not np.array_equal(answers[0], answers[2])


def test_two_that_ask_at_once_have_it_fitted_once():
    made: list[int] = []

    def fit_slowly() -> CoOccurrence:
        made.append(1)
        time.sleep(0.2)  # long enough for the other to ask meanwhile
        return CoOccurrence(PairCounts.of(TRAIN))

    later = Later(names.CO_OCCURRENCE, "in words", fit_slowly)
    one, other = side_by_side(later.scores, [CONTEXTS, CONTEXTS])
    assert made == [1]
    np.testing.assert_array_equal(one, other)
