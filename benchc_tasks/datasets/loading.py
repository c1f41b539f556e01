"""Load a dataset and check it; write one."""

from __future__ import annotations

import bisect
import itertools
import json
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from benchc_tasks.datasets.images import HEAD_BYTES, decode_image, head_problem
from benchc_tasks.datasets.samples import SampleDataset
from benchc_tasks.datasets.schema import (
    IMAGE_COLUMN,
    SAMPLE_SCHEMA,
    DatasetError,
    Fault,
    check_samples,
    columns_of_rows,
    columns_of_table,
    missing_columns,
    raise_first,
    reason_of,
)
from benchc_tasks.datasets.sources import find_files
from benchc_tasks.datasets.stores import (
    FileImages,
    ImageStore,
    JoinedImages,
    ParquetImages,
    column_problem,
    unreadable_parquet,
)

__all__ = ["check_images", "image_problem", "load_dataset", "write_dataset"]

ROW_GROUP_ROWS = 64

_IMAGE_TYPE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
_WRITTEN_SCHEMA = SAMPLE_SCHEMA.insert(1, pa.field(IMAGE_COLUMN, _IMAGE_TYPE))


def load_dataset(source: str | Path | None = None, split: str | None = None) -> SampleDataset:
    """Load a dataset and check all of it but the pixels, which are not decoded.

    Parameters
    ----------
    source : str or Path, optional
        A folder, a parquet or JSONL file, or a hub id `OWNER/NAME` or `OWNER/NAME@REVISION`; by default what the
        environment variable `BENCHC_DATASET` says, else the bundled demonstration set. What exists on this machine
        goes before the hub.
    split : str, optional
        The split to take; needed if the dataset's files name several.

    Returns
    -------
    SampleDataset
        All rows, none skipped.

    Raises
    ------
    DatasetError
        With one sentence on the first fault, and the number of the others.
    """
    found = find_files(source, split)
    parts = [_read(path) for path in found.paths]
    place = _Places([path.name for path in found.paths], [part.table.num_rows for part in parts])
    table = pa.concat_tables([part.table for part in parts]).combine_chunks()
    images = parts[0].images if len(parts) == 1 else JoinedImages([part.images for part in parts])
    if not table.num_rows:
        raise DatasetError(f"dataset {found.source!r} has no samples; give it at least one row")
    type_faults = [
        replace(fault, row=fault.row + start)
        for part, start in zip(parts, place.starts, strict=True)
        for fault in part.faults
    ]
    image_faults = [
        Fault(row, IMAGE_COLUMN, problem) for row, problem in enumerate(images.problems()) if problem is not None
    ]
    raise_first([*type_faults, *check_samples(table, place), *image_faults], _row_names(table, place))
    return SampleDataset(
        table,
        images,
        source=found.source,
        is_demonstration=found.is_demonstration,
        ignored_columns=tuple(sorted({name for part in parts for name in part.ignored})),
    )


def image_problem(sample: Mapping[str, Any]) -> str | None:
    """Decode the image of a sample, and say in one sentence why it cannot be decoded; None if it can.

    Parameters
    ----------
    sample : mapping
        As a `SampleDataset` gives it, with its image.
    """
    try:
        decode_image(sample[IMAGE_COLUMN], sample["id"])
    except DatasetError as error:
        return str(error)
    return None


def check_images(dataset: SampleDataset, workers: int | None = None) -> None:
    """Decode every image of a dataset, as an evaluation will.

    Parameters
    ----------
    dataset : SampleDataset
        The samples.
    workers : int, optional
        Threads that decode; by default one a core.

    Raises
    ------
    DatasetError
        With one sentence on the first image that cannot be decoded, and the number of the others.
    """
    with ThreadPoolExecutor(workers or os.cpu_count()) as pool:
        problems = pool.map(lambda index: image_problem(dataset[index]), range(len(dataset)))
        found = [problem for problem in problems if problem is not None]
    if found:
        more = len(found) - 1
        raise DatasetError(found[0] + (f" ({more} more {'image' if more == 1 else 'images'})" if more else ""))


