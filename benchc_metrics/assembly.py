"""From the responses of a backend, one for each condition and option, to a sample's record.

One bad answer must not end a long run: a response that says nothing makes its condition invalid, with the reason. What
cannot be one answer's fault - a response too few or too many, log-likelihoods among losses - is an error.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isnan
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from benchc_metrics.options import OptionResponse, option_log_likelihoods, parse_response, valid_conditions
from benchc_metrics.records import SampleRecord

__all__ = ["CheckedResponse", "assemble_record", "checked_response"]

CheckedResponse: TypeAlias = "list[float | bool] | dict[str, str]"
"""`[value, is_greedy]`, or `{"invalid": reason}`: JSON types, because lmms-eval logs them."""


def checked_response(response: object) -> CheckedResponse:
    """Read one response without ever raising.

    Parameters
    ----------
    response : object
        Whatever the backend returned for one option under one condition.

    Returns
    -------
    list or dict
        `[value, is_greedy]`, or `{"invalid": reason}` for a nan and for what `parse_response` refuses. An infinity
        stays: it can be the probability 0, which only the sample's other values tell.
    """
    try:
        value, is_greedy = parse_response(response)
    except ValueError as error:
        return {"invalid": str(error)}
    if isnan(value):
        return {"invalid": "the backend answered nan"}
    return [value, is_greedy]


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
        there, with the reason.

    Raises
    ------
    ValueError
        If the number of responses is not conditions x options, some responses are log-likelihoods and some mean
        losses, or the record is refused; one sentence that names the sample, and the condition where it is one's.
    """
    _check_number(len(results), conditions, option_count, sample)
    responses = [_marked_response(result) for result in results]
    values = np.array([r.value if isinstance(r, OptionResponse) else np.nan for r in responses], dtype=np.float64)
    values = values.reshape(len(conditions), option_count)
    try:
        log_likelihoods, length_normalised = option_log_likelihoods(values)
    except ValueError:
        raise ValueError(_mixed_signs(values, conditions, sample)) from None
    invalid: dict[str, str] = {}
    for row in np.flatnonzero(~valid_conditions(log_likelihoods)).tolist():
        of_condition = responses[row * option_count : (row + 1) * option_count]
        invalid[conditions[row]] = _why_invalid(of_condition, log_likelihoods[row], length_normalised)
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
    )


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


def _mixed_signs(values: NDArray[np.float64], conditions: Sequence[str], sample: str) -> str:
    finite = np.isfinite(values)
    negative = conditions[int(np.argmax(np.any(finite & (values < 0), axis=-1)))]
    positive = conditions[int(np.argmax(np.any(finite & (values > 0), axis=-1)))]
    return (
        f"sample {sample!r} mixes log-likelihoods (negative, under {negative!r}) and mean losses (positive, under "
        f"{positive!r}): a backend must return one of the two"
    )


def _why_invalid(
    responses: Sequence[OptionResponse | str], log_likelihoods: NDArray[np.float64], length_normalised: bool
) -> str:
    for option, response in enumerate(responses):
        if isinstance(response, str):
            return f"option {option}: {response}"
    impossible = np.flatnonzero(np.isposinf(log_likelihoods))
    if impossible.size:
        quantity = "mean loss of -inf" if length_normalised else "log-likelihood of +inf"
        return f"option {impossible[0]}: the backend answered a {quantity}, which is impossible"
    return "the backend gave every option the probability 0"
