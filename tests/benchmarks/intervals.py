"""Time and memory of the intervals, and how often they hold the truth.

    python tests/benchmarks/intervals.py [--draws N] [--samples N,N] [--only speed,rates,made,published,few]

The truth is known in populations that are made, and in those of published models' answers: the 935 questions of MMBench
that stand in four orders (`../shared/mmbench-logits` beside the checkout; else the 200 questions of the tests) are the
population, samples are drawn from them with replacement, and three orders of the options are a sample's conditions.
`plain` is what intervals would hold without what few samples and calibration errors add to them.
"""

from __future__ import annotations

import argparse
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from unittest.mock import patch

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from planted_runs import Answers, resampled, run_of_orders
from run_folders import made_run
from scipy.stats import binom

from benchc_metrics.metrics.pairs import PairValues
from benchc_metrics.metrics.registry import Metric
from benchc_metrics.metrics.sums import metrics_of_run
from benchc_metrics.metrics.views import condition_views, corruption_views, whole_run
from benchc_metrics.runs import Run
from benchc_metrics.statistics.estimates import compare, estimate
from benchc_metrics.statistics.resampling import bootstrap_intervals

FOLDER = Path(__file__).resolve().parents[3] / "shared" / "mmbench-logits"
DRAWS = 200
BINS = 15
PUBLISHED = (
    "acc_clean",
    "acc_corrupted",
    "ras",
    "ras_tempered",
    "ras_destructive",
    "ras_corrective",
    "ece_clean",
    "ece_corrupted",
)
PLAIN = property(lambda metric: "bca" if metric.computed.noise is None else "basic")


def main() -> None:
    """Print all measurements, or those that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draws", type=int, default=12, help="of each published model")
    parser.add_argument("--samples", default="50,150,849", help="drawn from the published models' answers")
    parser.add_argument("--only", default="speed,rates,made,published,few")
    chosen = parser.parse_args()
    parts: dict[str, Callable[[], None]] = {
        "speed": speed,
        "rates": rates,
        "made": lambda: [coverage(samples) for samples in (100, 849)] and None,
        "published": lambda: [published(int(samples), chosen.draws) for samples in chosen.samples.split(",")] and None,
        "few": lambda: few_wrong(150, chosen.draws),
    }
    for name in chosen.only.split(","):
        parts[name]()


def rates() -> None:
    """Weigh the interval of each number of right answers with its chance."""
    for truth, samples in ((0.98, 36), (0.9, 36), (0.98, 150), (0.98, 849)):
        shares = []
        for method in ("bca-wilson", "bca"):
            held = 0.0
            for right in range(samples + 1):
                chance = binom.pmf(right, samples, truth)
                if chance > 1e-4:
                    terms = np.column_stack([np.arange(samples) < right, np.ones(samples)]).astype(float)
                    found = bootstrap_intervals(
                        terms, lambda sums: sums[..., :1] / sums[..., 1:], methods=method, bounds=(0, 1), resamples=2000
                    )
                    held += chance * bool(found.low[0] <= truth <= found.high[0])
            shares.append(held)
        print(f"rate {truth}, {samples} samples: held by {shares[0]:.3f}, plain {shares[1]:.3f}", flush=True)


def populations() -> list[Run]:
    answers = Answers.of_folder(FOLDER) if FOLDER.exists() else Answers.of_fixture()
    return [run_of_orders(answers, model, f"lab/{model}") for model in range(len(answers.means))]


def published(samples: int, draws: int) -> None:
    """Coverage of the metrics of published models, and of the differences of neighbours in the list."""
    runs = populations()
    truths = [metrics_of_run(run) for run in runs]
    held = {
        (metric, what, kind): []
        for metric in PUBLISHED
        for what in ("alone", "difference")
        for kind in ("ours", "plain")
    }
    draw = np.random.default_rng(samples)
    for _ in range(draws):
        drawn = draw.integers(len(runs[0].sample_ids), size=samples)
        parts = [PairValues.of_run(resampled(run, drawn)) for run in runs]
        for kind in ("ours", "plain"):
            with patch.object(Metric, "interval", Metric.interval if kind == "ours" else PLAIN):
                for place, part in enumerate(parts):
                    alone = estimate(part, resamples=1000)
                    both = compare(part, parts[place - 1], resamples=1000)
                    for metric in PUBLISHED:
                        truth, other = truths[place][metric], truths[place - 1][metric]
                        found, difference = alone.of(metric), both.of(metric)
                        held[metric, "alone", kind].append(found.low <= truth <= found.high)
                        held[metric, "difference", kind].append(difference.low <= truth - other <= difference.high)
    for metric in PUBLISHED:
        shares = [
            f"{what} {np.mean(held[metric, what, 'ours']):.3f} (plain {np.mean(held[metric, what, 'plain']):.3f})"
            for what in ("alone", "difference")
        ]
        print(f"{samples} samples, {metric}: {', '.join(shares)}", flush=True)


def few_wrong(samples: int, draws: int) -> None:
    """Coverage of the corrective part of models that are right on 95 % of clean pictures."""
    held: dict[str, list[bool]] = {"ours": [], "plain": []}
    draw = np.random.default_rng(1)
    for run in populations():
        is_right = run.clean_predictions == run.answers
        truth = metrics_of_run(run)["ras_corrective"]
        for _ in range(draws):
            wrong = draw.random(samples) < 0.05
            drawn = np.where(
                wrong, draw.choice(np.flatnonzero(~is_right), samples), draw.choice(np.flatnonzero(is_right), samples)
            )
            part = PairValues.of_run(resampled(run, drawn))
            for kind in held:
                with patch.object(Metric, "interval", Metric.interval if kind == "ours" else PLAIN):
                    found = estimate(part, resamples=1000).of("ras_corrective")
                if np.isfinite(found.value):
                    held[kind].append(found.low <= truth <= found.high)
    ours, plain = (float(np.mean(held[kind])) for kind in ("ours", "plain"))
    print(f"{samples} samples, 5 % wrong, ras_corrective: {ours:.3f} (plain {plain:.3f})", flush=True)


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


METHODS = ("bca-student", "bca-wilson", "bca-student", "basic-stretched", "basic-stretched")
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
