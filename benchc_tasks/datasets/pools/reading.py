"""Read the rows of a benchmark from a local copy or from the hub, one by one, without decoding images."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from benchc_metrics.json_lines import JsonLinesError, read_json_lines
from benchc_metrics.messages import quoted, reason_of
from benchc_tasks.datasets.features import Feature, declared_beside, features_of_schema, label_decoder
from benchc_tasks.datasets.loading import line_problem
from benchc_tasks.datasets.pools.mapping import Benchmark
from benchc_tasks.datasets.schema import DatasetError

__all__ = ["hub_rows", "local_rows", "read_image"]

ROWS_AT_ONCE = 64
PARQUET, JSONL = ".parquet", (".jsonl", ".jsonl.gz")


def local_rows(path: Path, columns: tuple[str, ...], with_images: bool = True) -> Iterator[dict[str, Any]]:
    """Read the rows of a local copy; class labels become names.

    Parameters
    ----------
    path : Path
        A parquet or JSONL file, or a folder with parquet or JSONL files at any depth, read in the order of their names.
        An image in a JSONL file is a path relative to it.
    columns : tuple of str
        The columns that each file must have. If a row of a JSONL file lacks one, its value is None.
    with_images : bool
        True to read the image files of a JSONL file. An image is then `{"bytes": ..., "path": ...}`; if its file cannot
        be read, the bytes are None.

    Raises
    ------
    DatasetError
        If a file is absent, cannot be read, or lacks a column.
    """
    root = path if path.is_dir() else path.parent
    for file in _data_files(path):
        declared = declared_beside(file, root).features
        if file.name.endswith(PARQUET):
            yield from _parquet_rows(file, columns, declared)
        else:
            yield from _jsonl_rows(file, columns, declared, with_images)


def hub_rows(benchmark: Benchmark, revision: str | None = None) -> Iterator[dict[str, Any]]:
    """Read the rows of a benchmark from the Hugging Face hub, or from its cache; class labels become names.

    Raises
    ------
    DatasetError
        If it cannot be downloaded; one sentence names another way to get it.
    """
    # Slow to import, and not needed for local data.
    from datasets import load_dataset

    for configuration in benchmark.configurations or (None,):
        try:
            found = load_dataset(benchmark.hub_id, configuration, split=benchmark.split, revision=revision)
        # The hub cannot be reached, for one of many reasons.
        except Exception as error:
            raise DatasetError(
                f"{benchmark.hub_id} cannot be downloaded from the hub ({reason_of(error)}); "
                "give a copy that has its columns with --from PATH"
            ) from error
        decode = _decoder(found.features.to_dict())
        for batch in found.with_format("arrow").iter(ROWS_AT_ONCE):
            # In Arrow, images are bytes and paths, so nothing is decoded.
            yield from map(decode, batch.to_pylist())


def read_image(folder: Path, name: str) -> bytes:
    """Read an image file inside a folder.

    Raises
    ------
    DatasetError
        If it is outside the folder, or cannot be read.
    """
    try:
        path = (folder / name).resolve()
        if not path.is_relative_to(folder.resolve()):
            raise DatasetError(f"the image file {quoted(name)} is not in the folder of the images; move it there")
        # Reading a pipe could block forever, and a device may never end.
        if path.exists() and not path.is_file():
            raise DatasetError(f"the image file {quoted(name)} is a folder or a device; give the path of an image file")
        return path.read_bytes()
    except DatasetError:
        raise
    # A null byte in a name raises ValueError, a loop of links RuntimeError.
    except (OSError, ValueError, RuntimeError) as error:
        raise DatasetError(
            f"the image file {quoted(name)} cannot be read ({reason_of(error)}); put it in the folder"
        ) from error


def _data_files(path: Path) -> list[Path]:
    if path.is_dir():
        files = sorted(found for found in path.rglob("*") if found.is_file())
        found = [file for file in files if file.name.endswith(PARQUET)]
        found = found or [file for file in files if file.name.endswith(JSONL)]
    else:
        found = [path] if path.is_file() and path.name.endswith((PARQUET, *JSONL)) else []
    if not found:
        raise DatasetError(
            f"{quoted(str(path))} is neither a parquet or JSONL file nor a folder of such files; "
            "give a local copy of one kind"
        )
    return found


def _parquet_rows(path: Path, columns: tuple[str, ...], declared: Mapping[str, Feature]) -> Iterator[dict[str, Any]]:
    try:
        with pq.ParquetFile(path) as file:
            schema = file.schema_arrow
            _check_columns(schema.names, columns, path)
            decode = _decoder(features_of_schema(schema.metadata, path.name) or declared)
            for batch in file.iter_batches(batch_size=ROWS_AT_ONCE):
                yield from map(decode, batch.to_pylist())
    except (pa.ArrowException, OSError) as error:
        raise DatasetError(
            f"{path.name} is not a readable parquet file ({reason_of(error)}); copy or write it again"
        ) from error


def _jsonl_rows(
    path: Path, columns: tuple[str, ...], declared: Mapping[str, Feature], with_images: bool
) -> Iterator[dict[str, Any]]:
    decode, names = _decoder(declared), set[str]()
    try:
        for line in read_json_lines(path):
            problem = line_problem(line)
            if problem is not None:
                raise DatasetError(f"{path.name} row {line.number}: {problem}")
            row = decode(line.value)
            names.update(row)
            row = {**dict.fromkeys(columns), **row}
            yield {name: _with_image(value, path.parent, name) for name, value in row.items()} if with_images else row
    except JsonLinesError as error:
        raise DatasetError(f"{path.name} {error}") from error
    except OSError as error:
        raise DatasetError(f"{path.name} cannot be read ({reason_of(error)}); make it a readable file") from error
    if names:
        _check_columns(names, columns, path)


def _check_columns(present: Any, columns: tuple[str, ...], path: Path) -> None:
    missing = [name for name in columns if name not in present]
    if missing:
        raise DatasetError(
            f"{path.name} has no column {', '.join(map(repr, missing))}; "
            "give a copy with the columns that lmms-eval's task reads"
        )


def _decoder(features: Mapping[str, Feature]) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """Return a function that replaces the class labels of a row by their names."""
    decode = label_decoder(features)
    return decode if decode is not None else lambda row: row


def _with_image(value: Any, folder: Path, column: str) -> Any:
    """Add an image file's bytes to its path."""
    if not column.startswith("image"):
        return value
    if isinstance(value, list):
        return [_with_image(entry, folder, column) for entry in value]
    path = value.get("path") if isinstance(value, dict) and value.get("bytes") is None else value
    if not isinstance(path, str) or not path:
        return value
    try:
        return {"bytes": read_image(folder, path), "path": path}
    except DatasetError:
        return {"bytes": None, "path": path}
