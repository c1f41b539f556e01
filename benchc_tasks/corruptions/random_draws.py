"""Random numbers without a generator: every draw is a hash of its position and a key.

There is no state, so draws do not depend on the order, the thread or the process in which they are made, and a draw
can be made where it is needed. The hash is two rounds of a 32-bit integer mixer, each with half of a 64-bit key.

All arithmetic stays below 2**63 and is masked to 32 bits, so that compiled int64, numpy and plain Python integers
agree. Every step ends in an explicit 32-bit type, by which LLVM sees that vectors of 32-bit numbers suffice. What is
not an integer is built from a table of rounded numbers by ``+`` and ``*`` alone.
"""

import hashlib
from functools import cache, lru_cache
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchc_tasks.corruptions.compiled import compiled
from benchc_tasks.corruptions.exact_math import exponential

__all__ = ["Key", "normals", "poisson_counts", "poisson_counts_together", "shifts", "uniform", "uniforms", "words"]


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
def _mix(bits: np.uint32, shift: int, factor: int) -> np.uint32:
    """Return 32 bits of which each depends on many of those given."""
    wide = np.int64(bits)
    mixed: np.uint32 = np.uint32(((wide ^ (wide >> shift)) * factor) & 0xFFFFFFFF)
    return mixed


@compiled
def _word(index: int, low: int, high: int) -> np.uint32:
    """Return the 32 random bits at position `index` of the stream (`low`, `high`)."""
    bits = np.uint32(np.int64(np.uint32(index & 0xFFFFFFFF)) ^ low)
    bits = _mix(_mix(bits, 16, 0x21F0AAAD), 15, 0x735A2D97)
    bits = np.uint32(np.int64(_mix(bits, 15, 1)) ^ high)
    bits = _mix(_mix(bits, 16, 0x21F0AAAD), 15, 0x735A2D97)
    return _mix(bits, 15, 1)


@compiled
def _fill_words(out: NDArray[np.uint32], first: int, low: int, high: int) -> None:
    """Write the words at positions `first`, `first` + 1, ..."""
    for i in range(out.size):
        out[i] = _word(first + i, low, high)


_BLOCK = 4096  # words made at a time, in a loop of their own since LLVM can vectorise it


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
    _fill_words(out, 0, key.low, key.high)
    return out


@compiled
def _fill_uniforms(out: NDArray[np.float32], low: int, high: int, start: float, width: float) -> None:
    start32 = np.float32(start)
    scale = np.float32(width * 2.0**-24)
    for i in range(out.size):
        out[i] = start32 + np.float32(np.int32(_word(i, low, high) >> 8)) * scale


def uniforms(shape: tuple[int, ...], key: Key, start: float = 0.0, stop: float = 1.0) -> NDArray[np.float32]:
    """Draw numbers uniform in [start, stop).

    Parameters
    ----------
    shape : tuple of int
        Shape of the result.
    key : Key
        The stream.
    start, stop : float, default=0 and 1
        The range.

    Returns
    -------
    ndarray of float32
        One of 2**24 evenly spaced numbers each.
    """
    out = np.empty(shape, np.float32)
    _fill_uniforms(out.reshape(-1), key.low, key.high, start, stop - start)
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
def _fill_shifts(across: NDArray[np.int8], down: NDArray[np.int8], low: int, high: int, reach: int) -> None:
    width, middle = np.int32(2 * reach), np.int32(reach)
    for i in range(across.size):
        bits = _word(i, low, high)
        across[i] = np.int32(np.int32(np.int32(bits & 0xFFFF) * width) >> 16) - middle
        down[i] = np.int32(np.int32(np.int32(bits >> 16) * width) >> 16) - middle


def shifts(shape: tuple[int, ...], key: Key, reach: int) -> NDArray[np.int8]:
    """Draw small displacements.

    Parameters
    ----------
    shape : tuple of int
        Shape of the result without its first axis.
    key : Key
        The stream.
    reach : int
        Displacements are uniform over -reach, ..., reach - 1.

    Returns
    -------
    ndarray of int8, shape (2, *shape)
        Displacements across and down.
    """
    out = np.empty((2, *shape), np.int8)
    _fill_shifts(out[0].reshape(-1), out[1].reshape(-1), key.low, key.high, reach)
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


@cache
def _quantile_steps() -> NDArray[np.uint64]:
    """Return each entry of the table and the step to the next, two float32 in one number: one load brings both."""
    table = _normal_table()
    return np.ascontiguousarray(np.stack([table[:, :-1], np.diff(table)], axis=-1)).view(np.uint64)[:, :, 0]


