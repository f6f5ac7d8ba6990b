"""Making an audit: its tables from a release's posts, its checkpoint, and the counts of all posts so far."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray
from scipy import sparse

from booru_pipeline.audit.aliases import propose_aliases
from booru_pipeline.audit.core_tags import core_tags
from booru_pipeline.audit.counts import PostCounts
from booru_pipeline.audit.evidence import speaks_against, speaks_for
from booru_pipeline.audit.exclusions import find_exclusions
from booru_pipeline.audit.implications import Pairs, not_kept, propose, same_category
from booru_pipeline.audit.options import AuditOptions
from booru_pipeline.audit.release_posts import ReleasePosts
from booru_pipeline.audit.scan import NO_LABEL, Scanner
from booru_pipeline.audit.tables import (
    ALIASES,
    CORE_TAGS,
    EXCLUSIONS,
    IMPLICATIONS,
    LIKELY,
    MISSING,
    NOT_KEPT,
    SCHEMAS,
    SUSPECT,
    table_file,
)
from booru_pipeline.dataset.posts import Posts, load_posts
from booru_pipeline.errors import BooruError
from booru_pipeline.model.predictor import Predictor
from booru_pipeline.progress import step
from booru_pipeline.training_shards.relations import Relations
from booru_pipeline.vocabulary.implied import direct_implications, implied_matrix
from booru_pipeline.vocabulary.vocabulary import Vocabulary

_HELD_OUT: Final = 1000
"""Validation posts at most on which T5 and counting are weighed."""
_HELD_OUT_SLOW: Final = 50
_SLOW: Final = 200
"""Posts of a release that are looked over by a checkpoint that takes a good part of a second for each."""

Rows = NDArray[np.int64]


@dataclass(frozen=True)
class Audit:
    """How much an audit found.

    Attributes:
        posts: Posts that were looked over.
        left_out: Posts of the release that were not, since the checkpoint is too slow.
        tags: Labels on them.
        rows: By table how many.
        shown: How many the commands show unless they are told otherwise.
    """

    posts: int
    left_out: int
    tags: int
    rows: dict[str, int]
    shown: dict[str, int]


def build_audit(
    *,
    shards: Path,
    dataset: Path,
    vocabulary: Path,
    checkpoint: Path,
    output: Path,
    options: AuditOptions,
    relations: Relations,
) -> Audit:
    """Write the tables of an audit, a Parquet file each; see `tables.SCHEMAS`.

    Args:
        shards: The release's posts.
        dataset: The posts of all releases up to it, which are counted.
        vocabulary: The labels of both.
        checkpoint: The model that is asked, of the same labels.
        output: A folder to make.
        options: What is kept.
        relations: Aliases and implications.

    Raises:
        BooruError: An artifact is missing, or does not fit the others.
    """
    words, predictor = Vocabulary.load(vocabulary), Predictor.load(checkpoint)
    if predictor.vocabulary.labels != words.labels:
        raise BooruError(
            f"the checkpoint {checkpoint} was trained with another vocabulary than {vocabulary}. "
            "Train again with `booru run`."
        )
    with step("reading the posts"):
        release = ReleasePosts.read(shards, words, relations)
        counts = PostCounts.read(dataset, len(words))
    left_out = 0
    if predictor.is_slow:
        options = options.model_copy(update={"asked_least": 0})
        left_out = max(0, len(release.posts) - _SLOW)
    if left_out:
        release = release.take(np.arange(_SLOW))
    posts = release.posts
    writer = _Writer(words, counts, implied_matrix(words, relations), posts, options)
    core = core_tags(counts, words, options.core_share, options.core_posts)
    validation = load_posts(dataset, "validation", labels=len(words))
    scanner = Scanner.of(
        predictor, lambda: load_posts(dataset, "train").matrix(len(words)), writer.implied, options, core
    )
    held_out = validation.take(np.arange(min(len(validation), _HELD_OUT_SLOW if predictor.is_slow else _HELD_OUT)))
    missing, suspects = scanner.weighed(held_out).scan(posts, release.told)
    tables = {
        MISSING: writer.found(
            missing.posts,
            missing.labels,
            np.lexsort((missing.posts, missing.labels, -missing.probability)),
            probability=missing.probability,
            implied=missing.implied,
            core_of=writer.names_of(missing.core_of),
            because=release.name_what_implies(
                missing.posts,
                missing.labels,
                speaks_for(posts, missing.posts, missing.labels, counts, writer.names, writer.implied),
            ),
        ),
        SUSPECT: writer.found(
            suspects.posts,
            suspects.labels,
            np.arange(len(suspects.posts)),
            probability=suspects.probability,
            rate=suspects.rate,
            ratio=suspects.ratio,
            because=speaks_against(posts, suspects.posts, suspects.labels, counts, writer.names),
        ),
        **writer.relations(relations),
        CORE_TAGS: writer.core(core),
    }
    output.mkdir(parents=True)
    for name, table in tables.items():
        pq.write_table(table.cast(SCHEMAS[name]), table_file(output, name), compression="zstd")
    rows = {name: len(table) for name, table in tables.items()}
    shown = {
        MISSING: int((missing.implied | (missing.probability >= LIKELY)).sum()),
        SUSPECT: rows[SUSPECT],
        IMPLICATIONS: int(pc.sum(tables[IMPLICATIONS]["may_be_asked"]).as_py() or 0),
    }
    return Audit(len(posts), left_out, len(posts.rows), rows, shown)


class _Writer:
    """Rows with names in the place of numbers."""

    def __init__(
        self,
        vocabulary: Vocabulary,
        counts: PostCounts,
        implied: sparse.csr_array,
        posts: Posts,
        options: AuditOptions,
    ) -> None:
        self._vocabulary, self._counts, self._posts, self._options = vocabulary, counts, posts, options
        self.implied = implied
        self.names = pa.array(vocabulary.labels, pa.string())
        self._categories = pa.array(vocabulary.category_names)

    def names_of(self, labels: Rows) -> pa.Array:
        """Names of labels; null for NO_LABEL."""
        return self.names.take(pa.array(labels, mask=labels == NO_LABEL))

    def found(self, posts: Rows, labels: Rows, order: Rows, **columns: Any) -> pa.Table:
        """A table of findings with their posts, in this order."""
        about = self._posts.about
        if about is None:
            raise ValueError("nothing is known of the posts but their labels")
        named = about.take(pa.array(posts))
        table = pa.table(
            {
                "booru": named["booru"],
                "fid": named["fid"],
                "tag": self.names.take(pa.array(labels)),
                "category": self._categories.take(pa.array(labels)),
                **columns,
            }
        )
        return table.take(pa.array(order))

    def relations(self, relations: Relations) -> dict[str, pa.Table]:
        """What the counts say of pairs of tags."""
        counts, words, least = self._counts, self._vocabulary, self._options.min_share
        with step("looking for implications"):
            proposed = propose(counts, words, self.implied, least)
            kept_not = not_kept(counts, direct_implications(words, relations), least)
        with step("looking for tags that exclude each other"):
            exclusions = find_exclusions(counts)
        aliases = propose_aliases(counts, words)
        return {
            IMPLICATIONS: self._implications(proposed),
            NOT_KEPT: self._pairs(kept_not, high=kept_not.high),
            EXCLUSIONS: pa.table(
                {
                    "first": self.names.take(pa.array(exclusions.first)),
                    "second": self.names.take(pa.array(exclusions.second)),
                    "together": exclusions.together,
                    "first_posts": counts.labels[exclusions.first],
                    "second_posts": counts.labels[exclusions.second],
                    "expected": exclusions.expected,
                }
            ),
            ALIASES: pa.table(
                {
                    "alias": self.names.take(pa.array(aliases.alias)),
                    "tag": self.names.take(pa.array(aliases.tag)),
                    "category": self._categories.take(pa.array(aliases.tag)),
                    "alias_posts": counts.labels[aliases.alias],
                    "tag_posts": counts.labels[aliases.tag],
                    "together": aliases.together,
                    "likeness": aliases.likeness,
                    "examples": _pages([counts.with_label(row) for row in aliases.alias.tolist()]),
                }
            ),
        }

    def _implications(self, pairs: Pairs) -> pa.Table:
        share = pairs.together / np.maximum(pairs.posts, 1)
        back = Pairs.of(pairs.consequent, pairs.antecedent, self._counts)
        return self._pairs(
            pairs,
            antecedent_category=self._categories.take(pa.array(pairs.antecedent)),
            consequent_category=self._categories.take(pa.array(pairs.consequent)),
            low=pairs.low,
            lift=share / self._counts.share[pairs.consequent],
            both_ways=back.low >= self._options.min_share,
            may_be_asked=same_category(pairs, self._vocabulary),
        )

    def _pairs(self, pairs: Pairs, **columns: Any) -> pa.Table:
        counts = self._counts
        both = zip(pairs.antecedent.tolist(), pairs.consequent.tolist(), strict=True)
        return pa.table(
            {
                "antecedent": self.names.take(pa.array(pairs.antecedent)),
                "consequent": self.names.take(pa.array(pairs.consequent)),
                "together": pairs.together,
                "posts": pairs.posts,
                "share": pairs.together / np.maximum(pairs.posts, 1),
                **columns,
                "counter_examples": _pages([counts.without(one, other) for one, other in both]),
            }
        )

    def core(self, core: sparse.csr_array) -> pa.Table:
        """Core tags, by character, the most frequent first."""
        character, tag = (part.astype(np.int64) for part in core.nonzero())
        together = self._counts.both(character, tag)
        posts = self._counts.labels[character]
        order = np.lexsort((tag, -together, character))
        table = pa.table(
            {
                "character": self.names.take(pa.array(character)),
                "tag": self.names.take(pa.array(tag)),
                "category": self._categories.take(pa.array(tag)),
                "together": together,
                "posts": posts,
                "share": together / np.maximum(posts, 1),
            }
        )
        return table.take(pa.array(order))


def _pages(pages: list[list[str]]) -> pa.Array:
    return pa.array(pages, pa.list_(pa.string()))
