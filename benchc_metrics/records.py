"""The samples log: one typed record for each sample and task, under the key `benchc` of lmms-eval's row.

lmms-eval keeps a dict that `process_results` returns whole in its samples log; this is that dict. What is to be read
later must stand in it, because the row itself holds neither the question nor the options.

One bad answer must not end a long run: a response that says nothing, or a log-likelihood among losses, makes its
condition invalid, with the reason. What cannot be an answer's fault - a response too few or too many - is an error.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from math import inf
from os import PathLike
from pathlib import Path
from typing import Any, TextIO, cast

import numpy as np
from numpy.typing import NDArray

from benchc_metrics.benchmark import fault_of_conditions
from benchc_metrics.responses import (
    WIDER_PRECISION,
    OptionResponse,
    checked_response,
    option_log_likelihoods,
    parse_response,
    valid_conditions,
)
from benchc_metrics.schemas import record_of_schema

__all__ = ["GENERATED_ANSWERS", "RECORD_KEY", "SCHEMA", "SampleRecord", "assemble_record", "read_samples_log"]

SCHEMA = "benchc.sample/2"
"""Name and version of the record; a change of its keys or their meaning is a new version."""

FIRST_SCHEMA = "benchc.sample/1"
"""The version before it, which is still read: it has no `missing_mass`."""

RECORD_KEY = "benchc"
"""Key of the record in a row of lmms-eval's samples log."""

GENERATED_ANSWERS = (
    "its generated answers have no RAS, which needs option log-likelihoods: give a run of the benchc_* tasks"
)
"""Why the records of `benchc-gen` tasks are not read here; see `benchc_metrics.generation_records`."""

