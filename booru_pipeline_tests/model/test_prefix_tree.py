import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from booru_pipeline.model.ranking.prefix_tree import PrefixTree
from booru_pipeline.ragged import offsets_of

WORDS = st.lists(st.lists(st.integers(5, 8), min_size=1, max_size=6).map(tuple), min_size=1, max_size=25, unique=True)


def tree_of(words, before=(0,)):
    offsets = offsets_of([len(word) for word in words])
    return PrefixTree.of(np.array([token for word in words for token in word], dtype=np.int64), offsets, before)


def spelled(tree, node):
    tokens = []
    while node >= 0:
        tokens.append(int(tree.tokens[node]))
        node = int(tree.parents[node])
    return tuple(tokens[::-1])


@given(WORDS, st.sampled_from([(0,), (0, 9)]))
def test_every_beginning_is_one_node(words, before):
    tree = tree_of(words, before)
    beginnings = {before[:end] for end in range(1, len(before))}
    beginnings |= {before + word[:end] for word in words for end in range(len(word) + 1)}
    found = [spelled(tree, node) for node in range(len(tree))]
    assert len(found) == len(beginnings)
    assert set(found) == beginnings
    assert [spelled(tree, end) for end in tree.ends] == [before + word for word in words]
    assert spelled(tree, tree.root) == before
    for node, word in enumerate(found):
        assert tree.depths[node] == len(word) - 1
        below = {other for other, longer in enumerate(found) if longer[: len(word)] == word}
        assert below == set(range(node, tree.stops[node]))
    for label, word in enumerate(words):
        path = [int(node) for node in tree.paths[label] if node >= 0]
        assert [found[node] for node in path] == [(before + word)[: end + 1] for end in range(len(before + word))]


@given(WORDS, st.integers(1, 9), st.data())
def test_runs_hold_all_that_is_above_their_nodes_and_each_node_once(words, size, data):
    tree = tree_of(words)
    some = data.draw(st.none() | st.lists(st.integers(0, len(words) - 1), min_size=1))
    nodes = None if some is None else tree.above(np.array(some))
    wanted = np.arange(len(tree)) if nodes is None else nodes
    runs = []
    for pack, above in tree.packs(size, nodes):
        assert (np.diff(pack) > 0).all()
        assert set(tree.parents[pack]) <= {-1, *pack}
        assert 0 < len(pack) - above <= size
        runs.extend(pack[above:].tolist())
    assert runs == wanted.tolist()


@given(WORDS)
def test_levels_hold_what_is_below_the_root_once(words):
    tree = tree_of(words, (0, 9))
    levels = [node for level in tree.levels for node in level.tolist()]
    assert sorted(levels) == list(range(tree.root + 1, len(tree)))


@pytest.mark.parametrize("words", [[(5,)], [(5,), (5, 6), (5, 6, 7)], [(7,), (5,)]])
def test_labels_that_begin_another_have_nodes_of_their_own(words):
    tree = tree_of(words)
    assert len(set(tree.ends)) == len(words)
    assert tree.above(np.arange(len(words))).tolist() == list(range(len(tree)))
