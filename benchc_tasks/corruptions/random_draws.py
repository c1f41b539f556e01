"""Random numbers without a generator: every draw is a hash of its position and a key.

There is no state, so draws do not depend on the order, the thread or the process in which they are made, and a draw
can be made where it is needed. The hash is two rounds of a 32-bit integer mixer, each with half of a 64-bit key.

All arithmetic stays below 2**63 and is masked to 32 bits, so that compiled int64, numpy and plain Python integers
agree. What is not an integer is built from a table of rounded numbers by ``+`` and ``*`` alone.
"""

import hashlib
from functools import cache
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchc_tasks.corruptions.compiled import compiled
from benchc_tasks.corruptions.exact_math import exponential

__all__ = ["Key", "normals", "poisson_counts", "shifts", "uniform", "uniforms", "words"]


class Key(NamedTuple):
    """Which stream of random numbers: two 32-bit halves."""

    low: int
    high: int

    @classmethod
    def of(cls, *parts: object) -> "Key":
        """Derive a key from anything whose text is stable, such as a seed and a corruption's name.

        Parameters
        ----------
        *parts : object
            Integers and strings; their order matters.

        Returns
        -------
        Key
            The same for the same parts on every machine.
        """
        text = "\x1f".join(str(part) for part in parts)
        digest = hashlib.blake2b(text.encode(), digest_size=8).digest()
        return cls(int.from_bytes(digest[:4], "little"), int.from_bytes(digest[4:], "little"))

    def derive(self, label: str) -> "Key":
        """Return the key of another stream of the same corruption, such as an angle beside a noise field.

        Parameters
        ----------
        label : str
            What the stream is for.

        Returns
        -------
        Key
            A key unrelated to this one.
        """
        return Key.of(self.low, self.high, label)


@compiled
def _word(index: int, low: int, high: int) -> int:
    """Return the 32 random bits at position `index` of the stream (`low`, `high`)."""
    bits = (index ^ low) & 0xFFFFFFFF
    bits = ((bits ^ (bits >> 16)) * 0x21F0AAAD) & 0xFFFFFFFF
    bits = ((bits ^ (bits >> 15)) * 0x735A2D97) & 0xFFFFFFFF
    bits = (bits ^ (bits >> 15)) ^ high
    bits = ((bits ^ (bits >> 16)) * 0x21F0AAAD) & 0xFFFFFFFF
    bits = ((bits ^ (bits >> 15)) * 0x735A2D97) & 0xFFFFFFFF
    return bits ^ (bits >> 15)


@compiled
def _fill_words(out: NDArray[np.uint32], low: int, high: int) -> None:
    for i in range(out.size):
        out[i] = _word(i, low, high)


def words(count: int, key: Key) -> NDArray[np.uint32]:
    """Draw 32-bit words.

    Parameters
    ----------
    count : int
        How many.
    key : Key
        The stream.

    Returns
    -------
    ndarray of uint32, shape (count,)
        Uniform over all words.
    """
    out = np.empty(count, np.uint32)
    _fill_words(out, key.low, key.high)
    return out


@compiled
def _fill_uniforms(out: NDArray[np.float32], low: int, high: int) -> None:
    unit = np.float32(2.0**-24)
    for i in range(out.size):
        out[i] = np.float32(_word(i, low, high) >> 8) * unit


def uniforms(shape: tuple[int, ...], key: Key) -> NDArray[np.float32]:
    """Draw numbers uniform in [0, 1).

    Parameters
    ----------
    shape : tuple of int
        Shape of the result.
    key : Key
        The stream.

    Returns
    -------
    ndarray of float32
        Multiples of 2**-24.
    """
    out = np.empty(shape, np.float32)
    _fill_uniforms(out.reshape(-1), key.low, key.high)
    return out


def uniform(key: Key, low: float, high: float) -> float:
    """Draw one number.

    Parameters
    ----------
    key : Key
        The stream, of which this is the first draw.
    low, high : float
        The range.

    Returns
    -------
    float
        Uniform in [low, high).
    """
    return low + (high - low) * (int(_word(0, key.low, key.high)) / 2.0**32)


@compiled
def _fill_shifts(out: NDArray[np.int8], low: int, high: int, reach: int) -> None:
    for i in range(out.shape[0]):
        bits = _word(i, low, high)
        out[i, 0] = (((bits & 0xFFFF) * 2 * reach) >> 16) - reach
        out[i, 1] = (((bits >> 16) * 2 * reach) >> 16) - reach


