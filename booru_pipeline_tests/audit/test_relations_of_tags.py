"""Aliases, exclusions and core tags."""

import numpy as np
import pytest

from booru_pipeline.audit.aliases import propose_aliases
from booru_pipeline.audit.core_tags import core_tags
from booru_pipeline.audit.exclusions import find_exclusions
from booru_pipeline_tests.audit.made_posts import counts_of, named, vocabulary_of

GENERAL, COPYRIGHT, CHARACTER = 0, 3, 4


def company(random, names, share=0.5):
    return {name for name in names if random.random() < share}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("osakabe-hime_(fate/grand_order)", "osakabehime_(fate)"),
        ("cat_ear", "cat_ears"),
        ("ears_cat", "cat_ears"),
        ("hatsune_miku_(vocaloid)", "hatsune_miku"),
    ],
)
def test_two_names_in_the_same_company_are_proposed_as_aliases(one, other):
    random = np.random.default_rng(0)
    series = dict.fromkeys(("fate/grand_order", "fate_(series)", "vocaloid"), COPYRIGHT)
    words = vocabulary_of({one: CHARACTER, other: CHARACTER, **series, **dict.fromkeys("abcd", GENERAL)})
    posts = [{one} | company(random, "ab", 0.9) for _ in range(20)]
    posts += [{other} | company(random, "ab", 0.9) for _ in range(60)]
    posts += [company(random, "cd", 0.9) | {"c"} for _ in range(200)]
    found = propose_aliases(counts_of(posts, words), words)
    assert named(words, found.alias, found.tag) == [(one, other)]
    assert found.likeness[0] > 0.9
    assert found.together.tolist() == [0]


@pytest.mark.parametrize(
    "why", ["other company", "on the same posts", "of two categories", "spelled otherwise", "kaomoji", "a costume"]
)
def test_other_pairs_are_not(why):
    random = np.random.default_rng(0)
    pairs = {
        "spelled otherwise": ("red_ears", "cat_ears"),
        "kaomoji": (";d", ":d"),
        "a costume": ("usada_pekora_(1st_costume)", "usada_pekora"),
    }
    names = pairs.get(why, ("cat_ear", "cat_ears"))
    categories = (GENERAL, CHARACTER if why == "of two categories" else GENERAL)
    words = vocabulary_of({**dict(zip(names, categories, strict=True)), **dict.fromkeys("abcd", GENERAL)})
    first = [{names[0]} | company(random, "cd" if why == "other company" else "ab", 0.9) for _ in range(20)]
    if why == "on the same posts":
        first = [post | {names[1]} for post in first]
    posts = first + [{names[1]} | company(random, "ab", 0.9) for _ in range(60)]
    posts += [company(random, "cd", 0.9) | {"c"} for _ in range(200)]
    assert len(propose_aliases(counts_of(posts, words), words).alias) == 0


@pytest.mark.parametrize("seed", range(3))
def test_exclusions_are_those_that_all_pairs_give(seed):
    random = np.random.default_rng(seed)
    names = [f"tag{number}" for number in range(30)]
    words = vocabulary_of(dict.fromkeys(names, GENERAL))
    posts = []
    for _ in range(400):
        post = company(random, names, 0.25)
        if "tag0" in post:
            post -= {"tag1", "tag2"} if random.random() < 0.9 else set()
        posts.append(post)
    counts = counts_of(posts, words)
    found = find_exclusions(counts)
    expected = set()
    for one in range(30):
        for other in range(one + 1, 30):
            both = sum({names[one], names[other]} <= post for post in posts)
            chance = counts.labels[one] * counts.labels[other] / len(posts)
            if chance >= 10 and both < chance / 4:
                expected.add((names[one], names[other]))
    assert set(named(words, found.first, found.second)) == expected
    assert {("tag0", "tag1"), ("tag0", "tag2")} & expected
    assert (np.diff(found.expected) <= 0).all()


def test_few_posts_exclude_nothing():
    words = vocabulary_of({"a": GENERAL, "b": GENERAL})
    assert len(find_exclusions(counts_of([{"a"}, {"b"}] * 15, words)).first) == 0  # 7.5 by chance
    assert len(find_exclusions(counts_of([{"a"}, {"b"}] * 25, words)).first) == 1
    assert len(find_exclusions(counts_of([], words)).first) == 0


def test_core_tags_are_on_most_posts_of_a_character_that_has_enough():
    words = vocabulary_of({"miku": CHARACTER, "rare": CHARACTER, "vocaloid": COPYRIGHT, "twintails": GENERAL, "hat": 0})
    posts = [
        *[{"miku", "vocaloid", "twintails"}] * 16,
        *[{"miku", "vocaloid", "hat"}] * 4,
        *[{"rare", "hat"}] * 19,
        *[{"hat"}] * 30,
    ]
    core = core_tags(counts_of(posts, words), words, share=0.8, posts=20)
    assert named(words, *map(np.asarray, core.nonzero())) == [("miku", "twintails")]  # 16 of 20, and general
    assert core_tags(counts_of(posts, words), words, share=0.81, posts=20).nnz == 0
    assert named(words, *map(np.asarray, core_tags(counts_of(posts, words), words, 0.8, 19).nonzero())) == [
        ("miku", "twintails"),
        ("rare", "hat"),
    ]
