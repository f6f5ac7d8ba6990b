import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from transformers import T5Config, T5ForConditionalGeneration

from booru_pipeline.dataset.posts import Posts
from booru_pipeline.errors import BooruError
from booru_pipeline.model.objective import SequenceObjective, answer_tokens
from booru_pipeline.model.objective_name import ObjectiveName, objective_name
from booru_pipeline.model.ranking import Question
from booru_pipeline.model.ranking.torch_rankers import PieceRanker, ranker_for
from booru_pipeline.vocabulary.options import EncodingName
from booru_pipeline_tests.dataset.label_rows import posts_of, random_posts
from booru_pipeline_tests.vocabulary.labels import LABELS, make_vocabulary

CASES = [
    (EncodingName.LABELS, ObjectiveName.SET),
    (EncodingName.LABELS, ObjectiveName.SPAN),
    (EncodingName.PIECES, ObjectiveName.SEQUENCE),
    (EncodingName.PIECES, ObjectiveName.SPAN),
]


@pytest.fixture(scope="module")
def vocabulary(tmp_path_factory):
    return make_vocabulary(tmp_path_factory.mktemp("vocabulary"))


@pytest.fixture(scope="module", params=[True, False], ids=["tied", "untied"])
def model(request, vocabulary):
    torch.manual_seed(0)
    size = vocabulary.first_token_id + len(vocabulary)
    made = T5ForConditionalGeneration(
        T5Config(
            vocab_size=size,
            d_model=16,
            d_kv=8,
            d_ff=32,
            num_layers=1,
            num_heads=2,
            decoder_start_token_id=vocabulary.special_tokens.pad,
        )
    )
    if not request.param:
        made.lm_head.weight = torch.nn.Parameter(torch.randn(size, 16))
        made.config.tie_word_embeddings = made.config.scale_decoder_outputs = False
    return made.eval()


def slowly(model, question, ends, rows, first, label_token):
    """Log-probability of one label as the first answer, by the model's own forward pass over the whole answer."""
    source = torch.from_numpy(question.source(np.array(rows)))[None]
    answer = torch.tensor([[*question.answer_start, *label_token]])
    logits = model(input_ids=source, decoder_input_ids=answer).logits[0].double()
    logits = (logits[:, :first] if ends else logits).log_softmax(-1)  # pieces are answered in pieces
    start = len(question.answer_start) - 1
    total = sum(logits[start + place, token] for place, token in enumerate(label_token))
    if ends:
        total += logits[start + len(label_token), ends].logsumexp(-1)
    return total.item()


@pytest.mark.parametrize(("encoding", "objective"), CASES)
def test_every_label_has_the_probability_that_the_whole_model_gives_it(vocabulary, model, encoding, objective):
    question = Question.of(vocabulary, encoding, objective)
    special = vocabulary.special_tokens
    ends = [special.separator, special.eos] if encoding is EncodingName.PIECES else []
    contexts = [[0, 3, 9], [5], list(range(8, 20))]
    found = ranker_for(model, vocabulary, encoding, objective).scores(posts_of(*contexts))
    for context, scores in zip(contexts, found, strict=True):
        others = [row for row in range(len(LABELS)) if row not in context]
        slow = np.array(
            [
                slowly(model, question, ends, context, vocabulary.first_token_id, question.encoding.encode([row]))
                for row in others
            ]
        )
        slow -= np.logaddexp.reduce(slow)
        np.testing.assert_allclose(scores[others], slow, rtol=1e-4, atol=1e-4)
        assert np.isneginf(scores[context]).all()
        assert np.exp(scores).sum() == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize(("encoding", "objective"), CASES)
def test_a_batch_changes_nothing(vocabulary, model, encoding, objective):
    ranker = ranker_for(model, vocabulary, encoding, objective)
    posts = random_posts(6, len(LABELS), most=12)
    together = ranker.scores(posts)
    alone = np.concatenate([ranker.scores(posts.take([row])) for row in range(6)])
    np.testing.assert_allclose(together, alone, rtol=1e-4, atol=1e-4)


def pieces_of(model, vocabulary, objective, **sizes):
    return PieceRanker(model, vocabulary, Question.of(vocabulary, EncodingName.PIECES, objective), **sizes)


@pytest.mark.parametrize("objective", [ObjectiveName.SEQUENCE, ObjectiveName.SPAN])
def test_how_the_tree_is_cut_and_the_posts_are_shared_out_changes_nothing(vocabulary, model, objective):
    posts = random_posts(7, len(LABELS), most=12)
    whole = pieces_of(model, vocabulary, objective, nodes_at_once=10_000).scores(posts)
    for nodes, memory in ((1, 1), (3, 1 << 20), (16, 1), (64, 1 << 30)):
        found = pieces_of(model, vocabulary, objective, nodes_at_once=nodes, memory=memory).scores(posts)
        np.testing.assert_allclose(found, whole, rtol=1e-4, atol=1e-4)


class Largest(TorchDispatchMode):
    """Watches what torch makes: bytes of the largest tensor that has storage of its own."""

    bytes = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        made = func(*args, **(kwargs or {}))
        for part in made if isinstance(made, tuple | list) else [made]:
            if isinstance(part, torch.Tensor):
                self.bytes = max(self.bytes, part.untyped_storage().nbytes())
        return made


