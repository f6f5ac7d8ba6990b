import numpy as np
import pytest

from booru_pipeline.dataset.captions import CaptionChoice
from booru_pipeline.dataset.options import CaptionOptions
from booru_pipeline.vocabulary.options import EncodingName
from booru_pipeline_tests.dataset.label_rows import posts_of, random_posts, sets
from booru_pipeline_tests.vocabulary.labels import CHARACTERS, LABELS, SERIES


def choice_of(vocabulary, seed=0, **options):
    return CaptionChoice.of(vocabulary, CaptionOptions(**options), seed)


@pytest.mark.parametrize("encoding", EncodingName)
def test_a_caption_keeps_within_its_tokens_and_keeps_labels_of_its_post(vocabulary, encoding):
    posts = random_posts(200, len(LABELS), least=2)
    choice = choice_of(vocabulary, encoding=encoding, max_tokens=16)
    chosen = choice.choose(posts, epoch=0)
    whole = choice.encoding.caption_lengths(posts.rows, posts.offsets)
    kept = choice.encoding.caption_lengths(chosen.rows, chosen.offsets)
    for before, after, length, size in zip(sets(posts), sets(chosen), kept, chosen.sizes, strict=True):
        assert set(after) <= set(before)
        assert length <= 16 or size == 2
    assert (chosen.sizes >= 2).all()
    assert (kept[whole <= 16] == whole[whole <= 16]).all()
    assert kept.max() <= choice.longest(whole)
    assert (kept < whole).any()


def test_crucial_labels_come_first_but_only_some_of_them(vocabulary):
    crucial = {vocabulary.index[label] for label in [*CHARACTERS, *SERIES]}
    everything = list(range(len(LABELS)))
    choice = choice_of(vocabulary, max_tokens=8, crucial_tokens=4)
    counts = []
    for epoch in range(200):
        (kept,) = sets(choice.choose(posts_of(everything), epoch))
        assert len(kept) == 8
        counts.append(len(crucial & set(kept)))
    assert min(counts) == 4  # that many are sure of their place
    assert max(counts) > 4  # the others take part in the draw for the rest


def test_without_crucial_tokens_one_crucial_label_stays(vocabulary):
    crucial = {vocabulary.index[label] for label in CHARACTERS}
    choice = choice_of(vocabulary, max_tokens=4, crucial_tokens=0, crucial_categories=[4])
    for epoch in range(50):
        (kept,) = sets(choice.choose(posts_of(list(range(len(LABELS)))), epoch))
        assert crucial & set(kept)


def test_a_choice_is_a_function_of_seed_epoch_and_post(vocabulary):
    posts = random_posts(50, len(LABELS), least=20)
    choice = choice_of(vocabulary, max_tokens=8)
    alone = [sets(choice.choose(posts.take([row]), 3))[0] for row in range(50)]
    assert sets(choice.choose(posts, 3)) == alone
    assert sets(choice.choose(posts, 4)) != alone
    assert sets(choice_of(vocabulary, seed=1, max_tokens=8).choose(posts, 3)) != alone


def test_every_expendable_label_has_its_turn(vocabulary):
    everything = posts_of(list(range(len(LABELS))))
    choice = choice_of(vocabulary, max_tokens=8)
    seen = np.bincount(np.concatenate([choice.choose(everything, epoch).rows for epoch in range(300)]))
    assert len(seen) == len(LABELS)
    assert seen.min() > 0


def test_a_label_longer_than_a_caption_may_be_leaves_two_labels(vocabulary):
    long = vocabulary.index["don-chan_(usada_pekora)"]
    choice = choice_of(vocabulary, encoding="pieces", max_tokens=4)
    (kept,) = sets(choice.choose(posts_of([long, 0, 1, 2]), 0))
    assert len(kept) == 2
    assert long in kept  # it is crucial
