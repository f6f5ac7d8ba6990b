"""Which suggestions are wanted."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Final

from booru_pipeline.errors import BooruError, printable
from booru_pipeline.model.suggest.answer import Suggestion
from booru_pipeline.tags import Category

CATEGORIES: Final = tuple(category.name.lower() for category in Category if category is not Category.UNCATALOGUED)


def check_top(top: int) -> None:
    """Raise a BooruError where there are to be no suggestions."""
    if top < 1:
        raise BooruError(f"cannot give {top} suggestions: --top must be at least 1.")


@dataclass(frozen=True)
class Filters:
    """Which suggestions are wanted; all of them by default.

    Attributes:
        categories: Names of categories, in any case; of all if empty.
        exclude: Shell patterns (`*`, `?`, `[abc]`) of tags that are left out.
        hide_implied: Leave out what an implication already says.
        min_support: Leave out labels that fewer posts have together with the given tags, or, where no post has all of
            these, with the largest part of them that posts have.

    Raises:
        BooruError: A category is unknown, a pattern is empty, or the support is negative.
    """

    categories: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    hide_implied: bool = False
    min_support: int = 0
    _names: frozenset[str] = field(init=False, repr=False)
    _patterns: tuple[str, ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        names = [name.strip().lower() for name in self.categories]
        for name in names:
            if name not in CATEGORIES:
                raise BooruError(
                    f"there is no category {printable(name) or 'without a name'}: choose --category from "
                    f"{', '.join(CATEGORIES)}."
                )
        patterns = tuple("_".join(pattern.lower().split()) for pattern in self.exclude)
        if not all(patterns):
            raise BooruError("an --exclude is empty. Give a pattern of tags to leave out, such as '*_eyes'.")
        if self.min_support < 0:
            raise BooruError(f"--min-support is {self.min_support}: it must be at least 0.")
        object.__setattr__(self, "_names", frozenset(names))
        object.__setattr__(self, "_patterns", patterns)

    def keeps(self, suggestion: Suggestion) -> bool:
        """Whether the suggestion is wanted."""
        return (
            self.takes(suggestion.category)
            and not (suggestion.implied and self.hide_implied)
            and suggestion.observed.together >= self.min_support
            and not self.excludes(suggestion.tag)
        )

    def takes(self, category: str) -> bool:
        """Whether tags of a category, by its name, are wanted."""
        return not self._names or category in self._names

    def excludes(self, tag: str) -> bool:
        """Whether a pattern leaves the tag out."""
        return any(fnmatchcase(tag, pattern) for pattern in self._patterns)

    def idle(self, labels: Sequence[str]) -> tuple[str, ...]:
        """The patterns of `exclude` that none of the labels has."""
        return tuple(pattern for pattern in self._patterns if not any(fnmatchcase(label, pattern) for label in labels))
