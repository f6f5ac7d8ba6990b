from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from booru_pipeline.dataset.captions import CaptionChoice
from booru_pipeline.dataset.masking import Kind, Masking
from booru_pipeline.dataset.options import CaptionOptions, MaskingOptions
from booru_pipeline.vocabulary.options import EncodingName
from booru_pipeline_tests.dataset.label_rows import posts_of, random_posts, sets
from booru_pipeline_tests.vocabulary.labels import LABELS

EOS = 1


def masking_of(vocabulary, encoding="pieces", seed=0, max_tokens=None, **options):
    choice = CaptionChoice.of(vocabulary, CaptionOptions(encoding=encoding, max_tokens=max_tokens), seed)
    return Masking(choice, MaskingOptions(**options), vocabulary.special_tokens, seed)


def labels_in(masking, tokens):
    assert tokens[-1] == EOS
    return masking.choice.encoding.decode(tokens[:-1].tolist())


@pytest.mark.parametrize("encoding", EncodingName)
def test_caption_completion_splits_the_post_into_input_and_target(vocabulary, encoding):
    masking = masking_of(vocabulary, encoding, max_tokens=10_000)
    posts = random_posts(200, len(LABELS))
    for post, example in zip(sets(posts), masking.examples(posts, epoch=2, kind=Kind.CAPTION_COMPLETION), strict=True):
        seen, asked = labels_in(masking, example.source), labels_in(masking, example.target)
        assert seen
        assert asked
        assert sorted(seen + asked) == sorted(post)


def test_label_completion_asks_for_the_labels_that_lost_a_token(vocabulary):
    masking = masking_of(vocabulary, max_tokens=10_000)
    encoding = masking.choice.encoding
    posts = random_posts(200, len(LABELS))
    partly = 0
    for post, example in zip(sets(posts), masking.examples(posts, epoch=0, kind=Kind.LABEL_COMPLETION), strict=True):
        seen, asked = labels_in(masking, example.source), labels_in(masking, example.target)
        whole = {row for row in seen if row is not None and row in post}
        assert set(asked) <= set(post)
        assert None not in asked
        assert whole | set(asked) == set(post)
        # No token appears from nowhere: what is seen is the post's tokens less some.
        separator = encoding.separator
        left = np.sort([token for token in example.source[:-1] if token != separator])
        every = np.sort(np.concatenate([encoding.encode([row]) for row in post]))
        assert 0 < len(left) < len(every)
        assert not (np.bincount(left, minlength=every.max() + 1) > np.bincount(every)).any()
        partly += None in seen
    assert partly > 50  # labels of which some tokens are seen: what the name says


def test_span_corruption_is_t5s(vocabulary):
    masking = masking_of(vocabulary, max_tokens=10_000)
    sentinels = masking.special.sentinels
    posts = random_posts(100, len(LABELS), least=4)
    for post, example in zip(sets(posts), masking.examples(posts, epoch=0, kind=Kind.SPAN_CORRUPTION), strict=True):
        source, target = example.source.tolist(), example.target.tolist()
        assert source[-1] == target[-1] == EOS
        used = [token for token in source if token in sentinels]
        assert used == list(sentinels[: len(used)])
        assert [token for token in target if token in sentinels] == used
        assert target[0] == sentinels[0]
        spans, at = {}, None
        for token in target[:-1]:
            if token in sentinels:
                at = spans.setdefault(token, [])
            else:
                at.append(token)
        assert all(spans.values())
        restored = [piece for token in source[:-1] for piece in spans.get(token, [token])]
        rows = masking.choice.encoding.decode(restored)
        assert sorted(rows) == sorted(post)
        hidden = sum(map(len, spans.values()))
        assert hidden == max(1, round(len(restored) * 0.15))


def test_the_input_is_what_is_seen_and_the_target_what_is_hidden_never_the_other_way_round(vocabulary):
    """The origin fed the whole caption as input and asked for the masked one."""
    masking = masking_of(vocabulary, "labels", hidden_share_min=0.25, hidden_share_max=0.25, single_visible_share=0)
    posts = random_posts(50, len(LABELS), least=8, most=8)
    for example in masking.examples(posts, 0):
        assert len(labels_in(masking, example.source)) == 6
        assert len(labels_in(masking, example.target)) == 2


