"""One post explained: which of its tags are labels and why the others are not, and how the model sees it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from booru_pipeline import sql
from booru_pipeline.dataset.build import DatasetSummary
from booru_pipeline.dataset.captions import CaptionChoice
from booru_pipeline.dataset.chance import post_keys
from booru_pipeline.dataset.ledger import SIDE_COLUMNS, Ledger
from booru_pipeline.dataset.masking import Kind, Masking
from booru_pipeline.dataset.options import MaskingOptions
from booru_pipeline.dataset.posts import Posts
from booru_pipeline.errors import BooruError, printable
from booru_pipeline.ragged import IntArray, offsets_of
from booru_pipeline.release.post_pages import read_post
from booru_pipeline.tags import Category
from booru_pipeline.training_shards.relations import Relations
from booru_pipeline.training_shards.shards import attach, shard_files
from booru_pipeline.vocabulary.counting import TagCounts
from booru_pipeline.vocabulary.faults import LabelFaults
from booru_pipeline.vocabulary.options import VocabularyOptions
from booru_pipeline.vocabulary.vocabulary import Vocabulary

_SQL: Final = "dataset/inspection"

KEPT: Final = "in the caption"

_WORD_START: Final = "▁"  # SentencePiece's sign for white space


@dataclass(frozen=True)
class TagFate:
    """A tag of the post, as the raw release has it, and its fate: `in the caption`, or why not.

    `deprecated` is whether Danbooru has given it up.
    """

    tag: str
    category: str
    fate: str
    deprecated: bool = False


@dataclass(frozen=True)
class SeenExample:
    """The post as the model would see it once, as text: what is hidden of it, the input, and the answer."""

    kind: str
    source: str
    target: str


@dataclass(frozen=True)
class Inspection:
    """A post and its fate in a dataset.

    Attributes:
        booru: Where it is from.
        fid: Its id there.
        release: The latest release that lists it.
        picture: Its md5 there.
        group_md5: Its group: the same picture, or nearly.
        split: Its side.
        left_out: Why it is no caption, or None if it is one.
        tags: All its tags.
        implied: Tags that its tags imply and that it lacks.
        examples: The post as the model sees it, one of each kind; none if it is no caption.
    """

    booru: str
    fid: int
    release: str
    picture: str
    group_md5: str
    split: str
    left_out: str | None
    tags: list[TagFate]
    implied: list[str]
    examples: list[SeenExample]


@dataclass(frozen=True)
class Inspector:
    """Finds posts in what was made of a release and the ones before it.

    Attributes:
        dataset: The dataset's folder.
        vocabulary: Its vocabulary.
        shards: Folders of training shards by release, those that the dataset was made from.
        tag_tables: DuckDB files by release; without one, a post's aliases are not told.
        relations: Aliases, implications and deprecated tags.
        thresholds: Those that the vocabulary was made with.
        masking: What is hidden of captions.
    """

    dataset: Path
    vocabulary: Vocabulary
    shards: Mapping[str, Path]
    tag_tables: Mapping[str, Path]
    relations: Relations
    thresholds: VocabularyOptions = field(default_factory=VocabularyOptions)
    masking: MaskingOptions = field(default_factory=MaskingOptions)

    @cached_property
    def _left_out(self) -> list[dict[str, Any]]:
        return LabelFaults.read(self.vocabulary.folder).left_out

    def sample(self, number: int, seed: int = 0) -> list[tuple[str, int]]:
        """Some posts of the dataset at random, as (booru, fid)."""
        rows = np.sort(np.random.default_rng(seed).permutation(len(self._ledger))[:number])
        posts = self._ledger.take(self._ledger.last(self._ledger.numbers("key", rows)), ["booru", "fid"])
        return [(row["booru"], row["fid"]) for row in posts.to_pylist()]

    def find(self, post: Sequence[str]) -> tuple[str, int]:
        """A post that a person named: its id, with the booru before it where two boorus have that id.

        Raises:
            BooruError: It is not in the dataset's releases, or the name fits several.
        """
        words = " ".join(post).split()
        if len(words) > 2:
            raise BooruError(f"{printable(' '.join(words))!r} names no post: give its id, or booru and id.")
        booru, number = read_post("/".join(words))
        boorus = sorted(set(self._listings(number)["booru"].to_pylist()))
        boorus = [name for name in boorus if booru is None or booru in name]
        if not boorus:
            raise BooruError(
                f"no post {printable('/'.join(post))} in {', '.join(self.shards)}. Look for one with "
                '`booru sql "select booru, fid from files limit 10"`.'
            )
        if len(boorus) > 1:
            raise BooruError(
                f"{', '.join(boorus)} all have a post {number}. Name the booru too: `booru inspect BOORU {number}`."
            )
        return boorus[0], number

    def inspect(self, booru: str, fid: int, seed: int = 0) -> Inspection:
        """Say what became of a post of the dataset's releases; the seed is that of the examples."""
        side = self._listings(fid).filter(pc.field("booru") == booru).to_pylist()[-1]
        with duckdb.connect() as connection:
            of_release = shard_files(self.shards[side["release"]])
            tags = dict(sql.run(connection, _SQL, "listing", shards=of_release, booru=booru, fid=fid).fetchall())
            others = [tag for tag in tags if tag not in self.vocabulary.index]
            aliases, spellings = self._aliases(connection, side, tags)
        counts = TagCounts.posts_of(self.vocabulary.folder, others)
        summary = DatasetSummary.read(self.dataset)
        choice = CaptionChoice.of(self.vocabulary, summary.captions, seed)
        rows = [self.vocabulary.index[tag] for tag in tags if tag in self.vocabulary.index]
        key = post_keys(np.array([booru], dtype=object), np.array([fid]))
        post = Posts(np.array(rows, dtype=np.int64), offsets_of([len(rows)]), key)
        left_out = side["left_out"]
        tokens = int(choice.encoding.caption_lengths(post.rows, post.offsets)[0])
        if left_out is None and (tokens < summary.captions.min_tokens or len(rows) < 2):
            left_out = f"its labels have {tokens} tokens, fewer than min_tokens {summary.captions.min_tokens}"
        kept = set() if left_out else {self.vocabulary.labels[row] for row in choice.choose(post, 0).rows}
        deprecated = self.relations.deprecated
        fates = [
            TagFate(
                tag, Category.name_of(category), self._fate(tag, category, kept, counts, left_out), tag in deprecated
            )
            for tag, category in tags.items()
        ]
        fates += [
            TagFate(written, Category.name_of(tags[tag]), f"written so in the dump: {tag}")
            for written, tag in spellings.items()
        ]
        fates += [
            TagFate(alias, Category.name_of(tags[tag]), f"an alias of {tag}, which stands for it")
            for alias, tag in aliases.items()
        ]
        return Inspection(
            **{**side, "left_out": left_out},
            tags=sorted(fates, key=lambda item: (item.fate != KEPT, item.fate, item.tag)),
            implied=sorted(self.relations.closure(tags) - set(tags)),
            examples=[] if left_out else self._examples(choice, post, seed),
        )

    @cached_property
    def _ledger(self) -> Ledger:
        return Ledger.read(self.dataset)

    def _listings(self, fid: int) -> pa.Table:
        """All that the ledger says of posts with this id, the last word on each last; the columns of `Sides.table`."""
        return self._ledger.take(self._ledger.where(fid=np.array([fid])), SIDE_COLUMNS)

    def _aliases(
        self, connection: duckdb.DuckDBPyConnection, side: Mapping[str, Any], tags: Mapping[str, int]
    ) -> tuple[dict[str, str], dict[str, str]]:
        """Names of the raw release that stand for a tag of the post, and other spellings of its tags there."""
        table = self.tag_tables.get(side["release"])
        if table is None or not table.is_file():
            return {}, {}
        attach(connection, table)
        try:
            raw = sql.run(connection, _SQL, "raw_tags", booru=side["booru"], fid=side["fid"]).fetchall()
        except duckdb.CatalogException:  # an older version made the tag table, without raw_tags
            return {}, {}
        named = {tag: self.relations.canonical(tag) for tag, _ in raw if tag not in tags}
        canonical = {tag: tag for tag in tags} | named
        spellings = {written: canonical[tag] for tag, written in raw if written != tag}
        return (
            {alias: tag for alias, tag in named.items() if tag in tags},
            {written: tag for written, tag in spellings.items() if tag in tags},
        )

    def _fate(self, tag: str, category: int, kept: set[str], counts: Mapping[str, int], left_out: str | None) -> str:
        if tag in kept:
            return KEPT
        if tag in self.vocabulary.index:
            return "a label, but the post is left out" if left_out else "a label, left out of this caption for length"
        if category not in self.thresholds.categories:
            return f"no label: {Category.name_of(category)} tags are not learned"
        for item in self._left_out:
            if item["label"] == tag:
                return f"no label: it cannot be told apart by its tokens ({', '.join(item['faults'])})"
        posts = counts.get(tag, 0)
        least = self.thresholds.min_general_posts if category == Category.GENERAL else self.thresholds.min_name_posts
        return f"no label: on {posts:,} post{'' if posts == 1 else 's'}, {least:,} are needed"

    def _examples(self, choice: CaptionChoice, post: Posts, seed: int) -> list[SeenExample]:
        masking = Masking(choice, self.masking, self.vocabulary.special_tokens, seed)
        return [
            SeenExample(
                kind.name.lower().replace("_", " "),
                self._text(example.source, choice),
                self._text(example.target, choice),
            )
            for kind in Kind
            for example in masking.examples(post, 0, kind)
        ]

    def _text(self, tokens: IntArray, choice: CaptionChoice) -> str:
        """Tokens in words: labels separated by commas, a sentinel as the T5 paper writes it."""
        special = self.vocabulary.special_tokens
        names = {special.separator: ", ", special.eos: ""}
        names |= {sentinel: f" <{number}> " for number, sentinel in enumerate(special.sentinels)}
        if choice.encoding.separator is None:
            first = self.vocabulary.first_token_id
            words = [names.get(token) or self.vocabulary.labels[token - first] for token in tokens[:-1].tolist()]
            return ", ".join(word.strip() for word in words)
        pieces = self.vocabulary.pieces
        return "".join(
            names[token] if token in names else pieces.id_to_piece(token).replace(_WORD_START, " ")
            for token in tokens.tolist()
        ).strip()
