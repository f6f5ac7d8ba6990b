"""Model and earlier checkpoints on the same posts, with answers that are known beforehand."""

import json

import numpy as np
import pytest
from scipy import sparse

from booru_pipeline.errors import BooruError
from booru_pipeline.evaluation.comparison.compare import PARENT, PROMOTED, compare
from booru_pipeline.evaluation.comparison.rivals import Rival, by_name
from booru_pipeline.evaluation.options import EvaluationOptions
from booru_pipeline.evaluation.recovery import Recovery
from booru_pipeline.evaluation.results import MRR, RECALL, is_ahead, is_behind
from booru_pipeline.evaluation.scorer import hide_visible
from booru_pipeline.evaluation.task import hide, recovery_task
from booru_pipeline.model.calibration import Calibration
from booru_pipeline.model.t5_alone import T5Alone
from booru_pipeline_tests.evaluation.named_posts import posts_of

LABELS = 60
NAMES = [f"label_{row}" for row in range(LABELS)]
NEW = {3, 17, 40}  # rows that the parent lacks
THEIRS = ["label_gone", *(NAMES[row] for row in reversed(range(LABELS)) if row not in NEW)]
OPTIONS = EvaluationOptions(bootstrap_samples=200, hidden_shares=[0.5], change_support=10)
CATEGORIES = np.zeros(LABELS, dtype=np.int8)
IMPLIED = sparse.csr_array((LABELS, LABELS), dtype=np.float32)


def make_posts(count=300):
    rng = np.random.default_rng(0)
    return posts_of(
        [rng.choice(LABELS, 20, replace=False) for _ in range(count)],
        group=[f"picture {row // 2}" for row in range(count)],
        release=[("2021a", "2021b")[row % 3 == 0] for row in range(count)],
    )


POSTS = make_posts()
TASK = recovery_task(POSTS, NAMES, limit=1000, seed=0)
HIDDEN = hide(TASK, 0.5, IMPLIED)
RELEASES = TASK.posts.column("release")
TOLD = {
    frozenset(NAMES[row] for row in given): {NAMES[row] for row in own}
    for given, own in zip(HIDDEN.visible, HIDDEN.hidden, strict=True)
}


class Oracle:
    """Has been told what is hidden and knows a share of it, more or less of some labels; the rest is random.

    Args:
        names: Its vocabulary.
        share: How much it knows.
        others: Label names of which it knows another share.
    """

    def __init__(self, names=NAMES, share=1.0, others=None, seed=0):
        self.names, self.share, self.others, self.seed = names, share, others or {}, seed
        self.told = {self.visible(given): own for given, own in TOLD.items()}
        self.rows = {name: row for row, name in enumerate(names)}

    def visible(self, labels):
        return frozenset(set(labels) & set(self.names))

    def scores(self, contexts, batch_size=256):
        scores = np.empty((len(contexts), len(self.names)), dtype=np.float32)
        for row, context in zip(scores, contexts, strict=True):
            given = frozenset(self.names[label] for label in context)
            rng = np.random.default_rng([self.seed, *sorted(int(name.split("_")[1]) for name in given)])
            row[:] = -1 - rng.random(len(self.names))
            for name in sorted(self.told[given] & set(self.names)):
                if rng.random() < self.others.get(name, self.share):
                    row[self.rows[name]] = -0.1
        return hide_visible(scores, contexts)


def answers_of(model, baseline=None):
    methods = {"model": model, "popularity": baseline or Oracle(share=0.2, seed=5)}
    recovery = Recovery(methods, T5Alone(None, LABELS, Calibration()), TASK, CATEGORIES, np.full(LABELS, 50), OPTIONS)
    _, asked = recovery.measure(HIDDEN)
    return {0.5: asked}


def rival(scorer, release="2021a", seen=frozenset(), **other):
    own = by_name(scorer, THEIRS, NAMES)
    return Rival(release, f"key of {release}", len(THEIRS), own, frozenset({"2021a"}), seen, **other)


def compared(model, parent, promoted=None, **other):
    return compare(
        parent if isinstance(parent, Rival) else rival(parent),
        promoted,
        task=TASK,
        answers=answers_of(model),
        best={0.5: "popularity"},
        splits=[POSTS],
        labels=NAMES,
        options=OPTIONS.model_copy(update=other),
    )


