"""Letters say exactly which models cannot be told apart."""

from __future__ import annotations

from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchc_metrics.findings.groups import group_letters


@pytest.mark.parametrize(
    ("ranking", "apart", "letters"),
    [
        ([0], set(), ["a"]),
        ([0, 1, 2], set(), ["a", "a", "a"]),
        ([2, 1, 0], {(0, 1), (0, 2), (1, 2)}, ["c", "b", "a"]),
        ([0, 1, 2], {(0, 2)}, ["a", "ab", "b"]),
        ([0, 1, 2], {(2, 0)}, ["a", "ab", "b"]),
        ([0, 1, 2, 3], {(0, 2), (0, 3), (1, 3)}, ["a", "ab", "bc", "c"]),
    ],
)
def test_known_cases(ranking: list[int], apart: set[tuple[int, int]], letters: list[str]) -> None:
    assert group_letters(ranking, apart) == letters


@given(
    st.integers(1, 7).flatmap(
        lambda n: st.tuples(
            st.permutations(range(n)), st.sets(st.sampled_from(list(combinations(range(n), 2)) or [(0, 0)]))
        )
    )
)
def test_two_models_share_a_letter_exactly_if_they_are_not_apart(case: tuple[list[int], set[tuple[int, int]]]) -> None:
    ranking, drawn = case
    apart = {pair for pair in drawn if pair[0] != pair[1]}
    letters = group_letters(ranking, apart)
    assert all(letters)
    for first, second in combinations(range(len(ranking)), 2):
        shared = set(letters[first]) & set(letters[second])
        assert bool(shared) == ((first, second) not in apart)


@given(st.permutations(range(5)), st.sets(st.sampled_from(list(combinations(range(5), 2)))))
def test_the_best_model_is_in_the_first_group(ranking: list[int], apart: set[tuple[int, int]]) -> None:
    assert group_letters(ranking, apart)[ranking[0]].startswith("a")


def test_more_groups_than_letters() -> None:
    letters = group_letters(range(30), set(combinations(range(30), 2)))
    assert letters[0] == "a"
    assert letters[25:28] == ["z", "a1", "b1"]
