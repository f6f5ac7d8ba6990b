"""The base of an evaluation's findings: pydantic models that are metrics.json and its JSON Schema at once."""

from typing import Annotated, Any

from pydantic import BaseModel, Field, model_validator
from pydantic.fields import ComputedFieldInfo, FieldInfo

Count = Annotated[int, Field(ge=0)]
Share = Annotated[float, Field(ge=0, le=1)]


class Finding(BaseModel, frozen=True, extra="forbid"):
    """Base of all parts: `model_dump(mode="json")` is what metrics.json holds.

    A field with its description is a figure in both, the file and the schema; no list of them is kept elsewhere.
    """

    @model_validator(mode="before")
    @classmethod
    def _as_written(cls, content: Any) -> Any:
        """Takes what metrics.json holds, too: what is computed is computed again."""
        if not isinstance(content, dict):
            return content
        return {name: value for name, value in content.items() if name not in cls.model_computed_fields}


class AtShare(Finding):
    """Something at one hidden share."""

    hidden_share: Share = Field(description="Share of each post's labels that is hidden.")


def definitions(model: type[BaseModel], *fields: str, **others: str) -> dict[str, str]:
    """Meanings of a model's fields, by field or by another name, for `definitions` in metrics.json and on the page.

    Args:
        model: Whose fields.
        fields: Names of fields, computed ones too.
        others: Fields by the name that they are to have.
    """
    described: dict[str, FieldInfo | ComputedFieldInfo] = {**model.model_fields, **model.model_computed_fields}
    named = {**{field: field for field in fields}, **others}
    return {name: described[field].description or "" for name, field in named.items()}
