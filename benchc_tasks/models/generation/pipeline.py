"""From inquiries to texts: pictures rendered ahead, batches prepared ahead, one bad question left out."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import closing
from functools import partial
from typing import Any, Protocol, TypeVar

from benchc_tasks.batching import in_batches
from benchc_tasks.models.generation.questions import TextGenerator, TextOutcome, TextQuestion
from benchc_tasks.models.pipeline import MOST_FAILING_SAMPLES
from benchc_tasks.models.questions import EngineError, ScoringError
from benchc_tasks.models.rendering import map_ahead

__all__ = ["TextInquiry", "generate_ahead"]


class TextInquiry(Protocol):
    """A question whose pictures are still to be rendered.

    Attributes
    ----------
    sample : str
        The sample that it shows, whatever the condition.
    """

    sample: str

    def question(self) -> TextQuestion:
        """Render the pictures; raise `ScoringError` where that fails."""
        ...


AnyInquiry = TypeVar("AnyInquiry", bound=TextInquiry)


def generate_ahead(
    inquiries: Sequence[AnyInquiry], generator: TextGenerator[Any], *, threads: int, look_ahead: int
) -> Generator[list[tuple[AnyInquiry, TextOutcome]], None, None]:
    """Write the texts of inquiries batch by batch, in order.

    Parameters
    ----------
    inquiries : sequence of TextInquiry
        What is asked.
    generator : TextGenerator
        Who is asked.
    threads, look_ahead
        As in `benchc_tasks.models.pipeline.score_ahead`.

    Yields
    ------
    list of (TextInquiry, TextOutcome)
        One batch.

    Raises
    ------
    EngineError
        If the engine says so, or has failed on `MOST_FAILING_SAMPLES` samples in a row.
    """
    size = generator.batch_size
    rendered = map_ahead(_render, inquiries, threads=threads, look_ahead=look_ahead * size)
    prepared = map_ahead(partial(_prepare, generator), in_batches(rendered, size), threads=1, look_ahead=look_ahead - 1)
    failing: dict[str, str] = {}
    with closing(rendered), closing(prepared):
        for batch, (questions, ready) in zip(in_batches(inquiries, size), prepared, strict=True):
            asked = [question for question in questions if isinstance(question, TextQuestion)]
            written = iter(generator.generate(ready) if asked else [])
            outcomes: list[TextOutcome] = [
                next(written) if isinstance(question, TextQuestion) else question for question in questions
            ]
            for inquiry, question, outcome in zip(batch, questions, outcomes, strict=True):
                if not isinstance(outcome, ScoringError):
                    failing.clear()
                elif isinstance(question, TextQuestion):
                    failing[inquiry.sample] = str(outcome)
            if len(failing) >= MOST_FAILING_SAMPLES:
                raise EngineError(
                    f"the conditions of {len(failing)} samples in a row could not be answered, so that the run stops; "
                    f"the last of them: {list(failing.values())[-1]}"
                )
            yield list(zip(batch, outcomes, strict=True))


def _render(inquiry: TextInquiry) -> TextQuestion | ScoringError:
    try:
        return inquiry.question()
    except ScoringError as fault:
        return fault


def _prepare(
    generator: TextGenerator[Any], rendered: Sequence[TextQuestion | ScoringError]
) -> tuple[Sequence[TextQuestion | ScoringError], Any]:
    questions = [question for question in rendered if isinstance(question, TextQuestion)]
    return rendered, generator.prepare(questions) if questions else None
