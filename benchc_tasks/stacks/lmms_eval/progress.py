"""Show how far a long run is: a bar on a terminal, else lines in the log; and a line for each finished task."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Protocol

from loguru import logger
from tqdm import tqdm  # type: ignore[import-untyped]

from benchc_tasks.models.questions import Outcome, ScoringError

__all__ = ["HEARTBEAT_SECONDS", "Asked", "Progress"]

HEARTBEAT_SECONDS = 60.0
MOST_WARNINGS = 10
"""How many samples that could not be scored are named, each once; the samples log has the reasons of all."""


class Asked(Protocol):
    """A sample under a condition, and the requests that it answers."""

    @property
    def sample(self) -> str:
        """The sample's name."""
        ...

    @property
    def places(self) -> Sequence[tuple[int, int]]:
        """For each request, its place among all requests and the number of its option."""
        ...


class Progress:
    """Shows how far a run is and counts what could not be scored.

    Parameters
    ----------
    tasks : sequence of str
        The task of each request of the run.
    conditions : int
        How many conditions of samples they make, which is what is counted.
    rank, world_size : int
        Only rank 0 shows a bar or a heartbeat; it counts its own conditions.
    heartbeat : float
        Seconds between two lines in the log where standard error is not a terminal.
    clock : callable
        Returns seconds.
    """

    def __init__(
        self,
        tasks: Sequence[str],
        conditions: int,
        *,
        rank: int = 0,
        world_size: int = 1,
        heartbeat: float = HEARTBEAT_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._conditions = conditions
        self._whose = f" of rank {rank} of {world_size}" if world_size > 1 else ""
        self._speaks = rank == 0
        self._heartbeat = heartbeat
        self._clock = clock
        self._started = self._last_line = clock()
        self._done = 0
        self._task_of_place = tasks
        self._left = Counter(self._task_of_place)
        self._tasks = len(self._left)
        self._unanswered = 0
        self._first_fault = ""
        self._failed_samples: set[str] = set()
        shows_bar = self._speaks and sys.stderr.isatty()
        self._bar = tqdm(total=conditions, unit=" conditions", desc="benchc", disable=not shows_bar)

    def __enter__(self) -> Progress:
        """Begin to count the time."""
        self._started = self._last_line = self._clock()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close the bar, and say how much could not be scored."""
        self._bar.close()
        if self._unanswered:
            logger.warning(
                f"benchc: {self._unanswered:,} of {self._done:,} conditions{self._whose} could not be scored and "
                f"count as invalid, samples concerned: {len(self._failed_samples):,}; "
                f"the first of them: {self._first_fault}"
            )

    def update(self, batch: Sequence[tuple[Asked, Outcome]]) -> None:
        """Count a batch that has been scored.

        Parameters
        ----------
        batch : sequence of (Asked, Outcome)
            What was asked and what came of it.
        """
        self._done += len(batch)
        self._bar.update(len(batch))
        for asked, outcome in batch:
            if isinstance(outcome, ScoringError):
                self._note(asked.sample, outcome)
            for place, _ in asked.places:
                self._finish(self._task_of_place[place])
        if self._speaks and self._bar.disable and self._clock() - self._last_line >= self._heartbeat:
            self._say(f"benchc: {self.standing()}")

    def standing(self) -> str:
        """Say how many conditions are done, how fast, and how long the rest will take."""
        seconds = self._clock() - self._started
        rate = self._done / seconds if seconds > 0 else 0.0
        text = f"{self._done:,} of {self._conditions:,} conditions{self._whose} ({self._done / self._conditions:.0%})"
        if rate <= 0:
            return text
        left = tqdm.format_interval((self._conditions - self._done) / rate)
        return f"{text}, {rate:,.1f} conditions/s, {left} left"

    def _note(self, sample: str, fault: ScoringError) -> None:
        self._unanswered += 1
        if sample in self._failed_samples:
            return
        self._failed_samples.add(sample)
        self._first_fault = self._first_fault or str(fault)
        told = len(self._failed_samples)
        if told <= MOST_WARNINGS:
            more = "; further samples are only counted" if told == MOST_WARNINGS else ""
            self._write("WARNING", f"{fault}{more}")

    def _finish(self, task: str) -> None:
        self._left[task] -= 1
        if self._left[task] or not self._speaks:
            return
        del self._left[task]
        self._say(f"benchc: {task} is done, {self._tasks - len(self._left)} of {self._tasks} tasks; {self.standing()}")

    def _say(self, line: str) -> None:
        self._last_line = self._clock()
        self._write("INFO", line)

    def _write(self, level: str, line: str) -> None:
        """Write a line of the log without cutting the bar in two."""
        if self._bar.disable:
            logger.log(level, line)
            return
        self._bar.clear()
        logger.log(level, line)
        self._bar.refresh()
