"""Read an npz of logits or probabilities (models, items, options) with the items' ids."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from benchc_metrics.messages import quoted, reason_of, shortened
from benchc_tasks.selection.answers.batches import CLEAN, AnswerBatch, Kind, Labels, SampleLookup
from benchc_tasks.selection.answers.checks import checked_values
from benchc_tasks.selection.pool import Pool

__all__ = ["ArrayAnswers"]

_KINDS: dict[str, Kind] = {"logits": "logits", "probabilities": "probabilities"}


class ArrayAnswers:
    """Answers in an npz file, read one model at a time.

    Arrays: `logits` or `probabilities` of shape (models, items, options); `models`, names; `ids`, the items' sample
    ids; and perhaps `conditions`, one name an item, without which all items are clean. Options beyond a sample's own
    are padding and do not count.

    Parameters
    ----------
    path : Path
        The file.

    Raises
    ------
    ValueError
        If it is not such a file; one sentence.
    """

    brings_clean = True
    repeats_clean = False

    def __init__(self, path: Path) -> None:
        self.name = str(path)
        self.size = path.stat().st_size
        self._path = path
        try:
            with np.load(path, allow_pickle=False) as stored:
                names = stored.files
                found = [name for name in _KINDS if name in names]
                missing = [name for name in ("models", "ids") if name not in names]
                if not found or missing:
                    wanted = missing or ["logits"]
                    raise ValueError(
                        f"{self.name} has no array {', '.join(map(repr, wanted))} among {shortened(', '.join(names))}; "
                        "name its arrays as docs/selection.md says"
                    )
                self._array = found[0]
                self._models = self._texts(stored, "models")
                self._ids = pa.array(self._texts(stored, "ids"), pa.string())
                conditions = self._texts(stored, "conditions") if "conditions" in names else [CLEAN] * len(self._ids)
                self._conditions = Labels.of(conditions)
            shape, dtype, _ = self._header()
        except (OSError, EOFError, zipfile.BadZipFile, zlib.error) as error:
            raise ValueError(
                f"{self.name} cannot be read as an npz file ({reason_of(error)}); write it again"
            ) from error
        if dtype.kind not in "fiu":
            raise ValueError(f"{self.name}: {quoted(self._array)} is of type {dtype}; give real numbers")
        expected = (len(self._models), len(self._ids))
        if len(shape) != 3 or shape[:2] != expected or len(self._conditions.codes) != len(self._ids):
            raise ValueError(
                f"{self.name}: {quoted(self._array)} has the shape {shape} for {expected[0]} models and "
                f"{expected[1]} items; give (models, items, options), and one id and condition an item"
            )

    def batches(self, pool: Pool, only_clean: bool) -> Iterator[tuple[AnswerBatch, int]]:
        """Read the array, one model a batch."""
        positions, strangers = SampleLookup(pool)(self._ids)
        wanted = np.where(positions >= 0, pool.option_counts[positions], 0)
        for number, (model, values) in enumerate(zip(self._models, self._slices(), strict=True), start=1):
            lengths = np.minimum(wanted, values.shape[1])
            # A sample of more options than the array is wide has an answer too short, which the check names.
            batch = AnswerBatch(
                origin=self.name,
                model=Labels.constant(model, len(positions)),
                condition=self._conditions,
                sample=positions,
                kind=_KINDS[self._array],
                values=np.empty((0, 0)),
                strangers=strangers,
            )
            yield checked_values(batch, values, lengths, pool), self.size * number // len(self._models)

    def notes(self) -> dict[str, dict[str, str]]:
        """Return nothing: the file has only numbers."""
        return {}

    def _texts(self, stored: Any, name: str) -> list[str]:
        try:
            found = stored[name]
        # numpy refuses to unpickle objects.
        except ValueError as error:
            raise ValueError(f"{self.name}: {quoted(name)} holds objects; save it as an array of texts") from error
        if found.ndim != 1 or found.dtype.kind not in "USTiu":
            raise ValueError(
                f"{self.name}: {quoted(name)} is of type {found.dtype} and shape {found.shape}; give texts"
            )
        return [entry.decode(errors="replace") if isinstance(entry, bytes) else str(entry) for entry in found.tolist()]

    def _header(self) -> tuple[tuple[int, ...], Any, bool]:
        with zipfile.ZipFile(self._path) as archive, archive.open(f"{self._array}.npy") as member:
            return _read_header(member)

    def _slices(self) -> Iterator[NDArray[np.float64]]:
        """Read one model's (items, options) after the other, never the whole array."""
        with zipfile.ZipFile(self._path) as archive, archive.open(f"{self._array}.npy") as member:
            shape, dtype, is_fortran = _read_header(member)
            if is_fortran:
                raise ValueError(f"{self.name}: {quoted(self._array)} is in Fortran order; save it in C order")
            size = shape[1] * shape[2] * dtype.itemsize
            for _ in range(shape[0]):
                try:
                    stored = member.read(size)
                except (OSError, EOFError, zipfile.BadZipFile, zlib.error) as error:
                    raise ValueError(f"{self.name} is damaged ({reason_of(error)}); write it again") from error
                if len(stored) < size:
                    raise ValueError(f"{self.name}: {quoted(self._array)} is cut off; write it again")
                yield np.frombuffer(stored, dtype).reshape(shape[1:]).astype(np.float64)


def _read_header(member: Any) -> tuple[tuple[int, ...], Any, bool]:
    version = np.lib.format.read_magic(member)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, is_fortran, dtype = read(member)
    return shape, dtype, is_fortran
