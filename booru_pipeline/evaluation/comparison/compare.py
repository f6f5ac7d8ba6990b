"""Release over release: the model beside its parent on the same held-out posts, and what has moved since."""

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from booru_pipeline.dataset.posts import Posts
from booru_pipeline.errors import BooruError
from booru_pipeline.evaluation.comparison.drift import Drift, drift
from booru_pipeline.evaluation.comparison.label_changes import LabelChanges, label_changes
from booru_pipeline.evaluation.comparison.rivals import Rival
from booru_pipeline.evaluation.figures.ranks import Ranks, hidden_ranks
from booru_pipeline.evaluation.finding import Count, Finding, definitions
from booru_pipeline.evaluation.options import EvaluationOptions
from booru_pipeline.evaluation.recovery import Asked
from booru_pipeline.evaluation.results import MODEL, ShareComparison
from booru_pipeline.evaluation.scorer import scores_in_parts
from booru_pipeline.evaluation.task import Question, RecoveryTask
from booru_pipeline.release.key import release_order

PARENT: Final = "parent"
PROMOTED: Final = "promoted"

Bools = NDArray[np.bool_]


class Standing(Finding):
    """The model beside one earlier checkpoint, on test posts that neither was trained on."""

    release: str = Field(description="Of which release the other is.")
    key: str = Field(description="Of its record.")
    posts: Count = Field(description="Test posts scored.")
    left_out: Count | None = Field(
        description="Test posts whose picture, or who themselves, are in the earlier checkpoint's train split; both "
        "checkpoints are compared without them. null if that dataset is gone, so that nobody can tell."
    )
    shares: list[ShareComparison] = Field(
        description="On labels that are not derivable. A share at which none is hidden is left out."
    )
    both_know: list[ShareComparison] = Field(description="Asked only for labels that the earlier checkpoint has too.")


class OutOfTime(Finding):
    """Model, best baseline and parent on two kinds of test posts."""

    new_posts: list[ShareComparison] = Field(description="Of releases that the parent was not trained on.")
    earlier_posts: list[ShareComparison] = Field(description="Of the others.")


class Comparison(Finding):
    """All that has changed since an earlier checkpoint."""

    parent: Standing = Field(
        description="The checkpoint that this one went on from, or else the newest of an earlier release. It is asked "
        "the headline's question about the same posts, in its own vocabulary by label name: it is not told of visible "
        "labels that it lacks, and never guesses a hidden one that it lacks."
    )
    promoted: Standing | None = Field(
        description="The model beside the promoted checkpoint; null if none is promoted, or the parent, or a later one."
    )
    labels_both: Count = Field(description="Labels that model and parent have.")
    labels_new: Count = Field(description="Labels that the parent lacks.")
    labels_gone: Count = Field(description="Labels of the parent that the model lacks.")
    new_labels: list[ShareComparison] = Field(
        description="Asked only for labels that the parent lacks; the model beside the best baseline. Empty where no "
        "baseline was asked."
    )
    changes: LabelChanges = Field(
        description="Of the labels that both have and that `change_support` posts hide at the headline's share: on how "
        "many posts each was among the first 10 guesses, other hidden labels not counted. q: McNemar's exact test of "
        "gained against lost posts, Benjamini-Hochberg over all of these labels. The largest differences are listed; "
        "of many labels some are large by chance, which q tells."
    )
    drift: Drift | None = Field(
        description="Share of pictures with a label in the releases that the parent was not trained on, against the "
        "others, of all splits; posts of one picture count once. q: Pearson's chi-squared test of the two shares where "
        "at least 5 pictures are expected in each cell, Benjamini-Hochberg over all of these labels. Listed are labels "
        "of q below 0.05 whose share has changed most, in points."
    )
    new_releases: list[str] = Field(description="Releases of test posts that the parent was not trained on.")
    out_of_time: OutOfTime = Field(
        description="The headline's question about test posts of the releases that the parent was not trained on, and "
        "of the others: the model, the best baseline, and the parent, for which the former lie in the future."
    )


DEFINITIONS: Final = {
    **definitions(Comparison, "parent"),
    **definitions(Standing, "left_out", "both_know"),
    **definitions(Comparison, "new_labels", "changes", "drift", "out_of_time"),
}