def test_kinds_are_drawn_half_and_half_and_as_weighted(vocabulary):
    posts = random_posts(2000, len(LABELS), most=6)
    kinds = np.array([example.kind for example in masking_of(vocabulary).examples(posts, 0)])
    assert abs((kinds == Kind.CAPTION_COMPLETION).mean() - 0.5) < 0.05
    assert not (kinds == Kind.SPAN_CORRUPTION).any()
    weighted = masking_of(vocabulary, label_masking=0, token_masking=1, span_corruption=3)
    kinds = np.array([example.kind for example in weighted.examples(posts, 0)])
    assert abs((kinds == Kind.SPAN_CORRUPTION).mean() - 0.75) < 0.05
    assert not (kinds == Kind.CAPTION_COMPLETION).any()


@pytest.mark.parametrize("kind", Kind)
@pytest.mark.parametrize("encoding", EncodingName)
def test_an_example_is_a_function_of_seed_epoch_and_post(vocabulary, encoding, kind):
    posts = random_posts(40, len(LABELS), least=8)

    def all_of(masking, posts, epoch):
        return [(e.source.tolist(), e.target.tolist()) for e in masking.examples(posts, epoch, kind)]

    masking = masking_of(vocabulary, encoding)
    first = all_of(masking, posts, 0)
    assert all_of(masking, posts, 0) == first
    assert all_of(masking, posts.take(np.arange(40)[::-1]), 0) == first[::-1]
    assert [all_of(masking, posts.take([row]), 0)[0] for row in range(40)] == first
    for other in (all_of(masking, posts, 1), all_of(masking_of(vocabulary, encoding, seed=1), posts, 0)):
        assert sum(a != b for a, b in zip(first, other, strict=True)) > 35


def test_every_epoch_has_every_post(vocabulary):
    """The origin's second epoch was empty."""
    posts = random_posts(30, len(LABELS))
    masking = masking_of(vocabulary)
    for epoch in range(3):
        examples = masking.examples(posts, epoch)
        assert len(examples) == 30
        assert all(len(example.target) > 1 for example in examples)


def test_targets_are_in_random_order(vocabulary):
    masking = masking_of(vocabulary, "labels", hidden_share_min=0.5, hidden_share_max=0.5)
    posts = posts_of(*[list(range(10))] * 500)
    targets = [labels_in(masking, e.target) for e in masking.examples(posts, 0)]
    ascending = np.mean([first < second for target in targets for first, second in pairwise(target)])
    assert abs(ascending - 0.5) < 0.04
    assert targets != [labels_in(masking, e.target) for e in masking.examples(posts, 1)]


def test_a_single_visible_label_occurs_and_all_are_never_hidden(vocabulary):
    masking = masking_of(vocabulary, "labels")
    posts = posts_of(*[list(range(20))] * 1000)
    seen = [len(labels_in(masking, example.source)) for example in masking.examples(posts, 0)]
    assert min(seen) == 1
    assert max(seen) >= 17


@pytest.mark.parametrize("kind", [Kind.CAPTION_COMPLETION, Kind.LABEL_COMPLETION])
def test_no_more_tokens_are_hidden_than_allowed(vocabulary, kind):
    masking = masking_of(vocabulary, max_tokens=10_000, max_hidden_tokens=8, hidden_share_min=0.9)
    encoding = masking.choice.encoding
    posts = random_posts(100, len(LABELS), least=6)
    for post, example in zip(sets(posts), masking.examples(posts, 0, kind), strict=True):
        tokens = sum(len(encoding.encode([row])) for row in post)
        seen = sum(token not in (encoding.separator, EOS) for token in example.source)
        asked = labels_in(masking, example.target)
        assert 1 <= tokens - seen <= 8 or (kind is Kind.CAPTION_COMPLETION and len(asked) == 1)


@given(sizes=st.lists(st.integers(2, 26), min_size=1, max_size=6), seed=st.integers(0, 1000))
def test_any_posts_make_examples_of_any_kind(vocabulary, sizes, seed):
    posts = posts_of(*(list(range(size)) for size in sizes))
    for encoding in EncodingName:
        masking = masking_of(vocabulary, encoding, seed, label_masking=1, token_masking=1, span_corruption=1)
        for example in masking.examples(posts, seed):
            assert len(example.source) >= 2
            assert len(example.target) >= 2


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"hidden_share_min": 0.9, "hidden_share_max": 0.1}, "swap them"),
        ({"label_masking": 0, "token_masking": 0}, "nothing would be hidden"),
        ({"hidden_share_max": 1.1}, "hidden_share_max"),
    ],
)
def test_options_that_make_no_sense_are_refused(options, words):
    with pytest.raises(ValidationError, match=words):
        MaskingOptions(**options)
