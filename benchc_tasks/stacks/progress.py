"""Show how far a long run is: a bar on a terminal, else lines in the log; and a line for each finished task."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from types import TracebackType
from typing import Protocol

from loguru import logger
from tqdm import tqdm  # type: ignore[import-untyped]

from benchc_tasks.models.costs import Prices, Usage
from benchc_tasks.models.questions import ScoringError
from benchc_tasks.stacks.waiting import waiting_for

__all__ = ["HEARTBEAT_SECONDS", "Asked", "Progress"]

HEARTBEAT_SECONDS = 60.0
ESTIMATE_SECONDS = 20.0
ESTIMATE_SHARE = 0.1
"""The time left is first estimated after so many seconds behind the first batch, or this share of the run."""

FIRST = (
    "rendering the first pictures and asking the model (the first time on a machine, the corruptions are compiled too)"
)
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
    samples, pictures : int
        How many samples and pictures the conditions are of; without samples, the costs are not said.
    usage : Usage, optional
        What the engine counts of its tokens.
    prices : Prices
        Of tokens.
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
        samples: int = 0,
        pictures: int = 0,
        usage: Usage | None = None,
        prices: Prices | None = None,
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
        self._samples, self._pictures = samples, pictures
        self._usage, self._prices = usage, prices or Prices()
        self._first_batch: tuple[float, int] | None = None
        self._has_estimated = not samples
        self._unanswered = 0
        self._first_fault = ""
        self._failed_samples: set[str] = set()
        shows_bar = self._speaks and sys.stderr.isatty()
        self._bar = tqdm(total=conditions, unit=" conditions", desc="benchc", disable=not shows_bar)

    def __enter__(self) -> Progress:
        """Begin to count the time."""
        self._started = self._last_line = self._clock()
        if self._speaks and self._samples:
            self._say(
                f"benchc: {self._conditions:,} forward passes to make{self._whose}: {self._samples:,} samples, "
                f"{self._conditions / self._samples:.3g} conditions a sample, {self._pictures:,} pictures"
            )
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

    def update(self, batch: Sequence[tuple[Asked, object]]) -> None:
        """Count a batch that has been scored.

        Parameters
        ----------
        batch : sequence of (Asked, outcome)
            What was asked and what came of it.
        """
        self._done += len(batch)
        self._bar.update(len(batch))
        for asked, outcome in batch:
            if isinstance(outcome, ScoringError):
                self._note(asked.sample, outcome)
            for place, _ in asked.places:
                self._finish(self._task_of_place[place])
        if self._speaks and not self._has_estimated:
            self._estimate()
        if self._speaks and self._bar.disable and self._clock() - self._last_line >= self._heartbeat:
            self._say(f"benchc: {self.standing()}")

    def waiting_for_the_first(self) -> AbstractContextManager[None]:
        """Say inside the block what is happening, as long as nothing has been scored."""
        return nullcontext() if self._done else waiting_for(FIRST, self._say)

    def standing(self) -> str:
        """Say how many conditions are done, how fast, and how long the rest will take."""
        seconds = self._clock() - self._started
        rate = self._done / seconds if seconds > 0 else 0.0
        text = f"{self._done:,} of {self._conditions:,} conditions{self._whose} ({self._done / self._conditions:.0%})"
        if rate <= 0:
            return text
        left = tqdm.format_interval((self._conditions - self._done) / rate)
        return f"{text}, {rate:,.1f} conditions/s, {left} left"

    def _estimate(self) -> None:
        """Say what the whole run takes, once the first batches tell; the very first one also warms up."""
        now = self._clock()
        if self._first_batch is None:
            self._first_batch = now, self._done
            self._say_tokens()
            return
        began, before = self._first_batch
        enough = now - began >= ESTIMATE_SECONDS or self._done >= ESTIMATE_SHARE * self._conditions
        if self._done == before or now <= began or not enough:
            return
        self._has_estimated = True
        rate = (self._done - before) / (now - began)
        hours = (self._conditions - self._done) / rate / 3600
        if 60 * hours < 1:
            return
        left = f"{hours:,.1f} hours" if hours >= 1 else f"{60 * hours:.0f} minutes"
        self._say(f"benchc: {rate:,.3g} passes a second so far{self._whose}: {left} left")

    def _say_tokens(self) -> None:
        usage = self._usage
        if usage is None or not usage.passes:
            return
        read, written = (round(each * self._conditions) for each in (usage.read_per_pass, usage.written_per_pass))
        text = f"benchc: about {read:,} tokens to read{self._whose}, {usage.read_per_pass:,.0f} a pass"
        if written:
            text += f", and {written:,} to write"
        if self._prices.are_given:
            text += f": {self._prices.of(read, written):,.2f} at the given prices"
        self._say(text)

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
