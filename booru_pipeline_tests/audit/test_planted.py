import numpy as np

from booru_pipeline.audit.planted import by_frequency, by_likeness, hide_one, plant_one
from booru_pipeline.dataset.posts import incidence
from booru_pipeline.model.ranking import as_posts

# 0 implies 1, 2 implies 3.
IMPLIED = incidence([[1], [], [3], [], [], []], 6)
POSTS = as_posts([[0, 1, 4], [4], [1, 5], [0, 1]])


def test_one_label_is_hidden_of_posts_with_two():
    faulty = hide_one(POSTS, IMPLIED, 0, derivable=True)
    assert faulty.at.tolist() == [0, 2, 3]
    for at, rows, hidden in zip(faulty.at, faulty.posts.labels, faulty.fault.tolist(), strict=True):
        assert sorted([*rows.tolist(), hidden]) == POSTS.labels[at].tolist()


def test_what_the_others_imply_is_hidden_only_where_it_may_be():
    for seed in range(20):
        faulty = hide_one(POSTS, IMPLIED, seed, derivable=False)
        hidden = dict(zip(faulty.at.tolist(), faulty.fault.tolist(), strict=True))
        assert hidden[0] in (0, 4)
        assert hidden[3] == 0
    both = {hide_one(POSTS, IMPLIED, seed, derivable=True).fault[0] for seed in range(20)}
    assert both == {0, 1, 4}


def test_a_planted_label_comes_with_what_it_implies():
    faulty = plant_one(POSTS, IMPLIED, lambda at, closed: 2)
    assert faulty.fault.tolist() == [2] * 4
    assert [rows.tolist() for rows in faulty.posts.labels] == [[0, 1, 2, 3, 4], [2, 3, 4], [1, 2, 3, 5], [0, 1, 2, 3]]


def test_labels_are_planted_as_often_as_posts_have_them_and_not_where_they_are():
    counts = np.array([0, 30, 0, 0, 0, 10])
    draw = by_frequency(counts, 0)
    drawn = [draw(0, np.array([4])) for _ in range(2000)]
    assert set(drawn) == {1, 5}
    assert 0.7 < np.mean(np.array(drawn) == 1) < 0.8
    assert draw(0, np.array([1, 5])) == -1  # nothing is left


def test_alike_labels_are_of_one_category_and_keep_the_same_company():
    random = np.random.default_rng(0)
    # 0 to 9 keep company with 20, 10 to 19 with 21; 22 to 25 are of another category.
    train = [[one, 20] if one < 10 else [one, 21] for one in random.integers(20, size=4000).tolist()]
    posts = as_posts([[3, 20, 22]] * 200)
    categories = np.array([0] * 20 + [3] * 6, dtype=np.int8)
    draw = by_likeness(posts, as_posts(train), categories, 0)
    drawn = [draw(at, np.array([3, 20, 22])) for at in range(200)]
    assert all(one >= 0 and one not in (3, 20, 22) for one in drawn)
    general = [one for one in drawn if one < 20]
    assert general
    assert all(categories[one] == 3 for one in drawn if one >= 20)
