"""Compare RAS from votes with RAS from log-likelihoods on the published logits of 26 models.

python tests/benchmarks/votes.py [LOGITS.npz] [--draws 4]

For each number of votes: bias / RMSE / Kendall tau over the models, of the plain shares and without the bias, and
how often the 95 % interval of a model holds the true value of the same questions. Rotations of the options stand for
conditions. LOGITS.npz has `logits` (models, questions, rotations, options) and `answer`; by default the tests' fixture.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import numpy as np
from scipy.stats import kendalltau

sys.path.insert(0, str(Path(__file__).parents[1]))

from vote_runs import LOGITS, real_distributions, run_of_votes, true_ras

from benchc_metrics.statistics.estimates import estimate

VOTES = (8, 16, 32, 64)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("logits", nargs="?", type=Path, default=LOGITS)
    parser.add_argument("--draws", type=int, default=4)
    parser.add_argument("--resamples", type=int, default=1000)
    settings = parser.parse_args()
    distributions, answers = real_distributions(settings.logits)
    print(f"{len(distributions)} models, {len(answers)} questions, {settings.draws} draws")
    print("| votes | plain shares | without bias | covered | seconds a model |")
    print("| --- | --- | --- | --- | --- |")
    for number in VOTES:
        print(f"| {number} |", measured(distributions, answers, number, settings), flush=True)


def measured(distributions: np.ndarray, answers: np.ndarray, number: int, settings: argparse.Namespace) -> str:
    """One row."""
    errors, taus, held, seconds = [], [], [], 0.0
    truth = [true_ras(each, answers) for each in distributions]
    for draw in range(settings.draws):
        random = np.random.default_rng([draw, number])
        plain, found = [], []
        for model, true in zip(distributions, truth, strict=True):
            counts = random.multinomial(number, model)
            plain.append(true_ras(counts / number, answers))
            started = time.process_time()
            estimated = estimate(run_of_votes(counts, answers), resamples=settings.resamples).of("ras_votes")
            seconds += time.process_time() - started
            found.append(estimated.value)
            held.append(estimated.low <= true <= estimated.high)
        errors.append([np.subtract(plain, truth), np.subtract(found, truth)])
        taus.append([kendalltau(each, truth).statistic for each in (plain, found)])
    parts = [
        f"{of.mean():+.4f} / {np.sqrt((of**2).mean()):.4f} / {tau:.3f}"
        for of, tau in zip(np.moveaxis(np.array(errors), 1, 0), np.mean(taus, axis=0), strict=True)
    ]
    return f"{parts[0]} | {parts[1]} | {np.mean(held):.3f} | {seconds / len(held):.2f} |"


if __name__ == "__main__":
    main()
