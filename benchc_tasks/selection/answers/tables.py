"""Read one long table of answers, as parquet or CSV: a row for each model, sample and condition."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.dataset as pa_dataset

from benchc_metrics.benchmark import LETTERS
from benchc_metrics.messages import quoted, reason_of, shortened
from benchc_tasks.datasets.features import Feature, class_names, declared_beside, features_of_schema
from benchc_tasks.selection.answers.batches import BATCH_ROWS, CLEAN, AnswerBatch, Kind, Labels, SampleLookup
from benchc_tasks.selection.answers.checks import checked_values
from benchc_tasks.selection.answers.values import padded_values, predictions_of
from benchc_tasks.selection.pool import Pool

__all__ = ["TABLE_SUFFIXES", "TableAnswers"]

TABLE_SUFFIXES = (".parquet", ".csv", ".csv.gz")

Result = TypeVar("Result")

_KEYS = ("model", "sample", "condition")
_PREDICTION = "prediction"
_CSV_BLOCK_BYTES = 1 << 23
_LISTS: dict[str, Kind] = {"logits": "logits", "log_likelihoods": "logits", "probabilities": "probabilities"}
_WIDE: dict[str, Kind] = {"logit_": "logits", "log_likelihood_": "logits", "probability_": "probabilities"}


class TableAnswers:
    """Answers in a parquet file, a folder of parquet files, or a CSV file.

    Columns: `model`, `sample`, `condition` (`clean` is the one that others are compared with; any other name will do),
    and one of: `logits`, `log_likelihoods` or `probabilities`, a list per row; the same in a column for each option
    (`logit_A`, `log_likelihood_A`, `probability_A`, ...), empty beyond a sample's options; or `prediction`, a letter or
    an index. Where there are several of these the first counts. Class labels of Hugging Face `datasets` are read by
    their names.

    Parameters
    ----------
    path : Path
        The file or folder.
    model : str, optional
        The model that all rows are of, for a table that has no column `model`.

    Raises
    ------
    ValueError
        If the table cannot be read or lacks a column; one sentence.
    """

    brings_clean = False
    repeats_clean = False

    def __init__(self, path: Path, model: str | None = None) -> None:
        self.name = str(path)
        self._model = model
        files = sorted(path.rglob("*.parquet")) if path.is_dir() else [path]
        self.size = sum(file.stat().st_size for file in files)
        self._files = files
        self._root = path if path.is_dir() else path.parent
        self._is_csv = path.name.endswith((".csv", ".csv.gz"))
        self._keys = [key for key in _KEYS if key != "model" or model is None]
        names = self._guarded(self._column_names)
        self._kind, self._columns = _value_columns(names)
        missing = [key for key in self._keys if key not in names]
        if missing or not self._columns:
            wanted = missing or ["logits, probabilities or prediction"]
            raise ValueError(
                f"{self.name} has no column {', '.join(map(repr, wanted))} among {shortened(', '.join(names))}; "
                "name its columns as docs/selection.md says"
            )
        if model is not None and "model" in names:
            raise ValueError(f"{self.name} names its models itself in its column 'model': leave {model}= out")

    def batches(self, pool: Pool, only_clean: bool) -> Iterator[tuple[AnswerBatch, int]]:
        """Read the table, in its order; of the clean rows alone if that is asked for."""
        lookup = SampleLookup(pool)
        found = self._csv_batches() if self._is_csv else self._parquet_batches()
        while (item := self._guarded(lambda: next(found, None))) is not None:
            yield self._guarded(partial(self._batch, item[0], pool, lookup, only_clean)), item[1]

    def _guarded(self, read: Callable[[], Result]) -> Result:
        try:
            return read()
        except (pa.ArrowException, OSError) as error:
            raise ValueError(f"{self.name} cannot be read as a table ({reason_of(error)}); write it again") from error

    def _column_names(self) -> list[str]:
        if not self._is_csv:
            return list(pa_dataset.dataset(self._files, format="parquet").schema.names)
        with _open_stream(self._files[0])[1] as stream:
            return list(pa_csv.open_csv(stream).schema.names)

    def _parquet_batches(self) -> Iterator[tuple[pa.RecordBatch, int]]:
        options = pa_dataset.ParquetReadOptions(dictionary_columns=set(self._keys))
        table = pa_dataset.dataset(self._files, format=pa_dataset.ParquetFileFormat(read_options=options))
        rows, seen = table.count_rows(), 0
        columns = [*self._keys, *self._columns]
        # File by file: each has the names of its own class labels.
        for fragment in table.get_fragments():
            features = self._features_of(fragment)
            for found in fragment.scanner(schema=table.schema, columns=columns, batch_size=BATCH_ROWS).to_batches():
                seen += found.num_rows
                yield _with_names(found, features, self.name), self.size * seen // rows

    def _features_of(self, fragment: Any) -> Mapping[str, Feature]:
        file = Path(fragment.path)
        found = features_of_schema(fragment.physical_schema.metadata, file.name)
        return found or declared_beside(file, self._root).features

    def _csv_batches(self) -> Iterator[tuple[pa.RecordBatch, int]]:
        # What is an id or a name stays as it is written: 007 is not the number 7.
        types = {key: pa.string() for key in self._keys}
        types |= {name: pa.string() if self._kind == "predictions" else pa.float64() for name in self._columns}
        file, stream = _open_stream(self._files[0])
        with stream:
            yield from (
                (found, file.tell())
                for found in pa_csv.open_csv(
                    stream,
                    read_options=pa_csv.ReadOptions(block_size=_CSV_BLOCK_BYTES),
                    convert_options=pa_csv.ConvertOptions(column_types=types, include_columns=[*types]),
                )
            )

    def notes(self) -> dict[str, dict[str, str]]:
        """Return nothing: the table has only numbers."""
        return {}

    def _batch(self, found: pa.RecordBatch, pool: Pool, lookup: SampleLookup, only_clean: bool) -> AnswerBatch:
        condition = _labels(found["condition"], self.name, "condition")
        if only_clean:
            is_clean = np.array([name == CLEAN for name in condition.names], dtype=bool)[condition.codes]
            if not is_clean.all():
                found = found.filter(pa.array(is_clean))
                condition = condition.take(is_clean)
        model = (
            Labels.constant(self._model, found.num_rows)
            if self._model is not None
            else _labels(found["model"], self.name, "model")
        )
        sample, strangers = lookup(_strings(found["sample"]))
        columns = [found[name] for name in self._columns]
        batch = AnswerBatch(
            origin=self.name,
            model=model,
            condition=condition,
            sample=sample,
            kind=self._kind,
            values=np.empty((0, 0)),
            strangers=strangers,
        )
        if self._kind == "predictions":
            return self._with_predictions(batch, columns[0], pool)
        return checked_values(batch, *padded_values(columns, self.name), pool)

    def _with_predictions(self, batch: AnswerBatch, column: pa.Array, pool: Pool) -> AnswerBatch:
        def describe(row: int) -> str:
            return batch.describe(row, pool) if batch.sample[row] >= 0 else self.name

        predictions, is_number = predictions_of(column, describe)
        counts = pool.option_counts[batch.sample]
        # A letter too many is a model's; an index too many is that of a table that counts from 1.
        for row in np.flatnonzero(is_number & (batch.sample >= 0) & (predictions >= counts))[:1].tolist():
            raise ValueError(
                f"{describe(row)} has the predicted index {predictions[row]}, and the sample has {counts[row]} "
                "options; count from 0, or give the predicted option's letter"
            )
        return replace(batch, values=predictions)


def _value_columns(names: Sequence[str]) -> tuple[Kind, list[str]]:
    for name, kind in _LISTS.items():
        if name in names:
            return kind, [name]
    for prefix, kind in _WIDE.items():
        found = [f"{prefix}{letter}" for letter in LETTERS if f"{prefix}{letter}" in names]
        if found:
            return kind, found
    return "predictions", [_PREDICTION] if _PREDICTION in names else []


def _with_names(found: pa.RecordBatch, features: Mapping[str, Feature], origin: str) -> pa.RecordBatch:
    """Put the names of class labels in the place of their numbers."""
    columns = [
        _names_of(column, class_names(features.get(name)), origin)
        for name, column in zip(found.schema.names, found.columns, strict=True)
    ]
    return pa.RecordBatch.from_arrays(columns, names=found.schema.names)


def _names_of(column: pa.Array, names: Sequence[str] | None, origin: str) -> pa.Array:
    stored = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    if names is None or not pa.types.is_integer(stored):
        return column
    codes = column.cast(pa.int64())
    codes = pc.if_else(pc.equal(codes, -1), pa.scalar(None, pa.int64()), codes)
    strange = codes.filter(pc.fill_null(pc.or_(pc.less(codes, 0), pc.greater_equal(codes, len(names))), False))
    if len(strange):
        raise ValueError(f"{origin} has the class label {strange[0]} of {len(names)}; write the table again")
    return pa.array(names, pa.string()).take(codes)


def _open_stream(path: Path) -> tuple[BinaryIO, Any]:
    """Open a CSV file, and beside it what reads its decompressed content."""
    file = path.open("rb")
    stream = pa.PythonFile(file, mode="r")
    return file, pa.CompressedInputStream(stream, "gzip") if path.name.endswith(".gz") else stream


def _strings(column: pa.Array) -> pa.Array:
    if pa.types.is_dictionary(column.type):
        return column
    return column if pa.types.is_string(column.type) else column.cast(pa.string())


def _labels(column: pa.Array, origin: str, name: str) -> Labels:
    if column.null_count:
        raise ValueError(f"{origin} has a row without {quoted(name)}; give each row its {name}")
    encoded = _strings(column)
    encoded = encoded if pa.types.is_dictionary(encoded.type) else encoded.dictionary_encode()
    codes = encoded.indices.to_numpy(zero_copy_only=False).astype(np.int64)
    return Labels(codes, tuple(pc.cast(encoded.dictionary, pa.string()).to_pylist()))
