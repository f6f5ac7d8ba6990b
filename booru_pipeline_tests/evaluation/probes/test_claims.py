import pytest

from booru_pipeline.evaluation.probes.claims import CLAIMS, Claim, probe_claims
from booru_pipeline.training_shards.relations import find_relations
from booru_pipeline_tests.evaluation.probes.known_scores import (
    Constant,
    Oracle,
    exam_of,
    relations_of,
    split_of,
    vocabulary_of,
)

OTHERS = [f"label_{number}" for number in range(12)]
KNOWN = vocabulary_of("usada_pekora", "rabbit_ears", "carrot", "animal_ears", *OTHERS, characters=["usada_pekora"])
TRAIN = split_of(
    KNOWN,
    (6, "usada_pekora rabbit_ears animal_ears"),
    (2, "usada_pekora rabbit_ears carrot animal_ears " + " ".join(OTHERS)),
    (2, "usada_pekora " + " ".join(OTHERS)),
    (5, "carrot label_0"),
)
TEST = split_of(KNOWN, (3, "usada_pekora rabbit_ears"), (1, "usada_pekora carrot"))
RELATIONS = relations_of({"rabbit_ears": ["animal_ears"]}, {"bunny_ears": "rabbit_ears", "pekora": "usada_pekora"})


def ask(*claims, model=None):
    return probe_claims(exam_of({"model": model or Oracle(TRAIN)}, KNOWN, TRAIN, TEST, relations=RELATIONS), claims)


def test_a_claim_is_answered_through_its_alias():
    [answer] = ask(Claim("pekora", ("bunny_ears",), readme=True))
    assert (answer.given, answer.implied, answer.readme) == ("pekora", ("bunny_ears",), True)
    assert (answer.label, answer.named, answer.missing) == ("rabbit_ears", "bunny_ears", ())
    assert answer.expected == "rabbit_ears (bunny_ears)"
    assert answer.holds is True
    assert answer.rank == 2  # animal_ears are on as many posts, and ties count against the claim
    assert answer.probability == pytest.approx(0.8)
    assert (answer.train_posts, answer.train_share, answer.train_rank) == (10, 0.8, 2)
    assert (answer.test_posts, answer.test_share) == (4, 0.75)
    assert answer.by_implication is False


class Believes(Oracle):
    """Has seen the train posts, but for one label's probability."""

    def __init__(self, label, probability):
        super().__init__(TRAIN)
        self.believed = KNOWN.index[label], probability

    def probabilities(self, contexts):
        chances = super().probabilities(contexts)
        row, probability = self.believed
        chances[:, row] = probability
        return chances


def test_a_label_that_is_rare_on_the_posts_and_said_to_be_is_no_failure():
    [answer] = ask(Claim("usada_pekora", ("carrot",)))
    assert (answer.answer, answer.holds, answer.rank, answer.train_rank) == ("as in the posts", True, 15, 15)
    assert answer.words == "as rare as in the posts: 21\N{NO-BREAK SPACE}%"
    assert answer.probability == pytest.approx(0.2)
    assert (answer.test_low, answer.test_high) == (pytest.approx(0.046, abs=0.001), pytest.approx(0.699, abs=0.001))


def test_rare_is_said_of_what_is_on_less_than_a_quarter():
    [answer] = ask(Claim("usada_pekora", ("carrot",)))
    often = answer.model_copy(update={"train_share": 0.3, "test_share": 0.25})
    assert often.words == "as often as in the posts: 29\N{NO-BREAK SPACE}%"
    [answer] = ask(Claim("usada_pekora", ("bunny_ears",)))
    assert answer.words == "yes"


@pytest.mark.parametrize(("probability", "holds"), [(0.09, False), (0.11, True), (0.29, True), (0.31, False)])
def test_what_the_model_did_not_learn_of_the_posts_is_a_failure(probability, holds):
    # On 2 of 10 train posts; 1 of 4 test posts says next to nothing.
    [answer] = ask(Claim("usada_pekora", ("carrot",)), model=Believes("carrot", probability))
    assert answer.holds is holds
    assert answer.answer == ("as in the posts" if holds else "no")
    assert answer.words == ("as rare as in the posts: 21\N{NO-BREAK SPACE}%" if holds else "no")


def test_a_probability_may_be_some_points_off_however_many_posts_there_are():
    many = [(8_700, "usada_pekora rabbit_ears " + " ".join(OTHERS)), (1_300, "usada_pekora carrot " + " ".join(OTHERS))]
    posts = split_of(KNOWN, *many)
    for probability, answer in ((0.16, "as rare as in the posts: 13\N{NO-BREAK SPACE}%"), (0.19, "no")):
        model = Believes("carrot", probability)
        exam = exam_of({"model": model}, KNOWN, posts, posts, relations=RELATIONS)
        [found] = probe_claims(exam, [Claim("usada_pekora", ("carrot",))])
        assert found.words == answer


def test_what_an_implication_says_is_marked():
    [answer] = ask(Claim("bunny_ears", ("animal_ears",)))
    assert (answer.holds, answer.by_implication) == (True, True)


def test_a_model_that_knows_nothing_confirms_nothing():
    class Ignorant(Constant):
        def probabilities(self, contexts):
            return self.scores(contexts)

    [answer] = ask(Claim("usada_pekora", ("bunny_ears",)), model=Ignorant(len(KNOWN)))
    assert (answer.holds, answer.rank) == (False, len(KNOWN) - 1)


def test_the_best_of_several_labels_counts():
    [answer] = ask(Claim("usada_pekora", ("carrot", "gone", "bunny_ears")))
    assert (answer.label, answer.named, answer.missing) == ("rabbit_ears", "bunny_ears", ("gone",))


def test_a_claim_of_unknown_labels_has_no_answer():
    first, second = ask(Claim("nobody", ("bunny_ears",)), Claim("usada_pekora", ("x", "y")))
    assert (first.missing, first.rank, first.holds, first.label) == (("nobody",), None, None, None)
    assert (second.missing, second.probability, second.by_implication) == (("x", "y"), None, None)
    assert second.expected == "x or y"


def test_a_label_on_no_test_post_has_no_share():
    [answer] = ask(Claim("label_0", ("carrot",)))
    assert (answer.test_posts, answer.test_share) == (0, None)
    assert answer.train_share == pytest.approx(7 / 9)


def test_the_readme_is_asked_in_its_own_words(raw):
    own = [claim for claim in CLAIMS if claim.readme]
    assert [(claim.given, claim.implied) for claim in own] == [
        ("usada_pekora", ("bunny_ears",)),
        ("usada_pekora", ("carrot",)),
    ]
    assert find_relations(None, raw).canonical("bunny_ears") == "rabbit_ears"
