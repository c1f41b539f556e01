"""Time the metrics of a whole benchmark: 13 models x 849 samples x 96 conditions x 4 options.

Run it with `python tests/benchmarks/metrics.py`; it exits with 1 if a requirement is missed. Time is that of
`metrics_of_run`, all metrics of all models, best and worst of the repeats; making the log-likelihoods is not in it.
Memory is the process's own maximum, with the interpreter, numpy and all models' log-likelihoods in it.
"""

from __future__ import annotations

import argparse
import resource
import sys
import time

import numpy as np
from numpy.typing import NDArray

from benchc_metrics.metrics.registry import METRICS
from benchc_metrics.metrics.sums import metrics_of_run
from benchc_metrics.runs import run_of_log_likelihoods

MODELS, SAMPLES, CONDITIONS, OPTIONS = 13, 849, 96, 4
SECONDS_ALLOWED, GIBIBYTES_ALLOWED = 3.0, 2.0


def answers_of_models(seed: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Draw log-likelihoods (models, samples, conditions, options) that know the answer, the less the more corrupted."""
    generator = np.random.default_rng(seed)
    answer = generator.integers(0, OPTIONS, size=SAMPLES)
    logits = generator.normal(0, 1.5, size=(MODELS, SAMPLES, CONDITIONS, OPTIONS))
    severity = np.concatenate([[0], np.tile(np.arange(1, 6), (CONDITIONS - 1) // 5)])
    knowledge = np.linspace(2, 5, MODELS)[:, np.newaxis, np.newaxis] * (1 - 0.15 * severity)
    logits[:, np.arange(SAMPLES), :, answer] += np.moveaxis(np.broadcast_to(knowledge, logits.shape[:-1]), 1, 0)
    return logits - np.logaddexp.reduce(logits, axis=-1, keepdims=True), answer


def peak_gibibytes() -> float:
    """Largest memory that this process has held so far."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**30 if sys.platform == "darwin" else peak / 2**20


def main() -> int:
    """Measure, print the table, and say whether the requirements hold."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5)
    repeats = parser.parse_args().repeats
    log_likelihoods, answer = answers_of_models(seed=0)
    peak_of_data = peak_gibibytes()
    seconds, processor_seconds = [], []
    for _ in range(repeats):
        started, processor_started = time.perf_counter(), time.process_time()
        of_models = [metrics_of_run(run_of_log_likelihoods(of_model, answer)) for of_model in log_likelihoods]
        seconds.append(time.perf_counter() - started)
        processor_seconds.append(time.process_time() - processor_started)
    peak = peak_gibibytes()

    print(f"{MODELS} models x {SAMPLES} samples x {CONDITIONS} conditions x {OPTIONS} options, {len(METRICS)} metrics")
    print(f"{'metric':<22}{'weakest model':>14}{'strongest':>12}")
    for name in METRICS:
        print(f"{name:<22}{of_models[0][name]:>14.4f}{of_models[-1][name]:>12.4f}")
    print(f"{'measured':<22}{'value':>14}{'allowed':>12}")
    print(f"{'time, best':<22}{min(seconds):>12.2f} s{SECONDS_ALLOWED:>10.2f} s")
    print(f"{'time, worst':<22}{max(seconds):>12.2f} s{SECONDS_ALLOWED:>10.2f} s")
    print(f"{'processor time, best':<22}{min(processor_seconds):>12.2f} s")
    print(f"{'peak memory':<22}{peak:>10.3f} GiB{GIBIBYTES_ALLOWED:>8.2f} GiB")
    print(f"{'  before any metric':<22}{peak_of_data:>10.3f} GiB")
    return 0 if max(seconds) < SECONDS_ALLOWED and peak < GIBIBYTES_ALLOWED else 1


if __name__ == "__main__":
    sys.exit(main())
