import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from booru_pipeline.errors import BooruError
from booru_pipeline.model.calibration import Calibration
from booru_pipeline.model.generation import AllowedLabels, Decoding, Generator, InvalidRate
from booru_pipeline.model.objective import ObjectiveName
from booru_pipeline.model.predictor import Predictor
from booru_pipeline.model.prefix_tree import PrefixTree
from booru_pipeline.model.ranking import Question, ranker_for
from booru_pipeline.vocabulary.options import EncodingName
from booru_pipeline_tests.training.themed_dataset import small_t5
from booru_pipeline_tests.vocabulary.labels import LABELS, make_vocabulary

CASES = [
    (EncodingName.LABELS, ObjectiveName.SET),
    (EncodingName.LABELS, ObjectiveName.SEQUENCE),
    (EncodingName.LABELS, ObjectiveName.SPAN),
    (EncodingName.PIECES, ObjectiveName.SEQUENCE),
    (EncodingName.PIECES, ObjectiveName.SPAN),
]
# Labels that begin others, so that a label may end or go on.
NAMES = [*LABELS, "1girl_1girl", "1girl_solo", "solo_solo", "long_hair_long"]
DECODINGS = st.one_of(
    st.builds(Decoding, beams=st.sampled_from([1, 3]), fill=st.booleans()),
    st.builds(
        Decoding,
        sample=st.just(True),
        seed=st.integers(0, 1 << 30),
        temperature=st.sampled_from([0.5, 1.0, 3.0]),
        top_p=st.sampled_from([0.5, 1.0]),
        fill=st.booleans(),
    ),
)


@pytest.fixture(scope="module")
def vocabulary(tmp_path_factory):
    return make_vocabulary(tmp_path_factory.mktemp("vocabulary"), NAMES)


@pytest.fixture(scope="module")
def model(vocabulary):
    return small_t5(vocabulary)


def predictor_of(model, vocabulary, encoding, objective):
    generator = None if objective is ObjectiveName.SET else Generator(model, vocabulary, encoding, objective)
    return Predictor(ranker_for(model, vocabulary, encoding, objective), vocabulary, Calibration(), generator)


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@pytest.mark.parametrize(("encoding", "objective"), CASES)
@given(
    contexts=st.lists(st.lists(st.integers(0, len(NAMES) - 1), unique=True, max_size=len(NAMES)), max_size=3),
    count=st.integers(1, 6),
    decoding=DECODINGS,
)
def test_only_labels_each_once_and_none_visible(vocabulary, model, encoding, objective, contexts, count, decoding):
    answers = predictor_of(model, vocabulary, encoding, objective).generate(contexts, count, decoding)
    assert len(answers) == len(contexts)
    for context, answer in zip(contexts, answers, strict=True):
        left = len(NAMES) - len(context)
        assert len(set(answer)) == len(answer)
        assert not set(answer) & set(context)
        assert all(0 <= row < len(NAMES) for row in answer)
        assert min(1, left) <= len(answer) <= min(count, left)
        if decoding.fill or objective is ObjectiveName.SET:
            assert len(answer) == min(count, left)


@pytest.mark.parametrize(("encoding", "objective"), CASES[1:])
def test_a_greedy_answer_is_the_most_probable_allowed_token_at_each_step(vocabulary, model, encoding, objective):
    context = [0, 5, 9]
    question = Question.of(vocabulary, encoding, objective)
    special = vocabulary.special_tokens
    layout = question.encoding
    spelled = {tuple(layout.encode([row])): row for row in range(len(NAMES)) if row not in context}
    said, tokens = [], []
    while True:
        part = tuple(
            tokens[len(tokens) - tokens[::-1].index(special.separator) :] if special.separator in tokens else tokens
        )
        part = part if layout.separator is not None else ()
        free = [word for word, row in spelled.items() if row not in said]
        allowed = {word[len(part)] for word in free if word[: len(part)] == part and len(word) > len(part)}
        if layout.separator is not None and part in free:
            allowed |= {special.eos} | ({special.separator} if len(said) < 2 else set())
        if layout.separator is None and said:
            allowed = (allowed if len(said) < 3 else set()) | {special.eos}
        source = torch.from_numpy(question.source(np.array(context)))[None]
        answer = torch.tensor([[*question.answer_start, *tokens]])
        logits = model(input_ids=source, decoder_input_ids=answer).logits[0, -1]
        token = max(allowed, key=lambda one: logits[one].item())
        if token == special.eos:
            said += [spelled[part]] if layout.separator is not None else []
            break
        if layout.separator is None:
            said.append(spelled[(token,)])
        elif token == special.separator:
            said.append(spelled[part])
        tokens.append(token)
    assert Generator(model, vocabulary, encoding, objective).generate([context], 3) == [said]


