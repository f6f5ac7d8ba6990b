import math
import shutil
import subprocess
import sys
from dataclasses import replace

import duckdb
import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from booru_pipeline.dataset.posts import incidence
from booru_pipeline.errors import BooruError
from booru_pipeline.model.logistic import summing_to
from booru_pipeline.model.pair_table import PairTable
from booru_pipeline.model.predictor import Predictor
from booru_pipeline.model.suggest.completing import Completer
from booru_pipeline.model.suggest.counting import PostCounter, excluded_by
from booru_pipeline.model.suggest.filters import Filters
from booru_pipeline.training_shards.shards import shard_files
from booru_pipeline_tests.model.suggest.asked import complete
from booru_pipeline_tests.model.suggest.test_asking import RELATIONS, latest_posts, places


def completed(world, *tags, **options):
    return complete(tags, **places(world), **options)


def names(found):
    return [one.tag for one in found.tags]


@pytest.fixture(scope="module")
def predictor(world):
    return Predictor.load(world.checkpoint)


@pytest.fixture
def completer(world, predictor):
    with duckdb.connect() as connection:
        yield Completer(predictor, RELATIONS, PostCounter(connection, shard_files(*world.shards.values())))


def test_given_tags_come_first_then_what_they_imply_and_no_tag_twice(world):
    [found] = completed(world, "smile, pekora", count=9, seed=3).sets
    assert names(found)[:4] == ["smile", "usada_pekora", *sorted(["1girl", "rabbit_ears"], key=names(found).index)]
    assert [one.origin for one in found.tags[:4]] == ["given", "given", "implied", "implied"]
    assert len(set(names(found))) == len(found.tags) == found.count == 9
    assert {one.category for one in found.tags if one.tag == "usada_pekora"} == {"character"}


def test_the_same_seed_gives_the_same_set_and_the_next_ones_have_the_next_seeds(world):
    first = completed(world, "smile", seed=5, sets=3)
    assert first == completed(world, "smile", seed=5, sets=3)
    assert [one.seed for one in first.sets] == [5, 6, 7]
    assert [names(one) for one in completed(world, "smile", seed=6).sets] == [names(first.sets[1])]
    assert len({tuple(names(one)) for one in first.sets}) == 3


def test_the_probability_of_the_whole_is_the_product_of_the_chances(world):
    for temperature in (0.5, 1.0, 2.0):
        [found] = completed(world, "smile", count=8, temperature=temperature).sets
        assert found.log_probability == pytest.approx(sum(math.log(one.chance) for one in found.tags))
        assert all(0 < one.chance <= 1 for one in found.tags)
        assert all(one.chance == one.probability == 1 for one in found.tags if one.origin != "drawn")


def test_tags_are_drawn_as_often_as_is_said(completer):
    drawn = [found.tags[1] for found in completer.complete([["smile"]] * 400, range(400), [2] * 400)]
    for tag, chance in {one.tag: one.chance for one in drawn}.items():
        seen = sum(one.tag == tag for one in drawn) / len(drawn)
        assert seen == pytest.approx(chance, abs=4 * math.sqrt(chance / len(drawn)))


def test_odds_are_multiplied_until_the_sum_is_right():
    some = np.array([0.0, 0.1, 0.5, 0.9, 1.0])
    found = summing_to(2, some)
    assert found.sum() == pytest.approx(2)
    inner = slice(1, 4)
    ratio = found[inner] / (1 - found[inner]) / (some[inner] / (1 - some[inner]))
    assert ratio == pytest.approx(np.repeat(ratio[0], 3))
    assert (found[0], found[-1]) == (0, 1)
    assert summing_to(5, some)[1] > 0.99


def test_what_excludes_a_tag_of_the_set_is_never_drawn_and_what_is_given_stays(world):
    for found in completed(world, "smile", sets=40, count=12).sets:
        assert not {"usada_pekora", "hatsune_miku"} <= set(names(found))
    both = completed(world, "usada_pekora", "hatsune_miku", count=6)
    assert set(names(both.sets[0])) > {"usada_pekora", "hatsune_miku"}
    assert [(pair.first, pair.second) for pair in both.apart] == [("usada_pekora", "hatsune_miku")]


