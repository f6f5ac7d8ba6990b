"""Captions as pairs of input and target tokens: what is seen of a caption, and what is to be said about the rest.

Three kinds, each post getting one of them each epoch by weight:

- caption completion: whole labels are hidden; the target is these labels.
- label completion: single tokens are hidden; the target is the labels that lost any. With one token a label it is the
  same as the first.
- span corruption, T5's own (Raffel et al. 2020, section 3.1.4): a sentinel stands for each hidden span in the input;
  the target is each sentinel followed by what it stands for.

Labels are in random order in both, fresh each epoch: a set has no order, and models that were taught one break on it.
"""

from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Final

import numpy as np

from booru_pipeline.dataset.captions import CaptionChoice
from booru_pipeline.dataset.chance import Draw, mix, uniform
from booru_pipeline.dataset.hiding import Hiding, shuffle
from booru_pipeline.dataset.options import MaskingOptions
from booru_pipeline.dataset.posts import Posts
from booru_pipeline.ragged import IntArray, gather, offsets_of, places
from booru_pipeline.vocabulary.vocabulary import SpecialTokens

# Of span corruption, as T5 was trained: the share of tokens that is hidden, and the mean length of a hidden span.
_SPAN_DENSITY: Final = 0.15
_SPAN_LENGTH: Final = 3.0


class Kind(IntEnum):
    """The kind of hiding: labels, tokens of labels, or spans of tokens."""

    CAPTION_COMPLETION = 0
    LABEL_COMPLETION = 1
    SPAN_CORRUPTION = 2


@dataclass(frozen=True)
class Example:
    """A caption with something hidden.

    Attributes:
        kind: What.
        source: int64 [tokens], the input with end of sequence.
        target: int64 [tokens], the answer with end of sequence.
    """

    kind: Kind
    source: IntArray
    target: IntArray


