"""The labels that a training step looks at, where all of them would be most of its time."""

from typing import Final, Self

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

_FLATTENED: Final = 0.75  # the power of a count that labels are drawn by, word2vec's (Mikolov et al. 2013)
_UNIFORM: Final = 0.2  # share of the draws for which all labels are alike, so that rare ones are not forgotten


class Candidates(nn.Module):
    """Draws labels for a batch, each by itself with a chance of its own (Poisson sampling).

    A sum over all labels is then estimated without bias by the drawn ones, each over its chance (Horvitz and Thompson
    1952). Labels that the batch asks for are looked at in any case, and count once.

    Args:
        chance: float32 [labels], in (0, 1].
    """

    _chance: torch.Tensor

    def __init__(self, chance: torch.Tensor) -> None:
        super().__init__()
        self.register_buffer("_chance", chance, persistent=False)

    @classmethod
    def of_counts(cls, counts: npt.NDArray[np.integer], drawn: int) -> Self:
        """Chances by which at most `drawn` labels are drawn on average, given how many posts have each, [labels]."""
        frequent = np.maximum(counts, 0.5) ** _FLATTENED
        share = (1 - _UNIFORM) * frequent / frequent.sum() + _UNIFORM / len(counts)
        return cls(torch.from_numpy(np.minimum(1.0, drawn * share).astype(np.float32)))

    def draw(self, asked: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Draw for a batch.

        Args:
            asked: int64 [any], rows of labels that are looked at in any case.

        Returns:
            The rows of the candidates, int64 [candidates], ascending; how many labels each stands for, float32
            [candidates]; and the place of each label among them, int64 [labels], -1 for those that are left out.
        """
        drawn = torch.rand_like(self._chance) < self._chance
        weight = 1 / self._chance
        drawn[asked] = True
        weight[asked] = 1.0
        rows = drawn.nonzero()[:, 0]
        place = torch.full_like(drawn, -1, dtype=torch.int64)
        place[rows] = torch.arange(len(rows), device=rows.device)
        return rows, weight[rows], place
