from types import SimpleNamespace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from booru_pipeline.training_shards.relations import Relations
from booru_pipeline.vocabulary.implied import close, implied_matrix


def relations(**implications):
    return Relations({}, {tag: frozenset(implied) for tag, implied in implications.items()}, "the test")


class Known(SimpleNamespace):
    """The part of a vocabulary that counts here."""

    def __len__(self):
        return len(self.labels)


def vocabulary(*labels):
    return Known(labels=list(labels), index={label: row for row, label in enumerate(labels)})


def test_implications_go_on_through_tags_that_are_no_labels():
    known = vocabulary("hair", "bob_cut", "short_hair", "hat")
    # blunt_bob and tidy_hair are not in the vocabulary.
    graph = relations(bob_cut=["tidy_hair"], tidy_hair=["short_hair"], short_hair=["hair"], blunt_bob=["bob_cut"])
    implied = implied_matrix(known, graph).toarray()
    pairs = {(known.labels[row], known.labels[column]) for row, column in np.argwhere(implied)}
    assert pairs == {("bob_cut", "short_hair"), ("bob_cut", "hair"), ("short_hair", "hair")}
    assert set(np.unique(implied)) == {0, 1}


def test_a_label_without_implications_implies_nothing():
    assert implied_matrix(vocabulary("a", "b"), relations()).nnz == 0


LABELS = [f"label_{row}" for row in range(12)]
GRAPHS = st.dictionaries(st.integers(0, 10), st.sets(st.integers(1, 11), max_size=3))


@given(GRAPHS, st.lists(st.sets(st.integers(0, 11), max_size=6), max_size=5))
def test_closing_rows_is_closing_tags(graph, posts):
    # Only from a lower to a higher number, so that there is no circle.
    graph = {LABELS[one]: frozenset(LABELS[other] for other in others if other > one) for one, others in graph.items()}
    whole = Relations({}, graph, "the test")
    implied = implied_matrix(vocabulary(*LABELS), whole)
    closed = close([np.array(sorted(post), dtype=np.int64) for post in posts], implied)
    for post, own in zip(posts, closed, strict=True):
        assert {LABELS[row] for row in own} == whole.closure(LABELS[row] for row in post)
        assert own.tolist() == sorted(set(own.tolist()))
        assert own.dtype == np.int64
