"""Load a dataset and check every row; write a dataset."""

from __future__ import annotations

import bisect
import itertools
import os
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from benchc_metrics.json_lines import JsonLine, JsonLinesError, read_json_lines
from benchc_metrics.messages import quoted, reason_of
from benchc_tasks.batching import in_batches
from benchc_tasks.datasets.features import (
    Declaration,
    Feature,
    UnnamedLabel,
    class_names,
    declared_beside,
    features_of_schema,
    label_decoder,
)
from benchc_tasks.datasets.images import HEAD_BYTES, decode_image, head_problem
from benchc_tasks.datasets.options import label_index, unlettered
from benchc_tasks.datasets.samples import SampleDataset
from benchc_tasks.datasets.schema import (
    IMAGE_COLUMN,
    SAMPLE_SCHEMA,
    DatasetError,
    Fault,
    Unreadable,
    check_samples,
    columns_of_rows,
    columns_of_table,
    missing_columns,
    raise_first,
    repeated_columns,
    sample_name,
)
from benchc_tasks.datasets.sources import check_row_count, find_files, is_parquet
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
    """Load a dataset and check everything except pixels, which are not decoded.

    Parameters
    ----------
    source : str or Path, optional
        A folder, a parquet or JSONL file, or a hub id `OWNER/NAME` or `OWNER/NAME@REVISION`; by default the value of
        the environment variable `BENCHC_DATASET`, else the bundled demonstration set. A path on this machine
        overrides a hub id.
    split : str, optional
        The split to use; required if the dataset's files name several.

    Returns
    -------
    SampleDataset
        All rows; none is skipped.

    Raises
    ------
    DatasetError
        On any fault: one sentence about the first, and the number of the others.
    """
    found = find_files(source, split)
    parts = [_read(path, found.folder) for path in found.paths]
    place = _Places([path.name for path in found.paths], [part.table.num_rows for part in parts])
    table = pa.concat_tables([part.table for part in parts]).combine_chunks()
    images = parts[0].images if len(parts) == 1 else JoinedImages([part.images for part in parts])
    if not table.num_rows:
        raise DatasetError(f"dataset {quoted(found.source)} has no samples; give it at least one row")
    type_faults = [
        replace(fault, row=fault.row + start)
        for part, start in zip(parts, place.starts, strict=True)
        for fault in part.faults
    ]
    image_faults = [
        Fault(row, IMAGE_COLUMN, problem) for row, problem in enumerate(images.problems()) if problem is not None
    ]
    raise_first([*type_faults, *check_samples(table, place), *image_faults], _row_names(table, place))
    if found.is_hub:
        check_row_count(found, split, {part.declared.origin: part.declared.rows for part in parts}, table.num_rows)
    table, notes = _without_letters(table)
    return SampleDataset(
        table,
        images,
        source=found.source,
        is_demonstration=found.is_demonstration,
        notes=notes,
        ignored_columns=tuple(sorted({name for part in parts for name in part.ignored})),
    )


def image_problem(sample: Mapping[str, Any]) -> str | None:
    """Decode the image of a sample; return a sentence with the reason if it fails, None if it works.

    Parameters
    ----------
    sample : mapping
        A sample from a `SampleDataset`, with its image.
    """
    try:
        decode_image(sample[IMAGE_COLUMN], sample["id"])
    except DatasetError as error:
        return str(error)
    return None


def check_images(dataset: SampleDataset, workers: int | None = None) -> None:
    """Decode every image of a dataset, as an evaluation does.

    Parameters
    ----------
    dataset : SampleDataset
        The samples.
    workers : int, optional
        Number of threads; by default one for each core.

    Raises
    ------
    DatasetError
        If an image cannot be decoded: one sentence about the first, and the number of the others.
    """
    with ThreadPoolExecutor(workers or os.cpu_count()) as pool:
        problems = pool.map(lambda index: image_problem(dataset[index]), range(len(dataset)))
        found = [problem for problem in problems if problem is not None]
    if found:
        more = len(found) - 1
        raise DatasetError(found[0] + (f" ({more} more {'image' if more == 1 else 'images'})" if more else ""))


