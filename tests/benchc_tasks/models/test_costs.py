"""Where a run stops, and what it has cost by then."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest
from PIL import Image

from benchc_metrics.responses import OptionResponse
from benchc_tasks.models.costs import Limits, Prices, StoppedError, Usage
from benchc_tasks.models.pipeline import score_ahead, within_limits
from benchc_tasks.models.questions import Outcome, Question


@dataclass
class Asked:
    """An inquiry about a picture of its own."""

    sample: str

    def question(self) -> Question:
        return Question(self.sample, "What?", ("A",), (Image.new("RGB", (2, 2)),))


@dataclass
class Counting:
    """A scorer whose passes read 1,000 tokens and write one; `sent` are those that reached the server."""

    batch_size: int = 4
    counts: bool = True
    usage: Usage = field(default_factory=Usage)
    sent: int = 0
    fingerprint: str = "counting"

    def prepare(self, questions: Sequence[Question]) -> Sequence[Question]:
        self.sent += len(questions)
        return questions

    def score(self, prepared: Sequence[Question]) -> list[Outcome]:
        if self.counts:
            self.usage.add(1000 * len(prepared), len(prepared), passes=len(prepared))
        return [[OptionResponse(-1.0, True)] for _ in prepared]


def scored(scorer: Counting, limits: Limits, number: int = 50) -> tuple[int, str]:
    """How many inquiries came back before the end, and how it stopped."""
    made, stopped = 0, ""
    try:
        inquiries = [Asked(f"{i}") for i in range(number)]
        for batch in within_limits(
            limits, inquiries, scorer, lambda some: score_ahead(some, scorer, threads=2, look_ahead=3)
        ):
            made += len(batch)
    except StoppedError as limit:
        stopped = str(limit)
    return made, stopped


def test_a_run_without_limits_goes_to_its_end():
    assert scored(Counting(), Limits()) == (50, "")


@pytest.mark.parametrize("passes", [1, 4, 13, 50, 51])
def test_a_number_of_passes_is_kept_exactly(passes):
    scorer = Counting()
    made, stopped = scored(scorer, Limits(max_passes=passes))
    assert made == scorer.sent == min(passes, 50)
    assert stopped == (
        f"stopped by max_passes={passes} after {passes:,} forward passes, {50 - passes} are left: the answers are "
        "kept, and the same command goes on from them"
        if passes < 50
        else ""
    )


@pytest.mark.parametrize("budget", [0.05, 0.1, 0.2])
def test_no_more_is_sent_than_a_budget_pays(budget):
    scorer = Counting()
    prices = Prices(2.0, 500.0)
    made, stopped = scored(scorer, Limits(budget=budget, prices=prices))
    # 1,000 tokens at 2 and one at 500 a million: 0.0025 a pass.
    assert made == scorer.sent
    assert budget * 0.8 <= prices.spent(scorer.usage) <= budget or made == 50
    assert bool(stopped) == (made < 50)
    if stopped:
        assert stopped.startswith(f"stopped by budget={budget:g} after {made} forward passes and about 0.")


def test_an_engine_that_counts_no_tokens_keeps_no_budget():
    made, stopped = scored(Counting(counts=False), Limits(budget=1.0, prices=Prices(1.0)))
    assert made == 4
    assert "does not say how many tokens it read, so that a budget cannot be kept: give max_passes" in stopped


def test_processes_share_the_limits():
    share = Limits(10, 1.0, Prices(1.0)).share(4)
    assert (share.max_passes, share.budget) == (2, 0.25)
    assert Limits(max_passes=2).share(4).max_passes == 1


@pytest.mark.parametrize(
    ("limits", "fault"),
    [
        (lambda: Limits(max_passes=0), "max_passes is 0: give a number of 1 or more"),
        (lambda: Limits(max_passes=1.5), "max_passes is 1.5: give a number of 1 or more"),
        (lambda: Limits(budget=-1, prices=Prices(1)), "budget is -1: give a number above 0"),
        (lambda: Limits(budget=5), "budget needs prices: give price_input=..., and price_output=..."),
        (lambda: Prices(-1), "price_input is -1: give the price of a million tokens, a number of 0 or more"),
        (lambda: Prices(0, "2"), "price_output is '2': give the price of a million tokens"),
    ],
)
def test_what_is_no_limit_is_refused(limits, fault):
    with pytest.raises(ValueError, match=re.escape(fault)):
        limits()
