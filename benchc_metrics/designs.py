"""Define designs: the conditions that each sample is asked.

The design `full` asks every sample under all conditions. The design `lite` asks it clean and once under each
corruption. A design leaves out conditions on purpose; they are neither invalid nor missing.

Under `lite`, only a sample's id decides its conditions, so a subset, another order or several processes ask the same.
The corruptions and severities are shuffled; then condition number j has corruption j mod 19 and severity j mod 5.
Because 19 and 5 have no common divisor, the first 19 conditions have each corruption once and each severity 3 or 4
times, and the first 95 are all conditions. So a larger design contains a smaller one, for every sample.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from benchc_metrics.benchmark import CLEAN, CORRUPTION_FAMILIES, SEVERITIES, Condition
from benchc_metrics.messages import quoted

__all__ = [
    "FULL",
    "LITE",
    "LITE_CONDITIONS",
    "MOST_CONDITIONS",
    "asked_by_design",
    "check_design",
    "conditions_per_sample",
    "describe_design",
    "lite_conditions",
    "lite_design",
]

FULL = "full"
"""Name of the design that asks all conditions."""

LITE = "lite"
"""Name of the design that asks each sample under each corruption once."""

MOST_CONDITIONS = len(CORRUPTION_FAMILIES) * len(SEVERITIES)
"""Number of all corrupted conditions."""

LITE_CONDITIONS = len(CORRUPTION_FAMILIES)
"""Number of corrupted conditions that the design `lite` asks of each sample."""

_KEY = "benchc.design/1"
_T = TypeVar("_T")


def lite_design(conditions: int = LITE_CONDITIONS) -> str:
    """Return the name of the design with a number of corrupted conditions a sample.

    Parameters
    ----------
    conditions : int
        1 to 95.

    Returns
    -------
    str
        `lite` for 19, `full` for 95, else for example `lite-10`.

    Raises
    ------
    ValueError
        If the number is out of range.
    """
    if not isinstance(conditions, int) or isinstance(conditions, bool) or not 1 <= conditions <= MOST_CONDITIONS:
        raise ValueError(f"conditions_per_sample is {quoted(conditions)}: give a number from 1 to {MOST_CONDITIONS}")
    return {LITE_CONDITIONS: LITE, MOST_CONDITIONS: FULL}.get(conditions, f"{LITE}-{conditions}")


def conditions_per_sample(design: str) -> int:
    """Return the number of corrupted conditions that a design asks of each sample.

    Parameters
    ----------
    design : str
        A name from `lite_design`.

    Raises
    ------
    ValueError
        If there is no design of this name.
    """
    name, _, number = design.partition("-")
    if design in (FULL, LITE):
        return MOST_CONDITIONS if design == FULL else LITE_CONDITIONS
    # The whole name is compared, so that each design has only one name.
    if name == LITE and number.isascii() and number.isdigit() and len(number) < 3:
        conditions = int(number)
        if 1 <= conditions <= MOST_CONDITIONS and lite_design(conditions) == design:
            return conditions
    raise ValueError(f"design {quoted(design)} is not {FULL!r}, {LITE!r}, or {LITE!r} with a number, such as 'lite-10'")


def check_design(design: str) -> str:
    """Return a design's name if the design exists; else raise as `conditions_per_sample`."""
    conditions_per_sample(design)
    return design


def describe_design(design: str) -> str:
    """Describe in a few words what a design asks of each sample, including clean."""
    return f"{design} ({1 + conditions_per_sample(design)} of {1 + MOST_CONDITIONS} conditions a sample)"


@lru_cache(maxsize=1 << 13)
def lite_conditions(sample: str, conditions: int = LITE_CONDITIONS) -> tuple[Condition, ...]:
    """Return the conditions of one sample under the design `lite`.

    Parameters
    ----------
    sample : str
        The sample's id; the conditions depend on nothing else.
    conditions : int
        The number of corrupted conditions, 1 to 95. A larger number includes the conditions of a smaller one.

    Returns
    -------
    tuple of Condition
        Clean, then the others in the order of the papers, mild before strong.

    Examples
    --------
    >>> [str(condition) for condition in lite_conditions("sample 1", 3)]
    ['clean', 'impulse_noise@3', 'glass_blur@4', 'elastic_transform@5']
    """
    lite_design(conditions)
    corruptions = _shuffled(tuple(CORRUPTION_FAMILIES), sample, "corruptions")
    severities = _shuffled(SEVERITIES, sample, "severities")
    chosen = {
        Condition(corruptions[place % len(corruptions)], severities[place % len(severities)])
        for place in range(conditions)
    }
    ordered = (Condition(name, severity) for name in CORRUPTION_FAMILIES for severity in SEVERITIES)
    return (CLEAN, *(condition for condition in ordered if condition in chosen))


def asked_by_design(design: str, samples: Sequence[str]) -> NDArray[np.bool_]:
    """Mark the corrupted conditions that a design asks of each sample.

    Parameters
    ----------
    design : str
    samples : sequence of str
        The samples' ids.

    Returns
    -------
    ndarray of bool, shape (samples, 19, 5)
        Corruptions in the order of the papers, severities 1 to 5.
    """
    shape = (len(samples), len(CORRUPTION_FAMILIES), len(SEVERITIES))
    number = conditions_per_sample(design)
    if design == FULL:
        return np.ones(shape, dtype=bool)
    places = {name: place for place, name in enumerate(CORRUPTION_FAMILIES)}
    asked = np.zeros(shape, dtype=bool)
    for row, sample in enumerate(samples):
        for corruption, severity in lite_conditions(sample, number)[1:]:
            asked[row, places[str(corruption)], severity - SEVERITIES[0]] = True
    return asked


def _shuffled(things: Iterable[_T], sample: str, what: str) -> list[_T]:
    """Shuffle things by a hash that is the same on every machine and in every version of Python."""

    def draw(thing: _T) -> bytes:
        drawn = "\0".join((_KEY, what, str(thing), sample))
        return hashlib.sha256(drawn.encode("utf-8", "surrogatepass")).digest()

    return sorted(things, key=draw)