MIXED_QUANTITIES = (
    "the backend answered log-likelihoods (negative) as well as mean losses (positive), "
    "where it must return one of the two"
)


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
    missing_mass : tuple of (float or None), or None
        For each condition the probability of all tokens that the engine did not show, in [0, 1]; None where the
        condition is invalid. None throughout for an engine that shows the whole distribution.

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
    missing_mass: tuple[float | None, ...] | None = None

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
        self._check_missing_mass()

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
        written["missing_mass"] = None if self.missing_mass is None else list(self.missing_mass)
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
        if isinstance(written, Mapping) and written.get("schema") == FIRST_SCHEMA and "missing_mass" not in written:
            written = {**written, "schema": SCHEMA, "missing_mass": None}
        record = record_of_schema(written, SCHEMA)
        sample = record.get("sample")
        unknown, missing = record.keys() - _KEYS, _KEYS - record.keys()
        if unknown or missing:
            kind, keys = ("unknown", unknown) if unknown else ("missing", missing)
            raise ValueError(f"sample {sample!r}: {kind} keys {', '.join(sorted(map(repr, keys)))} in its record")
        values = {name: record[name] for name in _FIELD_NAMES}
        for name in ("conditions", "log_likelihoods"):
            if not isinstance(values[name], (list, tuple)):
                raise ValueError(f"sample {sample!r}: {name} is not a list")
        if not all(isinstance(options, (list, tuple, type(None))) for options in values["log_likelihoods"]):
            raise ValueError(f"sample {sample!r}: log_likelihoods has an entry that is neither a list nor null")
        values["conditions"] = tuple(values["conditions"])
        values["log_likelihoods"] = tuple(_options_from_json(options) for options in values["log_likelihoods"])
        if isinstance(values["missing_mass"], list):
            values["missing_mass"] = tuple(values["missing_mass"])
        return cls(**values)

    def _require(self, holds: bool, otherwise: str) -> None:
        if not holds:
            raise ValueError(f"sample {self.sample!r}: {otherwise}")

    def _check_conditions(self) -> None:
        self._require(
            isinstance(self.conditions, tuple) and all(isinstance(condition, str) for condition in self.conditions),
            "conditions is not a list of text",
        )
        wrong = fault_of_conditions(self.conditions)
        self._require(wrong is None, f"{wrong}")

    def _check_log_likelihoods(self) -> None:
        self._require(
            isinstance(self.log_likelihoods, tuple)
            and len(self.log_likelihoods) == len(self.conditions)
            and all(isinstance(options, (tuple, type(None))) for options in self.log_likelihoods),
            f"log_likelihoods is not a list of one entry for each of its {len(self.conditions)} conditions",
        )
        option_count = self.option_count
        for condition, options in zip(self.conditions, self.log_likelihoods, strict=True):
            if options is not None:
                self._require(
                    len(options) == option_count and option_count >= 2,
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

    def _check_missing_mass(self) -> None:
        if self.missing_mass is None:
            return
        self._require(
            isinstance(self.missing_mass, tuple)
            and len(self.missing_mass) == len(self.conditions)
            and all(mass is None or (type(mass) in (int, float) and 0 <= mass <= 1) for mass in self.missing_mass),
            "missing_mass is not a list of one probability or null for each of its conditions",
        )


_FIELD_NAMES = tuple(field.name for field in fields(SampleRecord))
_KEYS = frozenset({"schema", *_FIELD_NAMES})


def assemble_record(
    results: Sequence[object],
    *,
    conditions: Sequence[str],
    option_count: int,
    answer: int,
    sample: str,
    dataset: str,
    engine: str,
    benchc: str,
    prompt: str,
    source: str | None = None,
    category: str | None = None,
) -> SampleRecord:
    """Put the responses for one sample together, condition by condition, option by option.

    Parameters
    ----------
    results : sequence
        The filtered responses in the order of their requests: all options of the first condition, then those of the
        second. Unfiltered responses are read as well.
    conditions : sequence of str
        `clean` first.
    option_count : int
        K, how many options the sample has.
    answer : int
        Index of the right option.
    sample, dataset, engine, benchc, prompt, source, category
        As in `SampleRecord`.

    Returns
    -------
    SampleRecord
        A condition with a nan, an unreadable response, a log-likelihood of +inf, or -inf for all options is invalid
        there, with the reason. So is one with log-likelihoods and mean losses; and where some conditions have the
        ones and some the others, all of them are, as nothing tells which are right.

    Raises
    ------
    ValueError
        If the number of responses is not conditions x options, or the record is refused; one sentence that names the
        sample, and the condition where it is one's.
    """
    _check_number(len(results), conditions, option_count, sample)
    responses = [_marked_response(result) for result in results]
    values = np.array([r.value if isinstance(r, OptionResponse) else np.nan for r in responses], dtype=np.float64)
    values = values.reshape(len(conditions), option_count)
    # What stands beside an unreadable response does not tell what the others mean.
    values[np.isnan(values).any(axis=-1)] = np.nan
    mixes = _mixes_quantities(values)
    values[mixes] = np.nan
    log_likelihoods, length_normalised = option_log_likelihoods(values)
    invalid: dict[str, str] = {}
    for row in np.flatnonzero(~valid_conditions(log_likelihoods)).tolist():
        of_condition = responses[row * option_count : (row + 1) * option_count]
        invalid[conditions[row]] = (
            MIXED_QUANTITIES if mixes[row] else _why_invalid(of_condition, log_likelihoods[row], length_normalised)
        )
    return SampleRecord(
        dataset=dataset,
        engine=engine,
        benchc=benchc,
        prompt=prompt,
        sample=sample,
        source=source,
        category=category,
        answer=answer,
        conditions=tuple(conditions),
        log_likelihoods=tuple(
            None if condition in invalid else tuple(options)
            for condition, options in zip(conditions, log_likelihoods.tolist(), strict=True)
        ),
        length_normalised=length_normalised,
        invalid=invalid,
        missing_mass=_missing_mass(responses, conditions, option_count, invalid),
    )


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
        If a row is not JSON (the last one of an interrupted run is cut off), has no record, or its record is refused,
        or the file is no text or damaged; one sentence that names file and line.
    """
    file = Path(path)
    number = 0
    with _open_text(file) as lines:
        try:
            for line in lines:
                number += 1
                if line.strip():
                    yield _record_of_row(line)
        except (EOFError, UnicodeDecodeError, gzip.BadGzipFile) as error:
            raise ValueError(f"{file}: the file cannot be read after line {number} ({error}): copy it again") from None
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
    record = row[RECORD_KEY]
    if isinstance(record, dict) and str(record.get("schema")).startswith("benchc.generation/"):
        raise ValueError(f"the row is of a benchc-gen task, and {GENERATED_ANSWERS}")
    return SampleRecord.from_json_dict(record)


def _options_from_json(options: Sequence[Any] | None) -> tuple[float, ...] | None:
    """Read one condition's log-likelihoods; an entry that is no number is left for the check to refuse."""
    if options is None:
        return None
    return tuple(-inf if value is None else float(value) if type(value) is int else value for value in options)


def _marked_response(result: object) -> OptionResponse | str:
    """Give a response, or the reason why there is none."""
    if isinstance(result, Mapping) and isinstance(result.get("invalid"), str):
        return str(result["invalid"])
    checked = checked_response(result)
    return checked["invalid"] if isinstance(checked, dict) else parse_response(checked)


def _check_number(found: int, conditions: Sequence[str], option_count: int, sample: str) -> None:
    if option_count < 2 or not conditions:
        raise ValueError(
            f"sample {sample!r} has {option_count} options and {len(conditions)} conditions: "
            "a question needs at least 2 options and the clean condition"
        )
    expected = len(conditions) * option_count
    if found == expected:
        return
    total = f"{len(conditions)} conditions x {option_count} options need {expected}"
    if found < expected:
        condition, option = divmod(found, option_count)
        raise ValueError(
            f"sample {sample!r} has {found} responses where {total}: "
            f"the first one missing is option {option} of condition {conditions[condition]!r}"
        )
    raise ValueError(
        f"sample {sample!r} has {found} responses where {total}: "
        f"{found - expected} are left over after the last condition, {conditions[-1]!r}"
    )


def _mixes_quantities(values: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Say for each condition whether its values (conditions, options) are no one quantity, or another than others'."""
    finite = np.isfinite(values)
    negative, positive = np.any(finite & (values < 0), axis=-1), np.any(finite & (values > 0), axis=-1)
    mixes = negative & positive
    pure = ~mixes
    if np.any(pure & negative) and np.any(pure & positive):
        mixes |= negative | positive
    return np.asarray(mixes)


def _missing_mass(
    responses: Sequence[OptionResponse | str], conditions: Sequence[str], option_count: int, invalid: Mapping[str, str]
) -> tuple[float | None, ...] | None:
    """Give the largest mass that any of a condition's responses misses; None if none says so."""
    masses = [
        None if condition in invalid else _largest_missing_mass(responses[row * option_count :][:option_count])
        for row, condition in enumerate(conditions)
    ]
    return None if all(mass is None for mass in masses) else tuple(masses)


def _largest_missing_mass(responses: Sequence[OptionResponse | str]) -> float | None:
    said = [r.missing_mass for r in responses if isinstance(r, OptionResponse) and r.missing_mass is not None]
    return max(said, default=None)


def _why_invalid(
    responses: Sequence[OptionResponse | str], log_likelihoods: NDArray[np.float64], length_normalised: bool
) -> str:
    first = responses[0]
    if isinstance(first, str) and all(response == first for response in responses):
        return first
    for option, response in enumerate(responses):
        if isinstance(response, str):
            return f"option {option}: {response}"
    impossible = np.flatnonzero(np.isposinf(log_likelihoods))
    if impossible.size:
        quantity = "mean loss of -inf" if length_normalised else "log-likelihood of +inf"
        return f"option {impossible[0]}: the backend answered a {quantity}, which is impossible: {WIDER_PRECISION}"
    return f"the backend gave every option the probability 0: {WIDER_PRECISION}"
