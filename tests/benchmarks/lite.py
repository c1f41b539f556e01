"""Compare precision and time of the design `lite` with all 96 conditions.

    python tests/benchmarks/lite.py [RUN ...] [--designs 300] [--wall SAMPLES]

Over the trial runs and every RUN of all conditions that is named: the error of the metrics of many designs (the same
design, keyed with other ids) against the run's own, the width of their 95 % intervals beside the full run's, and how
often those hold the value of the full run. `--wall` scores so many samples of the bundled set with the bundled model
under both designs and compares the time that the model takes. Exits with 1 if RAS has an error (root mean square)
above 0.008, an interval more than 1.10 times as wide, or the model is not 4.5 times as fast.
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import replace
from math import sqrt
from pathlib import Path
from typing import NamedTuple

import numpy as np

from benchc_metrics.designs import LITE_CONDITIONS, asked_by_design, conditions_per_sample
from benchc_metrics.metrics.pairs import PairValues
from benchc_metrics.metrics.sums import MetricSums
from benchc_metrics.metrics.views import View, corruption_views
from benchc_metrics.runs import Run, part_of_run, read_run
from benchc_metrics.statistics.estimates import estimate
from benchc_metrics.statistics.planning import spread_of_run

TRIAL_RUNS = Path(__file__).parents[1] / "fixtures" / "trial_runs"
DESIGNS = ("lite", "lite-10")
METRICS = ("ras", "acc_corrupted", "ras_destructive", "ras_corrective", "ece_corrupted")
RESAMPLES = 2_000
WIDEST, LARGEST_ERROR, LEAST_SPEED = 1.10, 0.008, 4.5


class Measured(NamedTuple):
    """A metric of many designs against all conditions."""

    error: float
    width: float
    held: float


def keyed(run: Run, design: str, key: int) -> Run:
    """Ask a run by a design as if its samples had other ids."""
    ids = [f"{key}/{sample}" for sample in run.sample_ids]
    return part_of_run(run, asked_by_design(design, ids), design)


def measured(run: Run, design: str, designs: int) -> dict[str, Measured]:
    """Measure the metrics of a design; widths over ten of the designs, errors over all."""
    full = estimate(run, resamples=RESAMPLES)
    values = {metric: np.empty(designs) for metric in METRICS}
    ratios: dict[str, list[float]] = {metric: [] for metric in METRICS}
    held: dict[str, list[bool]] = {metric: [] for metric in METRICS}
    for key in range(designs):
        part = PairValues.of_run(keyed(run, design, key))
        if key < 10:
            found = estimate(part, resamples=RESAMPLES)
            for metric in METRICS:
                one, all_of_it = found.of(metric), full.of(metric)
                ratios[metric].append((one.high - one.low) / (all_of_it.high - all_of_it.low))
                held[metric].append(one.low <= all_of_it.value <= one.high)
        sums = MetricSums.of_run(part.run)
        row = sums.metrics(sums.viewed_terms(part.all_pairs()).sum(axis=0))
        for metric in METRICS:
            values[metric][key] = row[sums.names.index(metric)]
    return {
        metric: Measured(
            float(np.sqrt(np.mean((values[metric] - full.of(metric).value) ** 2))),
            float(np.mean(ratios[metric])),
            float(np.mean(held[metric])),
        )
        for metric in METRICS
    }


def width_of_corruptions(run: Run) -> float:
    """Median width of the interval of RAS of one corruption."""
    views: tuple[View, ...] = corruption_views(run)
    found = estimate(run, views, resamples=RESAMPLES)
    return float(np.median([found.of("ras", view.name).high - found.of("ras", view.name).low for view in views]))


def seconds_of_model(samples: int) -> dict[str, float]:
    """Score samples of the bundled set under both designs with the bundled model; only the model's time counts."""
    import torch

    from benchc_metrics.benchmark import CONDITIONS, LETTERS, Condition
    from benchc_metrics.designs import lite_conditions
    from benchc_tasks.datasets import load_dataset
    from benchc_tasks.models.engines import EngineSettings
    from benchc_tasks.models.questions import Question
    from benchc_tasks.stacks.lmms_eval.backends import build_scorer
    from benchc_tasks.stacks.pictures import ConditionedPicture
    from benchc_tasks.stacks.prompting import Prompt

    torch.set_num_threads(1)
    dataset = load_dataset(None)
    scorer = build_scorer(EngineSettings(None, None, {}, torch.device("cpu"), None, 1, None, None, None))
    prompt = Prompt.for_model({"default": {}}, None)
    every = tuple(map(Condition.parse, CONDITIONS))
    seconds = {"full": 0.0, "lite": 0.0}
    for place in range(samples):
        sample = dataset[place]
        text = prompt.text(sample["question"], sample["options"])
        letters = tuple(LETTERS[: len(sample["options"])])
        for design, conditions in (("full", every), ("lite", lite_conditions(sample["id"]))):
            pictures = [
                tuple(ConditionedPicture(dataset.fingerprint, sample["id"], condition)(sample))
                for condition in conditions
            ]
            prepared = [scorer.prepare([Question("", text, letters, images)]) for images in pictures]
            if not place and design == "full":
                # The first passes also try the model out.
                scorer.score(prepared[0])
            began = time.perf_counter()
            for one in prepared:
                scorer.score(one)
            seconds[design] += time.perf_counter() - began
    return seconds


def main() -> int:
    """Print all measurements."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", nargs="*", type=Path)
    parser.add_argument("--designs", type=int, default=300, help="0 leaves the errors out")
    parser.add_argument("--wall", type=int, default=0, metavar="SAMPLES")
    arguments = parser.parse_args()
    places = [*sorted(place for place in TRIAL_RUNS.iterdir() if place.is_dir()), *arguments.runs]
    fails = False
    print("| run | design | passes | " + " | ".join(f"{metric}: RMSE, width, held" for metric in METRICS) + " |")
    for place in places if arguments.designs else ():
        run = replace(read_run(place), control=None)
        for design in DESIGNS:
            found = measured(run, design, arguments.designs)
            numbers = [f"{each.error:.4f}, {each.width:.2f} x, {each.held:.2f}" for each in found.values()]
            print(
                f"| {place.name} | {design} | {1 + conditions_per_sample(design)} | {' | '.join(numbers)} |", flush=True
            )
            if design == "lite":
                fails |= found["ras"].error > LARGEST_ERROR or found["ras"].width > WIDEST
        ratio = width_of_corruptions(keyed(run, "lite", 0)) / width_of_corruptions(run)
        error = sqrt(spread_of_run(run).variance(LITE_CONDITIONS) / 100)
        print(f"{place.name}: RAS of 100 samples under lite has a standard error of {error:.4f}")
        print(f"{place.name}: RAS of a single corruption has an interval {ratio:.2f} x as wide under lite", flush=True)
    if arguments.wall:
        seconds = seconds_of_model(arguments.wall)
        speed = seconds["full"] / seconds["lite"]
        print(
            f"model's time for {arguments.wall} samples: full {seconds['full']:.1f} s, lite {seconds['lite']:.1f} s, "
            f"{speed:.2f} x"
        )
        fails |= speed < LEAST_SPEED
    return int(fails)


if __name__ == "__main__":
    sys.exit(main())
