"""How many samples and which design reach a width, held against intervals that were really computed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from run_folders import lite, made_run, without_distributions

from benchc_metrics.designs import asked_by_design
from benchc_metrics.metrics.ras import READINGS
from benchc_metrics.runs import Run, part_of_run, read_run
from benchc_metrics.statistics.estimates import estimate
from benchc_metrics.statistics.planning import PLANNED_DESIGNS, TRIAL_SPREADS, Spread, spread_of_run

TRIAL_RUNS = Path(__file__).parents[2] / "fixtures" / "trial_runs"


@pytest.fixture(scope="module")
def runs() -> dict[str, Run]:
    return {name: read_run(TRIAL_RUNS / name) for name in TRIAL_SPREADS["brier"]}


def repeated(run: Run, times: int) -> Run:
    """A run of more samples that differ as those of the run do; each copy has an id, and so conditions, of its own."""
    return replace(
        run,
        sample_ids=tuple(f"{copy}/{sample}" for copy in range(times) for sample in run.sample_ids),
        sources=run.sources * times,
        categories=run.categories * times,
        control=None,
        **{
            name: np.concatenate([getattr(run, name)] * times)
            for name in ("answers", "option_counts", "clean", "corrupted", "asked")
        },
    )


def test_the_spreads_of_the_trial_runs_are_theirs(runs):
    for reading in READINGS:
        assert TRIAL_SPREADS[reading].keys() == runs.keys()
        for name in ("start", "plain"):
            np.testing.assert_allclose(spread_of_run(runs[name], reading), TRIAL_SPREADS[reading][name], atol=6e-6)


@pytest.mark.parametrize("design", PLANNED_DESIGNS)
def test_the_planned_width_is_that_of_the_bootstrap(runs, design):
    for name in ("noise-augmented", "start"):
        run = repeated(runs[name], 4)
        asked = part_of_run(run, asked_by_design(design, run.sample_ids), design)
        found = estimate(asked, resamples=1000).of("ras")
        planned = TRIAL_SPREADS["brier"][name].width(len(run.sample_ids), design)
        assert planned == pytest.approx(found.high - found.low, rel=0.1)


def test_the_first_samples_of_a_lite_run_are_enough_to_plan_from(runs):
    run = runs["plain"]
    whole, part = spread_of_run(run), spread_of_run(lite(run))
    assert part.width(500, "lite") == pytest.approx(whole.width(500, "lite"), rel=0.1)


def test_as_many_samples_as_are_said_reach_the_width():
    spread = Spread(0.01, 0.04)
    for design in PLANNED_DESIGNS:
        number = spread.samples(0.02, design)
        assert spread.width(number, design) <= 0.02 < spread.width(number - 1, design)
    assert spread.samples(10.0, "lite") == 8


@pytest.mark.parametrize(
    ("run", "fault"),
    [
        (made_run(5), "too few to plan from: evaluate 8 samples or more with the task benchc-lite or benchc"),
        (lite(made_run(20), "lite-5"), "too few to plan from"),
        (made_run(20, corruptions=("fog",)), "too few to plan from"),
        (without_distributions(made_run(20)), "has no option probabilities, which RAS needs"),
    ],
)
def test_a_run_that_says_too_little_is_refused(run, fault):
    with pytest.raises(ValueError, match=fault):
        spread_of_run(run)
