"""Define the record: all data kept of one sample of one task, under the key `benchc` of a row of the samples log.

lmms-eval writes the dict from `process_results` unchanged into its samples log; the record is that dict. It must hold
everything that is needed later, because the row has neither the question nor the options. Every stack and every mode
(log-likelihoods, votes, generated letters) writes the same record. `benchc_metrics.records.assembly` makes it from
responses.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import inf
from os import PathLike
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StrictFloat,
    StrictInt,
    StrictStr,
    ValidationError,
    field_validator,
    model_validator,
)

from benchc_metrics.benchmark import LETTERS, fault_of_conditions
from benchc_metrics.designs import FULL, conditions_per_sample, lite_conditions
from benchc_metrics.json_lines import JsonLine, JsonLinesError, read_json_lines
from benchc_metrics.messages import quoted
from benchc_metrics.records.older import OLDER_SCHEMAS

__all__ = ["RECORD_KEY", "SCHEMA", "Obtained", "SampleRecord", "Sampling", "read_samples_log"]

SCHEMA = "benchc.sample/4"
"""Name and version of the record; a change of its keys or their meaning needs a new version."""

RECORD_KEY = "benchc"
"""Key of the record in a row of lmms-eval's samples log."""

Obtained: TypeAlias = Literal["log-likelihoods", "mean losses", "votes", "generated letters"]
"""The source of predictions; the first two also give a distribution over the options."""

_Probability = Annotated[StrictFloat, Field(ge=0, le=1)]
_Count = Annotated[StrictInt, Field(ge=0)]
_OPTIONAL = frozenset(
    {
        "context",
        "model",
        "thinking",
        "restoration",
        "design",
        "log_likelihoods",
        "letter_mass",
        "missing_mass",
        "sampling",
        "votes",
        "unparsed",
        "unfinished",
        "texts",
        "texts_of_votes",
    }
)


