import re
import tomllib
from collections import Counter
from importlib import resources

import pytest

from booru_pipeline.sample import load_world
from booru_pipeline.sample.world import Character, World
from booru_pipeline.tags import Category

# Enough of the explicit vocabulary of the boorus that one such tag slipping in would be seen.
EXPLICIT = re.compile(
    r"(^|_)(nude|naked|topless|bottomless|sex|penis|vagina|pussy|nipples?|areolae?|breasts?|cleavage|ass|anus|anal|oral|"
    r"fellatio|paizuri|cum|panties|pantyshot|underwear|bra|lingerie|thong|bondage|erection|masturbation|ejaculation|"
    r"pubic_hair|rape|gangbang|ahegao|sideboob|underboob|cameltoe|upskirt|loli|shota|blood|guro|gore)(_|$)"
)


@pytest.fixture(scope="module")
def world() -> World:
    return load_world()


def character(world: World, name: str) -> Character:
    return next(character for character in world.characters if character.name == name)


def test_there_is_as_much_of_everything_as_promised(world: World) -> None:
    series = {tag for character in world.characters for tag in character.copyrights}
    broadest = {tag for tag in world.closure(series) if tag not in world.implications}
    assert len({character.name for character in world.characters}) == len(world.characters) >= 60
    assert len(broadest) >= 10
    assert sum(len(consequents) for consequents in world.implications.values()) >= 150
    assert len(world.aliases) >= 60
    assert len(set(world.artists)) == len(world.artists) >= 150
    assert any("(" in artist for artist in world.artists)
    assert len(set(world.tail)) == len(world.tail) >= 300


def test_implications_have_no_cycle(world: World) -> None:
    done: set[str] = set()

    def visit(tag: str, above: tuple[str, ...]) -> None:
        assert tag not in above, f"a cycle: {' -> '.join((*above, tag))}"
        if tag not in done:
            for consequent in world.implications.get(tag, ()):
                visit(consequent, (*above, tag))
            done.add(tag)

    for antecedent in world.implications:
        visit(antecedent, ())
    assert len(done) > len(world.implications)


def test_no_implication_is_stated_twice(world: World) -> None:
    for antecedent, consequents in world.implications.items():
        assert len(set(consequents)) == len(consequents), antecedent


def test_implications_stay_within_a_category(world: World) -> None:
    for antecedent, consequents in world.implications.items():
        for consequent in consequents:
            assert world.categories[antecedent] is world.categories[consequent], (antecedent, consequent)


def test_closure_follows_every_step(world: World) -> None:
    assert world.closure(["carrot_hair_ornament"]) == {
        "carrot_hair_ornament",
        "food-themed_hair_ornament",
        "hair_ornament",
    }
    assert {"hololive", "animal_ears", "skirt", "braid"} <= world.closure(
        ["hololive_english", "rabbit_ears", "pleated_skirt", "twin_braids"]
    )


def test_aliases_lead_in_one_step_to_a_tag_of_the_world(world: World) -> None:
    for antecedent, consequent in world.aliases.items():
        assert antecedent not in world.categories
        assert consequent not in world.aliases
        assert consequent in world.categories
    assert world.aliases["bunny_ears"] == "rabbit_ears"
    assert world.aliases["catgirl"] == "cat_girl"


def test_no_name_is_an_alias_of_two_tags() -> None:
    text = resources.files("booru_pipeline.sample").joinpath("world.toml").read_text(encoding="utf-8")
    names = Counter(name for names in tomllib.loads(text)["aliases"].values() for name in names)
    assert [name for name, times in names.items() if times > 1] == []


def test_pekora_is_who_she_is(world: World) -> None:
    chances = world.chances(character(world, "usada_pekora"))
    assert chances["carrot"] == pytest.approx(0.75)
    assert chances["rabbit_ears"] >= 0.9
    assert chances["animal_ears"] >= chances["rabbit_ears"]
    assert max(world.characters, key=lambda character: character.popularity).name == "usada_pekora"


def test_chances_count_every_trait_that_implies_the_tag(world: World) -> None:
    someone = Character("x", (), 1, {"rabbit_girl": 0.5, "rabbit_ears": 0.5, "cat_ears": 0.2})
    assert world.chances(someone) == {
        "rabbit_girl": 0.5,
        "rabbit_ears": 0.75,
        "cat_ears": 0.2,
        "animal_ears": pytest.approx(1 - 0.5 * 0.5 * 0.8),
    }


def test_every_probability_is_one(world: World) -> None:
    bundles = [*world.scenes, *world.expressions, *world.poses, *world.outfits]
    tables = [
        *(character.traits for character in world.characters),
        *(bundle.tags for bundle in bundles),
        *world.with_copyright.values(),
        world.details,
        world.meta,
    ]
    for table in tables:
        for tag, probability in table.items():
            assert 0 < probability <= 1, tag
    assert all(bundle.weight > 0 for bundle in bundles)
    assert all(character.popularity > 0 for character in world.characters)
    assert {character.kind for character in world.characters} == {"girl", "boy", "creature"}


def test_tags_are_single_safe_words(world: World) -> None:
    for tag in [*world.categories, *world.aliases]:
        assert tag
        assert not re.search(r"\s", tag), tag
        assert not EXPLICIT.search(tag), tag


def test_the_word_list_would_see_an_explicit_tag() -> None:
    assert EXPLICIT.search("nude")
    assert EXPLICIT.search("large_breasts")
    assert not EXPLICIT.search("grass")


def test_ids_are_unique_and_missing_where_the_releases_have_none(world: World) -> None:
    numbers = [number for number in world.tag_ids.values() if number]
    assert len(set(numbers)) == len(numbers)
    for tag, category in world.categories.items():
        if category in {Category.ARTIST, Category.META, Category.UNCATALOGUED}:
            assert world.tag_ids[tag] == 0, tag
    assert world.tag_ids["usada_pekora"] > 0
    assert world.tag_ids["hololive_english"] == 0
    assert world.categories["don-chan_(usada_pekora)"] is Category.CHARACTER


def test_kaomoji_are_among_the_tags(world: World) -> None:
    assert {">_<", "^_^", ":d", ":3", "=_=", "+_+", ";d", "\\m/"} <= world.categories.keys()
