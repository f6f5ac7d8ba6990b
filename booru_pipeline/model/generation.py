"""Answers label by label, with transformers' `generate`: only real labels, each once, none of the visible ones.

A model of the `set` objective is trained at its first decoder step alone. It has no second label to say that would rest
on the first, so its answer is its ranking's top; see `Predictor.generate`.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

import numpy as np
import torch
from transformers import GenerationConfig, LogitsProcessor, LogitsProcessorList

from booru_pipeline.errors import BooruError
from booru_pipeline.model.objective import ObjectiveName, answer_tokens
from booru_pipeline.model.prefix_tree import PrefixTree
from booru_pipeline.model.ranking import Question, as_posts
from booru_pipeline.ragged import IntArray
from booru_pipeline.vocabulary.options import EncodingName
from booru_pipeline.vocabulary.vocabulary import Vocabulary

_CONTEXTS_AT_ONCE: Final = 64


@dataclass(frozen=True)
class Decoding:
    """How the next token is chosen.

    Attributes:
        beams: Answers that are pursued at a time; the most probable one is given. 1 is greedy, without `sample`.
        sample: Draw tokens by their probability.
        temperature: With `sample`: below 1 favours probable tokens.
        top_p: With `sample`: only the most probable tokens that make up this share.
        seed: With `sample`: another seed, another answer.
        fill: Go on to as many labels as are asked for, even where the model would end.
    """

    beams: int = 1
    sample: bool = False
    temperature: float = 1.0
    top_p: float = 1.0
    seed: int = 0
    fill: bool = False

    def __post_init__(self) -> None:
        """Refuse what does not go together.

        Raises:
            BooruError: Beams are to be drawn. Few tokens may be left, and torch draws no impossible ones.
        """
        if self.sample and self.beams > 1:
            raise BooruError("an answer is either drawn or searched for with beams. Leave out sample or beams.")


@dataclass(frozen=True)
class InvalidRate:
    """What is wrong with answers that nothing constrains.

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
    """Generates labels.

    Args:
        model: The T5, trained with the `sequence` or the `span` objective.
        vocabulary: Its labels.
        encoding: Of the captions it was trained on.
        objective: It was trained with.
    """

    def __init__(self, model: Any, vocabulary: Vocabulary, encoding: EncodingName, objective: ObjectiveName) -> None:
        self._model = model
        self._labels = len(vocabulary)
        self._question = Question.of(vocabulary, encoding, objective)
        layout = self._question.encoding
        self._tree = PrefixTree.of(layout.tokens, layout.offsets, self._question.answer_start)
        self._special = vocabulary.special_tokens
        rows = model.lm_head.out_features
        answers = answer_tokens(encoding, vocabulary.first_token_id, self._labels, self._special)
        self._answers = np.array([token for token in answers if token < rows])

    def generate(
        self, contexts: Sequence[Sequence[int]], count: int, decoding: Decoding | None = None
    ) -> list[list[int]]:
        """Labels that go with the visible ones.

        Args:
            contexts: Vocabulary rows of the visible labels, one sequence a context.
            count: Labels of an answer, at most; the model may end before, but says at least one, if one is left.
            decoding: Greedy if None.

        Returns:
            Vocabulary rows for each context, in the order in which they were said: each once, none visible.
        """
        chosen = decoding or Decoding()
        answers: list[list[int]] = []
        for start in range(0, len(contexts), _CONTEXTS_AT_ONCE):
            some = [list(context) for context in contexts[start : start + _CONTEXTS_AT_ONCE]]
            allowed = AllowedLabels(self._tree, self._question, some, count, beams=chosen.beams, fill=chosen.fill)
            most = count * (int(self._question.encoding.sizes.max()) + 1)
            for tokens in self._run(some, most, chosen, allowed, start):
                rows = self._question.encoding.decode([token for token in tokens if token != self._special.eos])
                answers.append([row for row in rows if row is not None])
        return answers

    def invalid_rate(
        self, contexts: Sequence[Sequence[int]], count: int = 20, decoding: Decoding | None = None
    ) -> InvalidRate:
        """How much of what the model says by itself is invalid.

        Only tokens that it was trained to tell apart take part: pieces and special ones, or labels and special ones.

        Args:
            contexts: Vocabulary rows of the visible labels, one sequence a context.
            count: Of each answer the first so many labels count; it is cut at the tokens that so many labels have on
                average.
            decoding: Greedy if None.
        """
        chosen = decoding or Decoding()
        encoding = self._question.encoding
        most = math.ceil(count * (encoding.sizes.mean() + encoding.gap)) + 1
        tallies = []
        for start in range(0, len(contexts), _CONTEXTS_AT_ONCE):
            some = [list(context) for context in contexts[start : start + _CONTEXTS_AT_ONCE]]
            for context, tokens in zip(
                some, self._run(some, most, chosen, _OnlyTokens(self._answers), start), strict=True
            ):
                tallies.append(self._tally(context, tokens, count))
        return InvalidRate(*(sum(column) for column in zip(*tallies, strict=True))) if tallies else InvalidRate()

    def _tally(self, context: list[int], tokens: list[int], count: int) -> tuple[int, int, int, int, int]:
        """Labels said, unknown, repeated and visible ones, and whether the answer was cut."""
        is_cut = self._special.eos not in tokens
        rows = self._question.encoding.decode(tokens if is_cut else tokens[: tokens.index(self._special.eos)])
        if is_cut and self._question.encoding.separator is not None:
            rows = rows[:-1]  # it may have gone on
        rows = rows[:count]
        known = [row for row in rows if row is not None]
        visible = sum(row in context for row in known)
        repeated = len(known) - visible - len(set(known) - set(context))
        return len(rows), len(rows) - len(known), repeated, visible, int(is_cut)

    def _run(
        self, contexts: list[list[int]], most: int, decoding: Decoding, processor: LogitsProcessor, number: int
    ) -> list[list[int]]:
        """Tokens of the answers, without what all begin with and without padding; at most `most` each."""
        model, before = self._model, self._question.answer_start
        batch = self._question.batch(as_posts(contexts), model.device)
        drawn = {"temperature": decoding.temperature, "top_p": decoding.top_p, "top_k": 0} if decoding.sample else {}
        config = GenerationConfig(
            max_new_tokens=most,
            num_beams=decoding.beams,
            do_sample=decoding.sample,
            pad_token_id=self._special.pad,
            eos_token_id=self._special.eos,
            decoder_start_token_id=self._question.start,
            **drawn,
        )
        devices = [model.device] if model.device.type == "cuda" else []
        with torch.random.fork_rng(devices):
            torch.manual_seed(decoding.seed + number)
            said = model.generate(
                **batch,
                decoder_input_ids=torch.tensor([before] * len(contexts), device=model.device),
                generation_config=config,
                logits_processor=LogitsProcessorList([processor]),
            )
        answers: list[list[int]] = said[:, len(before) :].tolist()
        return [[token for token in answer if token != self._special.pad] for answer in answers]