def write_dataset(path: str | Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write samples as one parquet file, their images byte for byte, and check it as `load_dataset` does.

    Parameters
    ----------
    path : str or Path
        The file, which ends in `.parquet`; its folder is made, and what was there is replaced only by a whole file.
    rows : iterable of mapping
        Samples as a `SampleDataset` gives them; `image` is encoded bytes or `{"bytes": ..., "path": ...}`. Keys that
        are not a sample's are left out.

    Raises
    ------
    DatasetError
        With one sentence on the first fault; then nothing is written.
    """
    path = Path(path)
    if path.suffix != ".parquet":
        raise DatasetError(f"dataset {str(path)!r} is to be a parquet file; let its name end in .parquet")
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".writing-") as folder:
        # Under its final name, as faults name the file.
        draft = Path(folder) / path.name
        _write(draft, rows)
        load_dataset(draft)
        os.replace(draft, path)


@dataclass(frozen=True)
class _Part:
    """What one file holds."""

    table: pa.Table
    images: ImageStore
    faults: list[Fault]
    ignored: list[str]


class _Places:
    """From a row's number to its file and its number there."""

    def __init__(self, files: Sequence[str], counts: Sequence[int]) -> None:
        self._files = files
        self.starts = [0, *itertools.accumulate(counts)][:-1]

    def __call__(self, row: int) -> str:
        part = bisect.bisect_right(self.starts, row) - 1
        return f"{self._files[part]} row {row - self.starts[part] + 1}"


def _row_names(table: pa.Table, place: Callable[[int], str]) -> Callable[[int], str]:
    def name(row: int) -> str:
        sample = table["id"][row].as_py()
        return f"sample {sample!r} ({place(row)})" if sample else place(row)

    return name


def _read(path: Path) -> _Part:
    # A pipe would keep its reader waiting.
    if not path.is_file():
        raise DatasetError(
            f"{path.name} is a folder, a device or a link to nothing; put a parquet or JSONL file in its place"
        )
    return _read_parquet(path) if path.suffix == ".parquet" else _read_jsonl(path)


def _read_parquet(path: Path) -> _Part:
    try:
        stored = pq.read_schema(path, memory_map=True)
        names = [name for name in SAMPLE_SCHEMA.names if name in stored.names]
        raise_first(missing_columns(stored.names), lambda row: path.name)
        problem = column_problem(stored.field(IMAGE_COLUMN).type)
        if problem:
            raise DatasetError(f"{path.name} row 1: {problem}")
        table, faults = columns_of_table(pq.read_table(path, columns=names, memory_map=True, partitioning=None))
        images = ParquetImages(path)
    except (pa.ArrowException, OSError) as error:
        raise unreadable_parquet(path, error) from error
    return _Part(table, images, faults, _ignored(stored.names))


def _read_jsonl(path: Path) -> _Part:
    rows = _parse_jsonl(path)
    names = {name for row in rows for name in row}
    if rows:
        raise_first(missing_columns(names), lambda row: path.name)
    table, faults = columns_of_rows(rows)
    images = FileImages(path.parent, [row.get(IMAGE_COLUMN) for row in rows])
    return _Part(table, images, faults, _ignored(names))


def _ignored(names: Iterable[str]) -> list[str]:
    return [name for name in names if name not in _WRITTEN_SCHEMA.names]


def _parse_jsonl(path: Path) -> list[dict[str, Any]]:
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise DatasetError(f"{path.name} cannot be read ({reason_of(error)}); make it a readable file") from error
    except UnicodeDecodeError as error:
        raise DatasetError(f"{path.name} is not UTF-8 (byte {error.start}); write it again as UTF-8") from error
    # Only a line feed ends a line of JSONL: str.splitlines would also split at the separators that JSON lets stand.
    lines = text.rstrip().split("\n") if text.strip() else []
    parsed = [_parse_line(line) for line in lines]
    raise_first(
        (Fault(number, "", row) for number, row in enumerate(parsed) if isinstance(row, str)),
        lambda number: f"{path.name} row {number + 1}",
    )
    return [row for row in parsed if not isinstance(row, str)]


def _parse_line(line: str) -> dict[str, Any] | str:
    if not line.strip():
        return "the line is blank; remove it"
    try:
        row = json.loads(line)
    except json.JSONDecodeError as error:
        return (
            f"the line is not JSON ({error.msg.removesuffix(' at')} at column {error.colno}); write one object a line"
        )
    except (ValueError, RecursionError) as error:
        return f"the line cannot be read ({reason_of(error)}); write one plain object a line"
    return row if isinstance(row, dict) else "the line is not a JSON object; write one object a line"


def _write(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    # Encoded images do not shrink, and a reader that wants one image reads its whole row group.
    with pq.ParquetWriter(
        path,
        _WRITTEN_SCHEMA,
        compression={**dict.fromkeys(_leaf_columns(), "zstd"), "image.bytes": "none"},
        use_dictionary=["source", "category"],
    ) as writer:
        written = 0
        for batch in _batches(rows, ROW_GROUP_ROWS):
            writer.write_table(_table_to_write(batch, written, path.name))
            written += len(batch)


def _leaf_columns() -> list[str]:
    return ["id", "image.bytes", "image.path", "question", "options.list.element", "answer", "source", "category"]


def _batches(rows: Iterable[Mapping[str, Any]], size: int) -> Iterator[list[Mapping[str, Any]]]:
    remaining = iter(rows)
    while batch := list(itertools.islice(remaining, size)):
        yield batch


def _table_to_write(rows: Sequence[Mapping[str, Any]], start: int, file: str) -> pa.Table:
    table, faults = columns_of_rows(rows)
    values = [_image_to_write(row.get(IMAGE_COLUMN)) for row in rows]
    image_faults = [Fault(row, IMAGE_COLUMN, value) for row, value in enumerate(values) if isinstance(value, str)]
    raise_first([*faults, *image_faults], _row_names(table, lambda row: f"{file} row {start + row + 1}"))
    return table.add_column(1, _WRITTEN_SCHEMA.field(IMAGE_COLUMN), pa.array(values, _IMAGE_TYPE))


def _image_to_write(image: Any) -> dict[str, Any] | str:
    encoded = image.get("bytes") if isinstance(image, Mapping) else image
    if not isinstance(encoded, (bytes, bytearray, memoryview)):
        return f"its `image` is of type {type(encoded).__name__}; give the encoded bytes"
    encoded = bytes(encoded)
    problem = head_problem(encoded[:HEAD_BYTES])
    return problem if problem else {"bytes": encoded, "path": None}
