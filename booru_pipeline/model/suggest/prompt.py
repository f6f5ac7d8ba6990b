"""Reading what a person typed: prompts as image generators and boorus have them, or tags one by one.

A name that is known always wins: `:)`, `(o)_(o)` and `saber_(fate)` are tags before they are emphasis. The syntax is
AUTOMATIC1111's (https://github.com/AUTOMATIC1111/stable-diffusion-webui/wiki/Features, "Attention/emphasis"), with the
brackets and weights of NovelAI, compel's `+` and `-`, and Danbooru's category prefixes.
"""

import html
import re
import unicodedata
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from booru_pipeline.release.names import canonical_tag

_LONGEST: Final = 16  # words of a name
_READINGS: Final = 100  # of one piece of text: who types a hundred brackets gets no better

_SEPARATOR: Final = re.compile(r"[,\uff0c\u3001\r\n]|(?<!\S)(?:BREAK|AND)(?!\S)")
_NETWORK: Final = re.compile(r"(<[A-Za-z]\w*:[^<>]*>)")  # <lora:name:0.8>
_ESCAPE: Final = re.compile(r"\\([()\[\]{}<>:|,\\])")
_NUMBER: Final = r"[+-]?(?:\d{1,2}(?:\.\d*)?|\.\d+)"
_WEIGHT: Final = re.compile(rf"\s*:\s*{_NUMBER}\s*(?=[)\]}}])|(?<=\S):{_NUMBER}$")
_SYNTAX: Final = (
    re.compile(r"^\\?[(\[{]\s*"),
    re.compile(r"\s*\\?[)\]}]$"),
    re.compile(rf"\s*:\s*{_NUMBER}\s*[)\]}}]$|(?<=\S):{_NUMBER}$"),
    re.compile(rf"(?<=\)){_NUMBER}$|(?<=\S)[+-]+$"),
    re.compile(rf"^{_NUMBER}::|::$"),
    re.compile(r"^[\"'\u2018\u201c]|[\"'\u2019\u201d.;]$"),
    re.compile(r"^(?:artist|character|char|copyright|copy|general|meta):\s*", re.IGNORECASE),
)
# [a|b] takes turns, [a:b:0.5] goes over from one to the other, and (a)(b) are two.
_SEVERAL: Final = re.compile(r"[|:;]|(?<=[)\]}])(?=[(\[{])")

Known = Callable[[str], bool]
_Cut = tuple[tuple[int, ...], int, str | None]  # cost of a name and of all after it, where it ends, the name


@dataclass(frozen=True)
class Piece:
    """One of the names that were typed.

    Attributes:
        tag: The name, with underscores and in lower case; of what is not known, without what surrounds it.
        is_known: Whether it is a name.
    """

    tag: str
    is_known: bool

    @property
    def is_network(self) -> bool:
        """Whether it loads a network, such as `<lora:name:0.8>`."""
        return not self.is_known and _NETWORK.fullmatch(self.tag) is not None


@dataclass(frozen=True)
class _Word:
    """A word between white space, and whether an argument begins with it."""

    text: str
    begins: bool


Remembered = dict[tuple[tuple[_Word, ...], bool], list[Piece]]  # of the words between commas, and if there is more


def read_prompt(arguments: Sequence[str], known: Known, remembered: Remembered | None = None) -> list[Piece]:
    """The names that were typed, in their order, each once.

    Commas and lines end a name, and spaces in it are underscores. What is no name between two commas, and what stands
    without commas, is cut into names between words: so that the fewest words are left over, then with the least
    syntax, then with the fewest arguments put together, then into the fewest names.

    Args:
        arguments: What was typed, in one piece or several.
        known: Whether something is a name.
        remembered: What earlier calls found with the same `known`; what is found is added.
    """
    items = [item for item in _items(arguments, known) if item]
    found = {} if remembered is None else remembered
    pieces: list[Piece] = []
    for item in items:
        key = tuple(item), len(items) > 1
        if key not in found:
            found[key] = _pieces(item, known, whole=len(items) > 1)
        pieces += found[key]
    return list(dict.fromkeys(piece for piece in pieces if piece.tag))


def _items(arguments: Sequence[str], known: Known) -> list[list[_Word]]:
    """The words between separators; an argument that is a name is one word."""
    items: list[list[_Word]] = [[]]
    for argument in arguments:
        if _named(argument, known) and not _SEPARATOR.fullmatch(argument):
            items[-1].append(_Word(argument, True))
            continue
        for number, text in enumerate(_NETWORK.split(argument)):
            if number % 2:
                items += [[_Word(text, True)], []]
                continue
            for place, part in enumerate(_SEPARATOR.split(text)):
                if place:
                    items.append([])
                items[-1] += [_Word(word, not at) for at, word in enumerate(part.split())]
    return items


