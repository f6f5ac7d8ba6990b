"""A dataset that grows release by release: what each one changes of the posts before it, and what it adds."""

import hashlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from booru_pipeline.dataset.files import ROWS, PostFiles
from booru_pipeline.dataset.ledger import Ledger
from booru_pipeline.dataset.options import DatasetOptions
from booru_pipeline.dataset.settling import settle
from booru_pipeline.dataset.sides import contents_of, split_options
from booru_pipeline.dataset.tagged import NewPairs, Pairs, Tagged, count
from booru_pipeline.errors import BooruError
from booru_pipeline.lake.document import Document
from booru_pipeline.ragged import IntArray, offsets_of
from booru_pipeline.vocabulary.encoding import Encoding
from booru_pipeline.vocabulary.options import EncodingName
from booru_pipeline.vocabulary.vocabulary import Vocabulary

_POSTS: Final = 65_536  # that are made ready at a time
_RULES: Final = 1  # raise it when other code gives other rows: what was made by the former one is no start


class Totals(Document):
    """Sums over a dataset, which the next release's go on from.

    Attributes:
        made_with: Version of the code, and the options that decide which posts are captions.
        labels: How many labels the vocabulary had.
        labels_sha256: Of their names.
        listings: Rows of all shards.
        tokens: By encoding: how many captions have so many tokens, separators included.
        occurrences: Tags by category, of all posts as they were listed last.
        kept: Those of them that are labels.
        groups: How many groups have so many posts.
    """

    FILE = "totals.json"
    REMEDY = "Make the dataset again with `booru run --to tokenized_dataset`."

    made_with: dict[str, Any]
    labels: int
    labels_sha256: str
    listings: int = 0
    tokens: dict[EncodingName, dict[int, int]] = Field(default_factory=dict)
    occurrences: dict[int, int] = Field(default_factory=dict)
    kept: dict[int, int] = Field(default_factory=dict)
    groups: dict[int, int] = Field(default_factory=dict)


