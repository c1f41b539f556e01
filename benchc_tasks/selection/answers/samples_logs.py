"""Read the samples logs of Bench-C tasks: many models, many files, compressed or not."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from benchc_metrics.benchmark import are_of_control
from benchc_metrics.messages import quoted
from benchc_metrics.records import SampleRecord, read_samples_log
from benchc_tasks.batching import in_batches
from benchc_tasks.selection.answers.batches import AnswerBatch, Labels, SampleLookup
from benchc_tasks.selection.answers.checks import checked_values
from benchc_tasks.selection.pool import Pool

__all__ = ["LOG_SUFFIXES", "LogAnswers"]

LOG_SUFFIXES = (".jsonl", ".jsonl.gz")

_BATCH_RECORDS = 2048
_LIKELIHOOD = {"log-likelihoods": "an option's", "mean losses": "a token's"}


class LogAnswers:
    """Answers of one model in its samples logs, one file a task.

    Parameters
    ----------
    model : str
        The model's name, which the logs do not hold.
    paths : sequence of Path
        The files.
    """

    brings_clean = True
    repeats_clean = True

    def __init__(self, model: str, paths: Sequence[Path]) -> None:
        self.name = f"the logs of {quoted(model)}"
        self._model = model
        self._paths = sorted(paths)
        self._sizes = [path.stat().st_size for path in self._paths]
        self.size = sum(self._sizes)
        self._notes: dict[str, str] = {}

    def batches(self, pool: Pool, only_clean: bool) -> Iterator[tuple[AnswerBatch, int]]:
        """Read the logs, file by file.

        Raises
        ------
        ValueError
            If a record is of another dataset than the pool, or a model's records do not go together: other engine
            versions or prompts, or log-likelihoods of which some are a token's and some an option's.
        """
        before = 0
        for path, size in zip(self._paths, self._sizes, strict=True):
            records = self._without_control(read_samples_log(path))
            for chunk in in_batches(records, _BATCH_RECORDS):
                self._check(chunk, path, pool)
                yield self._batch(chunk, path, pool), before
            before += size

    def _without_control(self, records: Iterable[SampleRecord]) -> Iterator[SampleRecord]:
        """Leave out answers under the control, which does not corrupt."""
        for record in records:
            if are_of_control(record.conditions):
                self._notes["left_out"] = "answers under the control"
            else:
                yield record

    def notes(self) -> dict[str, dict[str, str]]:
        """Engine version, prompt and kind of likelihood of the model's answers, and what was left out of them."""
        return {self._model: dict(self._notes)}

    def _check(self, records: Sequence[SampleRecord], path: Path, pool: Pool) -> None:
        for record in records:
            if record.dataset != pool.fingerprint:
                raise ValueError(
                    f"{path}: sample {quoted(record.sample)} is of the dataset {record.dataset[:12]}, and the pool "
                    f"is {pool.fingerprint[:12]}; select from the dataset that the models were evaluated on"
                )
            found = {
                "engine": record.engine,
                "prompt": record.prompt,
                "likelihood": _LIKELIHOOD.get(record.obtained, record.obtained),
            }
            for key, value in found.items():
                if self._notes.setdefault(key, value) != value:
                    raise ValueError(
                        f"{path}: the answers of {quoted(self._model)} are of two kinds, "
                        f"{key} {quoted(self._notes[key])} and {quoted(value)}; "
                        "give each run as a model of its own with NAME=PATH"
                    )

    def _batch(self, records: Sequence[SampleRecord], path: Path, pool: Pool) -> AnswerBatch:
        if not all(record.has_distribution for record in records):
            return self._batch_of_predictions(records, path, pool)
        rows = [
            (record.sample, condition, options or ())
            for record in records
            for condition, options in zip(record.conditions, record.log_likelihoods or (), strict=True)
        ]
        positions, strangers = SampleLookup(pool)(pa.array([row[0] for row in rows], pa.string()))
        lengths = np.array([len(row[2]) for row in rows], dtype=np.int64)
        values = np.full((len(rows), int(lengths.max(initial=1))), np.nan)
        values[np.arange(values.shape[1]) < lengths[:, np.newaxis]] = [value for row in rows for value in row[2]]
        batch = AnswerBatch(
            origin=str(path),
            model=Labels.constant(self._model, len(rows)),
            condition=Labels.of([row[1] for row in rows]),
            sample=positions,
            kind="logits",
            values=np.empty((0, 0)),
            strangers=strangers,
        )
        return checked_values(batch, values, lengths, pool)

    def _batch_of_predictions(self, records: Sequence[SampleRecord], path: Path, pool: Pool) -> AnswerBatch:
        """Make a batch of records whose letters were generated."""
        rows = [
            (record.sample, condition, -1 if prediction is None else prediction)
            for record in records
            for condition, prediction in zip(record.conditions, record.predictions, strict=True)
        ]
        positions, strangers = SampleLookup(pool)(pa.array([row[0] for row in rows], pa.string()))
        return AnswerBatch(
            origin=str(path),
            model=Labels.constant(self._model, len(rows)),
            condition=Labels.of([row[1] for row in rows]),
            sample=positions,
            kind="predictions",
            values=np.array([row[2] for row in rows], dtype=np.int64),
            strangers=strangers,
        )
