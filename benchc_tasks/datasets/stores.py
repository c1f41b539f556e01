"""Read a dataset's encoded images one at a time, without decoding them."""

from __future__ import annotations

import bisect
import itertools
import os
import re
import stat
import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa
import pyarrow.parquet as pq

from benchc_metrics.messages import quoted, reason_of, shortened
from benchc_tasks.datasets.images import HEAD_BYTES, head_problem
from benchc_tasks.datasets.schema import IMAGE_COLUMN, DatasetError

__all__ = ["FileImages", "ImageStore", "JoinedImages", "ParquetImages", "column_problem", "unreadable_parquet"]

CACHED_BYTES = 2**28
MOST_PATH_CHARACTERS = 4096
"""Systems cannot open a longer path. A longer text is usually base64, given by mistake."""

_DRIVE = re.compile("[A-Za-z]:")
_CURE = "give the encoded image, or the path of an image file relative to the dataset's folder"


class ImageStore(Protocol):
    """The encoded images of n rows; reading is thread-safe."""

    def __len__(self) -> int:
        """Count the rows, n."""
        ...

    def read(self, row: int) -> bytes:
        """Read the encoded image of a row; raise a DatasetError with the reason as a clause if it fails."""
        ...

    def problems(self) -> Iterator[str | None]:
        """Yield for each row the fault that the first bytes of its image show, or None."""
        ...


class FileImages:
    """Read images that are separate files.

    Parameters
    ----------
    folder : Path
        The folder that the paths are relative to.
    paths : sequence of n values
        The image column: relative paths with forward slashes, or `{"path": ...}`. Other values are faults.
    """

    def __init__(self, folder: Path, paths: Sequence[Any]) -> None:
        self._folder = folder
        self._paths = paths

    def __len__(self) -> int:
        """Count the rows."""
        return len(self._paths)

    def read(self, row: int) -> bytes:
        """Read a row's file."""
        return _read_file(self._folder, _path_of(self._paths[row]))

    def problems(self) -> Iterator[str | None]:
        """Check the first bytes of each file."""
        for value in self._paths:
            try:
                yield head_problem(_read_file(self._folder, _path_of(value), HEAD_BYTES))
            except DatasetError as error:
                yield str(error)


class ParquetImages:
    """Read images from a parquet file's column: bytes, `{"bytes", "path"}`, or paths of files beside it.

    The last used row groups stay in memory, up to `CACHED_BYTES` and at least one. So a file with small row groups can
    be read in any order.

    Parameters
    ----------
    path : Path
        The parquet file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._open()
        metadata = self._file.metadata
        sizes = [metadata.row_group(group).num_rows for group in range(metadata.num_row_groups)]
        self._starts: list[int] = [0, *itertools.accumulate(sizes)]

    def _open(self) -> None:
        self._file = pq.ParquetFile(self._path, memory_map=True)
        self._groups: OrderedDict[int, pa.ChunkedArray] = OrderedDict()
        self._cached_bytes = 0
        self._lock = threading.Lock()

    def __getstate__(self) -> dict[str, Any]:
        """Leave out everything that belongs to this process."""
        return {"_path": self._path, "_starts": self._starts}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Open the file again."""
        self.__dict__.update(state)
        self._open()

    def __len__(self) -> int:
        """Count the rows."""
        return self._starts[-1]

    def read(self, row: int) -> bytes:
        """Read a row's image; read its row group first if it is not in memory."""
        group = bisect.bisect_right(self._starts, row) - 1
        value = self._group(group)[row - self._starts[group]].as_py()
        encoded, path = _split(value)
        return encoded if encoded is not None else _read_file(self._path.parent, path)

    def problems(self) -> Iterator[str | None]:
        """Check the first bytes of each image."""
        # Arrow's reader is not thread-safe, so this long scan opens its own.
        with pq.ParquetFile(self._path, memory_map=True) as file:
            batches = file.iter_batches(batch_size=1024, columns=[IMAGE_COLUMN])
            while (batch := self._next(batches)) is not None:
                for value in batch.column(0):
                    yield _value_problem(value.as_py(), self._path.parent)

    def _next(self, batches: Iterator[pa.RecordBatch]) -> pa.RecordBatch | None:
        try:
            return next(batches, None)
        except (pa.ArrowException, OSError) as error:
            raise unreadable_parquet(self._path, error) from error

    def _group(self, group: int) -> pa.ChunkedArray:
        with self._lock:
            if group not in self._groups:
                column = self._read_group(group)
                self._make_room(column.nbytes)
                self._groups[group] = column
            self._groups.move_to_end(group)
            return self._groups[group]

    def _read_group(self, group: int) -> pa.ChunkedArray:
        try:
            return self._file.read_row_group(group, columns=[IMAGE_COLUMN]).column(0)
        except (pa.ArrowException, OSError) as error:
            raise unreadable_parquet(self._path, error) from error

    def _make_room(self, wanted: int) -> None:
        self._cached_bytes += wanted
        while self._groups and self._cached_bytes > CACHED_BYTES:
            self._cached_bytes -= self._groups.popitem(last=False)[1].nbytes