def compare(
    parent: Rival,
    promoted: Rival | None,
    *,
    task: RecoveryTask,
    answers: Mapping[float, Asked],
    best: Mapping[float, str] | None,
    splits: Sequence[Posts],
    labels: Sequence[str],
    options: EvaluationOptions,
) -> Comparison:
    """Ask earlier checkpoints what the model was asked.

    Args:
        parent: The one before.
        promoted: The promoted one, if it is another and earlier than the model.
        task: The test posts.
        answers: By hidden share, what model and baselines said to the headline's question.
        best: The best baseline by hidden share, for each of these; None to have none beside.
        splits: All posts of the dataset.
        labels: The vocabulary's labels by row.
        options: Sizes, support, resamples and seed.

    Raises:
        BooruError: An earlier checkpoint's scores are not numbers.
    """
    beside = _Beside(task, answers, options)
    theirs, fair = beside.ask(parent)
    known = parent.scorer.known
    releases = task.posts.column("release")
    new_releases = sorted(set(releases) - parent.releases, key=release_order)
    of_new_release = np.isin(releases, new_releases)
    both = {
        share: {MODEL: said.ranks, **({best[share]: said.by_method[best[share]]} if best else {})}
        for share, said in answers.items()
    }
    all_three = {share: {**methods, PARENT: theirs[share]} for share, methods in both.items()}
    share = min(answers, key=lambda hidden: abs(hidden - options.headline_share))
    return Comparison(
        parent=beside.standing(parent, PARENT, theirs, fair),
        promoted=beside.standing(promoted, PROMOTED, *beside.ask(promoted)) if promoted is not None else None,
        labels_both=int(known.sum()),
        labels_new=int((~known).sum()),
        labels_gone=parent.labels - int(known.sum()),
        new_labels=beside.measure(both, fair, ~known) if best else [],
        changes=label_changes(
            share,
            _part(answers[share].ranks, fair),
            _part(theirs[share], fair),
            known,
            labels,
            support=options.change_support,
            shown=options.changes_shown,
        ),
        drift=drift(splits, parent.releases, labels, shown=options.changes_shown),
        new_releases=new_releases,
        out_of_time=OutOfTime(
            new_posts=beside.measure(all_three, fair & of_new_release),
            earlier_posts=beside.measure(all_three, fair & ~of_new_release),
        ),
    )


class _Beside:
    """Asks earlier checkpoints what the model was asked, and measures it beside them."""

    def __init__(self, task: RecoveryTask, answers: Mapping[float, Asked], options: EvaluationOptions) -> None:
        self._groups = np.asarray(task.posts.column("group_md5"), dtype=np.str_)
        self._answers = answers
        self._options = options

    def ask(self, rival: Rival) -> tuple[dict[float, Ranks], Bools]:
        """Its ranks by hidden share, and which posts of the task it was asked about: those it was not trained on."""
        fair = ~np.isin(self._groups, sorted(rival.seen or ()))
        if rival.is_slow:
            fair[self._options.test_posts_slow :] = False  # the task's posts are in hash order: any first ones will do
        size = self._options.batch_size
        return {share: ranks_of(rival, said.question, size, fair) for share, said in self._answers.items()}, fair

    def standing(self, rival: Rival, name: str, theirs: Mapping[float, Ranks], fair: Bools) -> Standing:
        """The model beside it."""
        both = {share: {MODEL: answer.ranks, name: theirs[share]} for share, answer in self._answers.items()}
        return Standing(
            release=rival.release,
            key=rival.key,
            posts=int(fair.sum()),
            left_out=None if rival.seen is None else int(np.isin(self._groups, sorted(rival.seen)).sum()),
            shares=self.measure(both, fair),
            both_know=self.measure(both, fair, rival.scorer.known),
        )

    def measure(
        self, ranks: Mapping[float, Mapping[str, Ranks]], posts: Bools, labels: Bools | None = None
    ) -> list[ShareComparison]:
        """By hidden share, methods on some posts and labels; without the shares at which these hide nothing."""
        found = []
        for share, methods in ranks.items():
            part = {name: _part(of_method, posts, labels) for name, of_method in methods.items()}
            if len(part[MODEL].posts):
                found.append(ShareComparison.of(part, self._groups, self._options, hidden_share=share))
        return found


def ranks_of(rival: Rival, question: Question, batch_size: int, fair: Bools | None = None) -> Ranks:
    """Ask a checkpoint.

    Args:
        rival: The checkpoint.
        question: What is asked, in our labels' rows.
        batch_size: Posts at a time.
        fair: bool [posts of the task]: which to ask about; None for all.

    Raises:
        BooruError: Its scores are not numbers.
    """
    kept = np.flatnonzero(fair[question.posts]).tolist() if fair is not None else range(len(question))
    given, asked = ([rows[place] for place in kept] for rows in (question.given, question.asked))
    ranks: list[NDArray[np.int64]] = []
    for part, scores in scores_in_parts(rival.scorer, given, batch_size):
        if np.isnan(scores).any():
            raise BooruError(
                f"the checkpoint of {rival.release} gives scores that are not numbers, so nothing can be compared "
                f"with it. Train it again: `booru run --release {rival.release}`."
            )
        ranks += hidden_ranks(scores, asked[part])
    return Ranks.of(question.posts[list(kept)], asked, ranks)


def _part(ranks: Ranks, posts: Bools, labels: Bools | None = None) -> Ranks:
    """The ranks on some posts and labels, by their numbers."""
    return ranks.only(posts[ranks.post] if labels is None else posts[ranks.post] & labels[ranks.label])