@dataclass
class Growing:
    """A dataset of some releases, to which more are added one by one.

    Attributes:
        vocabulary: Labels and their tokens.
        options: Which posts are captions.
        shards: Folders of training shards by release: those there are, and those to come.
        posts: All posts.
        ledger: What sides are decided by.
        pairs: Tags that were no labels when they were listed.
        labels: How many labels the posts there are were made with; they are the vocabulary's first.
        listings: Rows of their shards.
        tokens, occurrences, kept, groups: As in `Totals`.
    """

    vocabulary: Vocabulary
    options: DatasetOptions
    shards: Mapping[str, Path]
    posts: PostFiles
    ledger: Ledger
    pairs: Pairs
    labels: int
    listings: int
    tokens: dict[EncodingName, Counter[int]]
    occurrences: Counter[int]
    kept: Counter[int]
    groups: Counter[int]

    @classmethod
    def of(
        cls, shards: Mapping[str, Path], vocabulary: Vocabulary, options: DatasetOptions, earlier: Path | None
    ) -> "Growing":
        """The dataset that an earlier one is, if these shards, labels and options give the same; else one of nothing.

        Args:
            shards: All releases' shards, in order.
            vocabulary: The vocabulary of now, whose labels go on from those of the earlier one.
            options: The options of now.
            earlier: The folder of the earlier dataset.
        """
        try:
            if earlier is not None:
                totals, ledger = Totals.read(earlier), Ledger.read(earlier)
                if _goes_on(totals, ledger, shards, vocabulary, options):
                    posts, pairs = PostFiles.open(earlier), Pairs.open(earlier)
                    return cls(vocabulary, options, shards, posts, ledger, pairs, **_counters(totals))
        except (BooruError, OSError, ValueError, KeyError, pa.ArrowException):  # of an older version, or damaged
            pass
        nothing = Totals(made_with={}, labels=len(vocabulary), labels_sha256="")
        ledger = Ledger.empty(split_options(options))
        return cls(vocabulary, options, shards, PostFiles(), ledger, Pairs({}, {}), **_counters(nothing))

    def write(self, folder: Path, release: str) -> None:
        """Write everything but summary, gate and record into a dataset's folder, which is there."""
        self.posts.write(folder, release)
        self.ledger.write(folder)
        self.pairs.write(folder)
        Totals(
            made_with=_made_with(self.options),
            labels=len(self.vocabulary),
            labels_sha256=_sha256_of(self.vocabulary.labels),
            listings=self.listings,
            tokens=self.tokens,
            occurrences=self.occurrences,
            kept=self.kept,
            groups=self.groups,
        ).write(folder)

    def add(self, release: str) -> None:
        """Add a release, which is the first of those that are not there yet."""
        before, content = self.ledger, contents_of({release: self.shards[release]})[release]
        after = settle(before, release, self.shards[release], content)
        tagged = Tagged.read(self.shards[release], self.vocabulary)
        part = after.parts[-1]
        listed, renamed = part.slice(0, len(tagged.keys)), part.slice(len(tagged.keys))
        superseded = before.last(tagged.keys)
        new = self.pairs.with_labels(self.vocabulary.table["label"].combine_chunks()[self.labels :], self.labels)
        self._count_groups(before, after, part)
        self._count_tags(tagged, before, superseded)
        self._change(np.unique(tagged.keys), renamed, new)
        self._add(listed, tagged)
        self.pairs.tables[release] = tagged.pairs()
        self.ledger, self.labels, self.listings = after, len(self.vocabulary), self.listings + len(tagged.keys)

    def _count_groups(self, before: Ledger, after: Ledger, part: pa.Table) -> None:
        """Take the groups that the release concerns out of the sizes, and put them in as they are now."""
        there = before.last(part["key"].to_numpy())
        concerned = np.concatenate([before.numbers("group_token", there), part["group_token"].to_numpy()])
        for ledger, sign in ((before, -1), (after, 1)):
            rows = ledger.where(group_token=concerned)
            last = ledger.last(ledger.numbers("key", rows))
            _, posts = np.unique(ledger.numbers("group_token", last[np.isin(last, rows)]), return_counts=True)
            for size, groups in zip(*np.unique(posts, return_counts=True), strict=True):
                self.groups[int(size)] += sign * int(groups)

    def _count_tags(self, tagged: Tagged, before: Ledger, superseded: IntArray) -> None:
        """Count the release's tags, and take away those of the listings that it supersedes."""
        self._account((count(tagged.categories), count(tagged.categories[tagged.rows >= 0])), 1)
        former = before.take(superseded, ["release", "key", "categories"])
        gone = count(former["categories"].combine_chunks().flatten().to_numpy()) if len(former) else Counter[int]()
        known = self.vocabulary.table["label"].combine_chunks()[: self.labels]
        releases = former["release"].cast(pa.string()).to_numpy(zero_copy_only=False).astype(str)
        free = Counter[int]()
        for release in np.unique(releases):
            free += self.pairs.free(release, former["key"].to_numpy()[releases == release], known)
        self._account((gone, gone - free), -1)

    def _account(self, counted: tuple[Counter[int], Counter[int]], sign: int) -> None:
        for total, counts in zip((self.occurrences, self.kept), counted, strict=True):
            for category, tags in counts.items():
                total[category] += sign * tags

    def _change(self, listed: IntArray, renamed: pa.Table, new: NewPairs) -> None:
        """Take out the posts that are no longer as they were, and put those in again that are not listed again."""
        rows, was_caption = self.posts.take_out(np.concatenate([listed, renamed["key"].to_numpy(), new.keys]))
        self._count_tokens(rows.filter(pa.array(was_caption)), -1)
        rows = rows.filter(pa.array(~np.isin(rows["post_key"].to_numpy(), listed)))
        place = pc.index_in(rows["post_key"], value_set=renamed["key"].combine_chunks())
        name = pc.coalesce(renamed["group_md5"].take(place), rows["group_md5"]) if len(renamed) else rows["group_md5"]
        rows = rows.set_column(rows.column_names.index("group_md5"), "group_md5", name)
        rows, used = self._with_labels(rows, new)
        self._account((Counter(), count(used.categories)), 1)
        self._put(rows, np.ones(len(rows), bool))

    def _with_labels(self, rows: pa.Table, new: NewPairs) -> tuple[pa.Table, NewPairs]:
        """Posts with the labels that are new, and the pairs that were used, of the posts as they were listed last."""
        keys = rows["post_key"].to_numpy()
        order = np.argsort(keys, kind="stable")
        at = np.searchsorted(keys[order], new.keys)
        found = at < len(keys)
        post = order[np.minimum(at, max(len(keys) - 1, 0))] if len(keys) else np.empty(0, np.int64)
        if len(keys):
            releases = rows["release"].to_numpy(zero_copy_only=False)
            found &= (keys[post] == new.keys) & (releases[post] == new.releases)
        new, post = new.of(found), post[found] if len(keys) else post
        lists = rows["label_rows"].combine_chunks()
        sizes = lists.value_lengths().to_numpy(zero_copy_only=False).astype(np.int64)
        labels = np.concatenate([lists.flatten().to_numpy(), new.rows.astype(np.int32)])
        owners = np.concatenate([np.repeat(np.arange(len(rows)), sizes), post])
        order = np.lexsort((self._places[labels], owners))
        sizes = np.bincount(owners, minlength=len(rows))
        return _with_label_rows(rows, labels[order], sizes), new

    @property
    def _places(self) -> IntArray:
        """int64 [labels]: each label's place in alphabetical order, in which a post has its tags."""
        places = np.empty(len(self.vocabulary), np.int64)
        places[pc.sort_indices(self.vocabulary.table["label"]).to_numpy()] = np.arange(len(places))
        return places

    def _add(self, listed: pa.Table, tagged: Tagged) -> None:
        """Add the posts of a release, given as the ledger has them and with their tags, some at a time."""
        order = np.argsort(listed["key"].to_numpy(), kind="stable")
        place = order[np.searchsorted(listed["key"].to_numpy()[order], tagged.keys)]
        names = [name for name in ROWS.names if name in listed.column_names]
        categories = np.unique(self.vocabulary.categories)
        for start in range(0, len(place), _POSTS):
            some, of = tagged.some(start, start + _POSTS), listed.select(names).take(place[start : start + _POSTS])
            is_label = some.rows >= 0
            may = ~is_label & np.isin(some.categories, categories)
            columns = {name: of[name].cast(ROWS.field(name).type) for name in names}
            columns |= {"post_key": pa.array(some.keys), "label_rows": pa.nulls(len(of)), "length": pa.nulls(len(of))}
            rows = _with_label_rows(
                pa.table({name: columns[name] for name in ROWS.names}),
                some.rows[is_label],
                np.diff(offsets_of(is_label)[some.offsets]),
            )
            self._put(rows, np.diff(offsets_of(may)[some.offsets]) > 0)

    def _put(self, rows: pa.Table, open_: npt.NDArray[np.bool_]) -> None:
        """Add posts, each to the captions of its side or to those that are none."""
        is_caption = self.is_long_enough(rows) & pc.is_null(rows["left_out"]).to_numpy()
        self._count_tokens(rows.filter(pa.array(is_caption)), 1)
        self.posts.add(rows, open_, is_caption)

    def is_long_enough(self, rows: pa.Table) -> npt.NDArray[np.bool_]:
        """bool [posts]: whether posts (`ROWS`) have enough labels for a caption."""
        lengths = self._lengths(rows, self.options.encoding_name)
        return (lengths >= self.options.min_tokens) & (rows["length"].to_numpy() >= 2)

    def _lengths(self, rows: pa.Table, name: EncodingName) -> IntArray:
        lists = rows["label_rows"].combine_chunks()
        offsets = offsets_of(lists.value_lengths().to_numpy(zero_copy_only=False))
        encoding = Encoding.of(self.vocabulary, name)
        return encoding.caption_lengths(lists.flatten().to_numpy().astype(np.int64), offsets)

    def _count_tokens(self, rows: pa.Table, sign: int) -> None:
        for name, counts in self.tokens.items():
            for length, posts in zip(*np.unique(self._lengths(rows, name), return_counts=True), strict=True):
                counts[int(length)] += sign * int(posts)


