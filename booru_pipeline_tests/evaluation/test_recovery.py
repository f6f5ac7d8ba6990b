"""The measuring of methods, on scorers whose figures are known beforehand."""

import dataclasses

import numpy as np
import pytest
from scipy import sparse, stats

from booru_pipeline.errors import BooruError
from booru_pipeline.evaluation.options import EvaluationOptions
from booru_pipeline.evaluation.recovery import Recovery
from booru_pipeline.evaluation.report.examples import LEAST_ASKED, pick_examples
from booru_pipeline.evaluation.results import MRR, RECALL, T5_ALONE, is_behind
from booru_pipeline.evaluation.scorer import hide_visible
from booru_pipeline.evaluation.task import hide, recovery_task
from booru_pipeline.model.calibration import Calibration
from booru_pipeline.model.t5_alone import T5Alone
from booru_pipeline_tests.evaluation.named_posts import posts_of

LABELS = 60
NAMES = [f"label_{row}" for row in range(LABELS)]
CATEGORIES = np.array([(0, 0, 4)[row % 3] for row in range(LABELS)], dtype=np.int8)
TRAIN_POSTS = np.array([(5, 500, 5000)[row % 3] for row in range(LABELS)])
OPTIONS = EvaluationOptions(bootstrap_samples=100, label_support=3, top=10)
# 0 implies 1 and 2, 3 implies 4.
IMPLIED = sparse.csr_array(
    (np.ones(3, dtype=np.float32), ([0, 0, 3], [1, 2, 4])), shape=(LABELS, LABELS), dtype=np.float32
)


class Oracle:
    """Has been told what is hidden, for whatever is given."""

    def __init__(self, posts, names=NAMES, implied=IMPLIED):
        hidden = hide(recovery_task(posts, names, limit=1000, seed=0), 0.5, implied)
        self.told = {
            frozenset(given.tolist()): own
            for part in (hidden.visible, hidden.closed)
            for given, own in zip(part, hidden.hidden, strict=True)
        }

    def scores(self, contexts, batch_size=256):
        scores = np.full((len(contexts), LABELS), -30, dtype=np.float32)
        for row, context in zip(scores, contexts, strict=True):
            row[self.told[frozenset(context)]] = -0.1
        return hide_visible(scores, contexts)


class Random:
    """A score that depends on what is given and on the label's name alone."""

    def __init__(self, names=NAMES, seed=0):
        self.names, self.seed = names, seed

    def scores(self, contexts, batch_size=256):
        scores = np.empty((len(contexts), LABELS), dtype=np.float32)
        for row, context in zip(scores, contexts, strict=True):
            key = sorted(int(self.names[label].removeprefix("label_")) for label in context)
            drawn = np.random.default_rng([self.seed, *key]).random(LABELS, dtype=np.float32)
            row[:] = [drawn[int(name.removeprefix("label_"))] for name in self.names]
        return hide_visible(np.log(scores), contexts)


class Constant:
    def scores(self, contexts, batch_size=256):
        return hide_visible(np.zeros((len(contexts), LABELS), dtype=np.float32), contexts)


def make_posts(count=300, smallest=8):
    rng = np.random.default_rng(0)
    labels = [np.sort(rng.choice(LABELS, int(rng.integers(smallest, 25)), replace=False)) for _ in range(count)]
    # A post has what its labels imply, as Danbooru sees to.
    closed = [np.union1d(own, [1, 2, 4] if {0, 3} <= set(own) else [1, 2] if 0 in own else own) for own in labels]
    return posts_of(closed, group=[f"picture {row // 2}" for row in range(count)])


POSTS = make_posts()
CALIBRATED = T5Alone(None, LABELS, Calibration())


def measure(methods, posts=POSTS, names=NAMES, implied=IMPLIED, categories=CATEGORIES, train=TRAIN_POSTS, t5=None):
    task = recovery_task(posts, names, limit=1000, seed=0)
    recovery = Recovery(methods, CALIBRATED, task, categories, train, OPTIONS, t5=t5)
    return recovery.measure(hide(task, 0.5, implied))


@pytest.fixture(scope="module")
def measured():
    return measure({"model": Oracle(POSTS), "random": Random(), "constant": Constant()})[0]


def every_result(share):
    for question in (share.not_derivable, share.derivable, share.all):
        yield question
        yield from question.by_category.values()
        yield from question.by_frequency.values()


