"""What is said of a run of few conditions, and its comparison with one of all."""

from __future__ import annotations

import re

import numpy as np
import pytest
from run_folders import lite, made_run, without_distributions

from benchc_metrics.designs import asked_by_design
from benchc_metrics.findings.designs import RESAMPLES, note_on_designs, note_on_run
from benchc_metrics.metrics.views import corruption_views
from benchc_metrics.report.document import render_report
from benchc_metrics.runs import part_of_run
from benchc_metrics.statistics.estimates import compare, estimate

RUN = made_run(40, seed=5, noise=0.1)
OTHER = made_run(40, seed=5, noise=0.4, model="lab/other")


def test_the_note_has_the_widths_of_the_run_itself():
    run = lite(OTHER)
    note = note_on_run(run)
    assert note is not None
    assert "good for RAS, accuracy, their parts, families and severities" in note
    whole = estimate(run, resamples=RESAMPLES)
    corruptions = estimate(run, corruption_views(run), resamples=RESAMPLES)
    widths = [found.high - found.low for found in (corruptions.of("ras", name) for name in run.corruptions)]
    for width in (
        whole.of("ras").high - whole.of("ras").low,
        float(np.median(widths)),
        whole.of("ece_corrupted").high - whole.of("ece_corrupted").low,
    ):
        assert f" {width:.3f} " in note


def test_a_full_run_has_no_note_and_letters_have_one_without_ras():
    assert note_on_run(RUN) is None
    note = note_on_run(lite(without_distributions(OTHER)))
    assert note is not None
    assert "RAS" not in note
    assert "ECE" not in note


def test_runs_of_two_designs_are_compared_over_what_both_have():
    mixed, paired = compare(RUN, lite(OTHER)), compare(lite(RUN), lite(OTHER))
    assert mixed.of("ras") == paired.of("ras")
    assert mixed.of("ras") != compare(RUN, OTHER).of("ras")
    assert mixed.notes == (
        "lab/model and lab/other were asked by different designs, full and lite: compared are the 760 pairs that both "
        "have.",
    )
    assert paired.notes == ()
    of_letters = compare(without_distributions(RUN), lite(without_distributions(OTHER)))
    assert of_letters.of("acc_corrupted") == mixed.of("acc_corrupted")


def test_runs_without_a_common_condition_are_not_compared():
    rest = part_of_run(OTHER, ~asked_by_design("lite", OTHER.sample_ids))
    with pytest.raises(ValueError, match="no sample was asked under one condition in both; evaluate the same tasks"):
        compare(lite(RUN), rest)


def test_a_report_says_the_designs():
    page = render_report([lite(RUN), OTHER])
    text = re.sub(r"\s+", " ", re.sub("<[^>]+>", " ", page))
    assert "full (96 of 96 conditions a sample) and lite (20 of 96 conditions a sample)" in text
    assert "lab/model: Design lite (20 of 96 conditions a sample): it is good for" in text
    assert "have different designs: lite (lab/model) and full (lab/other)" in text
    assert note_on_designs([OTHER, OTHER]) is None
