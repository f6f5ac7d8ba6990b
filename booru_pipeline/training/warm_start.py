"""Going on from an earlier release's checkpoint: what it learned is carried over, and posts it knows are replayed."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch
from transformers import AutoModelForSeq2SeqLM, AutoTokenizer, PreTrainedTokenizerBase, T5ForConditionalGeneration

from booru_pipeline.dataset.chance import mix
from booru_pipeline.errors import BooruError, first_line
from booru_pipeline.model.presence import Presence
from booru_pipeline.model.start import label_rows
from booru_pipeline.ragged import IntArray
from booru_pipeline.vocabulary.vocabulary import Vocabulary

_SHAPE: Final = ("d_model", "d_kv", "d_ff", "num_layers", "num_decoder_layers", "num_heads", "is_gated_act")
_MATRICES: Final = {"shared.weight", "lm_head.weight", "encoder.embed_tokens.weight", "decoder.embed_tokens.weight"}
_RIDGE: Final = 0.01  # of the mean square of the rows: where few labels are known, new ones stay near where they start


@dataclass(frozen=True)
class Carried:
    """How much came over from the parent.

    Attributes:
        tokens: Rows that the parent had: pieces, special tokens and labels.
        new_labels: Labels that it did not have.
    """

    tokens: int
    new_labels: int


def carry_over(
    model: T5ForConditionalGeneration, tokenizer: PreTrainedTokenizerBase, vocabulary: Vocabulary, parent: Path
) -> Carried:
    """Give a model, as it would start without a parent, the weights of an earlier checkpoint; it is changed in place.

    Rows of the embedding and of the output layer go by their token, since a larger vocabulary numbers its labels anew.
    A label that the parent did not have starts where the model had it, moved as the labels that both have were moved
    since they started: by the linear map (ridge regression towards none) that takes these from one place to the other.

    Raises:
        BooruError: The parent cannot be read, or is a T5 of another shape.
    """
    try:
        former = AutoModelForSeq2SeqLM.from_pretrained(
            parent, dtype=torch.float32, local_files_only=True, use_safetensors=True
        )
        theirs = AutoTokenizer.from_pretrained(parent, local_files_only=True).get_vocab()
    except (OSError, ValueError) as error:
        raise BooruError(
            f"the parent checkpoint {parent} cannot be read: {first_line(error)}. "
            "Make it again with `booru run`, or set strategy = retrain."
        ) from error
    _check_shape(model.config, former.config, parent)
    ours = tokenizer.get_vocab()
    both = sorted(ours.keys() & theirs.keys())
    to, come_from = (torch.tensor([tokens[token] for token in both]) for tokens in (ours, theirs))
    known = np.isin(np.arange(len(vocabulary)) + vocabulary.first_token_id, to.numpy())
    model.load_state_dict(
        {name: weight for name, weight in former.named_parameters() if name not in _MATRICES}, strict=False
    )
    # A dict by identity: one matrix where the two are tied.
    pairs = ((model.shared, former.shared), (model.lm_head, former.lm_head))
    matrices = {id(mine.weight): (mine.weight, other.weight) for mine, other in pairs}
    with torch.no_grad():
        for mine, other in matrices.values():
            rows = label_rows(mine, vocabulary)
            start = rows.clone()
            mine[to] = other[come_from]
            if known.any() and not known.all():
                moved = torch.from_numpy(known)
                rows[~moved] = start[~moved] @ row_map(start[moved], rows[moved])
    return Carried(tokens=len(both), new_labels=int((~known).sum()))


def carry_presence(presence: Presence, vocabulary: Vocabulary, parent: Path) -> None:
    """Give a presence an earlier checkpoint's, in place; a label that the parent did not have keeps its start.

    Raises:
        BooruError: The parent's cannot be read.
    """
    former, known = Presence.read(parent), Vocabulary.load(parent).index
    both = [(row, known[label]) for row, label in enumerate(vocabulary.labels) if label in known]
    ours, theirs = torch.tensor(both, dtype=torch.int64).reshape(-1, 2).T
    with torch.no_grad():
        presence.bias[ours] = former.bias[theirs]
        presence.scale.copy_(former.scale)
        presence.size.copy_(former.size)


def row_map(start: torch.Tensor, end: torch.Tensor) -> torch.Tensor:
    """The matrix that takes rows [rows, d_model] from one place to another: ridge regression towards none.

    Returns:
        float32 [d_model, d_model].
    """
    x, y = start.double(), end.double()
    width = x.shape[1]
    ridge = _RIDGE * len(x) * x.square().mean() * torch.eye(width, dtype=x.dtype, device=x.device)
    return torch.linalg.solve(x.T @ x + ridge, x.T @ y + ridge).float()


def _check_shape(ours: Any, theirs: Any, parent: Path) -> None:
    different = [name for name in _SHAPE if getattr(ours, name, None) != getattr(theirs, name, None)]
    if different:
        raise BooruError(
            f"the parent checkpoint {parent} is a T5 of another shape ({', '.join(different)} differ). "
            "Start from the base model with strategy = retrain."
        )


def with_replay(
    releases: npt.NDArray[np.str_], keys: IntArray, known: Mapping[str, Any], replay_share: float, seed: int
) -> IntArray:
    """The posts to go on with: all that the parent was not trained on, and some that it was.

    Args:
        releases: The release of each train post.
        keys: The posts' keys.
        known: Releases that the parent was trained on.
        replay_share: Share of the result that is from these, if there are as many; in [0, 1).
        seed: Another seed replays others.

    Returns:
        Positions, int64, ascending. All posts if none is new.
    """
    old = np.isin(releases, list(known))
    new = np.flatnonzero(~old)
    if not len(new):
        return np.arange(len(releases))
    wanted = round(len(new) * replay_share / (1 - replay_share))
    before = np.flatnonzero(old)
    chosen = before[np.argsort(mix(seed, keys[before]), kind="stable")[:wanted]]
    return np.sort(np.concatenate([new, chosen]))