def test_an_oracle_scores_1_on_everything(measured):
    results = list(every_result(measured))
    assert len(results) > 12
    for result in results:
        figures = result.methods["model"]
        assert {value for value in figures.values() if value is not None} == {1}
        assert {name for name, value in figures.items() if value is None} <= {"micro_ap", "macro_ap"}
        assert result.beats_baselines
    for question in (measured.not_derivable, measured.derivable, measured.all):
        figures = question.methods["model"]
        assert (figures["micro_ap"], figures["macro_ap"]) == (1, 1)
        assert question.labels_counted > 0


def test_a_constant_earns_nothing(measured):
    for question in (measured.not_derivable, measured.derivable, measured.all):
        figures = question.methods["constant"]
        assert max(value for name, value in figures.items() if name.startswith("recall@")) == 0
        assert figures["r_precision"] == 0
        assert figures["macro_ap"] < 0.5


def test_a_random_scorer_is_at_chance(measured):
    task = recovery_task(POSTS, NAMES, limit=1000, seed=0)
    question = hide(task, 0.5, IMPLIED).not_derivable()
    expected, variance = [], []
    for given, asked in zip(question.given, question.asked, strict=True):
        hits = stats.hypergeom(LABELS - len(given), len(asked), 10)
        expected.append(hits.mean() / min(10, len(asked)))
        variance.append(hits.var() / min(10, len(asked)) ** 2)
    found = measured.not_derivable.methods["random"][RECALL]
    tolerance = 4 * np.sqrt(np.sum(variance)) / len(expected)
    assert found == pytest.approx(np.mean(expected), abs=tolerance)
    assert tolerance < 0.05


def test_labels_are_counted_where_they_belong(measured):
    assert measured.hidden_labels == measured.all.labels
    assert measured.derivable_labels == measured.derivable.labels > 0
    assert measured.not_derivable.labels == measured.hidden_labels - measured.derivable_labels
    for question in (measured.not_derivable, measured.derivable, measured.all):
        for parts in (question.by_category, question.by_frequency):
            assert sum(part.labels for part in parts.values()) == question.labels
    assert set(measured.all.by_category) == {"general", "character"}
    assert set(measured.all.by_frequency) == {"under 100", "100 to 1,000", "over 1,000"}
    # 1 and 4 are on 500 train posts, 2 is on 5,000.
    assert set(measured.derivable.by_frequency) == {"100 to 1,000", "over 1,000"}


def test_the_curve_goes_through_recall_at_k(measured):
    question = measured.not_derivable
    for name, figures in question.methods.items():
        for k in OPTIONS.all_ks:
            assert question.curve[name][k - 1] == pytest.approx(figures[f"recall@{k}"])


def test_differences_are_paired_and_have_their_sign(measured):
    result = measured.not_derivable
    for name in ("random", "constant"):
        expected, difference = 1 - result.methods[name][RECALL], result.differences[name][RECALL]
        assert difference.mean == pytest.approx(expected)
        assert difference.low <= expected <= difference.high
    turned = measure({"model": Constant(), "oracle": Oracle(POSTS), "random": Random()})[0].not_derivable
    assert turned.best_baseline == "oracle"
    assert is_behind(turned.differences["oracle"])
    assert not turned.beats_baselines


def test_t5_alone_is_measured_beside_the_answer_and_beside_the_baselines():
    methods = {"model": Random(seed=1), T5_ALONE: Oracle(POSTS), "random": Random(), "constant": Constant()}
    share = measure(methods, t5=CALIBRATED)[0]
    own = share.not_derivable
    assert is_behind(own.differences[T5_ALONE])
    assert own.best_baseline == "random"
    assert list(share.t5_alone.differences) == list(share.t5_alone.baselines) == ["random", "constant"]
    assert share.t5_alone.beats_baselines
    assert not own.beats_baselines
    for metric, value in share.t5_alone.methods[T5_ALONE].items():
        assert value is None or value == own.methods[T5_ALONE][metric] == 1
    for metric in (RECALL, MRR):
        for name in ("random", "constant"):
            expected = 1 - own.methods[name][metric]
            assert share.t5_alone.differences[name][metric].mean == pytest.approx(expected)
    without = measure({name: own for name, own in methods.items() if name != T5_ALONE})[0]
    assert without.t5_alone is None
    assert without.not_derivable.methods["model"] == own.methods["model"]


def test_cells_of_t5_alone_are_compared_by_probability_too():
    """Average precision ranks cells across posts, where a score says less than the probability that it stands for."""

    class Halved:
        def to_probabilities(self, scores, visible):
            return np.where(visible[:, None] % 2, np.exp(scores), np.exp(scores) / 1000)

    methods = {"model": Random(seed=1), T5_ALONE: Random(seed=1), "random": Random()}
    plain, odd = (measure(methods, t5=t5)[0].not_derivable.methods[T5_ALONE] for t5 in (CALIBRATED, Halved()))
    assert plain["micro_ap"] != odd["micro_ap"]
    assert plain[RECALL] == odd[RECALL]


