import numpy as np
import pytest
import torch
from transformers import T5Config, T5ForConditionalGeneration

from booru_pipeline.dataset.collator import SetBatches
from booru_pipeline.dataset.hiding import Hiding
from booru_pipeline.dataset.posts import Posts
from booru_pipeline.errors import BooruError
from booru_pipeline.model.objective import PresentObjective, SetObjective
from booru_pipeline.model.presence import Presence
from booru_pipeline.ragged import offsets_of

FIRST, LABELS = 10, 25


def small(tied: bool) -> T5ForConditionalGeneration:
    torch.manual_seed(0)
    model = T5ForConditionalGeneration(
        T5Config(
            vocab_size=FIRST + LABELS + 5,
            d_model=16,
            d_kv=8,
            d_ff=32,
            num_layers=1,
            num_heads=2,
            decoder_start_token_id=0,
            tie_word_embeddings=tied,
        )
    )
    assert model.config.scale_decoder_outputs == tied
    if not tied:
        model.lm_head.weight = torch.nn.Parameter(torch.randn(FIRST + LABELS + 5, 16))
    return model


def nine_posts():
    random = np.random.default_rng(0)
    sizes = random.integers(2, 12, 9)
    rows = np.concatenate([random.permutation(LABELS)[:size] for size in sizes])
    posts = Posts(rows, offsets_of(sizes))
    return SetBatches(posts, Hiding(0), first_token_id=FIRST, eos_token_id=1, pad_token_id=0).batch(np.arange(9))


@pytest.mark.parametrize("tied", [True, False])
def test_loss_equals_an_explicit_softmax_over_the_full_model(tied):
    model = small(tied)
    objective = SetObjective(model, FIRST, LABELS).eval()
    batch = nine_posts()
    losses = []
    for post in range(9):
        tokens = batch["input_ids"][post][batch["attention_mask"][post].bool()]
        logits = model(input_ids=tokens[None], decoder_input_ids=torch.tensor([[0]])).logits[0, 0].double()
        visible = {token - FIRST for token in tokens.tolist() if token >= FIRST}
        hidden = [label for label in batch["hidden"][post].tolist() if label != -1]
        exponents = {label: logits[FIRST + label].exp().item() for label in range(LABELS) if label not in visible}
        losses.append(-np.mean([np.log(exponents[label] / sum(exponents.values())) for label in hidden]))
    loss = objective(**batch)["loss"]
    assert loss.item() == pytest.approx(np.mean(losses), rel=1e-5)
    loss.backward()
    assert all(torch.isfinite(weight.grad).all() for weight in model.parameters() if weight.grad is not None)


def test_pieces_get_no_gradient():
    torch.manual_seed(0)
    config = T5Config(vocab_size=FIRST + LABELS, d_model=16, d_kv=8, d_ff=32, num_layers=1, num_heads=2)
    config.decoder_start_token_id = 0
    model = T5ForConditionalGeneration(config)
    posts = Posts(np.array([1, 2, 3, 4]), np.array([0, 4]))
    batch = SetBatches(posts, Hiding(0), first_token_id=FIRST, eos_token_id=1, pad_token_id=0).batch([0])
    SetObjective(model, FIRST, LABELS)(**batch)["loss"].backward()
    touched = model.shared.weight.grad.abs().sum(1).nonzero().ravel().tolist()
    assert set(touched) & set(range(FIRST)) <= {0, 1}  # start of the decoder, end of sequence
    assert set(range(FIRST, FIRST + LABELS)) - {*touched} == set()


@pytest.mark.parametrize("tied", [True, False])
def test_present_is_the_binary_cross_entropy_of_every_label_that_is_not_visible(tied):
    model = small(tied)
    presence = Presence.of_counts(np.arange(LABELS) * 3, 100)
    with torch.no_grad():
        presence.scale.fill_(0.7)
        presence.size.copy_(torch.tensor([-0.3, 0.1]))
    objective = PresentObjective(model, presence, FIRST, LABELS).eval()
    batch = nine_posts()
    losses = []
    for post in range(9):
        tokens = batch["input_ids"][post][batch["attention_mask"][post].bool()]
        logits = model(input_ids=tokens[None], decoder_input_ids=torch.tensor([[0]])).logits[0, 0].double()
        visible = {token - FIRST for token in tokens.tolist() if token >= FIRST}
        hidden = {label for label in batch["hidden"][post].tolist() if label != -1}
        n = np.log(len(visible))
        odds = 0.7 * logits[FIRST : FIRST + LABELS] + presence.bias.double() - 0.3 * n + 0.1 * n**2
        chance = odds.sigmoid().tolist()
        asked = [label for label in range(LABELS) if label not in visible]
        cross_entropy = [-np.log(chance[label] if label in hidden else 1 - chance[label]) for label in asked]
        losses.append(sum(cross_entropy) / len(hidden))
    loss = objective(**batch)["loss"]
    assert loss.item() == pytest.approx(np.mean(losses), rel=1e-5)
    loss.backward()
    for weight in (presence.bias, presence.scale, presence.size, model.shared.weight):
        assert weight.grad.isfinite().all()
        assert weight.grad.abs().sum() > 0


def test_a_presence_starts_at_the_labels_log_odds_and_comes_back_as_it_was_written(tmp_path):
    presence = Presence.of_counts(np.array([0, 25, 50, 100]), 100)
    assert presence.bias.sigmoid().tolist() == pytest.approx([0.005, 0.25, 0.5, 0.982], abs=1e-3)
    with torch.no_grad():
        presence.size.copy_(torch.tensor([1.0, 2.0]))
    presence.write(tmp_path)
    again = Presence.read(tmp_path)
    assert {name: weight.tolist() for name, weight in again.named_parameters()} == {
        name: weight.tolist() for name, weight in presence.named_parameters()
    }


def test_a_presence_that_is_missing_or_broken_is_named(tmp_path):
    with pytest.raises(BooruError, match=r"presence\.safetensors cannot be read"):
        Presence.read(tmp_path)
    (tmp_path / "presence.safetensors").write_bytes(b"cut")
    with pytest.raises(BooruError, match=r"presence\.safetensors cannot be read"):
        Presence.read(tmp_path)
