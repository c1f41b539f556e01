import threading
from typing import Any

from benchc_tasks.models.copies import Copies


class Counter:
    def __init__(self) -> None:
        self.counts: list[int] = []


class OneOfAKind(Counter):
    def __deepcopy__(self, memo: Any) -> Any:
        raise TypeError("there is one only")


def test_one_thread_gets_the_original_each_time() -> None:
    original = Counter()
    copies = Copies(original)
    for _ in range(3):
        with copies.one() as lent:
            assert lent is original


def test_who_asks_meanwhile_gets_a_copy_that_is_kept_for_the_next() -> None:
    original = Counter()
    original.counts.append(1)
    copies = Copies(original)
    with copies.one() as first, copies.one() as second:
        assert first is original
        assert second is not original
        assert second.counts == [1]
        assert second.counts is not original.counts
    with copies.one() as one, copies.one() as other:
        assert {id(one), id(other)} == {id(first), id(second)}


def test_what_cannot_be_copied_is_lent_to_all() -> None:
    original = OneOfAKind()
    copies = Copies(original)
    with copies.one() as first, copies.one() as second:
        assert first is second is original


def test_no_two_threads_have_the_same() -> None:
    copies = Copies(Counter())
    at_once: list[bool] = []
    barrier = threading.Barrier(4)

    def work() -> None:
        barrier.wait()
        for _ in range(200):
            with copies.one() as lent:
                lent.counts.append(1)
                at_once.append(len(lent.counts) != 1)
                lent.counts.pop()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(at_once) == 800
    assert not any(at_once)
