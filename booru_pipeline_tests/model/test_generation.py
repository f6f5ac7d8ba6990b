import math

import numpy as np
import pytest
import torch

from booru_pipeline.model.calibration import Calibration
from booru_pipeline.model.generation import Generator, InvalidRate
from booru_pipeline.model.objective import answer_tokens
from booru_pipeline.model.objective_name import ObjectiveName
from booru_pipeline.model.predictor import Predictor
from booru_pipeline.model.ranking import Question
from booru_pipeline.model.ranking.torch_rankers import ranker_for
from booru_pipeline.model.t5_alone import T5Alone
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


@pytest.fixture(scope="module")
def vocabulary(tmp_path_factory):
    # Labels that begin others, so that a label may end or go on.
    names = [*LABELS, "1girl_1girl", "1girl_solo", "solo_solo", "long_hair_long"]
    return make_vocabulary(tmp_path_factory.mktemp("vocabulary"), names)


@pytest.fixture(scope="module")
def model(vocabulary):
    """Random weights, but for a separator that is loud, and in the direction that these weights answer in."""
    model = small_t5(vocabulary)
    with torch.no_grad():
        model.shared.weight[vocabulary.special_tokens.separator] *= -8
    return model


def test_a_model_of_the_set_objective_generates_nothing_and_one_of_pieces_is_slow(vocabulary, model):
    ranking, pieces = (
        Predictor(T5Alone(ranker_for(model, vocabulary, *case), len(vocabulary), Calibration()), vocabulary)
        for case in (CASES[0], CASES[3])
    )
    assert ranking.invalid_rate([[1, 2]]) is None
    assert not ranking.is_slow
    assert pieces.is_slow


@pytest.mark.parametrize("encoding", EncodingName)
def test_what_is_invalid_is_counted(vocabulary, model, encoding):
    generator = Generator(model, vocabulary, encoding, ObjectiveName.SEQUENCE)
    special = vocabulary.special_tokens
    layout = Question.of(vocabulary, encoding, ObjectiveName.SEQUENCE).encoding
    said = layout.encode([3, 4, 3, 0, 0, 5])  # 3 again, and twice the visible 0
    bad = [special.sentinels[0]] if layout.separator is None else [special.separator, special.sentinels[0]]
    assert InvalidRate(*generator.tally([0], [*said, *bad, special.eos], 20)) == InvalidRate(7, 1, 1, 2, 0)
    assert InvalidRate(*generator.tally([0], [*said, special.eos], 3)) == InvalidRate(3, 0, 1, 0, 0)
    cut = InvalidRate(*generator.tally([0], said, 20))
    assert (cut.answers, cut.cut) == ((6, 1) if layout.separator is None else (5, 1))
    assert InvalidRate(8, 1, 1, 2, 0).rate == 0.5
    assert generator.invalid_rate([]) == InvalidRate()


@pytest.mark.parametrize(("encoding", "objective"), CASES[1:])
def test_it_says_the_most_probable_token_that_it_was_trained_on_at_each_step(vocabulary, model, encoding, objective):
    generator = Generator(model, vocabulary, encoding, objective)
    question = Question.of(vocabulary, encoding, objective)
    special, first = vocabulary.special_tokens, vocabulary.first_token_id
    allowed = answer_tokens(encoding, first, len(vocabulary), special)
    most = math.ceil(5 * (question.encoding.sizes.mean() + question.encoding.gap)) + 1
    contexts, tallies = [[0, 1], [2], [3], [4, 5, 6]], []
    for context in contexts:
        source = torch.from_numpy(question.source(np.array(context)))[None]
        tokens = []
        while special.eos not in tokens and len(tokens) < most:
            answer = torch.tensor([[*question.answer_start, *tokens]])
            logits = model(input_ids=source, decoder_input_ids=answer).logits[0, -1]
            tokens.append(max(allowed, key=lambda token: logits[token].item()))
        tallies.append(generator.tally(context, tokens, 5))
    found = generator.invalid_rate(contexts, 5)
    assert found == InvalidRate(*np.sum(tallies, axis=0).tolist())
    assert 0 < found.answers <= 20
    assert 0 < found.rate <= 1  # random weights
