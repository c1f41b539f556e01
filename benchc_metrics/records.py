"""The samples log: one typed record for each sample and task, under the key `benchc` of lmms-eval's row.

lmms-eval keeps a dict that `process_results` returns whole in its samples log; this is that dict. What is to be read
later must stand in it, because the row itself holds neither the question nor the options.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from functools import lru_cache
from math import inf
from os import PathLike
from pathlib import Path
from typing import Any, TextIO, cast

from benchc_metrics.conditions import Condition

__all__ = ["RECORD_KEY", "SCHEMA", "SampleRecord", "read_samples_log"]

SCHEMA = "benchc.sample/1"
"""Name and version of the record; a change of its keys or their meaning is a new version."""

RECORD_KEY = "benchc"
"""Key of the record in a row of lmms-eval's samples log."""


@dataclass(frozen=True, slots=True)
class SampleRecord:
    """One sample of one task with a model's answers under all of the task's conditions.

    Attributes
    ----------
    dataset : str
        The dataset's fingerprint.
    engine : str
        Version of the corruption engine.
    benchc : str
        Version of this package.
    prompt : str
        The fixed part of the prompt, or a hash of it.
    sample : str
        The sample's id.
    source, category : str or None
        Where the sample comes from and what kind of question it is, where the dataset says so.
    answer : int
        Index of the right option.
    conditions : tuple of str
        `clean` first, then corrupted conditions, as `Condition` writes them.
    log_likelihoods : tuple of (tuple of float, or None)
        For each condition one log-likelihood an option in nats (-inf for a probability of 0), or None where the
        condition is invalid.
    length_normalised : bool
        True if the backend returned mean losses, so that the log-likelihoods are a token's and not an option's.
    invalid : mapping of str to str
        For each invalid condition, in one sentence, why.

    Raises
    ------
    ValueError
        If a field has another type, or the fields do not go together; one sentence that names the sample.
    """

    dataset: str
    engine: str
    benchc: str
    prompt: str
    sample: str
    source: str | None
    category: str | None
    answer: int
    conditions: tuple[str, ...]
    log_likelihoods: tuple[tuple[float, ...] | None, ...]
    length_normalised: bool
    invalid: Mapping[str, str]

    def __post_init__(self) -> None:
        """Check every field."""
        for name in ("dataset", "engine", "benchc", "prompt", "sample"):
            self._require(isinstance(getattr(self, name), str), f"{name} is not text")
        for name in ("source", "category"):
            self._require(isinstance(getattr(self, name), (str, type(None))), f"{name} is neither text nor null")
        self._require(isinstance(self.answer, int) and not isinstance(self.answer, bool), "answer is not an integer")
        self._require(isinstance(self.length_normalised, bool), "length_normalised is neither true nor false")
        self._check_conditions()
        self._check_log_likelihoods()

    @property
    def option_count(self) -> int | None:
        """Number of options; None if every condition is invalid."""
        return next((len(options) for options in self.log_likelihoods if options is not None), None)

    def to_json_dict(self) -> dict[str, Any]:
        """Write the record as plain JSON types without NaN or Infinity, which strict JSON does not have.

        Returns
        -------
        dict
            The key `schema`, then a key for each field. In `log_likelihoods` a null in place of a list is an invalid
            condition, and a null within a list is -inf.
        """
        written: dict[str, Any] = {"schema": SCHEMA}
        written.update((name, getattr(self, name)) for name in _FIELD_NAMES)
        written["conditions"] = list(self.conditions)
        written["log_likelihoods"] = [
            None if options is None else [None if value == -inf else value for value in options]
            for options in self.log_likelihoods
        ]
        written["invalid"] = dict(self.invalid)
        return written

    @classmethod
    def from_json_dict(cls, written: object) -> SampleRecord:
        """Read what `to_json_dict` wrote.

        Raises
        ------
        ValueError
            If it is no such dict, of another schema version, has unknown or missing keys, or a value is refused; one
            sentence that names the sample.
        """
        if not isinstance(written, Mapping):
            raise ValueError(f"a sample's record must be a mapping of its fields, not {type(written).__name__}")
        sample = written.get("sample")
        if written.get("schema") != SCHEMA:
            raise ValueError(
                f"sample {sample!r}: schema {written.get('schema')!r} is not {SCHEMA!r}, "
                "the one that this version of benchc reads"
            )
        unknown, missing = written.keys() - _KEYS, _KEYS - written.keys()
        if unknown or missing:
            kind, keys = ("unknown", unknown) if unknown else ("missing", missing)
            raise ValueError(f"sample {sample!r}: {kind} keys {', '.join(sorted(map(repr, keys)))} in its record")
        values = {name: written[name] for name in _FIELD_NAMES}
        for name in ("conditions", "log_likelihoods"):
            if not isinstance(values[name], (list, tuple)):
                raise ValueError(f"sample {sample!r}: {name} is not a list")
        values["conditions"] = tuple(values["conditions"])
        values["log_likelihoods"] = tuple(_options_from_json(options) for options in values["log_likelihoods"])
        return cls(**values)

    def _require(self, holds: bool, otherwise: str) -> None:
        if not holds:
            raise ValueError(f"sample {self.sample!r}: {otherwise}")

    def _check_conditions(self) -> None:
        self._require(
            isinstance(self.conditions, tuple) and all(isinstance(condition, str) for condition in self.conditions),
            "conditions is not a list of text",
        )
        wrong = _wrong_conditions(self.conditions)
        self._require(wrong is None, f"{wrong}")

    def _check_log_likelihoods(self) -> None:
        self._require(
            isinstance(self.log_likelihoods, tuple) and len(self.log_likelihoods) == len(self.conditions),
            f"log_likelihoods is not a list of one entry for each of its {len(self.conditions)} conditions",
        )
        option_count = self.option_count
        for condition, options in zip(self.conditions, self.log_likelihoods, strict=True):
            if options is not None:
                self._require(
                    isinstance(options, tuple) and len(options) == option_count and option_count >= 2,
                    f"condition {condition!r} has {len(options)} options where a sample has at least 2, "
                    "and the same under all its conditions",
                )
                self._require(
                    all(isinstance(value, float) and value <= 0 for value in options) and max(options) > -inf,
                    f"condition {condition!r} has log-likelihoods that are not numbers of at most 0, "
                    "with one above -inf",
                )
        self._require(
            self.answer >= 0 and (option_count is None or self.answer < option_count),
            f"answer {self.answer} is none of its {option_count} options",
        )
        self._require(
            isinstance(self.invalid, Mapping)
            and all(isinstance(reason, str) and reason for reason in self.invalid.values()),
            "invalid does not map conditions to reasons",
        )
        without_answer = {
            condition
            for condition, options in zip(self.conditions, self.log_likelihoods, strict=True)
            if options is None
        }
        self._require(
            self.invalid.keys() == without_answer,
            "invalid does not give a reason for exactly the conditions that have no log-likelihoods",
        )


