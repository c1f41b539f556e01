"""Make the record of a sample from its responses.

One bad response must not end a long run. An unreadable response, or a log-likelihood among losses, only makes its
condition invalid, with the reason. A wrong number of responses is an error, because no response can cause it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchc_metrics.messages import quoted
from benchc_metrics.records.older import letter_mass, predicted_option
from benchc_metrics.records.record import SampleRecord, Sampling
from benchc_metrics.responses import (
    WIDER_PRECISION,
    OptionResponse,
    checked_response,
    checked_text,
    option_log_likelihoods,
    valid_conditions,
)
from benchc_metrics.responses.letters import REASONING_TAGS, UNFINISHED_THINKING, ParsedAnswer, parse_letter

__all__ = ["MOST_MASS", "assemble_generation_record", "assemble_record", "assemble_votes_record"]

MOST_MASS = 1 + 1e-3
"""The largest sum of the options' probabilities that rounding can explain."""

MIXED_QUANTITIES = (
    "the backend returned both log-likelihoods (negative) and mean losses (positive), but it must return one of the two"
)


def assemble_record(
    results: Sequence[object], *, conditions: Sequence[str], option_count: int, sample: str, **facts: Any
) -> SampleRecord:
    """Combine the options' responses for one sample into its record.

    Parameters
    ----------
    results : sequence
        The responses in the order of their requests: all options of the first condition, then those of the second, and
        so on. They may be filtered (`checked_response`) or not.
    conditions : sequence of str
        `clean` first.
    option_count : int
        K, the sample's number of options.
    sample : str
        The sample's id.
    **facts
        The other fields of `SampleRecord`: dataset, engine, benchc, prompt, answer, and if known context, model, source
        and category.

    Returns
    -------
    SampleRecord
        A condition is invalid, with the reason, if it has a nan, an unreadable response, a log-likelihood of +inf, or
        -inf for all options; if its probabilities sum to more than `MOST_MASS`; or if it mixes log-likelihoods and mean
        losses. If some conditions have log-likelihoods and others have mean losses, all are invalid, because it is
        unknown which are right.

    Raises
    ------
    ValueError
        If the number of responses is not conditions x options, or the record is refused; one sentence that names the
        sample, and the condition if only one is wrong.
    """
    _check_number(len(results), conditions, option_count, sample)
    responses = [_usable_response(result) for result in results]
    values = np.array([r.value if isinstance(r, OptionResponse) else np.nan for r in responses], dtype=np.float64)
    values = values.reshape(len(conditions), option_count)
    # The responses beside an unreadable one do not show which quantity the others are.
    values[np.isnan(values).any(axis=-1)] = np.nan
    mixes = _mixes_quantities(values)
    values[mixes] = np.nan
    log_likelihoods, length_normalised = option_log_likelihoods(values)
    valid = valid_conditions(log_likelihoods)
    rows = [tuple(row) if usable else None for row, usable in zip(log_likelihoods.tolist(), valid, strict=True)]
    masses = [None if row is None or length_normalised else letter_mass(row) for row in rows]
    invalid: dict[str, str] = {}
    for place, (condition, mass) in enumerate(zip(conditions, masses, strict=True)):
        if rows[place] is None:
            of_condition = responses[place * option_count : (place + 1) * option_count]
            invalid[condition] = (
                MIXED_QUANTITIES
                if mixes[place]
                else _why_invalid(of_condition, log_likelihoods[place], length_normalised)
            )
        elif mass is not None and mass > MOST_MASS:
            invalid[condition] = (
                f"the probabilities of its options sum to {mass:.4g}, which is more than 1, as with raw logits or a "
                "changed distribution: use a backend that returns log-likelihoods"
            )
            rows[place] = masses[place] = None
    return SampleRecord.from_fields(
        {
            **_defaults(facts),
            "sample": sample,
            "option_count": option_count,
            "conditions": tuple(conditions),
            "obtained": "mean losses" if length_normalised else "log-likelihoods",
            "predictions": [None if row is None else predicted_option(row) for row in rows],
            "invalid": invalid,
            "log_likelihoods": rows,
            "letter_mass": None if length_normalised else masses,
            "missing_mass": _missing_mass(responses, conditions, option_count, invalid),
        }
    )


def assemble_generation_record(
    results: Sequence[object],
    *,
    options: Sequence[str],
    conditions: Sequence[str],
    sample: str,
    reasoning_tags: Sequence[Sequence[str]] = REASONING_TAGS,
    begins_in_thought: bool = False,
    **facts: Any,
) -> SampleRecord:
    """Combine a model's texts for one sample into its record, and read the options that they name.

    Parameters
    ----------
    results : sequence
        The texts in the order of the conditions, filtered (`checked_text`) or not.
    options : sequence of str
        The texts of the sample's options.
    conditions : sequence of str
        `clean` first.
    sample : str
        The sample's id.
    reasoning_tags : sequence of (opening tag, closing tag)
        As in `parse_letter`, like `begins_in_thought`.
    **facts
        As in `assemble_record`.

    Returns
    -------
    SampleRecord
        A condition whose text names no option is invalid there, with the reason.

    Raises
    ------
    ValueError
        If the number of texts is not the number of conditions, or the record is refused; one sentence that names the
        sample.
    """
    if len(results) != len(conditions):
        raise ValueError(f"sample {quoted(sample)} has {len(results)} answers for its {len(conditions)} conditions")
    texts, parsed = _parsed(results, options, reasoning_tags, begins_in_thought)
    unfinished = tuple(int(reason == UNFINISHED_THINKING) for _, reason in parsed)
    return SampleRecord.from_fields(
        {
            **_defaults(facts),
            "sample": sample,
            "option_count": len(options),
            "conditions": tuple(conditions),
            "obtained": "generated letters",
            "predictions": [option for option, _ in parsed],
            "invalid": {
                condition: reason
                for condition, (_, reason) in zip(conditions, parsed, strict=True)
                if reason is not None
            },
            "unfinished": unfinished if any(unfinished) else None,
            "texts": texts,
        }
    )


