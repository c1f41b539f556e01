"""Cautions: what a reader must know before believing a run, found in its responses.

Each is a pure function of a `Run`. A caution has a name, one sentence, and whether it makes the run incomplete.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from benchc_metrics.runs import Run

__all__ = ["Caution", "cautions_of"]

LEAST_MEDIAN_MASS = 0.5
"""Below this median probability of all letters on clean images, a reader is warned."""

LEAST_USABLE_MASS = 0.05
"""Below this one, the run counts as incomplete."""


class Caution(NamedTuple):
    """A reason to doubt a run.

    Attributes
    ----------
    name : str
        Short and fixed: "blind", "one letter", "letter mass", "partial", ...
    sentence : str
        The reason, with its numbers and the cure.
    incomplete : bool
        Whether the run must not count as complete.
    """

    name: str
    sentence: str
    incomplete: bool = False


def cautions_of(run: Run) -> tuple[Caution, ...]:
    """Find everything that a reader of a run must know.

    Parameters
    ----------
    run : Run

    Returns
    -------
    tuple of Caution
        The gravest first; empty for a run without doubt.
    """
    found = (check(run) for check in _CHECKS)
    return tuple(sorted((caution for caution in found if caution), key=lambda caution: not caution.incomplete))


def _partial(run: Run) -> Caution | None:
    if run.metadata.complete:
        return None
    return Caution("partial", "A part of the run is missing: " + " ".join(run.metadata.gaps), incomplete=True)


def _letter_mass(run: Run) -> Caution | None:
    masses = run.clean_letter_mass()
    known = masses[~np.isnan(masses)]
    if not known.size or (median := float(np.median(known))) >= LEAST_MEDIAN_MASS:
        return None
    return Caution(
        "letter mass",
        f"The letters of the options hold a median of {median:.2g} of the probability on clean images: the model was "
        "about to write something else, such as its reasoning; check the prompt and the chat template.",
        incomplete=median < LEAST_USABLE_MASS,
    )


def _one_letter(run: Run) -> Caution | None:
    return None


def _blind(run: Run) -> Caution | None:
    return None


_CHECKS: tuple[Callable[[Run], Caution | None], ...] = (_partial, _blind, _one_letter, _letter_mass)
