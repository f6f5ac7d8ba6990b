"""The model that training starts from: a small T5 from random weights, or a pre-trained one with rows for labels."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch
import transformers
from safetensors import SafetensorError, safe_open
from scipy import sparse
from transformers import (
    AutoConfig,
    AutoModelForSeq2SeqLM,
    PreTrainedTokenizerBase,
    T5Config,
    T5ForConditionalGeneration,
)

from booru_pipeline.dataset.posts import Posts
from booru_pipeline.errors import BooruError, first_line
from booru_pipeline.model.pairs import count_together
from booru_pipeline.progress import side_by_side, step
from booru_pipeline.vocabulary.base_files import CONVERT, bring_base
from booru_pipeline.vocabulary.vocabulary import SpecialTokens, Vocabulary

# Of the factorization. Validation loss on the shared releases after 12,800 posts, one seed: ARPACK 4.691, one pass
# 4.836, two 4.751, three 4.716, five 4.704; each takes as long as the others.
_PASSES: Final = 5
_MORE_DIRECTIONS: Final = 10  # than are wanted, as Halko et al. advise
_ADAPTED: Final = ("q", "k", "v", "o", "wi", "wi_0", "wi_1", "wo")  # all of T5's matrices, gated or not
_ADAPTER_SCALE: Final = 2  # of the product, over the rank


@contextmanager
def loading_base(source: str) -> Iterator[None]:
    """Turn what transformers raises within the block into an error that says what to do.

    Raises:
        BooruError: The base model is not on this machine and cannot be downloaded, or cannot be read.
    """
    try:
        yield
    except (OSError, ValueError, ConnectionError) as error:
        raise BooruError(
            f"cannot load the base model {source}: {first_line(error)}. "
            "Connect once so that it is downloaded, or give a local model folder in its place."
        ) from error


def base_config(source: str) -> Any:
    """The configuration of a base model, a folder or a hub name.

    Raises:
        BooruError: It is not on this machine and cannot be downloaded.
    """
    folder = bring_base(source)
    with loading_base(source):
        return AutoConfig.from_pretrained(folder, trust_remote_code=False)


def check_base(source: str, special: SpecialTokens) -> None:
    """Check a base model's configuration and files.

    Args:
        source: A folder written by `save_pretrained`, or a hub name.
        special: Tokens of the vocabulary, which was cut with the base's tokenizer.

    Raises:
        BooruError: It is not on this machine and cannot be downloaded, is no T5, brings code or pickles instead of
            safetensors, or the tokenizer is not its own.
    """
    config = base_config(source)
    if config.model_type != "t5":
        raise BooruError(
            f"the base model {source} is a {config.model_type}, not a T5. Choose a T5, T5 v1.1 or FLAN-T5."
        )
    _check_files(bring_base(source, weights=True))
    if special.first_added > config.vocab_size:
        why = f"it has {special.first_added:,} tokens, the model {config.vocab_size:,} rows"
    elif (special.pad, special.eos) != (config.pad_token_id, config.eos_token_id):
        why = (
            f"padding and end of sequence are {special.pad} and {special.eos}, in the model {config.pad_token_id} and "
            f"{config.eos_token_id}"
        )
    else:
        return
    raise BooruError(
        f"the tokenizer does not fit the base model {source}: {why}. Put the tokenizer that the model was trained with "
        "into its folder."
    )


def _check_files(folder: Path) -> None:
    weights = sorted(folder.glob("model*.safetensors"))
    if not weights:
        pickles = sorted(folder.glob("pytorch_model*.bin"))
        if pickles:
            raise BooruError(
                f"the base model {folder} has its weights as a pickle ({pickles[0].name}), which can run any code when "
                f"it is read. Convert it: {CONVERT}."
            )
        raise BooruError(f"the base model {folder} has no weights: there is no model.safetensors. Copy it there.")
    for path in weights:
        try:
            with safe_open(path, framework="pt"):
                pass
        except SafetensorError as error:
            raise BooruError(f"{path} is not a whole safetensors file ({error}). Copy it again.") from error


def label_vectors(posts: Posts, labels: int, width: int, seed: int = 0) -> npt.NDArray[np.float32]:
    """Truncated SVD of the positive pointwise mutual information of labels that share a post.

    PPMI(a, b) = max(0, log(P(a, b) / (P(a) P(b)))); its rank-`width` factor U sqrt(S) is what skip-gram with negative
    sampling approximates (Levy and Goldberg 2014, "Neural word embedding as implicit matrix factorization").

    Args:
        posts: The posts of the train split.
        labels: Size of the vocabulary.
        width: Numbers per label; ranks that the data does not have are filled with zeros.
        seed: Of the directions that the factorization begins with.

    Returns:
        float32 [labels, width], scaled to a mean square of 1, that of T5's own random rows.
    """
    rank = min(width, labels - 1)
    vectors = np.zeros((labels, width), dtype=np.float32)
    vectors[:, :rank] = _factor(_positive_information(count_together(posts.matrix(labels))), rank, seed)
    # The root mean square, unlike the variance, is the same whatever signs the singular vectors come with.
    return vectors / max(float(np.sqrt(np.square(vectors).mean())), 1e-8)


def _positive_information(together: sparse.csr_array) -> sparse.csr_array:
    """PPMI of counts [labels, labels], in their memory; float32."""
    sums = np.asarray(together.sum(axis=1, dtype=np.float64)).ravel()
    total = max(sums.sum(), 1.0)
    share = np.log(np.maximum(sums, 1.0) / total).astype(np.float32)
    information = np.log(together.data, out=together.data)
    information -= np.float32(np.log(total))
    information -= share[together.indices]
    information -= np.repeat(share, np.diff(together.indptr))
    np.maximum(information, 0.0, out=information)
    together.eliminate_zeros()
    return together


def _factor(matrix: sparse.csr_array, rank: int, seed: int) -> npt.NDArray[np.float32]:
    """U sqrt(S) of a symmetric matrix's truncated SVD, by randomized subspace iteration, float32 [labels, rank].

    Halko, Martinsson and Tropp 2011, "Finding structure with randomness", algorithm 4.4 with the symmetric matrix's
    eigenvalues in the place of singular values. `torch.svd_lowrank` does the same with the transpose, which takes
    twice the time, and ARPACK (scipy's svds) goes through the matrix hundreds of times.
    """
    labels = matrix.shape[0]
    directions = min(rank + _MORE_DIRECTIONS, labels)
    middle = int(np.searchsorted(matrix.indptr, matrix.nnz // 2))
    entry = matrix.indptr[middle]
    halves = [  # without a copy of their entries
        sparse.csr_array(
            (matrix.data[:entry], matrix.indices[:entry], matrix.indptr[: middle + 1]), shape=(middle, labels)
        ),
        sparse.csr_array(
            (matrix.data[entry:], matrix.indices[entry:], matrix.indptr[middle:] - entry),
            shape=(labels - middle, labels),
        ),
    ]

    def times(basis: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        return np.concatenate(side_by_side(lambda half: half @ basis, halves))

    basis = np.random.default_rng(seed).standard_normal((labels, directions), dtype=np.float32)
    with step("vectors of labels from their pairs", total=_PASSES + 1) as passing:
        for _ in range(_PASSES):
            basis = np.linalg.qr(times(basis)).Q
            passing.advance()
        strength, vectors = np.linalg.eigh(basis.T @ times(basis))
    first = np.argsort(-np.abs(strength))[:rank]
    found: npt.NDArray[np.float32] = basis @ (vectors[:, first] * np.sqrt(np.abs(strength[first])))
    return found


# Of the embedding's last number, per unit of log posts. On the sample world after 60,000 posts: validation loss 5.13
# with it, 5.17 without. On 3,000 posts of the shared releases: 5.37 with it and co-occurrence, 5.51 with neither.
_POPULARITY_SCALE = 0.7


def tiny_model(
    tokenizer: PreTrainedTokenizerBase,
    vocabulary: Vocabulary,
    train: Posts,
    *,
    dropout: float,
    seed: int,
    width: int,
) -> T5ForConditionalGeneration:
    """A small T5 from random weights whose label embeddings start from what the train split shows.

    All numbers of a label's row but the last come from co-occurrence; the last is its log frequency, so that one
    direction of the decoder's state gives the unigram distribution, which T5, having no output bias, must learn else.
    `width` is how many numbers a row has, `seed` decides the random weights, `dropout` is for training only.
    """
    torch.manual_seed(seed)
    model = T5ForConditionalGeneration(
        T5Config(
            vocab_size=len(tokenizer),
            dropout_rate=dropout,
            pad_token_id=tokenizer.pad_token_id,
            eos_token_id=tokenizer.eos_token_id,
            d_model=width,
            d_kv=32,
            d_ff=256,
            num_layers=1,
            num_heads=4,
            feed_forward_proj="gated-gelu",  # T5 v1.1's: as fast, and ahead in MRR
        )
    )
    model.config.decoder_start_token_id = model.generation_config.decoder_start_token_id = tokenizer.pad_token_id
    frequency = np.log(np.bincount(train.rows, minlength=len(vocabulary)) + 0.5)
    with torch.no_grad():
        rows = label_rows(model.shared.weight, vocabulary)
        rows[:, :-1] = torch.from_numpy(label_vectors(train, len(vocabulary), width - 1, seed))
        rows[:, -1] = torch.from_numpy(_POPULARITY_SCALE * (frequency - frequency.mean()))
    return model


def pretrained_model(
    source: str, tokenizer: PreTrainedTokenizerBase, vocabulary: Vocabulary, *, dropout: float
) -> T5ForConditionalGeneration:
    """A pre-trained T5 with a row for each label: the mean of the rows of the pieces of the label's text.

    The separator of captions starts as the comma, which separates where T5 comes from, and characters that the base
    lacked as the mean of all its pieces. The rows of the base's own pieces are left as they are, in the input embedding
    and in the output layer, whether the two are one matrix (T5) or two (T5 v1.1, FLAN).

    Args:
        source: A folder written by `save_pretrained`, or a hub name.
        tokenizer: The base's pieces and the labels.
        vocabulary: Labels with their pieces.
        dropout: Used in training only.

    Raises:
        BooruError: The model is not on this machine and cannot be downloaded, or is no T5.
    """
    folder = bring_base(source, weights=True)
    with loading_base(source):
        model = AutoModelForSeq2SeqLM.from_pretrained(
            folder, dtype=torch.float32, dropout_rate=dropout, use_safetensors=True, trust_remote_code=False
        )
    if not isinstance(model, T5ForConditionalGeneration):
        raise BooruError(f"the base model {source} is a {model.config.model_type}, not a T5. Choose a T5.")
    if getattr(model.config, "decoder_start_token_id", None) is None:
        model.config.decoder_start_token_id = model.config.pad_token_id
    if model.lm_head.weight is not model.shared.weight:
        # transformers 5 sets this to True for every T5 on loading, and resizing would then replace the output layer
        # by the input embedding. `scale_decoder_outputs` keeps saying how v1.1 computes its logits.
        model.config.tie_word_embeddings = False
    # T5's matrix is longer than its tokenizer (32,128 rows for 32,100 tokens), and may stay so.
    model.resize_token_embeddings(max(len(tokenizer), model.config.vocab_size), mean_resizing=False)
    special = vocabulary.special_tokens
    comma = tokenizer.convert_tokens_to_ids(",")
    with torch.no_grad():
        # A dict by identity: one matrix where the two are tied.
        for weight in {id(w): w for w in (model.shared.weight, model.lm_head.weight)}.values():
            weight[special.first_added : special.separator] = weight[: special.first_added].mean(0)
            weight[special.separator] = weight[comma]
            rows = label_rows(weight, vocabulary)
            for row, pieces in enumerate(vocabulary.piece_ids):
                rows[row] = weight[pieces].mean(0)
    return model


def label_rows(weight: torch.Tensor, vocabulary: Vocabulary) -> torch.Tensor:
    """The labels' rows of an embedding or output matrix, a view [labels, d_model]."""
    return weight.narrow(0, vocabulary.first_token_id, len(vocabulary))


def quiet_transformers() -> None:
    """Keep transformers' progress bars and notes out of the run's log."""
    transformers.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()


def add_adapter(model: Any, rank: int) -> None:
    """Put matrices of a rank beside a T5's own, and leave nothing else but embedding and output layer to be trained.

    LoRA (Hu et al. 2021, "LoRA: Low-Rank Adaptation of Large Language Models"), by the library peft. The rows of labels
    are new, so embedding and output layer are trained whole.

    Raises:
        BooruError: peft is not installed.
    """
    try:
        from peft import LoraConfig, inject_adapter_in_model
    except ImportError as error:
        raise BooruError(
            "adapter = lora needs the package peft: `pip install 'booru-pipeline[lora]'`. Or leave adapter out."
        ) from error
    inject_adapter_in_model(LoraConfig(r=rank, lora_alpha=_ADAPTER_SCALE * rank, target_modules=list(_ADAPTED)), model)
    for layer in (model.get_input_embeddings(), model.get_output_embeddings()):
        layer.weight.requires_grad_(True)


def merge_adapter(model: Any) -> None:
    """Add what was trained beside a T5's matrices to them: it is a plain T5 afterwards, without peft.

    Raises:
        ValueError: It is no number.
    """
    from peft.tuners.tuners_utils import BaseTunerLayer

    for module in list(model.modules()):
        for name, layer in list(module.named_children()):
            if isinstance(layer, BaseTunerLayer):
                layer.merge(safe_merge=True)
                setattr(module, name, layer.get_base_layer())
    model.requires_grad_(True)
