"""`samples.parquet`: the answers of a run, and the run made of them again."""

from __future__ import annotations

import io
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from benchc_metrics.benchmark import CONDITIONS, CORRUPTION_FAMILIES, SEVERITIES
from benchc_metrics.leaderboard.schema import ANSWERS_FILE, SAMPLES_SCHEMA, SAMPLES_VERSION
from benchc_metrics.responses import option_distribution
from benchc_metrics.runs import Run, RunMetadata

__all__ = ["AnswerTable", "answers_to_parquet"]

# Softmax on another machine may differ in the last digits.
_SAME_PROBABILITY = 1e-9
_SHOWN = 5


def answers_to_parquet(run: Run) -> bytes:
    """Write the answers of a whole run.

    Parameters
    ----------
    run : Run
        All conditions, none invalid: see `benchc_metrics.leaderboard.submission.what_is_missing`.

    Returns
    -------
    bytes
        A parquet file in `SAMPLES_SCHEMA`.
    """
    samples, width = len(run.sample_ids), run.clean.shape[-1]
    log_likelihoods = np.concatenate([run.clean[:, np.newaxis], run.corrupted.reshape(samples, -1, width)], axis=1)
    counts = np.repeat(run.option_counts, len(CONDITIONS))
    real = np.arange(width) < counts[:, np.newaxis]
    offsets = pa.array(np.concatenate([[0], np.cumsum(counts)]), pa.int32())
    probabilities = option_distribution(log_likelihoods, run.option_counts)

    def ragged(values: NDArray[np.float64]) -> pa.Array:
        return pa.ListArray.from_arrays(offsets, pa.array(values.reshape(-1, width)[real]))

    table = pa.table(
        [
            pa.array(np.repeat(run.sample_ids, len(CONDITIONS)), pa.string()),
            pa.array([source for source in run.sources for _ in CONDITIONS], pa.string()),
            pa.array([category for category in run.categories for _ in CONDITIONS], pa.string()),
            pa.array(np.repeat(run.answers, len(CONDITIONS)), pa.int64()),
            pa.array(CONDITIONS * samples, pa.string()),
            ragged(log_likelihoods),
            ragged(probabilities),
        ],
        schema=SAMPLES_SCHEMA,
    )
    written = io.BytesIO()
    pq.write_table(table, written, compression="zstd", compression_level=9)
    return written.getvalue()


