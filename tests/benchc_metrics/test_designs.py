"""Which conditions each sample is asked: by its id alone, balanced, and each design within the next."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchc_metrics.benchmark import CONDITIONS, CORRUPTION_FAMILIES
from benchc_metrics.designs import (
    asked_by_design,
    conditions_per_sample,
    describe_design,
    lite_conditions,
    lite_design,
)


@given(st.text(min_size=1))
def test_a_sample_is_asked_clean_and_under_each_corruption_once(sample):
    conditions = lite_conditions(sample)
    assert str(conditions[0]) == "clean"
    assert [condition.corruption for condition in conditions[1:]] == list(CORRUPTION_FAMILIES)
    severities = Counter(condition.severity for condition in conditions[1:])
    assert sorted(severities.values()) == [3, 4, 4, 4, 4]


@given(st.text(min_size=1), st.integers(1, 94))
def test_a_smaller_design_is_a_part_of_a_larger_one(sample, number):
    smaller, larger = lite_conditions(sample, number), lite_conditions(sample, number + 1)
    assert len(smaller) == 1 + number
    assert set(smaller) < set(larger)


def test_the_largest_design_is_all_conditions_in_the_order_of_the_benchmark():
    assert tuple(map(str, lite_conditions("any", 95))) == CONDITIONS


def test_severities_are_balanced_over_the_samples():
    asked = asked_by_design("lite", [f"question {number}" for number in range(5000)])
    # 5 standard deviations of a share of 1 in 5 among 5,000.
    np.testing.assert_allclose(asked.mean(axis=0), 0.2, atol=5 * (0.2 * 0.8 / 5000) ** 0.5)
    np.testing.assert_array_equal(asked.sum(axis=(0, 2)), 5000)
    ten = asked_by_design("lite-10", [f"question {number}" for number in range(5000)])
    np.testing.assert_array_equal(ten.sum(axis=1), 2)
    np.testing.assert_allclose(ten.mean(axis=0), 10 / 95, atol=5 * (0.1 * 0.9 / 5000) ** 0.5)


def test_the_design_of_a_published_id_never_changes():
    """A change here makes runs of the two versions incomparable, and needs another name of the design."""
    assert [str(condition) for condition in lite_conditions("sample 1", 6)] == [
        "clean",
        "shot_noise@2",
        "impulse_noise@3",
        "glass_blur@4",
        "brightness@1",
        "elastic_transform@5",
        "speckle_noise@5",
    ]


def test_names_of_designs():
    for number in range(1, 96):
        assert conditions_per_sample(lite_design(number)) == number
    assert [lite_design(number) for number in (19, 10, 95)] == ["lite", "lite-10", "full"]
    assert describe_design("lite") == "lite (20 of 96 conditions a sample)"
    for name in ("", "Lite", "lite-19", "lite-95", "lite-0", "lite-96", "lite-010", "lite-1 ", "lite-²"):
        with pytest.raises(ValueError, match="is not 'full', 'lite'"):
            conditions_per_sample(name)
    for number in (0, 96, 2.0, True):
        with pytest.raises(ValueError, match="give a number from 1 to 95"):
            lite_design(number)
