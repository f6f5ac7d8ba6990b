"""Rankers in torch: how probable each label is as the first answer, given the visible ones."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from booru_pipeline.dataset.posts import Posts
from booru_pipeline.model.objective import FirstStep, PresentObjective, SetObjective
from booru_pipeline.model.objective_name import ObjectiveName
from booru_pipeline.model.presence import Presence
from booru_pipeline.model.ranking.prefix_tree import PrefixTree
from booru_pipeline.model.ranking.question import Question, Ranker
from booru_pipeline.model.ranking.tree_decoder import TreeDecoder
from booru_pipeline.ragged import IntArray
from booru_pipeline.vocabulary.options import EncodingName
from booru_pipeline.vocabulary.vocabulary import Vocabulary

# Longer runs repeat fewer nodes that are above others, and attend to more that is not above them. CPU seconds a post
# with the shared vocabulary and the `tiny` shape: 0.41 with 64, 0.39 with 128, 0.47 with 256.
_NODES_AT_ONCE: Final = 128
_MEMORY: Final = 256 << 20  # bytes of what is worked on at a time, next to weights and scores


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


def on_best_device(model: Any, device: str | None) -> Any:
    """The model, for asking, where it is told to be: by default on a GPU if there is one, else on the CPU."""
    return model.to(device or ("cuda" if torch.cuda.is_available() else "cpu")).eval()


class Raw(nn.Module):
    """What a ranker computes of token ids and mask, as a module, which is what can be exported as a graph."""

    def __init__(self, objective: FirstStep) -> None:
        super().__init__()
        self.objective = objective  # with its weights, which the graph holds

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """Scores of all labels, visible ones included, float32 [posts, labels]."""
        return self.objective.raw(input_ids, attention_mask)


class LabelRanker:
    """One decoder step ranks all labels, since each has a token of its own.

    Attributes:
        question: How the model is asked.
        labels: How many there are.
    """

    few = False

    def __init__(self, model: Any, vocabulary: Vocabulary, question: Question) -> None:
        self._objective = SetObjective(model, vocabulary.first_token_id, len(vocabulary), question.answer_start)
        self.question = question
        self.labels = len(vocabulary)

    def as_module(self) -> nn.Module:
        """What is computed before visible labels are left out, ready to be exported; the model is for asking then."""
        return Raw(self._objective).eval()

    @torch.inference_mode()
    def scores(self, visible: Posts, shortlist: Posts | None = None) -> npt.NDArray[np.float32]:
        """See `Ranker`."""
        batch = on_device(self.question.batch(visible), self._objective.model.device)
        scores = self._objective.log_probabilities(**batch)
        if shortlist is not None:
            return _among_asked(scores, visible, shortlist)
        found: npt.NDArray[np.float32] = scores.cpu().numpy()
        return found

    def scores_of(self, visible: Posts, labels: IntArray) -> npt.NDArray[np.float32]:
        """See `Ranker`."""
        return self.scores(visible)[np.arange(len(labels)), labels]


class PresenceRanker:
    """One decoder step gives the log-odds of all labels. Attributes as of `LabelRanker`."""

    few = False

    def __init__(self, model: Any, presence: Presence, vocabulary: Vocabulary, question: Question) -> None:
        first, self.labels = vocabulary.first_token_id, len(vocabulary)
        self._objective = PresentObjective(model, presence, first, self.labels, question.answer_start)
        self.question = question

    def as_module(self) -> nn.Module:
        """See `LabelRanker.as_module`."""
        return Raw(self._objective).eval()

    @torch.inference_mode()
    def scores_of(self, visible: Posts, labels: IntArray) -> npt.NDArray[np.float32]:
        """Log-odds that each post has the label; see `Ranker.scores_of`."""
        batch = on_device(self.question.batch(visible), self._objective.model.device)
        asked = torch.from_numpy(labels).to(self._objective.model.device)
        found: npt.NDArray[np.float32] = self._objective.log_odds_of(**batch, label=asked).cpu().numpy()
        return found

    @torch.inference_mode()
    def scores(self, visible: Posts, shortlist: Posts | None = None) -> npt.NDArray[np.float32]:
        """Log-odds that the post has each label, float32 [posts, labels]; see `Ranker.scores`."""
        batch = on_device(self.question.batch(visible), self._objective.model.device)
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
        batch = on_device(self._question.batch(visible), self._model.device)
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


def on_device(batch: Mapping[str, IntArray], device: torch.device) -> dict[str, torch.Tensor]:
    """What `Question.batch` gives, as tensors."""
    return {name: torch.from_numpy(part).to(device) for name, part in batch.items()}


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