@dataclass(frozen=True, eq=False)
class AnswerTable:
    """A `samples.parquet` of any origin, whose types are right and whose content is not yet believed.

    Attributes
    ----------
    table : pyarrow.Table
        In `SAMPLES_SCHEMA`.
    """

    table: pa.Table

    @classmethod
    def read(cls, file: Path, largest_rows: int, largest_bytes: int) -> AnswerTable:
        """Read a file, after a look at what it will take in memory.

        Raises
        ------
        ValueError
            If it is no parquet file, of another schema or version, or larger than it may be; one sentence.
        """
        try:
            with pq.ParquetFile(file) as opened:
                _check_size(opened.metadata, largest_rows, largest_bytes)
                if not opened.schema_arrow.equals(SAMPLES_SCHEMA):
                    raise ValueError(f"{ANSWERS_FILE}: its columns are not those of {SAMPLES_VERSION}")
                if (opened.schema_arrow.metadata or {}).get(b"schema") != SAMPLES_VERSION.encode():
                    raise ValueError(f"{ANSWERS_FILE}: it does not say that it is {SAMPLES_VERSION}")
            # A text that stands in all rows is stored once: look at it before it is written out for each of them.
            with pq.ParquetFile(file, read_dictionary=list(_TEXTS)) as opened:
                table = opened.read()
                table.validate(full=True)
                for name in _TEXTS:
                    for chunk in table.column(name).chunks:
                        if (pc.max(pc.binary_length(chunk.dictionary)).as_py() or 0) > _LONGEST_TEXT:
                            raise ValueError(f"{ANSWERS_FILE}: a {name} is longer than {_LONGEST_TEXT} bytes")
                table = table.cast(SAMPLES_SCHEMA).combine_chunks()
        except (pa.ArrowException, OSError) as fault:
            raise ValueError(f"{ANSWERS_FILE}: it cannot be read as parquet ({fault})") from None
        return cls(table)

    def faults(self, expected_samples: int) -> list[str]:
        """List what is wrong with the answers, a sentence each; none if a run can be made of them.

        Parameters
        ----------
        expected_samples : int
            How many samples the dataset has.
        """
        if self.table.num_rows == 0:
            return ["it has no answer"]
        if any(column.null_count for column in map(self.table.column, _REQUIRED)) or any(
            self.table.column(name).combine_chunks().flatten().null_count for name in _LISTS
        ):
            return ["it has nulls where each answer needs a value"]
        return [
            *self._faults_of_rows(expected_samples),
            *self._faults_of_samples(),
            *self._faults_of_values(),
        ]

    def to_run(self, name: str, metadata: RunMetadata) -> Run:
        """Make the run of a table that has no faults."""
        table = self.table.take(self._canonical_order())
        samples = table.num_rows // len(CONDITIONS)
        first = table.take(pa.array(np.arange(samples) * len(CONDITIONS)))
        log_likelihoods = _padded(table.column("log_likelihoods")).reshape(samples, len(CONDITIONS), -1)
        return Run(
            name=name,
            metadata=metadata,
            sample_ids=tuple(first.column("sample").to_pylist()),
            answers=first.column("answer").to_numpy().astype(np.int64),
            option_counts=_lengths(first.column("log_likelihoods")),
            sources=tuple(first.column("source").to_pylist()),
            categories=tuple(first.column("category").to_pylist()),
            corruptions=tuple(CORRUPTION_FAMILIES),
            clean=log_likelihoods[:, 0],
            corrupted=log_likelihoods[:, 1:].reshape(samples, len(CORRUPTION_FAMILIES), len(SEVERITIES), -1),
        )

    def _canonical_order(self) -> NDArray[np.int64]:
        places = {condition: place for place, condition in enumerate(CONDITIONS)}
        conditions = [places[condition] for condition in self.table.column("condition").to_pylist()]
        return np.lexsort([conditions, self.table.column("sample").to_pylist()]).astype(np.int64)

    def _faults_of_rows(self, expected_samples: int) -> list[str]:
        samples, conditions = (self.table.column(name).to_pylist() for name in ("sample", "condition"))
        found = Counter(zip(samples, conditions, strict=True))
        ids = sorted(set(samples))
        faults = []
        if len(ids) != expected_samples:
            faults.append(f"it has {len(ids)} samples where the dataset has {expected_samples}")
        unknown = sorted(set(conditions) - set(CONDITIONS))
        faults += _listed("unknown conditions", unknown)
        faults += _listed("duplicated answers", [f"{s} under {c}" for (s, c), times in found.items() if times > 1])
        missing = [f"{s} under {c}" for s in ids for c in CONDITIONS if (s, c) not in found]
        return faults + _listed("missing answers", missing)

    def _faults_of_samples(self) -> list[str]:
        """Whether what belongs to a sample is the same under all its conditions."""
        counts = _lengths(self.table.column("log_likelihoods")).tolist()
        columns = (self.table.column(name).to_pylist() for name in ("answer", "source", "category"))
        first: dict[str, tuple[object, ...]] = {}
        changing = {
            sample
            for sample, *facts in zip(self.table.column("sample").to_pylist(), counts, *columns, strict=True)
            if first.setdefault(sample, tuple(facts)) != tuple(facts)
        }
        return _listed("samples whose answer, category or options change between conditions", sorted(changing))

    def _faults_of_values(self) -> list[str]:
        names = [
            f"{sample} under {condition}"
            for sample, condition in zip(
                self.table.column("sample").to_pylist(), self.table.column("condition").to_pylist(), strict=True
            )
        ]
        counts = _lengths(self.table.column("log_likelihoods"))
        answers = self.table.column("answer").to_numpy()
        if (_lengths(self.table.column("probabilities")) != counts).any() or (counts < 2).any() or (counts > 26).any():
            return ["its lists of log-likelihoods and probabilities are not of the same 2 to 26 options"]
        log_likelihoods = _padded(self.table.column("log_likelihoods"))
        probabilities = _padded(self.table.column("probabilities"), fill=0.0)
        wrong_value = ~np.isfinite(log_likelihoods.max(axis=1)) | (log_likelihoods > 0).any(axis=1)
        wrong_sum = ~(np.abs(probabilities.sum(axis=1) - 1) <= _SAME_PROBABILITY) | (probabilities < 0).any(axis=1)
        with np.errstate(invalid="ignore"):
            softmax = option_distribution(log_likelihoods, counts)
        wrong_softmax = ~wrong_value & ~wrong_sum & ~(np.abs(softmax - probabilities) <= _SAME_PROBABILITY).all(axis=1)
        return [
            *_listed("right options that are none of the options", _chosen(names, (answers < 0) | (answers >= counts))),
            *_listed("log-likelihoods that are none", _chosen(names, wrong_value)),
            *_listed("probabilities that do not sum to one", _chosen(names, wrong_sum)),
            *_listed("probabilities that are not those of the log-likelihoods", _chosen(names, wrong_softmax)),
        ]


_TEXTS = ("sample", "source", "category", "condition")
_LONGEST_TEXT = 1000
_REQUIRED = ("sample", "answer", "condition", "log_likelihoods", "probabilities")
_LISTS = ("log_likelihoods", "probabilities")


def _check_size(facts: pq.FileMetaData, largest_rows: int, largest_bytes: int) -> None:
    """Refuse what would not fit into memory, by what the file says of itself before anything is unpacked."""
    groups = [facts.row_group(number) for number in range(facts.num_row_groups)]
    unpacked = sum(group.total_byte_size for group in groups)
    values = max(
        (sum(group.column(place).num_values for group in groups) for place in range(facts.num_columns)), default=0
    )
    if facts.num_rows > largest_rows or unpacked > largest_bytes or values > largest_rows * 26:
        raise ValueError(
            f"{ANSWERS_FILE}: {facts.num_rows} rows of {values} values in {unpacked} bytes are more than the "
            f"{largest_rows} rows in {largest_bytes} bytes that it may have"
        )


def _lengths(column: pa.ChunkedArray) -> NDArray[np.int64]:
    return np.asarray(np.diff(column.combine_chunks().offsets.to_numpy()), dtype=np.int64)


def _padded(column: pa.ChunkedArray, fill: float = -np.inf) -> NDArray[np.float64]:
    """Make a column of lists an array (rows, widest list)."""
    counts = _lengths(column)
    padded = np.full((len(counts), int(counts.max(initial=0))), fill)
    padded[np.arange(padded.shape[1]) < counts[:, np.newaxis]] = column.combine_chunks().flatten().to_numpy()
    return padded


def _chosen(names: list[str], mask: NDArray[np.bool_]) -> list[str]:
    return [names[row] for row in np.flatnonzero(mask).tolist()]


def _listed(what: str, names: list[str]) -> list[str]:
    """One sentence that counts the names and shows the first few; none where there are none."""
    if not names:
        return []
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return [f"{len(names)} {what}: {', '.join(names[:_SHOWN])}{more}"]
