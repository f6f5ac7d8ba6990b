import numpy as np
import pytest
import torch
from transformers import AutoModelForSeq2SeqLM, BertConfig, T5Config, T5ForConditionalGeneration

from booru_pipeline.dataset.posts import Posts, load_posts
from booru_pipeline.errors import BooruError
from booru_pipeline.model.start import label_vectors, pretrained_model, tiny_model
from booru_pipeline.ragged import offsets_of
from booru_pipeline.vocabulary.base_model import BaseModel
from booru_pipeline.vocabulary.vocabulary import Vocabulary
from booru_pipeline_tests.training import themed_dataset

T5_ROWS = 32128  # of the published models; their tokenizer has 32,100 tokens


@pytest.fixture(scope="module")
def on_t5(shared, tmp_path_factory) -> Vocabulary:
    """The vocabulary, cut with T5's own SentencePiece model."""
    vocabulary, _ = themed_dataset.build(tmp_path_factory.mktemp("t5"), BaseModel("t5", str(shared / "t5")), 100, 10)
    return Vocabulary.load(vocabulary)


@pytest.fixture(scope="module", params=[True, False], ids=["tied", "untied"])
def base(request, tmp_path_factory):
    """A narrow T5 with T5's vocabulary: one matrix as in T5, or two as in T5 v1.1."""
    torch.manual_seed(0)
    tied = request.param
    model = T5ForConditionalGeneration(
        T5Config(vocab_size=T5_ROWS, d_model=16, d_kv=8, d_ff=32, num_layers=1, num_heads=2, tie_word_embeddings=tied)
    )
    if not tied:
        model.lm_head.weight = torch.nn.Parameter(torch.randn(T5_ROWS, 16))
        model.config.tie_word_embeddings = False  # as the published configs of v1.1 say
    folder = tmp_path_factory.mktemp("base")
    model.save_pretrained(folder)
    return folder, model.eval(), tied


def test_label_rows_are_means_of_pieces_and_the_bases_rows_stay(on_t5, base, tmp_path):
    folder, before, tied = base
    tokenizer = themed_dataset.tokenizer_of(on_t5.folder)
    model = pretrained_model(str(folder), tokenizer, on_t5, dropout=0.0).eval()
    special = on_t5.special_tokens
    # T5 lacks one character of these labels; 128 spare pieces wait for those of later ones.
    assert (special.first_added, special.separator) == (32100, 32101 + 128)
    assert (model.lm_head.weight is model.shared.weight) == tied
    assert model.shared.weight.shape[0] == max(len(tokenizer), T5_ROWS) == model.lm_head.weight.shape[0]
    for new, old in [(model.shared.weight, before.shared.weight), (model.lm_head.weight, before.lm_head.weight)]:
        assert torch.equal(new[: special.first_added], old[: special.first_added])
        assert torch.equal(new[special.separator], old[tokenizer.convert_tokens_to_ids(",")])
        for row, pieces in enumerate(on_t5.piece_ids):
            torch.testing.assert_close(new[on_t5.first_token_id + row], new[pieces].mean(0))

    pieces = tokenizer("rabbit ears and a carrot", return_tensors="pt")
    start = torch.zeros(1, 1, dtype=torch.long)
    wanted = before(**pieces, decoder_input_ids=start).logits[..., : special.first_added]
    torch.testing.assert_close(model(**pieces, decoder_input_ids=start).logits[..., : special.first_added], wanted)

    model.save_pretrained(tmp_path)
    again = AutoModelForSeq2SeqLM.from_pretrained(tmp_path).eval()
    assert (again.lm_head.weight is again.shared.weight) == tied
    got = again(**pieces, decoder_input_ids=start).logits[..., : special.first_added]
    torch.testing.assert_close(got, wanted)


def test_a_base_that_is_no_t5_is_refused(made, tmp_path):
    BertConfig().save_pretrained(tmp_path)
    with pytest.raises(BooruError, match=r"cannot load the base model|not a T5"):
        pretrained_model(str(tmp_path), themed_dataset.tokenizer_of(made[0]), Vocabulary.load(made[0]), dropout=0.1)


def test_tiny_starts_with_labels_of_a_theme_close_together(made):
    vocabulary = Vocabulary.load(made[0])
    posts = load_posts(made[1], "train")
    model = tiny_model(themed_dataset.tokenizer_of(made[0]), vocabulary, posts, dropout=0.1, seed=0, width=128)
    rows = model.shared.weight[vocabulary.first_token_id :, :-1].detach()
    assert len(rows) == len(vocabulary)
    close = torch.nn.functional.cosine_similarity(rows[:, None], rows[None], dim=-1)
    at = vocabulary.index
    assert close[at["usada_pekora"], at["carrot"]] > close[at["usada_pekora"], at["broom"]] + 0.3
    same = tiny_model(themed_dataset.tokenizer_of(made[0]), vocabulary, posts, dropout=0.1, seed=0, width=128)
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), same.parameters(), strict=True))
    narrow = tiny_model(themed_dataset.tokenizer_of(made[0]), vocabulary, posts, dropout=0.1, seed=0, width=16)
    assert narrow.shared.weight.shape[1] == narrow.config.d_model == 16


def test_label_vectors_factorize_the_ppmi_matrix():
    random = np.random.default_rng(0)
    sets = [random.permutation(12)[: random.integers(2, 6)] for _ in range(300)]
    posts = Posts(np.concatenate(sets), offsets_of([len(s) for s in sets]))
    joint = np.zeros((12, 12))
    for labels in sets:
        joint[np.ix_(labels, labels)] += 1
    joint /= joint.sum()
    share = joint.sum(1)
    with np.errstate(divide="ignore"):
        ppmi = np.maximum(np.log(joint / np.outer(share, share)), 0)
    left, strength, _ = np.linalg.svd(ppmi)
    wanted = left[:, :4] * np.sqrt(strength[:4])
    found = label_vectors(posts, 12, 4)
    assert np.square(found).mean() == pytest.approx(1.0, abs=1e-5)
    # The singular vectors' signs and order are free: compare what does not depend on them.
    np.testing.assert_allclose(found @ found.T * np.square(wanted).mean(), wanted @ wanted.T, rtol=1e-3, atol=1e-4)
