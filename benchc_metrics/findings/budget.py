"""The chance of a false claim that one report may take, shared by all its claims.

Each kind of claim has the same share. Within a kind Holm's correction goes over the models and corruptions, so that one
report on many models is no more likely to say something false than one on a single model.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray

from benchc_metrics.statistics.resampling import holm

__all__ = ["KINDS", "KIND_LEVEL", "REPORT_LEVEL", "Kind", "holds"]

REPORT_LEVEL = 0.10
"""The largest chance that a report makes any claim where nothing has an effect."""

Kind: TypeAlias = Literal[
    "Most robust",
    "Best of a column",
    "Accuracy and robustness disagree",
    "Accuracy rose under mild corruption while RAS fell",
    "Fails by erroneous confidence",
    "Right but less sure",
    "Loses by destruction",
    "Gains from correction",
    "Hardest corruptions",
    "Overconfident under corruption",
]
"""A kind of claim, by the title of its sentences; `Best of a column` is the mark in the headline table."""

KINDS: tuple[Kind, ...] = get_args(Kind)

KIND_LEVEL = REPORT_LEVEL / len(KINDS)
"""The largest chance of any false claim of one kind."""


def holds(p_values: Sequence[float]) -> NDArray[np.bool_]:
    """Tell which claims of one kind can be made.

    Parameters
    ----------
    p_values : sequence of float
        One a candidate: a model, a corruption, a pair of models.

    Returns
    -------
    ndarray of bool
        Holm's correction over the candidates at `KIND_LEVEL`.
    """
    return np.asarray(holm(p_values) <= KIND_LEVEL) if len(p_values) else np.zeros(0, dtype=bool)
