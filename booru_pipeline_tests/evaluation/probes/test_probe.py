import json

import pytest

from booru_pipeline.dataset.posts import incidence, load_posts
from booru_pipeline.evaluation.baselines.counting import Popularity
from booru_pipeline.evaluation.options import ProbeOptions
from booru_pipeline.evaluation.probes.counts import Exam, Split
from booru_pipeline.evaluation.probes.probe import DEFINITIONS, probe
from booru_pipeline.model.predictor import Predictor
from booru_pipeline.training_shards.relations import find_relations
from booru_pipeline.vocabulary.vocabulary import Vocabulary


@pytest.fixture(scope="module")
def found(world, raw):
    known = Vocabulary.load(world.vocabulary)
    train, test = (load_posts(world.dataset, split) for split in ("train", "test"))
    model = Predictor.load(world.checkpoint)
    train, test = (Split(incidence(posts.labels, len(known))) for posts in (train, test))
    methods = {"model": model, "popularity": Popularity(train.posts)}
    relations = find_relations(None, raw)
    return probe(Exam(methods, model, known, train, test, relations, ProbeOptions(bootstrap_samples=50)))


def test_a_checkpoint_is_asked_everything(found):
    pekora = found.claims[0]
    assert (pekora.given, pekora.label, pekora.named) == ("usada_pekora", "rabbit_ears", "bunny_ears")
    assert pekora.rank >= 1
    assert 0 < pekora.probability < 1
    assert {one.character for one in found.characters.characters} == {"usada_pekora", "hatsune_miku"}
    assert set(found.characters.methods) == set(found.pairs.methods) == {"model", "popularity"}
    assert found.characters.supported is True  # some 60 test posts each
    assert found.characters.eligible == 2


def test_random_weights_do_not_know_the_characters(found):
    figures = found.characters.methods
    assert figures["model"].ndcg.mean < 0.9
    assert -0.7 < figures["model"].spearman.mean < 0.7


def test_the_findings_are_json(found):
    assert json.loads(json.dumps(found.model_dump(mode="json"), allow_nan=False))["claims"][0]["named"] == "bunny_ears"


def test_each_figure_is_defined():
    assert {"claim", "ndcg_at_20", "spearman", "wilson", "within", "pair", "implication_auc"} <= set(DEFINITIONS)
