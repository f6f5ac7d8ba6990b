"""Drawing one post's tags from the sample world."""

from collections.abc import Mapping, Sequence
from functools import cache
from itertools import accumulate
from random import Random
from typing import TypeVar

from booru_pipeline.sample.world import Bundle, Character, World
from booru_pipeline.tags import Category

_T = TypeVar("_T")

# How many named characters a post has, and how often; "nobody" is a view, "anonymous" somebody without a name.
_CAST_WEIGHTS = {"nobody": 3, "anonymous": 8, "one": 73, "two": 13, "three": 3}
_CAST_SIZES = {"nobody": 0, "anonymous": 0, "one": 1, "two": 2, "three": 3}
_SAME_SERIES = 0.8
_ANONYMOUS_BOY = 0.15
_LOOK = 0.85  # that one feature of an anonymous person (hair, eyes and so on) is tagged
_OUTFIT = 0.25
_NAMED_ARTIST = 0.92
_TAIL_LENGTHS = {0: 15, 1: 25, 2: 25, 3: 18, 4: 10, 5: 5, 6: 2}


def draw_post(world: World, rng: Random) -> frozenset[str]:
    """The tags of a new post, artist and meta tags included, closed under the world's implications."""
    cast_kind = _weighted(_CAST_WEIGHTS, rng)
    cast = _draw_cast(world, _CAST_SIZES[cast_kind], rng)
    kinds = [character.kind for character in cast]
    tags = {character.name for character in cast}
    for character in cast:
        tags.update(character.copyrights)
        tags.update(_each(character.traits, rng))
    if cast_kind == "anonymous":
        kinds = ["boy" if rng.random() < _ANONYMOUS_BOY else "girl"]
        tags.update(_weighted(look, rng) for look in world.looks if rng.random() < _LOOK)
    if not cast:
        tags.add("original")
    tags.update(_count(world, kinds))
    tags.update(_one_of([scene for scene in world.scenes if kinds or scene.view], rng))
    if kinds:
        tags.update(_one_of(world.expressions, rng), _one_of(world.poses, rng))
    if {"girl", "boy"} & {*kinds}:
        tags.update(_each(world.details, rng))
        if rng.random() < _OUTFIT:
            tags.update(_one_of(world.outfits, rng))
    tags.update(draw_tail(world, _weighted(_TAIL_LENGTHS, rng), rng))
    tags.update(_each(world.meta, rng))
    if rng.random() < _NAMED_ARTIST:
        tags.add(rng.choices(world.artists, cum_weights=_falling(len(world.artists)))[0])

    tags = world.closure(tags)
    for copyright_tag in sorted(tags & world.with_copyright.keys()):
        tags.update(_each(world.with_copyright[copyright_tag], rng))
    return frozenset(world.closure(tags))


def draw_tail(world: World, count: int, rng: Random) -> list[str]:
    """Rare general tags, possibly the same one twice; what they imply is left to the caller."""
    return rng.choices(world.tail, cum_weights=_falling(len(world.tail)), k=count)


def removable(world: World, tags: frozenset[str]) -> list[str]:
    """The general and meta tags that can go without leaving the post open under the implications, sorted."""
    implied = {consequent for tag in tags for consequent in world.implications.get(tag, ())}
    counting = world.counting
    fixed = {*counting.girl, *counting.boy, counting.one_person, counting.only_boys, counting.nobody}
    free = {Category.GENERAL, Category.META, Category.UNCATALOGUED}
    return sorted(tag for tag in tags - implied - fixed if world.categories[tag] in free)


def _draw_cast(world: World, size: int, rng: Random) -> list[Character]:
    cast: list[Character] = []
    for _ in range(size):
        pool = [character for character in world.characters if character not in cast]
        if cast and rng.random() < _SAME_SERIES:
            series = world.closure(cast[0].copyrights)
            pool = [character for character in pool if series & world.closure(character.copyrights)] or pool
        cast.append(rng.choices(pool, [character.popularity for character in pool])[0])
    return cast


def _count(world: World, kinds: Sequence[str]) -> list[str]:
    """The tags that say how many girls and boys there are. A creature is not counted as one of them."""
    counting = world.counting
    girls, boys = kinds.count("girl"), kinds.count("boy")
    tags = [names[number - 1] for names, number in ((counting.girl, girls), (counting.boy, boys)) if number]
    if not tags:
        tags.append(counting.nobody)
    if girls + boys == 1:
        tags.append(counting.one_person)
    if boys and not girls:
        tags.append(counting.only_boys)
    return tags


def _each(tags: Mapping[str, float], rng: Random) -> list[str]:
    return [tag for tag, probability in tags.items() if rng.random() < probability]


def _one_of(bundles: Sequence[Bundle], rng: Random) -> list[str]:
    return _each(rng.choices(bundles, [bundle.weight for bundle in bundles])[0].tags, rng)


def _weighted(weights: Mapping[_T, int], rng: Random) -> _T:
    return rng.choices(list(weights), list(weights.values()))[0]


@cache
def _falling(length: int) -> list[int]:
    """Cumulative weights that fall like one over the rank; whole numbers, so that every machine draws alike."""
    return list(accumulate(100_000 // (rank + 8) for rank in range(length)))
