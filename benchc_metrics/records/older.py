"""Convert records of older versions to today's record.

`benchc.sample/1` and `/2` hold log-likelihoods, `benchc.generation/1` holds the letters of generated texts. None of
them has the context that was sent, so `context` stays None. `benchc.sample/3` has no `design`, because every sample was
asked the same, and no votes or thinking.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import exp, fsum
from typing import Any

import numpy as np

from benchc_metrics.benchmark import LETTERS
from benchc_metrics.messages import quoted
from benchc_metrics.responses import option_distribution

__all__ = ["OLDER_SCHEMAS", "letter_mass", "predicted_option"]


def predicted_option(log_likelihoods: Sequence[float]) -> int:
    """Return the index of the most probable option, the lowest on a tie.

    Parameters
    ----------
    log_likelihoods : sequence of float
        In nats; at least one above -inf.
    """
    return int(np.argmax(option_distribution(log_likelihoods)))


def letter_mass(log_likelihoods: Sequence[float]) -> float:
    """Return the total probability of a condition's options, rounded to 9 digits after the point.

    Parameters
    ----------
    log_likelihoods : sequence of float
        Summed log-likelihoods in nats.
    """
    return round(fsum(map(exp, log_likelihoods)), 9)


def _of_log_likelihoods(written: Mapping[str, Any]) -> dict[str, Any]:
    """Convert `benchc.sample/2`; the record's checks refuse anything that is not a list."""
    record = {key: value for key, value in written.items() if key != "length_normalised"}
    normalised = written["length_normalised"]
    if not isinstance(normalised, bool):
        raise ValueError("length_normalised is neither true nor false")
    given = written["log_likelihoods"]
    rows = [_floats(row) for row in given] if isinstance(given, (list, tuple)) else []
    usable = [row for row in rows if row is not None]
    record["obtained"] = "mean losses" if normalised else "log-likelihoods"
    record["option_count"] = len(usable[0]) if usable else None
    record["predictions"] = [None if row is None else predicted_option(row) for row in rows]
    if not normalised:
        record["letter_mass"] = [None if row is None else letter_mass(row) for row in rows]
    return record


def _of_first_log_likelihoods(written: Mapping[str, Any]) -> dict[str, Any]:
    """Convert `benchc.sample/1`, which has no `missing_mass`."""
    return _of_log_likelihoods({**written, "missing_mass": None})


def _of_letters(written: Mapping[str, Any]) -> dict[str, Any]:
    """Convert `benchc.generation/1`."""
    record = {key: value for key, value in written.items() if key not in {"answers", "letters", "ras"}}
    letters = written["letters"]
    if written["ras"] != "not defined":
        raise ValueError(f"ras is {quoted(written['ras'])}, which generated letters do not define")
    for letter in letters:
        if letter is not None and letter not in tuple(LETTERS):
            raise ValueError(f"letter {quoted(letter)} is not one of {LETTERS[0]} to {LETTERS[-1]}")
    return record | {
        "obtained": "generated letters",
        "predictions": [None if letter is None else LETTERS.index(letter) for letter in letters],
        "texts": written["answers"],
    }


def _floats(row: object) -> list[float] | None:
    """Read a condition's log-likelihoods; None if missing or not numbers, which the record's checks report."""
    if not isinstance(row, (list, tuple)):
        return None
    values = [float("-inf") if value is None else value for value in row]
    numbers = all(type(value) in (int, float) and value <= 0 for value in values)
    return values if numbers and any(value > float("-inf") for value in values) else None


OLDER_SCHEMAS: Mapping[str, Callable[[Mapping[str, Any]], dict[str, Any]]] = {
    "benchc.sample/1": _of_first_log_likelihoods,
    "benchc.sample/2": _of_log_likelihoods,
    "benchc.sample/3": dict,
    "benchc.generation/1": _of_letters,
}
"""Map an older schema to the function that converts its record, without the key `schema`, to today's."""
