"""Ask every method the questions of a task, and measure the answers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from booru_pipeline.dataset.posts import incidence
from booru_pipeline.errors import BooruError
from booru_pipeline.evaluation.figures.ranks import (
    Ranks,
    hidden_ranks,
    label_precision,
    post_metrics,
    recall_at,
)
from booru_pipeline.evaluation.figures.reliability import Reliability, reliability
from booru_pipeline.evaluation.options import EvaluationOptions
from booru_pipeline.evaluation.results import (
    FREQUENCIES,
    MODEL,
    T5_ALONE,
    BaselineComparison,
    Figures,
    QuestionResult,
    ShareResult,
)
from booru_pipeline.evaluation.scorer import Calibrated, Model, Scorer, scores_in_parts
from booru_pipeline.evaluation.task import Hidden, Question, RecoveryTask
from booru_pipeline.model.ranking import best_of
from booru_pipeline.progress import Step, side_by_side, step
from booru_pipeline.tags import Category

CURVE_KS: Final = 30
Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class Guesses:
    """The model's first guesses for a post, best first.

    Attributes:
        labels: Vocabulary rows; none of them was given.
        probability: Calibrated.
    """

    labels: list[int]
    probability: list[float]


@dataclass(frozen=True)
class Asked:
    """The model's answers to a question, for examples and predictions.parquet.

    Attributes:
        question: What was asked.
        ranks: Where it ranks what was asked for.
        guesses: Its first guesses for each post of the question.
        by_method: The ranks of every method, the model's too.
    """

    question: Question
    ranks: Ranks
    guesses: list[Guesses]
    by_method: Mapping[str, Ranks]


@dataclass(frozen=True)
class _Answers:
    """One method's answers to a question: ranks, and the scores of the labels that average precision follows."""

    ranks: Ranks
    followed: NDArray[np.float32]
    guesses: list[Guesses]


@dataclass(frozen=True)
class _Said:
    """One method's answers to sets of visible labels: ranks of what is hidden, scores that are followed, guesses."""

    ranks: list[NDArray[np.int64]]
    followed: NDArray[np.float32]
    guesses: list[Guesses]

    def of(self, question: Question, place: NDArray[np.int64], columns: NDArray[np.int64]) -> _Answers:
        """Those to a question.

        Args:
            question: What was asked.
            place: [posts of the question], which set each post is.
            columns: The columns of `followed` that the question follows.
        """
        return _Answers(
            Ranks.of(question.posts, question.asked, [self.ranks[at] for at in place.tolist()]),
            self.followed[np.ix_(place, columns)],
            [self.guesses[at] for at in place.tolist()] if self.guesses else [],
        )


