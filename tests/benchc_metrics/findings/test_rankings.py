"""Ranks under each reading are those of the runs' metrics, with Kendall's tau to the page's own ranking."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from run_folders import made_run
from scipy.stats import kendalltau

from benchc_metrics.findings.analysis import RunAnalysis, analyse
from benchc_metrics.findings.rankings import rankings
from benchc_metrics.metrics.ras import READINGS
from benchc_metrics.metrics.sums import metrics_of_run


@pytest.fixture(scope="module")
def analyses() -> list[RunAnalysis]:
    runs = [made_run(40, seed=6, noise=noise, corruptions=("fog",), model=f"lab/{noise}") for noise in (0.4, 0.1, 0.8)]
    corrupted = runs[0].corrupted.copy()
    corrupted[2, 0, 1] = np.nan
    flat = replace(runs[2], clean=runs[2].clean * 0.01, corrupted=runs[2].corrupted * 0.01)
    return [analyse(run) for run in (replace(runs[0], corrupted=corrupted), runs[1], flat)]


def test_every_reading_raw_and_tempered(analyses: list[RunAnalysis]) -> None:
    found = rankings(analyses)
    assert [(each.reading, each.metric) for each in found] == [
        *((reading, "ras_tempered") for reading in READINGS),
        *((reading, "ras") for reading in READINGS),
    ]
    for each in found:
        expected = [metrics_of_run(analysis.run, each.reading)[each.metric] for analysis in analyses]
        assert each.values.tolist() == pytest.approx(expected, abs=1e-12)
        assert each.ranks == tuple(1 + sum(other > value for other in expected) for value in expected)
        assert each.tau == pytest.approx(kendalltau(expected, found[0].values).statistic)


def test_a_flat_model_is_first_by_raw_ras_and_last_by_tempered(analyses: list[RunAnalysis]) -> None:
    of_column = {(each.reading, each.metric): each for each in rankings(analyses)}
    assert of_column["brier", "ras"].ranks == (3, 2, 1)
    assert of_column["brier", "ras_tempered"].ranks == (2, 1, 3)
    assert of_column["brier", "ras_tempered"].tau == 1


def test_one_model_has_no_ranking(analyses: list[RunAnalysis]) -> None:
    assert rankings(analyses[:1]) == []
