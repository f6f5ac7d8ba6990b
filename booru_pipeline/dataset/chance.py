"""Random numbers that are a pure function of what they are for, such as (seed, epoch, post).

A counter-based generator (SplitMix64, Steele, Lea and Flood 2014, "Fast splittable pseudorandom number generators")
gives each item its number without a generator of its own, so that neither the composition of a batch nor what was drawn
before changes it, and a run can be repeated and resumed exactly.
"""

import hashlib
from enum import IntEnum

import numpy as np
import numpy.typing as npt

Part = int | np.integer | npt.NDArray[np.integer]


class Draw(IntEnum):
    """The decision that a number is for: one draw says nothing about another."""

    SHARE = 1
    ORDER = 2
    CHOICE = 3
    KIND = 4
    TOKEN = 5
    SPANS = 6
    SHARE_KIND = 7
    SINGLE = 8


def mix(*parts: Part) -> npt.NDArray[np.uint64]:
    """Hash integers, or arrays of them element by element, to 64 bits."""
    state = np.zeros((), dtype=np.uint64)
    with np.errstate(over="ignore"):
        for part in parts:
            state = state + np.asarray(part).astype(np.uint64, copy=False) + np.uint64(0x9E3779B97F4A7C15)
            state ^= state >> np.uint64(30)  # in place: millions of tags are mixed at once
            state *= np.uint64(0xBF58476D1CE4E5B9)
            state ^= state >> np.uint64(27)
            state *= np.uint64(0x94D049BB133111EB)
            state ^= state >> np.uint64(31)
    return state


def uniform(*parts: Part) -> npt.NDArray[np.float64]:
    """A number in [0, 1) for what `mix` takes."""
    return np.asarray((mix(*parts) >> np.uint64(11)) * 2.0**-53, dtype=np.float64)


def post_keys(boorus: npt.NDArray[np.object_], fids: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Numbers that posts are known by to everything random, int64 [posts], not negative: a hash of booru and fid."""
    names, which = np.unique(boorus.astype(str), return_inverse=True)
    hashes = [int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "little") for name in names]
    return (mix(np.array(hashes, dtype=np.uint64)[which], fids) >> np.uint64(1)).astype(np.int64)