class Sampling(BaseModel):
    """The sampling settings of a condition's generations.

    Attributes
    ----------
    number : int
        The requested number of generations.
    temperature : float
        Divides the logits.
    seed : int or None
        Seeds the random numbers, together with the names of sample and condition. None if no seed was sent; the same
        votes then cannot be drawn again.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    number: Annotated[StrictInt, Field(ge=1)]
    temperature: Annotated[StrictFloat, Field(ge=0)]
    seed: StrictInt | None


class SampleRecord(BaseModel):
    """One sample of one task with a model's responses under all conditions that were asked.

    Values for conditions are in the order of `conditions`.

    Attributes
    ----------
    dataset : str
        The dataset's fingerprint.
    engine : str
        Version of the corruption engine.
    benchc : str
        Version of this package.
    prompt : str
        The context that was sent, with `{question}` and `{option}` in place of the sample's own. A long one is replaced
        by its SHA-256.
    context : str or None
        Fingerprint of everything that was sent around the question: prompt, system text, chat format. None in records
        of older versions.
    model : str or None
        The name that the model's server or checkpoint gave, if known.
    thinking : str or None
        For a model that thinks before it answers: the way its thinking was skipped, or the tokens it may take.
    restoration : str or None
        How every picture, also clean ones, was restored before the model saw it; None without restoration.
    sample : str
        The sample's id.
    source, category : str or None
        The sample's origin and the kind of its question, if the dataset has them.
    option_count : int or None
        K, 2 to 26; None if a record of an older version has no valid condition.
    answer : int
        Index of the right option.
    conditions : tuple of str
        The conditions that were asked: `clean` first, then corrupted conditions, as `Condition` writes them.
    design : str or None
        The design that chose the conditions for this sample, see `benchc_metrics.designs`. None if the task asks all
        samples the same.
    obtained : str
        See `Obtained`.
    predictions : tuple of (int or None)
        Index of the chosen option; None for an invalid condition.
    invalid : mapping of str to str
        From each invalid condition to the reason.
    log_likelihoods : tuple of (tuple of float, or None), or None
        One log-likelihood for each option, in nats (-inf for a probability of 0), or None for an invalid condition. If
        `obtained` is "mean losses", the values are means over tokens, not sums over the option. None without any
        distribution.
    letter_mass : tuple of (float or None), or None
        Total probability of the options; None for an invalid condition. None for a record of mean losses.
    missing_mass : tuple of (float or None), or None
        Probability of all tokens that the engine did not show, in [0, 1]; None for an engine that shows the whole
        distribution.
    sampling : Sampling or None
        The settings of the sampling of votes.
    votes : tuple of (tuple of int, or None), or None
        For each condition, how often each option was chosen in its generations; None if no generation names an option.
    unparsed : tuple of int, or None
        For each condition, the number of generations that name no option.
    unfinished : tuple of int, or None
        For each condition, the number of generations that end within their thinking; they are among the unparsed ones.
    texts : tuple of (str or None), or None
        The complete text that the model wrote.
    texts_of_votes : tuple of (tuple of (str or None)), or None
        The complete text of each generation of a condition; None if the engine gave none.

    Raises
    ------
    pydantic.ValidationError
        If a field has the wrong type, or the fields contradict each other.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    dataset: StrictStr
    engine: StrictStr
    benchc: StrictStr
    prompt: StrictStr
    context: StrictStr | None = None
    model: StrictStr | None = None
    thinking: StrictStr | None = None
    restoration: Annotated[StrictStr, Field(min_length=1)] | None = None
    sample: StrictStr
    source: StrictStr | None
    category: StrictStr | None
    option_count: Annotated[StrictInt, Field(ge=2, le=len(LETTERS))] | None
    answer: _Count
    conditions: tuple[StrictStr, ...]
    design: StrictStr | None = None
    obtained: Obtained
    predictions: tuple[_Count | None, ...]
    invalid: dict[StrictStr, Annotated[StrictStr, Field(min_length=1)]]
    log_likelihoods: tuple[tuple[Annotated[StrictFloat, Field(le=0)], ...] | None, ...] | None = None
    letter_mass: tuple[Annotated[StrictFloat, Field(ge=0)] | None, ...] | None = None
    missing_mass: tuple[_Probability | None, ...] | None = None
    sampling: Sampling | None = None
    votes: tuple[tuple[_Count, ...] | None, ...] | None = None
    unparsed: tuple[_Count, ...] | None = None
    unfinished: tuple[_Count, ...] | None = None
    texts: tuple[StrictStr | None, ...] | None = None
    texts_of_votes: tuple[tuple[StrictStr | None, ...], ...] | None = None

    @field_validator("log_likelihoods", mode="before")
    @classmethod
    def _read_nulls(cls, written: object) -> object:
        """Read a null within a condition's log-likelihoods as -inf, because strict JSON has no -inf."""
        if not isinstance(written, (list, tuple)):
            return written
        return [
            [-inf if value is None else value for value in options] if isinstance(options, (list, tuple)) else options
            for options in written
        ]

    @model_validator(mode="after")
    def _check(self) -> SampleRecord:
        if fault := fault_of_conditions(self.conditions):
            raise ValueError(fault)
        self._check_design()
        self._check_lengths()
        self._check_options()
        without_prediction = {
            condition
            for condition, prediction in zip(self.conditions, self.predictions, strict=True)
            if prediction is None
        }
        if self.invalid.keys() != without_prediction:
            raise ValueError("invalid must give a reason for exactly the conditions without a prediction")
        if (self.log_likelihoods is not None) != self.has_distribution:
            raise ValueError(f"log_likelihoods contradict obtained {quoted(self.obtained)}")
        if (self.votes is not None) != (self.obtained == "votes"):
            raise ValueError(f"votes contradict obtained {quoted(self.obtained)}")
        self._check_log_likelihoods()
        self._check_votes()
        return self

    @property
    def has_distribution(self) -> bool:
        """True if the record has probabilities of the options."""
        return self.obtained in ("log-likelihoods", "mean losses")

    @property
    def length_normalised(self) -> bool:
        """True if the backend returned mean losses, so that log-likelihoods are means over tokens, not sums."""
        return self.obtained == "mean losses"

    def to_json_dict(self) -> dict[str, Any]:
        """Convert the record to plain JSON types, without NaN or Infinity, which strict JSON does not have.

        Returns
        -------
        dict
            The key `schema`, then a key for each field; optional fields that are None are left out. In
            `log_likelihoods`, null instead of a list means an invalid condition, and null within a list means -inf.
        """
        written: dict[str, Any] = {"schema": SCHEMA}
        for name in type(self).model_fields:
            value = getattr(self, name)
            if value is not None or name not in _OPTIONAL:
                written[name] = list(value) if isinstance(value, tuple) else value
        written["invalid"] = dict(self.invalid)
        if self.log_likelihoods is not None:
            written["log_likelihoods"] = [
                None if options is None else [None if value == -inf else value for value in options]
                for options in self.log_likelihoods
            ]
        if self.votes is not None:
            written["votes"] = [None if counts is None else list(counts) for counts in self.votes]
        if self.sampling is not None:
            written["sampling"] = self.sampling.model_dump()
        if self.texts_of_votes is not None:
            written["texts_of_votes"] = list(map(list, self.texts_of_votes))
        return written

    @classmethod
    def from_json_dict(cls, written: object) -> SampleRecord:
        """Read what `to_json_dict` wrote, now or in an older version.

        Raises
        ------
        ValueError
            If it is not such a dict, has an unknown schema, has unknown or missing keys, or a value is refused; one
            sentence that names the sample.
        """
        if not isinstance(written, Mapping):
            raise ValueError(f"a sample's record must be a mapping of its fields, not {type(written).__name__}")
        fields = {key: value for key, value in written.items() if key != "schema"}
        schema = written.get("schema")
        sample = f"sample {quoted(written.get('sample'))}"
        if schema != SCHEMA:
            convert = OLDER_SCHEMAS.get(schema) if isinstance(schema, str) else None
            if convert is None:
                raise ValueError(
                    f"{sample}: schema {quoted(schema)} is not {SCHEMA!r}, the one that this version of benchc reads"
                )
            try:
                fields = convert(fields)
            except KeyError as missing:
                raise ValueError(f"{sample}: {missing.args[0]}: Field required") from None
            except (TypeError, ValueError) as fault:
                raise ValueError(f"{sample}: {fault}") from None
        return cls.from_fields(fields)

    @classmethod
    def from_fields(cls, fields: Mapping[str, Any]) -> SampleRecord:
        """Make a record from its fields.

        Raises
        ------
        ValueError
            If they are refused; one sentence that names the sample.
        """
        try:
            return cls.model_validate(dict(fields))
        except ValidationError as refusal:
            raise ValueError(f"sample {quoted(fields.get('sample'))}: {_first_fault(refusal)}") from None

    def _check_design(self) -> None:
        """Refuse conditions outside this sample's design, so that nobody can pick easy ones."""
        if self.design is None:
            return
        number = conditions_per_sample(self.design)
        if self.design == FULL:
            raise ValueError(f"design {FULL!r} must not be written: leave it out")
        if self.conditions != tuple(map(str, lite_conditions(self.sample, number))):
            raise ValueError(f"conditions are not those that the design {quoted(self.design)} asks of this sample")

    def _check_lengths(self) -> None:
        for name in (
            "predictions",
            "log_likelihoods",
            "letter_mass",
            "missing_mass",
            "votes",
            "unparsed",
            "unfinished",
            "texts",
            "texts_of_votes",
        ):
            of_conditions = getattr(self, name)
            if of_conditions is not None and len(of_conditions) != len(self.conditions):
                raise ValueError(f"{name} does not have one entry for each of its {len(self.conditions)} conditions")

    def _check_options(self) -> None:
        if self.option_count is None:
            if any(prediction is not None for prediction in self.predictions):
                raise ValueError("option_count is null, but a condition has a prediction")
            return
        if self.answer >= self.option_count:
            raise ValueError(f"answer {self.answer} is not one of its {self.option_count} options")
        for condition, prediction in zip(self.conditions, self.predictions, strict=True):
            if prediction is not None and prediction >= self.option_count:
                raise ValueError(
                    f"prediction {prediction} under {quoted(condition)} is not one of its {self.option_count} options"
                )
        for name in ("log_likelihoods", "votes"):
            for condition, options in zip(self.conditions, getattr(self, name) or (), strict=False):
                if options is not None and len(options) != self.option_count:
                    raise ValueError(
                        f"{name} under {quoted(condition)} are {len(options)}, "
                        f"but the sample has {self.option_count} options"
                    )

    def _check_log_likelihoods(self) -> None:
        if self.log_likelihoods is None:
            return
        for condition, options, prediction in zip(self.conditions, self.log_likelihoods, self.predictions, strict=True):
            if (options is None) != (prediction is None):
                raise ValueError(
                    f"condition {quoted(condition)} has a prediction but no log-likelihoods, or the reverse"
                )
            if options is not None and not max(options) > -inf:
                raise ValueError(f"condition {quoted(condition)} has no log-likelihood above -inf")

    def _check_votes(self) -> None:
        if self.votes is None:
            return
        for condition, counts, prediction in zip(self.conditions, self.votes, self.predictions, strict=True):
            if (counts is None) != (prediction is None):
                raise ValueError(f"condition {quoted(condition)} has a prediction but no votes, or the reverse")
            if counts is not None and prediction is not None and not counts[prediction] == max(counts) > 0:
                raise ValueError(f"the prediction under {quoted(condition)} is not the option with the most votes")


