"""Release over release: the model beside its parent on the same held-out posts, and what has moved since."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from booru_pipeline.dataset.posts import Posts
from booru_pipeline.errors import BooruError
from booru_pipeline.evaluation.comparison.drift import Drift, drift
from booru_pipeline.evaluation.comparison.label_changes import LabelChanges, label_changes
from booru_pipeline.evaluation.comparison.rivals import Rival, Translated
from booru_pipeline.evaluation.figures.ranks import Ranks, hidden_ranks
from booru_pipeline.evaluation.options import HEADLINE_K, EvaluationOptions
from booru_pipeline.evaluation.recovery import Asked
from booru_pipeline.evaluation.results import MODEL, Versus, versus
from booru_pipeline.evaluation.scorer import Scorer, scores_in_parts
from booru_pipeline.evaluation.task import Question, RecoveryTask
from booru_pipeline.release.key import release_order

PARENT: Final = "parent"
PROMOTED: Final = "promoted"

Bools = NDArray[np.bool_]

DEFINITIONS: Final = {
    "parent": (
        "The checkpoint that this one went on from, or else the newest of an earlier release. It is asked the "
        "headline's question about the same posts, in its own vocabulary by label name: it is not told of visible "
        "labels that it lacks, and never guesses a hidden one that it lacks."
    ),
    "left_out": (
        "Test posts whose picture, or who themselves, are in the earlier checkpoint's train split; both checkpoints "
        "are compared without them. null if that dataset is gone, so that nobody can tell."
    ),
    "both_know": "Asked only for labels that the earlier checkpoint has too.",
    "new_labels": "Asked only for labels that the parent lacks; the model beside the best baseline.",
    "changes": (
        "Of the labels that both have and that `change_support` posts hide at the headline's share: on how many posts "
        "each was among the first 10 guesses, other hidden labels not counted. q: McNemar's exact test of gained "
        "against lost posts, Benjamini-Hochberg over all of these labels. The largest differences are listed; of many "
        "labels some are large by chance, which q tells."
    ),
    "drift": (
        "Share of pictures with a label in the releases that the parent was not trained on, against the others, of all "
        "splits; posts of one picture count once. q: Pearson's chi-squared test of the two shares where at least 5 "
        "pictures are expected in each cell, Benjamini-Hochberg over all of these labels. Listed are labels of q below "
        "0.05 whose share has changed most, in points."
    ),
    "out_of_time": (
        "The headline's question about test posts of the releases that the parent was not trained on, and of the "
        "others: the model, the best baseline, and the parent, for which the former lie in the future."
    ),
    "losses": (
        "Where the whole interval of a difference lies below 0, in recall@10 or MRR: against the best baseline, the "
        "parent or the promoted checkpoint, at any share. A checkpoint without losses, and without a leak, may be "
        "promoted."
    ),
}


@dataclass(frozen=True)
class Standing:
    """The model beside one earlier checkpoint, on test posts that neither was trained on.

    Attributes:
        release: Of which release the other is.
        key: Of its record.
        posts: Test posts scored.
        left_out: Test posts not scored since the other was trained on them; None if that cannot be told.
        shares: By hidden share, on labels that are not derivable. A share at which none is hidden is left out.
        both_know: The same, on the labels that both have.
    """

    release: str
    key: str
    posts: int
    left_out: int | None
    shares: Mapping[float, Versus]
    both_know: Mapping[float, Versus]

    def to_json(self) -> dict[str, Any]:
        """As in metrics.json."""
        return {
            "release": self.release,
            "key": self.key,
            "posts": self.posts,
            "left_out": self.left_out,
            "shares": _by_share(self.shares),
            "both_know": _by_share(self.both_know),
        }


@dataclass(frozen=True)
class Comparison:
    """All that has changed since an earlier checkpoint.

    Attributes:
        parent: The model beside its parent.
        promoted: The model beside the promoted checkpoint, if that is another one.
        labels_both: Labels that model and parent have.
        labels_new: Labels that the parent lacks.
        labels_gone: Labels of the parent that the model lacks.
        new_labels: By hidden share: the model and the best baseline on the labels that the parent lacks.
        share: The hidden share that `changes` is from.
        changes: What got better and worse, label by label.
        drift: How frequencies moved; None if the dataset has no posts of the one or the other kind.
        new_releases: Releases of test posts that the parent was not trained on.
        new_posts: By hidden share: model, best baseline and parent on test posts of these releases.
        earlier_posts: And on those of the others.
    """

    parent: Standing
    promoted: Standing | None
    labels_both: int
    labels_new: int
    labels_gone: int
    new_labels: Mapping[float, Versus]
    share: float
    changes: LabelChanges
    drift: Drift | None
    new_releases: list[str]
    new_posts: Mapping[float, Versus]
    earlier_posts: Mapping[float, Versus]

    def to_json(self) -> dict[str, Any]:
        """As in metrics.json."""
        return {
            "parent": self.parent.to_json(),
            "promoted": self.promoted and self.promoted.to_json(),
            "labels_both": self.labels_both,
            "labels_new": self.labels_new,
            "labels_gone": self.labels_gone,
            "new_labels": _by_share(self.new_labels),
            "changes": {"hidden_share": self.share, **asdict(self.changes)},
            "drift": self.drift and asdict(self.drift),
            "new_releases": self.new_releases,
            "out_of_time": {"new_posts": _by_share(self.new_posts), "earlier_posts": _by_share(self.earlier_posts)},
        }

    def to_markdown(self) -> str:
        """A table of model and parent by share, and how many labels are new."""
        parent = self.parent
        lines = [
            f"#### Since {parent.release}",
            "",
            f"recall@{HEADLINE_K} of the model less its parent's, and MRR, on {parent.posts:,} test posts; "
            f"{self.labels_new:,} labels are new, {self.changes.significant:,} of {self.changes.labels:,} known ones "
            "have changed by more than chance.",
            "",
            f"| hidden | model | parent | recall@{HEADLINE_K} | MRR |",
            "| ---: | ---: | ---: | ---: | ---: |",
        ]
        for share, result in parent.shares.items():
            difference = result.differences[PARENT]
            intervals = [f"{own.mean:+.3f} ({own.low:+.3f} to {own.high:+.3f})" for own in vars(difference).values()]
            recall = result.recall
            lines.append(
                f"| {100 * share:.3g} % | {recall[MODEL]:.3f} | {recall[PARENT]:.3f} | {' | '.join(intervals)} |"
            )
        return "\n".join(lines) + "\n"


def compare(
    parent: Rival,
    promoted: Rival | None,
    *,
    task: RecoveryTask,
    answers: Mapping[float, Asked],
    best: Mapping[float, str],
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
        best: The best baseline by hidden share, for each of these.
        splits: All posts of the dataset.
        labels: The vocabulary's labels by row.
        options: Sizes, support, resamples and seed.

    Raises:
        BooruError: An earlier checkpoint's scores are not numbers.
    """
    court = _Court(task, answers, labels, options)
    theirs, fair = court.ask(parent)
    known = Translated(parent.scorer, parent.labels, labels).known
    releases = task.posts.column("release")
    new_releases = sorted(set(releases) - parent.releases, key=release_order)
    of_new_release = np.isin(releases, new_releases)
    beside = {share: {MODEL: own.ranks, best[share]: own.by_method[best[share]]} for share, own in answers.items()}
    all_three = {share: {**own, PARENT: theirs[share]} for share, own in beside.items()}
    share = min(answers, key=lambda own: abs(own - options.headline_share))
    return Comparison(
        parent=court.standing(parent, PARENT, theirs, fair),
        promoted=court.standing(promoted, PROMOTED, *court.ask(promoted)) if promoted is not None else None,
        labels_both=int(known.sum()),
        labels_new=int((~known).sum()),
        labels_gone=len(parent.labels) - int(known.sum()),
        new_labels=court.measure(beside, fair, ~known),
        share=share,
        changes=label_changes(
            _part(answers[share].ranks, fair),
            _part(theirs[share], fair),
            known,
            labels,
            support=options.change_support,
            shown=options.changes_shown,
        ),
        drift=drift(splits, parent.releases, labels, shown=options.changes_shown),
        new_releases=new_releases,
        new_posts=court.measure(all_three, fair & of_new_release),
        earlier_posts=court.measure(all_three, fair & ~of_new_release),
    )


