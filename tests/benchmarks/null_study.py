"""Count what reports claim where corruption has no effect, and how often they find effects of known size.

    python tests/benchmarks/null_study.py [--reports N] [--models 1,4,13] [--samples 150,849] [--reading brier]
    python tests/benchmarks/null_study.py --power [--reports N]
    python tests/benchmarks/null_study.py --trial [--reports N]

The answers are those of 26 published models on MMBench: all of `../shared/mmbench-logits` beside the checkout where
that folder exists, else the 200 questions of the tests. Questions are drawn with replacement, and each condition of a
sample is an independent copy: the model's mean answer over the orders of the options, and what an order of some other
question added to that.

Without an effect, all models of a report are copies of one model, so that no claim about any of them is true.
`--power` plants effects: a share of answers under corruption made wrong, made right, less sure, and so on.
`--trial` draws samples of the trial runs with replacement, and counts what reports on them claim.

The script also measures a version that has no budget of claims; run it from here on another checkout:
`PYTHONPATH=CHECKOUT python tests/benchmarks/null_study.py`.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np

sys.path.append(str(Path(__file__).resolve().parents[1]))

from planted_runs import (
    CORRUPTIONS,
    Answers,
    claims_about,
    correcting,
    destroying,
    flattening,
    hiding,
    ignoring,
    noisy_run,
    resampled,
)

from benchc_metrics.runs import Run, read_run

FOLDER = Path(__file__).resolve().parents[3] / "shared" / "mmbench-logits"
TRIAL_RUNS = Path(__file__).resolve().parents[1] / "fixtures" / "trial_runs"
NEEDS_RESAMPLES = find_spec("benchc_metrics.findings.budget") is None
RESAMPLES = 10_000 if NEEDS_RESAMPLES else 100
"""Claims of today's version rest on no resample."""

LEVELS = 0.12, 0.07
"""The largest allowed share of reports with any claim, and with one kind."""

Maker = Callable[[np.random.Generator], list[Run]]


