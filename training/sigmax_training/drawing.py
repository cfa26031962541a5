"""Which share of the rows a row belongs to: by what its key is, so that every run and every machine agrees.

A row's number is drawn from its key, the seed and a purpose, and from nothing else: rows that are added or
moved leave the others where they are. Rows of one key have one number, so they are never divided.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from sigmax_training.reading import is_integer

U64 = npt.NDArray[np.uint64]
F64 = npt.NDArray[np.float64]


def keys_of_texts(texts: Iterable[str]) -> U64:
    """A number for each key, (n_samples,): equal texts have equal numbers.

    A canonical integer is itself, so that a key has one number whether a file holds integers or their texts;
    any other text is the first 8 bytes of its BLAKE2b digest.
    """
    return np.fromiter((_key(text) for text in texts), np.uint64)


def keys_of_integers(numbers: npt.NDArray[np.int64]) -> U64:
    """The same for keys that are integers, (n_samples,)."""
    return numbers.astype(np.int64).view(np.uint64)


def shares(keys: U64, seed: int, purpose: str) -> F64:
    """Where each key falls between 0 and 1, evenly spread, (n_samples,).

    Args:
        keys: (n_samples,).
        seed: of the job.
        purpose: what is drawn; two purposes are independent of each other.

    Returns:
        In [0, 1), in steps of 2**-53. The finaliser is that of SplitMix64 (Steele, Lea and Flood 2014).
    """
    salt = hashlib.blake2b(f"{seed}:{purpose}".encode(), digest_size=8).digest()
    mixed = _mix(_mix(keys) ^ np.uint64(int.from_bytes(salt, "little")))
    return np.asarray((mixed >> np.uint64(11)).astype(np.float64) * 2.0**-53)


def _mix(values: U64) -> U64:
    """SplitMix64's finaliser: every bit of the input moves half of the bits of the output."""
    mixed = values + np.uint64(0x9E3779B97F4A7C15)  # wraps around, as arrays do without a word
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(mixed ^ (mixed >> np.uint64(31)))


def _key(text: str) -> int:
    if is_integer(text):
        return int(text) % 2**64
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")
