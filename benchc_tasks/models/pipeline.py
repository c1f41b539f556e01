"""From inquiries to what came of them: pictures rendered ahead, batches prepared ahead, one bad question left out."""

from __future__ import annotations

from collections.abc import Callable, Generator, Hashable, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from math import isnan
from typing import Any, Protocol, TypeVar

from PIL import Image

from benchc_tasks.batching import in_batches
from benchc_tasks.models.costs import Limits, StoppedError, Usage
from benchc_tasks.models.ordering import side_by_side
from benchc_tasks.models.questions import ChoiceScorer, EngineError, Outcome, Question, ScoringError
from benchc_tasks.models.rendering import map_ahead

__all__ = ["MOST_FAILING_SAMPLES", "Inquiry", "score_ahead", "within_limits"]

MOST_FAILING_SAMPLES = 20
"""Abort after this many consecutive samples without one response."""


class Inquiry(Protocol):
    """A question whose pictures are still to be rendered.

    Attributes
    ----------
    sample : str
        The sample that it shows, whatever the condition.
    pixels : hashable or None
        Equal for pictures that are equal to the pixel; None where that is not known.
    """

    sample: str
    pixels: Hashable | None

    def question(self) -> Question:
        """Render the pictures; raise `ScoringError` where that fails."""
        ...

    def question_about(self, images: tuple[Image.Image, ...]) -> Question:
        """Ask about pictures that another inquiry of the same pixels has rendered."""
        ...


AnyInquiry = TypeVar("AnyInquiry", bound=Inquiry)
AnyBatch = TypeVar("AnyBatch")
Asked = TypeVar("Asked")


def score_ahead(
    inquiries: Sequence[AnyInquiry], scorer: ChoiceScorer[Any], *, threads: int, look_ahead: int
) -> Generator[list[tuple[AnyInquiry, Outcome]], None, None]:
    """Score inquiries batch by batch, in order; those that show the same pixels together, if the scorer shares them.

    Parameters
    ----------
    inquiries : sequence of Inquiry
        What is asked.
    scorer : ChoiceScorer
        Who is asked. Batches are cut before anything is rendered, so that they do not depend on the threads.
    threads : int
        Background threads that render.
    look_ahead : int
        How many batches may wait rendered.

    Yields
    ------
    list of (Inquiry, Outcome)
        One batch. A question whose image cannot be rendered or that cannot be scored has a `ScoringError` as outcome.

    Raises
    ------
    EngineError
        If the engine says so, or has failed on `MOST_FAILING_SAMPLES` samples in a row.
    """
    size = scorer.batch_size
    # A unit is one inquiry, or all that are asked together about one picture.
    shares = getattr(scorer, "shares_prefixes", False)
    units = side_by_side(inquiries, size) if shares else [[inquiry] for inquiry in inquiries]
    preparing = getattr(scorer, "prepare_threads", 1)
    rendered = map_ahead(_render, units, threads=threads, look_ahead=look_ahead * size)
    prepared = map_ahead(
        partial(_prepare, scorer), in_batches(rendered, size), threads=preparing, look_ahead=look_ahead - 1
    )
    failing: dict[str, str] = {}
    with closing(rendered), closing(prepared):
        for some, ready in zip(in_batches(units, size), prepared, strict=True):
            batch = [inquiry for unit in some for inquiry in unit]
            outcomes = ready.score(scorer)
            for inquiry, outcome, was_asked in zip(batch, outcomes, ready.asked, strict=True):
                if not isinstance(outcome, ScoringError):
                    failing.clear()
                elif was_asked:
                    failing[inquiry.sample] = str(outcome)
            if len(failing) >= MOST_FAILING_SAMPLES:
                raise EngineError(
                    f"the conditions of {len(failing)} samples in a row could not be scored, so that the run stops; "
                    f"the last of them: {list(failing.values())[-1]}"
                )
            yield list(zip(batch, outcomes, strict=True))


class Engine(Protocol):
    """What is asked in batches, and may count the tokens of its passes as `usage`."""

    @property
    def batch_size(self) -> int:
        """How many questions it wants at once."""
        ...


def within_limits(
    limits: Limits,
    inquiries: Sequence[Asked],
    engine: Engine,
    ahead: Callable[[Sequence[Asked]], Generator[AnyBatch, None, None]],
    made: int = 0,
) -> Generator[AnyBatch, None, None]:
    """Ask inquiries up to a limit.

    Parameters
    ----------
    limits : Limits
        No more is prepared, and so sent to a server, than they allow.
    inquiries : sequence
        What is asked.
    engine : Engine
        Who is asked.
    ahead : callable
        Asks some of the inquiries, batch by batch, as `score_ahead` does.
    made : int
        Passes that the run has made before.

    Yields
    ------
    list
        What `ahead` yields.

    Raises
    ------
    StoppedError
        If the limit is reached before the end; all that was asked has been yielded.
    """
    usage = getattr(engine, "usage", None) or Usage()
    done = 0
    while done < len(inquiries):
        allowed = limits.allowance(made + done, usage, engine.batch_size)
        if allowed == 0:
            raise StoppedError(limits.reached(made + done, len(inquiries) - done, usage))
        some = inquiries[done:] if allowed is None else inquiries[done : done + allowed]
        with closing(ahead(some)) as batches:
            yield from batches
        done += len(some)


@dataclass(frozen=True)
class _Batch:
    """Questions of which some could not be rendered, and the scorer's input for the others."""

    rendered: Sequence[Question | ScoringError]
    prepared: Any

    @property
    def asked(self) -> list[bool]:
        return [isinstance(question, Question) for question in self.rendered]

    def score(self, scorer: ChoiceScorer[Any]) -> list[Outcome]:
        scored = iter(scorer.score(self.prepared) if any(self.asked) else [])
        return [
            _without_nan(question, next(scored)) if isinstance(question, Question) else question
            for question in self.rendered
        ]


def _render(unit: Sequence[Inquiry]) -> list[Question | ScoringError]:
    """Render the picture of the first, and ask all about it."""
    try:
        first = unit[0].question()
    except ScoringError as fault:
        # The others say in their own names what is wrong.
        return [fault, *(each for other in unit[1:] for each in _render([other]))]
    return [first, *(inquiry.question_about(first.images) for inquiry in unit[1:])]


def _prepare(scorer: ChoiceScorer[Any], units: Sequence[Sequence[Question | ScoringError]]) -> _Batch:
    rendered = [question for unit in units for question in unit]
    questions = [question for question in rendered if isinstance(question, Question)]
    return _Batch(rendered, scorer.prepare(questions) if questions else None)


def _without_nan(question: Question, outcome: Outcome) -> Outcome:
    if isinstance(outcome, ScoringError) or not any(isnan(score.value) for score in outcome):
        return outcome
    return ScoringError(
        f"{question.name}: the model's log-likelihoods are nan, as half precision can make them: "
        "try dtype=bfloat16 or dtype=float32"
    )
