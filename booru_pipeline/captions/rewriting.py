"""What becomes of a caption's tags: cleaned, removed, made fuller or leaner, ordered, and spelled in its style."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from fnmatch import translate
from itertools import chain, takewhile
from typing import Final

from booru_pipeline.captions.text import Caption, Item, Reader
from booru_pipeline.errors import BooruError, printable
from booru_pipeline.release.names import canonical_tag
from booru_pipeline.tags import Category
from booru_pipeline.training_shards.relations import Relations

_ORDER: Final = (Category.CHARACTER, Category.COPYRIGHT, Category.ARTIST, Category.GENERAL, Category.META)
_RANK: Final = {int(category): rank for rank, category in enumerate(_ORDER)}
_FIRST: Final = -1  # the rank of triggers
_SEPARATOR: Final = re.compile(r"[ \t]*,[ \t]*")


@dataclass(frozen=True)
class Rules:
    """What is asked.

    Attributes:
        relations: Aliases, implications and deprecated tags.
        categories: Of tags, by name.
        clean: Put the tag for an alias, drop deprecated tags, and of a tag that is there twice the later one.
        remove: Shell patterns of tags that go.
        expand: Add what the tags imply.
        consolidate: Drop what another tag implies.
        order: Sort by category.
        spaces: Spell tags with spaces, or with underscores; None keeps what is there.
        escape: Escape parentheses, or do not; None keeps what is there.
        separator: Between two tags; None keeps a caption's.
        triggers: What each caption that is not empty begins with, as it is written here.
    """

    relations: Relations
    categories: Mapping[str, int] = field(default_factory=dict)
    clean: bool = False
    remove: Sequence[str] = ()
    expand: bool = False
    consolidate: bool = False
    order: bool = False
    spaces: bool | None = None
    escape: bool | None = None
    separator: str | None = None
    triggers: Sequence[str] = ()


@dataclass
class Changes:
    """What changed, counted by tag.

    Attributes:
        captions: All that were read; `changed` of them are not as they were.
        before: Tags, and other pieces between separators; `after` the same, when all is done.
        added: What is implied.
        dropped: By reason: `implied`, `removed`, `deprecated`, `doubled`.
        renamed: By alias and tag.
        respelled: Tags that are written otherwise, for the style.
        reordered: Captions.
    """

    captions: int = 0
    changed: int = 0
    before: int = 0
    after: int = 0
    added: Counter[str] = field(default_factory=Counter)
    dropped: dict[str, Counter[str]] = field(
        default_factory=lambda: {why: Counter() for why in ("implied", "removed", "deprecated", "doubled")}
    )
    renamed: Counter[tuple[str, str]] = field(default_factory=Counter)
    respelled: int = 0
    reordered: int = 0


@dataclass(frozen=True, slots=True)
class _Tag:
    """An item and what the rules make of it; `text` is None where that depends on the caption's style."""

    item: Item
    meaning: str
    rank: int
    implied: tuple[str, ...] = ()
    dropped: str = ""
    renamed: tuple[str, str] | None = None
    text: str | None = None


