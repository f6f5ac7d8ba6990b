import numpy as np
import pytest

from booru_pipeline.evaluation.baselines.counting import Popularity
from booru_pipeline.evaluation.options import ProbeOptions
from booru_pipeline.evaluation.probes.implications import probe_implications
from booru_pipeline_tests.evaluation.probes.known_scores import (
    Asked,
    Constant,
    Oracle,
    Reversed,
    exam_of,
    relations_of,
    split_of,
    vocabulary_of,
)

FAMILIES = {
    "animal_ears": ["cat_ears", "dog_ears", "fox_ears"],
    "hat": ["witch_hat", "beret"],
    "bag": ["backpack", "handbag"],
}
CHILDREN = {child: [parent] for parent, children in FAMILIES.items() for child in children}
KNOWN = vocabulary_of(*FAMILIES, *CHILDREN, "solo")
POSTS = split_of(
    KNOWN,
    *[(3, f"{child} {parent}") for child, [parent] in CHILDREN.items()],
    *[(4, parent) for parent in FAMILIES],
    (2, "cat_ears animal_ears witch_hat hat"),
    (9, "solo"),
)
OPTIONS = ProbeOptions(bootstrap_samples=100)


def ask(methods, implications=CHILDREN, known=KNOWN, options=OPTIONS):
    return probe_implications(
        exam_of(methods, known, POSTS, POSTS, relations=relations_of(implications), options=options)
    )


def test_a_model_that_knows_the_posts_tells_all_edges_apart():
    methods = {"model": Oracle(POSTS), "reversed": Reversed(POSTS), "constant": Constant(len(KNOWN))}
    found = ask(methods)
    assert (found.edges, found.children, found.parents) == (7, 7, 3)
    assert list(found.contrasts) == ["reversed", "sibling", "exchanged"]
    for contrast in found.contrasts.values():
        assert (contrast.edges, contrast.children) == (7, 7)
        auc = {name: figures.auc for name, figures in contrast.methods.items()}
        assert auc == {"model": 1.0, "reversed": 0.0, "constant": 0.5}
        constant = contrast.methods["constant"]
        assert (constant.interval.mean, constant.interval.low, constant.interval.high) == (0.5, 0.5, 0.5)
        assert (constant.behind.mean, contrast.methods["reversed"].behind.low) == (0.5, 1.0)
        assert contrast.methods["model"].behind.mean == 0


def test_popularity_alone_knows_the_direction_and_nothing_of_whose_parent_it_is():
    many = {f"child_{number}": [f"parent_{number % 20}"] for number in range(400)}
    known = vocabulary_of(*(f"parent_{number}" for number in range(20)), *many)
    posts = split_of(known, *[(1 + number % 7, f"child_{number} parent_{number % 20}") for number in range(400)])
    found = ask({"model": Oracle(posts), "popularity": Popularity(posts.posts)}, many, known)
    auc = {kind: contrast.methods["popularity"] for kind, contrast in found.contrasts.items()}
    assert auc["reversed"].auc == auc["sibling"].auc == 1.0
    assert auc["exchanged"].interval.low < 0.5 < auc["exchanged"].interval.high
    assert found.contrasts["exchanged"].methods["model"].auc == 1.0


def test_only_the_child_is_shown_and_no_false_edge_is_an_implication():
    implications = {**CHILDREN, "cat_ears": ["animal_ears", "hat"], "hat": ["bag"]}
    model = Asked(Oracle(POSTS))
    asked = ask({"model": model}, implications)
    assert {len(context) for context in model.contexts} == {1}
    starts = {KNOWN.labels[context[0]] for context in model.contexts}
    assert starts == {*CHILDREN, *FAMILIES}
    assert asked.edges == 9
    # A cat's ears imply the bag through the hat, so no parent is left to exchange, and a hat's bag is no sibling's.
    assert asked.contrasts["exchanged"].edges == 7
    assert asked.contrasts["exchanged"].children == 7


def test_an_only_child_has_no_sibling():
    found = ask({"model": Oracle(POSTS)}, {"cat_ears": ["animal_ears"]})
    assert list(found.contrasts) == ["reversed"]
    assert found.contrasts["reversed"].methods["model"].auc == 1.0
    assert found.contrasts["reversed"].methods["model"].interval is None


def test_edges_are_drawn_if_there_are_too_many_and_the_same_each_time():
    options = OPTIONS.model_copy(update={"probe_edges": 4})
    first, second = (ask({"model": Oracle(POSTS)}, options=options) for _ in range(2))
    assert first == second
    assert first.edges == 4
    assert ask({"model": Oracle(POSTS)}, options=OPTIONS.model_copy(update={"probe_edges": 0})) is None


def test_without_an_edge_between_labels_there_is_no_answer():
    assert ask({"model": Oracle(POSTS)}, {}) is None
    assert ask({"model": Oracle(POSTS)}, {"cat_ears": ["unknown"], "unknown": ["hat"]}) is None


def test_contexts_are_scored_in_blocks(monkeypatch):
    from booru_pipeline.evaluation.probes import implications

    generator = np.random.default_rng(0)

    class Random(Constant):
        table = generator.random((len(KNOWN), len(KNOWN))).astype(np.float32)

        def scores(self, contexts, batch_size=256):
            return self.table[[context[0] for context in contexts]]

    whole = ask({"model": Random(len(KNOWN))})
    monkeypatch.setattr(implications, "_CONTEXTS_AT_ONCE", 3)
    assert ask({"model": Random(len(KNOWN))}) == whole
    edges = [(KNOWN.index[child], KNOWN.index[parent]) for child, [parent] in CHILDREN.items()]
    children, parents = np.array(edges).T
    true, back = Random.table[children, parents], Random.table[parents, children]
    expected = np.mean((true[:, None] > back) + (true[:, None] == back) / 2)
    assert whole.contrasts["reversed"].methods["model"].auc == pytest.approx(expected)