def _pieces(words: Sequence[_Word], known: Known, *, whole: bool) -> list[Piece]:
    """The names that some words make.

    Args:
        words: Between two separators.
        known: Whether something is a name.
        whole: Whether these are one name or several, and not some names among other words.
    """
    found = _cut(words, known)
    unknown = [name is None for _, name in found]
    if whole and any(unknown) and not any(word.begins for word in words[1:]):
        return _several(" ".join(word.text for word in words), known)
    pieces: list[Piece] = []
    left: list[str] = []
    for part, name in found:
        if left and (name is not None or part[0].begins):
            pieces += _several(" ".join(left), known)
            left = []
        if name is None:
            left.append(part[0].text)
        else:
            pieces.append(Piece(name, True))
    return pieces + (_several(" ".join(left), known) if left else [])


def _cut(words: Sequence[_Word], known: Known) -> list[tuple[Sequence[_Word], str | None]]:
    """Where words are cut into names best, by `read_prompt`'s order: each part with its name; a word alone if none."""
    best: list[_Cut] = [((0, 0, 0, 0), 0, None)] * (len(words) + 1)
    for start in reversed(range(len(words))):
        options: list[_Cut] = []
        for end in range(min(len(words), start + _LONGEST), start, -1):  # of equal ones the longest
            part = words[start:end]
            match = _match(" ".join(word.text for word in part), known)
            if match is not None or len(part) == 1:
                name, syntax = match or (None, False)
                joins = sum(word.begins for word in part[1:])
                own = (int(name is None), int(syntax), joins, 1)
                cost = tuple(one + more for one, more in zip(own, best[end][0], strict=True))
                options.append((cost, end, name))
        best[start] = min(options, key=lambda option: option[0])
    cuts, start = [], 0
    while start < len(words):
        _, end, name = best[start]
        cuts.append((words[start:end], name))
        start = end
    return cuts


def _several(text: str, known: Known) -> list[Piece]:
    """The names of text that is none: of one that takes turns with another, or what it is without its syntax."""
    parts = [part for part in _SEVERAL.split(_WEIGHT.sub("", text)) if any(map(str.isalnum, part))]
    cuts = [cut for part in parts for cut in _cut([_Word(word, False) for word in part.split()], known)]
    names = [name for _, name in cuts if name is not None]
    if len(parts) > 1 and len(names) == len(cuts):
        return [Piece(name, True) for name in names]
    return [Piece(text if _NETWORK.fullmatch(text) else canonical_tag(_bare(text)), False)]


def _named(text: str, known: Known) -> str | None:
    """The name that a text is as it stands, if it is one."""
    return next((name for name in (canonical_tag(text), "_".join(text.split())) if name and known(name)), None)


def _match(text: str, known: Known) -> tuple[str, bool] | None:
    """The name that a text stands for, and whether it is so only by syntax; None if it stands for none."""
    for number, reading in enumerate(_readings(text)):
        name = _named(reading, known)
        if name is not None:
            return name, number > 0
    return None


def _readings(text: str) -> Iterator[str]:
    """The text, then what it is without more and more of its syntax."""
    waiting, seen = deque([text]), {text}
    for _ in range(_READINGS):
        if not waiting:
            return
        reading = waiting.popleft()
        yield reading
        plain = html.unescape(_ESCAPE.sub(r"\1", reading))
        shorter = (pattern.sub("", reading, count=1) for pattern in _SYNTAX)
        for other in (plain, unicodedata.normalize("NFKC", plain), *shorter):
            if other.strip() and other not in seen:
                seen.add(other)
                waiting.append(other)


def _bare(text: str) -> str:
    """Text that is no name, without brackets around it and weights, for messages."""
    text = _WEIGHT.sub("", unicodedata.normalize("NFKC", text))
    while any(map(str.isalnum, text)):
        opened, closed = (sum(text.count(sign) for sign in signs) for signs in ("([{", ")]}"))
        if text[0] in "([{":
            text = text[1:-1] if text[-1] in ")]}" else text[1:]
        elif text[-1] in ")]}" and closed > opened:
            text = text[:-1]
        else:
            return _ESCAPE.sub(r"\1", text)
    return text
