"""Run conditions through a scorer as an evaluation does, and see how long the card computes nothing."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from benchc_tasks.models.pipeline import score_ahead

__all__ = ["RunThrough", "run_through", "waiting_shares"]

LOOK_AHEAD = 3
MICROSECONDS = 1e6


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
    """

    log_likelihoods: list[list[float]] = field(default_factory=list)
    ends: list[float] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    scoring: float = 0.0

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


def waiting_shares(device: torch.device, scorer: Any, shown: Sequence[Any], threads: int) -> dict[str, float]:
    """Trace some batches, and return the shares of the time after the first in which nothing is computed.

    Parameters
    ----------
    device : torch.device
    scorer : TransformersChoiceScorer
        Has scored before, so that nothing is tried out any more.
    shown : sequence of inquiries
        Four batches or more.
    threads : int
        That render.

    Returns
    -------
    dict
        `all`: no kernel runs on the card. `between_batches`: of this, while the scorer is not at work, and
        so waits for pictures. On a CPU there is only the latter.
    """
    if device.type != "cuda":
        return {"between_batches": round(run_through(scorer, shown, threads).between_batches, 3)}
    from torch.autograd import DeviceType
    from torch.profiler import ProfilerActivity, profile

    with profile(activities=[ProfilerActivity.CUDA]) as trace:
        torch.cuda.synchronize()
        done = run_through(scorer, shown, threads)
    spans = sorted(
        (event.time_range.start / MICROSECONDS, event.time_range.end / MICROSECONDS)
        for event in trace.events()
        if event.device_type == DeviceType.CUDA and not event.name.startswith("Mem")  # copies compute nothing
    )
    # The last kernel ends with the last batch; from there back to the end of the first batch is what counts.
    last = spans[-1][1]
    return {
        "all": round(1 - covered(spans, last - done.seconds, last) / done.seconds, 3),
        "between_batches": round(done.between_batches, 3),
    }


def covered(spans: Sequence[tuple[float, float]], start: float, end: float) -> float:
    """Return how much of the time from `start` to `end` sorted spans cover."""
    total, reached = 0.0, start
    for first, last in spans:
        first, last = max(first, reached), min(last, end)
        total += max(0.0, last - first)
        reached = max(reached, last)
    return total
