"""What a scorer is asked and what it answers, whatever engine stands behind it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias, TypeVar

from PIL import Image

from benchc_metrics.responses import OptionResponse

__all__ = ["ChoiceScorer", "EngineError", "NoProbabilitiesError", "Outcome", "Question", "ScoringError", "describe"]

Prepared = TypeVar("Prepared")


class ScoringError(RuntimeError):
    """A question that could not be answered; the message names the sample and the condition.

    Its condition is invalid, and the run goes on.
    """


class EngineError(RuntimeError):
    """An engine that will answer no question more, whichever it is; the message says why and the cure.

    It ends the run.
    """


class NoProbabilitiesError(EngineError):
    """An engine that gives no log-probabilities, but may write answers."""


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


Outcome: TypeAlias = "list[OptionResponse] | ScoringError"
"""What came of one question: a response for each option (its log-likelihood summed over its tokens), in order, or why
there is none."""


class ChoiceScorer(Protocol[Prepared]):
    """An engine that gives the log-likelihoods of options.

    Scoring is cut in two, so that the work of the processor can be done ahead while the model is busy.

    Attributes
    ----------
    batch_size : int
        How many questions the engine wants at once.
    fingerprint : str
        What its answers depend on beside the arguments of `--model_args`: the state of the checkpoint, the precision
        that is in force, the chat format. Two scorers of one fingerprint and the same arguments answer alike.
    usage : Usage
        The tokens of its passes; an engine that cannot count them has no such attribute.
    prepare_threads : int
        In how many threads `prepare` may run at once; an engine without this attribute is prepared in one.
    shares_prefixes : bool
        Whether questions about one picture are to come side by side, with the same image objects; absent where not.
    """

    batch_size: int

    @property
    def fingerprint(self) -> str:
        """What the answers depend on."""
        ...

    def prepare(self, questions: Sequence[Question]) -> Prepared:
        """Turn up to `batch_size` questions into the engine's input; runs in background threads.

        A question that cannot be prepared raises nothing here: `score` tells.
        """
        ...

    def score(self, prepared: Prepared) -> list[Outcome]:
        """Score what `prepare` returned: for each question, in order, what came of it.

        Raises
        ------
        EngineError
            If the engine will answer no question more.
        """
        ...


def describe(fault: BaseException) -> str:
    """Name a fault and what it says, for the sentence of a `ScoringError`."""
    return f"{type(fault).__name__}: {fault}"