def test_counts_of_the_checkpoint_exclude_what_the_posts_do(world, predictor):
    index = predictor.vocabulary.index
    posts = [[index[tag] for tag in tags if tag in index] for tags in latest_posts().values()]
    table = PairTable.of(incidence(posts, len(index)))
    cut = PairTable.of(incidence(posts, len(index)), partners=4)
    with duckdb.connect() as connection:
        counter = PostCounter(connection, shard_files(*world.shards.values()))
        for tag, row in index.items():
            excluded = excluded_by(counter, tag, predictor.vocabulary.labels).tolist()
            assert table.excluded_by(row).tolist() == excluded
            assert set(cut.excluded_by(row).tolist()) <= set(excluded)
    assert index["hatsune_miku"] in table.excluded_by(index["usada_pekora"])


def test_patterns_deprecated_tags_and_what_implies_them_are_never_drawn(world):
    filters = Filters(exclude=("*_ears", "s*"))
    for found in completed(world, "hat", sets=20, count=9, filters=filters).sets:
        assert not [tag for tag in names(found) if tag.endswith("_ears") or tag[0] == "s" or tag == "usada_pekora"]
    kept = completed(world, "usada_pekora", "smile", count=8, filters=filters).sets[0]
    assert names(kept)[:3] == ["usada_pekora", "smile", "1girl"]
    options = {**places(world), "relations": replace(RELATIONS, deprecated=frozenset({"carrot"}))}
    assert all("carrot" not in names(one) for one in complete(["smile"], **options, sets=20, count=12).sets)
    assert completed(world, "hat", filters=Filters(exclude=("*_eyez",))).idle == ("*_eyez",)


def test_tags_are_drawn_from_the_categories_that_are_wanted(world):
    [found] = completed(world, "hat", count=10, filters=Filters(categories=("character",))).sets
    drawn = [one.category for one in found.tags if one.origin == "drawn"]
    assert drawn == ["character"]  # the other one excludes it
    assert len(found.tags) < found.count == 10


def test_what_implies_more_than_there_is_room_for_is_not_drawn(world):
    for found in completed(world, "smile", count=2, sets=40).sets:
        assert len(found.tags) == 2
    [none] = completed(world, "usada_pekora", count=3).sets
    assert (len(none.tags), none.log_probability) == (3, 0)


def test_sizes_are_those_of_posts(world, completer, predictor):
    known = set(predictor.vocabulary.labels)
    counted = [len(known & tags) for tags in latest_posts().values()]
    sizes, posts = completer._sizes
    assert dict(zip(sizes.tolist(), posts.tolist(), strict=True)) == {one: counted.count(one) for one in set(counted)}
    given = ["usada_pekora", "smile", "hat", "sword", "solo"]  # seven, with what they imply
    drawn = [one.count for one in completer.complete([given] * 100, range(100), [None] * 100)]
    assert set(drawn) <= {one for one in counted if one >= 7}
    assert len(set(drawn)) > 1
    many = [tag for tag in predictor.vocabulary.labels if tag not in ("hatsune_miku", "usada_pekora")]
    with pytest.raises(BooruError, match=r"no post has .* tags or more"):
        completer.complete([many], [0], [None])


def test_a_low_temperature_takes_the_most_probable_and_a_high_one_nearly_any(world):
    cold = completed(world, "smile", count=6, temperature=1e-300, sets=5).sets
    assert len({tuple(names(one)) for one in cold}) == 1
    assert cold[0].log_probability == 0
    hot = completed(world, "smile", count=3, temperature=1e300, sets=50).sets
    assert len({names(one)[1] for one in hot}) > 10


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"count": 2}, "--count is 2: it must be from 3"),
        ({"count": 10**6}, r"--count is 1,000,000: .* the labels that the checkpoint knows"),
        ({"temperature": 0}, "temperature is 0"),
        ({"temperature": math.nan}, "temperature is nan"),
        ({"temperature": math.inf}, "temperature is inf"),
        ({"seed": -1}, "seed is -1"),
        ({"sets": 0}, "--sets must be at least 1"),
        ({"filters": Filters(exclude=("*",))}, "no label is left to draw. Loosen --exclude"),
    ],
)
def test_what_cannot_be_is_refused(world, options, says):
    with pytest.raises(BooruError, match=says):
        completed(world, "usada_pekora", **options)


def test_a_checkpoint_that_answers_with_no_number_is_refused(world, tmp_path):
    broken = tmp_path / "checkpoint"
    shutil.copytree(world.checkpoint, broken)
    weights = load_file(broken / "model.safetensors")
    save_file({name: torch.full_like(one, torch.nan) for name, one in weights.items()}, broken / "model.safetensors")
    with pytest.raises(BooruError, match="no number"):
        complete(["smile"], **{**places(world), "checkpoint": broken})


def test_the_import_is_light():
    code = (
        "import sys, booru_pipeline.model.suggest.completing; print(sorted({'torch', 'transformers'} & {*sys.modules}))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