class Rewriter:
    """Rewrites captions. `read` is given all of them first, so that one without a style gets that of most others.

    Raises:
        BooruError: A pattern, separator or trigger is none.
    """

    def __init__(self, rules: Rules) -> None:
        if rules.expand and rules.consolidate:
            raise BooruError("--expand adds what --consolidate drops: give one of them.")
        if rules.separator is not None and not _SEPARATOR.fullmatch(rules.separator):
            raise BooruError(
                f"--separator {printable(rules.separator)!r} is not a comma with blanks around it: the tags could not "
                "be told apart again. Write --separator ', ', for instance."
            )
        relations = rules.relations
        self._triggers = {canonical_tag(trigger): trigger for trigger in rules.triggers}
        known = {*rules.categories, *chain.from_iterable(relations.aliases.items()), *relations.deprecated}
        known |= {*relations.implications, *chain.from_iterable(relations.implications.values()), *self._triggers}
        self.rules = rules
        self.changes = Changes()
        self.idle = dict.fromkeys(rules.remove)  # patterns that have matched nothing
        self._reader = Reader(known.__contains__, tuple(self._triggers))
        self._patterns = {pattern: _pattern(pattern) for pattern in rules.remove}
        self._tags: dict[str, _Tag] = {}
        self._new: dict[str, _Tag | None] = {}
        self._spelled: dict[tuple[str, bool, bool], str] = {}
        self._votes = [0, 0]
        self._fixed: list[_Tag] = []
        for name, trigger in self._triggers.items():
            if not name or trigger.strip() != trigger or not self._reader.is_one(trigger) or "," in trigger:
                raise BooruError(
                    f"--trigger {printable(trigger)!r} is not one word or phrase. Repeat --trigger for several, and "
                    "leave out commas, line ends, BREAK and |||."
                )
            self._fixed.append(self._look_at(self._reader.item(trigger)))

    def read(self, text: str) -> list[str | Caption]:
        """A file's captions, with the line ends between them."""
        parts = self._reader.read(text)
        for part in parts:
            for item in () if isinstance(part, str) else chain.from_iterable(part.sections):
                self._votes[0] += item.spaced
                self._votes[1] += item.escaped
        return parts

    def rewrite(self, parts: Sequence[str | Caption]) -> str:
        """The text of a file whose captions are given."""
        return "".join(part if isinstance(part, str) else self._caption(part) for part in parts)

    def _caption(self, caption: Caption) -> str:
        changes, separator = self.changes, self.rules.separator
        changes.captions += 1
        if not caption.barriers and not caption.sections[0]:
            return caption.text
        tags = [[self._tags.get(item.text) or self._look_at(item) for item in part] for part in caption.sections]
        present = {tag.meaning for tag in chain(self._fixed, *tags) if not tag.dropped}
        sections, moved = [], False
        for number, part in enumerate(tags):
            section = self._section(part, present, self._fixed if number == 0 else [])
            if self.rules.order:
                ordered = _by_category(section)
                moved = moved or ordered != section
                section = ordered
            sections.append(section)
        changes.reordered += moved
        changes.before += sum(map(len, caption.sections))
        changes.after += sum(map(len, sections))
        if self.rules.spaces is not None or self.rules.escape is not None:
            kept = (tag for tag in chain.from_iterable(sections) if tag.text is not None and tag.rank != _FIRST)
            changes.respelled += sum(tag.text != tag.item.text for tag in kept)
        texts = [[tag.text or self._spell(tag, caption) for tag in section] for section in sections]
        if separator is None and texts == [[item.text for item in part] for part in caption.sections]:
            return caption.text
        text = _joined(caption, texts, separator or caption.separator)
        tail = caption.tail if separator is None else caption.tail.replace(",", "").lstrip(" \t")
        text += tail if text else tail.strip(", \t")
        changes.changed += text != caption.text
        return text

    def _section(self, tags: list[_Tag], present: set[str], fixed: list[_Tag]) -> list[_Tag]:
        rules, changes = self.rules, self.changes
        kept = self._begun(tags, fixed) if fixed else []
        seen = set(self._triggers) if fixed else set()
        for tag in tags:
            name = tag.item.name
            if fixed and name in self._triggers:
                continue
            if tag.dropped:
                changes.dropped[tag.dropped][name] += 1
                continue
            if name and rules.clean and name in seen:
                changes.dropped["doubled"][name] += 1
                continue
            seen.add(name)
            if tag.renamed:
                changes.renamed[tag.renamed] += 1
            kept.append(tag)
        if rules.consolidate:
            implied = set().union(*(tag.implied for tag in kept))
            for tag in kept:
                if _goes(tag, implied):
                    changes.dropped["implied"][tag.item.name] += 1
            kept = [tag for tag in kept if not _goes(tag, implied)]
        elif rules.expand:
            for name in dict.fromkeys(chain.from_iterable(tag.implied for tag in kept)):
                if name not in present and (new := self._added(name)) is not None:
                    present.add(name)
                    changes.added[name] += 1
                    kept.append(new)
        return kept

    def _begun(self, tags: Sequence[_Tag], fixed: Sequence[_Tag]) -> list[_Tag]:
        """The triggers, with the weights that they have on the caption."""
        there = {tag.item.name: tag for tag in reversed(tags)}
        self.changes.added.update(tag.item.name for tag in fixed if tag.item.name not in there)
        return [there.get(tag.item.name, tag) for tag in fixed]

    def _look_at(self, item: Item) -> _Tag:
        if item.name in self._triggers:
            return self._look_at_trigger(item)
        relations, name, renamed = self.rules.relations, item.name, None
        meaning = relations.canonical(name)
        if self.rules.clean and meaning != name and (other := self._reader.tag(meaning, item)) is not None:
            renamed, item = (name, meaning), replace(other, category=item.category, text=item.text)
            if meaning in self._triggers:
                return self._look_at_trigger(item)
        dropped = ""
        if name:
            if self.rules.clean and (meaning in relations.deprecated or name in relations.deprecated):
                dropped = "deprecated"
            elif self._is_removed(name, item.name):
                dropped = "removed"
        category = self.rules.categories.get(item.name, self.rules.categories.get(meaning, item.category))
        rank = len(_RANK) if category is None else _RANK.get(int(category), len(_RANK))
        text = None if renamed else self._reader.spell(item, self.rules.spaces, self.rules.escape)
        tag = _Tag(item, meaning, rank, self._implied(meaning), dropped, renamed, text)
        self._tags[item.text] = tag
        return tag

    def _look_at_trigger(self, item: Item) -> _Tag:
        meaning = self.rules.relations.canonical(item.name)
        text = item.before + self._triggers[item.name] + item.after
        tag = self._tags[item.text] = _Tag(item, meaning, _FIRST, self._implied(meaning), text=text)
        return tag

    def _implied(self, tag: str) -> tuple[str, ...]:
        """What a tag implies; sorted, so that what is added has the same order everywhere."""
        return tuple(sorted(self.rules.relations.closure([tag]) - {tag})) if tag else ()

    def _is_removed(self, *names: str) -> bool:
        found = [pattern for pattern, rule in self._patterns.items() if any(rule.match(name) for name in names)]
        for pattern in found:
            self.idle.pop(pattern, None)
        return bool(found)

    def _added(self, name: str) -> _Tag | None:
        """What is implied, unless it is not to be on any caption."""
        if name not in self._new:
            item = self._reader.tag(name)
            wanted = item is not None and name not in self.rules.relations.deprecated and not self._is_removed(name)
            tag = self._look_at(item) if item is not None and wanted else None
            # On a caption it may stand as it is; what is added has the caption's style.
            self._new[name] = None if tag is None else replace(tag, text=None)
        return self._new[name]

    def _spell(self, tag: _Tag, caption: Caption) -> str:
        """A tag that was not there, in the caption's style, or else in that of most."""
        spaced = escaped = 0
        for item in chain.from_iterable(caption.sections):
            spaced += item.spaced
            escaped += item.escaped
        spaces, escape = self.rules.spaces, self.rules.escape
        spaces = (spaced or self._votes[0]) > 0 if spaces is None else spaces
        escape = (escaped or self._votes[1]) > 0 if escape is None else escape
        item = tag.item
        plain = item.before + item.core + item.after
        key = plain, spaces, escape
        if key not in self._spelled:
            self._spelled[key] = self._reader.spell(replace(item, text=plain), spaces, escape)
        return self._spelled[key]