@dataclass(frozen=True)
class Masking:
    """Makes examples of posts, a pure function of (seed, epoch, post).

    Attributes:
        choice: Which labels a caption keeps, and its encoding.
        options: What is hidden.
        special: End of sequence and sentinels.
        seed: Another seed hides others.
    """

    choice: CaptionChoice
    options: MaskingOptions
    special: SpecialTokens
    seed: int = 0

    def examples(self, posts: Posts, epoch: int, kind: Kind | None = None) -> list[Example]:
        """An example of each post, all of one kind, or of kinds by weight if that is None.

        A post has at least two labels. Another epoch hides others.
        """
        chosen = shuffle(self.choice.choose(posts, epoch), self.seed, epoch)
        kinds = self._kinds(chosen, epoch) if kind is None else np.full(len(chosen), kind)
        by_span = kinds == Kind.SPAN_CORRUPTION
        corrupted = iter(self._corrupt(chosen.take(np.flatnonzero(by_span)), epoch))
        by_token = kinds[~by_span] == Kind.LABEL_COMPLETION
        hidden = iter(self._hide(chosen.take(np.flatnonzero(~by_span)), by_token, epoch))
        return [next(corrupted if corrupt else hidden) for corrupt in by_span]

    def _kinds(self, posts: Posts, epoch: int) -> IntArray:
        weights = np.array([self.options.label_masking, self.options.token_masking, self.options.span_corruption])
        return np.searchsorted(
            np.cumsum(weights / weights.sum())[:-1], uniform(self.seed, Draw.KIND, epoch, posts.keys), side="right"
        )

    def _hide(self, posts: Posts, by_token: np.ndarray, epoch: int) -> list[Example]:
        if not len(posts):
            return []
        encoding = self.choice.encoding
        tokens, offsets = gather(encoding.tokens, encoding.offsets, posts.rows)
        label = np.repeat(np.arange(len(posts.rows)), np.diff(offsets))
        owner = posts.owner
        post = owner[label]
        hidden = np.where(
            by_token[post],
            self._hidden_tokens(posts, post, epoch),
            self._hidden_labels(posts, np.diff(offsets), epoch)[label],
        )
        incomplete = np.bincount(label[hidden], minlength=len(posts.rows)) > 0
        sources = self._sequences(tokens[~hidden], label[~hidden], post[~hidden], len(posts))
        asked = incomplete[label]
        targets = self._sequences(tokens[asked], label[asked], post[asked], len(posts))
        return [
            Example(Kind(int(kind)), source, target)
            for kind, source, target in zip(by_token, sources, targets, strict=True)
        ]

    def _hidden_labels(self, posts: Posts, sizes: IntArray, epoch: int) -> np.ndarray:
        """bool [labels]: the last ones of each post, which is in random order."""
        hiding = replace(Hiding.of(self.options, self.seed), cap=0, single=0.0)  # of tokens, not of labels
        owner = posts.owner
        from_end = posts.offsets[1:][owner] - 1 - np.arange(len(owner))
        hidden = from_end < hiding.hidden_counts(posts.sizes, posts.keys, epoch)[owner]
        if self.options.max_hidden_tokens:
            ends = offsets_of(sizes)
            tokens_from_end = ends[posts.offsets[1:]][owner] - ends[:-1]
            hidden &= (tokens_from_end <= self.options.max_hidden_tokens) | (from_end == 0)
        return hidden

    def _hidden_tokens(self, posts: Posts, post: IntArray, epoch: int) -> np.ndarray:
        """bool [tokens]: as many of each post as its share says, anywhere."""
        hiding = Hiding.of(self.options, self.seed)
        sizes = np.bincount(post, minlength=len(posts))
        within = places(offsets_of(sizes))
        chance = uniform(self.seed, Draw.TOKEN, epoch, posts.keys[post], within)
        place = np.empty(len(post), dtype=np.int64)
        place[np.lexsort((chance, post))] = within
        return place < hiding.hidden_counts(sizes, posts.keys, epoch)[post]

    def _sequences(self, tokens: IntArray, label: IntArray, post: IntArray, posts: int) -> list[IntArray]:
        """Tokens of some labels, separators between two labels, and end of sequence, post by post."""
        ends = np.cumsum(np.bincount(post, minlength=posts))
        at, what = ends, np.full(posts, self.special.eos)
        if self.choice.encoding.separator is not None:
            gaps = 1 + np.flatnonzero((label[1:] != label[:-1]) & (post[1:] == post[:-1]))
            at = np.concatenate([ends, gaps])
            what = np.concatenate([what, np.full(len(gaps), self.choice.encoding.separator)])
            ends = ends + np.cumsum(np.bincount(post[gaps], minlength=posts))
        sequences = np.insert(tokens, at, what)
        return np.split(sequences, (ends + np.arange(1, posts + 1))[:-1])

    def _corrupt(self, posts: Posts, epoch: int) -> list[Example]:
        seeds = mix(self.seed, Draw.SPANS, epoch, posts.keys)
        return [
            self._with_sentinels(
                np.array(self.choice.encoding.encode(posts.rows[start:end].tolist()), dtype=np.int64),
                np.random.default_rng(int(seed)),
            )
            for start, end, seed in zip(posts.offsets[:-1], posts.offsets[1:], seeds, strict=True)
        ]

    def _with_sentinels(self, tokens: IntArray, random: np.random.Generator) -> Example:
        # As `random_spans_noise_mask` of google-research/text-to-text-transfer-transformer: kept and hidden spans take
        # turns, a kept one first, and the lengths of each are a random partition.
        hidden = int(np.clip(round(len(tokens) * _SPAN_DENSITY), 1, len(tokens) - 1))
        if self.options.max_hidden_tokens:
            hidden = min(hidden, self.options.max_hidden_tokens)
        spans = int(np.clip(round(hidden / _SPAN_LENGTH), 1, min(hidden, len(tokens) - hidden)))
        spans = min(spans, len(self.special.sentinels))
        kept_lengths = _partition(len(tokens) - hidden, spans, random)
        hidden_lengths = _partition(hidden, spans, random)
        cuts = np.cumsum(np.stack([kept_lengths, hidden_lengths], axis=1).ravel())[:-1]
        parts = np.split(tokens, cuts)
        source: list[IntArray] = []
        target: list[IntArray] = []
        for sentinel, kept, span in zip(self.special.sentinels, parts[::2], parts[1::2], strict=False):
            source += [kept, np.array([sentinel])]
            target += [np.array([sentinel]), span]
        end = np.array([self.special.eos])
        return Example(Kind.SPAN_CORRUPTION, np.concatenate([*source, end]), np.concatenate([*target, end]))


def _partition(total: int, parts: int, random: np.random.Generator) -> IntArray:
    """`total` as a sum of `parts` positive numbers, every way equally likely."""
    cuts = np.sort(random.choice(total - 1, parts - 1, replace=False)) + 1
    return np.diff(cuts, prepend=0, append=total)