class JoinedImages:
    """Join the images of several files in order.

    Parameters
    ----------
    stores : sequence of ImageStore
        In the order of the rows.
    """

    def __init__(self, stores: Sequence[ImageStore]) -> None:
        self._stores = stores
        self._starts = [0, *itertools.accumulate(len(store) for store in stores)]

    def __len__(self) -> int:
        """Count the rows."""
        return self._starts[-1]

    def read(self, row: int) -> bytes:
        """Read a row's image from the store that has it."""
        store = bisect.bisect_right(self._starts, row) - 1
        return self._stores[store].read(row - self._starts[store])

    def problems(self) -> Iterator[str | None]:
        """Check the first bytes of each image."""
        for store in self._stores:
            yield from store.problems()


def unreadable_parquet(path: Path, error: Exception) -> DatasetError:
    """Make the error for a parquet file that cannot be read, in whole or in part."""
    return DatasetError(f"{path.name} is not a readable parquet file ({reason_of(error)}); copy or write it again")


def column_problem(stored: pa.DataType) -> str | None:
    """Return the fault of a parquet column if its type cannot hold images; else None."""
    if pa.types.is_struct(stored):
        names = {stored.field(index).name: stored.field(index).type for index in range(stored.num_fields)}
        fits = "bytes" in names and _is_binary(names["bytes"]) and _is_text(names.get("path", pa.string()))
    else:
        fits = _is_binary(stored) or _is_text(stored)
    return None if fits else f"its `{IMAGE_COLUMN}` is of type {shortened(str(stored))}; {_CURE}"


def _is_binary(stored: pa.DataType) -> bool:
    return bool(pa.types.is_null(stored) or pa.types.is_binary(stored) or pa.types.is_large_binary(stored))


def _is_text(stored: pa.DataType) -> bool:
    return bool(pa.types.is_null(stored) or pa.types.is_string(stored) or pa.types.is_large_string(stored))


def _split(value: Any) -> tuple[bytes | None, Any]:
    if isinstance(value, dict):
        return value["bytes"], value.get("path")
    return (value, None) if isinstance(value, bytes) else (None, value)


def _path_of(value: Any) -> Any:
    """Return the path in a JSON value; refuse image bytes, which JSON cannot hold."""
    if not isinstance(value, dict):
        return value
    if value.get("bytes") is not None:
        raise DatasetError(
            f"its `{IMAGE_COLUMN}` holds `bytes` as {quoted(value['bytes'])}; "
            "write the image to a file and give the file's path, or write the dataset as parquet"
        )
    return value.get("path")


def _value_problem(value: Any, folder: Path) -> str | None:
    encoded, path = _split(value)
    if encoded is not None:
        return head_problem(encoded[:HEAD_BYTES])
    try:
        return head_problem(_read_file(folder, path, HEAD_BYTES))
    except DatasetError as error:
        return str(error)


def _read_file(folder: Path, path: Any, size: int = -1) -> bytes:
    if path is None:
        raise DatasetError(f"it has no `{IMAGE_COLUMN}`; {_CURE}")
    if not isinstance(path, str) or not path:
        raise DatasetError(f"its `{IMAGE_COLUMN}` is {quoted(path)}, not a path; {_CURE}")
    if len(path) > MOST_PATH_CHARACTERS or path.startswith("data:"):
        raise DatasetError(
            f"its `{IMAGE_COLUMN}` is a text of {len(path):,} characters, {quoted(path)}, not a path; "
            "write the image to a file and give the file's path"
        )
    if _leaves_folder(path):
        raise DatasetError(
            f"its image file {quoted(path)} is not a relative path inside the dataset's folder; "
            "move the file into that folder and give its path from there, with forward slashes"
        )
    location = os.path.join(folder, path)
    try:
        # Reading a pipe could block forever, and a device may never end.
        if not stat.S_ISREG(os.stat(location).st_mode):
            raise DatasetError(f"its image file {quoted(path)} is a folder or a device; give the path of an image file")
        with open(location, "rb", buffering=0) as file:
            return file.read(size)
    except FileNotFoundError:
        raise DatasetError(f"its image file {quoted(path)} does not exist; put it in the dataset's folder") from None
    except DatasetError:
        raise
    except (OSError, ValueError) as error:
        raise DatasetError(
            f"its image file {quoted(path)} cannot be read ({reason_of(error)}); make it a readable file"
        ) from error


def _leaves_folder(path: str) -> bool:
    # Plain text instead of pathlib, because this runs for each of 100,000 rows.
    is_absolute = path.startswith("/") or _DRIVE.match(path) is not None
    return is_absolute or "\\" in path or ".." in path.split("/")
