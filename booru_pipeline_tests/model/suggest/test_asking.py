import shutil
from dataclasses import replace

import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import load_file, save_file

from booru_pipeline.errors import BooruError
from booru_pipeline.model.predictor import Predictor
from booru_pipeline.model.suggest.filters import Filters
from booru_pipeline.model.suggest.many import suggest_many
from booru_pipeline.training_shards.relations import Relations
from booru_pipeline.vocabulary.options import VocabularyOptions
from booru_pipeline.vocabulary.vocabulary import Vocabulary
from booru_pipeline_tests.evaluation.evaluated import RARE, make_posts, write_shards
from booru_pipeline_tests.model.suggest.asked import ask, opened, suggest

RELATIONS = Relations(
    aliases={"bunny_ears": "rabbit_ears", "pekora": "usada_pekora"},
    implications={"usada_pekora": frozenset({"rabbit_ears"}), "rabbit_ears": frozenset({"1girl", "unknown_tag"})},
    source="a test",
)


def places(world):
    return {"checkpoint": world.checkpoint, "shards": list(world.shards.values()), "relations": RELATIONS}


def suggested(world, *tags, **options):
    return suggest(tags, **places(world), **options)


def answered(world, *tags, **options):
    return ask(tags, **places(world), **options)


def latest_posts():
    """Tags of each post by its key; a later release's row replaces an earlier one's."""
    return {(row["booru"], row["fid"]): set(row["tags"]) for row in make_posts()}


@pytest.mark.parametrize("given", [["usada_pekora"], ["rabbit_ears", "carrot"], ["<3"], ['it\'s_"quoted"', "p|pe"]])
def test_counts_equal_plain_python(world, given):
    posts = [tags for tags in latest_posts().values() if tags >= set(given)]
    assert len(posts) < sum(set(row["tags"]) >= set(given) for row in make_posts())  # some are listed twice
    suggestions = suggested(world, *given, top=1000)
    assert {one.tag for one in suggestions} == set(Vocabulary.load(world.vocabulary).labels) - set(given)
    for one in suggestions:
        together = sum(one.tag in tags for tags in posts)
        assert (one.given, one.together) == (len(posts), together)
        assert one.share == pytest.approx(together / len(posts))


def test_suggestions_are_the_most_probable_first(world):
    everything = suggested(world, "usada_pekora", top=1000)
    probabilities = [one.probability for one in everything]
    assert probabilities == sorted(probabilities, reverse=True)
    assert all(0 <= probability <= 1 for probability in probabilities)
    assert suggested(world, "usada_pekora", top=3) == everything[:3]


def test_categories_are_named(world):
    by_tag = {one.tag: one.category for one in suggested(world, "smile", top=1000)}
    assert by_tag["usada_pekora"] == "character"
    assert by_tag["rabbit_ears"] == "general"


def test_of_labels_never_seen_together_the_largest_part_is_counted(world):
    given = ("usada_pekora", "aqua_hair", "twintails", "hatsune_miku")
    answer = answered(world, *given, top=1000)
    assert answer.given == given
    assert answer.observed_on == ("aqua_hair", "twintails", "hatsune_miku")
    posts = [tags for tags in latest_posts().values() if tags >= set(answer.observed_on)]
    assert answer.posts == len(posts)
    for one in answer.suggestions:
        assert (one.given, one.together, one.share) == (0, 0, 0.0)
        assert one.observed.tags == answer.observed_on
        assert one.observed.posts == len(posts)
        assert one.observed.together == sum(one.tag in tags for tags in posts)
        assert one.observed.share == one.observed.together / len(posts)


def test_of_equally_large_parts_the_most_frequent_is_counted(world):
    answer = answered(world, "hatsune_miku", "smile", "usada_pekora")
    of = {
        name: sum(tags >= {name, "smile"} for tags in latest_posts().values())
        for name in ("hatsune_miku", "usada_pekora")
    }
    best = max(of, key=of.get)
    assert len(set(of.values())) == 2
    assert answer.posts == of[best]
    assert set(answer.observed_on) == {best, "smile"}


