"""The `set` objective: from the visible labels, the first decoder step gives a distribution over the hidden ones."""

from typing import Any

import torch
from torch import nn
from torch.nn import functional

from booru_pipeline.labels.collator import PAD_ROW


class SetObjective(nn.Module):
    """A T5 with the loss of the `set` objective, for the trainer to drive; it has no weights of its own.

    Only label rows take part in the softmax, and the visible labels are left out of it: what is known is not asked.
    """

    def __init__(self, model: Any, first_token_id: int, labels: int) -> None:
        super().__init__()
        self.model = model
        self.first_token_id = first_token_id
        self.labels = labels

    def log_probabilities(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """Log-probability of each label at the first decoder step, float32 [posts, labels]; visible ones have -inf.

        The same numbers as a softmax over `model(...).logits[:, 0, first:first + labels]` without the visible labels,
        but the output layer is computed for label rows alone, the pieces being most of it for a pre-trained base.
        """
        model = self.model
        memory = model.encoder(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        start = torch.full_like(input_ids[:, :1], model.config.decoder_start_token_id)
        state = model.decoder(
            input_ids=start, encoder_hidden_states=memory, encoder_attention_mask=attention_mask, use_cache=False
        ).last_hidden_state[:, 0]
        if model.config.scale_decoder_outputs:
            state = state * model.model_dim**-0.5
        logits = functional.linear(state, model.lm_head.weight.narrow(0, self.first_token_id, self.labels)).float()
        visible = input_ids - self.first_token_id
        is_label = (visible >= 0) & (visible < self.labels)
        # One more column takes what is no label (end of sequence, padding) and is cut off again.
        mask = torch.zeros(len(logits), self.labels + 1, dtype=torch.bool, device=logits.device)
        mask.scatter_(1, visible.where(is_label, self.labels), True)
        return logits.masked_fill(mask[:, :-1], -torch.inf).log_softmax(-1)

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