def assemble_votes_record(
    results: Sequence[object],
    *,
    options: Sequence[str],
    conditions: Sequence[str],
    sample: str,
    sampling: Sampling,
    reasoning_tags: Sequence[Sequence[str]] = REASONING_TAGS,
    begins_in_thought: bool = False,
    **facts: Any,
) -> SampleRecord:
    """Combine the sampled texts for one sample into its record, and count the options that they name.

    Parameters
    ----------
    results : sequence
        The texts: `sampling.number` of the first condition, then those of the second, and so on. They may be filtered
        (`checked_text`) or not.
    options, conditions, sample, reasoning_tags, begins_in_thought, **facts
        As in `assemble_generation_record`.
    sampling : Sampling
        The settings of the sampling.

    Returns
    -------
    SampleRecord
        The prediction is the option with the most votes, the lowest index on a tie. A text that names no option counts
        as unparsed. If no text of a condition names an option, the condition is invalid, with the most common reason.

    Raises
    ------
    ValueError
        If the number of texts is not conditions x votes, or the record is refused; one sentence that names the sample.
    """
    number = sampling.number
    if len(results) != number * len(conditions):
        raise ValueError(
            f"sample {quoted(sample)} has {len(results)} answers for its {len(conditions)} conditions of {number} votes"
        )
    texts, parsed = _parsed(results, options, reasoning_tags, begins_in_thought)
    votes: list[tuple[int, ...] | None] = []
    invalid: dict[str, str] = {}
    for place, condition in enumerate(conditions):
        of_condition = parsed[place * number : (place + 1) * number]
        counts = [sum(option == index for option, _ in of_condition) for index in range(len(options))]
        votes.append(tuple(counts) if any(counts) else None)
        if not any(counts):
            (reason, times), *_ = Counter(str(reason) for _, reason in of_condition).most_common()
            invalid[condition] = f"none of {number} votes names an option; {times} of them: {reason}"
    by_condition = [slice(place * number, (place + 1) * number) for place in range(len(conditions))]
    return SampleRecord.from_fields(
        {
            **_defaults(facts),
            "sample": sample,
            "option_count": len(options),
            "conditions": tuple(conditions),
            "obtained": "votes",
            "predictions": [None if counts is None else counts.index(max(counts)) for counts in votes],
            "invalid": invalid,
            "sampling": sampling,
            "votes": votes,
            "unparsed": [sum(option is None for option, _ in parsed[of]) for of in by_condition],
            "unfinished": [sum(reason == UNFINISHED_THINKING for _, reason in parsed[of]) for of in by_condition],
            "texts_of_votes": [tuple(texts[of]) for of in by_condition],
        }
    )


def _parsed(
    results: Sequence[object],
    options: Sequence[str],
    reasoning_tags: Sequence[Sequence[str]],
    begins_in_thought: bool,
) -> tuple[list[str | None], list[ParsedAnswer]]:
    """Read texts; the first list has None for a missing text."""
    checked = [result if isinstance(result, Mapping) else checked_text(result) for result in results]
    parsed = [
        parse_letter(each["text"], options, reasoning_tags, begins_in_thought=begins_in_thought)
        if "text" in each
        else ParsedAnswer(None, str(each["invalid"]))
        for each in checked
    ]
    return [each.get("text") for each in checked], parsed


def _defaults(facts: Mapping[str, Any]) -> dict[str, Any]:
    return {"source": None, "category": None, **facts}


def _usable_response(result: object) -> OptionResponse | str:
    """Return a response, or the reason why it is unusable."""
    if isinstance(result, Mapping) and isinstance(result.get("invalid"), str):
        return str(result["invalid"])
    checked = checked_response(result)
    return checked if isinstance(checked, OptionResponse) else checked["invalid"]


def _check_number(found: int, conditions: Sequence[str], option_count: int, sample: str) -> None:
    if option_count < 2 or not conditions:
        raise ValueError(
            f"sample {quoted(sample)} has {option_count} options and {len(conditions)} conditions: "
            "a question needs at least 2 options and the clean condition"
        )
    expected = len(conditions) * option_count
    if found == expected:
        return
    total = f"{len(conditions)} conditions x {option_count} options need {expected}"
    if found < expected:
        condition, option = divmod(found, option_count)
        raise ValueError(
            f"sample {quoted(sample)} has {found} responses, but {total}: "
            f"the first missing one is option {option} of condition {quoted(conditions[condition])}"
        )
    raise ValueError(
        f"sample {quoted(sample)} has {found} responses, but {total}: "
        f"{found - expected} are left over after the last condition, {quoted(conditions[-1])}"
    )


def _mixes_quantities(values: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Mark each condition whose values mix both quantities, or whose quantity differs from that of other conditions."""
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
    """Return the largest missing mass of a condition's responses; None if no response states one."""
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
        return f"option {impossible[0]}: the backend returned a {quantity}, which is impossible: {WIDER_PRECISION}"
    return f"the backend gave every option the probability 0: {WIDER_PRECISION}"
