"""All labels as a prefix tree of their tokens: labels that begin alike share the nodes of what they begin with."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from booru_pipeline.ragged import IntArray


@dataclass(frozen=True)
class PrefixTree:
    """Nodes in depth-first order, parents before their children: a subtree is a range of nodes.

    A node stands for the tokens from the root down to its own. The first nodes are what every answer begins with, one
    below the other, and the labels branch off the last of them.

    Attributes:
        tokens: int64 [nodes], the token that leads from the parent to the node.
        parents: int64 [nodes]; -1 for the first.
        depths: int64 [nodes], tokens before the node's own; 0 for the first.
        stops: int64 [nodes], one past the last node of the subtree.
        paths: int64 [labels, longest], the nodes from the first to the one that is the whole label, filled up with -1.
        ends: int64 [labels], the node that is the whole label.
        root: The node that the labels branch off.
    """

    tokens: IntArray
    parents: IntArray
    depths: IntArray
    stops: IntArray
    paths: IntArray
    ends: IntArray
    root: int

    @classmethod
    def of(cls, tokens: IntArray, offsets: IntArray, before: Sequence[int]) -> "PrefixTree":
        """The tree of some labels.

        Args:
            tokens: int64 [total], the labels' tokens one after another.
            offsets: int64 [labels + 1]; label i has `tokens[offsets[i]:offsets[i + 1]]`.
            before: What every answer has before the label, at least one token.
        """
        sizes = np.diff(offsets) + len(before)
        words = np.full((len(sizes), int(sizes.max())), -1, dtype=np.int64)
        words[:, : len(before)] = before
        label = np.repeat(np.arange(len(sizes)), np.diff(offsets))
        words[label, len(before) + np.arange(len(tokens)) - offsets[label]] = tokens
        order = np.lexsort(words.T[::-1])
        words = words[order]
        # A place is a new node if the word differs from the one before it, there or earlier.
        new = np.ones(words.shape, dtype=bool)
        new[1:] = np.logical_or.accumulate(words[1:] != words[:-1], axis=1)
        new &= words >= 0
        word, depths = np.nonzero(new)
        paths = np.full(words.shape, -1, dtype=np.int64)
        paths[word, depths] = np.arange(len(word))
        paths = np.where(words >= 0, np.maximum.accumulate(paths, axis=0), -1)
        parents = np.where(depths > 0, paths[word, depths - 1], -1)
        counts = np.ones(len(word), dtype=np.int64)
        for depth in range(int(depths.max()), 0, -1):
            nodes = np.flatnonzero(depths == depth)
            np.add.at(counts, parents[nodes], counts[nodes])
        unsorted = np.empty_like(paths)
        unsorted[order] = paths
        return cls(
            tokens=words[word, depths],
            parents=parents,
            depths=depths,
            stops=np.arange(len(word)) + counts,
            paths=unsorted,
            ends=unsorted.max(axis=1),
            root=len(before) - 1,
        )

    def __len__(self) -> int:
        return len(self.tokens)

    @cached_property
    def levels(self) -> list[IntArray]:
        """The nodes of each depth below the root, the shallowest first."""
        return [np.flatnonzero(self.depths == depth) for depth in range(self.root + 1, int(self.depths.max()) + 1)]

    def above(self, labels: IntArray) -> IntArray:
        """The nodes that lead to some labels, their own included, ascending; int64 [nodes of these labels]."""
        nodes = np.unique(self.paths[labels])
        return nodes[nodes >= 0]

    def packs(self, size: int, nodes: IntArray | None = None) -> list[tuple[IntArray, int]]:
        """Cut the tree, or some of its nodes, into runs that can be worked on one after another.

        A run lacks at most the nodes above its first one, for in depth-first order whatever else is above a node of
        the run lies in it. These are put before it.

        Args:
            size: Nodes of a run, at most.
            nodes: Those of interest, ascending, with every node above them; all if None.

        Returns:
            For each run its nodes, ascending, and how many of them are there for being above the others.
        """
        wanted = np.arange(len(self)) if nodes is None else nodes
        packs = []
        for start in range(0, len(wanted), size):
            run = wanted[start : start + size]
            above = np.flatnonzero(self.stops[: run[0]] > run[0])  # the earlier nodes whose subtree holds it
            packs.append((np.concatenate([above, run]), len(above)))
        return packs