class AllowedLabels(LogitsProcessor):
    """Leaves only tokens that lead to a label which was neither given nor said yet.

    Args:
        tree: Of the labels, with what answers begin with.
        question: How the model is asked.
        contexts: Vocabulary rows of the visible labels.
        count: Labels of an answer, at most.
        beams: Answers of each context, one after another in a batch.
        fill: Whether an answer may only end when it has so many labels, or none is left.
    """

    def __init__(
        self,
        tree: PrefixTree,
        question: Question,
        contexts: Sequence[Sequence[int]],
        count: int,
        *,
        beams: int = 1,
        fill: bool = False,
    ) -> None:
        self._tree = tree
        self._separator = question.encoding.separator
        self._eos = question.eos
        self._skipped = len(question.answer_start)
        self._given = [{int(tree.ends[row]) for row in context} for context in contexts]
        self._count = count
        self._beams = beams
        self._fill = fill

    def __call__(self, input_ids: torch.LongTensor, scores: torch.FloatTensor) -> torch.FloatTensor:
        """Scores with -inf for what may not come next, float [answers, tokens]."""
        barred = torch.ones_like(scores, dtype=torch.bool)
        for row, tokens in enumerate(input_ids[:, self._skipped :].tolist()):
            # An answer that has ended is filled up by `generate`, which needs something to choose from.
            following = [] if self._eos in tokens else self.following(tokens, self._given[row // self._beams])
            barred[row, following if len(following) else slice(None)] = False
        return cast(torch.FloatTensor, scores.masked_fill(barred, -torch.inf))

    def following(self, tokens: Sequence[int], given: set[int]) -> list[int]:
        """Tokens that may come next in an answer that has not ended, at least one.

        Args:
            tokens: Of the answer so far.
            given: Nodes of the labels that may not be said.
        """
        tree = self._tree
        node, used, said = tree.root, set(given), 0
        for token in tokens:
            if token != self._separator:
                children = tree.children(node)
                place = int(np.searchsorted(tree.tokens[children], token))
                if place == len(children) or tree.tokens[children[place]] != token:
                    return [self._eos]  # a beam of probability 0, which beam search carries where it lacks others
                node = int(children[place])
            if token == self._separator or self._separator is None:
                used.add(node)
                said += 1
                node = tree.root
        left = len(tree.sorted_ends) - len(used)
        if self._separator is None:
            following = self._onward(node, used) if said < self._count else []
            if said and not (self._fill and following):
                following.append(self._eos)
        else:
            following = self._onward(node, used)
            if tree.label_at[node] >= 0 and node not in used:
                goes_on = said + 1 < self._count and left > 1
                following += [self._separator] if goes_on else []
                following += [] if goes_on and self._fill else [self._eos]
        return following or [self._eos]

    def _onward(self, node: int, used: set[int]) -> list[int]:
        """Tokens to the nodes below that lead to a label which is not used."""
        tree = self._tree
        children = tree.children(node)
        taken = np.sort(np.fromiter(used, dtype=np.int64, count=len(used)))
        free = _within(tree.sorted_ends, children, tree.stops) - _within(taken, children, tree.stops)
        following: list[int] = tree.tokens[children[free > 0]].tolist()
        return following


class _OnlyTokens(LogitsProcessor):
    """Leaves only some tokens."""

    def __init__(self, tokens: IntArray) -> None:
        self._tokens = torch.from_numpy(tokens)

    def __call__(self, input_ids: torch.LongTensor, scores: torch.FloatTensor) -> torch.FloatTensor:
        barred = torch.ones(scores.shape[-1], dtype=torch.bool, device=scores.device)
        barred[self._tokens.to(scores.device)] = False
        return cast(torch.FloatTensor, scores.masked_fill(barred, -torch.inf))


def _within(ends: IntArray, nodes: IntArray, stops: IntArray) -> IntArray:
    """How many of some nodes, ascending, are in the subtree of each node."""
    return np.searchsorted(ends, stops[nodes]) - np.searchsorted(ends, nodes)
