"""Label text: what a tokenizer reads in place of a tag."""

from typing import Final

_LONGEST_KAOMOJI: Final = 4


def label_text(label: str) -> str:
    """`rabbit_ears` -> `rabbit ears`; kaomoji such as `>_<` stay as they are.

    Underscores become spaces in labels of more than four characters. They also stay where a run of white space, or
    white space at an end, would be lost on a tokenizer (`__init`). A label has no white space, so `text_label` is the
    inverse.
    """
    inner = label.strip("_") == label and "__" not in label
    return label.replace("_", " ") if inner and len(label) > _LONGEST_KAOMOJI else label


def text_label(text: str) -> str:
    """The label that has this text."""
    return text.replace(" ", "_")
