"""The posts of a sample."""

import json
import math
from collections import Counter

import pytest

from booru_pipeline_tests.sample.generated import PEOPLE, WORLD, Sample


@pytest.mark.parametrize("release", ["2021a", "2021b"])
def test_posts_are_closed_under_the_implications(sample: Sample, release: str) -> None:
    implications = [json.loads(line) for line in (sample.folder / "tag_implications.json").read_text().splitlines()]
    for tags in sample.posts(release).values():
        for row in implications:
            assert row["antecedent_name"] not in tags or row["consequent_name"] in tags, (row, tags)


@pytest.mark.parametrize("release", ["2021a", "2021b"])
def test_posts_use_the_worlds_tags_and_no_alias(sample: Sample, release: str) -> None:
    seen = set().union(*sample.posts(release).values())
    assert seen <= WORLD.categories.keys()
    assert not seen & WORLD.aliases.keys()
    assert len(seen) > 0.9 * len(WORLD.categories)


@pytest.mark.parametrize("release", ["2021a", "2021b"])
def test_posts_have_twenty_to_thirty_tags_on_average(sample: Sample, release: str) -> None:
    posts = sample.posts(release)
    assert 20 <= sum(map(len, posts.values())) / len(posts) <= 30


def test_the_counting_tags_agree_with_each_other(sample: Sample) -> None:
    for tags in sample.posts("2021a").values():
        people = sum(number for tag, number in PEOPLE.items() if tag in tags)
        assert ("solo" in tags) == (people == 1)
        assert ("no_humans" in tags) == (people == 0)
        assert ("multiple_girls" in tags) == bool({"2girls", "3girls"} & tags)
        named = [c for c in WORLD.characters if c.name in tags and c.kind != "creature"]
        assert people == len(named) or (people <= 1 and not named)


def test_pekora_is_frequent_and_has_a_long_tail_behind_her(sample: Sample) -> None:
    counts = Counter(tag for tags in sample.posts("2021a").values() for tag in tags)
    names = sorted((c.name for c in WORLD.characters), key=lambda name: -counts[name])
    assert counts["usada_pekora"] >= 50
    assert names[0] == "usada_pekora"
    assert counts[names[len(names) // 2]] < counts["usada_pekora"] / 4
    assert counts[names[-1]] > 0


@pytest.mark.parametrize("name", ["usada_pekora", "hatsune_miku", "houshou_marine", "kirisame_marisa"])
def test_traits_are_as_frequent_as_the_truth_says(sample: Sample, name: str) -> None:
    """Not below the stated chance, and near it where nothing else gives the tag."""
    traits = json.loads((sample.folder / "sample_truth.json").read_text())["characters"][name]["traits"]
    posts = [tags for r in ("2021a", "2021b") for tags in sample.posts(r).values() if name in tags and "solo" in tags]
    elsewhere = _tags_given_without(name)
    checked = 0
    for trait, chance in traits.items():
        # Four standard deviations, and a post's worth for the few tags that second boorus and edits take away.
        margin = 4 * math.sqrt(len(posts) * chance * (1 - chance)) + 1
        have = sum(trait in tags for tags in posts)
        assert have >= len(posts) * chance - margin, trait
        if trait not in elsewhere:
            checked += 1
            assert have <= len(posts) * chance + margin, trait
    assert checked >= 3
    assert len(posts) >= 40


def _tags_given_without(name: str) -> set[str]:
    """Tags that a post showing only this character may get from something other than its traits."""
    bundles = [*WORLD.scenes, *WORLD.expressions, *WORLD.poses, *WORLD.outfits]
    given = {*WORLD.details, *WORLD.tail, name}
    given.update(*(bundle.tags for bundle in bundles), *WORLD.with_copyright.values())
    return WORLD.closure(given)


def test_traits_are_not_spread_over_everybody(sample: Sample) -> None:
    without = [tags for tags in sample.posts("2021a").values() if "usada_pekora" not in tags]
    assert sum("carrot_hair_ornament" in tags for tags in without) == 0
    assert sum("rabbit_ears" in tags for tags in without) < 0.1 * len(without)