_FIELD_NAMES = tuple(field.name for field in fields(SampleRecord))
_KEYS = frozenset({"schema", *_FIELD_NAMES})


def read_samples_log(path: str | PathLike[str]) -> Iterator[SampleRecord]:
    """Read the records of one of lmms-eval's samples logs, row by row.

    Parameters
    ----------
    path : str or path-like
        A `*_samples_*.jsonl` as lmms-eval writes it, or the same compressed (`.gz`).

    Yields
    ------
    SampleRecord
        One for each row, in the file's order.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If a row is not JSON (the last one of an interrupted run is cut off), has no record, or its record is refused;
        one sentence that names file and line.
    """
    file = Path(path)
    with _open_text(file) as lines:
        for number, line in enumerate(lines, start=1):
            if line.strip():
                try:
                    yield _record_of_row(line)
                except ValueError as error:
                    raise ValueError(f"{file}, line {number}: {error}") from None


def _open_text(file: Path) -> TextIO:
    if file.suffix == ".gz":
        return cast(TextIO, gzip.open(file, "rt", encoding="utf-8"))
    return file.open(encoding="utf-8")


def _record_of_row(line: str) -> SampleRecord:
    try:
        row = json.loads(line)
    except json.JSONDecodeError as error:
        raise ValueError(f"the row is not JSON ({error.msg} at column {error.colno}): was the run cut off?") from None
    if not isinstance(row, dict) or RECORD_KEY not in row:
        raise ValueError(
            f"the row has no {RECORD_KEY!r} record: give the samples log of a Bench-C task, made with --log_samples"
        )
    return SampleRecord.from_json_dict(row[RECORD_KEY])


@lru_cache(maxsize=1024)
def _wrong_conditions(conditions: tuple[str, ...]) -> str | None:
    """Say what is wrong with a list of conditions; kept, because all samples of a task share one list."""
    if conditions[:1] != ("clean",):
        return "conditions do not begin with 'clean'"
    if len(set(conditions)) != len(conditions):
        return "a condition stands twice in conditions"
    for condition in conditions:
        try:
            Condition.parse(condition)
        except ValueError as error:
            return str(error)
    return None


def _options_from_json(options: object) -> tuple[float, ...] | None:
    """One condition's log-likelihoods; what is neither null nor a list of numbers is left for the check to refuse."""
    if not isinstance(options, (list, tuple)):
        return cast("tuple[float, ...] | None", options)
    return tuple(
        -inf if value is None else float(value) if type(value) is int else cast(float, value) for value in options
    )
