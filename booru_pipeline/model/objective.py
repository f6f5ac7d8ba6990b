"""The objectives: a T5 is trained to name the hidden labels of a caption.

- `present`: the first decoder step gives the log-odds of each label by itself, so that they need not share a sum. Needs
  one token a label.
- `set`: the first decoder step gives a distribution over all hidden labels at once, which is what the first step of
  `sequence` learns in expectation over random orders. Needs one token a label.
- `sequence`: the hidden labels one after another, in random order, with an end of sequence: T5's own way to answer.
- `span`: T5's own pre-training: what each sentinel stands for.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from booru_pipeline.dataset.collator import IGNORED, PAD_ROW
from booru_pipeline.model.candidates import Candidates
from booru_pipeline.model.presence import Presence
from booru_pipeline.vocabulary.options import EncodingName
from booru_pipeline.vocabulary.vocabulary import SpecialTokens


class FirstStep(nn.Module):
    """The first decoder step of a T5 over the labels alone: the output layer of the pieces is not computed.

    The pieces are most of it for a pre-trained base. It has no weights of its own.
    """

    def __init__(self, model: Any, first_token_id: int, labels: int, answer_start: Sequence[int] = ()) -> None:
        """Make the step of that many labels; `answer_start` is what the decoder has first, T5's start if empty."""
        super().__init__()
        self.model = model
        self.first_token_id = first_token_id
        self.labels = labels
        self._answer_start = list(answer_start) or [model.config.decoder_start_token_id]

    def logits(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """`model(...).logits[:, 0, first:first + labels]`, float32 [posts, labels]."""
        rows = self.model.lm_head.weight.narrow(0, self.first_token_id, self.labels)
        return functional.linear(self.state(input_ids, attention_mask), rows).float()

    def raw(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """What answers follow from, before visible labels are left out, float32 [posts, labels]: here the logits."""
        return self.logits(input_ids, attention_mask)

    def state(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """What the output layer is given at that step, [posts, d_model]."""
        model = self.model
        memory = model.encoder(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        # Of the input's own shape: a graph that is exported then takes any number of posts.
        start = torch.cat([torch.full_like(input_ids[:, :1], token) for token in self._answer_start], dim=1)
        state = model.decoder(
            input_ids=start, encoder_hidden_states=memory, encoder_attention_mask=attention_mask, use_cache=False
        ).last_hidden_state[:, -1]
        scaled: torch.Tensor = state * model.model_dim**-0.5 if model.config.scale_decoder_outputs else state
        return scaled

    def visible(self, input_ids: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The row of each visible label, int64 [posts, tokens], and which tokens are labels; others have row 0."""
        rows = input_ids - self.first_token_id
        is_label = (rows >= 0) & (rows < self.labels)
        return rows.where(is_label, 0), is_label

    def without_visible(self, scores: torch.Tensor, input_ids: torch.Tensor) -> torch.Tensor:
        """Scores [posts, labels] with -inf for what is visible: what is known is not asked."""
        rows, is_label = self.visible(input_ids)
        # One more column takes what is no label (end of sequence, padding) and is cut off again.
        mask = torch.zeros(len(scores), self.labels + 1, dtype=torch.bool, device=scores.device)
        mask.scatter_(1, rows.where(is_label, self.labels), True)
        return scores.masked_fill(mask[:, :-1], -torch.inf)


class PresentObjective(FirstStep):
    """A T5 with the loss of the `present` objective, for the trainer to drive.

    Each label that is not visible is a question of its own, so that several can be nearly certain at once, as no
    softmax lets them be.
    """

    def __init__(
        self,
        model: Any,
        presence: Presence,
        first_token_id: int,
        labels: int,
        answer_start: Sequence[int] = (),
        candidates: Candidates | None = None,
    ) -> None:
        """Make the objective of that many labels; for the arguments see `FirstStep`.

        With `candidates` the loss is estimated from these while training, and gradients of embedding and output rows
        are sparse; otherwise, and in validation, it is that of all labels.
        """
        super().__init__(model, first_token_id, labels, answer_start)
        self.presence = presence
        self.candidates = candidates
        for module in model.modules() if candidates is not None else ():
            if isinstance(module, nn.Embedding) and module.weight is model.shared.weight:
                module.sparse = True

    def log_odds(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """Log-odds that a post has each label, float32 [posts, labels]; those of visible labels mean nothing."""
        return self._odds(input_ids, attention_mask, self.visible(input_ids)[1])

    def raw(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """Those of `log_odds`."""
        return self.log_odds(input_ids, attention_mask)

    def log_odds_of(self, input_ids: torch.Tensor, attention_mask: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
        """Log-odds that each post has one label, int64 [posts], that is not visible; float32 [posts].

        The output layer is computed for these labels alone.
        """
        chosen, place = label.unique(return_inverse=True)
        output = functional.embedding(self.first_token_id + chosen, self.model.lm_head.weight)
        logits = functional.linear(self.state(input_ids, attention_mask), output).float()
        odds = self.presence(logits, self.visible(input_ids)[1].sum(1), chosen)
        found: torch.Tensor = odds.gather(1, place[:, None])[:, 0]
        return found

    def _odds(self, input_ids: torch.Tensor, attention_mask: torch.Tensor, is_label: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.presence(self.logits(input_ids, attention_mask), is_label.sum(1))
        return found

    def forward(
        self, input_ids: torch.Tensor, attention_mask: torch.Tensor, hidden: torch.Tensor
    ) -> dict[str, torch.Tensor]:
        """Binary cross-entropy over all labels that are not visible, in nats, over the number hidden; mean over posts.

        Args:
            input_ids: int64 [posts, tokens], visible labels and end of sequence.
            attention_mask: int64 [posts, tokens].
            hidden: int64 [posts, hidden], vocabulary rows, filled up with -1.
        """
        if self.training and self.candidates is not None:
            return {"loss": self._estimate(input_ids, attention_mask, hidden, self.candidates)}
        rows, is_label = self.visible(input_ids)
        odds = self._odds(input_ids, attention_mask, is_label)
        is_hidden = hidden != PAD_ROW
        # -log P(absent) of all labels, less that of the visible ones; a hidden one adds its odds to be -log P(present).
        absent = functional.softplus(odds).sum(1)
        known = functional.softplus(odds.gather(1, rows)).masked_fill(~is_label, 0.0).sum(1)
        there = odds.gather(1, hidden.clamp(min=0)).masked_fill(~is_hidden, 0.0).sum(1)
        return {"loss": ((absent - known - there) / is_hidden.sum(1)).mean()}

    def _estimate(
        self, input_ids: torch.Tensor, attention_mask: torch.Tensor, hidden: torch.Tensor, candidates: Candidates
    ) -> torch.Tensor:
        """The loss by candidates; its expectation and its gradient's are those of the loss over all labels."""
        rows, is_label = self.visible(input_ids)
        is_hidden = hidden != PAD_ROW
        chosen, weight, place = candidates.draw(hidden[is_hidden])
        output = functional.embedding(self.first_token_id + chosen, self.model.lm_head.weight, sparse=True)
        logits = functional.linear(self.state(input_ids, attention_mask), output).float()
        odds = self.presence(logits, is_label.sum(1), chosen)
        absent = functional.softplus(odds) * weight
        at = place[rows]
        known = absent.gather(1, at.clamp(min=0)).masked_fill(~is_label | (at < 0), 0.0).sum(1)
        there = odds.gather(1, place[hidden.clamp(min=0)].clamp(min=0)).masked_fill(~is_hidden, 0.0).sum(1)
        return ((absent.sum(1) - known - there) / is_hidden.sum(1)).mean()


class SetObjective(FirstStep):
    """A T5 with the loss of the `set` objective, for the trainer to drive.

    Only label rows take part in the softmax, and the visible labels are left out of it: what is known is not asked.
    """

    def log_probabilities(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """Log-probability of each label at the first decoder step, float32 [posts, labels]; visible ones have -inf."""
        return self.without_visible(self.logits(input_ids, attention_mask), input_ids).log_softmax(-1)

    def forward(
        self, input_ids: torch.Tensor, attention_mask: torch.Tensor, hidden: torch.Tensor
    ) -> dict[str, torch.Tensor]:
        """Cross-entropy against the uniform distribution over each post's hidden labels, in nats, mean over posts.

        Args:
            input_ids: int64 [posts, tokens], visible labels and end of sequence.
            attention_mask: int64 [posts, tokens].
            hidden: int64 [posts, hidden], vocabulary rows, filled up with -1.
        """
        scores = self.log_probabilities(input_ids, attention_mask)
        is_hidden = hidden != PAD_ROW
        chosen = scores.gather(1, hidden.clamp(min=0)).masked_fill(~is_hidden, 0.0)
        return {"loss": -(chosen.sum(1) / is_hidden.sum(1)).mean()}


class SequenceObjective(nn.Module):
    """A T5 with the loss of the `sequence` and `span` objectives: the target, token by token.

    Only tokens that an answer can hold take part in the softmax: pieces need no label rows and labels no piece rows,
    and the output layer is most of the work of a small T5.
    """

    _rows: torch.Tensor
    _place: torch.Tensor

    def __init__(self, model: Any, answers: Sequence[int]) -> None:
        """Make the objective of targets that are made of these tokens."""
        super().__init__()
        self.model = model
        rows = torch.tensor(sorted(answers))
        place = torch.full((int(rows.max()) + 1,), IGNORED)
        place[rows] = torch.arange(len(rows))
        self.register_buffer("_rows", rows, persistent=False)
        self.register_buffer("_place", place, persistent=False)

    @property
    def answers(self) -> int:
        """How many tokens take part in the softmax."""
        return len(self._rows)

    def forward(
        self, input_ids: torch.Tensor, attention_mask: torch.Tensor, labels: torch.Tensor
    ) -> dict[str, torch.Tensor]:
        """Cross-entropy in nats, mean over each post's target tokens, then over posts.

        Not over all tokens of the batch, which would weigh posts by their length, and differently for each way to
        share a batch among processes.

        Args:
            input_ids: int64 [posts, tokens].
            attention_mask: int64 [posts, tokens].
            labels: int64 [posts, target tokens], filled up with -100.
        """
        model = self.model
        memory = model.encoder(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        state = model.decoder(
            input_ids=model.prepare_decoder_input_ids_from_labels(labels),
            encoder_hidden_states=memory,
            encoder_attention_mask=attention_mask,
            use_cache=False,
        ).last_hidden_state
        used = labels != IGNORED
        state = state[used]  # padding is not worth a row of the output layer
        if model.config.scale_decoder_outputs:
            state = state * model.model_dim**-0.5
        logits = functional.linear(state, model.lm_head.weight.index_select(0, self._rows)).float()
        losses = functional.cross_entropy(logits, self._place[labels[used]], reduction="none")
        sums = torch.zeros(len(labels), device=losses.device).index_add(0, used.nonzero()[:, 0], losses)
        return {"loss": (sums / used.sum(1)).mean()}


def answer_tokens(encoding: EncodingName, first_token_id: int, labels: int, special: SpecialTokens) -> list[int]:
    """Tokens that a target of an encoding is made of: its pieces or labels, end of sequence, separator, sentinels."""
    if encoding is EncodingName.PIECES:
        return list(range(first_token_id))  # all before the labels are the base model's, or were added to it
    return [special.eos, *special.sentinels, *range(first_token_id, first_token_id + labels)]
