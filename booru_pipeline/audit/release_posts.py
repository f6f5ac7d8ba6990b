"""A release's posts as an audit looks them over: its labels, and what its other tags imply."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from scipy import sparse

from booru_pipeline.audit.evidence import SHOWN
from booru_pipeline.audit.tables import EVIDENCE
from booru_pipeline.dataset.posts import Posts
from booru_pipeline.dataset.tagged import Tagged
from booru_pipeline.ragged import gather, offsets_of
from booru_pipeline.training_shards.relations import Relations
from booru_pipeline.training_shards.shards import shard_files
from booru_pipeline.vocabulary.vocabulary import Vocabulary

Rows = NDArray[np.int64]


@dataclass(frozen=True)
class ReleasePosts:
    """A release's posts, and what their tags imply that are no labels.

    Attributes:
        posts: Sets of labels, with booru and fid in `about`; other tags are left out.
        told: Which label a tag that is none implies, float32 [posts, labels]: one more than the place of the tag in
            `tags` where it does, of several tags the first; else 0. Places are whole up to 16.7 million.
        tags: The release's tags.
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
        tagged, index = Tagged.read(shards, vocabulary), vocabulary.index
        names, places_of = tagged.tags.dictionary.to_pylist(), tagged.tags.indices.to_numpy()
        owner = np.repeat(np.arange(len(tagged.keys)), np.diff(tagged.offsets))
        is_label = tagged.rows >= 0
        about = pq.read_table(shard_files(shards), columns=["booru", "fid"])
        posts = Posts(
            tagged.rows[is_label].astype(np.int64),
            offsets_of(np.bincount(owner[is_label], minlength=len(tagged.keys))),
            tagged.keys,
            about,
        )
        rare = np.unique(places_of[~is_label])
        implied: list[list[int]] = [[] for _ in names]
        for place in rare.tolist():
            if names[place] in relations.implications:
                implied[place] = [index[other] for other in relations.closure([names[place]]) if other in index]
        sizes = np.array([len(rows) for rows in implied], dtype=np.int64)
        flat = np.array([row for rows in implied for row in rows], dtype=np.int64)
        on, by = owner[~is_label], places_of[~is_label].astype(np.int64)
        label, _ = gather(flat, offsets_of(sizes), by)
        post, by = np.repeat(on, sizes[by]), np.repeat(by, sizes[by])
        _, once = np.unique(post * len(index) + label, return_index=True)
        told = sparse.csr_array(
            (by[once].astype(np.float32) + 1, (post[once], label[once])), shape=(len(posts), len(index))
        )
        return cls(posts, told, names)

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
