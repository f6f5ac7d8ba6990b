"""Ranking the whole vocabulary: how probable each label is as the first answer, given the visible ones."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch.nn.utils.rnn import pad_sequence

from booru_pipeline.dataset.posts import Posts
from booru_pipeline.model.objective import PresentObjective, SetObjective
from booru_pipeline.model.objective_name import ObjectiveName
from booru_pipeline.model.prefix_tree import PrefixTree
from booru_pipeline.model.presence import Presence
from booru_pipeline.model.tree_decoder import TreeDecoder
from booru_pipeline.ragged import IntArray, offsets_of
from booru_pipeline.vocabulary.encoding import Encoding
from booru_pipeline.vocabulary.options import EncodingName
from booru_pipeline.vocabulary.vocabulary import SpecialTokens, Vocabulary

# Longer runs repeat fewer nodes that are above others, and attend to more that is not above them. CPU seconds a post
# with the shared vocabulary and the `tiny` shape: 0.41 with 64, 0.39 with 128, 0.47 with 256.
_NODES_AT_ONCE: Final = 128
_MEMORY: Final = 256 << 20  # bytes of what is worked on at a time, next to weights and scores


class Ranker(Protocol):
    """Ranks labels for sets of visible ones.

    Attributes:
        few: Whether ranking is so slow that figures on the way are taken from a few posts.
    """

    few: bool

    def scores(self, visible: Posts, shortlist: Posts | None = None) -> npt.NDArray[np.float32]:
        """Score of each label, float32 [posts, labels]: its log-probability as the first answer; -inf where not asked.

        Args:
            visible: The labels that are seen, one set a post.
            shortlist: The labels that are asked for, one set a post; all if None.
        """
        ...

    def scores_of(self, visible: Posts, labels: IntArray) -> npt.NDArray[np.float32]:
        """The score of one label for each post, float32 [posts], among all: what `scores` without a shortlist gives.

        Args:
            visible: The labels that are seen, one set a post.
            labels: int64 [posts], the labels that are asked for; none is visible.
        """
        ...


def ranker_for(
    model: Any,
    vocabulary: Vocabulary,
    encoding: EncodingName,
    objective: ObjectiveName,
    presence: Presence | None = None,
) -> Ranker:
    """The ranker of a model by the encoding and the objective that it was trained with; `present` has a presence."""
    question = Question.of(vocabulary, encoding, objective)
    if presence is not None:
        return PresenceRanker(model, presence, vocabulary, question)
    if encoding is EncodingName.LABELS:
        return LabelRanker(model, vocabulary, question)
    return PieceRanker(model, vocabulary, question)


@dataclass(frozen=True)
class Question:
    """How a model is asked for labels: what it was trained to answer.

    Attributes:
        encoding: Of the captions.
        special: End of sequence, and padding, with which the decoder starts.
        sentinel: Stands in the input for what is asked, and begins the answer, after span corruption; else None.
    """

    encoding: Encoding
    special: SpecialTokens
    sentinel: int | None

    @classmethod
    def of(cls, vocabulary: Vocabulary, encoding: EncodingName, objective: ObjectiveName) -> "Question":
        """The question that an objective teaches to answer."""
        special = vocabulary.special_tokens
        sentinel = special.sentinels[0] if objective is ObjectiveName.SPAN else None
        return cls(Encoding.of(vocabulary, encoding), special, sentinel)

    def source(self, rows: IntArray) -> IntArray:
        """The encoder's input for a set of visible labels."""
        tokens = self.encoding.encode(rows.tolist())
        if self.sentinel is not None:
            gap = [self.encoding.separator] if self.encoding.separator is not None and tokens else []
            tokens = [*tokens, *gap, self.sentinel]
        return np.array([*tokens, self.special.eos], dtype=np.int64)

    @property
    def answer_start(self) -> list[int]:
        """The decoder's input before the first label."""
        return [self.special.pad] if self.sentinel is None else [self.special.pad, self.sentinel]

    def batch(self, visible: Posts, device: torch.device) -> dict[str, torch.Tensor]:
        """`input_ids` and `attention_mask`, int64 [posts, longest]."""
        rows = np.split(visible.rows, visible.offsets[1:-1])
        sources = [torch.from_numpy(self.source(part)) for part in rows]
        ids = pad_sequence(sources, batch_first=True, padding_value=self.special.pad)
        mask = pad_sequence([torch.ones_like(source) for source in sources], batch_first=True)
        return {"input_ids": ids.to(device), "attention_mask": mask.to(device)}


