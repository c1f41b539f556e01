"""Hold checked samples as an immutable sequence that reads images on demand."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from typing import Any, SupportsIndex, overload

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from benchc_metrics.messages import quoted
from benchc_tasks.datasets.fingerprint import fingerprint, image_digest
from benchc_tasks.datasets.schema import IMAGE_COLUMN, DatasetError, sample_name
from benchc_tasks.datasets.stores import ImageStore

__all__ = ["SampleDataset"]

_FEATURES = {
    "id": "string",
    IMAGE_COLUMN: "binary",
    "question": "string",
    "options": "list<string>",
    "answer": "int64",
    "source": "string",
    "category": "string",
}


class SampleDataset(Sequence[dict[str, Any]]):
    """Checked samples; `load_dataset` makes them.

    A sample is a dict of `id` (str), `image` (its encoded bytes), `question` (str), `options` (list of str), `answer`
    (int, an index into the options), `source` and `category` (str or None). It can be pickled, and read by several
    threads at once.

    Parameters
    ----------
    table : pyarrow.Table of n rows
        The samples in `SAMPLE_SCHEMA`.
    images : ImageStore
        The encoded images.
    source : str
        The name of the source, shown to users.
    is_demonstration : bool
        True for the bundled demonstration set.
    ignored_columns : tuple of str
        Columns of the source that are not part of a sample.
    notes : tuple of str
        Sentences about changes made to the samples on loading.
    rows : array of n int64, optional
        Row numbers of the samples in `images`; by default 0..n-1.
    shows_images : bool
        True if samples include their `image`.
    """

    def __init__(
        self,
        table: pa.Table,
        images: ImageStore,
        *,
        source: str,
        is_demonstration: bool = False,
        ignored_columns: tuple[str, ...] = (),
        notes: tuple[str, ...] = (),
        rows: npt.NDArray[np.int64] | None = None,
        shows_images: bool = True,
    ) -> None:
        self._table = table
        self._images = images
        self._rows = np.arange(table.num_rows, dtype=np.int64) if rows is None else rows
        self._shows_images = shows_images
        self._source = source
        self._is_demonstration = is_demonstration
        self._ignored_columns = ignored_columns
        self._notes = notes

    @property
    def source(self) -> str:
        """The source's name, as it was given."""
        return self._source

    @property
    def is_demonstration(self) -> bool:
        """True for the bundled demonstration set, whose metrics say nothing about a model."""
        return self._is_demonstration

    @property
    def ignored_columns(self) -> tuple[str, ...]:
        """Ignored columns of the source: those that are not part of a sample."""
        return self._ignored_columns

    @property
    def notes(self) -> tuple[str, ...]:
        """Changes made to the samples on loading, one sentence each."""
        return self._notes

    @property
    def features(self) -> dict[str, str]:
        """Map a sample's keys to the names of their types."""
        return {name: kind for name, kind in _FEATURES.items() if self._shows_images or name != IMAGE_COLUMN}

    @cached_property
    def ids(self) -> tuple[str, ...]:
        """The samples' ids, in order."""
        return tuple(self._table["id"].to_pylist())

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over the samples and the bytes of their images, in hexadecimal digits; the first call reads all."""
        digests: dict[int, str] = {}
        # In the order of the store, because reading one row may read many.
        for position in np.argsort(self._rows, kind="stable").tolist():
            row = int(self._rows[position])
            if row not in digests:
                digests[row] = image_digest(self._read_image(position))
        return fingerprint(
            (sample, digests[row]) for sample, row in zip(self._columns(), self._rows.tolist(), strict=True)
        )

    def __len__(self) -> int:
        """Count the samples."""
        return int(self._table.num_rows)

    @overload
    def __getitem__(self, index: SupportsIndex) -> dict[str, Any]: ...
    @overload
    def __getitem__(self, index: slice) -> SampleDataset: ...
    def __getitem__(self, index: SupportsIndex | slice) -> dict[str, Any] | SampleDataset:
        """Return one sample with its image, or a dataset for a slice."""
        if isinstance(index, slice):
            return self.select(range(*index.indices(len(self))))
        position = self._position(index)
        return {
            name: self._read_image(position) if name == IMAGE_COLUMN else self._table[name][position].as_py()
            for name in self.features
        }

    def __repr__(self) -> str:
        """Show the source and the number of samples."""
        return f"SampleDataset({quoted(self._source)}, {len(self)} samples)"

    def select(self, indices: Iterable[SupportsIndex]) -> SampleDataset:
        """Return the samples at `indices`, in that order.

        Raises
        ------
        IndexError
            If an index is out of range.
        """
        positions = np.array([self._position(index) for index in indices], dtype=np.int64)
        return self._with(table=self._table.take(pa.array(positions)).combine_chunks(), rows=self._rows[positions])

    def without_images(self) -> SampleDataset:
        """Return the same samples without their `image`; the fingerprint stays the same."""
        view = self._with(shows_images=False)
        if "fingerprint" in self.__dict__:
            view.__dict__["fingerprint"] = self.fingerprint
        return view

    def _with(self, **changes: Any) -> SampleDataset:
        kept = {
            "table": self._table,
            "images": self._images,
            "rows": self._rows,
            "source": self._source,
            "is_demonstration": self._is_demonstration,
            "ignored_columns": self._ignored_columns,
            "notes": self._notes,
            "shows_images": self._shows_images,
        }
        return SampleDataset(**{**kept, **changes})

    def _position(self, index: SupportsIndex) -> int:
        position = operator.index(index)
        if not -len(self) <= position < len(self):
            raise IndexError(f"index {position} is out of range for {len(self)} samples")
        return position % len(self)

    def _columns(self) -> Iterator[dict[str, Any]]:
        for batch in self._table.to_batches(max_chunksize=4096):
            yield from batch.to_pylist()

    def _read_image(self, position: int) -> bytes:
        try:
            return self._images.read(int(self._rows[position]))
        except DatasetError as error:
            raise DatasetError(f"{sample_name(self._table['id'][position].as_py())}: {error}") from error
