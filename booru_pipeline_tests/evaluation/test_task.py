import dataclasses
from itertools import pairwise

import numpy as np
import pytest
from scipy import sparse

from booru_pipeline.evaluation.task import hide, recovery_task, tuning_pairs
from booru_pipeline_tests.evaluation.named_posts import posts_of

LABELS = [f"label_{row}" for row in range(50)]
NOTHING_IMPLIED = sparse.csr_array((50, 50), dtype=np.float32)


def implications(*pairs, labels=50):
    matrix = np.zeros((labels, labels), dtype=np.float32)
    for one, other in pairs:
        matrix[one, other] = 1
    return sparse.csr_array(matrix)


def random_posts(count=200, smallest=1):
    rng = np.random.default_rng(0)
    return posts_of(
        [rng.choice(50, int(rng.integers(smallest, 30)), replace=False) for _ in range(count)],
        booru=[("safebooru", "danbooru")[row % 2] for row in range(count)],
        fid=np.arange(count) // 2,
    )


def keys_of(posts):
    return list(zip(posts.column("booru"), posts.column("fid"), strict=True))


def pose(posts, labels=LABELS, limit=1000, share=0.5, seed=0):
    task = recovery_task(posts, labels, limit=limit, seed=seed)
    return task, hide(task, share, NOTHING_IMPLIED)


def by_key(posed, labels=LABELS):
    task, hidden = posed
    return {
        key: ({labels[row] for row in seen}, {labels[row] for row in gone})
        for key, seen, gone in zip(keys_of(task.posts), hidden.visible, hidden.hidden, strict=True)
    }


@pytest.mark.parametrize("share", [0.01, 0.3, 0.5, 0.99])
def test_every_post_is_parted_in_two(share):
    posts = random_posts()
    task, hidden = pose(posts, share=share)
    whole = dict(zip(keys_of(posts), posts.labels, strict=True))
    for key, seen, gone in zip(keys_of(task.posts), hidden.visible, hidden.hidden, strict=True):
        own = whole[key]
        assert len(seen) >= 1
        assert len(gone) >= 1
        assert sorted([*seen, *gone]) == own.tolist()
        assert abs(len(gone) - share * len(own)) <= 1
    short = sum(len(own) < 2 for own in posts.labels)
    assert short > 0
    assert (len(task), task.available, task.too_short) == (200 - short, 200 - short, short)


def test_what_a_smaller_share_hides_a_larger_one_hides_too():
    task, _ = pose(random_posts())
    steps = [hide(task, share, NOTHING_IMPLIED).hidden for share in (0.1, 0.3, 0.5, 0.9)]
    for smaller, larger in pairwise(steps):
        assert all(set(few) <= set(many) for few, many in zip(smaller, larger, strict=True))
        assert sum(map(len, smaller)) < sum(map(len, larger))


def test_the_order_of_rows_changes_nothing():
    posts = random_posts()
    shuffled = posts.take(np.random.default_rng(1).permutation(200))
    one, other = pose(posts, limit=50), pose(shuffled, limit=50)
    assert keys_of(one[0].posts) == keys_of(other[0].posts)
    assert by_key(one) == by_key(other)


def test_the_order_of_the_vocabulary_changes_nothing():
    posts = random_posts(smallest=2)
    order = np.random.default_rng(2).permutation(50)
    place = np.argsort(order)
    renumbered = dataclasses.replace(posts, rows=place[posts.rows])
    reordered = [LABELS[row] for row in order]
    assert by_key(pose(posts)) == by_key(pose(renumbered, labels=reordered), labels=reordered)


def test_which_other_posts_are_there_changes_nothing():
    posts = random_posts(smallest=2)
    whole = by_key(pose(posts))
    assert all(whole[key] == parts for key, parts in by_key(pose(posts.take(np.arange(40)))).items())
    assert all(whole[key] == parts for key, parts in by_key(pose(posts, limit=30)).items())


def test_another_seed_is_another_draw():
    posts = random_posts()
    assert by_key(pose(posts, limit=30)) == by_key(pose(posts, limit=30))
    assert by_key(pose(posts, limit=30)).keys() != by_key(pose(posts, limit=30, seed=1)).keys()
    assert by_key(pose(posts)) != by_key(pose(posts, seed=1))


def test_the_same_id_on_two_boorus_is_two_draws():
    labels = np.arange(40)
    posts = posts_of([labels, labels], booru=["safebooru", "danbooru"], fid=[7, 7])
    _, hidden = pose(posts)
    assert hidden.hidden[0].tolist() != hidden.hidden[1].tolist()


def test_what_the_visible_labels_imply_is_derivable_and_given():
    # 0 implies 1 and, through it, 2; 3 implies 4, which the post need not have.
    implied = implications((0, 1), (0, 2), (1, 2), (3, 4))
    posts = posts_of([[0, 1, 2, 9], [3, 9], [1, 2]])
    task = recovery_task(posts, LABELS, limit=10, seed=0)
    # Whatever the hash hides first: the parts are set here, by hand.
    order = {(0, 1, 2, 9): [1, 9, 2, 0], (3, 9): [9, 3], (1, 2): [2, 1]}
    task = dataclasses.replace(task, order=[np.array(order[tuple(sorted(own.tolist()))]) for own in task.order])
    place = {tuple(sorted(own.tolist())): post for post, own in enumerate(task.order)}
    hidden = hide(task, 0.75, implied)

    long, odd, given_away = (place[own] for own in order)
    assert hidden.visible[long].tolist() == [0]
    assert hidden.hidden[long].tolist() == [1, 2, 9]
    assert hidden.closed[long].tolist() == [0, 1, 2]
    assert hidden.derivable[long].tolist() == [1, 2]
    assert hidden.closed[odd].tolist() == [3, 4]  # 4 is given, though the post lacks it
    assert hidden.derivable[odd].tolist() == []
    assert hidden.derivable[given_away].tolist() == [2]

    question = hidden.not_derivable()
    assert question.posts.tolist() == sorted([long, odd])  # the third post has nothing left to ask
    asked = {
        int(post): (seen.tolist(), gone.tolist())
        for post, seen, gone in zip(question.posts, question.given, question.asked, strict=True)
    }
    assert asked == {long: ([0, 1, 2], [9]), odd: ([3, 4], [9])}
    everything = hidden.all_labels()
    assert everything.posts.tolist() == [0, 1, 2]
    assert everything.given is hidden.visible
    assert everything.asked is hidden.hidden


def test_without_implications_both_questions_are_the_same():
    _, hidden = pose(random_posts(), share=0.3)
    everything, question = hidden.all_labels(), hidden.not_derivable()
    assert question.posts.tolist() == everything.posts.tolist()
    for one, other in ((question.given, everything.given), (question.asked, everything.asked)):
        assert [own.tolist() for own in one] == [own.tolist() for own in other]


def test_tuning_pairs_are_the_headline_s_question_about_all_posts_at_each_share():
    task, _ = pose(random_posts(smallest=10))
    implied = implications((0, 1))
    pairs = tuning_pairs(task, [0.1, 0.9], implied)
    assert list(pairs) == [0.1, 0.9]
    for share, of_share in pairs.items():
        question = hide(task, share, implied).not_derivable()
        assert len(of_share) == len(question) > 150
        for (seen, gone), given, asked in zip(of_share, question.given, question.asked, strict=True):
            assert (seen.tolist(), gone.tolist()) == (given.tolist(), asked.tolist())
            assert len(gone)
            assert not set(seen.tolist()) & set(gone.tolist())