def main() -> int:
    """Measure; the exit status is 1 where a null study passes a limit."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--reports", type=int, default=200)
    parser.add_argument("--models", default="1,4,13")
    parser.add_argument("--samples", default="150,849")
    parser.add_argument(
        "--noise", type=float, default=1.0, help="the noise of a copy, 1 for that of the options' orders"
    )
    parser.add_argument("--reading", default="brier")
    parser.add_argument("--power", action="store_true")
    parser.add_argument("--trial", action="store_true")
    chosen = parser.parse_args()
    answers = Answers.of_folder(FOLDER) if FOLDER.exists() else Answers.of_fixture()
    print(
        f"{answers.means.shape[1]} questions, {answers.means.shape[0]} models, {chosen.reports} reports a line",
        flush=True,
    )
    if chosen.trial:
        return trial(chosen)
    sizes = [int(each) for each in chosen.samples.split(",")]
    if chosen.power:
        for samples in sizes:
            power(answers, samples, chosen)
        return 0
    passed = [null(answers, int(models), samples, chosen) for samples in sizes for models in chosen.models.split(",")]
    return 0 if all(passed) else 1


def count(make: Maker, chosen: argparse.Namespace) -> tuple[Counter[str], float, float]:
    """In how many reports each title stands, and how many claims and seconds a report has."""
    reports: Counter[str] = Counter()
    claims, before = 0, time.process_time()
    for seed in range(chosen.reports):
        titles = claims_about(make(np.random.default_rng(seed)), resamples=RESAMPLES, reading=chosen.reading)
        reports.update(set(titles))
        reports["any"] += bool(titles)
        claims += len(titles)
    return reports, claims / chosen.reports, (time.process_time() - before) / chosen.reports


def told(reports: Counter[str], number: int) -> str:
    return ", ".join(f"{title} {times / number:.3f}" for title, times in sorted(reports.items()))


def null(answers: Answers, models: int, samples: int, chosen: argparse.Namespace) -> bool:
    """Reports on copies of one model without any effect."""

    def make(draw: np.random.Generator) -> list[Run]:
        model = int(draw.integers(len(answers.means)))
        questions = draw.integers(answers.means.shape[1], size=samples)
        return [
            noisy_run(answers, model, questions, draw, name=f"lab/copy-{number}", noise=chosen.noise)
            for number in range(models)
        ]

    reports, claims, seconds = count(make, chosen)
    print(
        f"no effect, {models} models, n = {samples}: {told(reports, chosen.reports)}; {claims:.2f} claims and "
        f"{seconds:.2f} s of processor a report",
        flush=True,
    )
    largest = max((times for title, times in reports.items() if title != "any"), default=0)
    return reports["any"] <= LEVELS[0] * chosen.reports and largest <= LEVELS[1] * chosen.reports


def power(answers: Answers, samples: int, chosen: argparse.Namespace) -> None:
    """Reports on copies with a planted effect."""
    fog = CORRUPTIONS.index("fog")
    effects = {
        "destroys {} of right answers": (destroying, (0.02, 0.05, 0.1)),
        "corrects {} of wrong answers": (correcting, (0.05, 0.1, 0.2)),
        "takes {} off the logits": (flattening, (0.05, 0.1, 0.2)),
        "corrects {} of wrong answers and halves certainty, mild": (hiding, (0.1, 0.2, 0.4)),
        "destroys {} of right answers under fog": (lambda size: destroying(size, [fog]), (0.05, 0.1, 0.2)),
    }
    for what, (plant, sizes) in effects.items():
        for size in sizes:
            change = plant(size)

            def make(draw: np.random.Generator, change=change) -> list[Run]:
                questions = draw.integers(answers.means.shape[1], size=samples)
                model = int(draw.integers(len(answers.means)))
                return [noisy_run(answers, model, questions, draw, noise=chosen.noise, plant=change)]

            reports, claims, _ = count(make, chosen)
            print(
                f"{what.format(size)}, n = {samples}: {told(reports, chosen.reports)}; {claims:.2f} claims", flush=True
            )
    for size in (0.02, 0.05, 0.1):

        def make_rivals(draw: np.random.Generator, share: float = size) -> list[Run]:
            questions = draw.integers(answers.means.shape[1], size=samples)
            model = int(draw.integers(len(answers.means)))
            plants = [None, *[destroying(share)] * 3]
            return [
                noisy_run(answers, model, questions, draw, name=f"lab/{place}", noise=chosen.noise, plant=plant)
                for place, plant in enumerate(plants)
            ]

        reports, claims, _ = count(make_rivals, chosen)
        print(
            f"one of four models destroys nothing, the others {size} of right answers, n = {samples}: "
            f"{told(reports, chosen.reports)}; {claims:.2f} claims",
            flush=True,
        )

    def make_ignoring(draw: np.random.Generator) -> list[Run]:
        questions = draw.integers(answers.means.shape[1], size=samples)
        run = noisy_run(answers, int(draw.integers(len(answers.means))), questions, draw, noise=chosen.noise)
        return [ignoring(run)]

    reports, claims, _ = count(make_ignoring, chosen)
    print(f"ignores the picture, n = {samples}: {told(reports, chosen.reports)}; {claims:.2f} claims", flush=True)


def trial(chosen: argparse.Namespace) -> int:
    """Reports on samples of the trial runs, drawn with replacement: each run alone, and all together."""
    runs = [read_run(folder) for folder in sorted(TRIAL_RUNS.iterdir()) if folder.is_dir()]
    samples = len(runs[0].sample_ids)
    for label, of_report in [*((run.name, [run]) for run in runs), ("all together", runs)]:

        def make(draw: np.random.Generator, of_report=of_report) -> list[Run]:
            drawn = draw.integers(samples, size=samples)
            return [resampled(run, drawn) for run in of_report]

        reports, claims, _ = count(make, chosen)
        print(f"{label}, n = {samples}: {told(reports, chosen.reports)}; {claims:.2f} claims", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