def figures_of(share):
    return [result.model_dump(mode="json") for result in every_result(share)]


def assert_alike(one, other):
    assert type(one) is type(other)
    if isinstance(one, dict):
        assert set(one) == set(other)
        for key in one:
            assert_alike(one[key], other[key])
    elif isinstance(one, float):
        assert one == pytest.approx(other)
    else:
        assert one == other


def test_the_order_of_posts_changes_nothing(measured):
    order = np.random.default_rng(1).permutation(len(POSTS))
    shuffled = POSTS.take(order)
    methods = {"model": Oracle(POSTS), "random": Random(), "constant": Constant()}
    assert_alike(dict(enumerate(figures_of(measure(methods, shuffled)[0]))), dict(enumerate(figures_of(measured))))


def test_the_order_of_labels_changes_nothing(measured):
    order = np.random.default_rng(2).permutation(LABELS)
    place = np.argsort(order)
    names = [NAMES[row] for row in order]
    posts = dataclasses.replace(POSTS, rows=place[POSTS.rows])
    implied = sparse.csr_array(IMPLIED.toarray()[np.ix_(order, order)])
    methods = {"model": Oracle(posts, names, implied), "random": Random(names), "constant": Constant()}
    other, _ = measure(
        methods, posts, names=names, implied=implied, categories=CATEGORIES[order], train=TRAIN_POSTS[order]
    )
    assert_alike(dict(enumerate(figures_of(other))), dict(enumerate(figures_of(measured))))


class Diverged(Constant):
    def scores(self, contexts, batch_size=256):
        scores = super().scores(contexts)
        scores[-1, 0] = np.nan
        return scores


def test_scores_that_are_no_numbers_are_refused():
    with pytest.raises(BooruError, match="diverged"):
        measure({"model": Diverged(), "constant": Constant()})
    with pytest.raises(ValueError, match="not a number"):
        measure({"model": Constant(), "broken": Diverged()})


def test_calibration_is_that_of_the_first_guesses():
    share, asked = measure({"model": Random(), "constant": Constant()})
    bins = share.not_derivable.calibration.bins
    assert (
        sum(own.guesses for own in bins)
        == sum(len(guess.labels) for guess in asked.guesses)
        == 10 * len(asked.question)
    )
    right = sum(
        len(set(guess.labels) & set(own.tolist()))
        for guess, own in zip(asked.guesses, asked.question.asked, strict=True)
    )
    assert sum(own.found * own.guesses for own in bins) == pytest.approx(right)
    assert share.derivable.calibration is None


def test_without_a_derivable_label_there_is_no_such_part():
    nothing = sparse.csr_array((LABELS, LABELS), dtype=np.float32)
    share, _ = measure({"model": Random(), "constant": Constant()}, implied=nothing)
    assert share.derivable is None
    assert share.model_dump(mode="json")["derivable"] is None
    everything, not_derivable = share.all.model_dump(mode="json"), share.not_derivable.model_dump(mode="json")
    assert_alike(everything, not_derivable)


def test_examples_are_the_extremes_and_some_that_nobody_picked():
    task = recovery_task(POSTS, NAMES, limit=1000, seed=0)
    _, asked = measure({"model": Random(), "constant": Constant()})
    examples = pick_examples(task, asked, NAMES, count=3)
    kinds = [example.kind for example in examples]
    assert kinds == ["best"] * 3 + ["worst"] * 3 + ["unpicked"] * 3
    fids = task.posts.column("fid")
    by_key = {example.fid: example for example in examples}
    assert len(by_key) == 9
    recall = {}
    for place, post in enumerate(asked.question.posts.tolist()):
        hidden = asked.question.asked[place].tolist()
        if len(hidden) >= LEAST_ASKED:
            hits = [label for label in asked.guesses[place].labels[:10] if label in hidden]
            recall[fids[post]] = len(hits) / min(10, len(hidden))
    best, worst = [example.recall for example in examples[:3]], [example.recall for example in examples[3:6]]
    assert best == pytest.approx(sorted(recall.values(), reverse=True)[:3])
    assert worst == pytest.approx(sorted(recall.values())[:3])
    first_by_hash = [fids[post] for post in asked.question.posts]
    picked = {example.fid for example in examples[:6]}
    assert [example.fid for example in examples[6:]] == [fid for fid in first_by_hash if fid not in picked][:3]
    for example in examples:
        hidden = {own.label for own in example.hidden}
        assert not set(example.given) & hidden
        assert [guess.hidden for guess in example.guesses] == [guess.label in hidden for guess in example.guesses]