class _Court:
    """Hears earlier checkpoints on the questions that the model has answered."""

    def __init__(
        self, task: RecoveryTask, answers: Mapping[float, Asked], labels: Sequence[str], options: EvaluationOptions
    ) -> None:
        self._groups = np.asarray(task.posts.column("group_md5"), dtype=np.str_)
        self._answers = answers
        self._labels = labels
        self._options = options

    def ask(self, rival: Rival) -> tuple[dict[float, Ranks], Bools]:
        """Its ranks by hidden share, and which posts of the task it was asked about: those it was not trained on."""
        fair = ~np.isin(self._groups, sorted(rival.seen or ()))
        if rival.is_slow:
            fair[self._options.test_posts_slow :] = False  # the task's posts are in hash order: any first ones will do
        scorer = Translated(rival.scorer, rival.labels, self._labels)
        return {share: self._ranks(rival, scorer, own.question, fair) for share, own in self._answers.items()}, fair

    def standing(self, rival: Rival, name: str, theirs: Mapping[float, Ranks], fair: Bools) -> Standing:
        """The model beside it."""
        known = Translated(rival.scorer, rival.labels, self._labels).known
        both = {share: {MODEL: own.ranks, name: theirs[share]} for share, own in self._answers.items()}
        return Standing(
            release=rival.release,
            key=rival.key,
            posts=int(fair.sum()),
            left_out=None if rival.seen is None else int(np.isin(self._groups, sorted(rival.seen)).sum()),
            shares=self.measure(both, fair),
            both_know=self.measure(both, fair, known),
        )

    def measure(
        self, ranks: Mapping[float, Mapping[str, Ranks]], posts: Bools, labels: Bools | None = None
    ) -> dict[float, Versus]:
        """By hidden share, methods on some posts and labels; without the shares at which these hide nothing."""
        found = {}
        for share, methods in ranks.items():
            part = {name: _part(own, posts, labels) for name, own in methods.items()}
            if result := versus(part, self._groups, self._options):
                found[share] = result
        return found

    def _ranks(self, rival: Rival, scorer: Scorer, question: Question, fair: Bools) -> Ranks:
        kept = np.flatnonzero(fair[question.posts]).tolist()
        given, asked = ([own[place] for place in kept] for own in (question.given, question.asked))
        ranks: list[NDArray[np.int64]] = []
        for part, scores in scores_in_parts(scorer, given, self._options.batch_size):
            if np.isnan(scores).any():
                raise BooruError(
                    f"the checkpoint of {rival.release} gives scores that are not numbers, so nothing can be compared "
                    f"with it. Train it again: `booru run --release {rival.release}`."
                )
            ranks += hidden_ranks(scores, asked[part])
        return Ranks.of(question.posts[kept], asked, ranks)


def _part(ranks: Ranks, posts: Bools, labels: Bools | None = None) -> Ranks:
    """The ranks on some posts and labels, by their numbers."""
    return ranks.only(posts[ranks.post] if labels is None else posts[ranks.post] & labels[ranks.label])


def _by_share(results: Mapping[float, Versus]) -> list[dict[str, Any]]:
    return [{"hidden_share": share, **result.to_json()} for share, result in results.items()]
