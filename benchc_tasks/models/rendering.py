"""Work done ahead of its use in background threads, in order and within bounds."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

__all__ = ["map_ahead"]

Item = TypeVar("Item")
Result = TypeVar("Result")


def map_ahead(
    work: Callable[[Item], Result], items: Iterable[Item], *, threads: int, look_ahead: int
) -> Generator[Result, None, None]:
    """Apply `work` to `items` in background threads and yield the results in the items' order.

    Parameters
    ----------
    work : callable
        Runs in a background thread.
    items : iterable
        Read in the caller's thread, never further than `look_ahead` items ahead of what was yielded.
    threads : int
        How many items are worked on at once.
    look_ahead : int
        How many results may wait, so that memory does not grow with the number of items.

    Yields
    ------
    object
        What `work` returned. What it raised is raised here, at the item's turn; the items behind it are given up.
    """
    pending: deque[Future[Result]] = deque()
    with ThreadPoolExecutor(threads, thread_name_prefix="benchc-ahead") as pool:
        try:
            for item in items:
                pending.append(pool.submit(work, item))
                if len(pending) > look_ahead:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        finally:
            for future in pending:
                future.cancel()
