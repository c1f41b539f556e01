"""Runs are read, estimated, compared, submitted and reported as version 0.1 did, to 1e-12.

Version 0.1 read RAS as `confidence`, and so do these tests.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from golden_files import TOLERANCE, golden

from benchc_metrics.findings.analysis import Contest, RunAnalysis, analyse
from benchc_metrics.leaderboard.schema import BootstrapFacts
from benchc_metrics.leaderboard.submission import metrics_of_run
from benchc_metrics.metrics.ras import Reading
from benchc_metrics.metrics.registry import METRICS as REGISTRY
from benchc_metrics.metrics.registry import Metric
from benchc_metrics.metrics.views import category_views, corruption_views, severity_views, whole_run
from benchc_metrics.runs import Run, read_run
from benchc_metrics.statistics.estimates import compare, estimate

TRIAL_RUNS = Path(__file__).parents[1] / "fixtures" / "trial_runs"
BEFORE = golden("trial_runs")
NAMES = sorted(BEFORE["runs"])
METRICS = BEFORE["metrics"]
RESAMPLES = BEFORE["resamples"]
READING: Reading = "confidence"
BOOTSTRAP = BootstrapFacts(resamples=RESAMPLES, seed=0, level=0.95)


def same(found: Any, before: Any) -> None:
    """Hold numbers against those of before; a null before is a nan today."""
    np.testing.assert_allclose(
        np.array(found, dtype=float), np.array(before, dtype=float), rtol=0, atol=TOLERANCE, equal_nan=True
    )


def columns() -> list[int]:
    return [list(REGISTRY).index(name) for name in METRICS]


@pytest.fixture(scope="module", autouse=True)
def plain_intervals() -> Iterator[None]:
    """Version 0.1 did not widen intervals of rates, of few samples and of calibration errors; the rest is held."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Metric, "interval", property(lambda self: "bca" if self.computed.noise is None else "basic"))
        yield


@pytest.fixture(scope="module")
def runs() -> dict[str, Run]:
    return {name: read_run(TRIAL_RUNS / name) for name in NAMES}


@pytest.fixture(scope="module")
def analyses(runs: dict[str, Run]) -> dict[str, RunAnalysis]:
    return {name: analyse(run, READING) for name, run in runs.items()}


@pytest.mark.parametrize("name", NAMES)
def test_estimates(runs: dict[str, Run], name: str) -> None:
    run, before = runs[name], BEFORE["runs"][name]
    views = (whole_run(run), *corruption_views(run), *severity_views(run), *category_views(run))
    assert [view.name for view in views] == before["views"]
    found = estimate(run, views, reading=READING, resamples=RESAMPLES).intervals
    same(found.estimate[:, columns()], before["values"])
    same(found.low[0, columns()], before["low"])
    same(found.high[0, columns()], before["high"])


@pytest.mark.parametrize("name", NAMES)
def test_numbers_of_a_submission(runs: dict[str, Run], name: str) -> None:
    metrics, table = metrics_of_run(runs[name], BOOTSTRAP, READING)
    before = BEFORE["runs"][name]
    for metric, numbers in before["submission"].items():
        same((metrics[metric].value, metrics[metric].low, metrics[metric].high), numbers)
    assert [[cell.corruption, cell.severity] for cell in table] == [row[:2] for row in before["submission_table"]]
    for cell, (_, _, numbers) in zip(table, before["submission_table"], strict=True):
        for metric, expected in numbers.items():
            same((cell.metrics[metric].value, cell.metrics[metric].low, cell.metrics[metric].high), expected)


@pytest.mark.parametrize("name", NAMES)
def test_numbers_of_a_report(analyses: dict[str, RunAnalysis], name: str) -> None:
    analysis, before = analyses[name], BEFORE["runs"][name]
    for metric, intervals in before["report_cells"].items():
        for found, expected in zip(analysis.cells[metric], intervals, strict=True):
            same(found, expected)
    for which, bins in (("clean", analysis.clean_bins), ("corrupted", analysis.corrupted_bins)):
        for field in fields(bins):
            same(getattr(bins, field.name), before["report_bins"][which][field.name])


@pytest.mark.parametrize("pair", sorted(BEFORE["comparisons"]))
def test_comparisons(runs: dict[str, Run], pair: str) -> None:
    first, second = (runs[name] for name in pair.split(" - "))
    before = BEFORE["comparisons"][pair]
    views = (whole_run(first), *corruption_views(first))
    found = compare(first, second, views, reading=READING, resamples=RESAMPLES)
    assert ([view.name for view in found.views], list(found.notes)) == (before["views"], before["notes"])
    for name in found.comparison._fields:
        same(getattr(found.comparison, name)[:, columns()], before[name])
    same(found.p_adjusted[:, columns()], before["p_adjusted"])


def test_winners(analyses: dict[str, RunAnalysis]) -> None:
    winners = Contest(list(analyses.values())).winners()
    assert {metric: winners[metric] for metric in BEFORE["winners"]} == BEFORE["winners"]
