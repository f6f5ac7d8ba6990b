"""Near-duplicates: posts of the same artists and characters whose other tags are nearly the same.

Candidates come from MinHash (rensa) and each is then compared in full, so no pair is false. Of two posts at exactly the
threshold one pair in a million is missed, fewer above it: see `banding`.

rensa gives the same digests on one thread or two, with or without AVX, and whatever the order of posts and tags. It was
chosen over an exact join and two other packages for time and memory: benchmarks/RESULTS.md.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from rensa import RMinHash, RMinHashLSH
from scipy.sparse import coo_array, csr_array
from scipy.sparse.csgraph import connected_components

from booru_pipeline.dataset.chance import mix
from booru_pipeline.ragged import IntArray, gather, offsets_of
from booru_pipeline.tags import Category

HashArray = npt.NDArray[np.uint64]
BoolArray = npt.NDArray[np.bool_]

_NAMES: Final = (Category.ARTIST, Category.CHARACTER)
_NOT_CONTENT: Final = (Category.ARTIST, Category.META)

_SEED: Final = 20210401
_MISSED: Final = 1e-6  # of pairs at exactly the threshold
_ROWS: Final = 8  # of a band, at most: more bands than _BANDS cost more than the false candidates that they spare
_BANDS: Final = 64
# In a band's bucket each post is compared with at most this many new posts, so that the cost of a bucket grows with its
# posts and not with their square.
_HUBS: Final = 32
_DIGEST_ROWS: Final = 16_384  # rensa hands digests over as Python lists; so many at a time


@dataclass(frozen=True)
class TagSets:
    """Posts as near-duplicates are told by. Tags and pictures are 64-bit hashes.

    Attributes:
        tokens: uint64 [total], the posts' content tags (all but artist and meta), one post after another.
        offsets: int64 [posts + 1]; post i has `tokens[offsets[i]:offsets[i + 1]]`.
        pictures: uint64 [posts].
        blocks: uint64 [posts], of the artists and the characters: only posts of one block are compared.
        signatures: uint64 [posts], of the block and the content tags: equal for equal posts, in any order of tags.
    """

    tokens: HashArray
    offsets: IntArray
    pictures: HashArray
    blocks: HashArray
    signatures: HashArray

    @classmethod
    def of(cls, tokens: pa.ListArray, categories: pa.ListArray, pictures: pa.Array) -> "TagSets":
        """Build the sets of many posts.

        Args:
            tokens: list of uint64, the hashes of a post's tags.
            categories: list of int8, parallel to tokens.
            pictures: uint64, the hash of each post's picture.
        """
        offsets = offsets_of(tokens.value_lengths())
        hashes, category = tokens.flatten().to_numpy(), categories.flatten().to_numpy()
        name, content = np.isin(category, _NAMES), ~np.isin(category, _NOT_CONTENT)
        # Sums of well mixed hashes do not depend on the order of the tags.
        names = mix(hashes[name] + category[name].astype(np.uint64))
        blocks = mix(_sums(names, offsets_of(name)[offsets]))
        content_offsets = offsets_of(content)[offsets]
        hashes = hashes[content]
        signatures = mix(blocks + _sums(mix(hashes), content_offsets))
        return cls(hashes, content_offsets, pictures.to_numpy(), blocks, signatures)

    @classmethod
    def concatenate(cls, parts: Sequence["TagSets"]) -> "TagSets":
        """The posts of several, one after another."""
        return cls(
            np.concatenate([part.tokens for part in parts]),
            offsets_of(np.concatenate([part.sizes for part in parts])),
            *(np.concatenate([getattr(part, name) for part in parts]) for name in ("pictures", "blocks", "signatures")),
        )

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def sizes(self) -> IntArray:
        """int64 [posts]: how many content tags each post has."""
        return np.diff(self.offsets)

    def take(self, index: IntArray) -> "TagSets":
        """The posts at these positions, in this order."""
        tokens, offsets = gather(self.tokens, self.offsets, index)
        return TagSets(tokens, offsets, self.pictures[index], self.blocks[index], self.signatures[index])


def banding(jaccard: float) -> tuple[int, int]:
    """Bands and rows of the MinHash index for a threshold.

    A band holds two posts of similarity J together with probability J^rows, so a pair at the threshold is missed with
    probability (1 - J^rows)^bands, which is below 1e-6: at 0.9 by 25 bands of 8 rows. rensa's hashes of one post are
    not quite independent, to our advantage: of 40,000 pairs at 0.9, 4 bands miss 7.6 %, and the formula says 10.5 %.
    """
    for rows in range(_ROWS, 0, -1):
        chance = jaccard**rows
        bands = 1 if chance == 1 else math.ceil(math.log(_MISSED) / math.log1p(-chance))
        if bands <= _BANDS:
            break
    return bands, rows


def near_duplicates(sets: TagSets, new: BoolArray, jaccard: float, min_tags: int) -> IntArray:
    """Links between near-duplicates: enough of them that posts which are near-duplicates of each other are connected.

    Posts are near-duplicates if their artists are the same set, their characters are, and the Jaccard similarity of
    their content tags is at least the threshold. Pairs of two old posts are not looked for. Two old posts are linked
    only if their sets are equal and a new post is a near-duplicate of both.

    What it costs grows with the posts that are alike, not with their square: equal sets are compared once, posts that
    are connected already are not compared again, and where more than 32 new posts share a band of the index, posts are
    compared with 32 of these. In such a crowd a pair may be missed; it has 24 more bands to be found in.

    Args:
        sets: The posts.
        new: bool [posts], the posts of which links are wanted.
        jaccard: The threshold, above 0.
        min_tags: Posts with fewer content tags are alike by chance and have no near-duplicates.

    Returns:
        int64 [links, 2], positions in `sets`. The same for the same posts in another order, up to the choice of links.
    """
    posts = _in_question(sets, new, min_tags)
    posts = posts[np.argsort(sets.signatures[posts], kind="stable")]
    if not len(posts):
        return np.empty((0, 2), np.int64)
    starts, sizes = _runs(sets.signatures[posts])
    first, kind = posts[starts], np.repeat(np.arange(len(starts)), sizes)
    is_new = np.logical_or.reduceat(new[posts], starts)
    links = _links(sets.take(first), is_new, jaccard)
    used = is_new.copy()
    used[links.ravel()] = True
    equal = np.column_stack([first[kind], posts])[used[kind]]
    return np.concatenate([first[links], equal[equal[:, 0] != equal[:, 1]]])


def _in_question(sets: TagSets, new: BoolArray, min_tags: int) -> IntArray:
    """Posts with enough tags, of blocks that hold a new post and two pictures."""
    posts = np.flatnonzero(sets.sizes >= min_tags)
    if not len(posts):
        return posts
    posts = posts[np.argsort(sets.blocks[posts], kind="stable")]
    starts, sizes = _runs(sets.blocks[posts])
    pictures = sets.pictures[posts]
    several = np.minimum.reduceat(pictures, starts) != np.maximum.reduceat(pictures, starts)
    wanted = several & np.logical_or.reduceat(new[posts], starts)
    return posts[np.repeat(wanted, sizes)]


def _links(sets: TagSets, new: BoolArray, jaccard: float) -> IntArray:
    """Links between posts whose sets all differ. int64 [links, 2]."""
    links = [np.empty((0, 2), np.int64)]
    if jaccard == 1:
        return links[0]
    bands, rows = banding(jaccard)
    index = RMinHashLSH(jaccard, bands * rows, bands)
    shares_band = index.query_duplicate_flags_matrix_one_shot(_digests(sets, bands * rows))
    candidates = np.flatnonzero(shares_band)
    if not len(candidates):
        return links[0]
    sets, new = sets.take(candidates), new[candidates]
    compare = _Comparison(sets, jaccard)
    component = np.arange(len(sets))
    for keys in _band_keys(sets, bands, rows):
        for left, right in _pairs(keys, new, component):
            alike = compare(left, right)
            if alike.any():
                links.append(np.column_stack([left[alike], right[alike]]))
                component[:] = components(np.concatenate(links), len(sets))
    return candidates[np.concatenate(links)]


def _pairs(keys: HashArray, new: BoolArray, component: IntArray) -> Iterator[tuple[IntArray, IntArray]]:
    """Pairs of posts with the same key that are not connected yet: all posts with the first new one, the second, ...

    Args:
        keys: uint64 [posts].
        new: bool [posts]; one of a pair is new.
        component: int64 [posts], read anew for each step: the caller joins what it finds alike.
    """
    order = np.lexsort((~new, keys))
    starts, sizes = _runs(keys[order])
    new_posts = np.add.reduceat(new[order].astype(np.int64), starts)
    hubs = np.minimum(new_posts, _HUBS)
    for step in range(_HUBS):
        components = component[order]
        open_ = (hubs > step) & (np.minimum.reduceat(components, starts) != np.maximum.reduceat(components, starts))
        if not open_.any():
            return
        size = sizes[open_]
        hub = order[starts[open_] + step * new_posts[open_] // hubs[open_]]
        left = np.repeat(hub, size)
        right = order[np.repeat(starts[open_] - offsets_of(size)[:-1], size) + np.arange(size.sum())]
        apart = component[left] != component[right]
        yield left[apart], right[apart]


class _Comparison:
    """Compares posts in full."""

    def __init__(self, sets: TagSets, jaccard: float) -> None:
        _, columns = np.unique(sets.tokens, return_inverse=True)
        self._tags = csr_array(
            (np.ones(len(columns), np.int32), columns, sets.offsets),
            shape=(len(sets), columns.max() + 1),
        )
        self._tags.sort_indices()
        self._sizes = sets.sizes
        self._blocks = sets.blocks
        self._jaccard = jaccard
        # One bit a tag: posts differ in at least as many tags as in bits.
        bits = np.uint64(1) << (sets.tokens & np.uint64(63))
        self._bits = np.bitwise_or.reduceat(bits, sets.offsets[:-1])

    def __call__(self, left: IntArray, right: IntArray) -> BoolArray:
        """bool [pairs]: whether the posts at these positions are near-duplicates."""
        total = self._sizes[left] + self._sizes[right]
        differ = np.bitwise_count(self._bits[left] ^ self._bits[right])
        alike = (self._blocks[left] == self._blocks[right]) & (
            differ <= total * (1 - self._jaccard) / (1 + self._jaccard) + 1e-6
        )
        left, right, total = left[alike], right[alike], total[alike]
        common = np.asarray(self._tags[left].multiply(self._tags[right]).sum(axis=1)).ravel()
        alike[alike] = common / (total - common) >= self._jaccard
        return alike


def _digests(sets: TagSets, width: int) -> Any:
    """rensa's matrix of MinHash digests, one row a post."""
    tokens = mix(sets.tokens + np.repeat(sets.blocks, sets.sizes))  # so that posts of two blocks have none in common
    return RMinHash.digest_matrix_from_flat_token_hashes(tokens, sets.offsets.astype(np.uint64), width, _SEED)


