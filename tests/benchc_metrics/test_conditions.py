"""Lists of conditions, as records hold them."""

from __future__ import annotations

import pytest

from benchc_metrics.conditions import fault_of_conditions


def test_clean_and_corrupted_conditions_have_no_fault():
    assert fault_of_conditions(("clean", "fog@1", "fog@5")) is None


@pytest.mark.parametrize(
    ("conditions", "fault"),
    [
        ((), "conditions do not begin with 'clean'"),
        (("fog@1", "clean"), "conditions do not begin with 'clean'"),
        (("clean", "fog@1", "fog@1"), "a condition stands twice in conditions"),
        (("clean", "fog@6"), "condition 'fog@6' is neither 'clean' nor 'NAME@SEVERITY' with a severity of 1 to 5"),
    ],
)
def test_a_fault_is_a_sentence(conditions, fault):
    assert fault_of_conditions(conditions) == fault
