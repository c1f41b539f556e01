"""Tell which models have nothing to lose under corruption: those that ignore the picture, or only guess."""

from __future__ import annotations

from benchc_metrics.runs import Run
from benchc_metrics.statistics.contrasts import t_tail
from benchc_metrics.wording import percent

__all__ = ["CHANCE_LEVEL", "doubt_about", "ignores_pictures"]

CHANCE_LEVEL = 0.05
"""A model whose clean answers are better than guesses with a p-value above this one is not ranked."""


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
    valid = run.clean_predictions >= 0
    right = (run.clean_predictions == run.answers)[valid].astype(float)
    guessed = 1 / run.option_counts[valid]
    # Where the right option always has one letter, a model that says it may see or not.
    if _has_caution(run, "one letter") and len(set(run.answers.tolist())) > 1:
        reason = "nearly all its answers are the same letter"
    elif t_tail(right - guessed) > CHANCE_LEVEL:
        reason = "its answers on clean pictures are no better than guesses"
        if len(right):
            reason += f" ({percent(right.mean())} right, where guesses have {percent(guessed.mean())})"
    elif _has_caution(run, "nearly blind"):
        reason = "corruption moves few of its log-likelihoods by more than noise"
    else:
        return ""
    return f"{run.name} cannot be told from a model that ignores the picture, and is not ranked: {reason}."


def _has_caution(run: Run, name: str) -> bool:
    return any(caution.name == name for caution in run.cautions)
