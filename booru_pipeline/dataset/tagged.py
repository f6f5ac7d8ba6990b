"""A release's posts with their tags, as rows of the vocabulary and, where they are no labels, by name."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from booru_pipeline.dataset.chance import post_keys
from booru_pipeline.dataset.ledger import among
from booru_pipeline.lake.publish import duplicate
from booru_pipeline.ragged import IntArray, offsets_of
from booru_pipeline.training_shards.shards import shard_files
from booru_pipeline.vocabulary.vocabulary import Vocabulary

PAIRS_FOLDER: Final = "pairs"

_PAIRS: Final = pa.schema(
    [("tag", pa.dictionary(pa.int32(), pa.string())), ("category", pa.int8()), ("key", pa.int64())]
)


@dataclass(frozen=True)
class Tagged:
    """Posts and their tags.

    Attributes:
        keys: int64 [posts], as `post_keys` gives them.
        offsets: int64 [posts + 1]; post i has the tags `offsets[i]:offsets[i + 1]`.
        rows: int32 [total], each tag's row in the vocabulary; -1 if it is no label.
        categories: int8 [total], each tag's category in the post.
        tags: [total], dictionary-encoded.
    """

    keys: IntArray
    offsets: IntArray
    rows: npt.NDArray[np.int32]
    categories: npt.NDArray[np.int8]
    tags: pa.DictionaryArray

    @classmethod
    def read(cls, folder: Path, vocabulary: Vocabulary) -> Self:
        """A release's shards."""
        shard = pq.read_table(
            shard_files(folder),
            columns=["booru", "fid", "tags", "categories"],
            read_dictionary=["booru", "tags.list.element"],
        )
        keys = post_keys(shard["booru"].cast(pa.string()).to_numpy(), shard["fid"].to_numpy())
        tags = shard["tags"].combine_chunks() if shard.num_rows else pa.array([], shard.schema.field("tags").type)
        names = tags.flatten()
        row_of = pc.index_in(names.dictionary, value_set=vocabulary.table["label"].combine_chunks()).fill_null(-1)
        rows = row_of.to_numpy()[names.indices.to_numpy()].astype(np.int32)
        categories = shard["categories"].combine_chunks().flatten().to_numpy() if len(shard) else np.empty(0, np.int8)
        return cls(keys, offsets_of(tags.value_lengths().to_numpy(zero_copy_only=False)), rows, categories, names)

    def some(self, first: int, end: int) -> Self:
        """The posts from one position to another, or to the last, in the memory of all."""
        offsets = self.offsets[first : end + 1]
        tags = slice(offsets[0], offsets[-1])
        return type(self)(
            self.keys[first:end], offsets - offsets[0], self.rows[tags], self.categories[tags], self.tags[tags]
        )

    def pairs(self) -> pa.Table:
        """Tags that are no labels, each with its category and the key of its post."""
        free = np.flatnonzero(self.rows < 0)
        keys = np.repeat(self.keys, np.diff(self.offsets))[free]
        tags = self.tags.take(pa.array(free)).cast(_PAIRS.field("tag").type)
        return pa.table({"tag": tags, "category": self.categories[free], "key": keys}, schema=_PAIRS)


def count(categories: npt.NDArray[np.int8]) -> Counter[int]:
    """How often each category occurs."""
    counts = np.bincount(categories.view(np.uint8), minlength=256)  # much faster than unique
    return Counter({int(np.uint8(value).view(np.int8)): int(counts[value]) for value in np.flatnonzero(counts)})


@dataclass(frozen=True)
class NewPairs:
    """Posts with tags that have become labels since they were listed.

    Attributes:
        keys: int64 [pairs], of the posts.
        rows: int64 [pairs], of the labels.
        categories: int8 [pairs], as in the posts.
        releases: object [pairs], which listing has the tag.
    """

    keys: IntArray
    rows: IntArray
    categories: npt.NDArray[np.int8]
    releases: npt.NDArray[np.object_]

    def of(self, chosen: npt.NDArray[np.bool_]) -> "NewPairs":
        """Some of them, bool [pairs]."""
        return NewPairs(self.keys[chosen], self.rows[chosen], self.categories[chosen], self.releases[chosen])


@dataclass
class Pairs:
    """Tags that were no labels when their posts were listed, by release.

    Attributes:
        tables: See `Tagged.pairs`.
        files: Where those of an earlier dataset lie.
    """

    tables: dict[str, pa.Table]
    files: dict[str, Path]

    @classmethod
    def open(cls, folder: Path) -> Self:
        """Those of a dataset's folder. OSError, ValueError or pa.ArrowException: they cannot be read."""
        files = {path.stem: path for path in sorted((folder / PAIRS_FOLDER).glob("*.arrow"))}
        return cls({name: pa.ipc.open_file(pa.memory_map(str(path))).read_all() for name, path in files.items()}, files)

    def write(self, folder: Path) -> None:
        """Write them into a dataset's folder, as hard links where they lie in a file already."""
        (folder / PAIRS_FOLDER).mkdir()
        for release, table in self.tables.items():
            target = folder / PAIRS_FOLDER / f"{release}.arrow"
            if release in self.files:
                duplicate(self.files[release], target)
                continue
            with pa.ipc.new_file(str(target), _PAIRS) as writer:
                writer.write_table(table.unify_dictionaries().combine_chunks())

    def free(self, release: str, keys: IntArray, labels: pa.Array) -> Counter[int]:
        """How many tags of some posts, as a release lists them, are none of these labels, by category."""
        found = Counter[int]()
        for batch in self.tables[release].to_batches():
            rows = among(batch["key"].to_numpy(), keys)
            names = batch["tag"]
            is_label = pc.is_in(names.dictionary, value_set=labels).to_numpy(zero_copy_only=False)
            found += count(batch["category"].to_numpy()[rows][~is_label[names.indices.to_numpy()[rows]]])
        return found

    def with_labels(self, labels: pa.Array, first: int) -> NewPairs:
        """Those whose tag is one of these labels, the first of which has this row."""
        keys, rows, categories, releases = [np.empty(0, np.int64)], [np.empty(0, np.int64)], [np.empty(0, np.int8)], []
        for release, table in self.tables.items() if len(labels) else ():
            for batch in table.to_batches():
                names = batch["tag"]
                row_of = pc.index_in(names.dictionary, value_set=labels).fill_null(-1).to_numpy()
                row = row_of[names.indices.to_numpy()]
                found = np.flatnonzero(row >= 0)
                keys.append(batch["key"].to_numpy()[found])
                rows.append(first + row[found].astype(np.int64))
                categories.append(batch["category"].to_numpy()[found])
                releases += [release] * len(found)
        return NewPairs(
            np.concatenate(keys), np.concatenate(rows), np.concatenate(categories), np.array(releases, dtype=object)
        )