def _band_keys(sets: TagSets, bands: int, rows: int) -> HashArray:
    """uint64 [bands, posts]: equal where a band's rows of the digest are."""
    weights = mix(np.arange(1, rows + 1, dtype=np.uint64))
    keys = np.empty((bands, len(sets)), np.uint64)
    for start in range(0, len(sets), _DIGEST_ROWS):
        posts = np.arange(start, min(start + _DIGEST_ROWS, len(sets)))
        digests = np.array(_digests(sets.take(posts), bands * rows).to_rows(), np.uint64)
        keys[:, posts] = (digests.reshape(-1, bands, rows) * weights).sum(axis=2).T
    return keys


def components(links: IntArray, posts: int) -> IntArray:
    """int64 [posts]: equal for posts that links, int64 [links, 2], connect, directly or through others."""
    graph = coo_array((np.ones(len(links), np.bool_), (links[:, 0], links[:, 1])), shape=(posts, posts))
    _, component = connected_components(graph, directed=False)
    return component.astype(np.int64)


def _sums(values: HashArray, offsets: IntArray) -> HashArray:
    """Sums over consecutive runs, modulo 2^64; a run may be empty."""
    sums = np.zeros(len(values) + 1, np.uint64)
    np.cumsum(values, out=sums[1:])
    return np.diff(sums[offsets])


def _runs(values: npt.NDArray) -> tuple[IntArray, IntArray]:
    """Where the runs of equal values begin, and how long they are."""
    starts = np.flatnonzero(np.append(True, values[1:] != values[:-1])[: len(values)])
    return starts, np.diff(starts, append=len(values))
