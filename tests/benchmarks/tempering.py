"""Compare the readings of RAS, raw and tempered, on the answers of 26 published models.

    python tests/benchmarks/tempering.py [--data FOLDER] [--resamples 300] [--runs 2]

Three tables. The readings: destroyed answers that count as a gain, and Kendall's tau of the 26 models with version 1
and with the ranking that is the default. The scale: RAS raw and tempered of one model whose logits are multiplied. The
intervals: how often the 95 % percentile interval of tempered RAS holds that of all questions, and how wide it is, with
the temperature held, recomputed to first order as the package does it, and fitted again in every resample.

FOLDER holds `logits.npz` as `tests/fixtures/mmbench_logits` (the default) does: 200 questions under four rotations of
their options, of which the first stands for the clean picture.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.stats import kendalltau

from benchc_metrics.metrics import ras
from benchc_metrics.metrics.pairs import PairValues
from benchc_metrics.metrics.registry import METRICS
from benchc_metrics.metrics.sums import MetricSums
from benchc_metrics.metrics.views import whole_run
from benchc_metrics.responses import option_distribution
from benchc_metrics.responses.tempering import fit_temperature
from benchc_metrics.runs import Run, run_of_log_likelihoods

FIXTURE = Path(__file__).parents[1] / "fixtures" / "mmbench_logits"
SIZES = (50, 150, 849)
FACTORS = (0.01, 0.1, 0.3, 1, 3, 10, 100)
TEMPERED = MetricSums((METRICS["ras_tempered"],))


def run_of(logits: NDArray[np.float64], answers: NDArray[np.int64]) -> Run:
    return run_of_log_likelihoods(logits, answers)


def mean_ras(run: Run, reading: ras.Reading, is_tempered: bool) -> float:
    pairs = PairValues.of_run(run, reading)
    viewed = pairs.all_pairs()
    values = pairs.values["ras_tempered" if is_tempered else "ras"]
    return float(viewed.mean(values).sum() / viewed.paired.sum())


def print_readings(logits: NDArray[np.float64], answers: NDArray[np.int64]) -> None:
    runs = [run_of(of_model, answers) for of_model in logits]
    values = {
        (reading, is_tempered): [mean_ras(run, reading, is_tempered) for run in runs]
        for reading in ras.READINGS
        for is_tempered in (False, True)
    }
    p = option_distribution(logits)
    clean, corrupted = p[:, :, :1], p[:, :, 1:]
    right = np.broadcast_to(answers, p.shape[:2])
    destroyed = ras.patterns(clean, corrupted, right).destroyed
    print(f"{len(runs)} models, {len(answers)} questions, {np.count_nonzero(destroyed)} destroyed answers")
    print(
        "| reading | gains among them | tau with version 1, raw / tempered | tau with tempered brier, raw / tempered |"
    )
    print("| --- | --- | --- | --- |")
    for reading in ras.READINGS:
        gains = ras.robustness_alignment_score(clean, corrupted, right, reading=reading)[destroyed] > 0
        taus = [
            " / ".join(
                f"{kendalltau(values[reading, is_tempered], values[own]).statistic:.2f}"
                for is_tempered in (False, True)
            )
            for own in (("confidence", False), ("brier", True))
        ]
        print(f"| `{reading}` | {gains.mean():.2%} | {taus[0]} | {taus[1]} |")


def print_scale(logits: NDArray[np.float64], answers: NDArray[np.int64]) -> None:
    print("\n| logits times | RAS | RAS tempered | temperature |\n| --- | --- | --- | --- |")
    for factor in FACTORS:
        run = run_of(logits * factor, answers)
        raw, tempered = (mean_ras(run, "brier", is_tempered) for is_tempered in (False, True))
        print(f"| {factor:g} | {raw:.4f} | {tempered:.4f} | {run.temperature.value:.4g} |")


def refitted(logits: NDArray[np.float64], answers: NDArray[np.int64]) -> float:
    p = option_distribution(logits / fit_temperature(logits[:, 0], answers).value)
    return float(ras.robustness_alignment_score(p[:, :1], p[:, 1:], answers).mean())


def print_intervals(logits: NDArray[np.float64], answers: NDArray[np.int64], resamples: int, runs: int) -> None:
    draw = np.random.default_rng(0)
    print(
        "\n| n | coverage: held / first order / fitted again | width over that of fitted again |\n| --- | --- | --- |"
    )
    for size in SIZES:
        covered, width, number = np.zeros(3), np.zeros(3), 0
        for of_model in logits:
            truth = refitted(of_model, answers)
            for _ in range(runs):
                drawn = draw.integers(0, len(answers), size)
                scores, right = of_model[drawn], answers[drawn]
                run = run_of(scores, right)
                terms = TEMPERED.terms(PairValues.of_run(run), whole_run(run))
                means = terms[:, 0]
                found = []
                for _ in range(resamples):
                    again = draw.integers(0, size, size)
                    first_order = TEMPERED.metrics(terms[again].sum(axis=0))[0]
                    found.append((means[again].mean(), first_order, refitted(scores[again], right[again])))
                low, high = np.quantile(np.array(found), [0.025, 0.975], axis=0)
                covered += (low <= truth) & (truth <= high)
                width += high - low
                number += 1
        shares = " / ".join(f"{share:.3f}" for share in covered / number)
        print(f"| {size} | {shares} | {' / '.join(f'{ratio:.3f}' for ratio in width / width[2])} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=FIXTURE)
    parser.add_argument("--resamples", type=int, default=300)
    parser.add_argument("--runs", type=int, default=2, help="of each model and size")
    arguments = parser.parse_args()
    with np.load(arguments.data / "logits.npz") as real:
        logits, answers = real["logits"].astype(float), real["answer"].astype(np.int64)
    print_readings(logits, answers)
    print_scale(logits[0], answers)
    print_intervals(logits, answers, arguments.resamples, arguments.runs)


if __name__ == "__main__":
    main()
