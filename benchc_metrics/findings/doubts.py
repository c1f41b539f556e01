"""Tell which models have nothing to lose under corruption: those that ignore the picture, or only guess."""

from __future__ import annotations

from enum import Enum, auto

import numpy as np
from numpy.typing import NDArray

from benchc_metrics.runs import Run
from benchc_metrics.statistics.contrasts import t_tail
from benchc_metrics.wording import percent

__all__ = ["CHANCE_LEVEL", "doubt_about", "hardly_moves", "ignores_pictures"]

CHANCE_LEVEL = 0.05
"""A model whose clean answers are better than guesses with a p-value above this one is not ranked."""


class _Doubt(Enum):
    """Why a model cannot be told from one that ignores the picture."""

    ONE_LETTER = auto()
    GUESSES = auto()
    HARDLY_MOVES = auto()


def ignores_pictures(run: Run) -> bool:
    """Tell whether no corruption moved the answers beyond noise."""
    return _has_caution(run, "blind")


def doubt_about(run: Run) -> str:
    """Say why a run cannot be told from one of a model that ignores the picture.

    Such a model has nothing to lose under corruption, so that its RAS would be the highest.

    Parameters
    ----------
    run : Run

    Returns
    -------
    str
        A sentence if the answers do not move or hardly, are nearly all the same letter, or on clean pictures are no
        better than guesses (one-sided t test over samples of `a(p) - 1 / K`); empty otherwise.
    """
    if ignores_pictures(run):
        return f"{run.name} ignores the picture: corruption moves its answers no more than noise."
    doubt = _doubt(run)
    if doubt is None:
        return ""
    return f"{run.name} cannot be told from a model that ignores the picture, and is not ranked: {_reason(run, doubt)}."


def hardly_moves(run: Run) -> bool:
    """Tell whether the only doubt is that corruption moves few log-likelihoods; what it moves can be described."""
    return not ignores_pictures(run) and _doubt(run) is _Doubt.HARDLY_MOVES


def _doubt(run: Run) -> _Doubt | None:
    # Where the right option always has one letter, a model that says it may see or not.
    if _has_caution(run, "one letter") and len(set(run.answers.tolist())) > 1:
        return _Doubt.ONE_LETTER
    right, guessed = _right_and_guessed(run)
    if t_tail(right - guessed) > CHANCE_LEVEL:
        return _Doubt.GUESSES
    return _Doubt.HARDLY_MOVES if _has_caution(run, "nearly blind") else None


def _reason(run: Run, doubt: _Doubt) -> str:
    if doubt is _Doubt.ONE_LETTER:
        return "nearly all its answers are the same letter"
    if doubt is _Doubt.HARDLY_MOVES:
        return "corruption moves few of its log-likelihoods by more than noise"
    right, guessed = _right_and_guessed(run)
    shares = f" ({percent(right.mean())} right, where guesses have {percent(guessed.mean())})" if len(right) else ""
    return f"its answers on clean pictures are no better than guesses{shares}"


def _right_and_guessed(run: Run) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Of each valid clean answer, whether it is right, and how probable that is for a guess."""
    valid = run.clean_predictions >= 0
    right = (run.clean_predictions == run.answers)[valid].astype(float)
    return right, 1 / run.option_counts[valid]


def _has_caution(run: Run, name: str) -> bool:
    return any(caution.name == name for caution in run.cautions)
