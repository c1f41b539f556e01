import threading
import time
from collections.abc import Iterator

import pytest

from benchc_tasks.models.rendering import map_ahead


def test_results_come_in_order_whatever_finishes_first() -> None:
    def work(number: int) -> int:
        time.sleep(0.002 * (number % 3 == 0))
        return number * number

    assert list(map_ahead(work, range(40), threads=5, look_ahead=7)) == [number * number for number in range(40)]


@pytest.mark.parametrize("look_ahead", [1, 4])
def test_no_item_is_taken_further_ahead_than_allowed(look_ahead: int) -> None:
    taken: list[int] = []

    def items() -> Iterator[int]:
        for number in range(20):
            taken.append(number)
            yield number

    for used, _ in enumerate(map_ahead(str, items(), threads=3, look_ahead=look_ahead)):
        assert len(taken) <= used + 1 + look_ahead


def test_a_fault_comes_at_its_turn_and_ends_the_rest() -> None:
    worked: list[int] = []

    def work(number: int) -> int:
        worked.append(number)
        if number == 3:
            raise ValueError("three")
        return number

    results = map_ahead(work, range(1000), threads=2, look_ahead=4)
    assert [next(results) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(ValueError, match="three"):
        next(results)
    assert len(worked) < 12
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("benchc-ahead")]


def test_closing_early_stops_the_threads() -> None:
    results = map_ahead(str, range(1000), threads=2, look_ahead=4)
    next(results)
    results.close()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("benchc-ahead")]
