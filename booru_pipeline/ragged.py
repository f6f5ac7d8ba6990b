"""Lists of different lengths as flat arrays."""

from typing import TypeVar

import numpy as np
import numpy.typing as npt

IntArray = npt.NDArray[np.int64]
_Value = TypeVar("_Value", bound=np.generic)


def offsets_of(sizes: npt.ArrayLike) -> IntArray:
    """Where lists of these sizes begin when they lie one after another: int64 [lists + 1], from 0 to their total."""
    return np.concatenate([[0], np.cumsum(np.asarray(sizes, dtype=np.int64))])


def places(offsets: IntArray) -> IntArray:
    """Where in its list each value stands, from 0: int64 [total]."""
    return np.arange(offsets[-1]) - np.repeat(offsets[:-1], np.diff(offsets))


def gather(
    values: npt.NDArray[_Value], offsets: IntArray, index: npt.ArrayLike
) -> tuple[npt.NDArray[_Value], IntArray]:
    """Lists `values[offsets[i]:offsets[i + 1]]` for each i of an index, one after another, with their new offsets."""
    chosen = np.asarray(index, dtype=np.int64)
    sizes = offsets[chosen + 1] - offsets[chosen]
    starts = offsets_of(sizes)
    return values[np.repeat(offsets[chosen], sizes) + places(starts)], starts
