"""The answer in short at the top of a report."""

from __future__ import annotations

import numpy as np
import pytest
from run_folders import made_run, without_distributions

from benchc_metrics.findings.analysis import RunAnalysis, analyse
from benchc_metrics.findings.short import in_short
from benchc_metrics.wording import number, percent, with_interval

WHERE = "Where does it break?"


@pytest.fixture(scope="module")
def analysis() -> RunAnalysis:
    return analyse(made_run(30, corruptions=("fog", "snow", "pixelate", "contrast")))


def test_it_says_how_robust_and_where_it_breaks(analysis: RunAnalysis) -> None:
    (robust, how), (breaks, where), (fails, _) = in_short(analysis)
    assert (robust, breaks, fails) == ("How robust is it?", "Where does it break?", "How does it break?")
    assert percent(analysis.headline("acc_clean").value) in how
    assert with_interval(analysis.headline("ras")) in how
    assert "without the control it is not known" in how
    values = dict(zip(analysis.run.corruptions, analysis.corruptions.values("ras").tolist(), strict=True))
    worst = sorted(values, key=values.__getitem__)
    assert where.index(worst[0]) < where.index(worst[1]) < where.index(worst[2])
    assert worst[3] not in where
    assert "to severity 1 its accuracy goes from" in where


def test_letters_alone_say_accuracy(analysis: RunAnalysis) -> None:
    (_, how), (_, where), (_, fails) = in_short(analyse(without_distributions(analysis.run)))
    assert "RAS" not in how
    assert "no less sure" not in fails
    assert percent(analysis.headline("destroyed").value) in fails
    assert where.startswith("Its accuracy is lowest under")


def test_families_are_named_with_their_means_the_worst_first(analysis: RunAnalysis) -> None:
    where = dict(in_short(analysis))[WHERE]
    values = dict(zip(analysis.run.corruptions, analysis.corruptions.values("ras").tolist(), strict=True))
    means = {
        family: np.mean([values[name] for name in names])
        for family, names in (("weather", ("fog", "snow")), ("digital", ("pixelate", "contrast")))
    }
    first, second = sorted(means, key=means.__getitem__)
    assert f"{first} ({number(means[first], 2)}) and {second} ({number(means[second], 2)})" in where


def test_it_says_from_which_severity_accuracy_is_lower() -> None:
    analysis = analyse(made_run(200, noise=0.6, corruptions=("fog", "snow")))
    lows = [analysis.severities.of("acc_drop", f"severity {severity}").low for severity in analysis.run.severities]
    assert lows[-1] > 0
    first = max((place for place, low in enumerate(lows) if low <= 0), default=-1) + 2
    assert f"From severity {first} on the 95 % interval of its accuracy drop" in dict(in_short(analysis))[WHERE]
    calm = analyse(made_run(30, noise=0.0, corruptions=("fog", "snow")))
    assert "holds 0" in dict(in_short(calm))[WHERE]


def test_it_says_how_answers_go_wrong(analysis: RunAnalysis) -> None:
    how = dict(in_short(analysis))["How does it break?"]
    for metric in ("destroyed", "corrected", "erroneous_confidence", "hesitation"):
        assert percent(analysis.headline(metric).value) in how