def test_labels_on_no_post_observe_nothing(world, tmp_path):
    rows = [{**row, "tags": ["other"], "categories": [0]} for row in make_posts(posts=4)]
    shards = [write_shards(tmp_path / "2021a", rows)]
    for given in (["smile"], ["smile", "hat"]):
        answer = ask(given, checkpoint=world.checkpoint, shards=shards, relations=RELATIONS, explained=True)
        assert (answer.observed_on, answer.posts, answer.apart, answer.exclusive) == ((), 0, [], [])
        for one in answer.suggestions:
            assert (one.given, one.together, one.share) == (0, 0, 0.0)
            assert (one.observed.posts, one.observed.share, one.explanation.strongest) == (0, None, None)


def test_what_is_implied_is_certain_and_the_checkpoint_is_asked_knowing_it(world):
    everything = suggested(world, "carrot", "usada_pekora", top=1000)
    assert [(one.tag, one.probability, one.implied) for one in everything[:2]] == [
        (tag, 1.0, True) for tag in Vocabulary.load(world.vocabulary).labels if tag in ("rabbit_ears", "1girl")
    ]
    assert not any(one.implied for one in everything[2:])
    assert all(one.observed.together <= one.observed.posts for one in everything)
    predictor = Predictor.load(world.checkpoint)
    index = predictor.vocabulary.index
    context = [index[tag] for tag in ("1girl", "carrot", "rabbit_ears", "usada_pekora")]  # by name
    [knowing] = predictor.probabilities([context])
    for one in everything[2:]:
        assert one.probability == pytest.approx(knowing[index[one.tag]], abs=1e-6)


def test_filters_come_before_top(world):
    everything = suggested(world, "usada_pekora", top=1000)
    named = suggested(world, "usada_pekora", top=1, categories=["Character"])
    assert [one.tag for one in named] == ["hatsune_miku"]
    both = suggested(world, "usada_pekora", top=1000, categories=["character", "general"])
    assert both == everything
    news = suggested(world, "usada_pekora", top=4, hide_implied=True)
    assert news == [one for one in everything if not one.implied][:4]
    short = suggested(world, "usada_pekora", top=3, exclude=["*_HAIR", "s*"])
    assert short == [one for one in everything if not one.tag.endswith("_hair") and one.tag[0] != "s"][:3]
    frequent = suggested(world, "usada_pekora", top=1000, min_support=60)
    assert frequent == [one for one in everything if one.together >= 60]
    assert 0 < len(frequent) < len(everything)
    assert suggested(world, "usada_pekora", categories=["artist"]) == []


def test_min_support_counts_on_the_posts_that_are_observed(world):
    filters = Filters(min_support=50)
    answer = answered(world, "usada_pekora", "hatsune_miku", "smile", top=1000, filters=filters)
    assert answer.suggestions
    assert all(one.together == 0 and one.observed.together >= 50 for one in answer.suggestions)


def test_given_tags_that_never_stand_together_are_found(world):
    posts = list(latest_posts().values())
    [pair] = answered(world, "smile", "hatsune_miku", "usada_pekora").apart
    assert (pair.first, pair.second, pair.together, pair.among) == ("hatsune_miku", "usada_pekora", 0, ())
    counts = [sum(tag in tags for tags in posts) for tag in (pair.first, pair.second)]
    assert pair.either == sum(counts)
    assert pair.expected == pytest.approx(counts[0] * counts[1] / len(posts))
    assert answered(world, "smile", "hat", "1girl").apart == []


def test_suggestions_that_exclude_each_other_are_found_among_those_shown(world):
    filters = Filters(exclude=("rabbit_ears", "carrot", "twintails", "aqua_hair"))
    [pair] = answered(world, "smile", top=1000, filters=filters).exclusive
    assert {pair.first, pair.second} == {"usada_pekora", "hatsune_miku"}
    posts = [tags for tags in latest_posts().values() if "smile" in tags]
    assert pair.among == ("smile",)
    assert pair.either == sum(bool(tags & {"usada_pekora", "hatsune_miku"}) for tags in posts)
    assert (pair.together, pair.expected >= 10) == (0, True)
    assert answered(world, "smile", top=1, filters=filters).exclusive == []
    without = Filters(exclude=(*filters.exclude, "usada_pekora"))
    assert answered(world, "smile", top=1000, filters=without).exclusive == []