def _with_label_rows(rows: pa.Table, labels: npt.NDArray[np.int32], sizes: IntArray) -> pa.Table:
    """Posts (`ROWS`) with other labels: int32 [total], one post after another, of these sizes."""
    lists = pa.ListArray.from_arrays(pa.array(offsets_of(sizes), pa.int32()), pa.array(labels))
    for name, column in (("label_rows", lists), ("length", pa.array(sizes))):
        field = ROWS.field(name)
        rows = rows.set_column(rows.column_names.index(name), field, column.cast(field.type))
    return rows


def _counters(totals: Totals) -> dict[str, Any]:
    """Totals as fields of `Growing`."""
    return {
        "labels": totals.labels,
        "listings": totals.listings,
        "tokens": {name: Counter(totals.tokens.get(name, {})) for name in EncodingName},
        **{name: Counter(getattr(totals, name)) for name in ("occurrences", "kept", "groups")},
    }


def _made_with(options: DatasetOptions) -> dict[str, Any]:
    return {"rules": _RULES, "encoding": options.encoding, "min_tokens": options.min_tokens}


def _sha256_of(labels: list[str]) -> str:
    return hashlib.sha256("\n".join(labels).encode()).hexdigest()


def _goes_on(
    totals: Totals, ledger: Ledger, shards: Mapping[str, Path], vocabulary: Vocabulary, options: DatasetOptions
) -> bool:
    return (
        totals.made_with == _made_with(options)
        and totals.labels <= len(vocabulary)
        and totals.labels_sha256 == _sha256_of(vocabulary.labels[: totals.labels])
        and ledger.is_start_of(contents_of(shards), split_options(options))
        and len(ledger.shards) < len(shards)
    )