def test_more_posts_take_no_more_memory_at_a_time(vocabulary, model):
    weights = max(weight.untyped_storage().nbytes() for weight in model.parameters())
    budget = 16 * weights
    ranker = pieces_of(model, vocabulary, ObjectiveName.SEQUENCE, nodes_at_once=32, memory=budget)
    peaks = []
    for posts in (20, 100):
        with Largest() as largest:
            ranker.scores(random_posts(posts, len(LABELS), least=12, most=12))
        peaks.append(largest.bytes)
    assert weights < peaks[0] <= budget
    assert peaks[1] <= 1.2 * peaks[0]  # the longest of more contexts is longer


@pytest.mark.parametrize("labels", [["solo"], ["1girl", "1girl_1girl", "1girl_1girl_1girl", "girl"]])
def test_one_label_and_labels_that_begin_others(labels, tmp_path):
    known = make_vocabulary(tmp_path, labels)
    torch.manual_seed(0)
    size = known.first_token_id + len(known)
    config = T5Config(
        vocab_size=size, d_model=16, d_kv=8, d_ff=32, num_layers=2, num_heads=2, feed_forward_proj="gated-gelu"
    )
    config.decoder_start_token_id = known.special_tokens.pad
    gated = T5ForConditionalGeneration(config).eval()
    question = Question.of(known, EncodingName.PIECES, ObjectiveName.SEQUENCE)
    ends = [known.special_tokens.separator, known.special_tokens.eos]
    slow = np.array(
        [
            slowly(gated, question, ends, [], known.first_token_id, question.encoding.encode([row]))
            for row in range(len(labels))
        ]
    )
    found = PieceRanker(gated, known, question, nodes_at_once=2).scores(posts_of([]))[0]
    np.testing.assert_allclose(found, slow - np.logaddexp.reduce(slow), rtol=1e-4, atol=1e-4)


def test_attention_by_another_implementation_gives_the_same(vocabulary, model):
    posts = random_posts(3, len(LABELS), most=12)
    ranker = pieces_of(model, vocabulary, ObjectiveName.SEQUENCE)
    before = model.config._attn_implementation
    found = {}
    for name in ("eager", "sdpa"):
        model.set_attn_implementation(name)
        found[name] = ranker.scores(posts)
    model.set_attn_implementation(before)
    np.testing.assert_allclose(found["eager"], found["sdpa"], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("encoding", "objective"), CASES)
def test_a_shortlist_is_ranked_as_the_whole_is(vocabulary, model, encoding, objective):
    ranker = ranker_for(model, vocabulary, encoding, objective)
    visible = posts_of([0, 3], [5], [1, 2, 3], [4])
    asked = posts_of([7, 1, 9, 3], [6], list(range(len(LABELS))), [])
    whole = ranker.scores(visible)
    found = ranker.scores(visible, asked)
    expected = [[7, 1, 9], [6], [row for row in range(len(LABELS)) if row not in (1, 2, 3)], []]
    for some, every, rows in zip(found, whole, expected, strict=True):
        assert set(np.flatnonzero(np.isfinite(some))) == set(rows)
        assert not np.isnan(some).any()
        if rows:
            among = every[rows] - np.logaddexp.reduce(every[rows])
            np.testing.assert_allclose(some[rows], among, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("encoding", EncodingName)
def test_a_sequence_is_scored_post_by_post_among_its_own_tokens(vocabulary, model, encoding):
    special = vocabulary.special_tokens
    tokens = answer_tokens(encoding, vocabulary.first_token_id, len(vocabulary), special)
    objective = SequenceObjective(model, tokens)
    random = np.random.default_rng(0)
    pad, eos = special.pad, special.eos
    usable = np.array([token for token in tokens if token > 4])
    posts = []
    for _ in range(5):
        source = torch.tensor([*random.integers(5, 50, random.integers(2, 9)), eos])
        target = torch.tensor([*random.choice(usable, random.integers(1, 9)), eos])
        logits = model(input_ids=source[None], labels=target[None]).logits[0].double()
        among = logits[:, tokens].logsumexp(-1)
        posts.append((source, target, float((among - logits[torch.arange(len(target)), target]).mean())))
    ids = torch.nn.utils.rnn.pad_sequence([post[0] for post in posts], batch_first=True, padding_value=pad)
    labels = torch.nn.utils.rnn.pad_sequence([post[1] for post in posts], batch_first=True, padding_value=-100)
    loss = objective(ids, (ids != pad).long(), labels)["loss"]
    assert loss.item() == pytest.approx(np.mean([post[2] for post in posts]), rel=1e-5)


def test_what_names_all_labels_at_once_needs_one_token_a_label():
    assert objective_name("auto", EncodingName.LABELS) is ObjectiveName.PRESENT
    assert objective_name("auto", EncodingName.PIECES) is ObjectiveName.SEQUENCE
    assert objective_name("span", EncodingName.LABELS) is ObjectiveName.SPAN
    for name in ("present", "set"):
        with pytest.raises(BooruError, match=f"the {name} objective needs .*encoding = labels"):
            objective_name(name, EncodingName.PIECES)


def test_nothing_visible_can_be_asked(vocabulary, model):
    empty = Posts(np.empty(0, dtype=np.int64), np.zeros(2, dtype=np.int64))
    for encoding, objective in CASES:
        scores = ranker_for(model, vocabulary, encoding, objective).scores(empty)
        assert scores.shape == (1, len(LABELS))
        assert np.isfinite(scores).all()
