"""Rows for words that were never trained, made of their text alone."""

from typing import Any

import torch

from booru_pipeline.labels.vocabulary import Vocabulary
from booru_pipeline.training.model import label_rows
from booru_pipeline.training.warm_start import row_map


def place_text_rows(trained: Any, start: Any, everything: Vocabulary, learned: int) -> None:
    """Give each word beyond the learned labels a row, in place, as if it had come along in training.

    A row starts as the mean of its pieces' rows and is then moved as the learned labels' rows were: by the linear map
    (ridge regression towards none) that takes these from their start to where they are now. It knows nothing but the
    text. Before training there is nothing to move, and the row is the mean.

    Args:
        trained: The fine-tuned T5.
        start: The T5 that it was fine-tuned from, with a text-made row for every word.
        everything: The words.
        learned: How many of them were trained; they come first.
    """
    matrices = [(trained.shared.weight, start.shared.weight)]
    if trained.lm_head.weight is not trained.shared.weight:
        matrices.append((trained.lm_head.weight, start.lm_head.weight))
    with torch.no_grad():
        for weight, former in matrices:
            rows, before = label_rows(weight, everything), label_rows(former, everything)
            rows[learned:] = before[learned:] @ row_map(before[:learned], rows[:learned])
