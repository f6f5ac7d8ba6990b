import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from booru_pipeline.dataset.collator import SetBatches
from booru_pipeline.dataset.hiding import Hiding
from booru_pipeline.dataset.options import MaskingOptions
from booru_pipeline.training.sampler import LengthGroupedSampler
from booru_pipeline_tests.dataset.label_rows import posts_of, sets

TOKENS = {"first_token_id": 100, "eos_token_id": 1, "pad_token_id": 0}


def of_sizes(sizes):
    """Posts of these sizes, each with labels 0, 1, 2 …"""
    return posts_of(*(list(range(size)) for size in sizes))


SIZES = st.lists(st.integers(2, 40), min_size=1, max_size=30)
SHARES = st.tuples(st.floats(0, 1), st.floats(0, 1)).map(sorted)


@given(sizes=SIZES, shares=SHARES, seed=st.integers(0, 2**31), epoch=st.integers(0, 1000))
def test_visible_and_hidden_are_disjoint_and_together_the_post(sizes, shares, seed, epoch):
    posts = of_sizes(sizes)
    visible, hidden = Hiding(seed, *shares).split(posts, epoch)
    for seen, unseen, size in zip(sets(visible), sets(hidden), sizes, strict=True):
        assert seen
        assert unseen
        assert sorted(seen + unseen) == list(range(size))


def test_the_same_seed_epoch_and_post_hide_the_same_whatever_the_batch():
    posts = of_sizes([10] * 50)
    hiding = Hiding(seed=5)
    alone = [sets(hiding.split(posts.take([row]), 3)[0])[0] for row in range(50)]
    assert sets(hiding.split(posts, 3)[0]) == alone
    assert sets(hiding.split(posts.take(np.arange(50)[::-1]), 3)[0]) == alone[::-1]


def test_another_epoch_seed_or_post_hides_others():
    posts = of_sizes([20] * 40)
    first = sets(Hiding(1).split(posts, 0)[0])
    assert first != sets(Hiding(1).split(posts, 1)[0])
    assert first != sets(Hiding(2).split(posts, 0)[0])
    assert len({tuple(seen) for seen in first}) > 35


def test_shares_are_spread_and_a_single_visible_label_occurs():
    sizes = np.full(4000, 20)
    visible = sizes - Hiding(0, 0.1, 1.0).hidden_counts(sizes, np.arange(4000), 0)
    assert set(visible.tolist()) == set(range(1, 19))
    assert abs(visible.mean() - 9.0) < 0.3


def test_every_second_post_takes_one_of_the_shares_that_are_named():
    sizes = np.full(8000, 100)
    even = Hiding(0, 0.0, 1.0).hidden_counts(sizes, np.arange(8000), 0)
    options = MaskingOptions(hidden_share_min=0, hidden_shares=[0.1, 0.9], single_visible_share=0)
    hidden = Hiding.of(options, 0).hidden_counts(sizes, np.arange(8000), 0)
    counts = np.bincount(hidden, minlength=100)
    assert np.abs(counts[[10, 90]] / 8000 - 0.255).max() < 0.02
    assert counts[11:90].sum() / 8000 == pytest.approx(0.395, abs=0.02)
    assert 0.45 < np.mean(hidden == even) < 0.55


def test_some_posts_show_a_single_label_whatever_the_share():
    sizes = np.full(8000, 100)
    hidden = Hiding.of(MaskingOptions(hidden_share_max=0.5, single_visible_share=0.25), 0)
    counts = hidden.hidden_counts(sizes, np.arange(8000), 0)
    assert np.mean(counts == 99) == pytest.approx(0.25, abs=0.02)
    assert counts[counts != 99].max() <= 50
    assert (counts == hidden.hidden_counts(sizes, np.arange(8000), 0)).all()
    assert (counts != hidden.hidden_counts(sizes, np.arange(8000), 1)).any()
    assert (Hiding.of(MaskingOptions(single_visible_share=1), 0).hidden_counts(sizes, np.arange(8000), 0) == 99).all()


@pytest.mark.parametrize("share", [0, 1, -0.1])
def test_a_share_that_hides_nothing_or_all_is_refused(share):
    with pytest.raises(ValidationError, match="hidden_shares"):
        MaskingOptions(hidden_shares=[share])


def test_every_label_is_as_likely_to_be_hidden_and_order_is_random():
    posts = of_sizes([10] * 5000)
    visible, hidden = Hiding(0, 0.5, 0.5).split(posts, 0)
    counts = np.bincount(hidden.rows, minlength=10)
    assert np.abs(counts / 5000 - 0.5).max() < 0.04
    first_seen = visible.rows[visible.offsets[:-1]]
    assert np.abs(np.bincount(first_seen, minlength=10) / 5000 - 0.1).max() < 0.03


def test_a_batch_is_labels_then_end_of_sequence_then_padding():
    batches = SetBatches(of_sizes([3, 9, 30]), Hiding(0), **TOKENS)
    batch = batches.batch([0, 1, 2])
    visible, hidden = batches.hiding.split(batches.posts, 0)
    for row, (seen, unseen) in enumerate(zip(sets(visible), sets(hidden), strict=True)):
        used = batch["attention_mask"][row].bool()
        assert batch["input_ids"][row][used].tolist() == [100 + label for label in seen] + [1]
        assert (batch["input_ids"][row][~used] == 0).all()
        assert [label for label in batch["hidden"][row].tolist() if label != -1] == unseen


def test_an_epoch_is_every_post_once_with_like_lengths_together():
    random = np.random.default_rng(0)
    batches = SetBatches(of_sizes(random.integers(2, 41, 1000).tolist()), Hiding(0), **TOKENS)
    sampler = LengthGroupedSampler(batches, batch_size=32, seed=0)
    order = list(sampler)
    assert sorted(order) == list(range(1000))
    width = np.mean([batches.batch(order[at : at + 32])["input_ids"].shape[1] for at in range(0, 1000, 32)])
    shuffled = random.permutation(1000)
    unsorted = np.mean([batches.batch(shuffled[at : at + 32])["input_ids"].shape[1] for at in range(0, 1000, 32)])
    assert width < 0.6 * unsorted
    batches.set_epoch(1)
    assert list(sampler) != order
