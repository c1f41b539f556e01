"""The samples log of `benchc-gen` tasks: what a model wrote under each condition, and which option that names.

These tasks are for models that give no log-probabilities. There is no distribution over the options then, and so no
RAS, calibration error, Brier score or negative log-likelihood: the record says so itself.
"""

from __future__ import annotations

import re
import reprlib
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import ConfigDict, Field, StrictInt, StrictStr, TypeAdapter, ValidationError, model_validator
from pydantic.dataclasses import dataclass

from benchc_metrics.benchmark import LETTERS, fault_of_conditions
from benchc_metrics.letters import REASONING_TAGS, ParsedAnswer, parse_letter
from benchc_metrics.schemas import record_of_schema

__all__ = [
    "RAS_NOT_DEFINED",
    "SCHEMA",
    "CheckedAnswer",
    "GenerationRecord",
    "assemble_generation_record",
    "checked_answer",
]

SCHEMA = "benchc.generation/1"
"""Name and version of the record; a change of its keys or their meaning is a new version."""

RAS_NOT_DEFINED: Literal["not defined"] = "not defined"
"""What results show in place of a RAS."""

# How a backend's text begins where lmms-eval could not get an answer out of it.
_FAILED = re.compile(r"\[LMMS_EVAL_[^\]\n]*\]?")

CheckedAnswer: TypeAlias = "dict[str, str]"
"""`{"text": answer}`, or `{"invalid": reason}`: JSON types, because lmms-eval logs them."""


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class GenerationRecord:
    """One sample of one task with what a model wrote under all of the task's conditions.

    Attributes
    ----------
    dataset : str
        The dataset's fingerprint.
    engine : str
        Version of the corruption engine.
    benchc : str
        Version of this package.
    prompt : str
        The fixed part of the prompt.
    sample : str
        The sample's id.
    source, category : str or None
        Where the sample comes from and what kind of question it is, where the dataset says so.
    option_count : int
        K, how many options the sample has, 2 to 26.
    answer : int
        Index of the right option.
    conditions : tuple of str
        `clean` first, then corrupted conditions, as `Condition` writes them.
    answers : tuple of (str or None)
        For each condition what the model wrote, whole; None where it wrote nothing.
    letters : tuple of (str or None)
        For each condition the letter of the option that the answer names; None where the condition is invalid.
    invalid : mapping of str to str
        For each invalid condition, why.
    ras : str
        `RAS_NOT_DEFINED`.

    Raises
    ------
    pydantic.ValidationError
        If a field has another type, or the fields do not go together.
    """

    dataset: StrictStr
    engine: StrictStr
    benchc: StrictStr
    prompt: StrictStr
    sample: StrictStr
    source: StrictStr | None
    category: StrictStr | None
    option_count: Annotated[StrictInt, Field(ge=2, le=len(LETTERS))]
    answer: Annotated[StrictInt, Field(ge=0)]
    conditions: tuple[StrictStr, ...]
    answers: tuple[StrictStr | None, ...]
    letters: tuple[StrictStr | None, ...]
    invalid: dict[StrictStr, Annotated[StrictStr, Field(min_length=1)]]
    ras: Literal["not defined"]

    @model_validator(mode="after")
    def _check(self) -> GenerationRecord:
        if fault := fault_of_conditions(self.conditions):
            raise ValueError(fault)
        known = LETTERS[: self.option_count]
        if self.answer >= self.option_count:
            raise ValueError(f"answer {self.answer} is none of its {self.option_count} options")
        if not len(self.answers) == len(self.letters) == len(self.conditions):
            raise ValueError(
                f"answers and letters do not have one entry for each of its {len(self.conditions)} conditions"
            )
        for condition, answer, letter in zip(self.conditions, self.answers, self.letters, strict=True):
            if letter is not None and (letter not in known or len(letter) != 1 or answer is None):
                raise ValueError(
                    f"letter {letter!r} under {condition!r} is none of {', '.join(known)} or has no answer"
                )
        without_letter = {
            condition for condition, letter in zip(self.conditions, self.letters, strict=True) if letter is None
        }
        if self.invalid.keys() != without_letter:
            raise ValueError("invalid does not give a reason for exactly the conditions that have no letter")
        return self

    @property
    def predictions(self) -> tuple[int, ...]:
        """For each condition the index of the option that the answer names; -1 where the condition is invalid."""
        return tuple(-1 if letter is None else LETTERS.index(letter) for letter in self.letters)

    def to_json_dict(self) -> dict[str, Any]:
        """Write the record as plain JSON types.

        Returns
        -------
        dict
            The key `schema`, then a key for each field.
        """
        return {"schema": SCHEMA, **_ADAPTER.dump_python(self, mode="json")}

    @classmethod
    def from_json_dict(cls, written: object) -> GenerationRecord:
        """Read what `to_json_dict` wrote.

        Raises
        ------
        ValueError
            If it is no such dict, of another schema version, has unknown or missing keys, or a value is refused; one
            sentence that names the sample.
        """
        record = record_of_schema(written, SCHEMA)
        try:
            return _ADAPTER.validate_python({key: value for key, value in record.items() if key != "schema"})
        except ValidationError as refusal:
            raise ValueError(f"sample {record.get('sample')!r}: {_first_fault(refusal)}") from None


