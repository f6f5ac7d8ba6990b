"""The sample world: characters and their traits, bundles of tags, implications and aliases."""

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from itertools import chain
from typing import Any, Final

from pydantic import TypeAdapter

from booru_pipeline.tags import Category, closure

_BUNDLES: Final = ("scene", "expression", "pose", "outfit")


@dataclass(frozen=True, slots=True)
class Character:
    """A character and, for each trait, the probability that a post of the character has it."""

    name: str
    copyrights: tuple[str, ...]
    popularity: int
    traits: Mapping[str, float]
    kind: str = "girl"


@dataclass(frozen=True, slots=True)
class Bundle:
    """Tags that go together: one bundle of a list is drawn by weight, then each of its tags by probability.

    A scene that is a `view` needs nobody in it.
    """

    weight: int
    tags: Mapping[str, float]
    view: bool = False


@dataclass(frozen=True, slots=True)
class Counting:
    """The tags that say how many are in the picture; `girl[0]` and `boy[0]` stand for one."""

    girl: tuple[str, ...]
    boy: tuple[str, ...]
    one_person: str
    only_boys: str
    nobody: str


@dataclass(frozen=True, slots=True)
class World:
    """Everything the sample posts are drawn from. Every mapping and tuple keeps the order of `world.toml`.

    `categories` and `tag_ids` have every tag that a post may have, artists and meta tags included, and no alias.
    """

    characters: tuple[Character, ...]
    counting: Counting
    scenes: tuple[Bundle, ...]
    expressions: tuple[Bundle, ...]
    poses: tuple[Bundle, ...]
    outfits: tuple[Bundle, ...]
    looks: tuple[Mapping[str, int], ...]
    details: Mapping[str, float]
    meta: Mapping[str, float]
    with_copyright: Mapping[str, Mapping[str, float]]
    tail: tuple[str, ...]
    artists: tuple[str, ...]
    quoted_copyrights: tuple[str, ...]
    implications: Mapping[str, tuple[str, ...]]
    aliases: Mapping[str, str]
    categories: Mapping[str, Category]
    tag_ids: Mapping[str, int]

    def closure(self, tags: Iterable[str]) -> set[str]:
        """The tags and everything they imply, however indirectly."""
        return closure(tags, self.implications)

    def chances(self, character: Character) -> dict[str, float]:
        """How probable a tag is on a post of the character, from its traits and what they imply.

        The true frequency can only be higher: a scene, an outfit or another character may give the tag, too.
        """
        missing: dict[str, float] = {}
        for trait, probability in character.traits.items():
            for tag in sorted(self.closure([trait])):
                missing[tag] = missing.get(tag, 1.0) * (1.0 - probability)
        return {tag: round(1.0 - chance, 6) for tag, chance in missing.items()}


@cache
def load_world() -> World:
    """The world described in `world.toml`, read once a process."""
    text = resources.files("booru_pipeline.sample").joinpath("world.toml").read_text(encoding="utf-8")
    facts = tomllib.loads(text)
    bundles = {
        f"{kind}s": TypeAdapter(tuple[Bundle, ...]).validate_python([*facts[kind].values()]) for kind in _BUNDLES
    }
    implications: dict[str, tuple[str, ...]] = {}
    for consequent, antecedents in facts["implications"].items():
        for antecedent in antecedents:
            implications[antecedent] = (*implications.get(antecedent, ()), consequent)
    categories = _categories(facts, implications)
    return World(
        characters=TypeAdapter(tuple[Character, ...]).validate_python(facts["character"]),
        counting=TypeAdapter(Counting).validate_python(facts["counting"]),
        **bundles,
        looks=tuple(facts["looks"].values()),
        details=facts["details"],
        meta=facts["meta"]["catalogued"] | facts["meta"]["uncatalogued"],
        with_copyright=facts["with_copyright"],
        tail=tuple(facts["tail"]["tags"].split()),
        artists=tuple(facts["artists"]["names"].split()),
        quoted_copyrights=tuple(facts["artists"]["quoted_copyrights"]),
        implications=implications,
        aliases={name: in_use for in_use, names in facts["aliases"].items() for name in names},
        categories=categories,
        tag_ids=_tag_ids(categories, without_id={*facts["categories"]["without_id"]}),
    )


def _categories(facts: Mapping[str, Any], implications: Mapping[str, tuple[str, ...]]) -> dict[str, Category]:
    """Every tag of the world with its category: general, unless the file says otherwise."""
    characters, counting = facts["character"], facts["counting"]
    bundles = chain.from_iterable(facts[kind].values() for kind in _BUNDLES)
    general = chain(
        chain.from_iterable(character["traits"] for character in characters),
        chain.from_iterable([tags] if isinstance(tags, str) else tags for tags in counting.values()),
        chain.from_iterable(bundle["tags"] for bundle in bundles),
        chain.from_iterable(facts["looks"].values()),
        facts["details"],
        chain.from_iterable(facts["with_copyright"].values()),
        facts["tail"]["tags"].split(),
        chain.from_iterable((antecedent, *consequents) for antecedent, consequents in implications.items()),
    )
    named = {
        Category.COPYRIGHT: [
            *chain.from_iterable(character["copyrights"] for character in characters),
            *facts["categories"]["copyright"],
            *facts["artists"]["quoted_copyrights"],
        ],
        Category.CHARACTER: [*(character["name"] for character in characters), *facts["categories"]["character"]],
        Category.ARTIST: facts["artists"]["names"].split(),
        Category.META: facts["meta"]["catalogued"],
        Category.UNCATALOGUED: facts["meta"]["uncatalogued"],
    }
    return dict.fromkeys(general, Category.GENERAL) | {tag: number for number, tags in named.items() for tag in tags}


def _tag_ids(categories: Mapping[str, Category], without_id: set[str]) -> dict[str, int]:
    """A number for each tag; 0 where the releases have none: artists, meta tags, recent tags, tags with quotes."""
    numbered = {Category.GENERAL, Category.COPYRIGHT, Category.CHARACTER}
    return {
        tag: 100 + 7 * rank if categories[tag] in numbered and tag not in without_id and '"' not in tag else 0
        for rank, tag in enumerate(sorted(categories))
    }
