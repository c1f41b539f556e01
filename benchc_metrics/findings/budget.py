"""The chance of a false claim that one report may take, shared by all its claims.

Each kind of claim that can stand in the report has the same share. Within a kind Holm's correction goes over the models
and corruptions, so that a report on many models is no more likely to say something false than one on a single model.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray

from benchc_metrics.statistics.resampling import holm

__all__ = ["KINDS", "LARGEST_KIND_LEVEL", "REPORT_LEVEL", "Kind", "holds", "kind_level", "possible_kinds"]

REPORT_LEVEL = 0.10
"""The largest chance that a report makes any claim where nothing has an effect."""

LARGEST_KIND_LEVEL = 0.05
"""The largest share of one kind, however few kinds can stand in the report."""

AboutOne: TypeAlias = Literal[
    "Accuracy rose under mild corruption while RAS fell",
    "Fails by erroneous confidence",
    "Right but less sure",
    "Loses by destruction",
    "Gains from correction",
    "Overconfident under corruption",
]
AboutSeveral: TypeAlias = Literal["Most robust", "Best of a column", "Accuracy and robustness disagree"]
Kind: TypeAlias = Literal[AboutSeveral, AboutOne, "Hardest corruptions"]
"""A kind of claim, by the title of its sentences; `Best of a column` is the mark in the headline table."""

KINDS: tuple[Kind, ...] = get_args(Kind)


def possible_kinds(models: int, corruptions: int, *, has_distributions: bool) -> tuple[Kind, ...]:
    """List the kinds of claims that can stand in a report.

    Parameters
    ----------
    models, corruptions : int
        How many the report is about, without the control.
    has_distributions : bool
        Whether all models have probabilities, which sentences need.
    """
    kinds: list[Kind] = list(get_args(AboutOne)) if has_distributions else []
    if models > 1:
        kinds += get_args(AboutSeveral) if has_distributions else ["Best of a column"]
    if corruptions > 1 and has_distributions:
        kinds.append("Hardest corruptions")
    return tuple(kinds)


def kind_level(kinds: int) -> float:
    """Return the largest chance of any false claim of one kind, where so many kinds share a report."""
    return min(REPORT_LEVEL / max(kinds, 1), LARGEST_KIND_LEVEL)


def holds(p_values: Sequence[float], level: float) -> NDArray[np.bool_]:
    """Tell which claims of one kind can be made.

    Parameters
    ----------
    p_values : sequence of float
        One a candidate: a model, a corruption, a pair of models.
    level : float
        Of the kind.

    Returns
    -------
    ndarray of bool
        Holm's correction over the candidates.
    """
    return np.asarray(holm(p_values) <= level) if len(p_values) else np.zeros(0, dtype=bool)
