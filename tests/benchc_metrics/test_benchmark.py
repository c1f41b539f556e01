"""The names of the benchmark, and lists of conditions as records hold them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import benchc_metrics
from benchc_metrics.benchmark import (
    CONDITIONS,
    CORRUPTION_FAMILIES,
    FAMILIES,
    SEVERITIES,
    Condition,
    fault_of_conditions,
)


def test_clean_and_corrupted_conditions_have_no_fault():
    assert fault_of_conditions(("clean", "fog@1", "fog@5")) is None


@pytest.mark.parametrize(
    ("conditions", "fault"),
    [
        ((), "conditions do not begin with 'clean'"),
        (("fog@1", "clean"), "conditions do not begin with 'clean'"),
        (("clean", "fog@1", "fog@1"), "a condition occurs twice in conditions"),
        (("clean", "fog@6"), "condition 'fog@6' is neither 'clean' nor 'NAME@SEVERITY' with a severity of 1 to 5"),
    ],
)
def test_a_fault_is_a_sentence(conditions, fault):
    assert fault_of_conditions(conditions) == fault


def test_every_condition_is_named_once():
    assert len(CONDITIONS) == len(set(CONDITIONS)) == 1 + len(CORRUPTION_FAMILIES) * len(SEVERITIES) == 96
    assert [str(Condition.parse(text)) for text in CONDITIONS] == list(CONDITIONS)
    assert set(CORRUPTION_FAMILIES.values()) == set(FAMILIES)


def test_names_stand_in_no_other_module():
    package = Path(benchc_metrics.__file__).parents[1]
    spelled = re.compile(r"\"(?:jpeg_compression|elastic_transform)\"|ascii_uppercase|^SEVERITIES = ", re.MULTILINE)
    found = [
        file.relative_to(package).as_posix()
        for room in ("benchc_metrics", "benchc_tasks")
        for file in (package / room).rglob("*.py")
        if spelled.search(re.sub(r"__all__ = \[[^]]*\]", "", file.read_text(encoding="utf-8")))
    ]
    assert found == ["benchc_metrics/benchmark.py"]
