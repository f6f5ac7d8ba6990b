"""Near-duplicates against a brute-force reference, at the threshold, and in crowds."""

import hashlib
import itertools
from collections import defaultdict

import numpy as np
import pyarrow as pa
import pytest

from booru_pipeline.dataset import duplicates
from booru_pipeline.dataset.duplicates import TagSets, banding, near_duplicates

GENERAL, ARTIST, COPYRIGHT, CHARACTER, META, UNCATALOGUED = 0, 1, 3, 4, 5, -1


def token(tag):
    return int.from_bytes(hashlib.blake2b(str(tag).encode(), digest_size=8).digest(), "little")


def tag_sets(posts, pictures=None):
    """Posts are lists of (tag, category)."""
    return TagSets.of(
        pa.array([[token(tag) for tag, _ in post] for post in posts], pa.list_(pa.uint64())),
        pa.array([[category for _, category in post] for post in posts], pa.list_(pa.int8())),
        pa.array(range(len(posts)) if pictures is None else pictures, pa.uint64()),
    )


def general(tags):
    return [(tag, GENERAL) for tag in tags]


def find(posts, new=None, jaccard=0.9, min_tags=8, pictures=None):
    new = np.ones(len(posts), bool) if new is None else np.array(new)
    links = near_duplicates(tag_sets(posts, pictures), new, jaccard, min_tags)
    return sorted(tuple(sorted(link)) for link in links.tolist())


def are_alike(one, other, jaccard=0.9):
    if any({t for t, c in one if c == name} != {t for t, c in other if c == name} for name in (ARTIST, CHARACTER)):
        return False
    one, other = ({t for t, c in post if c not in (ARTIST, META)} for post in (one, other))
    return len(one & other) / len(one | other) >= jaccard


def components(links, posts):
    parent = list(range(posts))

    def root(post):
        while parent[post] != post:
            parent[post] = post = parent[parent[post]]
        return post

    for one, other in links:
        parent[max(root(one), root(other))] = min(root(one), root(other))
    groups = defaultdict(set)
    for post in range(posts):
        groups[root(post)].add(post)
    return {frozenset(group) for group in groups.values()}