class LabelRanker:
    """One decoder step ranks all labels, since each has a token of its own."""

    few = False

    def __init__(self, model: Any, vocabulary: Vocabulary, question: Question) -> None:
        self._objective = SetObjective(model, vocabulary.first_token_id, len(vocabulary), question.answer_start)
        self._question = question

    @torch.inference_mode()
    def scores(self, visible: Posts, shortlist: Posts | None = None) -> npt.NDArray[np.float32]:
        """See `Ranker`."""
        batch = self._question.batch(visible, self._objective.model.device)
        scores = self._objective.log_probabilities(**batch)
        if shortlist is not None:
            return _among_asked(scores, visible, shortlist)
        found: npt.NDArray[np.float32] = scores.cpu().numpy()
        return found

    def scores_of(self, visible: Posts, labels: IntArray) -> npt.NDArray[np.float32]:
        """See `Ranker`."""
        return self.scores(visible)[np.arange(len(labels)), labels]


class PresenceRanker:
    """One decoder step gives the log-odds of all labels."""

    few = False

    def __init__(self, model: Any, presence: Presence, vocabulary: Vocabulary, question: Question) -> None:
        first, labels = vocabulary.first_token_id, len(vocabulary)
        self._objective = PresentObjective(model, presence, first, labels, question.answer_start)
        self._question = question

    @torch.inference_mode()
    def scores_of(self, visible: Posts, labels: IntArray) -> npt.NDArray[np.float32]:
        """Log-odds that each post has the label; see `Ranker.scores_of`."""
        batch = self._question.batch(visible, self._objective.model.device)
        asked = torch.from_numpy(labels).to(self._objective.model.device)
        found: npt.NDArray[np.float32] = self._objective.log_odds_of(**batch, label=asked).cpu().numpy()
        return found

    @torch.inference_mode()
    def scores(self, visible: Posts, shortlist: Posts | None = None) -> npt.NDArray[np.float32]:
        """Log-odds that the post has each label, float32 [posts, labels]; see `Ranker.scores`."""
        batch = self._question.batch(visible, self._objective.model.device)
        odds = self._objective.log_odds(**batch)
        found: npt.NDArray[np.float32] = odds.masked_fill_(~_asked(odds, visible, shortlist), -torch.inf).cpu().numpy()
        return found