def test_a_checkpoint_that_answers_with_no_number_is_refused(world, tmp_path):
    broken = tmp_path / "checkpoint"
    shutil.copytree(world.checkpoint, broken)
    weights = load_file(broken / "model.safetensors")
    save_file(
        {name: torch.full_like(value, torch.nan) for name, value in weights.items()}, broken / "model.safetensors"
    )
    with pytest.raises(BooruError, match="no number"):
        suggest(["smile"], **{**places(world), "checkpoint": broken})
    with (
        opened(**{**places(world), "checkpoint": broken}) as asker,
        pytest.raises(BooruError, match="no number"),
    ):
        list(suggest_many(asker.predictor, asker.relations, [(1, ("smile",))], 5, Filters()))


def test_aliases_case_and_spaces_are_understood(world):
    assert suggested(world, "Pekora", "BUNNY ears") == suggested(world, "usada_pekora", "rabbit_ears")
    assert suggested(world, "bunny_ears", "rabbit_ears") == suggested(world, "rabbit_ears")


def test_what_the_given_tags_imply_is_marked_however_indirectly(world):
    for tag in ("pekora", "usada_pekora"):
        assert {one.tag for one in suggested(world, tag, top=1000) if one.implied} == {"rabbit_ears", "1girl"}
    assert {one.tag for one in suggested(world, "smile", top=1000) if one.implied} == set()


def test_what_is_no_label_is_left_out_and_the_rest_asked(world):
    answer = answered(world, "smile, usada_pekor, qqqqqqq, <lora:x:1>, -hat", "Pekora")
    assert (answer.asked, answer.given) == (("smile", "pekora"), ("smile", "usada_pekora"))
    assert {item.tag: item.why for item in answer.left_out} == {
        "usada_pekor": "no label is called usada_pekor. Did you mean usada_pekora?",
        "qqqqqqq": "no label is called qqqqqqq.",
        "<lora:x:1>": "<lora:x:1> loads a network, and names no tag.",
        "-hat": "-hat asks for posts without it: `--exclude hat` leaves it out of the answer.",
    }
    assert answer.suggestions == answered(world, "smile", "usada_pekora").suggestions
    assert answered(world, "smile").left_out == ()


def test_with_no_label_left_it_is_refused_with_what_may_have_been_meant(world):
    with pytest.raises(BooruError, match=r"^no label is called usada_pekor\. Did you mean usada_pekora\?$"):
        suggested(world, "usada_pekor")
    with pytest.raises(BooruError, match=r"no label is left to ask about: .*qqqqqqq.*zzzzzzz.*booru sql"):
        suggested(world, "qqqqqqq", "zzzzzzz")


@pytest.mark.parametrize(
    ("typed", "near"),
    [
        ("ears", "rabbit_ears"),
        ("usada", "usada_pekora"),
        ("pekor", "usada_pekora"),
        ("hair", "(aqua_hair or long_hair|long_hair or aqua_hair)"),
        ("rabbit_eers", "rabbit_ears"),
        ("bunny", "rabbit_ears"),  # a word of its alias
        ("smlie", "smile"),
    ],
)
def test_names_with_the_word_come_before_those_of_a_like_spelling(world, typed, near):
    with pytest.raises(BooruError, match=rf"no label is called {typed}\. Did you mean {near}\?"):
        suggested(world, typed)


def test_the_most_frequent_names_come_first_and_more_are_hinted_at(world, tmp_path):
    vocabulary = Vocabulary.load(world.checkpoint)
    names = ["tears", "cat_ears", "animal_ears", "horse_ears", "ears_down", "(ears)"]
    named = dict(zip(vocabulary.by_posts.tolist(), names, strict=False))
    labels = [named.get(row, label) for row, label in enumerate(vocabulary.labels)]
    table = vocabulary.table.set_column(0, "label", [labels])
    checkpoint = tmp_path / "checkpoint"
    shutil.copytree(world.checkpoint, checkpoint)
    pq.write_table(table, checkpoint / "labels.parquet")
    with pytest.raises(BooruError, match="Did you mean cat_ears, animal_ears, horse_ears …"):
        suggest(["ears"], **{**places(world), "checkpoint": checkpoint})


