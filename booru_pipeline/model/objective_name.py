"""The names of the objectives, and which one a choice means. No heavy import: settings and freshness need them too."""

from enum import StrEnum

from booru_pipeline.errors import BooruError
from booru_pipeline.vocabulary.options import EncodingName


class ObjectiveName(StrEnum):
    """The names of the objectives; `model.objective` says what each is."""

    PRESENT = "present"
    SET = "set"
    SEQUENCE = "sequence"
    SPAN = "span"

    @property
    def names_labels_at_once(self) -> bool:
        """Whether one decoder step answers for all labels, so that each needs a token of its own."""
        return self in (ObjectiveName.PRESENT, ObjectiveName.SET)


def objective_name(wanted: str, encoding: EncodingName) -> ObjectiveName:
    """The objective that was asked for; `auto` is the one that did best with the encoding.

    Raises:
        BooruError: The encoding cannot be trained with it.
    """
    if wanted == "auto":
        return ObjectiveName.PRESENT if encoding is EncodingName.LABELS else ObjectiveName.SEQUENCE
    name = ObjectiveName(wanted)
    if name.names_labels_at_once and encoding is not EncodingName.LABELS:
        raise BooruError(
            f"the {name.value} objective needs one token a label, and the dataset's captions are {encoding.value}. "
            "Choose objective = sequence, or make the dataset with encoding = labels."
        )
    return name
