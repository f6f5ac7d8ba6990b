"""A caption as text: what stands between its separators, where tags may not be moved across, and how tags are spelled.

Separators are commas, as in kohya's trainers. Of a file of several lines each line is a caption, as their wildcards
have it, unless every line is one tag. `BREAK`, a lone `AND`, kohya's `|||` and sentences are barriers: no tag moves
across one, and what is in a sentence is no tag. Commas inside of brackets that end belong to what is in them.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Final

from booru_pipeline.release.names import canonical_tag
from booru_pipeline.tags import Category

_KEYWORD: Final = r"\|{3}|(?<![^\s,|])BREAK(?![^\s,|])|(?<![^\s,])AND(?=\s*(?:[,\r\n]|$))"
_COMMAS: Final = re.compile(rf"(\s*(?:(?:,|{_KEYWORD})\s*)+)")
_LINES: Final = re.compile(rf"(\s*(?:(?:[,\r\n]|{_KEYWORD})\s*)+)")
_PLAIN: Final = re.compile(r"(\s*,[\s,]*)")  # the commas of a caption without keywords, which is faster
_LINE_END: Final = re.compile(r"(\r\n|\r|\n)")
_EDGE: Final = ", \t\r\n\f\v\u3000\xa0"
_BARRIERS: Final = ("BREAK", "AND", "|||")

_NUMBER: Final = r"[+-]?(?:\d{1,2}(?:\.\d*)?|\.\d+)"
_WEIGHT: Final = re.compile(rf"\s*:\s*{_NUMBER}\s*$")
_INNER_WEIGHT: Final = re.compile(rf":\s*{_NUMBER}\s*[)\]}}]")
_PREFIX: Final = re.compile(rf"({'|'.join(c.name.lower() for c in Category if c >= 0)}):\s*", re.IGNORECASE)
_PAIRS: Final = {"(": ")", "[": "]", "{": "}"}
_VERBATIM: Final = re.compile(r"<[A-Za-z]\w*:[^<>]*>|.*(?:://|;;;).*")  # <lora:x:1>, an address, kohya's group
_ESCAPED: Final = re.compile(r"\\([()\[\]{}])")
_PARENTHESIS: Final = re.compile(r"\\?([()])")
_SENTENCE_END: Final = re.compile(r"[.!?][\"'\u2019\u201d)]*$")
_QUALITY: Final = re.compile(r"score_\d+(?:_up)?|(?:source|rating)_[a-z]+")
_WORDS: Final = 4  # of a sentence, at least; of what is no known tag and gets underscores, at most
_MANY_WORDS: Final = 7  # a sentence, whatever it begins and ends with
_SHORT_FACE: Final = 4


@dataclass(frozen=True, slots=True)
class Item:
    """What stands between two separators.

    Attributes:
        text: As it stands: what is before the tag, the tag, and what is after it.
        before: Brackets and a category's prefix.
        core: The tag as it is spelled.
        after: A weight and brackets.
        name: The tag's name; empty of what is left alone, such as `<lora:x:1>` and several tags with one weight.
        known: Whether it is a tag that somebody listed.
        category: What its prefix says, such as `artist:`.
        is_prose: Whether a sentence begins here.
        opens: Whether brackets begin here and do not end.
        spaced: 1 if it is spelled with spaces, -1 with underscores, 0 if it is no sign of either.
        escaped: 1 if its parentheses are escaped, -1 if they are not, 0 if it has none.
    """

    text: str
    before: str
    core: str
    after: str
    name: str
    known: bool
    category: int | None = None
    is_prose: bool = False
    opens: bool = False
    spaced: int = 0
    escaped: int = 0

    @property
    def kind(self) -> tuple[object, ...]:
        """What must not change when it is spelled otherwise."""
        return self.before, self.name, self.after, self.is_prose, self.opens


@dataclass(frozen=True, slots=True)
class Caption:
    """A caption in pieces: a section, a barrier with what separates it, a section, and so on.

    Attributes:
        text: The whole.
        sections: Items between two barriers; one more than barriers, and any may be empty.
        barriers: As they stand.
        separator: The one that is between most of its items, or what a caption of its kind has.
        tail: Blanks, commas and line ends after the last piece.
    """

    text: str
    sections: list[list[Item]]
    barriers: list[str]
    separator: str
    tail: str


class Reader:
    """Reads captions. What stands between separators is looked at once, however often it is there.

    Args:
        known: Whether a name is a tag: then it is no weight, bracket or sentence.
        fixed: Names whose spelling is no sign of a style.
    """

    def __init__(self, known: Callable[[str], bool], fixed: Sequence[str] = ()) -> None:
        self._known = known
        self._fixed = fixed
        self._items: dict[str, Item] = {}

    def read(self, text: str) -> list[str | Caption]:
        """The captions of a file, with the line ends between them."""
        if "\n" not in text and "\r" not in text:
            return [self._caption(text, _COMMAS)]
        chunks = _LINE_END.split(text)
        lines = [body for line in chunks[::2] if (body := line.strip(_EDGE))]
        if len(lines) < 2:
            return [self._caption(text, _COMMAS)]
        ends = chain.from_iterable((line.partition(",")[0], line.rpartition(",")[2]) for line in lines)
        is_prompt = any(end.strip() in _BARRIERS for end in ends)  # a prompt that is broken into lines
        if is_prompt or all(self.is_one(line) and not self.item(line).is_prose for line in lines):
            return [self._caption(text, _LINES)]
        return [self._caption(chunk, _COMMAS) if chunk.strip() else chunk for chunk in chunks]

    def is_one(self, text: str) -> bool:
        """Whether no separator is in a text."""
        return _LINES.search(text) is None

    def item(self, text: str) -> Item:
        """What stands between two separators, taken apart."""
        found = self._items.get(text)
        if found is None:
            found = self._items[text] = self._take_apart(text)
        return found

    def _caption(self, text: str, between: re.Pattern[str]) -> Caption:
        body = text.strip(_EDGE)
        tail = text[len(text.rstrip(_EDGE)) :]
        has_words = "BREAK" in body or "AND" in body or "|||" in body
        parts = (between if has_words or between is _LINES else _PLAIN).split(body) if body else []
        items = [self.item(part) for part in parts[::2] if part]
        if has_words or any(item.is_prose or item.opens for item in items):
            sections, barriers, separators = self._in_sections(parts)
        else:
            sections, barriers, separators = [items], [], parts[1::2]
        default = ", " if between is _COMMAS else "\n"
        ones = Counter(one for one in separators if one.count(",") < 2 and one.count("\n") < 2)
        separator = ones.most_common(1)[0][0] if ones else default
        return Caption(text, sections, barriers, separator, tail)

    def _in_sections(self, parts: Sequence[str]) -> tuple[list[list[Item]], list[str], list[str]]:
        sections: list[list[Item]] = [[]]
        barriers: list[str] = []
        separators: list[str] = []
        pending, at = "", 0
        while at < len(parts):
            if parts[at]:
                item, last = self.item(parts[at]), self._last(parts, at)
                text = "".join(parts[at : last + 1])
                at = last
                if item.is_prose:
                    at += 1
                    barriers.append(pending + text + "".join(parts[at : at + 1]))
                    sections.append([])
                    pending, at = "", at + 1
                    continue
                sections[-1].append(item if text == item.text else Item(text, "", text, "", "", False))
            pending = "".join(parts[at + 1 : at + 2])
            if any(word in pending for word in _BARRIERS):
                barriers.append(pending)
                sections.append([])
                pending = ""
            elif pending:
                separators.append(pending)
            at += 2
        return sections, barriers, separators

    def _last(self, parts: Sequence[str], at: int) -> int:
        """Where a sentence or the brackets that begin at a part end; there, if they never do."""
        item = self.item(parts[at])
        depth = 0
        for place in range(at, len(parts), 2) if item.is_prose or item.opens else ():
            if place > at and any(word in parts[place - 1] for word in _BARRIERS):
                break
            depth += _depth(parts[place])
            ends = _SENTENCE_END.search(parts[place]) and not self.item(parts[place]).known
            if ends if item.is_prose else depth == 0:
                return place
        return at

    def _take_apart(self, text: str) -> Item:
        before, core, after, category = "", text, "", None
        while not self._known(self._name(core)) and (step := _peel(core)) is not None:
            # Without brackets, the end of what is no tag is not taken for a weight: `foo:3` may be a name.
            if not step[0] and not (before or self._known(self._name(step[1]))):
                break
            before, core, after = before + step[0], step[1], step[2] + after
            if step[0] and (prefix := _PREFIX.fullmatch(step[0])):
                category = Category[prefix[1].upper()].value
        name = self._name(core)
        known = self._known(name)
        if not known and (_VERBATIM.fullmatch(text) or _INNER_WEIGHT.search(core)):
            return Item(text, "", text, "", "", False)
        words = len(core.split())
        ends = _SENTENCE_END.search(core) is not None or ". " in core
        is_prose = not known and words >= _WORDS and (ends or core[0].isupper() or words >= _MANY_WORDS)
        if is_prose:
            return Item(text, "", text, "", "", False, is_prose=True)
        opens = not known and text[:1] in _PAIRS and _depth(text) > 0
        spaced = escaped = 0
        if name not in self._fixed and (known or words <= _WORDS):
            if "_" in name and not keeps_underscores(name):
                spaced = (" " in core) - ("_" in core)
            if "(" in name or ")" in name:
                escaped = 1 if "\\(" in core or "\\)" in core else -1
        return Item(text, before, core, after, name, known, category, False, opens, spaced, escaped)

    def _name(self, core: str) -> str:
        name = canonical_tag(core)
        return name if "\\" not in core or self._known(name) else canonical_tag(_ESCAPED.sub(r"\1", core))

    def spell(self, item: Item, spaces: bool | None, escape: bool | None) -> str:
        """A tag spelled with spaces or underscores, with or without escaped parentheses; None leaves it as it is.

        What would then be read as something else stays as it stands.
        """
        if not item.name:
            return item.text
        core = item.core
        is_tag = item.known or len(core.split()) <= _WORDS
        if spaces and not keeps_underscores(item.name) and (item.known or not re.search(r"\s", core)):
            core = core.replace("_", " ")
        elif spaces is False and is_tag:
            core = "_".join(core.split())
        # `(a) (b)`, which nobody lists, is rather emphasis than a name.
        if escape is not None and is_tag and (item.known or core[0] not in _PAIRS or keeps_underscores(item.name)):
            core = _PARENTHESIS.sub(r"\\\1" if escape else r"\1", core)
        text = item.before + core + item.after
        if not self.is_one(text) or self.item(text).kind != item.kind:
            return item.text
        return text

    def tag(self, name: str, like: Item | None = None) -> Item | None:
        """The item of a tag, with the brackets and weight of another; None if no caption can have it."""
        text = name if like is None else like.before + name + like.after
        if name.strip(_EDGE) != name or not self.is_one(text) or self.item(text).name != name:
            return None
        return replace(self.item(text), known=True)


def keeps_underscores(name: str) -> bool:
    """Whether the underscores of a name are no spaces: `^_^`, `o_o`, `(o)_(o)`, `__init`, Pony's `score_9`."""
    if _QUALITY.fullmatch(name):
        return True
    outer = name.strip("_") != name or "__" in name
    return "_" in name and (outer or len(name) <= _SHORT_FACE or not re.search(r"[^\W_]{2}", name))


def _peel(core: str) -> tuple[str, str, str] | None:
    """Text without its outermost brackets, weight or prefix, between what was taken off; None if it has none."""
    if len(core) > 2 and _PAIRS.get(core[0]) == core[-1] and core[-2] != "\\" and _is_balanced(core[1:-1]):
        return core[0], core[1:-1], core[-1]
    if (weight := _WEIGHT.search(core)) and weight.start():
        return "", core[: weight.start()], weight[0]
    if (prefix := _PREFIX.match(core)) and prefix.end() < len(core):
        return prefix[0], core[prefix.end() :], ""
    return None


def _depths(text: str) -> Iterator[int]:
    depth = 0
    for letter in re.sub(r"\\.", "", text):
        depth += (letter in "([{") - (letter in ")]}")
        yield depth


def _depth(text: str) -> int:
    """How many brackets begin in a text and do not end there."""
    return [0, *_depths(text)][-1]


def _is_balanced(text: str) -> bool:
    depths = [0, *_depths(text)]
    return min(depths) == 0 == depths[-1]