_ADAPTER: TypeAdapter[GenerationRecord] = TypeAdapter(GenerationRecord)


def checked_answer(response: object) -> CheckedAnswer:
    """Take what a backend generated, or say why it is no answer.

    Parameters
    ----------
    response : object
        What lmms-eval hands on: text; None or another thing where a backend failed; or the sentence that lmms-eval's
        API models put in an answer's place when they give a request up.

    Returns
    -------
    dict
        `{"text": answer}` or `{"invalid": reason}`.
    """
    if isinstance(response, str):
        if failed := _FAILED.match(response):
            # The rest is a server's own words, which may hold what no file should, such as a key.
            return {"invalid": f"the backend gave the request up, lmms-eval's log says why: {failed[0]}"}
        return {"text": response}
    if response is None:
        return {"invalid": "the backend returned no text"}
    return {"invalid": f"the backend returned {reprlib.repr(response)}, which is no text"}


def assemble_generation_record(
    results: Sequence[object],
    *,
    options: Sequence[str],
    conditions: Sequence[str],
    sample: str,
    reasoning_tags: Sequence[Sequence[str]] = REASONING_TAGS,
    **facts: Any,
) -> GenerationRecord:
    """Put a model's answers to one sample together and read the options that they name.

    Parameters
    ----------
    results : sequence
        The answers in the order of the conditions, filtered (`checked_answer`) or not.
    options : sequence of str
        The texts of the sample's options.
    conditions : sequence of str
        `clean` first.
    sample : str
        The sample's id.
    reasoning_tags : sequence of (opening tag, closing tag)
        As in `parse_letter`.
    **facts
        The other fields of `GenerationRecord`.

    Returns
    -------
    GenerationRecord
        A condition whose answer names no option is invalid there, with the reason.

    Raises
    ------
    ValueError
        If the number of answers is not that of the conditions, or the record is refused; one sentence that names the
        sample.
    """
    if len(results) != len(conditions):
        raise ValueError(f"sample {sample!r} has {len(results)} answers for its {len(conditions)} conditions")
    checked = [result if isinstance(result, Mapping) else checked_answer(result) for result in results]
    parsed = [
        parse_letter(answer["text"], options, reasoning_tags)
        if "text" in answer
        else ParsedAnswer(None, str(answer["invalid"]))
        for answer in checked
    ]
    record = {
        "sample": sample,
        "conditions": tuple(conditions),
        "answers": tuple(answer.get("text") for answer in checked),
        "letters": tuple(None if option is None else LETTERS[option] for option, _ in parsed),
        "invalid": {
            condition: reason for condition, (_, reason) in zip(conditions, parsed, strict=True) if reason is not None
        },
        "ras": RAS_NOT_DEFINED,
    }
    return GenerationRecord.from_json_dict({"schema": SCHEMA, **facts, **record})


def _first_fault(refusal: ValidationError) -> str:
    fault = refusal.errors()[0]
    place = ".".join(map(str, fault["loc"]))
    message = fault["msg"].removeprefix("Value error, ")
    return f"{place}: {message}" if place else message