def read_samples_log(path: str | PathLike[str]) -> Iterator[SampleRecord]:
    """Read the records of one of lmms-eval's samples logs, row by row.

    Parameters
    ----------
    path : str or path-like
        A `*_samples_*.jsonl` from lmms-eval, or the same compressed (`.gz`).

    Yields
    ------
    SampleRecord
        One for each row, in the file's order.

    Raises
    ------
    FileNotFoundError
        If the file does not exist.
    ValueError
        If a row is not JSON (an interrupted run leaves an incomplete last row), has no record, or its record is
        refused, or if the file is damaged or not text; one sentence that names file and line.
    """
    file = Path(path)
    try:
        for line in read_json_lines(file):
            try:
                yield _record_of_row(line)
            except ValueError as error:
                raise ValueError(f"{file}, line {line.number}: {error}") from None
    except JsonLinesError as error:
        raise ValueError(f"{file}: the file cannot be read after line {error.line}: it {error}") from None


def _record_of_row(line: JsonLine) -> SampleRecord:
    if line.fault is not None:
        raise ValueError(f"the row {line.fault}: was the run interrupted?")
    row = line.value
    if not isinstance(row, dict) or RECORD_KEY not in row:
        raise ValueError(
            f"the row has no {RECORD_KEY!r} record: give the samples log of a Bench-C task, made with --log_samples"
        )
    return SampleRecord.from_json_dict(row[RECORD_KEY])


def _first_fault(refusal: ValidationError) -> str:
    fault = refusal.errors()[0]
    place = ".".join(map(str, fault["loc"]))
    message = fault["msg"].removeprefix("Value error, ")
    return f"{place}: {message}" if place else message
