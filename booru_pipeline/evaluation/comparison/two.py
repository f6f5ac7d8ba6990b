"""Any two checkpoints beside each other, on test posts that neither was trained on."""

from pydantic import Field

from booru_pipeline.dataset.posts import load_posts
from booru_pipeline.errors import BooruError
from booru_pipeline.evaluation.comparison.compare import PARENT, Comparison, Standing, compare, ranks_of
from booru_pipeline.evaluation.comparison.rivals import load_rival
from booru_pipeline.evaluation.figures.ranks import heading
from booru_pipeline.evaluation.finding import Finding
from booru_pipeline.evaluation.options import EvaluationOptions
from booru_pipeline.evaluation.recovery import Asked
from booru_pipeline.evaluation.results import HEADLINE, MODEL, ShareComparison, listed, shares_in_words
from booru_pipeline.evaluation.task import hide, recovery_task
from booru_pipeline.model.provenance import EarlierCheckpoint
from booru_pipeline.training_shards.relations import Relations
from booru_pipeline.vocabulary.implied import implied_matrix
from booru_pipeline.vocabulary.vocabulary import Vocabulary


class TwoCompared(Finding):
    """One checkpoint beside another; the keys are those of metrics.json's `comparison`, whose parent is the other."""

    model: str = Field(description="Release or trial of the one: the figures are its, less the other's.")
    other: str = Field(description="Release or trial of the other.")
    headline: str = Field(description="Where the one is ahead or behind on labels that both have, in a sentence.")
    comparison: Comparison

    @property
    def fair(self) -> list[ShareComparison]:
        """By hidden share, on labels that both have: whoever has fewer labels has the easier question otherwise."""
        return self.comparison.parent.both_know

    @property
    def question(self) -> str:
        """What was asked, where the two do not have the same labels; else empty."""
        both, new, gone = self.comparison.labels_both, self.comparison.labels_new, self.comparison.labels_gone
        if not new and not gone:
            return ""
        alone = f"{new:,} that {self.model} has alone and {gone:,} that {self.other} has"
        return f"Asked for were the {both:,} labels that both have, and not {alone}."


def compare_two(
    model: EarlierCheckpoint, other: EarlierCheckpoint, options: EvaluationOptions, relations: Relations
) -> TwoCompared:
    """Ask two checkpoints for the hidden labels of the first one's test posts that the second was not trained on.

    No baseline is asked. Labels go by name, so that the two may have other vocabularies.

    Args:
        model: The one, whose dataset must be there.
        other: The other. Without its dataset nobody can tell what it was trained on, and `left_out` is None.
        options: Hidden shares, sizes, resamples and seed.
        relations: Implications, which tell the labels that are derivable.

    Raises:
        BooruError: A checkpoint cannot be read, the first one's dataset is gone, or no test post hides a label.
    """
    if model.dataset is None:
        raise BooruError(
            f"the dataset that {model.release} was trained on is gone or was made anew since, so it cannot be asked "
            "about posts that it has not seen. Train it again, or name it second."
        )
    splits = [load_posts(model.dataset, split, labels=None, about=True) for split in ("train", "validation", "test")]
    test = splits[-1]
    vocabulary = Vocabulary.load(model.checkpoint)
    ours, theirs = (load_rival(one, test, vocabulary.labels) for one in (model, other))
    limit = min(options.test_posts, options.test_posts_slow) if ours.is_slow else options.test_posts
    task = recovery_task(test, vocabulary.labels, limit=limit, seed=options.seed)
    implied = implied_matrix(vocabulary, relations)
    questions = {share: hide(task, share, implied).not_derivable() for share in options.hidden_shares}
    answers = {}
    for share, question in questions.items():
        if len(question):
            ranks = ranks_of(ours, question, options.batch_size)
            answers[share] = Asked(question, ranks, [], {MODEL: ranks})
    if not answers:
        raise BooruError(
            f"no test post of {model.release} hides a label that the others do not imply, so nothing can be compared. "
            "Add a larger release and run again."
        )
    comparison = compare(
        theirs,
        None,
        task=task,
        answers=answers,
        best=None,
        splits=splits,
        labels=vocabulary.labels,
        options=options,
    )
    return TwoCompared(
        model=model.release,
        other=other.release,
        headline=headline(comparison.parent, model.release, other.release),
        comparison=comparison,
    )


def headline(standing: Standing, model: str, other: str) -> str:
    """Where the one is ahead of the other, or behind, by the whole 95 % interval, on labels that both have: a sentence.

    Args:
        standing: The one beside the other.
        model: The one's name.
        other: The other's name.
    """
    found: dict[str, list[str]] = {"ahead": [], "behind": []}
    for metric in HEADLINE:
        differences = {result.hidden_share: result.differences[PARENT][metric] for result in standing.both_know}
        shares = {
            "ahead": [share for share, difference in differences.items() if difference.low > 0],
            "behind": [share for share, difference in differences.items() if difference.high < 0],
        }
        for word, where in shares.items():
            if where:
                found[word].append(f"in {heading(metric)} with {shares_in_words(where)} hidden")
    said = [f"{word} {listed(where)}" for word, where in found.items() if where]
    if not said:
        return f"{model} and {other} are level: at no hidden share is a difference clear of chance."
    return f"{model} is, beside {other}, {' and '.join(said)}; elsewhere no difference is clear of chance."
