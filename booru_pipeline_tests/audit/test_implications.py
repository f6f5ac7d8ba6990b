import numpy as np
import pytest

from booru_pipeline.audit.implications import not_kept, propose, same_category
from booru_pipeline.training_shards.relations import Relations
from booru_pipeline.vocabulary.implied import implied_matrix
from booru_pipeline_tests.audit.made_posts import counts_of, named, vocabulary_of

GENERAL, COPYRIGHT, CHARACTER = 0, 3, 4
WORDS = vocabulary_of(
    {
        "side_ponytail": GENERAL,
        "ponytail": GENERAL,
        "hair_up": GENERAL,
        "horns": GENERAL,
        "demon": GENERAL,
        "antlers": GENERAL,
        "miku": CHARACTER,
        "vocaloid": COPYRIGHT,
        "solo": GENERAL,
    }
)
NOTHING = Relations({}, {}, "the test")
POSTS = [
    *[{"side_ponytail", "ponytail", "hair_up"}] * 100,
    *[{"ponytail", "hair_up", "solo"}] * 50,
    *[{"hair_up"}] * 20,
    *[{"horns", "demon"}] * 90,
    {"horns"},
    *[{"demon", "solo"}] * 60,
    *[{"miku", "vocaloid", "antlers", "solo"}] * 80,
    *[{"vocaloid"}] * 40,
    *[{"solo"}] * 100,
]
COUNTS = counts_of(POSTS, WORDS)


def proposed(relations=NOTHING, least=0.95):
    pairs = propose(COUNTS, WORDS, implied_matrix(WORDS, relations), least)
    return named(WORDS, pairs.antecedent, pairs.consequent), pairs


def test_what_holds_is_proposed_and_what_follows_from_it_is_not():
    found, pairs = proposed()
    assert ("side_ponytail", "ponytail") in found
    assert ("ponytail", "hair_up") in found
    assert ("side_ponytail", "hair_up") not in found  # by way of ponytail
    assert ("hair_up", "side_ponytail") not in found
    assert ("vocaloid", "miku") not in found
    assert (pairs.low >= 0.95).all()
    assert [WORDS.index[one] for one, _ in found] == pairs.antecedent.tolist()


def test_one_exception_among_91_posts_is_too_many_for_99_percent_and_few_enough_for_less():
    assert ("horns", "demon") not in proposed(least=0.95)[0]  # 90 of 91: from .94 on
    assert ("horns", "demon") in proposed(least=0.94)[0]


def test_few_posts_without_an_exception_do_not_suffice():
    words = vocabulary_of({"rare": GENERAL, "common": GENERAL})
    for posts, is_proposed in ((72, False), (73, True)):
        counts = counts_of([{"rare", "common"}] * posts + [{"common"}] * 100, words)
        assert bool(len(propose(counts, words, implied_matrix(words, NOTHING), 0.95))) == is_proposed


def test_what_known_implications_give_is_left_out_however_indirectly():
    known = Relations({}, {"side_ponytail": frozenset({"tail"}), "tail": frozenset({"ponytail"})}, "the test")
    found, _ = proposed(known)
    assert ("side_ponytail", "ponytail") not in found
    assert ("ponytail", "hair_up") in found
    assert ("side_ponytail", "hair_up") not in found  # of a known pair and a proposed one


def test_the_likeliest_kind_comes_first():
    found, pairs = proposed()
    kinds = {pair: place for place, pair in enumerate(found)}
    assert kinds["side_ponytail", "ponytail"] == 0  # the words of one are in the other
    # Antlers are miku's here: what always goes with them is her series, which is of another category.
    assert kinds["antlers", "miku"] > kinds["ponytail", "hair_up"]
    one_category = same_category(pairs, WORDS).tolist()
    assert one_category == sorted(one_category, reverse=True)


def test_tags_that_imply_each_other_are_both_kept():
    found, _ = proposed()
    assert ("miku", "antlers") in found
    assert ("antlers", "miku") in found
    words = vocabulary_of({"a": GENERAL, "b": GENERAL, "c": GENERAL})
    counts = counts_of([{"a", "b", "c"}] * 100, words)
    pairs = propose(counts, words, implied_matrix(words, NOTHING), 0.95)
    assert len(pairs) == 6  # none follows from the others, since each would take the other away


def test_known_implications_that_posts_do_not_keep_are_named_the_worst_first():
    edges = [("ponytail", "side_ponytail"), ("vocaloid", "miku"), ("side_ponytail", "ponytail"), ("solo", "demon")]
    known = tuple(np.array([WORDS.index[pair[side]] for pair in edges]) for side in (0, 1))
    pairs = not_kept(COUNTS, known, 0.95)
    assert named(WORDS, pairs.antecedent, pairs.consequent) == [
        ("solo", "demon"),
        ("ponytail", "side_ponytail"),
        ("vocaloid", "miku"),
    ]
    assert pairs.together.tolist() == [60, 100, 80]
    assert pairs.posts.tolist() == [290, 150, 120]


def test_a_known_implication_of_a_tag_that_no_post_has_says_nothing():
    words = vocabulary_of({"a": GENERAL, "b": GENERAL})
    known = (np.array([0]), np.array([1]))
    assert len(not_kept(counts_of([{"b"}], words), known, 0.95)) == 0


def test_counter_examples_are_posts_with_the_antecedent_alone():
    pages = COUNTS.without(WORDS.index["horns"], WORDS.index["demon"])
    assert pages == ["https://safebooru.org/index.php?page=post&s=view&id=260"]
    assert COUNTS.without(WORDS.index["side_ponytail"], WORDS.index["ponytail"]) == []
    elsewhere = counts_of(POSTS, WORDS, booru="captions")
    assert elsewhere.without(WORDS.index["horns"], WORDS.index["demon"]) == ["captions 260"]


@pytest.mark.parametrize("seed", range(5))
def test_every_pair_that_holds_is_proposed_or_follows(seed):
    random = np.random.default_rng(seed)
    words = vocabulary_of(dict.fromkeys("abcdefgh", GENERAL))
    posts = [{name for name in "abcdefgh" if random.random() < 0.3} for _ in range(300)]
    for post in posts:
        if "a" in post:
            post |= {"b", "c"}
        if "b" in post:
            post.add("c")
    counts = counts_of(posts, words)
    pairs = propose(counts, words, implied_matrix(words, NOTHING), 0.9)
    assert set(named(words, pairs.antecedent, pairs.consequent)) == {("a", "b"), ("b", "c")}


def test_no_posts_propose_nothing():
    counts = counts_of([], WORDS)
    assert len(propose(counts, WORDS, implied_matrix(WORDS, NOTHING), 0.95)) == 0


def test_a_consequent_that_is_frequent_anyway_comes_later():
    words = vocabulary_of({"1girl": GENERAL, "solo": GENERAL, "kimono": GENERAL, "sash": GENERAL})
    posts = [{"1girl", "solo"}] * 900 + [{"kimono", "sash"}] * 80 + [{"sash"}] * 20
    counts = counts_of(posts, words)
    pairs = propose(counts, words, implied_matrix(words, NOTHING), 0.95)
    found = named(words, pairs.antecedent, pairs.consequent)
    assert set(found) == {("1girl", "solo"), ("solo", "1girl"), ("kimono", "sash")}
    assert found[0] == ("kimono", "sash")  # though fewer posts have it
