from booru_pipeline.dataset.gate import GateReport, inspect
from booru_pipeline.vocabulary.encoding import Encoding
from booru_pipeline.vocabulary.faults import find_faults
from booru_pipeline.vocabulary.options import EncodingName


def judge(vocabulary, **given):
    settings = {"longest_caption": 64, "coverage": {"general": 0.9}, "min_coverage": 0.5} | given
    return inspect(vocabulary, Encoding.of(vocabulary, EncodingName.LABELS), **settings)


def test_captions_that_are_too_long_and_too_little_coverage_do_not_pass(vocabulary, tmp_path):
    assert judge(vocabulary).passed
    longest = vocabulary.special_tokens.longest
    assert judge(vocabulary, longest_caption=longest - 1).passed
    assert "max_tokens" in judge(vocabulary, longest_caption=longest).failures["caption_too_long"]
    poor = judge(vocabulary, coverage={"general": 0.4, "artist": 0.0})
    assert "min_general_posts" in poor.failures["coverage_too_low"]
    poor.write(tmp_path)
    assert GateReport.read(tmp_path) == poor
    assert not GateReport.read(tmp_path).passed


def test_the_worst_labels_are_those_with_most_pieces(vocabulary):
    worst = judge(vocabulary).worst
    sizes = [len(vocabulary.piece_ids[vocabulary.index[row["label"]]]) for row in worst]
    assert sizes == sorted((len(ids) for ids in vocabulary.piece_ids), reverse=True)[: len(worst)]


def test_a_faulty_label_does_not_pass(vocabulary, tmp_path):
    faults = find_faults(vocabulary).model_copy(update={"text_lost": ["carrot"]})
    broken = judge(vocabulary).model_copy(update={"faults": faults})
    assert broken.failures == {"text_lost": "carrot"}
    broken.write(tmp_path)
    assert GateReport.read(tmp_path) == broken
