"""Time and memory of the intervals, and how often they hold the truth.

python tests/benchmarks/intervals.py
"""

from __future__ import annotations

import resource
import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from run_folders import made_run

from benchc_metrics.metrics.pairs import PairValues
from benchc_metrics.metrics.views import condition_views, corruption_views, whole_run
from benchc_metrics.statistics.estimates import compare, estimate
from benchc_metrics.statistics.resampling import bootstrap_intervals

DRAWS = 200
BINS = 15


def main() -> None:
    """Print all measurements."""
    speed()
    for samples in (100, 849):
        coverage(samples)


def speed() -> None:
    """Time 10,000 resamples of 849 samples x 95 conditions."""
    first, second = (PairValues.of_run(made_run(849, noise=noise)) for noise in (0.4, 0.5))
    run = first.run
    for what, work in (
        ("all figures of the run", lambda: estimate(first)),
        ("and of its 19 corruptions", lambda: estimate(first, (whole_run(run), *corruption_views(run)))),
        ("and of its 95 conditions", lambda: estimate(first, (whole_run(run), *condition_views(run)))),
        ("comparison, whole and 19 corruptions", lambda: compare(first, second, corruption_views(run))),
    ):
        wall, processor = time.perf_counter(), time.process_time()
        work()
        print(f"{what}: {time.perf_counter() - wall:.2f} s, {time.process_time() - processor:.2f} s of processors")
    print(f"peak memory of the process: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB")


def coverage(samples: int) -> None:
    """Draw datasets whose true figures are known, and count how often a 95 % interval holds them."""
    draw = np.random.default_rng(1)
    truth_terms = population(draw, 400_000)
    truth = figures(truth_terms.sum(axis=0))
    methods = ("ours", "bca", "basic")
    held = {method: np.zeros(len(NAMES)) for method in methods}
    for _ in range(DRAWS):
        terms = population(draw, samples)
        for method in methods:
            found = bootstrap_intervals(
                terms,
                figures,
                methods=METHODS if method == "ours" else method,
                bounds=([-np.inf] * 3 + [0] * 2, np.inf),
                noise=noise if method == "ours" else None,
                resamples=2000,
            )
            held[method] += (found.low <= truth) & (truth <= found.high)
    for place, name in enumerate(NAMES):
        shares = ", ".join(f"{method} {held[method][place] / DRAWS:.3f}" for method in methods)
        print(f"{samples} samples, {name} (true {truth[place]:.3f}): held by {shares}")


NAMES = (
    "mean of a skewed figure",
    "rate near 0",
    "ratio",
    "ECE of a calibrated model",
    "ECE of an overconfident model",
)


METHODS = ("bca", "bca", "bca", "basic", "basic")
"""Ours, with `noise` for the ECEs."""


def population(draw: np.random.Generator, samples: int) -> np.ndarray:
    """Terms of samples: count, skewed, rare, right clean, right corrupted, and gaps by bin of two models."""
    skewed = -draw.exponential(0.3, samples)
    rare = draw.random(samples) < 0.03
    clean = draw.random(samples) < 0.7
    corrupted = np.where(clean, draw.random(samples) < 0.8, draw.random(samples) < 0.15)
    confidence = draw.uniform(0.3, 1.0, samples)
    bins = np.minimum((confidence * BINS).astype(int), BINS - 1)
    gaps = np.zeros((samples, 2, BINS))
    for model, chance in enumerate((confidence, confidence - 0.12)):
        gaps[np.arange(samples), model, bins] = (draw.random(samples) < chance) - confidence
    columns = np.column_stack([np.ones(samples), skewed, rare, clean, corrupted])
    return np.concatenate([columns, gaps.reshape(samples, -1)], axis=1)


def figures(sums: np.ndarray) -> np.ndarray:
    """The figures of `NAMES` from sums."""
    count, skewed, rare, clean, corrupted = (sums[..., place] for place in range(5))
    gaps = np.abs(sums[..., 5:].reshape(*sums.shape[:-1], 2, BINS)).sum(axis=-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        means = np.stack([skewed / count, rare / count, 1 - corrupted / clean], axis=-1)
    return np.concatenate([means, gaps / count[..., np.newaxis]], axis=-1)


def noise(sums: np.ndarray, total: np.ndarray) -> np.ndarray:
    """What both ECEs would be if all gaps were noise."""
    gaps = sums[..., 5:] - total[..., 5:]
    return np.abs(gaps.reshape(*sums.shape[:-1], 2, BINS)).sum(axis=-1) / sums[..., :1]


if __name__ == "__main__":
    main()