def shifts(shape: tuple[int, ...], key: Key, reach: int) -> NDArray[np.int8]:
    """Draw small displacements.

    Parameters
    ----------
    shape : tuple of int
        Shape of the result without its last axis.
    key : Key
        The stream.
    reach : int
        Displacements are uniform over -reach, ..., reach - 1.

    Returns
    -------
    ndarray of int8, shape (*shape, 2)
        Pairs (dx, dy).
    """
    out = np.empty((*shape, 2), np.int8)
    _fill_shifts(out.reshape(-1, 2), key.low, key.high, reach)
    return out


_LEVELS = 3  # each takes over in the outer 1/64 of the one before
_CELLS = 4096


@cache
def _normal_table() -> NDArray[np.float32]:
    """Return normal quantiles at evenly spaced tail probabilities, three times, ever finer towards the tail.

    Row L, entry j is the quantile of ``(j 2**(19 - 6 L) + 0.5) / 2**32``. Rounding to float32 hides the last bits, in
    which the C library's logarithm may differ between machines; a test holds that no entry is near a rounding edge.
    """
    quantile = NormalDist().inv_cdf
    rows = [
        [quantile((cell * 2.0 ** (19 - 6 * level) + 0.5) / 2.0**32) for cell in range(_CELLS + 1)]
        for level in range(_LEVELS)
    ]
    return np.array(rows, np.float32)


@compiled
def _fill_normals(out: NDArray[np.float32], low: int, high: int, table: NDArray[np.float32]) -> None:
    unit = np.float32(2.0**-19)
    for i in range(out.size):
        bits = _word(i, low, high)
        tail = bits >> 1  # of 2**31: the probability of a more extreme value on this side
        level = 0
        while tail < 1 << 25 and level < 2:
            tail = tail << 6
            level += 1
        cell = tail >> 19
        inner = table[level, cell]
        value = inner + (table[level, cell + 1] - inner) * (np.float32(tail & 0x7FFFF) * unit)
        out[i] = value if bits & 1 else -value


def normals(shape: tuple[int, ...], key: Key) -> NDArray[np.float32]:
    """Draw standard normal numbers, by inverting the distribution function.

    Parameters
    ----------
    shape : tuple of int
        Shape of the result.
    key : Key
        The stream.

    Returns
    -------
    ndarray of float32
        Mean 0, standard deviation 1, tails out to 6.3.
    """
    out = np.empty(shape, np.float32)
    _fill_normals(out.reshape(-1), key.low, key.high, _normal_table())
    return out


_COUNTS = 128  # a Poisson count of mean 60 reaches 128 once in 1e13


@cache
def _poisson_table(photons: float) -> tuple[NDArray[np.uint32], NDArray[np.uint8]]:
    """Return, for each of the 256 grey levels, the distribution function of its photon count, and where to enter it.

    ``bounds[level, k]`` is the largest word that gives a count of at most k; ``entry[level, b]`` is the least count of
    any word whose upper byte is b, from where the search goes up.
    """
    means = np.arange(256) * photons / 255.0
    probability = np.array([exponential(-mean) for mean in means.tolist()])
    cumulated = np.empty((256, _COUNTS))
    total = np.zeros(256)
    for count in range(_COUNTS):
        total = total + probability
        cumulated[:, count] = total
        probability = probability * means / (count + 1)
    cumulated[:, -1] = 1.0
    bounds = np.minimum(np.floor(cumulated * 2.0**32) - 1.0, 2.0**32 - 1.0).clip(min=0.0).astype(np.uint32)
    starts = np.arange(256, dtype=np.uint32) << np.uint32(24)
    entry = np.stack([np.searchsorted(row, starts) for row in bounds]).astype(np.uint8)
    return bounds, entry


@compiled
def _fill_counts(
    out: NDArray[np.uint8],
    levels: NDArray[np.uint8],
    low: int,
    high: int,
    bounds: NDArray[np.uint32],
    entry: NDArray[np.uint8],
) -> None:
    for i in range(out.size):
        bits = _word(i, low, high)
        level = levels[i]
        count = np.int64(entry[level, bits >> 24])
        while bits > np.int64(bounds[level, count]):
            count += 1
        out[i] = count


def poisson_counts(levels: NDArray[np.uint8], key: Key, photons: float) -> NDArray[np.uint8]:
    """Draw how many photons each pixel catches, by inverting the distribution function.

    Parameters
    ----------
    levels : ndarray of uint8
        Grey levels.
    key : Key
        The stream.
    photons : float
        Mean count at level 255, at most 60.

    Returns
    -------
    ndarray of uint8
        Poisson counts of mean ``levels * photons / 255``, in the shape of `levels`.
    """
    bounds, entry = _poisson_table(photons)
    out = np.empty(levels.shape, np.uint8)
    _fill_counts(out.reshape(-1), levels.reshape(-1), key.low, key.high, bounds, entry)
    return out
