"""One temperature a run: the smallest loss, and metrics that the scale of log-likelihoods does not change."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import scipy.optimize
import scipy.special
from hypothesis import given, settings
from hypothesis import strategies as st
from run_folders import made_run

from benchc_metrics.findings.analysis import Contest, analyse
from benchc_metrics.metrics.ras import READINGS
from benchc_metrics.metrics.sums import metrics_of_run
from benchc_metrics.responses.tempering import FLATTEST, SHARPEST, fit_temperature, log_temperature_step, nll_slopes
from benchc_metrics.runs import Run, run_of_log_likelihoods
from benchc_metrics.statistics.estimates import estimate

REAL = Path(__file__).parents[2] / "fixtures" / "mmbench_logits" / "logits.npz"
FACTORS = (0.01, 0.03, 0.3, 3, 30, 100)


def scaled(run: Run, factor: float) -> Run:
    """The run of a forger who multiplies all log-likelihoods."""
    return replace(run, clean=run.clean * factor, corrupted=run.corrupted * factor)


def real_run(model: int, samples: slice = slice(None)) -> Run:
    """Option rotations of MMBench: the first is clean."""
    with np.load(REAL) as real:
        logits, answer = real["logits"][model, samples].astype(float), real["answer"][samples].astype(int)
    return run_of_log_likelihoods(logits, answer, name=f"model {model}")


def test_temperature_is_that_of_the_smallest_loss() -> None:
    run = made_run(200, seed=1)

    def loss(log_temperature: float) -> float:
        logits = scipy.special.log_softmax(run.clean / np.exp(log_temperature), axis=-1)
        return -float(logits[np.arange(200), run.answers].mean())

    found = scipy.optimize.minimize_scalar(loss, bounds=(-4, 4), method="bounded", options={"xatol": 1e-10})
    assert run.temperature.bound is None
    assert np.log(run.temperature.value) == pytest.approx(found.x, abs=1e-6)


def test_slopes_are_the_derivatives_of_each_loss() -> None:
    run = made_run(30, seed=2)
    clean = run.clean.copy()
    clean[4] = np.nan
    temperature = fit_temperature(clean, run.answers)

    def losses(log_temperature: float) -> np.ndarray:
        logits = scipy.special.log_softmax(clean / np.exp(log_temperature), axis=-1)
        return np.nan_to_num(-logits[np.arange(30), run.answers])

    slope, curvature = nll_slopes(clean, run.answers, temperature)
    at, step = np.log(temperature.value), 1e-4
    above, here, below = losses(at + step), losses(at), losses(at - step)
    np.testing.assert_allclose(slope, (above - below) / (2 * step), atol=1e-6)
    np.testing.assert_allclose(curvature, (above - 2 * here + below) / step**2, atol=1e-5)
    assert slope.sum() == pytest.approx(0, abs=1e-9)


@settings(max_examples=25)
@given(st.floats(-2, 2), st.integers(0, 25), st.sampled_from(list(READINGS)))
def test_tempered_ras_does_not_change_when_all_log_likelihoods_are_multiplied(
    exponent: float, model: int, reading: str
) -> None:
    run, factor = real_run(model, slice(60)), 10.0**exponent
    before, after = metrics_of_run(run, reading), metrics_of_run(scaled(run, factor), reading)
    assert after["ras_tempered"] == pytest.approx(before["ras_tempered"], abs=1e-6)
    assert after["temperature"] == pytest.approx(factor * before["temperature"], rel=1e-6)


@pytest.mark.parametrize("factor", [0.01, 100])
def test_raw_ras_does_change(factor: float) -> None:
    run = real_run(0)
    assert abs(metrics_of_run(scaled(run, factor))["ras"] - metrics_of_run(run)["ras"]) > 0.02


def test_the_interval_does_not_change_either() -> None:
    run = made_run(60, seed=3, corruptions=("fog", "snow"))
    before, *others = (estimate(scaled(run, factor), resamples=300).of("ras_tempered") for factor in (1, *FACTORS))
    for after in others:
        assert after == pytest.approx(before, abs=1e-6)


def test_bounds_scale_with_the_log_likelihoods() -> None:
    answers = np.arange(40) % 4
    right = np.where(np.arange(4) == answers[:, np.newaxis], 0.0, -2.0)
    wrong = np.where(np.arange(4) == answers[:, np.newaxis], -2.0, 0.0) - np.arange(4) * 0.1
    for factor in (1.0, *FACTORS):
        sharpest, flattest = (fit_temperature(scores * factor, answers) for scores in (right, wrong))
        assert (sharpest.bound, flattest.bound) == ("sharpest", "flattest")
        assert sharpest.value == pytest.approx(SHARPEST * 2 * factor)
        behind = np.sort(-(wrong - wrong.max(axis=1, keepdims=True))[wrong < wrong.max(axis=1, keepdims=True)])
        assert flattest.value == pytest.approx(FLATTEST * np.median(behind) * factor)
        assert not nll_slopes(right * factor, answers, sharpest)[0].any()


def test_where_no_temperature_changes_anything_it_is_1() -> None:
    certain = np.where(np.eye(3) == 1, 0.0, -np.inf)
    assert fit_temperature(certain, [0, 1, 2]) == (1.0, None)
    assert fit_temperature(certain, [1, 2, 0]) == (1.0, None)
    assert fit_temperature(np.full((3, 4), -2.0), [0, 1, 2]) == (1.0, None)


def test_without_a_valid_clean_answer_there_is_none() -> None:
    assert np.isnan(fit_temperature(np.full((3, 4), np.nan), [0, 1, 2]).value)
    run = made_run(10, corruptions=("fog",))
    found = metrics_of_run(replace(run, clean=np.full_like(run.clean, np.nan)))
    assert np.isnan(found["ras_tempered"])
    assert np.isnan(found["temperature"])


def test_a_step_has_a_limit_and_needs_something_to_go_by() -> None:
    steps = log_temperature_step(np.array([0.0, 1.0, -9.0, 1.0]), np.array([0.0, 4.0, 1.0, -2.0]))
    assert steps.tolist() == [0.0, -0.25, 1.0, 0.0]


def test_a_bound_that_is_hit_is_said() -> None:
    run = made_run(60, seed=4, corruptions=("fog",))
    assert not run.temperature.note
    least = np.argmin(np.where(np.isfinite(run.clean), run.clean, np.inf), axis=1)
    (caution,) = (caution for caution in replace(run, answers=least).cautions if caution.name == "temperature")
    assert "upper bound" in caution.sentence
    best = replace(run, answers=run.clean.argmax(axis=1))
    assert "lower bound" in best.temperature.note
    assert "temperature" not in {caution.name for caution in best.cautions}


def test_six_forgers_keep_their_rank() -> None:
    models = [
        made_run(80, seed=5, noise=noise, corruptions=("fog", "snow"), model=f"lab/{noise}") for noise in (0.1, 0.8)
    ]
    honest = made_run(80, seed=5, noise=0.4, corruptions=("fog", "snow"), model="lab/honest")
    fakes = [replace(scaled(honest, factor), name=f"lab/times {factor}") for factor in FACTORS]
    contest = Contest([analyse(run) for run in (*models, honest, *fakes)])
    values = [entrant.headline("ras_tempered").value for entrant in contest.entrants]
    assert values[0] > values[2] > values[1]
    assert values[3:] == pytest.approx([values[2]] * len(fakes), abs=1e-6)
    assert contest.ranking("ras_tempered")[0] == 0
    assert contest.ranking("ras_tempered")[-1] == 1
    # By raw RAS the flattest forger would be first.
    assert contest.ranking("ras")[0] == 3
    assert contest.winner("ras_tempered") == 0
