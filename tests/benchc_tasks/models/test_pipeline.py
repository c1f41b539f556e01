import threading
import time
from collections.abc import Sequence
from typing import Any

import pytest
from PIL import Image

from benchc_metrics.responses import OptionResponse
from benchc_tasks.models.pipeline import MOST_FAILING_SAMPLES, score_ahead
from benchc_tasks.models.questions import EngineError, Outcome, Question, ScoringError
from benchc_tasks.stacks.inquiries import Inquiry


class Lengths:
    """A scorer of another kind: an option's log-likelihood is minus its length; contexts in `refused` fail."""

    fingerprint = "lengths"

    def __init__(self, batch_size: int, refused: Sequence[str] = (), values: float | None = None) -> None:
        self.batch_size = batch_size
        self.refused = refused
        self.values = values
        self.batches: list[list[str]] = []

    def prepare(self, questions: Sequence[Question]) -> list[Question]:
        return list(questions)

    def score(self, prepared: list[Question]) -> list[Outcome]:
        self.batches.append([question.context for question in prepared])
        return [self._score(question) for question in prepared]

    def _score(self, question: Question) -> Outcome:
        if question.context in self.refused:
            return ScoringError(f"{question.name}: refused")
        values = (-float(len(option)) if self.values is None else self.values for option in question.options)
        return [OptionResponse(value, False) for value in values]


def inquiry(number: int, sample: str | None = None, doc: Any = None) -> Inquiry:
    def render(doc: Any) -> list[Image.Image]:
        if doc == "broken":
            raise OSError("no image")
        return [Image.new("RGB", (2, 2))]

    named = sample or f"sample '{number}'"
    asked = Inquiry(f"{named} under clean", named, f"q{number}", render, lambda: doc)
    asked.add(2 * number, "a")
    asked.add(2 * number + 1, "bb")
    return asked


def outcomes(inquiries: Sequence[Inquiry], scorer: Lengths) -> list[Outcome]:
    return [outcome for batch in score_ahead(inquiries, scorer, threads=2, look_ahead=2) for _, outcome in batch]


class Slow(Lengths):
    """Prepares in three threads, the first batch the slowest."""

    prepare_threads = 3

    def __init__(self, batch_size: int) -> None:
        super().__init__(batch_size)
        self.at_once = 0
        self.most_at_once = 0

    def prepare(self, questions: Sequence[Question]) -> list[Question]:
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        time.sleep(0.2 if questions[0].context == "q0" else 0.01)
        self.at_once -= 1
        return super().prepare(questions)


def test_batches_that_are_prepared_at_once_are_scored_in_order() -> None:
    scorer = Slow(2)
    inquiries = [inquiry(number) for number in range(12)]
    batches = list(score_ahead(inquiries, scorer, threads=2, look_ahead=3))
    assert [asked for batch in batches for asked, _ in batch] == inquiries
    assert [context for batch in scorer.batches for context in batch] == [f"q{number}" for number in range(12)]
    assert 2 <= scorer.most_at_once <= 3


@pytest.mark.parametrize("size", [1, 3, 20])
def test_everything_is_scored_in_order(size: int) -> None:
    scorer = Lengths(size)
    found = outcomes([inquiry(number) for number in range(10)], scorer)
    assert found == [[OptionResponse(-1.0, False), OptionResponse(-2.0, False)]] * 10
    assert [context for batch in scorer.batches for context in batch] == [f"q{number}" for number in range(10)]


def test_what_cannot_be_rendered_is_left_out_of_its_batch_and_shifts_no_other() -> None:
    scorer = Lengths(3)
    asked = [inquiry(number, doc="broken" if number in (1, 3, 4, 5) else None) for number in range(8)]
    found = outcomes(asked, scorer)
    assert [isinstance(outcome, ScoringError) for outcome in found] == [
        False, True, False, True, True, True, False, False,
    ]  # fmt: skip
    assert scorer.batches == [["q0", "q2"], ["q6", "q7"]]
    assert str(found[1]) == "sample '1' under clean: the image could not be rendered (OSError: no image)"


def test_a_question_that_fails_is_its_own_outcome() -> None:
    found = outcomes([inquiry(number) for number in range(4)], Lengths(2, refused=["q2"]))
    assert [str(outcome) for outcome in found if isinstance(outcome, ScoringError)] == [
        "sample '2' under clean: refused"
    ]


def test_nan_is_no_answer() -> None:
    (outcome,) = outcomes([inquiry(0)], Lengths(1, values=float("nan")))
    assert isinstance(outcome, ScoringError)
    assert str(outcome).startswith("sample '0' under clean: the model's log-likelihoods are nan")


def test_an_engine_that_fails_on_many_samples_in_a_row_ends_the_run() -> None:
    many = [inquiry(number) for number in range(2 * MOST_FAILING_SAMPLES)]
    refused = [f"q{number}" for number in range(MOST_FAILING_SAMPLES)]
    with pytest.raises(EngineError, match=rf"^the conditions of {MOST_FAILING_SAMPLES} samples in a row .*: refused$"):
        outcomes(many, Lengths(1, refused))
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("benchc-ahead")]
    outcomes(many, Lengths(1, refused[1:]))


def test_one_sample_may_fail_under_all_its_conditions_and_images_may_be_broken() -> None:
    """Neither is the engine's fault."""
    of_one_sample = [inquiry(number, sample="sample 's'") for number in range(100)]
    assert len(outcomes(of_one_sample, Lengths(1, [f"q{number}" for number in range(100)]))) == 100
    assert len(outcomes([inquiry(number, doc="broken") for number in range(100)], Lengths(1))) == 100
