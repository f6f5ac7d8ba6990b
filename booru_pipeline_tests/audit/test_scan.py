from dataclasses import replace

import numpy as np
import pytest

from booru_pipeline.audit.options import AuditOptions
from booru_pipeline.audit.planted import by_frequency, plant_one
from booru_pipeline.audit.scan import NO_LABEL, Scanner, without
from booru_pipeline.dataset.posts import incidence, load_posts
from booru_pipeline.model.predictor import Predictor
from booru_pipeline.model.ranking import as_posts
from booru_pipeline.training_shards.relations import Relations
from booru_pipeline.vocabulary.implied import close, implied_matrix

RELATIONS = Relations({}, {"usada_pekora": frozenset({"rabbit_ears"})}, "the test")


@pytest.fixture(scope="module")
def predictor(world):
    return Predictor.load(world.checkpoint)


@pytest.fixture(scope="module")
def implied(predictor):
    return implied_matrix(predictor.vocabulary, RELATIONS)


@pytest.fixture(scope="module")
def train(world, predictor):
    return load_posts(world.dataset, "train").matrix(len(predictor.vocabulary))


@pytest.fixture(scope="module")
def posts(world):
    return load_posts(world.dataset, "test")


@pytest.fixture(scope="module")
def scanner(predictor, train, implied):
    index, labels = predictor.vocabulary.index, len(predictor.vocabulary)
    core = [[] for _ in range(labels)]
    core[index["usada_pekora"]] = [index["rabbit_ears"], index["carrot"]]
    core[index["hatsune_miku"]] = [index["twintails"]]
    options = AuditOptions(min_probability=0.2, asked_share=1.0, max_ratio=1e9)
    return Scanner.of(predictor, lambda: train, implied, options, incidence(core, labels).astype(bool))


@pytest.fixture(scope="module")
def scanned(scanner, posts):
    return scanner.scan(posts)


def test_probabilities_are_those_of_the_checkpoint_for_the_post_as_danbooru_would_have_it(
    scanned, posts, predictor, implied
):
    missing, _ = scanned
    closed = close(posts.labels, implied)
    scores = predictor.scores([rows.tolist() for rows in closed])
    expected = predictor.to_probabilities(scores, np.array([len(rows) for rows in closed]))
    asked = ~missing.implied
    assert asked.sum() > 50
    np.testing.assert_allclose(
        missing.probability[asked], expected[missing.posts[asked], missing.labels[asked]], rtol=1e-5
    )
    # Nothing that is as likely is left out.
    found = set(zip(missing.posts.tolist(), missing.labels.tolist(), strict=True))
    for post, label in zip(*np.nonzero(expected >= 0.2001), strict=True):
        assert (int(post), int(label)) in found or label in posts.labels[post]


def test_what_is_missing_is_not_on_the_post_and_stands_once(scanned, posts, predictor):
    missing, _ = scanned
    assert not posts.matrix(len(predictor.vocabulary))[missing.posts, missing.labels].any()
    pairs = missing.posts * len(predictor.vocabulary) + missing.labels
    assert len(np.unique(pairs)) == len(pairs)


def test_what_labels_imply_is_certain_and_marked(scanned, posts, predictor, implied):
    missing, _ = scanned
    pekora, ears = (predictor.vocabulary.index[name] for name in ("usada_pekora", "rabbit_ears"))
    lacking = [at for at, rows in enumerate(posts.labels) if pekora in rows and ears not in rows]
    assert lacking
    assert missing.posts[missing.implied].tolist() == lacking
    assert (missing.labels[missing.implied] == ears).all()
    assert (missing.probability[missing.implied] == 1).all()


def test_core_tags_are_listed_whatever_their_probability(scanned, posts, predictor):
    missing, _ = scanned
    index = predictor.vocabulary.index
    for character, tags in (("usada_pekora", ("rabbit_ears", "carrot")), ("hatsune_miku", ("twintails",))):
        for tag in tags:
            lacking = {
                at for at, rows in enumerate(posts.labels) if index[character] in rows and index[tag] not in rows
            }
            chosen = (missing.labels == index[tag]) & (missing.core_of == index[character])
            assert set(missing.posts[chosen].tolist()) == lacking
    assert (missing.core_of == NO_LABEL).any()


