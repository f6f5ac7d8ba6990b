"""Ranking the whole vocabulary: how probable each label is as the first answer, given the visible ones."""

from dataclasses import dataclass
from typing import Any, Final, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional

from booru_pipeline.labels.encoding import Encoding
from booru_pipeline.labels.options import EncodingName
from booru_pipeline.labels.posts import IntArray, Posts, gather
from booru_pipeline.labels.vocabulary import Vocabulary
from booru_pipeline.training.objective import ObjectiveName, SetObjective

_LABELS_AT_ONCE: Final = 512  # x pieces of the longest x rows of the output layer numbers; 250 MB with T5's


class Ranker(Protocol):
    """Ranks labels for sets of visible ones.

    Attributes:
        few: Whether ranking is so slow that figures on the way are taken from a few posts.
    """

    few: bool

    def log_probabilities(self, visible: Posts) -> npt.NDArray[np.float32]:
        """Log-probability of each label as the first answer.

        Args:
            visible: The labels that are seen, one set a post; their order hardly matters.

        Returns:
            float32 [posts, labels]. The visible labels have -inf; exp of a row sums to 1.
        """
        ...


def ranker_for(model: Any, vocabulary: Vocabulary, encoding: EncodingName, objective: ObjectiveName) -> Ranker:
    """The ranker of a model that was trained on captions of an encoding, with an objective."""
    question = Question.of(vocabulary, encoding, objective)
    if encoding is EncodingName.LABELS:
        return LabelRanker(model, vocabulary, question)
    return PieceRanker(model, vocabulary, question)


@dataclass(frozen=True)
class Question:
    """How a model is asked for labels: what it was trained to answer.

    Attributes:
        encoding: Of the captions.
        sentinel: Stands in the input for what is asked, and begins the answer, after span corruption; else None.
        start: What the decoder starts with.
        eos: End of sequence.
        pad: Padding.
    """

    encoding: Encoding
    sentinel: int | None
    start: int
    eos: int
    pad: int

    @classmethod
    def of(cls, vocabulary: Vocabulary, encoding: EncodingName, objective: ObjectiveName) -> "Question":
        """The question that an objective teaches to answer."""
        special = vocabulary.special_tokens
        sentinel = special.sentinels[0] if objective is ObjectiveName.SPAN else None
        return cls(Encoding.of(vocabulary, encoding), sentinel, special.pad, special.eos, special.pad)

    def source(self, rows: IntArray) -> IntArray:
        """The encoder's input for a set of visible labels."""
        tokens = self.encoding.encode(rows.tolist())
        if self.sentinel is not None:
            gap = [self.encoding.separator] if self.encoding.separator is not None and tokens else []
            tokens = [*tokens, *gap, self.sentinel]
        return np.array([*tokens, self.eos], dtype=np.int64)

    @property
    def answer_start(self) -> list[int]:
        """What the decoder has before the first label."""
        return [self.start] if self.sentinel is None else [self.start, self.sentinel]

    def batch(self, visible: Posts, device: torch.device) -> dict[str, torch.Tensor]:
        """`input_ids` and `attention_mask`, int64 [posts, longest]."""
        sources = [self.source(part) for part in np.split(visible.rows, visible.offsets[1:-1])]
        ids = np.full((len(sources), max(map(len, sources))), self.pad, dtype=np.int64)
        mask = np.zeros_like(ids)
        for row, source in enumerate(sources):
            ids[row, : len(source)] = source
            mask[row, : len(source)] = 1
        return {
            "input_ids": torch.from_numpy(ids).to(device),
            "attention_mask": torch.from_numpy(mask).to(device),
        }


class LabelRanker:
    """One decoder step ranks all labels, since each has a token of its own."""

    few = False

    def __init__(self, model: Any, vocabulary: Vocabulary, question: Question) -> None:
        self._objective = SetObjective(model, vocabulary.first_token_id, len(vocabulary), question.answer_start)
        self._question = question

    @torch.inference_mode()
    def log_probabilities(self, visible: Posts) -> npt.NDArray[np.float32]:
        """See `Ranker`."""
        batch = self._question.batch(visible, self._objective.model.device)
        scores: npt.NDArray[np.float32] = self._objective.log_probabilities(**batch).cpu().numpy()
        return scores


class PieceRanker:
    """The probability of all pieces of a label and of its end, for every label; the encoder runs once a post.

    P(label) = product of P(piece | the pieces before it) x P(separator or end of sequence | the whole label), which is
    exact; then over the labels that are not visible.
    """

    few = True

    def __init__(self, model: Any, vocabulary: Vocabulary, question: Question) -> None:
        self._model = model
        self._question = question
        self._pieces = min(vocabulary.first_token_id, model.lm_head.out_features)
        self._ends = [question.encoding.separator, question.eos]
        self._by_size = np.argsort(question.encoding.sizes, kind="stable")  # little padding

    @torch.inference_mode()
    def log_probabilities(self, visible: Posts) -> npt.NDArray[np.float32]:
        """See `Ranker`."""
        model = self._model
        batch = self._question.batch(visible, model.device)
        memory = model.encoder(**batch).last_hidden_state
        scores = torch.empty(len(visible), len(self._by_size), device=model.device)
        for start in range(0, len(self._by_size), _LABELS_AT_ONCE):
            rows = self._by_size[start : start + _LABELS_AT_ONCE]
            answers, targets = self._answers(rows)
            for post in range(len(visible)):
                state = model.decoder(
                    input_ids=answers,
                    encoder_hidden_states=memory[post].expand(len(rows), -1, -1),
                    encoder_attention_mask=batch["attention_mask"][post].expand(len(rows), -1),
                    use_cache=False,
                ).last_hidden_state
                scores[post, torch.from_numpy(rows).to(model.device)] = self._score(state, targets)
        scores[torch.from_numpy(visible.owner), torch.from_numpy(visible.rows)] = -torch.inf
        found: npt.NDArray[np.float32] = scores.log_softmax(-1).cpu().numpy()
        return found

    def _answers(self, rows: IntArray) -> tuple[torch.Tensor, torch.Tensor]:
        """Decoder inputs of some labels, and what each place should say: a piece, -1 for an end, -2 for nothing."""
        encoding = self._question.encoding
        before = self._question.answer_start
        tokens, offsets = gather(encoding.tokens, encoding.offsets, rows)
        sizes = np.diff(offsets)
        width = len(before) + int(sizes.max())
        answers = np.full((len(rows), width), self._question.pad, dtype=np.int64)
        answers[:, : len(before)] = before
        targets = np.full((len(rows), width), -2, dtype=np.int64)
        row = np.repeat(np.arange(len(rows)), sizes)
        within = np.arange(len(tokens)) - offsets[row]
        answers[row, len(before) + within] = tokens
        targets[row, len(before) - 1 + within] = tokens
        targets[np.arange(len(rows)), len(before) - 1 + sizes] = -1
        device = self._model.device
        return torch.from_numpy(answers).to(device), torch.from_numpy(targets).to(device)

    def _score(self, state: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Log-probability of the labels, float32 [labels]."""
        if self._model.config.scale_decoder_outputs:
            state = state * self._model.model_dim**-0.5
        # As in training: labels' own tokens are no part of an answer in pieces.
        weight = self._model.lm_head.weight.narrow(0, 0, self._pieces)
        logits = functional.linear(state, weight).float().log_softmax(-1)
        piece = logits.gather(-1, targets.clamp(min=0)[..., None])[..., 0]
        end = logits[..., self._ends].logsumexp(-1)
        return torch.where(targets >= 0, piece, torch.where(targets == -1, end, 0.0)).sum(-1)