def test_set_gives_the_top_of_its_ranking(vocabulary, model):
    predictor = predictor_of(model, vocabulary, *CASES[0])
    scores = predictor.scores([[1, 2]])[0]
    best = predictor.generate([[1, 2]], 5)[0]
    assert scores[best].tolist() == sorted(scores.tolist(), reverse=True)[:5]
    assert predictor.invalid_rate([[1, 2]]) is None
    assert not predictor.is_slow
    assert predictor_of(model, vocabulary, *CASES[3]).is_slow


def test_the_seed_decides_what_is_drawn_and_nothing_else_is_touched(vocabulary, model):
    generator = Generator(model, vocabulary, EncodingName.LABELS, ObjectiveName.SEQUENCE)
    contexts = [[0], [1], [2]]
    state = torch.random.get_rng_state()
    drawn = [generator.generate(contexts, 4, Decoding(sample=True, seed=seed, fill=True)) for seed in (1, 1, 2)]
    assert torch.equal(state, torch.random.get_rng_state())
    assert drawn[0] == drawn[1] != drawn[2]


def test_beams_are_not_drawn():
    with pytest.raises(BooruError, match="sample or beams"):
        Decoding(beams=2, sample=True)


@pytest.mark.parametrize("encoding", EncodingName)
def test_what_is_invalid_is_counted(vocabulary, model, encoding):
    generator = Generator(model, vocabulary, encoding, ObjectiveName.SEQUENCE)
    special = vocabulary.special_tokens
    layout = Question.of(vocabulary, encoding, ObjectiveName.SEQUENCE).encoding
    said = layout.encode([3, 4, 3, 0, 0, 5])  # 3 again, and twice the visible 0
    bad = [special.sentinels[0]] if layout.separator is None else [special.separator, special.sentinels[0]]
    assert InvalidRate(*generator._tally([0], [*said, *bad, special.eos], 20)) == InvalidRate(7, 1, 1, 2, 0)
    assert InvalidRate(*generator._tally([0], [*said, special.eos], 3)) == InvalidRate(3, 0, 1, 0, 0)
    cut = InvalidRate(*generator._tally([0], said, 20))
    assert (cut.answers, cut.cut) == ((6, 1) if layout.separator is None else (5, 1))
    assert InvalidRate(8, 1, 1, 2, 0).rate == 0.5
    assert generator.invalid_rate([]) == InvalidRate()


@pytest.mark.parametrize(("encoding", "objective"), CASES[1:])
def test_random_weights_say_what_is_invalid(vocabulary, model, encoding, objective):
    found = predictor_of(model, vocabulary, encoding, objective).invalid_rate(
        [[0, 1], [2]], 5, Decoding(sample=True, temperature=2.0)
    )
    assert 0 < found.answers <= 10
    assert 0 < found.rate <= 1


def test_a_broken_answer_may_only_end(vocabulary):
    question = Question.of(vocabulary, EncodingName.PIECES, ObjectiveName.SEQUENCE)
    tree = PrefixTree.of(question.encoding.tokens, question.encoding.offsets, question.answer_start)
    allowed = AllowedLabels(tree, question, [[0]], 3)
    assert allowed.following([vocabulary.special_tokens.sentinels[0]], set()) == [vocabulary.special_tokens.eos]
