"""Lists of different lengths as flat arrays."""

import numpy as np
import numpy.typing as npt

IntArray = npt.NDArray[np.int64]


def gather(values: IntArray, offsets: IntArray, index: npt.ArrayLike) -> tuple[IntArray, IntArray]:
    """Lists `values[offsets[i]:offsets[i + 1]]` for each i of an index, one after another, with their new offsets."""
    chosen = np.asarray(index, dtype=np.int64)
    sizes = offsets[chosen + 1] - offsets[chosen]
    ends = np.cumsum(sizes)
    starts = np.concatenate([[0], ends]).astype(np.int64)
    within = np.arange(starts[-1]) - np.repeat(starts[:-1], sizes)
    return values[np.repeat(offsets[chosen], sizes) + within], starts