def test_a_label_is_left_out_with_what_it_alone_implies(implied, predictor):
    pekora, ears, carrot, hat = (
        predictor.vocabulary.index[name] for name in ("usada_pekora", "rabbit_ears", "carrot", "hat")
    )
    assert without(np.array([pekora, ears, carrot]), pekora, implied).tolist() == [carrot]
    assert set(without(np.array([pekora, ears, hat]), hat, implied).tolist()) == {pekora, ears}
    assert without(np.array([pekora, ears]), pekora, implied).tolist() == [ears]  # else nothing would be left


@pytest.mark.parametrize("weight", [0.0, 0.5, 1.0])
def test_the_ratio_is_what_the_others_say_over_the_rate(scanner, posts, predictor, implied, train, weight):
    one = replace(scanner, weight=weight)
    _, odd = one.look(posts)
    suspects = one.suspects(posts, odd)
    assert (np.diff(suspects.ratio) >= -1e-6).all()
    for place in (0, len(suspects.posts) // 2, len(suspects.posts) - 1):
        post, label = int(suspects.posts[place]), int(suspects.labels[place])
        own = posts.labels[post]
        assert label in own
        context = without(own, label, implied)
        scores = predictor.t5.scores([context.tolist()])
        t5 = predictor.t5.to_probabilities(scores, np.array([len(context)]))[0, label]
        rate = float(one.rate[label])
        others = close([own], implied)[0]
        counted = float(
            np.asarray(incidence([others], len(one.rate)) @ one.table.linear["sparse"].toarray()).ravel()[label]
        )
        by_counting = max(counted, 1e-4) / rate
        expected = (t5 / rate) ** weight * by_counting ** (1 - weight)
        assert suspects.ratio[place] == pytest.approx(expected, rel=1e-3)


def test_what_another_label_implies_is_never_suspect(scanned, posts, predictor):
    _, suspects = scanned
    pekora, ears = (predictor.vocabulary.index[name] for name in ("usada_pekora", "rabbit_ears"))
    given_away = {at for at, rows in enumerate(posts.labels) if pekora in rows and ears in rows}
    assert given_away
    assert not given_away & set(suspects.posts[suspects.labels == ears].tolist())
    # All others are asked about, once, if there is another label beside them.
    asked = sum(len(rows) for rows in posts.labels if len(rows) > 1) - len(given_away)
    assert len(suspects.posts) == asked


def test_only_the_oddest_share_is_asked_about(predictor, train, implied, posts):
    few = Scanner.of(predictor, lambda: train, implied, AuditOptions(asked_share=0.1, asked_least=0, max_ratio=1e9))
    _, odd = few.look(posts)
    suspects = few.suspects(posts, odd)
    asked = np.isfinite(odd)
    assert len(suspects.posts) == int(np.ceil(0.1 * asked.sum()))
    cut = np.sort(odd[asked])[len(suspects.posts) - 1]
    own = {(int(at), int(row)): float(value) for at, row, value in zip(posts.owner, posts.rows, odd, strict=True)}
    found = zip(suspects.posts.tolist(), suspects.labels.tolist(), strict=True)
    assert all(own[pair] <= cut + 1e-6 for pair in found)


def test_a_post_is_seen_by_itself(scanner, posts, scanned):
    missing, _ = scanned
    few = posts.take(np.arange(40, 60))
    again, _ = scanner.look(few)
    here = (missing.posts >= 40) & (missing.posts < 60)
    assert again.posts.tolist() == (missing.posts[here] - 40).tolist()
    assert again.labels.tolist() == missing.labels[here].tolist()
    np.testing.assert_allclose(again.probability, missing.probability[here], rtol=1e-4)


def test_posts_with_few_labels_or_none_do_no_harm(scanner):
    _, suspects = scanner.scan(as_posts([[], [0], [0, 1]]))
    assert set(suspects.posts.tolist()) <= {2}
    nothing, none = scanner.scan(as_posts([]))
    assert len(nothing.posts) == len(none.posts) == 0


def test_planted_labels_come_early_and_the_weight_is_one_that_finds_them(world, scanner, implied, posts):
    weighed = scanner.weighed(load_posts(world.dataset, "validation"))
    assert weighed.weight in (0.0, 0.25, 0.5, 0.75, 1.0)
    faulty = plant_one(posts, implied, by_frequency(scanner.table.counts, 1))
    _, odd = weighed.look(faulty.posts)
    suspects = weighed.suspects(faulty.posts, odd)
    right = faulty.fault[suspects.posts] == suspects.labels
    # The world's general labels are drawn by lot, so only those of characters can be told.
    assert right[: len(right) // 5].mean() > right.mean()