def test_a_tag_that_is_no_label_says_why(world, tmp_path):
    posts = sum(RARE in tags for tags in latest_posts().values())
    with pytest.raises(BooruError, match=f"{RARE} is on {posts} posts, .*too rare"):
        suggested(world, RARE)
    rows = [{**row, "tags": ["ai_art", "highres", "much"], "categories": [1, 5, 0]} for row in make_posts(posts=20)]
    options = {**places(world), "shards": [write_shards(tmp_path / "2021a", rows)]}
    for thresholds, tag, why in (
        (VocabularyOptions(), "highres", "highres is a meta tag: these are not learned"),
        (VocabularyOptions(), "ai art", "ai_art is an artist tag: these are not learned"),
        (
            VocabularyOptions(min_general_posts=1000),
            "much",
            r"much is on 38 posts, too rare for a label, which needs 1,000",
        ),
        (VocabularyOptions(), "much", "much is on 38 posts, and no label of this checkpoint.*booru run"),
    ):
        with pytest.raises(BooruError, match=why):
            ask([tag], **options, thresholds=thresholds)
    answer = ask(["smile highres much"], **options, thresholds=VocabularyOptions())
    assert [item.tag for item in answer.left_out] == ["highres", "much"]


def test_many_questions_are_understood_as_each_alone(world):
    rare = RARE.replace("_", " ")
    typed = [
        *("smile, usada_pekor", "smile usada pekora", f"{rare}, smile", f"smile {rare} hat", "(pekora:1.2), [smile]"),
        *("qqqqqqq", RARE, "smile, smile", "<lora:x:1>, smile", "long hair, qqqqqqq", "bunny_ears,(smile)", ","),
    ]
    questions = [[text] for text in [*typed, *reversed(typed)]] + [["smile", rare], [rare, "qqqqqqq"]]
    with opened(**places(world)) as asker:
        alone = [asker.reader().read([question])[0] for question in questions]
        reader = asker.reader()
        in_parts = [*reader.read(questions[:5]), *reader.read(questions[5:])]
        for together in (asker.reader().read(questions), in_parts):
            assert list(map(str, together)) == list(map(str, alone))
    assert sum(isinstance(question, BooruError) for question in alone) == 7


def test_a_pattern_that_no_label_has_is_said(world):
    assert answered(world, "smile", filters=Filters(exclude=("*_hair", "[", "*_eyez"))).idle == ("[", "*_eyez")


def test_bad_questions_are_refused(world, tmp_path):
    with pytest.raises(BooruError, match="--top"):
        suggested(world, "smile", top=0)
    with pytest.raises(BooruError, match="no tag is given"):
        suggested(world, " ")
    with pytest.raises(BooruError, match="Make the training shards with"):
        suggest(["smile"], checkpoint=world.checkpoint, shards=[tmp_path], relations=RELATIONS)
    with pytest.raises(BooruError, match=r"no category generl.*general, artist, copyright, character, meta"):
        suggested(world, "smile", categories=["general", "generl"])
    with pytest.raises(BooruError, match="min-support is -1"):
        suggested(world, "smile", min_support=-1)
    with pytest.raises(BooruError, match="--exclude is empty"):
        suggested(world, "smile", exclude=["*_hair", " "])


def test_an_error_obeys_no_control_bytes(world):
    with pytest.raises(BooruError) as refused:
        suggested(world, "smi\x1b[31mle\udcff")
    assert str(refused.value).startswith("no label is called smi[31mle\\xff.")


def test_what_is_deprecated_is_never_suggested_and_said_of_what_is_given(world):
    relations = replace(RELATIONS, deprecated=frozenset({"rabbit_ears", "carrot", "unheard_of"}))
    others = {**places(world), "relations": relations}
    before = answered(world, "usada_pekora", top=1000)
    after = ask(["usada_pekora"], **others, top=1000)
    assert {"rabbit_ears", "carrot"} < {one.tag for one in before.suggestions}
    assert after.suggestions == [one for one in before.suggestions if one.tag not in relations.deprecated]
    assert after.deprecated == before.deprecated == ()
    given = ask(["bunny_ears", "unheard_of"], **others)
    assert given.deprecated == ("rabbit_ears",)
    [left_out] = given.left_out
    assert left_out.why == "no label is called unheard_of. It is deprecated on Danbooru."
    with pytest.raises(BooruError, match="id you mean"):
        answered(world, "rabbit_eers")
    with pytest.raises(BooruError) as caught:
        ask(["rabbit_eers"], **others)
    assert "rabbit_ears" not in str(caught.value)
