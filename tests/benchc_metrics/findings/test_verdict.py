"""The verdict of `benchc compare`: what it claims, and when it claims nothing."""

from __future__ import annotations

import pytest
from planted_runs import guessing
from run_folders import made_run, without_distributions

from benchc_metrics.findings.verdict import is_shown, ranking_metric, verdict
from benchc_metrics.metrics.views import corruption_views
from benchc_metrics.statistics.estimates import Difference, compare

CORRUPTIONS = ("snow", "fog")


def verdict_of(first, second):
    overall = compare(first, second, resamples=200)
    by_corruption = compare(first, second, corruption_views(first), resamples=200)
    return overall, verdict(overall, by_corruption)


def test_a_clear_difference_names_the_better_model_wherever_it_stands():
    steady, shaky = (made_run(30, corruptions=CORRUPTIONS, noise=n, model=f"lab/{n}") for n in (0.2, 0.8))
    for runs in ((steady, shaky), (shaky, steady)):
        overall, (first, second) = verdict_of(*runs)
        assert first.startswith("lab/0.2 is more robust than lab/0.8 by ras_tempered: A - B is ")
        assert is_shown(overall.of("ras_tempered"))
        assert "under 2 of 2 corruptions" in second


def test_a_run_and_itself_show_no_difference():
    run = made_run(30, corruptions=CORRUPTIONS, noise=0.5, model="lab/a")
    _, (first, second) = verdict_of(run, run)
    assert first.startswith("No difference is shown between lab/a and lab/a in ras_tempered")
    assert second.startswith("Under corruption their accuracy may be the same (0.0 points, p = 1.0000)")
    assert second.endswith("ras_tempered differs under 0 of 2 corruptions (Holm's correction).")


def test_generated_letters_are_judged_by_accuracy():
    runs = [without_distributions(made_run(30, corruptions=CORRUPTIONS, noise=n, model=f"lab/{n}")) for n in (0.1, 3.0)]
    overall, (first, _) = verdict_of(*runs)
    assert ranking_metric(overall) == "acc_corrupted"
    assert "acc_corrupted" in first


def test_a_model_that_only_guesses_is_not_called_robust():
    seeing = made_run(90, seed=1, corruptions=CORRUPTIONS, widths=(3, 3), noise=1.0)
    overall, (first, second) = verdict_of(seeing, guessing(seeing))
    # Shown to be higher, and still not said.
    assert overall.of("ras_tempered").value < 0
    assert is_shown(overall.of("ras_tempered"))
    assert first.startswith("lab/guessing cannot be told from a model that ignores the picture")
    assert "more robust" not in first
    assert "more questions right than lab/guessing" in second


@pytest.mark.parametrize(
    ("low", "high", "p", "shown"),
    [(0.1, 0.3, 0.01, True), (0.1, 0.3, 0.2, False), (-0.1, 0.3, 0.01, False), (-0.3, -0.1, 0.05, True)],
)
def test_a_difference_is_shown_only_where_interval_and_p_agree(low, high, p, shown):
    assert is_shown(Difference(0.2, low, high, p, p)) is shown