def random_posts(random, number):
    """Variants of a few posts, so that many pairs lie about the threshold."""
    bases = [
        [(f"a{base % 3}", ARTIST), (f"c{base % 4}", CHARACTER), ("x", COPYRIGHT), ("highres", META)]
        + [(f"{base % 5} {tag}", GENERAL) for tag in range(random.integers(5, 30))]
        for base in range(number // 12)
    ]
    posts = []
    for _ in range(number):
        post = list(bases[random.integers(len(bases))])
        for _ in range(random.integers(4)):
            post[random.integers(len(post))] = (
                f"other {random.integers(3)}",
                random.choice([GENERAL, UNCATALOGUED, META]),
            )
        posts.append([post[i] for i in random.permutation(len(post))])
    return [list({tag: (tag, category) for tag, category in post}.values()) for post in posts]


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("jaccard", [0.5, 0.8, 0.9, 1.0])
def test_links_are_true_and_connect_what_brute_force_connects(seed, jaccard):
    random = np.random.default_rng(seed)
    posts = random_posts(random, 300)
    new = random.random(len(posts)) < 0.5
    pictures = random.integers(0, 250, len(posts)).tolist()
    content = [sum(category not in (ARTIST, META) for _, category in post) for post in posts]
    pairs = [
        (one, other)
        for one, other in itertools.combinations(range(len(posts)), 2)
        if are_alike(posts[one], posts[other], jaccard) and min(content[one], content[other]) >= 8
    ]
    assert len(pairs) > 20, "no pair is alike: this test cannot fail"
    links = find(posts, new, jaccard, 8, pictures)
    assert set(links) <= set(pairs)
    same_picture = [
        pair for pair in itertools.combinations(range(len(posts)), 2) if len({pictures[i] for i in pair}) == 1
    ]
    wanted = [pair for pair in pairs if new[list(pair)].any()]
    assert components(links + same_picture, len(posts)) == components(wanted + same_picture, len(posts))


def test_the_threshold_is_met_exactly():
    one, other = general(range(19)), general(range(1, 20))  # 18 of 20
    assert find([one, other]) == [(0, 1)]
    assert find([one, other], jaccard=0.9001) == []
    assert find([one, [*other[:-2], ("p", GENERAL), ("q", GENERAL)]]) == []


@pytest.mark.parametrize(
    ("tag", "alike"),
    [
        (("someone", ARTIST), False),
        (("somebody", CHARACTER), False),
        (("series", COPYRIGHT), True),
        (("highres", META), True),
        (("odd", UNCATALOGUED), True),
    ],
)
def test_artists_and_characters_must_be_the_same(tag, alike):
    posts = [general(range(12)), [*general(range(12)), tag]]
    assert find(posts) == ([(0, 1)] if alike else [])
    assert find([[*post, ("same", tag[1])] for post in posts]) == ([(0, 1)] if alike else [])


def test_a_tag_that_is_an_artist_in_one_post_and_a_character_in_the_other_tells_them_apart():
    assert find([[*general(range(12)), ("n", ARTIST)], [*general(range(12)), ("n", CHARACTER)]]) == []


def test_artists_and_meta_tags_do_not_count_as_likeness():
    names = [(f"a{i}", ARTIST) for i in range(20)] + [(f"m{i}", META) for i in range(20)]
    assert find([[*general(range(10)), *names], [*general(range(2, 12)), *names]]) == []


def test_posts_with_few_tags_are_alike_by_chance():
    assert find([general(range(7))] * 2) == []
    assert find([general(range(7))] * 2, min_tags=7) == [(0, 1)]


def test_posts_of_one_picture_are_left_to_others_to_join():
    assert find([general(range(9))] * 2, pictures=[5, 5]) == []
    assert len(find([general(range(9))] * 3, pictures=[5, 5, 6])) == 2


def test_pairs_of_old_posts_are_not_looked_for():
    posts = [general(range(20)), general(range(1, 21)), general(range(1, 20))]
    assert find(posts, [False, False, False]) == []
    assert find(posts, [False, False, True]) == [(0, 2), (1, 2)]


def test_a_new_post_is_linked_to_each_of_two_old_posts_with_equal_tags():
    posts = [general(range(20)), general(range(20)), general(range(1, 20))]
    assert components(find(posts, [False, False, True]), 3) == {frozenset({0, 1, 2})}


def test_the_order_of_posts_and_tags_does_not_matter():
    random = np.random.default_rng(1)
    posts = random_posts(random, 400)
    order = random.permutation(len(posts))
    shuffled = [[posts[i][j] for j in random.permutation(len(posts[i]))] for i in order]
    found = components(find(posts), len(posts))
    assert len(found) < len(posts)
    assert {frozenset(order[list(group)].tolist()) for group in components(find(shuffled), len(posts))} == found


def test_nothing_and_next_to_nothing():
    assert find([]) == []
    assert find([[]]) == []
    assert find([[], [], general(range(8))]) == []


@pytest.mark.parametrize("jaccard", [0.3, 0.5, 0.7, 0.85, 0.9, 0.95, 1.0])
def test_one_in_a_million_pairs_at_the_threshold_is_missed(jaccard):
    bands, rows = banding(jaccard)
    assert (1 - jaccard**rows) ** bands < 1e-6
    assert bands <= 64


def test_of_twenty_thousand_pairs_at_the_threshold_all_are_found():
    random = np.random.default_rng(0)
    pairs = 20_000
    first = random.integers(0, 2**63, (pairs, 19), dtype=np.uint64)
    second = np.concatenate([first[:, 1:], random.integers(0, 2**63, (pairs, 1), dtype=np.uint64)], axis=1)
    posts = 2 * pairs
    sets = TagSets(
        np.concatenate([first.ravel(), second.ravel()]),
        np.arange(0, 19 * posts + 1, 19),
        np.arange(posts, dtype=np.uint64),
        np.zeros(posts, np.uint64),  # one block
        random.integers(0, 2**63, posts, dtype=np.uint64),
    )
    links = np.sort(near_duplicates(sets, np.ones(posts, bool), 0.9, 8), axis=1)
    assert len(links) == pairs
    assert (links[:, 1] - links[:, 0] == pairs).all()


def crowd(posts, changed):
    """One block of variants of one post of 40 tags, each with its own tags in `changed` places."""
    random = np.random.default_rng(2)
    tokens = np.tile(np.arange(40, dtype=np.uint64), (posts, 1))
    for row in tokens:
        row[random.choice(40, changed, replace=False)] = random.integers(100, 2**63, changed, dtype=np.uint64)
    pictures = np.arange(posts, dtype=np.uint64)
    signatures = random.integers(0, 2**63, posts, dtype=np.uint64) if changed else np.zeros(posts, np.uint64)
    return TagSets(tokens.ravel(), np.arange(0, 40 * posts + 1, 40), pictures, pictures * np.uint64(0), signatures)


@pytest.mark.parametrize(("posts", "changed"), [(50_000, 0), (20_000, 1), (20_000, 6)])
def test_a_crowd_in_one_block_costs_no_square(monkeypatch, posts, changed):
    compared = []

    class Counting(duplicates._Comparison):
        def __call__(self, left, right):
            compared.append(len(left))
            return super().__call__(left, right)

    monkeypatch.setattr(duplicates, "_Comparison", Counting)
    links = near_duplicates(crowd(posts, changed), np.ones(posts, bool), 0.9, 8)
    assert sum(compared) < posts * 25 * 32  # bands, and posts that each is compared with in a band
    assert sum(compared) < posts * (posts - 1) / 2 / 10
    # One tag changed leaves 38 or 39 of 41 or 40 the same; six leave about 28 of 52.
    assert np.unique(links).size == (0 if changed == 6 else posts)
    assert len(components(links.tolist(), posts)) == (posts if changed == 6 else 1)
