import contextlib
import fcntl
import os
import pty
import struct
import sys
import termios
from collections.abc import Iterator

import pytest

from benchc_metrics.responses import OptionResponse
from benchc_tasks.models.costs import Prices, Usage
from benchc_tasks.models.questions import Outcome, ScoringError
from benchc_tasks.stacks.inquiries import Inquiry
from benchc_tasks.stacks.progress import Progress
from support import logged

TASKS = ("benchc_fog", "benchc_snow")
SCORES: Outcome = [OptionResponse(-1.0, True)]


class Clock:
    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def lines() -> Iterator[list[str]]:
    """What is logged, level first."""
    with logged("INFO", "{level} {message}") as lines:
        yield lines


REQUESTS = [task for task in TASKS for _ in range(4)]
"""The task of each request."""


def asked(*places: int, sample: str = "sample 's'") -> Inquiry:
    inquiry = Inquiry(f"{sample} under clean", sample, "What?", None, lambda: None)
    for place in places:
        inquiry.add(place, "A")
    return inquiry


def _pieces(terminal: int) -> Iterator[str]:
    """Read what a terminal was sent, piece by piece, until its other end is closed."""
    with contextlib.suppress(OSError):
        while piece := os.read(terminal, 65536):
            yield piece.decode()


def test_each_task_is_told_when_all_its_answers_are_there(lines: list[str]) -> None:
    """The clean picture (place 0 and 4) belongs to both tasks."""
    clock = Clock()
    with Progress(REQUESTS, 7, clock=clock) as progress:
        for seconds, places in enumerate(((0, 4), (5,), (6,), (1,), (7,), (2,), (3,)), start=1):
            clock.seconds = 2.0 * seconds
            progress.update([(asked(*places), SCORES)])
    assert lines == [
        "INFO benchc: benchc_snow is done, 1 of 2 tasks; 5 of 7 conditions (71%), 0.5 conditions/s, 00:04 left",
        "INFO benchc: benchc_fog is done, 2 of 2 tasks; 7 of 7 conditions (100%), 0.5 conditions/s, 00:00 left",
    ]


def test_a_heartbeat_where_there_is_no_terminal(lines: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    with Progress(REQUESTS, 8000, clock=clock, heartbeat=60) as progress:
        for second in range(0, 200, 10):
            clock.seconds = second
            progress.update([(asked(), SCORES)] * 10)
    assert lines == [
        "INFO benchc: 70 of 8,000 conditions (1%), 1.2 conditions/s, 1:53:17 left",
        "INFO benchc: 130 of 8,000 conditions (2%), 1.1 conditions/s, 2:01:04 left",
        "INFO benchc: 190 of 8,000 conditions (2%), 1.1 conditions/s, 2:03:18 left",
    ]
    assert not capsys.readouterr().err


def test_only_the_first_rank_speaks_of_progress_and_every_rank_of_faults(lines: list[str]) -> None:
    clock = Clock()
    with Progress(REQUESTS, 8, rank=1, world_size=2, clock=clock) as progress:
        clock.seconds = 100.0
        progress.update([(asked(*range(8)), ScoringError("sample 's' under clean: why"))])
    assert lines == [
        "WARNING sample 's' under clean: why",
        "WARNING benchc: 1 of 1 conditions of rank 1 of 2 could not be scored and count as invalid, "
        "samples concerned: 1; the first of them: sample 's' under clean: why",
    ]


def test_many_faults_are_counted_and_those_of_the_first_samples_told_once_each(lines: list[str]) -> None:
    with Progress(REQUESTS, 3000, clock=Clock()) as progress:
        for number in range(1500):
            sample = f"sample '{number // 2}'"
            progress.update([(asked(sample=sample), ScoringError(f"{sample} under fog@{number % 2}: why"))])
            progress.update([(asked(), SCORES)])
    *told, count = [line for line in lines if line.startswith("WARNING")]
    assert told == [
        *(f"WARNING sample '{number}' under fog@0: why" for number in range(9)),
        "WARNING sample '9' under fog@0: why; further samples are only counted",
    ]
    assert "1,500 of 3,000 conditions could not be scored and count as invalid, samples concerned: 750; " in count
    assert count.endswith("the first of them: sample '0' under fog@0: why")


def test_a_bar_on_a_terminal_with_rate_and_time_left_and_no_heartbeat(
    lines: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A real pseudo-terminal stands behind standard error."""
    parent, child = pty.openpty()
    fcntl.ioctl(child, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 100, 0, 0))
    clock = Clock()
    with os.fdopen(child, "w") as terminal:
        monkeypatch.setattr(sys, "stderr", terminal)
        with Progress(REQUESTS, 8, clock=clock, heartbeat=1) as progress:
            clock.seconds = 50.0
            progress.update([(asked(0), SCORES)] + [(asked(), SCORES)] * 3)
            clock.seconds = 100.0
            progress.update([(asked(1, 2, 3), SCORES)] + [(asked(), SCORES)] * 3)
    shown = "".join(_pieces(parent))
    os.close(parent)
    assert "benchc: 100%" in shown
    assert "8/8" in shown
    assert "conditions/s" in shown
    assert len(lines) == 1
    assert "benchc_fog is done, 1 of 2 tasks" in lines[0]


def test_what_the_run_takes_is_said_before_it_and_behind_the_first_batches(lines: list[str]) -> None:
    clock, usage = Clock(), Usage()
    progress = Progress(
        REQUESTS,
        8000,
        clock=clock,
        heartbeat=1e9,
        samples=400,
        pictures=8000,
        usage=usage,
        prices=Prices(2.0, 10.0),
    )
    with progress:
        for seconds in (30, 31, 45, 56):
            clock.seconds = seconds
            usage.add(1230 * 10, 10, passes=10)
            progress.update([(asked(), SCORES)] * 10)
    assert lines == [
        "INFO benchc: 8,000 forward passes to make: 400 samples, 20 conditions a sample, 8,000 pictures",
        "INFO benchc: about 9,840,000 tokens to read, 1,230 a pass, and 8,000 to write: 19.76 at the given prices",
        "INFO benchc: 1.15 passes a second so far: 1.9 hours left",
    ]


def test_an_engine_that_counts_no_tokens_has_no_line_of_them(lines: list[str]) -> None:
    with Progress(REQUESTS, 40, samples=2, pictures=40) as progress:
        progress.update([(asked(), SCORES)])
    assert lines == ["INFO benchc: 40 forward passes to make: 2 samples, 20 conditions a sample, 40 pictures"]
