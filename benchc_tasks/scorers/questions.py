"""What a scorer is asked and what it answers, whatever engine stands behind it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol, TypeVar

from PIL import Image

__all__ = ["ChoiceScorer", "OptionScore", "Question", "ScoringError", "describe"]

Prepared = TypeVar("Prepared")


class ScoringError(RuntimeError):
    """A question that could not be answered; the message names the sample and the condition."""


@dataclass(frozen=True)
class Question:
    """One prompt with its images, and the options whose log-likelihoods are wanted.

    Attributes
    ----------
    name : str
        What an error message calls it: the sample and the condition.
    context : str
        The prompt, without images and without the model's chat format.
    options : tuple of str
        The continuations to score, all different.
    images : tuple of PIL.Image.Image
        The images, in the order in which the model sees them.
    """

    name: str
    context: str
    options: tuple[str, ...]
    images: tuple[Image.Image, ...]


class OptionScore(NamedTuple):
    """The answer for one option.

    Attributes
    ----------
    log_likelihood : float
        Natural logarithm of the option's probability, summed over its tokens.
    is_greedy : bool
        Whether every token of the option is the most probable one at its place.
    """

    log_likelihood: float
    is_greedy: bool


class ChoiceScorer(Protocol[Prepared]):
    """An engine that gives the log-likelihoods of options.

    Scoring is cut in two, so that the work of the processor can be done ahead while the model is busy.

    Attributes
    ----------
    batch_size : int
        How many questions the engine wants at once.
    """

    batch_size: int

    def prepare(self, questions: Sequence[Question]) -> Prepared:
        """Turn up to `batch_size` questions into the engine's input; runs in a background thread."""
        ...

    def score(self, prepared: Prepared) -> list[list[OptionScore]]:
        """Score what `prepare` returned: for each question, one score an option, in order."""
        ...


def describe(fault: BaseException) -> str:
    """Name a fault and what it says, for the sentence of a `ScoringError`."""
    return f"{type(fault).__name__}: {fault}"