@pytest.fixture(scope="module")
def improved():
    """The model knows more of everything, much more of label_7, and less of label_9."""
    model = Oracle(share=0.7, others={"label_7": 1.0, "label_9": 0.0}, seed=1)
    return compared(model, Oracle(THEIRS, share=0.4, others={"label_7": 0.0, "label_9": 1.0}, seed=2))


def test_labels_go_by_name_and_what_a_checkpoint_lacks_is_never_guessed():
    asked = []

    class Rows:
        def scores(self, contexts, batch_size=256):
            asked.extend(contexts)
            return hide_visible(np.tile(np.arange(len(THEIRS), dtype=np.float32), (len(contexts), 1)), contexts)

    scorer = by_name(Rows(), THEIRS, NAMES)
    scores = scorer.scores([[0, 3, 59], [17]])
    assert asked == [[THEIRS.index("label_0"), THEIRS.index("label_59")], []]
    assert set(np.flatnonzero(~scorer.known)) == NEW
    for given, row in zip(({0, 3, 59}, {17}), scores, strict=True):
        assert set(np.flatnonzero(np.isneginf(row))) == NEW | given
        for label in set(range(LABELS)) - NEW - given:
            assert row[label] == THEIRS.index(NAMES[label])


def test_an_improvement_is_found_with_its_interval(improved):
    own = improved.parent.shares[0]
    assert own.posts == len(TASK) == improved.parent.posts
    assert own.pictures == 150
    assert own.differences[PARENT][MRR].low >= 0
    difference = own.differences[PARENT][RECALL]
    assert own.figure("model", RECALL) - own.figure(PARENT, RECALL) == pytest.approx(difference.mean)
    assert 0.2 < difference.low < difference.high < 0.5


def test_a_regression_is_found_and_equals_are_neither():
    better, worse = Oracle(share=0.7, seed=1), Oracle(THEIRS, share=0.9, seed=2)
    assert is_behind(compared(better, worse).parent.both_know[0].differences[PARENT])
    equal = by_name(Oracle(share=0.5, seed=3), NAMES, NAMES)
    lucky = Rival("2021a", "key", len(NAMES), equal, frozenset({"2021a"}), frozenset())
    same = compared(Oracle(share=0.5), lucky)
    difference = same.parent.shares[0].differences[PARENT]
    assert not is_behind(difference)
    assert not is_ahead(difference)
    assert same.new_labels == []


def test_figures_equal_a_plain_count(improved):
    """Recall@10 by the definition: hits among the first 10 over min(10, hidden), with no helper in between."""
    scorer = Oracle(THEIRS, share=0.4, others={"label_7": 0.0, "label_9": 1.0}, seed=2)
    recalls = []
    for given, hidden in zip(HIDDEN.visible, HIDDEN.hidden, strict=True):
        context = [THEIRS.index(NAMES[row]) for row in given if row not in NEW]
        [row] = scorer.scores([context])
        first = [THEIRS[place] for place in np.argsort(-row) if THEIRS[place] != "label_gone"][:10]
        recalls.append(len(set(first) & {NAMES[label] for label in hidden}) / min(10, len(hidden)))
    assert improved.parent.shares[0].methods[PARENT][RECALL] == pytest.approx(np.mean(recalls))


def test_what_got_better_and_worse_most_is_named_and_new_labels_are_neither(improved):
    changes = improved.changes
    assert changes.better[0].label == "label_7"
    assert changes.worse[0].label == "label_9"
    assert changes.better[0].q < 0.05 > changes.worse[0].q
    assert changes.labels == LABELS - len(NEW)
    for one in (*changes.better, *changes.worse):
        assert one.posts >= changes.support == 10
        assert one.found_now - one.found_before == one.gained - one.lost
        assert int(one.label.split("_")[1]) not in NEW
        assert one.posts == sum(int(one.label.split("_")[1]) in own for own in HIDDEN.hidden)
    assert len(changes.better) <= 15
    assert [one.difference for one in changes.better] == sorted(
        (one.difference for one in changes.better), reverse=True
    )


def test_a_label_needs_support_to_be_compared():
    same = Oracle(THEIRS, share=0.4)
    assert compared(Oracle(share=0.7), same, change_support=10_000).changes.labels == 0


def test_without_any_change_no_label_is_significant():
    """The same knowledge, other luck: q is corrected, so that none of 57 labels stands out by chance."""
    changes = compared(Oracle(share=0.5, seed=1), Oracle(THEIRS, share=0.5, seed=2)).changes
    assert changes.significant == 0


