"""What tags imply, however indirectly."""

from collections.abc import Collection, Iterable, Mapping


def closure(tags: Iterable[str], implications: Mapping[str, Collection[str]]) -> set[str]:
    """The tags and everything they imply.

    Args:
        tags: Where to begin.
        implications: What each tag implies directly.
    """
    closed: set[str] = set()
    todo = list(tags)
    while todo:
        tag = todo.pop()
        if tag not in closed:
            closed.add(tag)
            todo.extend(implications.get(tag, ()))
    return closed
