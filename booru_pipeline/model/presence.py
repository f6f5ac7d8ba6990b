"""From a T5's logits to the log-odds that a post has each label: what the `present` objective learns beside it."""

from pathlib import Path
from typing import Final, Self

import numpy as np
import numpy.typing as npt
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from booru_pipeline.errors import BooruError

PRESENCE_FILE: Final = "presence.safetensors"
_MOST: Final = 4.0  # log-odds at the start of a label that nearly every post has; it must stay able to move


class Presence(nn.Module):
    """log-odds = scale x logit + bias of the label + size[0] log n + size[1] log² n, with n labels visible.

    T5 has no output bias, and a post that shows many labels hides few, which the sum of a softmax need not be told.

    Args:
        bias: float32 [labels], the log-odds to start with.
    """

    def __init__(self, bias: torch.Tensor) -> None:
        super().__init__()
        self.bias = nn.Parameter(bias.clone())
        self.scale = nn.Parameter(torch.ones(1))
        self.size = nn.Parameter(torch.zeros(2))

    @classmethod
    def of_counts(cls, counts: npt.NDArray[np.integer], posts: int) -> Self:
        """Start at each label's share of train posts, given how many of the `posts` have it, [labels]."""
        share = np.clip(counts / max(posts, 1), 0.5 / max(posts, 1), 1.0)
        with np.errstate(divide="ignore"):
            odds = np.minimum(np.log(share) - np.log1p(-share), _MOST)
        return cls(torch.from_numpy(odds.astype(np.float32)))

    def forward(self, logits: torch.Tensor, visible: torch.Tensor, chosen: torch.Tensor | None = None) -> torch.Tensor:
        """Log-odds of each label, float32 [posts, labels].

        Args:
            logits: float32 [posts, labels].
            visible: int64 [posts], how many labels are visible; none counts as one.
            chosen: int64 [labels], the rows of the labels that the logits are of; None = of all.
        """
        bias = self.bias if chosen is None else self.bias.index_select(0, chosen)
        n = visible.clamp(min=1).to(logits.dtype).log()[:, None]
        # In place on what is new: of many labels each further tensor costs as much as the sum.
        return (logits * self.scale).add_(bias).add_(self.size[0] * n).add_(self.size[1] * n * n)

    def write(self, folder: Path) -> None:
        """Write it into a checkpoint's folder."""
        save_file(
            {name: weight.detach().cpu().contiguous() for name, weight in self.named_parameters()},
            str(folder / PRESENCE_FILE),
        )

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Read it from a checkpoint's folder.

        Raises:
            BooruError: It is not there, or not whole.
        """
        path = folder / PRESENCE_FILE
        try:
            weights = load_file(str(path))
            presence = cls(weights["bias"])
            presence.load_state_dict(weights)
        except (OSError, SafetensorError, KeyError, RuntimeError) as error:
            raise BooruError(
                f"{path} cannot be read: {error}. Make it again with `booru run --to checkpoint`."
            ) from error
        return presence
