"""Compare two scorers' answers to the same questions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchc_metrics.responses import option_distribution
from benchc_tasks.batching import in_batches
from benchc_tasks.models.questions import ChoiceScorer, Outcome, Question, ScoringError
from benchc_tasks.models.rendering import map_ahead

__all__ = ["MEAN_DIFFERENCE", "NEAR_TIE", "Agreement", "answer_all", "compare_answers"]

MEAN_DIFFERENCE = 0.01
"""Mean absolute difference of option probabilities up to which two engines agree."""
NEAR_TIE = 0.05
"""Two most probable options whose probabilities differ by less may change places."""


@dataclass(frozen=True)
class Agreement:
    """Differences between the answers of two scorers.

    Attributes
    ----------
    questions : int
        How many were asked.
    answered : int
        How many were answered by both.
    mean, largest : float
        Absolute difference of option probabilities; nan where nothing was answered by both.
    other_predictions : int
        Questions whose most probable option is another one.
    clear_predictions : int
        Those of them that are not near ties in the first scorer's answers.
    mass : tuple of float
        The options' mean probability among all that the model could write, for each scorer; nan as above.
    """

    questions: int
    answered: int
    mean: float
    largest: float
    other_predictions: int
    clear_predictions: int
    mass: tuple[float, float]

    @property
    def holds(self) -> bool:
        """Tell whether the two can stand in for each other."""
        return self.answered == self.questions > 0 and self.mean <= MEAN_DIFFERENCE and self.clear_predictions == 0


def answer_all(scorer: ChoiceScorer[Any], questions: Sequence[Question]) -> list[Outcome]:
    """Ask all questions, batch by batch."""
    # Not all at once: what is prepared may lie in a GPU's memory.
    prepared = map_ahead(scorer.prepare, in_batches(questions, scorer.batch_size), threads=1, look_ahead=2)
    return [outcome for batch in prepared for outcome in scorer.score(batch)]


def compare_answers(first: Sequence[Outcome], second: Sequence[Outcome]) -> Agreement:
    """Compare the answers of two scorers to the same questions, in the same order.

    Parameters
    ----------
    first, second : sequence of Outcome
        One a question.

    Returns
    -------
    Agreement
    """
    both = [
        (_log_likelihoods(one), _log_likelihoods(other))
        for one, other in zip(first, second, strict=True)
        if not isinstance(one, ScoringError) and not isinstance(other, ScoringError)
    ]
    if not both:
        return Agreement(len(first), 0, np.nan, np.nan, 0, 0, (np.nan, np.nan))
    pairs = [(option_distribution(one), option_distribution(other)) for one, other in both]
    differences = np.concatenate([np.abs(one - other) for one, other in pairs])
    others = [one for one, other in pairs if one.argmax() != other.argmax()]
    clear = [one for one in others if np.diff(np.sort(one)[-2:])[0] > NEAR_TIE]
    masses = [float(np.mean([np.exp(pair[place]).sum() for pair in both])) for place in (0, 1)]
    return Agreement(
        questions=len(first),
        answered=len(both),
        mean=float(differences.mean()),
        largest=float(differences.max()),
        other_predictions=len(others),
        clear_predictions=len(clear),
        mass=(masses[0], masses[1]),
    )


def _log_likelihoods(outcome: Outcome) -> NDArray[np.float64]:
    assert not isinstance(outcome, ScoringError)
    return np.array([response.value for response in outcome], dtype=np.float64)
