import dataclasses

import numpy as np
import pytest

from booru_pipeline.evaluation.posts import Posts
from booru_pipeline.evaluation.task import recovery_task

LABELS = [f"label_{row}" for row in range(50)]


def random_posts(count=200, smallest=1):
    rng = np.random.default_rng(0)
    return Posts(
        booru=[("safebooru", "danbooru")[row % 2] for row in range(count)],
        fid=np.arange(count) // 2,
        group=[f"picture {row // 3}" for row in range(count)],
        labels=[np.sort(rng.choice(50, int(rng.integers(smallest, 30)), replace=False)) for _ in range(count)],
    )


def take(posts, rows):
    return Posts(
        [posts.booru[row] for row in rows],
        posts.fid[rows],
        [posts.group[row] for row in rows],
        [posts.labels[row] for row in rows],
    )


def pose(posts, labels=LABELS, limit=1000, hidden_share=0.5, seed=0):
    return recovery_task(posts, labels, limit=limit, hidden_share=hidden_share, seed=seed)


def by_key(task, labels=LABELS):
    return {
        (booru, int(fid)): ({labels[row] for row in visible}, {labels[row] for row in hidden})
        for booru, fid, visible, hidden in zip(task.booru, task.fid, task.visible, task.hidden, strict=True)
    }


@pytest.mark.parametrize("hidden_share", [0.01, 0.3, 0.5, 0.99])
def test_every_post_is_parted_in_two(hidden_share):
    posts = random_posts()
    task = pose(posts, hidden_share=hidden_share)
    whole = {(booru, int(fid)): own for booru, fid, own in zip(posts.booru, posts.fid, posts.labels, strict=True)}
    for booru, fid, visible, hidden in zip(task.booru, task.fid, task.visible, task.hidden, strict=True):
        own = whole[booru, int(fid)]
        assert len(visible) >= 1
        assert len(hidden) >= 1
        assert sorted([*visible, *hidden]) == own.tolist()
        assert abs(len(hidden) - hidden_share * len(own)) <= 1
    short = sum(len(own) < 2 for own in posts.labels)
    assert short > 0
    assert (len(task), task.available, task.too_short) == (200 - short, 200 - short, short)


def test_the_order_of_rows_changes_nothing():
    posts = random_posts()
    shuffled = take(posts, np.random.default_rng(1).permutation(200))
    one, other = pose(posts, limit=50), pose(shuffled, limit=50)
    assert one.fid.tolist() == other.fid.tolist()
    assert by_key(one) == by_key(other)


def test_the_order_of_the_vocabulary_changes_nothing():
    posts = random_posts(smallest=2)
    order = np.random.default_rng(2).permutation(50)
    place = np.argsort(order)
    renumbered = dataclasses.replace(posts, labels=[np.sort(place[own]) for own in posts.labels])
    reordered = [LABELS[row] for row in order]
    assert by_key(pose(posts)) == by_key(pose(renumbered, labels=reordered), labels=reordered)


def test_which_other_posts_are_there_changes_nothing():
    posts = random_posts(smallest=2)
    whole = by_key(pose(posts))
    assert all(whole[key] == parts for key, parts in by_key(pose(take(posts, np.arange(40)))).items())
    assert all(whole[key] == parts for key, parts in by_key(pose(posts, limit=30)).items())


def test_another_seed_is_another_draw():
    posts = random_posts()
    assert by_key(pose(posts, limit=30)) == by_key(pose(posts, limit=30))
    assert by_key(pose(posts, limit=30)).keys() != by_key(pose(posts, limit=30, seed=1)).keys()
    assert by_key(pose(posts)) != by_key(pose(posts, seed=1))


def test_the_same_id_on_two_boorus_is_two_draws():
    labels = np.arange(40)
    posts = Posts(["safebooru", "danbooru"], np.array([7, 7]), ["a", "b"], [labels, labels])
    task = pose(posts)
    assert task.hidden[0].tolist() != task.hidden[1].tolist()
