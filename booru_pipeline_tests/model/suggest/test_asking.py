import pytest

from booru_pipeline.errors import BooruError
from booru_pipeline.model.suggest import suggest, typed_tags
from booru_pipeline.training_shards.relations import Relations
from booru_pipeline.vocabulary.vocabulary import Vocabulary
from booru_pipeline_tests.evaluation.evaluated import RARE, make_posts

RELATIONS = Relations(
    aliases={"bunny_ears": "rabbit_ears", "pekora": "usada_pekora"},
    implications={"usada_pekora": frozenset({"rabbit_ears"}), "rabbit_ears": frozenset({"1girl", "unknown_tag"})},
    source="a test",
)


def ask(world, *tags, **options):
    shards = list(world.shards.values())
    return suggest(tags, checkpoint=world.checkpoint, shards=shards, relations=RELATIONS, **options)


def latest_posts():
    """Tags of each post by its key; a later release's row replaces an earlier one's."""
    return {(row["booru"], row["fid"]): set(row["tags"]) for row in make_posts()}


@pytest.mark.parametrize("given", [["usada_pekora"], ["rabbit_ears", "carrot"], ["<3"], ['it\'s_"quoted"', "p|pe"]])
def test_counts_equal_plain_python(world, given):
    posts = [tags for tags in latest_posts().values() if tags >= set(given)]
    assert len(posts) < sum(set(row["tags"]) >= set(given) for row in make_posts())  # some are listed twice
    suggestions = ask(world, *given, top=1000)
    assert {one.tag for one in suggestions} == set(Vocabulary.load(world.vocabulary).labels) - set(given)
    for one in suggestions:
        together = sum(one.tag in tags for tags in posts)
        assert (one.given, one.together) == (len(posts), together)
        assert one.share == pytest.approx(together / len(posts))


def test_suggestions_are_the_most_probable_first(world):
    everything = ask(world, "usada_pekora", top=1000)
    probabilities = [one.probability for one in everything]
    assert probabilities == sorted(probabilities, reverse=True)
    assert all(0 <= probability <= 1 for probability in probabilities)
    assert ask(world, "usada_pekora", top=3) == everything[:3]


def test_categories_are_named(world):
    by_tag = {one.tag: one.category for one in ask(world, "smile", top=1000)}
    assert by_tag["usada_pekora"] == "character"
    assert by_tag["rabbit_ears"] == "general"


def test_labels_never_seen_together_count_0(world):
    suggestions = ask(world, "usada_pekora", "aqua_hair", "twintails", "hatsune_miku")
    assert all((one.given, one.together, one.share) == (0, 0, 0.0) for one in suggestions)


def test_aliases_case_and_spaces_are_understood(world):
    assert typed_tags(["Bunny Ears", " rabbit_ears ", "HAT", "", "hat"]) == ["bunny_ears", "rabbit_ears", "hat"]
    assert ask(world, "Pekora", "BUNNY ears") == ask(world, "usada_pekora", "rabbit_ears")
    assert ask(world, "bunny_ears", "rabbit_ears") == ask(world, "rabbit_ears")


def test_what_the_given_tags_imply_is_marked_however_indirectly(world):
    for tag in ("pekora", "usada_pekora"):
        assert {one.tag for one in ask(world, tag, top=1000) if one.implied} == {"rabbit_ears", "1girl"}
    assert {one.tag for one in ask(world, "smile", top=1000) if one.implied} == set()


def test_an_unknown_tag_comes_with_close_ones(world):
    with pytest.raises(BooruError, match=r"no label is called usada_pekor\..*usada_pekora"):
        ask(world, "usada_pekor")
    with pytest.raises(BooruError, match="no label is called qqqqqqq"):
        ask(world, "smile", "qqqqqqq")


def test_a_tag_too_rare_for_the_vocabulary_says_how_rare(world):
    posts = sum(RARE in tags for tags in latest_posts().values())
    with pytest.raises(BooruError, match=f"{RARE} is on {posts} posts .*too rare"):
        ask(world, RARE)


def test_bad_questions_are_refused(world, tmp_path):
    with pytest.raises(BooruError, match="--top"):
        ask(world, "smile", top=0)
    with pytest.raises(BooruError, match="no tag is given"):
        ask(world, " ")
    with pytest.raises(BooruError, match="Make the training shards with"):
        suggest(["smile"], checkpoint=world.checkpoint, shards=[tmp_path], relations=RELATIONS)
