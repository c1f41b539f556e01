"""Run conditions through a scorer as an evaluation does, and see how long the card waits."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from benchc_tasks.models.pipeline import score_ahead

__all__ = ["RunThrough", "idle_share", "run_through"]

LOOK_AHEAD = 3
MICROSECONDS = 1e6
LONG = 1e-4
"""Seconds."""


@dataclass
class RunThrough:
    """Conditions that were scored.

    Attributes
    ----------
    log_likelihoods : list of list of float
        Of the options of each condition.
    ends : list of float
        When each batch was done, in seconds of `time.perf_counter`.
    sizes : list of int
        Conditions of each batch.
    scoring : float
        Seconds within the scorer after the first batch; the rest of the time is spent between batches.
    started : float
        When it began.
    """

    log_likelihoods: list[list[float]] = field(default_factory=list)
    ends: list[float] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    scoring: float = 0.0
    started: float = field(default_factory=time.perf_counter)

    @property
    def whole(self) -> float:
        """Seconds from the start to the end of the last batch."""
        return self.ends[-1] - self.started

    @property
    def seconds(self) -> float:
        """From the end of the first batch to that of the last."""
        return self.ends[-1] - self.ends[0]

    @property
    def conditions_a_second(self) -> float:
        """Without the first batch, for which everything waits."""
        return sum(self.sizes[1:]) / self.seconds

    @property
    def between_batches(self) -> float:
        """Share of the time after the first batch that is not spent within the scorer."""
        return 1 - self.scoring / self.seconds

    def array(self) -> np.ndarray:
        """Return the log-likelihoods, -10,000 where a condition has fewer options than another."""
        values = np.full((len(self.log_likelihoods), max(map(len, self.log_likelihoods))), -1e4)
        for row, options in zip(values, self.log_likelihoods, strict=True):
            row[: len(options)] = options
        return values


class _Timed:
    """A scorer whose time is taken."""

    def __init__(self, scorer: Any) -> None:
        self._scorer = scorer
        self.batch_size = scorer.batch_size
        self.prepare_threads = scorer.prepare_threads
        self.prepare = scorer.prepare
        self.shares_prefixes = getattr(scorer, "shares_prefixes", False)
        self.seconds: list[float] = []

    def score(self, prepared: Any) -> Any:
        started = time.perf_counter()
        outcomes = self._scorer.score(prepared)
        self.seconds.append(time.perf_counter() - started)
        return outcomes


def run_through(scorer: Any, shown: Sequence[Any], threads: int) -> RunThrough:
    """Score conditions as a run does; raise what could not be scored."""
    done, timed = RunThrough(), _Timed(scorer)
    for batch in score_ahead(shown, timed, threads=threads, look_ahead=LOOK_AHEAD):
        for _, outcome in batch:
            if isinstance(outcome, Exception):
                raise outcome
            done.log_likelihoods.append([option[0] for option in outcome])
        done.ends.append(time.perf_counter())
        done.sizes.append(len(batch))
    done.scoring = sum(timed.seconds[1:])
    return done


def idle_share(work: Callable[[], object]) -> dict[str, float]:
    """Trace what `work` does on the card, and return the share of the time in which no kernel runs.

    A trace makes each start of a kernel slower, also for what the process does afterwards. So this comes last, and
    tells two ways of work apart rather than what they are without a trace.

    Returns
    -------
    dict
        `idle`: from the first kernel to the last; `in_gaps_over_a_tenth_of_a_ms`: of this, in long gaps.
    """
    from torch.autograd import DeviceType
    from torch.profiler import ProfilerActivity, profile

    with profile(activities=[ProfilerActivity.CUDA]) as trace:
        work()
        torch.cuda.synchronize()
    spans = sorted(
        (event.time_range.start / MICROSECONDS, event.time_range.end / MICROSECONDS)
        for event in trace.events()
        if event.device_type == DeviceType.CUDA and not event.name.startswith("Mem")  # copies compute nothing
    )
    gaps = gaps_of(spans)
    wall = max(end for _, end in spans) - spans[0][0]
    return {
        "idle": round(sum(gaps) / wall, 3),
        "in_gaps_over_a_tenth_of_a_ms": round(sum(gap for gap in gaps if gap > LONG) / wall, 3),
    }


def gaps_of(spans: Sequence[tuple[float, float]]) -> list[float]:
    """Return the lengths of the gaps between sorted spans that may overlap."""
    gaps, reached = [], spans[0][1]
    for start, end in spans[1:]:
        if start > reached:
            gaps.append(start - reached)
        reached = max(reached, end)
    return gaps