class PieceRanker:
    """The probability of all pieces of a label and of its end, for every label; exact, through a tree of the labels.

    P(label) = product of P(piece | the pieces before it) x P(separator or end of sequence | the whole label), then over
    the labels that are asked for. The encoder runs once a post, and the decoder once for each beginning of a label.

    Args:
        model: A T5 of the vocabulary.
        vocabulary: The labels.
        question: How it is asked.
        nodes_at_once: Nodes of the tree that go through the decoder together, for each of some posts.
        memory: Bytes of what is worked on at a time, about; decides how many posts are. Weights, encoder output and
            scores come on top, and a pack of one post is worked on whatever it takes.
    """

    few = True

    def __init__(
        self,
        model: Any,
        vocabulary: Vocabulary,
        question: Question,
        *,
        nodes_at_once: int = _NODES_AT_ONCE,
        memory: int = _MEMORY,
    ) -> None:
        encoding = question.encoding
        self.tree = PrefixTree.of(encoding.tokens, encoding.offsets, question.answer_start)
        # As in training: labels' own tokens are no part of an answer in pieces.
        pieces = min(vocabulary.first_token_id, model.lm_head.out_features)
        ends = [end for end in (encoding.separator, question.special.eos) if end is not None]
        self._decoder = TreeDecoder(model, self.tree, pieces, ends)
        self._model = model
        self._question = question
        self._nodes = nodes_at_once
        width = nodes_at_once + int(self.tree.depths.max())
        self._packs = max(1, memory // (width * self._decoder.bytes_a_node(width)))

    @torch.inference_mode()
    def scores(self, visible: Posts, shortlist: Posts | None = None) -> npt.NDArray[np.float32]:
        """See `Ranker`."""
        scores = np.empty((len(visible), len(self.tree.ends)), dtype=np.float32)
        for start in range(0, len(visible), self._packs):
            posts = np.arange(start, min(start + self._packs, len(visible)))
            asked = None if shortlist is None else shortlist.take(posts)
            scores[posts] = self._some(visible.take(posts), asked)
        return scores

    def scores_of(self, visible: Posts, labels: IntArray) -> npt.NDArray[np.float32]:
        """See `Ranker`."""
        return self.scores(visible)[np.arange(len(labels)), labels]

    def _some(self, visible: Posts, shortlist: Posts | None) -> npt.NDArray[np.float32]:
        batch = self._question.batch(visible, self._model.device)
        memory = self._model.encoder(**batch).last_hidden_state
        measured = torch.zeros(3, len(visible), len(self.tree) + 1, device=self._model.device)
        for posts, nodes, is_above in self._work(shortlist, len(visible)):
            found = self._decoder.measure(memory[posts], batch["attention_mask"][posts], nodes)
            place = torch.from_numpy(np.where(is_above, len(self.tree), nodes)).to(self._model.device)
            measured[:, torch.from_numpy(posts).to(self._model.device)[:, None], place] = found
        return _among_asked(self._sums(*measured), visible, shortlist)

    def _work(self, shortlist: Posts | None, posts: int) -> Iterator[tuple[IntArray, IntArray, npt.NDArray[np.bool_]]]:
        """Positions of some posts, nodes [posts or 1, width] for them, and which of them are there for others."""
        if shortlist is None:
            for run, extra in self.tree.packs(self._nodes):
                yield np.arange(posts), run[None], (np.arange(len(run)) < extra)[None]
            return
        packs = [
            (post, *pack)
            for post, rows in enumerate(np.split(shortlist.rows, shortlist.offsets[1:-1]))
            for pack in self.tree.packs(self._nodes, self.tree.above(rows))
        ]
        for start in range(0, len(packs), self._packs):
            some = packs[start : start + self._packs]
            nodes = np.full((len(some), max(len(pack[1]) for pack in some)), len(self.tree), dtype=np.int64)
            for row, (_, pack, _) in enumerate(some):
                nodes[row, : len(pack)] = pack
            above = np.array([pack[2] for pack in some])
            yield np.array([pack[0] for pack in some]), nodes, np.arange(nodes.shape[1]) < above[:, None]

    def _sums(self, step: torch.Tensor, end: torch.Tensor, norm: torch.Tensor) -> torch.Tensor:
        """Log-probability of each label by what was measured at each node; float32 [posts, labels]."""
        total = torch.zeros_like(step)
        for level in self.tree.levels:
            nodes, parents = (torch.from_numpy(part).to(step.device) for part in (level, self.tree.parents[level]))
            total[:, nodes] = total[:, parents] + step[:, nodes] - norm[:, parents]
        ends = torch.from_numpy(self.tree.ends).to(step.device)
        return (total + end - norm)[:, ends]


def as_posts(contexts: Sequence[Sequence[int]] | Sequence[IntArray]) -> Posts:
    """Sets of labels, as vocabulary rows, in the form in which rankers take them."""
    rows = np.array([row for context in contexts for row in context], dtype=np.int64)
    return Posts(rows, offsets_of([len(context) for context in contexts]))


def best_of(scores: npt.NDArray[np.floating], size: int) -> list[IntArray]:
    """The labels of highest score for each context, the best first, ties by row; fewer where the others have -inf.

    Args:
        scores: [contexts, labels], none NaN.
        size: How many of each.
    """
    size = min(size, scores.shape[1])
    if not scores.size or not size:
        return [np.empty(0, dtype=np.int64)] * len(scores)
    # torch finds the place of the cut fifteen times as fast as `np.argpartition` among 40,000 labels.
    cut = torch.from_numpy(np.require(scores, requirements=["C", "W"])).topk(size, sorted=True).values[:, -1:].numpy()
    row, label = np.nonzero((scores >= cut) & ~np.isneginf(scores))
    order = np.lexsort((-scores[row, label], row))
    starts = np.searchsorted(row, np.arange(len(scores) + 1))
    label = label[order]
    return [label[start:end][:size] for start, end in pairwise(starts.tolist())]


def _among_asked(scores: torch.Tensor, visible: Posts, shortlist: Posts | None) -> npt.NDArray[np.float32]:
    """Log-probabilities over the labels that are asked for and not visible; -inf for the others."""
    asked = _asked(scores, visible, shortlist)
    known = scores.masked_fill(~asked, -torch.inf)
    # Where nothing is left, the softmax of nothing is no number.
    found: npt.NDArray[np.float32] = known.log_softmax(-1).where(asked, -torch.inf).cpu().numpy()
    return found


def _asked(scores: torch.Tensor, visible: Posts, shortlist: Posts | None) -> torch.Tensor:
    """Which labels are asked for and not visible, bool [posts, labels]."""
    asked = torch.full(scores.shape, shortlist is None, device=scores.device)
    for posts, is_asked in ((shortlist, True), (visible, False)):
        if posts is not None:
            asked[torch.from_numpy(posts.owner), torch.from_numpy(posts.rows)] = is_asked
    return asked