def write_dataset(path: str | Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write samples as one parquet file, with unchanged image bytes, and check it as `load_dataset` does.

    Parameters
    ----------
    path : str or Path
        The file, which must end in `.parquet`. Its folder is created. An existing file is replaced only by a complete
        one.
    rows : iterable of mapping
        Samples as in a `SampleDataset`; `image` is encoded bytes or `{"bytes": ..., "path": ...}`. Keys that are not
        part of a sample are left out.

    Raises
    ------
    DatasetError
        On any fault, with one sentence about the first; then nothing is written.
    """
    path = Path(path)
    if path.suffix != ".parquet":
        raise DatasetError(f"dataset {quoted(str(path))} must be a parquet file; end its name in .parquet")
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".writing-") as folder:
        # Under its final name, because errors name the file.
        draft = Path(folder) / path.name
        _write(draft, rows)
        load_dataset(draft)
        os.replace(draft, path)


@dataclass(frozen=True)
class _Part:
    """The samples of one file."""

    table: pa.Table
    images: ImageStore
    faults: list[Fault]
    ignored: list[str]
    declared: Declaration = field(default_factory=Declaration)


class _Places:
    """Find a row's file, and its number in that file."""

    def __init__(self, files: Sequence[str], counts: Sequence[int]) -> None:
        self._files = files
        self.starts = [0, *itertools.accumulate(counts)][:-1]

    def __call__(self, row: int) -> str:
        part = bisect.bisect_right(self.starts, row) - 1
        return f"{self._files[part]} row {row - self.starts[part] + 1}"


def _row_names(table: pa.Table, place: Callable[[int], str]) -> Callable[[int], str]:
    def name(row: int) -> str:
        sample = table["id"][row].as_py()
        return f"{sample_name(sample)} ({place(row)})" if sample else place(row)

    return name


def _read(path: Path, root: Path) -> _Part:
    # Reading a pipe could block forever.
    if not path.is_file():
        raise DatasetError(
            f"{path.name} is a folder, a device or a broken link; put a parquet or JSONL file in its place"
        )
    declared = declared_beside(path, root)
    return _read_parquet(path, declared) if is_parquet(path.name) else _read_jsonl(path, declared)


def _read_parquet(path: Path, declared: Declaration) -> _Part:
    try:
        stored = pq.read_schema(path, memory_map=True)
        names = [name for name in SAMPLE_SCHEMA.names if name in stored.names]
        raise_first([*missing_columns(stored.names), *repeated_columns(stored.names)], lambda row: path.name)
        problem = column_problem(stored.field(IMAGE_COLUMN).type)
        if problem:
            raise DatasetError(f"{path.name} row 1: {problem}")
        table = pq.read_table(path, columns=names, memory_map=True, partitioning=None)
        images = ParquetImages(path)
    except (pa.ArrowException, OSError) as error:
        raise unreadable_parquet(path, error) from error
    features = features_of_schema(stored.metadata, path.name) or declared.features
    if _labelled_columns(features):
        typed, faults = columns_of_rows(_named(table.to_pylist(), features))
    else:
        typed, faults = columns_of_table(table)
    return _Part(typed, images, faults, _ignored(stored.names), declared)


def _read_jsonl(path: Path, declared: Declaration) -> _Part:
    rows = _parse_jsonl(path)
    names = {name for row in rows for name in row}
    if rows:
        raise_first(missing_columns(names), lambda row: path.name)
    table, faults = columns_of_rows(_named(rows, declared.features) if _labelled_columns(declared.features) else rows)
    images = FileImages(path.parent, [row.get(IMAGE_COLUMN) for row in rows])
    return _Part(table, images, faults, _ignored(names), declared)


def _ignored(names: Iterable[str]) -> list[str]:
    return [name for name in names if name not in _WRITTEN_SCHEMA.names]


def _labelled_columns(features: Mapping[str, Feature]) -> dict[str, Callable[[Any], Any]]:
    found = {name: label_decoder(features.get(name)) for name in SAMPLE_SCHEMA.names}
    return {name: decode for name, decode in found.items() if decode is not None}


def _named(rows: Iterable[Mapping[str, Any]], features: Mapping[str, Feature]) -> list[dict[str, Any]]:
    """Replace class labels in rows by their names, and an answer's name by the index of its option."""
    decoders = _labelled_columns(features)
    names = class_names(features.get("answer")) or ()
    named = []
    for row in rows:
        changed = {**row, **{name: _decoded(name, decode(row.get(name))) for name, decode in decoders.items()}}
        if "answer" in decoders:
            changed["answer"] = _index_of_label(changed["answer"], changed.get("options"), names)
        named.append(changed)
    return named


def _decoded(column: str, value: Any) -> Any:
    found = next(
        (entry for entry in (value if isinstance(value, list) else [value]) if isinstance(entry, UnnamedLabel)), None
    )
    if found is None:
        return value
    return Unreadable(f"its `{column}` is the class label {quoted(found.code)} of {found.count}; write the file again")


def _index_of_label(name: Any, options: Any, names: Sequence[str]) -> Any:
    if not isinstance(name, str) or not isinstance(options, list) or not all(isinstance(o, str) for o in options):
        return name
    try:
        return label_index(name, options, names)
    except ValueError as error:
        return Unreadable(f"its `answer` is the class {quoted(name)}, which {error}")


def _parse_jsonl(path: Path) -> list[dict[str, Any]]:
    try:
        lines = list(read_json_lines(path))
    except JsonLinesError as error:
        raise DatasetError(f"{path.name} {error}") from error
    except OSError as error:
        raise DatasetError(f"{path.name} cannot be read ({reason_of(error)}); make it a readable file") from error
    problems = ((line.number, line_problem(line)) for line in lines)
    raise_first(
        (Fault(number, "", problem) for number, problem in problems if problem is not None),
        lambda number: f"{path.name} row {number}",
    )
    return [line.value for line in lines]


def line_problem(line: JsonLine) -> str | None:
    """Return the fault and the cure of a line that is not a row; None if it is a row."""
    if line.fault is None:
        return None if isinstance(line.value, dict) else "the line is not a JSON object; write one object a line"
    if line.fault == "is blank":
        return "the line is blank; remove it"
    return f"the line {line.fault}; write one object a line"


def _without_letters(table: pa.Table) -> tuple[pa.Table, tuple[str, ...]]:
    """Remove letters that options already have; report the number of changed samples."""
    first = pc.list_element(table["options"], 0)
    found = {}
    for row in np.flatnonzero(pc.match_substring_regex(first, r"^\s*[(\[]?[Aa][)\].:]").to_numpy()).tolist():
        texts = unlettered(table["options"][row].as_py())
        if texts is not None:
            found[row] = texts
    if not found:
        return table, ()
    options = [found.get(row, kept) for row, kept in enumerate(table["options"].to_pylist())]
    column = table.schema.get_field_index("options")
    changed = table.set_column(
        column, SAMPLE_SCHEMA.field("options"), pa.array(options, SAMPLE_SCHEMA.field("options").type)
    )
    count = f"{len(found):,} sample{'' if len(found) == 1 else 's'}"
    return changed, (f"the options of {count} already had letters; they were removed, because the prompt adds them",)


def _write(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    # Compression does not shrink encoded images, and reading one image reads its whole row group.
    with pq.ParquetWriter(
        path,
        _WRITTEN_SCHEMA,
        compression={**dict.fromkeys(_leaf_columns(), "zstd"), "image.bytes": "none"},
        use_dictionary=["source", "category"],
    ) as writer:
        written = 0
        for batch in in_batches(rows, ROW_GROUP_ROWS):
            writer.write_table(_table_to_write(batch, written, path.name))
            written += len(batch)


def _leaf_columns() -> list[str]:
    return ["id", "image.bytes", "image.path", "question", "options.list.element", "answer", "source", "category"]


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
