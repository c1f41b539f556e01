"""Runs to report on, the browser, and property tests that draw the same cases every time."""

from __future__ import annotations

import numpy as np
import pytest
from browser import browser, chromium  # noqa: F401 - fixtures
from hypothesis import settings
from PIL import Image
from run_folders import made_run

from benchc_metrics.benchmark import Condition
from benchc_metrics.findings.analysis import RunAnalysis, analyse
from benchc_metrics.report.document import render_report
from benchc_metrics.report.gallery import ShownSample, ShowSample
from benchc_metrics.runs import Run

# Not timed: machines that run the tests are shared.
settings.register_profile("benchc", deadline=None, derandomize=True, database=None)
settings.load_profile("benchc")


@pytest.fixture(scope="session")
def runs() -> list[Run]:
    """Three models over the same 60 samples, from steady to shaky."""
    base = made_run(60, seed=5, noise=0.1, model="lab/steady-7b")
    return [
        base,
        *(
            made_run(60, seed=5, noise=noise, model=name)
            for name, noise in (("lab/middling", 0.35), ("other/shaky", 0.8))
        ),
    ]


@pytest.fixture(scope="session")
def show(runs: list[Run]):
    """Show any sample of `runs` as a picture of stripes."""
    counts = dict(zip(runs[0].sample_ids, runs[0].option_counts.tolist(), strict=True))

    def shown(sample: str, condition: Condition) -> ShownSample:
        stripes = np.zeros((40, 60, 3), dtype=np.uint8)
        stripes[:, :: 1 + condition.severity] = 200
        options = [f"option {number}" for number in range(counts[sample])]
        return ShownSample(
            f"What is in {sample}?", options, Image.new("RGB", (60, 40), "teal"), Image.fromarray(stripes)
        )

    return shown


@pytest.fixture(scope="session")
def analyses(runs: list[Run]) -> list[RunAnalysis]:
    """The analyses of `runs`."""
    return [analyse(run) for run in runs]


@pytest.fixture(scope="session")
def page(runs: list[Run], show: ShowSample) -> str:
    """The report on `runs`."""
    return render_report(runs, show, about="Made for a test.")
