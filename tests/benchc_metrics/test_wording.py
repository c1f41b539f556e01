"""Numbers as people read them."""

from __future__ import annotations

from math import inf, nan

import pytest

from benchc_metrics.statistics.estimates import Estimate
from benchc_metrics.wording import MISSING, breakable, joined, number, percent, signed, with_interval


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (0.5, "0.500"),
        (-0.25, "−0.250"),
        (-0.0001, "0.000"),
        (0.0, "0.000"),
        (12.34567, "12.346"),
        (nan, MISSING),
        (inf, MISSING),
    ],
)
def test_number(value: float, written: str) -> None:
    assert number(value) == written


@pytest.mark.parametrize(
    ("value", "written"), [(0.5, "+0.500"), (-0.25, "−0.250"), (0.0001, "0.000"), (-0.0001, "0.000"), (nan, MISSING)]
)
def test_signed(value: float, written: str) -> None:
    assert signed(value) == written


def test_percent() -> None:
    assert percent(0.125) == "12.5\N{NO-BREAK SPACE}%"
    assert percent(-0.004, 0) == "0\N{NO-BREAK SPACE}%"
    assert percent(nan) == MISSING


def test_with_interval() -> None:
    assert with_interval(Estimate(-0.1, -0.25, 0.05)) == "−0.100 [−0.250, 0.050]"
    assert with_interval(Estimate(nan, nan, nan)) == MISSING


@pytest.mark.parametrize(
    ("words", "sentence"),
    [([], ""), (["fog"], "fog"), (["fog", "snow"], "fog and snow"), (["fog", "snow", "frost"], "fog, snow and frost")],
)
def test_joined(words: list[str], sentence: str) -> None:
    assert joined(words) == sentence


@pytest.mark.parametrize("name", ["org/model-7b_v2", "", "plain", "/", "a//b--c", "ends/"])
def test_breakable_loses_nothing(name: str) -> None:
    assert "".join(breakable(name)) == name


def test_breakable_cuts_behind_slashes_hyphens_and_underscores() -> None:
    assert breakable("org/model-7b_v2") == ["org/", "model-", "7b_", "v2"]
