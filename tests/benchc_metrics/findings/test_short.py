"""The answer in short at the top of a report."""

from __future__ import annotations

import pytest
from run_folders import made_run, without_distributions

from benchc_metrics.findings.analysis import RunAnalysis, analyse
from benchc_metrics.findings.short import in_short
from benchc_metrics.wording import percent, with_interval


@pytest.fixture(scope="module")
def analysis() -> RunAnalysis:
    return analyse(made_run(30, corruptions=("fog", "snow", "pixelate", "contrast")))


def test_it_says_how_robust_and_where_it_breaks(analysis: RunAnalysis) -> None:
    (robust, how), (breaks, where) = in_short(analysis)
    assert (robust, breaks) == ("How robust is it?", "Where does it break?")
    assert percent(analysis.headline("acc_clean").value) in how
    assert with_interval(analysis.headline("ras")) in how
    assert "without the control it is not known" in how
    values = dict(zip(analysis.run.corruptions, analysis.corruptions.values("ras").tolist(), strict=True))
    worst = sorted(values, key=values.__getitem__)
    assert where.index(worst[0]) < where.index(worst[1]) < where.index(worst[2])
    assert worst[3] not in where
    assert "to severity 1 its accuracy goes from" in where


def test_letters_alone_say_accuracy(analysis: RunAnalysis) -> None:
    (_, how), (_, where) = in_short(analyse(without_distributions(analysis.run)))
    assert "RAS" not in how
    assert where.startswith("Its accuracy is lowest under")
