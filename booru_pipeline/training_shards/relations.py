"""Tag aliases and implications: where they come from, and what they make of a tag."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from graphlib import CycleError, TopologicalSorter
from itertools import chain, pairwise
from pathlib import Path
from typing import Final

from booru_pipeline.errors import BooruError
from booru_pipeline.hashing import fingerprint
from booru_pipeline.tags import closure
from booru_pipeline.training_shards.relation_files import (
    ANOTHER_FOLDER,
    files_of,
    find_list,
    read_deprecated,
    read_pairs,
    refuse,
)

ALIASES_FILE: Final = "tag_aliases.json"
IMPLICATIONS_FILE: Final = "tag_implications.json"

# Of each file: what is in it, and what it means to have none.
_MEANING: Final = {
    ALIASES_FILE: ("aliases", "a tag and its other names count as different tags"),
    IMPLICATIONS_FILE: ("implications", "labels that Danbooru adds by itself count as learned"),
}
_DEPRECATED: Final = "deprecated_tags"
_STEMS: Final = ("tag_aliases", "tag_implications", _DEPRECATED)

# Danbooru's BigqueryExportService writes them daily: its tables as newline-delimited JSON.
_PUBLISHED: Final = "danbooru1.danbooru_public"
_BUCKET: Final = "gs://danbooru_public/data"


@dataclass(frozen=True)
class Relations:
    """How tags stand to each other.

    Attributes:
        aliases: Canonical tag by alias. No canonical tag is an alias itself.
        implications: What a tag implies directly. Both are canonical, and nothing implies itself, however indirectly.
        source: The folder that they are from, or would be from.
        left_out: Aliases that were set aside because the file contradicts itself about them.
        absent: Names of the files that the folder has not, in any form; there are no such relations then.
        deprecated: Tags that Danbooru has given up. They are marked where tags are shown and never suggested, and no
            artifact depends on them.
    """

    aliases: Mapping[str, str]
    implications: Mapping[str, frozenset[str]]
    source: str
    left_out: tuple[str, ...] = ()
    absent: tuple[str, ...] = ()
    deprecated: frozenset[str] = frozenset()

    def canonical(self, tag: str) -> str:
        """The tag that a name stands for: itself, unless it is an alias."""
        return self.aliases.get(tag, tag)

    def closure(self, tags: Iterable[str]) -> set[str]:
        """Canonical tags and everything they imply, however indirectly."""
        return closure(tags, self.implications)

    def missing(self, *files: str) -> str:
        """One sentence or two for people about which of these files are absent, what that means, and where to get them.

        Args:
            files: `ALIASES_FILE`, `IMPLICATIONS_FILE`; both by default.

        Returns:
            The empty string if none of them is absent.
        """
        absent = [name for name in _MEANING if name in self.absent and name in (files or _MEANING)]
        if not absent:
            return ""
        them = "it" if len(absent) == 1 else "them"
        tables = " and ".join(f"{_PUBLISHED}.{_stem(name)}" for name in absent)
        copies = " and ".join(f"{_BUCKET}/{name}" for name in absent)
        return (
            f"no tag {' and no '.join(_MEANING[name][0] for name in absent)}: {' and '.join(absent)} "
            f"{'is' if len(absent) == 1 else 'are'} not in {self.source}, so "
            f"{' and '.join(_MEANING[name][1] for name in absent)}. Danbooru publishes {them} daily, one JSON object a "
            f"line, as {tables} in BigQuery and as {copies}: put {them} there, or name another folder with --relations "
            "or BOORU_RELATIONS."
        )

    @cached_property
    def aliases_fingerprint(self) -> str:
        """A hash of the aliases alone: what the training shards depend on."""
        return fingerprint(sorted(self.aliases.items()))

    @cached_property
    def implications_fingerprint(self) -> str:
        """A hash of the implications alone."""
        return fingerprint(sorted((tag, sorted(implied)) for tag, implied in self.implications.items()))

    @property
    def fingerprints(self) -> tuple[str, str]:
        """Of the aliases and of the implications: what decides whether artifacts are up to date."""
        return self.aliases_fingerprint, self.implications_fingerprint


def find_relations(configured: Path | None, raw: Path, *, skip_ambiguous: bool = False) -> Relations:
    """The relations of a configured folder; else of the raw folder, which may have none.

    `skip_ambiguous` is that of `load_relations`.

    Raises:
        BooruError: The configured folder has no list, or a file is broken or in a form that is not read.
    """
    if configured is not None or any(files_of(raw, stem) for stem in _STEMS):
        return load_relations(configured or raw, skip_ambiguous=skip_ambiguous)
    return Relations({}, {}, str(raw), absent=tuple(_MEANING))


def relations_files(configured: Path | None, raw: Path) -> list[Path]:
    """The files that `find_relations` reads, or refuses because of their form."""
    return [path for stem in _STEMS for path in files_of(configured or raw, stem) if path.exists()]


def had_the_samples(was: str, now: str) -> bool:
    """Whether a fingerprint was of the sample world's aliases or implications, and now is that of none.

    Real releases without files of their own were once given the sample's.
    """
    from booru_pipeline.sample.world import load_world

    if now not in Relations({}, {}, "").fingerprints:
        return False
    world = load_world()
    implications = {tag: frozenset(implied) for tag, implied in world.implications.items()}
    return was in Relations(world.aliases, implications, "").fingerprints


def load_relations(folder: Path, *, skip_ambiguous: bool = False) -> Relations:
    """Read Danbooru's lists `tag_aliases`, `tag_implications` and `deprecated_tags`, in a form that `entries` reads.

    Only active aliases and implications count. A list that is missing is empty; an entry may be there twice.

    Args:
        folder: Where the files are.
        skip_ambiguous: Leave out aliases that stand for two tags or for each other in a circle, and go on.

    Raises:
        BooruError: All lists are missing, or one is there in two files; a file cannot be read, an entry is broken, a
            tag stands for or implies itself; or an alias is ambiguous, unless those are skipped.
    """
    paths = {name: find_list(folder, _stem(name)) for name in _MEANING}
    deprecated = find_list(folder, _DEPRECATED)
    if not any([*paths.values(), deprecated]):
        raise BooruError(
            f"{folder} has neither {ALIASES_FILE} nor {IMPLICATIONS_FILE}. Put one of them there, or {ANOTHER_FOLDER}"
        )
    aliases: dict[str, str] = {}
    implications: dict[str, frozenset[str]] = {}
    left_out: tuple[str, ...] = ()
    if path := paths[ALIASES_FILE]:
        # Spellings, too: a tag table can be made without the rules that change them.
        aliases, left_out = _aliases(read_pairs(path, "an alias of itself", spellings=True), path, skip_ambiguous)
    if path := paths[IMPLICATIONS_FILE]:
        implications = _implications(read_pairs(path, "implied by itself"), path, aliases)
    return Relations(
        aliases,
        implications,
        str(folder),
        left_out,
        absent=tuple(name for name, path in paths.items() if path is None),
        deprecated=read_deprecated(deprecated) if deprecated else frozenset(),
    )


def _stem(name: str) -> str:
    return name.removesuffix(".json")


def _aliases(
    lines: Mapping[tuple[str, str], int], path: Path, skip_ambiguous: bool
) -> tuple[dict[str, str], tuple[str, ...]]:
    """Canonical tag by alias, chains followed to their end; and the ambiguous aliases."""
    consequents: dict[str, list[str]] = {}
    for alias, tag in lines:
        consequents.setdefault(alias, []).append(tag)
    direct = {alias: tags[0] for alias, tags in consequents.items()}
    several = [alias for alias, tags in consequents.items() if len(tags) > 1]
    circles = _circles(direct)
    left_out = tuple(dict.fromkeys(chain(several, *circles)))
    if left_out and not skip_ambiguous:
        if several:
            alias, tags = several[0], consequents[several[0]]
            numbers, problem = [lines[alias, tag] for tag in tags], f"{alias} is an alias of {' and of '.join(tags)}"
        else:
            numbers = [lines[alias, direct[alias]] for alias in circles[0]]
            problem = f"the aliases {' -> '.join([*circles[0], circles[0][0]])} go in a circle"
        more = len(several) + len(circles) - 1
        also = f" ({more} more such problem{'s' if more > 1 else ''} in the file)" if more else ""
        refuse(
            path,
            numbers,
            f"{problem}{also}.",
            "Correct or remove one of these lines, or go on without such aliases with BOORU_SKIP_AMBIGUOUS_ALIASES=1.",
        )
    for alias in left_out:
        del direct[alias]
    return {alias: _last(direct, alias) for alias in direct}, left_out


def _circles(direct: Mapping[str, str]) -> list[list[str]]:
    """Aliases that lead back to themselves, a list a circle."""
    circles = []
    seen: set[str] = set()
    for start in direct:
        path: dict[str, None] = {}  # ordered
        name = start
        while name in direct and name not in seen:
            seen.add(name)
            path[name] = None
            name = direct[name]
        if name in path:
            walked = list(path)
            circles.append(walked[walked.index(name) :])
    return circles


def _last(direct: Mapping[str, str], name: str) -> str:
    while name in direct:
        name = direct[name]
    return name


def _implications(
    lines: Mapping[tuple[str, str], int], path: Path, aliases: Mapping[str, str]
) -> dict[str, frozenset[str]]:
    """Implied tags by tag, aliases applied to both."""
    numbers: dict[tuple[str, str], int] = {}
    for (antecedent, consequent), number in lines.items():
        pair = aliases.get(antecedent, antecedent), aliases.get(consequent, consequent)
        if pair[0] != pair[1]:  # a name and its alias: it says nothing
            numbers.setdefault(pair, number)
    implied: dict[str, set[str]] = {}
    for antecedent, consequent in numbers:
        implied.setdefault(antecedent, set()).add(consequent)
    try:
        TopologicalSorter(implied).prepare()
    except CycleError as error:
        circle: list[str] = error.args[1][::-1]  # each implies the next; the first is there again at the end
        refuse(
            path,
            [numbers[pair] for pair in pairwise(circle)],
            f"the implications {' -> '.join(circle)} go in a circle.",
            "Correct or remove one of these lines.",
        )
    return {tag: frozenset(tags) for tag, tags in implied.items()}
