import numpy as np
import pytest
from scipy.stats import rankdata

from booru_pipeline.evaluation.baselines import CoOccurrence, Popularity
from booru_pipeline.evaluation.posts import incidence, read_posts
from booru_pipeline.evaluation.probes import Claim, probe_characters, probe_claims
from booru_pipeline.labels.splits import open_splits
from booru_pipeline.labels.vocabulary import Vocabulary


class Counted(CoOccurrence):
    """Co-occurrence as a model: for one given label its scores are probabilities."""

    def probabilities(self, contexts):
        return np.clip(self.scores(contexts), 0, 1)


@pytest.fixture(scope="module")
def known(world):
    return Vocabulary.load(world.vocabulary)


@pytest.fixture(scope="module")
def read(world, known):
    splits = open_splits(world.dataset)
    return {split: read_posts(splits, split, labels=len(known)) for split in ("train", "test")}


@pytest.fixture(scope="module")
def counted(read, known):
    return Counted(incidence(read["train"].labels, len(known)))


def test_a_model_that_counts_knows_what_a_character_implies(counted, known, read):
    claim = Claim("usada_pekora", ("hat", "rabbit_ears"))
    [answer] = probe_claims(counted, known, read["test"], [claim])
    given = known.index["usada_pekora"]
    ears = known.index["rabbit_ears"]
    showing = [own for own in read["test"].labels if given in own]
    assert (answer.label, answer.holds, answer.missing) == ("rabbit_ears", True, ())
    assert answer.rank <= 2
    assert answer.probability == pytest.approx(0.9, abs=0.1)
    assert answer.test_posts == len(showing) > 0
    assert answer.test_share == sum(ears in own for own in showing) / len(showing)


def test_a_claim_that_is_not_so_is_answered_no(counted, known, read):
    [answer] = probe_claims(counted, known, read["test"], [Claim("usada_pekora", ("twintails",))])
    assert answer.holds is False
    assert answer.rank > 10


def test_a_claim_of_unknown_labels_says_so(counted, known, read):
    claims = [
        Claim("nobody", ("rabbit_ears",)),
        Claim("usada_pekora", ("nothing", "rabbit_ears")),
        Claim("hat", ("x",)),
    ]
    first, second, third = probe_claims(counted, known, read["test"], claims)
    assert (first.missing, first.rank, first.holds) == (("nobody",), None, None)
    assert (second.missing, second.label, second.holds) == (("nothing",), "rabbit_ears", True)
    assert (third.missing, third.probability) == (("x",), None)


def test_characters_are_compared_with_the_test_posts_that_show_them(counted, known, read):
    popularity = Popularity(incidence(read["train"].labels, len(known)))
    results = probe_characters({"counted": counted, "popular": popularity}, known, read["train"], read["test"], limit=5)
    assert {result.character for result in results} == {"usada_pekora", "hatsune_miku"}
    for result in results:
        row = known.index[result.character]
        showing = [own for own in read["test"].labels if row in own]
        often = [sum(label in own for own in showing) if label != row else 0 for label in range(len(known))]
        order = sorted(range(len(known)), key=lambda label: (-often[label], label))[:10]
        assert result.test_posts == len(showing)
        assert result.train_posts == sum(row in own for own in read["train"].labels)
        assert result.observed == [known.labels[label] for label in order]
        assert result.character not in result.predicted
        assert result.overlap["counted"] == len(set(result.observed) & set(result.predicted))
        seen = [label for label in range(len(known)) if often[label]]
        scores = counted.scores([[row]])[0]
        ranks = [rankdata(scores[seen]), rankdata([often[label] for label in seen])]
        assert result.spearman["counted"] == pytest.approx(np.corrcoef(ranks)[0, 1])
        assert result.spearman["counted"] > result.spearman["popular"]


def test_no_more_characters_than_asked_for(counted, known, read):
    assert len(probe_characters({"counted": counted}, known, read["train"], read["test"], limit=1)) == 1
    assert probe_characters({"counted": counted}, known, read["train"], read["test"], limit=0) == []
