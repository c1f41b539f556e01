"""Questions about one picture come side by side."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import dataclass

import pytest

from benchc_tasks.models.ordering import MOST_QUESTIONS, WINDOW, side_by_side


@dataclass(frozen=True)
class Shown:
    number: int
    pixels: Hashable | None


def shown(pixels: Iterable[str | None]) -> list[Shown]:
    return [Shown(number, each) for number, each in enumerate(pixels)]


def numbers(units: list[list[Shown]]) -> list[list[int]]:
    return [[each.number for each in unit] for unit in units]


def test_questions_about_one_picture_are_put_together_behind_those_that_are_alone() -> None:
    assert numbers(side_by_side(shown(["a", "b", None, "a", "c", "b", None, "a"]), 4)) == [
        [2], [4], [6], [0, 3, 7], [1, 5],
    ]  # fmt: skip


@pytest.mark.parametrize("pixels", ["abcdefgh", [None] * 8])
def test_nothing_moves_where_nothing_is_shared(pixels: Iterable[str | None]) -> None:
    assert numbers(side_by_side(shown(pixels), 2)) == [[number] for number in range(8)]


def test_many_questions_about_one_picture_are_asked_in_parts() -> None:
    units = side_by_side(shown("a" * (2 * MOST_QUESTIONS + 3)), 1)
    assert list(map(len, units)) == [MOST_QUESTIONS, MOST_QUESTIONS, 3]
    assert [number for unit in numbers(units) for number in unit] == list(range(2 * MOST_QUESTIONS + 3))


@pytest.mark.parametrize("batch_size", [1, 3])
def test_what_is_arranged_stays_as_it_is(batch_size: int) -> None:
    """So that answers are kept in the order in which they are asked for."""
    asked = shown([None if number % 5 == 0 else str(number * number % 23) for number in range(100)])
    units = side_by_side(asked, batch_size)
    assert side_by_side([each for unit in units for each in unit], batch_size) == units
    assert sorted(number for unit in numbers(units) for number in unit) == list(range(100))


def test_no_question_waits_for_more_than_a_window() -> None:
    """A picture with two questions that comes first is not left to the end."""
    units = side_by_side(shown(["a", *map(str, range(1000)), "a"]), 2)
    assert numbers(units).index([0, 1001]) < 2 * WINDOW
