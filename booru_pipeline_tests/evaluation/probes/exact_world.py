"""A made world whose probabilities are known: posts of a few kinds, with one label of each of some slots."""

from functools import cached_property

import numpy as np
from scipy.special import expit, logit

from booru_pipeline.dataset.posts import incidence
from booru_pipeline.evaluation.probes.counts import Split
from booru_pipeline_tests.evaluation.probes.known_scores import vocabulary_of

KINDS, SLOTS, CHOICES = 6, 12, 4


class ExactWorld:
    """Every post has one label of each slot, drawn by its kind, and the kind is not told.

    All posts have the same number of labels, so that which ones are visible says nothing but that they are there.
    """

    def __init__(self, posts: int = 4_000, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        self.labels = SLOTS * CHOICES
        self.vocabulary = vocabulary_of(
            *(f"slot_{slot}_{choice}" for slot in range(SLOTS) for choice in range(CHOICES))
        )
        self.chance = rng.dirichlet(np.full(CHOICES, 0.3), size=(KINDS, SLOTS))  # [kinds, slots, choices]
        self.train, self.test = (self._posts(rng, posts) for _ in range(2))

    def _posts(self, rng, posts):
        kind = rng.integers(KINDS, size=posts)
        below = self.chance.cumsum(axis=-1)[kind]  # [posts, slots, choices]
        choice = (rng.random((posts, SLOTS, 1)) > below).sum(axis=-1).clip(max=CHOICES - 1)
        return Split(incidence(list(choice + CHOICES * np.arange(SLOTS)), self.labels))

    @cached_property
    def exact(self):
        return Sure(self, 1.0)


class Sure:
    """Says the true probabilities with their log-odds times something: 1 is exact, more is too sure."""

    def __init__(self, world: ExactWorld, times: float) -> None:
        self.world, self.times = world, times

    def probabilities(self, contexts):
        flat = self.world.chance.reshape(KINDS, -1)
        rows = []
        for context in contexts:
            kinds = np.exp(np.log(flat[:, list(context)]).sum(axis=1))
            row = kinds @ flat / kinds.sum()
            for label in context:  # the slot is taken
                row[label // CHOICES * CHOICES :][:CHOICES] = 0
            rows.append(row)
        return np.where(np.array(rows) > 0, expit(self.times * logit(np.clip(rows, 1e-12, 1 - 1e-12))), 0)

    def scores(self, contexts, batch_size=256):
        return self.probabilities(contexts).astype(np.float32)
