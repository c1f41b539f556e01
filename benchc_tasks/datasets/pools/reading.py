"""Rows of a benchmark, from a local copy or from the hub, one after the other and with their images undecoded."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from benchc_tasks.datasets.pools.mapping import Benchmark
from benchc_tasks.datasets.schema import DatasetError

__all__ = ["hub_rows", "local_rows", "read_image"]

ROWS_AT_ONCE = 64


def local_rows(path: Path, columns: tuple[str, ...], with_images: bool = True) -> Iterator[dict[str, Any]]:
    """Read the rows of a local copy.

    Parameters
    ----------
    path : Path
        A parquet or JSONL file, or a folder with parquet or JSONL files at any depth; read in the order of their names.
        An image in a JSONL file is a path relative to it.
    columns : tuple of str
        Those that must be there.
    with_images : bool
        Whether the image files of a JSONL file are read.

    Raises
    ------
    DatasetError
        If there is no such file, it cannot be read, or lacks a column.
    """
    for file in _data_files(path):
        rows = _parquet_rows(file) if file.suffix == ".parquet" else _jsonl_rows(file, with_images)
        for row in rows:
            missing = [name for name in columns if name not in row]
            if missing:
                raise DatasetError(
                    f"{file.name} has no column {', '.join(map(repr, missing))}; "
                    "give a copy in the columns that lmms-eval's task reads"
                )
            yield row


def hub_rows(benchmark: Benchmark, revision: str | None = None) -> Iterator[dict[str, Any]]:
    """Read the rows of a benchmark from the Hugging Face hub, or from its cache.

    Raises
    ------
    DatasetError
        If it cannot be had; one sentence that says how else.
    """
    # Slow to import, and of no use to those whose data are on this machine.
    from datasets import load_dataset

    for configuration in benchmark.configurations or (None,):
        try:
            found = load_dataset(benchmark.hub_id, configuration, split=benchmark.split, revision=revision)
        # Whatever keeps the hub out of reach, of which the kinds are many.
        except Exception as error:
            reason = " ".join(str(error).split())[:200]
            raise DatasetError(
                f"{benchmark.hub_id} cannot be had from the hub ({reason}); give a copy in its columns with --from PATH"
            ) from error
        for batch in found.with_format("arrow").iter(ROWS_AT_ONCE):
            # As Arrow holds them images are bytes and paths: nothing is decoded.
            yield from batch.to_pylist()


def _data_files(path: Path) -> list[Path]:
    if path.is_dir():
        found = sorted(path.rglob("*.parquet")) or sorted(path.rglob("*.jsonl"))
    else:
        found = [path] if path.is_file() and path.suffix in {".parquet", ".jsonl"} else []
    if not found:
        raise DatasetError(
            f"{str(path)!r} is no parquet or JSONL file and no folder of some; give a local copy of one kind"
        )
    return found


def _parquet_rows(path: Path) -> Iterator[dict[str, Any]]:
    try:
        for batch in pq.ParquetFile(path).iter_batches(batch_size=ROWS_AT_ONCE):
            yield from batch.to_pylist()
    except (pa.ArrowException, OSError) as error:
        raise DatasetError(f"{path.name} is not a readable parquet file ({' '.join(str(error).split())})") from error


def _jsonl_rows(path: Path, with_images: bool) -> Iterator[dict[str, Any]]:
    with path.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, start=1):
            try:
                row = json.loads(line)
            except ValueError as error:
                raise DatasetError(f"{path.name} row {number}: the line is not JSON ({error})") from error
            if not isinstance(row, dict):
                raise DatasetError(f"{path.name} row {number}: the line is not a JSON object")
            yield {n: _with_image(value, path.parent, n) for n, value in row.items()} if with_images else row


def _with_image(value: Any, folder: Path, column: str) -> Any:
    """Put the bytes of an image file in the place of its path."""
    if not column.startswith("image"):
        return value
    if isinstance(value, list):
        return [_with_image(entry, folder, column) for entry in value]
    return read_image(folder, value) if isinstance(value, str) and value else value


def read_image(folder: Path, name: str) -> bytes:
    """Read an image file that lies in a folder.

    Raises
    ------
    DatasetError
        If it lies elsewhere, or cannot be read.
    """
    path = (folder / name).resolve()
    if not path.is_relative_to(folder.resolve()):
        raise DatasetError(f"the image file {name!r} does not lie in the folder of the images; move it there")
    try:
        return path.read_bytes()
    except OSError as error:
        raise DatasetError(
            f"the image file {name!r} cannot be read ({error.strerror}); put it in the folder"
        ) from error