class Recovery:
    """Measures methods on a task.

    Args:
        methods: Scorers by name, the model first, then T5 alone if it is not the same.
        model: Makes the model's scores probabilities.
        task: The posts.
        categories: int8 [labels]: each label's category.
        train_posts: [labels]: how many train posts have it.
        options: Cut-offs, support, resamples and sizes.
        t5: Makes the scores of T5 alone probabilities.
    """

    def __init__(
        self,
        methods: Mapping[str, Scorer],
        model: Model,
        task: RecoveryTask,
        categories: NDArray[np.int8],
        train_posts: NDArray[np.integer],
        options: EvaluationOptions,
        t5: Calibrated | None = None,
    ) -> None:
        self._methods = methods
        self._model = model
        self._calibrated: dict[str, Calibrated] = {MODEL: model, **({T5_ALONE: t5} if t5 is not None else {})}
        self._group = np.asarray(task.posts.column("group_md5"), dtype=np.str_)
        self._categories = categories
        self._train_posts = train_posts
        self._options = options
        self._metrics = post_metrics(options.all_ks)

    def measure(self, hidden: Hidden) -> tuple[ShareResult, Asked]:
        """Ask about a share of hidden labels: all, and the ones that are not derivable.

        Returns:
            The figures, and what the model said to the headline's question.

        Raises:
            BooruError: The model's scores are not numbers.
        """
        everything, question, derivable = hidden.all_labels(), hidden.not_derivable(), hidden.derivable
        to_everything, to_question = self._ask(everything, question, hidden.share)
        model = to_question[MODEL]
        result = ShareResult(
            hidden_share=hidden.share,
            visible_labels=sum(map(len, hidden.visible)),
            hidden_labels=sum(map(len, hidden.hidden)),
            derivable_labels=sum(map(len, derivable)),
            not_derivable=self._result(question, to_question, question.asked),
            t5_alone=self._t5_alone(question, to_question),
            derivable=self._result(everything, to_everything, derivable),
            all=self._result(everything, to_everything, everything.asked),
        )
        by_method = {name: answer.ranks for name, answer in to_question.items()}
        return result, Asked(question, model.ranks, model.guesses, by_method)

    def _ask(self, everything: Question, question: Question, share: float) -> list[dict[str, _Answers]]:
        """Every method's answers to both questions; where a post is shown the same in both, it is asked about once."""
        pairs = zip(question.posts.tolist(), question.given, strict=True)
        differs = np.array([len(given) > len(everything.given[post]) for post, given in pairs], dtype=bool)
        again = np.flatnonzero(differs).tolist()
        place = question.posts.copy()
        place[again] = len(everything) + np.arange(len(again))
        both = ((everything, np.arange(len(everything))), (question, place))
        follow = np.union1d(self._followed(everything), self._followed(question))
        given, asked = (
            [*of_all, *(rows[post] for post in again)]
            for of_all, rows in ((everything.given, question.given), (everything.asked, question.asked))
        )
        answers: list[dict[str, _Answers]] = [{}, {}]
        with step(f"finding labels, {100 * share:.3g} % hidden", len(self._methods) * len(given)) as told:
            said = side_by_side(lambda method: self._answer(*method, given, asked, follow, told), self._methods.items())
        for name, heard in zip(self._methods, said, strict=True):
            for found, (one, at) in zip(answers, both, strict=True):
                found[name] = heard.of(one, at, np.searchsorted(follow, self._followed(one)))
        return answers

    def _followed(self, question: Question) -> NDArray[np.int64]:
        """The labels whose scores are kept: those asked for most often, ascending."""
        counts = np.bincount(np.concatenate([[], *question.asked]).astype(np.int64), minlength=len(self._categories))
        often = np.flatnonzero(counts >= self._options.label_support)
        return np.sort(often[np.argsort(-counts[often], kind="stable")[: self._options.label_limit]])

    def _answer(
        self,
        name: str,
        scorer: Scorer,
        given: Sequence[NDArray[np.int64]],
        asked: Sequence[NDArray[np.int64]],
        follow: NDArray[np.int64],
        told: Step,
    ) -> _Said:
        """Score sets of visible labels, some at a time."""
        ranks: list[NDArray[np.int64]] = []
        guesses: list[Guesses] = []
        followed = np.empty((len(given), len(follow)), dtype=np.float32)
        for part, scores in scores_in_parts(scorer, given, self._options.batch_size):
            if name in (MODEL, T5_ALONE) and np.isnan(scores).any():
                raise BooruError(
                    "the model gives scores that are not numbers: its training diverged. "
                    "Train again with a lower learning rate."
                )
            ranks += hidden_ranks(scores, asked[part])
            followed[part] = scores[:, follow]
            visible = np.array([len(rows) for rows in given[part]])
            if name in self._calibrated:
                # Log-probabilities sum to 1 within a post; what compares posts is the probability of presence.
                followed[part] = self._calibrated[name].to_probabilities(followed[part], visible)
            if name == MODEL:
                guesses += _first_guesses(scores, self._model, visible, self._options.top)
            told.advance(len(scores))
        return _Said(ranks, followed, guesses)

    def _result(
        self, question: Question, answers: Mapping[str, _Answers], asked: Sequence[NDArray[np.int64]]
    ) -> QuestionResult | None:
        """The figures of the labels of a question, or of a part of them; the others are then no answers."""
        if not any(map(len, asked)):
            return None
        labels, follow = len(self._categories), self._followed(question)
        counting = incidence(asked, labels)
        ranks = {
            name: answer.ranks.only(np.asarray(counting[answer.ranks.owner, answer.ranks.label]).ravel() > 0)
            for name, answer in answers.items()
        }
        right = counting[:, follow].toarray() > 0
        known = incidence(question.given, labels)[:, follow].toarray() > 0
        hidden = incidence(question.asked, labels)[:, follow].toarray() > 0
        candidates = ~known & (right | ~hidden)
        support = self._options.label_support
        precision = {
            name: label_precision(answer.followed, right, candidates, support=support)
            for name, answer in answers.items()
        }
        by_category = {
            Category.name_of(int(category)): self._part(ranks, self._categories == category)
            for category in np.unique(self._categories)
        }
        by_frequency = {
            name: self._part(ranks, (self._train_posts >= least) & (self._train_posts < most))
            for name, (least, most) in FREQUENCIES.items()
        }
        found = {name: part for name, part in by_category.items() if part}
        return QuestionResult.of(
            ranks,
            self._group,
            self._options,
            self._metrics,
            {name: {"micro_ap": both.micro, "macro_ap": both.macro} for name, both in precision.items()},
            by_category=dict(sorted(found.items(), key=lambda item: -item[1].labels)),
            by_frequency={name: part for name, part in by_frequency.items() if part},
            curve={
                name: [float(recall_at(of_method, k).mean()) for k in range(1, CURVE_KS + 1)]
                for name, of_method in ranks.items()
            },
            labels_counted=precision[MODEL].labels,
            calibration=_reliability(answers[MODEL].guesses, asked) if asked is question.asked else None,
        )

    def _t5_alone(self, question: Question, answers: Mapping[str, _Answers]) -> BaselineComparison | None:
        """T5 alone less each baseline; None if it is none of the methods, or nothing is asked."""
        if T5_ALONE not in answers or not len(question):
            return None
        ranks = {name: answer.ranks for name, answer in answers.items() if name != MODEL}
        unmeasured: Figures = {"micro_ap": None, "macro_ap": None}
        return BaselineComparison.of(
            ranks, self._group, self._options, self._metrics, dict.fromkeys(ranks, unmeasured), compared=T5_ALONE
        )

    def _part(self, ranks: Mapping[str, Ranks], chosen: Bools) -> BaselineComparison | None:
        """The figures of some labels only, or None if none of them is asked for."""
        part = {name: of_method.only(chosen[of_method.label]) for name, of_method in ranks.items()}
        unmeasured: Figures = {"micro_ap": None, "macro_ap": None}
        if not len(part[MODEL].posts):
            return None
        return BaselineComparison.of(part, self._group, self._options, self._metrics, dict.fromkeys(part, unmeasured))


def _reliability(guesses: Sequence[Guesses], asked: Sequence[NDArray[np.int64]]) -> Reliability:
    right = np.concatenate([np.isin(guess.labels, rows) for guess, rows in zip(guesses, asked, strict=True)])
    return reliability(np.concatenate([guess.probability for guess in guesses]), right)


def _first_guesses(scores: NDArray[np.float32], model: Model, visible: NDArray[np.integer], top: int) -> list[Guesses]:
    best = best_of(scores, top)
    chosen = np.full((len(best), min(top, scores.shape[1])), -np.inf, dtype=scores.dtype)
    for row, labels in enumerate(best):
        chosen[row, : len(labels)] = scores[row, labels]
    probability = model.to_probabilities(chosen, visible)
    return [
        Guesses(labels.tolist(), chance[: len(labels)].tolist())
        for labels, chance in zip(best, probability, strict=True)
    ]