@compiled
def _fill_normals(out: NDArray[np.float32], low: int, high: int, steps: NDArray[np.uint64]) -> None:
    unit = np.float32(2.0**-19)
    words = np.empty(_BLOCK, np.uint32)  # the lowest bit says which tail, the others how far out
    entries = np.empty(_BLOCK, np.uint64)
    quantiles = entries.view(np.float32)
    common = steps[0]
    for first in range(0, out.size, _BLOCK):
        _fill_words(words, first, low, high)
        part = out[first : first + _BLOCK]
        for i in range(part.size):
            entries[i] = common[np.uint64(words[i] >> 20)]
        for i in range(part.size):
            if words[i] < 1 << 26:
                level = 1 if words[i] >= 1 << 20 else 2
                tail = np.int64(words[i] >> 1) << (6 * level)
                entries[i] = steps[level, tail >> 19]
                words[i] = tail << 1 | np.int64(words[i] & 1)
        for i in range(part.size):
            distance = np.float32(np.int32(words[i] >> 1 & 0x7FFFF)) * unit
            value = quantiles[2 * i] + quantiles[2 * i + 1] * distance
            part[i] = value * np.float32(np.int32(1 - 2 * np.int32(words[i] & 1)))  # a branch on a random bit is slow


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
    _fill_normals(out.reshape(-1), key.low, key.high, _quantile_steps())
    return out


_COUNTS = 128  # a Poisson count of mean 60 reaches 128 once in 1e13


@compiled
def _build_alias_table(probability: NDArray[np.float64], table: NDArray[np.uint32]) -> None:
    """Fill `table` for drawing k with ``probability[row, k]``, by the alias method.

    A word's upper 7 bits choose a column. Its other 25 bits choose between two counts: the column itself if they are
    below the upper 25 bits of the entry, or the entry's lower 7 bits, the column's alias.
    """
    rows, columns = probability.shape
    few = np.empty(columns, np.int64)
    many = np.empty(columns, np.int64)
    for row in range(rows):
        share = probability[row] * columns
        few_left = 0
        many_left = 0
        for k in range(columns):
            if share[k] < 1.0:
                few[few_left] = k
                few_left += 1
            else:
                many[many_left] = k
                many_left += 1
        for k in range(columns):
            table[row, k] = (0x1FFFFFF << 7) | k
        while few_left > 0 and many_left > 0:
            few_left -= 1
            poor = few[few_left]
            rich = many[many_left - 1]
            table[row, poor] = (np.int64(share[poor] * 33554431.0) << 7) | rich
            share[rich] = (share[rich] + share[poor]) - 1.0
            if share[rich] < 1.0:
                many_left -= 1
                few[few_left] = rich
                few_left += 1


@cache
def _poisson_table(photons: float) -> NDArray[np.uint32]:
    """Return, for each of the 256 grey levels, an alias table of its photon count."""
    means = np.arange(256) * photons / 255.0
    probability = np.empty((256, _COUNTS))
    probability[:, 0] = [exponential(-mean) for mean in means.tolist()]
    for count in range(1, _COUNTS):
        probability[:, count] = probability[:, count - 1] * means / count
    table = np.empty((256, _COUNTS), np.uint32)
    _build_alias_table(probability, table)
    return table


@lru_cache(maxsize=8)
def _poisson_tables(photons: tuple[float, ...]) -> NDArray[np.uint32]:
    return np.stack([_poisson_table(one).reshape(-1) for one in photons])


@compiled
def _fill_counts(
    outs: NDArray[np.uint8], levels: NDArray[np.uint8], low: int, high: int, tables: NDArray[np.uint32]
) -> None:
    words, places, entries = np.empty(_BLOCK, np.uint32), np.empty(_BLOCK, np.int32), np.empty(_BLOCK, np.uint32)
    for first in range(0, levels.size, _BLOCK):
        _fill_words(words, first, low, high)
        level = levels[first : first + _BLOCK]
        for i in range(level.size):
            places[i] = np.int32(words[i] >> 25) + np.int32(level[i]) * np.int32(_COUNTS)
        for row in range(outs.shape[0]):
            part, table = outs[row, first : first + _BLOCK], tables[row]
            for i in range(part.size):
                entries[i] = table[np.uint64(places[i])]
            for i in range(part.size):
                bits, entry = words[i], entries[i]
                part[i] = bits >> 25 if bits & 0x1FFFFFF < entry >> 7 else entry & 127


def poisson_counts(levels: NDArray[np.uint8], key: Key, photons: float) -> NDArray[np.uint8]:
    """Draw how many photons each pixel catches.

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
    return poisson_counts_together(levels, key, (photons,))[0]


def poisson_counts_together(levels: NDArray[np.uint8], key: Key, photons: tuple[float, ...]) -> list[NDArray[np.uint8]]:
    """Draw how many photons each pixel catches in light of several strengths, see `poisson_counts`.

    Parameters
    ----------
    levels : ndarray of uint8
        Grey levels.
    key : Key
        The stream, of which all make the same use.
    photons : tuple of float
        Mean counts at level 255, at most 60 each.

    Returns
    -------
    list of ndarray of uint8
        For each of `photons` the counts, in the shape of `levels`.
    """
    outs = np.empty((len(photons), *levels.shape), np.uint8)
    flat = outs.reshape(len(photons), -1)
    _fill_counts(flat, levels.reshape(-1), key.low, key.high, _poisson_tables(photons))
    return list(outs)
