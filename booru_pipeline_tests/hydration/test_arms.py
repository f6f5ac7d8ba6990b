import numpy as np
import pytest
import torch
from scipy.stats import mannwhitneyu
from transformers import T5Config, T5ForConditionalGeneration

from booru_pipeline.dataset.posts import load_posts
from booru_pipeline.errors import BooruError
from booru_pipeline.evaluation.figures.probing import auc
from booru_pipeline.hydration.arms import opaque_texts, permuted_base, random_base
from booru_pipeline.hydration.concepts import load_concepts, tell_apart
from booru_pipeline.hydration.measure import place_text_rows
from booru_pipeline.hydration.splits import choose_held_out, held_out_auc, share_of
from booru_pipeline.vocabulary.vocabulary import Vocabulary
from booru_pipeline_tests.dataset.label_rows import posts_of, random_posts
from booru_pipeline_tests.vocabulary.labels import make_vocabulary


@pytest.fixture(params=[True, False], ids=["tied", "untied"])
def source(request, tmp_path):
    torch.manual_seed(3)
    config = T5Config(
        vocab_size=60, d_model=8, d_kv=4, d_ff=8, num_layers=1, num_heads=2, tie_word_embeddings=request.param
    )
    model = T5ForConditionalGeneration(config)
    if not request.param:
        model.lm_head.weight = torch.nn.Parameter(torch.randn(60, 8))
        model.config.tie_word_embeddings = False
    model.save_pretrained(tmp_path / "source")
    return model, str(tmp_path / "source"), tmp_path / "made"


def test_permuting_deals_the_used_rows_out_anew_and_changes_nothing_else(source):
    before, folder, made = source
    used = [5, 7, 8, 20, 33, 59, 59, 1000]
    permuted_base(folder, made, used, seed=0)
    after = T5ForConditionalGeneration.from_pretrained(made)
    assert (after.lm_head.weight is after.shared.weight) == (before.lm_head.weight is before.shared.weight)
    rows = [5, 7, 8, 20, 33, 59]
    others = [row for row in range(60) if row not in rows]
    came_from = []
    for new, old in [(after.shared.weight, before.shared.weight), (after.lm_head.weight, before.lm_head.weight)]:
        assert torch.equal(new[others], old[others])
        assert not any(torch.equal(new[row], old[row]) for row in rows)
        came_from.append([next(o for o in rows if torch.equal(new[row], old[o])) for row in rows])
        assert sorted(came_from[-1]) == rows
    assert came_from[0] == came_from[1]
    rest = {
        name: weight for name, weight in before.named_parameters() if "shared" not in name and "lm_head" not in name
    }
    theirs = dict(after.named_parameters())
    assert all(torch.equal(weight, theirs[name]) for name, weight in rest.items() if name in theirs)


def test_random_weights_have_the_shape_and_nothing_of_the_values(source):
    before, folder, made = source
    random_base(folder, made, seed=0)
    after = T5ForConditionalGeneration.from_pretrained(made)
    assert after.config.d_ff == before.config.d_ff
    assert after.shared.weight.shape == before.shared.weight.shape
    assert not torch.isclose(after.shared.weight, before.shared.weight).any(dim=1).all()
    correlation = np.corrcoef(after.shared.weight.detach().ravel(), before.shared.weight.detach().ravel())[0, 1]
    assert abs(correlation) < 0.2


def test_opaque_texts_say_nothing_and_are_told_apart_by_their_pieces(tmp_path):
    pieces = make_vocabulary(tmp_path, [f"tag_{number:04d}" for number in range(0, 10_000, 37)]).pieces
    texts = opaque_texts(pieces, 500, seed=0)
    assert len(set(texts)) == 500
    assert len({tuple(sorted(pieces.encode(text))) for text in texts}) == 500
    numbers = [int(text.removeprefix("tag ").removeprefix("tag_")) for text in texts]
    assert abs(np.corrcoef(numbers, range(500))[0, 1]) < 0.15  # the order of labels is that of their frequency
    assert opaque_texts(pieces, 500, seed=1) != texts


def test_auc_is_that_of_the_rank_sum_test():
    random = np.random.default_rng(0)
    scores = random.integers(5, size=200).astype(float)
    positive = random.random(200) < 0.3
    wanted = mannwhitneyu(scores[positive], scores[~positive]).statistic / (positive.sum() * (~positive).sum())
    assert auc(scores, positive) == pytest.approx(wanted)
    assert auc(positive.astype(float), positive) == 1
    assert auc(np.zeros(200), positive) == 0.5


