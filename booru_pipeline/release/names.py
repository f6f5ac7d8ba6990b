"""Names of tags and boorus as they are written here, whatever a dump makes of them: one spelling a name.

Danbooru's own rule (`Tag.normalize_name`: lower case, no white space around, underscores for spaces) comes with what
its `TagNameValidator` refuses (non-printable characters) and what other boorus and tools leave in names: HTML entities,
and several Unicode spellings of one letter. What Danbooru merely refuses in new names, such as `__`, is left as it is:
old tags and kaomoji have it.
"""

import html
import re
import unicodedata
from collections.abc import Callable, Collection
from enum import StrEnum
from functools import cache
from typing import Final


class NameRule(StrEnum):
    """What is done to a name, in this order."""

    ENTITIES = "entities"
    INVISIBLE = "invisible"
    UNICODE = "unicode"
    CASE = "case"
    SPACES = "spaces"
    HOST = "host"

    @property
    def meaning(self) -> str:
        """What the rule does, for people."""
        return _MEANING[self]


_MEANING: Final = {
    NameRule.ENTITIES: "HTML entities are the characters that they stand for: `it&#039;s` is `it's`",
    NameRule.INVISIBLE: "characters that nobody sees are left out: zero-width ones, marks of direction, control bytes",
    NameRule.UNICODE: "letters are composed (NFC): `e` with an accent after it is `é`",
    NameRule.CASE: "capitals are small letters: `Rabbit_Ears` is `rabbit_ears`",
    NameRule.SPACES: "white space is one underscore, and none around the name: `hatsune miku ` is `hatsune_miku`",
    NameRule.HOST: "of a booru's address the host counts: `https://example.org/` is `example.org`",
}
TAG_RULES: Final = (NameRule.ENTITIES, NameRule.INVISIBLE, NameRule.UNICODE, NameRule.CASE, NameRule.SPACES)
BOORU_RULES: Final = tuple(NameRule)

# With a semicolon only: HTML reads `&copy` without one too, but `rock&copyright` is no entity.
_ENTITY: Final = re.compile(r"&(?:#[0-9]+|#[xX][0-9a-fA-F]+|[A-Za-z][A-Za-z0-9]*);")
# Unicode's Default_Ignorable_Code_Point that are neither control nor format characters: variation selectors, fillers.
_IGNORABLE: Final = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2065\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)
# An address: with a scheme, or with a point in what is before its path. `manual_ink` is a name.
_ADDRESS: Final = re.compile(
    r"(?:[a-z][a-z0-9+.-]*://([^/?#:]+)|([^/?#:]+\.[^/?#:]*[^/?#:.]))(?:[.:/?#].*)?",
    re.IGNORECASE | re.DOTALL,
)
# Most names: what no rule changes. Printable ASCII without capitals, white space and what begins an entity.
_PLAIN: Final = re.compile(r"[!-%'-@\[-~]*")
_ROUNDS: Final = 8  # what one rule leaves may be work for an earlier one; two rounds nearly always do


def canonical(text: str, rules: Collection[NameRule] = TAG_RULES) -> tuple[str, tuple[NameRule, ...]]:
    """A name as it is written here, and the rules that changed it, in their order.

    Canonical names stay as they are: `canonical(canonical(text)[0])` changes nothing.

    Args:
        text: The name as somebody wrote it.
        rules: Those in force.

    Returns:
        The name, which is empty if nothing visible is in it, and the rules.
    """
    if _PLAIN.fullmatch(text) and NameRule.HOST not in rules:
        return text, ()
    changed: set[NameRule] = set()
    for _ in range(_ROUNDS):
        before = text
        for rule in NameRule:
            if rule in rules and (after := _APPLY[rule](text)) != text:
                changed.add(rule)
                text = after
        if text == before:
            break
    return text, tuple(rule for rule in NameRule if rule in changed)


def canonical_tag(text: str) -> str:
    """A tag's name by all rules for tags."""
    return canonical(text)[0]


def canonical_booru(text: str) -> str:
    """A booru's name by all rules: mostly its host, in small letters."""
    return canonical(text, BOORU_RULES)[0]


def _entities(text: str) -> str:
    while "&" in text:  # `&amp;#039;` was escaped twice; each round is shorter
        plain = _ENTITY.sub(lambda match: html.unescape(match[0]), text)
        if plain == text:
            break
        text = plain
    return text


def _invisible(text: str) -> str:
    text = _IGNORABLE.sub("", text)
    if text.isprintable():  # nothing hidden is, and nearly all text
        return text
    return "".join(letter for letter in text if letter.isspace() or not _is_hidden(letter))


@cache
def _is_hidden(letter: str) -> bool:
    return unicodedata.category(letter) in ("Cc", "Cf")


def _host(text: str) -> str:
    match = _ADDRESS.fullmatch(text)
    return (match[1] or match[2]).rstrip(".") if match else text


_APPLY: Final[dict[NameRule, Callable[[str], str]]] = {
    NameRule.ENTITIES: _entities,
    NameRule.INVISIBLE: _invisible,
    NameRule.UNICODE: lambda text: unicodedata.normalize("NFC", text),
    NameRule.CASE: str.lower,
    NameRule.SPACES: lambda text: "_".join(text.split()),
    NameRule.HOST: _host,
}
