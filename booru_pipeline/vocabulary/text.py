"""Label text: what a tokenizer reads in place of a tag."""

import re
from typing import Final

_LONGEST_KAOMOJI: Final = 4
_QUALIFIED: Final = re.compile(r"(?P<name>.+?)(?P<qualifiers>(?:_\([^()]+\))+)")
_QUALIFIER: Final = re.compile(r"_\(([^()]+)\)")

# Between two labels of a caption. Labels have no white space, so none contains it, and a caption is a label a line.
SEPARATOR: Final = "\n"


def split_qualifiers(label: str) -> tuple[str, tuple[str, ...]]:
    """`artoria_pendragon_(swimsuit_ruler)_(fate)` -> (`artoria_pendragon`, (`swimsuit_ruler`, `fate`)).

    A qualifier tells names apart: the series of a character (`saber_(fate)`), whose costume it is
    (`usada_pekora_(cosplay)`), or what is meant (`star_(symbol)`). Kaomoji such as `:_(` have none.
    """
    match = _QUALIFIED.fullmatch(label)
    if match is None:
        return label, ()
    return match["name"], tuple(_QUALIFIER.findall(match["qualifiers"]))


def label_text(label: str) -> str:
    """`rabbit_ears` -> `rabbit ears`, `saber_(fate)` -> `saber ( fate )`; kaomoji such as `>_<` stay as they are.

    Underscores become spaces in names of more than four characters. Parentheses of a qualifier stand alone, so that it
    has the pieces of the label that it names: T5 cuts `(fate)` into `(`, `f`, `ate`, `)`, but knows `fate`.
    Where `text_label` would not give the label back, or a tokenizer would lose white space (`__init`), the text is the
    label itself.
    """
    name, qualifiers = split_qualifiers(label)
    text = " ".join([_spaced(name), *(f"( {_spaced(qualifier)} )" for qualifier in qualifiers)])
    return text if text_label(text) == label else label


def text_label(text: str) -> str:
    """The label that has this text."""
    return text.replace(" ( ", "_(").replace(" )", ")").replace(" ", "_")


def _spaced(name: str) -> str:
    inner = name.strip("_") == name and "__" not in name
    return name.replace("_", " ") if inner and len(name) > _LONGEST_KAOMOJI else name