def test_new_labels_are_counted_and_asked_for_alone(improved):
    assert (improved.labels_both, improved.labels_new, improved.labels_gone) == (LABELS - 3, 3, 1)
    own = improved.new_labels[0]
    assert own.posts == sum(bool(NEW & set(hidden.tolist())) for hidden in HIDDEN.hidden)
    assert own.labels == sum(len(NEW & set(hidden.tolist())) for hidden in HIDDEN.hidden)
    assert list(own.methods) == ["model", "popularity"]
    assert is_ahead(own.differences["popularity"])
    both = improved.parent.both_know[0]
    assert both.labels + own.labels == improved.parent.shares[0].labels


def test_posts_of_new_releases_are_told_from_earlier_ones(improved):
    assert improved.new_releases == ["2021b"]
    new, earlier = improved.out_of_time.new_posts[0], improved.out_of_time.earlier_posts[0]
    assert new.posts == sum(release == "2021b" for release in RELEASES)
    assert new.posts + earlier.posts == improved.parent.posts
    for part in (new, earlier):
        assert list(part.methods) == ["model", "popularity", PARENT]
        assert part.differences[PARENT][RECALL].low > 0
    whole = improved.parent.shares[0].methods[PARENT][RECALL]
    both = sum(part.posts * part.figure(PARENT, RECALL) for part in (new, earlier)) / 300
    assert both == pytest.approx(whole)


def test_a_parent_that_is_lost_on_new_posts_shows_out_of_time():
    class Dated(Oracle):
        """Knows nothing of posts of the new release."""

        def scores(self, contexts, batch_size=256):
            known = super().scores(contexts)
            blind = Oracle(THEIRS, share=0.0, seed=self.seed).scores(contexts)
            new = {
                self.visible(NAMES[row] for row in given)
                for given, release in zip(HIDDEN.visible, RELEASES, strict=True)
                if release == "2021b"
            }
            rows = [frozenset(THEIRS[label] for label in context) in new for context in contexts]
            return np.where(np.array(rows)[:, None], blind, known)

    found = compared(Oracle(share=0.6, seed=1), Dated(THEIRS, share=0.9, seed=2))
    [new], [earlier] = found.out_of_time.new_posts, found.out_of_time.earlier_posts
    assert is_ahead(new.differences[PARENT])
    assert earlier.differences[PARENT][MRR].mean < new.differences[PARENT][MRR].mean
    assert earlier.figure(PARENT, RECALL) > 2 * new.figure(PARENT, RECALL)


def test_what_the_parent_was_trained_on_is_left_out_for_both_and_counted():
    seen = frozenset(f"picture {number}" for number in range(50))
    model = Oracle(share=0.7, seed=1)
    found = compared(model, rival(Oracle(THEIRS, share=0.4, seed=2), seen=seen))
    assert found.parent.left_out == 100
    assert found.parent.posts == found.parent.shares[0].posts == 200
    assert found.out_of_time.new_posts[0].posts + found.out_of_time.earlier_posts[0].posts == 200
    assert compared(model, rival(Oracle(THEIRS, share=0.4, seed=2), seen=None)).parent.left_out is None


def test_a_slow_parent_is_asked_about_fewer_posts():
    slow = rival(Oracle(THEIRS, share=0.4, seed=2), is_slow=True)
    found = compared(Oracle(share=0.7, seed=1), slow, test_posts_slow=40)
    assert found.parent.posts == found.parent.shares[0].posts == 40


def test_the_promoted_checkpoint_is_compared_too():
    promoted = rival(Oracle(THEIRS, share=0.95, seed=4), release="2020z")
    found = compared(Oracle(share=0.6, seed=1), Oracle(THEIRS, share=0.4, seed=2), promoted)
    assert found.promoted.release == "2020z"
    assert is_behind(found.promoted.both_know[0].differences[PROMOTED])
    assert found.parent.shares[0].differences[PARENT][RECALL].low > 0


def test_scores_that_are_no_numbers_are_refused():
    class Diverged:
        def scores(self, contexts, batch_size=256):
            return np.full((len(contexts), len(THEIRS)), np.nan, dtype=np.float32)

    with pytest.raises(BooruError, match=r"checkpoint of 2021a .* not numbers"):
        compared(Oracle(), Diverged())


def test_it_is_json(improved):
    content = json.loads(json.dumps(improved.model_dump(mode="json"), allow_nan=False))
    assert content["parent"]["shares"][0]["methods"]["parent"]["mrr"] == improved.parent.shares[0].figure(PARENT, MRR)
    assert content["changes"]["hidden_share"] == 0.5
