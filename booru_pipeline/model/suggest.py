"""Ask a checkpoint what labels imply, and count in the shards how often that is so."""

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

import duckdb
import numpy as np

from booru_pipeline.errors import BooruError
from booru_pipeline.model.predictor import Predictor
from booru_pipeline.sql import run
from booru_pipeline.tags import Category
from booru_pipeline.training_shards.relations import Relations
from booru_pipeline.training_shards.shards import shard_files
from booru_pipeline.vocabulary.vocabulary import Vocabulary


@dataclass(frozen=True)
class Suggestion:
    """A label that the given ones imply.

    Attributes:
        tag: The label.
        probability: Calibrated probability that a post with the given labels has it too.
        category: Its category's name.
        together: Posts that have all the given labels and this one.
        given: Posts that have all the given labels.
        share: together / given; 0 where no post has all the given labels.
        implied: Whether an implication already says so: Danbooru adds such tags by itself.
    """

    tag: str
    probability: float
    category: str
    together: int
    given: int
    share: float
    implied: bool


def suggest(
    tags: Sequence[str],
    *,
    checkpoint: Path,
    shards: Sequence[Path],
    relations: Relations,
    top: int = 10,
) -> list[Suggestion]:
    """The labels that the given ones imply, most probable first.

    Args:
        tags: What a person typed: labels or aliases, in any case, with spaces or underscores.
        checkpoint: The model's folder.
        shards: Folders of training shards to count in; of a post in several releases the latest listing counts.
        relations: Aliases and implications.
        top: Suggestions at most.

    Raises:
        BooruError: No tag is given, a tag is unknown, `top` is below 1, or there are no shards or no checkpoint.
    """
    if top < 1:
        raise BooruError(f"cannot give {top} suggestions: --top must be at least 1.")
    given = list(dict.fromkeys(relations.canonical(tag) for tag in typed_tags(tags)))
    if not given:
        raise BooruError("no tag is given. Name at least one, such as usada_pekora.")
    files = shard_files(*shards)
    predictor = Predictor.load(checkpoint)
    vocabulary = predictor.vocabulary
    with duckdb.connect() as connection:
        for tag in given:
            if tag not in vocabulary.index:
                raise _unknown(tag, vocabulary, connection, files)
        rows = [vocabulary.index[tag] for tag in given]
        probability = predictor.probabilities([rows])[0]
        best = [row for row in np.argsort(-probability, kind="stable").tolist() if row not in rows][:top]
        candidates = [vocabulary.labels[row] for row in best]
        counted = run(connection, "model/suggest", "count_together", shards=files, given=given, candidates=candidates)
        counts = {tag: (together, total) for tag, together, total in counted.fetchall()}
    implied = relations.closure(given)
    return [
        Suggestion(
            tag=tag,
            probability=float(probability[row]),
            category=Category.name_of(int(vocabulary.categories[row])),
            together=together,
            given=total,
            share=together / total if total else 0.0,
            implied=tag in implied,
        )
        for row, tag in zip(best, candidates, strict=True)
        for together, total in [counts[tag]]
    ]


def typed_tags(tags: Sequence[str]) -> list[str]:
    """Bring what a person typed into the form of tags: underscores for spaces, lower case, each once, order kept."""
    typed = ("_".join(tag.lower().split()) for tag in tags)
    return list(dict.fromkeys(tag for tag in typed if tag))


def _unknown(tag: str, vocabulary: Vocabulary, connection: duckdb.DuckDBPyConnection, files: list[str]) -> BooruError:
    row = run(connection, "model/suggest", "count_posts", shards=files, tag=tag).fetchone()
    posts = row[0] if row else 0
    close = get_close_matches(tag, vocabulary.labels, n=3)
    hint = f"Did you mean {' or '.join(close)}?" if close else "Look for its spelling with `booru sql`."
    if posts:
        return BooruError(
            f"{tag} is on {posts:,} post{'' if posts == 1 else 's'} of the releases, too rare for this vocabulary, "
            f"or of a category left out of it. {hint}"
        )
    return BooruError(f"no label is called {tag}. {hint}")