def test_held_out_labels_are_ranked_on_posts_that_have_them():
    posts = posts_of([0, 3], [1, 4], [0, 1, 3, 4], [0, 2])
    scores = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0], [0.0, 0.0]])
    assert held_out_auc(scores, posts, 3) == [1.0, 1.0]
    assert held_out_auc(-scores, posts, 3) == [0.0, 0.0]


def test_held_out_labels_are_of_all_frequencies_and_none_that_is_needed(world):
    vocabulary, test = Vocabulary.load(world.vocabulary), load_posts(world.dataset, "test")
    given = {"share": 0.1, "min_positives": 5, "keep": {"1girl", "cat"}}
    chosen = choose_held_out(vocabulary, test, seed=0, **given)
    assert len(chosen) == pytest.approx(0.1 * len(vocabulary), abs=2)
    assert all(np.diff(chosen) < 25)
    for seed in range(20):
        others = choose_held_out(vocabulary, test, seed=seed, **given)
        assert not {"1girl", "cat"} & {vocabulary.labels[row] for row in others}
        assert (others == chosen) == (seed == 0)
    with pytest.raises(BooruError, match="lower min_positives"):
        choose_held_out(vocabulary, test.take([0, 1]), seed=0, **given)


def test_shares_of_the_posts_are_nested():
    posts = random_posts(1000, 20)
    small, middle, whole = (set(share_of(posts, share, 0).tolist()) for share in (0.01, 0.1, 1.0))
    assert (len(small), len(middle), len(whole)) == (10, 100, 1000)
    assert small < middle < whole
    assert set(share_of(posts, 0.1, 1).tolist()) != middle
    shuffled = posts.take(np.random.default_rng(0).permutation(1000))
    assert {int(posts.keys[row]) for row in middle} == {int(shuffled.keys[row]) for row in share_of(shuffled, 0.1, 0)}


def test_rows_of_unseen_words_are_moved_as_those_of_seen_ones_were(tmp_path):
    everything = make_vocabulary(tmp_path)
    learned = len(everything) - 4
    config = T5Config(
        vocab_size=everything.first_token_id + len(everything), d_model=6, d_kv=3, d_ff=8, num_layers=1, num_heads=2
    )
    torch.manual_seed(0)
    start, trained = T5ForConditionalGeneration(config), T5ForConditionalGeneration(config)
    turn = torch.linalg.qr(torch.randn(6, 6))[0]
    first = everything.first_token_id
    with torch.no_grad():
        trained.shared.weight[:] = start.shared.weight
        trained.shared.weight[first : first + learned] = start.shared.weight[first : first + learned] @ turn
    pieces = trained.shared.weight[:first].clone()
    place_text_rows(trained, start, everything, learned)
    new = slice(first + learned, None)
    wanted = start.shared.weight[new] @ turn
    assert torch.nn.functional.cosine_similarity(trained.shared.weight[new], wanted).min() > 0.99
    assert torch.equal(trained.shared.weight[:first], pieces)
    same = T5ForConditionalGeneration(config)
    same.load_state_dict(start.state_dict())
    place_text_rows(same, start, everything, learned)
    torch.testing.assert_close(same.shared.weight, start.shared.weight)


def test_what_is_known_of_labels_is_consistent_and_has_controls():
    concepts = load_concepts()
    assert set(concepts.words) == {"human", "girl", "animal", "robot", "place"}
    for name in concepts.words:
        told = [holds[name] for holds in concepts.holds.values() if name in holds]
        assert sum(told) >= 8
        assert len(told) - sum(told) >= 50
    holds = concepts.holds
    assert all(holds["no_humans"][name] is False for name in concepts.words)
    assert holds["hakurei_reimu"] == {"human": True, "girl": True, "animal": False, "robot": False, "place": False}
    assert "robot" not in holds["hatsune_miku"]
    assert (holds["cat"]["animal"], holds["forest"]["place"], holds["mecha"]["robot"]) == (True, True, True)


def test_concepts_are_told_by_scores_and_not_measured_on_too_few_labels():
    concepts = load_concepts()
    labels = [*list(concepts.holds)[:6], "cat", "dog", "bird", "forest"]
    told = np.array([[float(concepts.holds[label].get(name, False)) for name in concepts.words] for label in labels])
    found = tell_apart(concepts, labels, told)
    assert found["human"].auc == found["animal"].auc == 1
    assert (found["animal"].positives, found["animal"].controls) == (3, 7)
    assert found["place"].auc is None
