"""Define batches of answers, as parallel arrays, and the sources that give them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from benchc_metrics.messages import quoted
from benchc_tasks.selection.pool import Pool

__all__ = ["BATCH_ROWS", "CLEAN", "AnswerBatch", "AnswerSource", "Kind", "Labels", "SampleLookup"]

CLEAN = "clean"
"""The condition that every other one is compared with."""

BATCH_ROWS = 1 << 17
"""Rows of a batch: large enough for numpy, small enough that a batch's temporaries take some 50 MB."""

Kind = Literal["logits", "probabilities", "predictions"]


@dataclass(frozen=True)
class Labels:
    """n names, of which few are distinct.

    Attributes
    ----------
    codes : ndarray of int64, shape (n,)
        Indices into `names`.
    names : tuple of str
        Distinct.
    """

    codes: NDArray[np.int64]
    names: tuple[str, ...]

    @classmethod
    def constant(cls, name: str, length: int) -> Labels:
        """Give every row the same name."""
        return cls(np.zeros(length, dtype=np.int64), (name,))

    @classmethod
    def of(cls, names: Sequence[str]) -> Labels:
        """Encode a sequence of names."""
        found: dict[str, int] = {}
        codes = np.array([found.setdefault(name, len(found)) for name in names], dtype=np.int64)
        return cls(codes, tuple(found))

    def name(self, row: int) -> str:
        """Return the name of a row."""
        return self.names[int(self.codes[row])]

    def take(self, rows: NDArray[np.int64] | NDArray[np.bool_]) -> Labels:
        """Keep some rows."""
        return replace(self, codes=self.codes[rows])


@dataclass(frozen=True)
class AnswerBatch:
    """n answers, each one model's to one sample under one condition.

    Attributes
    ----------
    origin : str
        The file, for messages.
    model, condition : Labels of n rows
    sample : ndarray of int64, shape (n,)
        Positions in the pool, -1 where the pool has no such sample.
    kind : {"logits", "probabilities", "predictions"}
        What `values` are. Log-likelihoods are logits.
    values : ndarray of float64 or int64
        Shape (n, width of the pool) for logits (-inf beyond a sample's options) and probabilities (0 beyond them);
        shape (n,) for predictions, -1 where a model gave none.
    strangers : tuple of str
        Some ids that the pool does not have.
    """

    origin: str
    model: Labels
    condition: Labels
    sample: NDArray[np.int64]
    kind: Kind
    values: NDArray[np.float64] | NDArray[np.int64]
    strangers: tuple[str, ...] = ()

    def __len__(self) -> int:
        """Count the answers, n."""
        return len(self.sample)

    def take(self, rows: NDArray[np.int64] | NDArray[np.bool_]) -> AnswerBatch:
        """Keep some answers."""
        return replace(
            self,
            model=self.model.take(rows),
            condition=self.condition.take(rows),
            sample=self.sample[rows],
            values=self.values[rows],
        )

    def describe(self, row: int, pool: Pool) -> str:
        """Name an answer for a sentence."""
        sample = pool.id_of(int(self.sample[row]))
        return (
            f"{self.origin}: model {quoted(self.model.name(row))}, sample {quoted(sample)}, "
            f"condition {quoted(self.condition.name(row))}"
        )


class AnswerSource(Protocol):
    """A file, or several, with answers.

    Attributes
    ----------
    name : str
        For messages and the manifest.
    size : int
        In bytes, for the progress bar.
    brings_clean : bool
        Whether a sample's clean answer stands in the same batch as its corrupted ones. Where it does not, the source
        is read twice, first for the clean answers only.
    repeats_clean : bool
        Whether the same clean answer may stand there several times, as it does in the logs of several tasks.
    """

    name: str
    size: int
    brings_clean: bool
    repeats_clean: bool

    def batches(self, pool: Pool, only_clean: bool) -> Iterator[tuple[AnswerBatch, int]]:
        """Read the answers in the file's order.

        Parameters
        ----------
        pool : Pool
            What the answers are about.
        only_clean : bool
            Whether other conditions may be left out.

        Yields
        ------
        (AnswerBatch, int)
            A batch, and how many of the source's bytes have been read with it.
        """
        ...

    def notes(self) -> dict[str, dict[str, str]]:
        """Return for each model the facts about its answers beside the numbers, once they are read."""
        ...


class SampleLookup:
    """Looks ids up in a pool, and remembers the last dictionary: neighbouring batches of a table share theirs.

    Parameters
    ----------
    pool : Pool
        Where to look.
    """

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._dictionary = pa.array([], pa.string())
        self._positions = np.array([-1], dtype=np.int64)

    def __call__(self, ids: pa.Array) -> tuple[NDArray[np.int64], tuple[str, ...]]:
        """Look ids up.

        Parameters
        ----------
        ids : pyarrow.Array of n str, plain or dictionary-encoded
            Of samples.

        Returns
        -------
        positions : ndarray of int64, shape (n,)
            -1 where the pool has no such id.
        strangers : tuple of str
            The first few such ids.
        """
        encoded = ids if pa.types.is_dictionary(ids.type) else ids.dictionary_encode()
        if len(encoded) and not encoded.dictionary.equals(self._dictionary):
            found = pc.index_in(encoded.dictionary.cast(pa.string()), value_set=self._pool.ids)
            # The appended -1 is what the code -1, a null id, points at.
            self._positions = np.append(pc.fill_null(found, -1).to_numpy(zero_copy_only=False).astype(np.int64), -1)
            self._dictionary = encoded.dictionary
        codes = pc.fill_null(encoded.indices, -1).to_numpy(zero_copy_only=False).astype(np.int64)
        positions = self._positions[codes]
        unknown = np.unique(codes[positions < 0])[:5]
        return positions, tuple("null" if code < 0 else str(encoded.dictionary[int(code)].as_py()) for code in unknown)
