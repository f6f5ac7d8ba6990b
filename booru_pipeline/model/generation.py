"""Measures what is invalid in the answers that a model generates where nothing holds it to labels."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import torch
from transformers import GenerationConfig

from booru_pipeline.model.objective import answer_tokens
from booru_pipeline.model.objective_name import ObjectiveName
from booru_pipeline.model.ranking import Question, as_posts
from booru_pipeline.model.ranking.torch_rankers import on_device
from booru_pipeline.vocabulary.options import EncodingName
from booru_pipeline.vocabulary.vocabulary import Vocabulary

_CONTEXTS_AT_ONCE: Final = 64


@dataclass(frozen=True)
class InvalidRate:
    """Counts of what is wrong with answers that nothing constrains.

    Attributes:
        answers: How many labels were said, valid or not.
        unknown: How many are no label.
        repeated: How many are a label that is not visible, and that the same answer has already.
        visible: How many are a label that was given.
        cut: Answers that were still going on when they had to end; their last label is not counted.
    """

    answers: int = 0
    unknown: int = 0
    repeated: int = 0
    visible: int = 0
    cut: int = 0

    @property
    def rate(self) -> float:
        """Share of the labels said that are invalid in one of these ways; 0 if nothing was said."""
        return (self.unknown + self.repeated + self.visible) / max(self.answers, 1)


class Generator:
    """Lets a model answer label by label, the most probable token at each step.

    The T5 was trained on captions of the encoding, with the `sequence` or the `span` objective; `set` teaches to rank
    alone.
    """

    def __init__(self, model: Any, vocabulary: Vocabulary, encoding: EncodingName, objective: ObjectiveName) -> None:
        self._model = model
        self._question = Question.of(vocabulary, encoding, objective)
        # Only tokens that it was trained to tell apart: pieces and special ones, or labels and special ones.
        answers = answer_tokens(encoding, vocabulary.first_token_id, len(vocabulary), vocabulary.special_tokens)
        self._never = np.setdiff1d(np.arange(model.lm_head.out_features), answers).tolist()

    def invalid_rate(self, contexts: Sequence[Sequence[int]], count: int = 20) -> InvalidRate:
        """How much of what the model says by itself is invalid.

        Args:
            contexts: Vocabulary rows of the visible labels, one sequence a context.
            count: Of each answer the first so many labels count; it is cut at the tokens that so many labels have on
                average.
        """
        encoding = self._question.encoding
        most = math.ceil(count * (encoding.sizes.mean() + encoding.gap)) + 1
        tallies = [
            self.tally(context, tokens, count)
            for start in range(0, len(contexts), _CONTEXTS_AT_ONCE)
            for context, tokens in self._answers(contexts[start : start + _CONTEXTS_AT_ONCE], most)
        ]
        return InvalidRate(*(sum(column) for column in zip(*tallies, strict=True)))

    def tally(self, context: Sequence[int], tokens: list[int], count: int) -> tuple[int, int, int, int, int]:
        """Counts of what is wrong with one answer, in the order of `InvalidRate`'s attributes."""
        eos = self._question.special.eos
        is_cut = eos not in tokens
        rows = self._question.encoding.decode(tokens if is_cut else tokens[: tokens.index(eos)])
        if is_cut and self._question.encoding.separator is not None:
            rows = rows[:-1]  # it may have gone on
        rows = rows[:count]
        known = [row for row in rows if row is not None]
        visible = sum(row in context for row in known)
        repeated = len(known) - visible - len(set(known) - set(context))
        return len(rows), len(rows) - len(known), repeated, visible, int(is_cut)

    def _answers(self, contexts: Sequence[Sequence[int]], most: int) -> list[tuple[Sequence[int], list[int]]]:
        """Each context with its answer: at most so many tokens, without what all answers begin with and padding."""
        question, device = self._question, self._model.device
        said = self._model.generate(
            **on_device(question.batch(as_posts(contexts)), device),
            decoder_input_ids=torch.tensor([question.answer_start] * len(contexts), device=device),
            generation_config=GenerationConfig(
                max_new_tokens=most,
                do_sample=False,
                pad_token_id=question.special.pad,
                eos_token_id=question.special.eos,
                decoder_start_token_id=question.special.pad,
                suppress_tokens=self._never,
            ),
        )
        answers = said[:, len(question.answer_start) :].tolist()
        return [
            (context, [token for token in answer if token != question.special.pad])
            for context, answer in zip(contexts, answers, strict=True)
        ]
