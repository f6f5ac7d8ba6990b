"""T5's decoder over many nodes of a prefix tree at once: each attends to the nodes above it, and to itself."""

from typing import Any, Final

import numpy as np
import torch
from torch.nn import functional

from booru_pipeline.model.ranking.prefix_tree import PrefixTree
from booru_pipeline.ragged import IntArray

# Of the output layer at a time. A block of logits then stays in the processor's cache from the product to the sum:
# on one core, 32,200 pieces of width 128, 0.08 s for 1,024 nodes; 0.26 s with one product and logsumexp.
_PIECES_AT_ONCE: Final = 2048
_PIECES_AT_ONCE_ON_GPU: Final = 16_384


class TreeDecoder:
    """The decoder, its output layer and a tree.

    The layers are the model's own. Only what places a token differs: T5 has no positions but the bias by distance, and
    the distance of two nodes is that of their depths.

    Args:
        model: The T5.
        tree: Of the labels.
        pieces: How many rows of the output layer answers are made of; they are the first ones.
        ends: Tokens that end a label.
    """

    def __init__(self, model: Any, tree: PrefixTree, pieces: int, ends: list[int]) -> None:
        self._model = model
        self._tree = tree
        self._pieces = pieces
        self._ends = ends
        # Beyond the last node stands one that fills packs up to one length; it is above no node but itself.
        self._tokens = np.append(tree.tokens, model.config.pad_token_id)
        self._depths = np.append(tree.depths, 0)
        self._stops = np.append(tree.stops, len(tree) + 1)
        self._parents = np.append(np.maximum(tree.parents, 0), len(tree))

    def bytes_a_node(self, width: int) -> int:
        """About what one node of a pack takes while it is worked on.

        Args:
            width: Nodes of a pack; each may attend to all of them.
        """
        config = self._model.config
        states = 8 * max(config.d_model, config.num_heads * config.d_kv) + 4 * config.d_ff
        return 4 * (states + config.num_heads * width + min(self._pieces_at_once, self._pieces))

    def measure(self, memory: torch.Tensor, mask: torch.Tensor, nodes: IntArray) -> torch.Tensor:
        """Run the decoder, and give its logits at some nodes, not summed up along the paths.

        Args:
            memory: The encoder's output, [posts, tokens, d_model].
            mask: Which of it is not padding, int64 [posts, tokens].
            nodes: int64 [posts, width], or [1, width] for the same of all posts: in each row ascending, with every node
                above them, filled up with the number of nodes in the tree.

        Returns:
            float32 [3, posts, width]: the logit of the node's token at its parent, 0 for the first node; the log of the
            summed exponentials of the ends' logits at the node; and the same of all pieces' logits, which is what to
            subtract from either.
        """
        state = self._states(memory, mask, nodes)
        weight = self._model.lm_head.weight
        if self._model.config.scale_decoder_outputs:
            state = state * self._model.model_dim**-0.5
        parents = np.stack([np.searchsorted(row, self._parents[row]) for row in nodes])
        at_parent = state.gather(1, self._to(parents)[..., None].expand(*state.shape))
        step = (at_parent * weight[self._to(self._tokens[nodes])]).float().sum(-1)
        end = functional.linear(state, weight[self._ends]).float().logsumexp(-1)
        return torch.stack([step, end, self._norm(state.flatten(0, 1)).view(end.shape)])

    def _states(self, memory: torch.Tensor, mask: torch.Tensor, nodes: IntArray) -> torch.Tensor:
        """The decoder's output, [posts, width, d_model]; as `T5Stack.forward` but for mask and bias."""
        decoder = self._model.decoder
        state = decoder.embed_tokens(self._to(self._tokens[nodes])).expand(len(memory), -1, -1)
        lowest = torch.finfo(state.dtype).min
        stops = self._stops[nodes]
        above = (nodes[:, None, :] <= nodes[:, :, None]) & (nodes[:, :, None] < stops[:, None, :])
        among = torch.zeros(above.shape, dtype=state.dtype, device=state.device)
        among.masked_fill_(self._to(~above), lowest)
        unseen = (mask[:, None, None, :] == 0).to(state.dtype) * lowest
        bias = self._bias(nodes)
        for block in decoder.block:
            state = block(
                state,
                attention_mask=among[:, None],
                position_bias=bias,
                encoder_hidden_states=memory,
                encoder_attention_mask=unseen,
            )[0]
        normed: torch.Tensor = decoder.final_layer_norm(state)
        return normed

    def _bias(self, nodes: IntArray) -> torch.Tensor:
        """T5's bias by distance, [posts or 1, heads, width, width]."""
        attention = self._model.decoder.block[0].layer[0].SelfAttention
        depths = self._depths[nodes]
        farthest = int(depths.max())
        # The last row of what the model computes for a chain: distances farthest, ..., 1, 0.
        by_distance = attention.compute_bias(farthest + 1, farthest + 1)[0, :, -1].flip(-1)
        distances = np.maximum(depths[:, :, None] - depths[:, None, :], 0)
        bias: torch.Tensor = by_distance[:, self._to(distances)].transpose(0, 1)
        return bias

    def _norm(self, state: torch.Tensor) -> torch.Tensor:
        """Log of the summed exponentials of all pieces' logits; float32 [nodes]."""
        highest = torch.full((len(state), 1), -torch.inf, device=state.device)
        total = torch.zeros_like(highest)
        for weight in self._model.lm_head.weight[: self._pieces].split(self._pieces_at_once):
            logits = functional.linear(state, weight).float()
            before, highest = highest, torch.maximum(highest, logits.amax(-1, keepdim=True))
            total.mul_((before - highest).exp_()).add_(logits.sub_(highest).exp_().sum(-1, keepdim=True))
        return (highest + total.log())[:, 0]

    @property
    def _pieces_at_once(self) -> int:
        return _PIECES_AT_ONCE if self._model.device.type == "cpu" else _PIECES_AT_ONCE_ON_GPU

    def _to(self, array: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(array).to(self._model.device)
