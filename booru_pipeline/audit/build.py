"""Making an audit: its tables from a release's posts, its checkpoint, and the counts of all posts so far."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray
from scipy import sparse

from booru_pipeline.audit.aliases import propose_aliases
from booru_pipeline.audit.core_tags import core_tags
from booru_pipeline.audit.counts import PostCounts
from booru_pipeline.audit.evidence import SHOWN, speaks_against, speaks_for
from booru_pipeline.audit.exclusions import find_exclusions
from booru_pipeline.audit.implications import Pairs, not_kept, propose, same_category
from booru_pipeline.audit.options import AuditOptions
from booru_pipeline.audit.scan import NO_LABEL, Scanner
from booru_pipeline.audit.tables import (
    ALIASES,
    CORE_TAGS,
    EVIDENCE,
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
from booru_pipeline.ragged import offsets_of
from booru_pipeline.tags import Category
from booru_pipeline.training_shards.relations import Relations
from booru_pipeline.training_shards.shards import shard_files
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


@dataclass(frozen=True)
class ReleasePosts:
    """A release's posts, and what their tags imply that are no labels.

    Attributes:
        posts: Sets of labels, with booru and fid in `about`; other tags are left out.
        told: Which label a tag that is none implies, float32 [posts, labels]; one more than the place of the tag in
            `tags` where it does, and of several tags any.
        tags: Such tags.
    """

    posts: Posts
    told: sparse.csr_array
    tags: list[str]

    @classmethod
    def read(cls, shards: Path, vocabulary: Vocabulary, relations: Relations) -> Self:
        """Read a release's shards.

        Raises:
            BooruError: There are none.
        """
        columns = ["booru", "fid", "tags"]
        table = pq.read_table(shard_files(shards), columns=columns, read_dictionary=["tags.list.element"])
        index = vocabulary.index
        labels, tags = pa.array(vocabulary.labels, pa.string()), list[str]()
        rows, sizes, told = [np.empty(0, np.int64)], [np.empty(0, np.int64)], [np.empty((3, 0), np.int64)]
        first = 0
        for chunk in table["tags"].chunks:
            names = chunk.flatten()
            row_of = pc.index_in(names.dictionary, value_set=labels).fill_null(NO_LABEL).to_numpy()
            place = names.indices.to_numpy()
            row = row_of[place].astype(np.int64)
            owner = np.repeat(np.arange(len(chunk)), chunk.value_lengths().to_numpy())
            rows.append(row[row >= 0])
            sizes.append(np.bincount(owner[row >= 0], minlength=len(chunk)))
            for rare in np.unique(place[row < 0]).tolist():
                tag = names.dictionary[rare].as_py()
                implied = [index[other] for other in relations.closure([tag]) if other in index]
                if implied:
                    tags.append(tag)
                    on = first + owner[place == rare]
                    cells = np.repeat(on, len(implied)), np.tile(implied, len(on))
                    told.append(np.stack([*cells, np.full(len(cells[0]), len(tags))]))
            first += len(chunk)
        posts = Posts(np.concatenate(rows), offsets_of(np.concatenate(sizes)), about=table.select(["booru", "fid"]))
        post, label, by = np.concatenate(told, axis=1)
        _, once = np.unique(post * len(index) + label, return_index=True)
        which = by[once].astype(np.float32)
        return cls(posts, sparse.csr_array((which, (post[once], label[once])), shape=(len(posts), len(index))), tags)

    def take(self, chosen: Rows) -> Self:
        """Some of the posts."""
        return replace(self, posts=self.posts.take(chosen), told=sparse.csr_array(self.told[chosen]))

    def name_what_implies(self, at: Rows, labels: Rows, because: pa.ChunkedArray) -> pa.ChunkedArray:
        """The evidence of findings, with the tag before it that is no label and implies what is found."""
        if not self.told.nnz or not len(at):
            return because
        by = np.asarray(self.told[at, labels]).ravel().astype(np.int64)
        told = np.flatnonzero(by).tolist()
        if not told:
            return because
        lists = because.take(pa.array(told)).to_pylist()
        for place, row in enumerate(told):
            first = {"tag": self.tags[by[row] - 1], "together": None, "posts": None, "expected": None}
            lists[place] = [first, *lists[place]][:SHOWN]
        every = pa.concat_arrays([*because.chunks, pa.array(lists, EVIDENCE)])
        place_of = np.arange(len(because))
        place_of[told] = len(because) + np.arange(len(told))
        return pa.chunked_array([every.take(pa.array(place_of))])


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
        self._categories = pa.array([Category.name_of(number) for number in vocabulary.categories.tolist()])

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
