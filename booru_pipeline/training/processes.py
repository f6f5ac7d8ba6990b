"""The processes that share a training: which of them this is, and what they agree on."""

import os
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import torch
from torch import distributed


class Processes:
    """This process among those of its training, as torchrun and `accelerate launch` say in the environment.

    Attributes:
        rank: Its number.
        count: How many there are.
        on_this_machine: How many of them run here.
    """

    def __init__(self) -> None:
        self.rank = int(os.environ.get("RANK", "0"))
        self.count = int(os.environ.get("WORLD_SIZE", "1"))
        self.on_this_machine = int(os.environ.get("LOCAL_WORLD_SIZE", self.count))

    @property
    def is_main(self) -> bool:
        """Whether it is the one that writes files and talks to Dagster and wandb."""
        return self.rank == 0

    def of_main(self, values: Sequence[float]) -> list[float]:
        """The main process's values, in every process. All must call it."""
        shared = torch.tensor(values, dtype=torch.float64)
        if self.count > 1:
            distributed.broadcast(shared, src=0, group=self._group)
        return shared.tolist()

    def total(self, values: Sequence[float]) -> list[float]:
        """The sums of all processes' values, in every process. All must call it."""
        shared = torch.tensor(values, dtype=torch.float64)
        if self.count > 1:
            distributed.all_reduce(shared, group=self._group)
        return shared.tolist()

    def leave(self) -> None:
        """Part from the others: the main process has more to do."""
        if self.count > 1:
            distributed.destroy_process_group()

    @cached_property
    def _group(self) -> Any:
        # Plain numbers go over the CPU even if gradients do not: no step waits for the GPU on their account.
        return distributed.new_group(backend="gloo")