def _goes(tag: _Tag, implied: Set[str]) -> bool:
    """Whether a tag is implied and no trigger. One with a weight was meant."""
    return tag.meaning in implied and tag.rank != _FIRST and not (tag.item.before or tag.item.after)


def _by_category(tags: Sequence[_Tag]) -> list[_Tag]:
    """The tags by category. What no list knows stays in front if it is there: it may be a trigger that nobody named."""
    front = list(takewhile(lambda tag: tag.rank == _FIRST or not (tag.item.known or tag.rank < len(_RANK)), tags))
    return [*sorted(front, key=lambda tag: tag.rank != _FIRST), *sorted(tags[len(front) :], key=lambda tag: tag.rank)]


def _joined(caption: Caption, sections: Sequence[Sequence[str]], separator: str) -> str:
    """The sections with the barriers between them, without blanks and commas at the ends."""
    text = ""
    for number, section in enumerate(sections):
        barrier = caption.barriers[number] if number < len(caption.barriers) else ""
        part = separator.join(section)
        if part and not caption.sections[number]:  # beside a barrier that has no separator on this side
            part = (separator if text and text[-1] not in ", \t\r\n" else "") + part
            part += separator if barrier and barrier[0] not in ", \t\r\n" else ""
        text += part + barrier
    return text.strip(", \t\r\n")


def _pattern(pattern: str) -> re.Pattern[str]:
    name = canonical_tag(re.sub(r"\\([()])", r"\1", pattern))
    if not name:
        raise BooruError("--remove is empty: give it a pattern, such as '*_eyes'.")
    return re.compile(translate(name))
