"""Cut what is iterated over into batches."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from typing import TypeVar

__all__ = ["in_batches"]

Item = TypeVar("Item")


def in_batches(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    """Cut `items` into lists of `size`; the last may be shorter.

    `itertools.batched` does this from Python 3.12 on.

    Parameters
    ----------
    items : iterable
        Read no further than the batch that is asked for.
    size : int
        1 or more.

    Yields
    ------
    list
    """
    rest = iter(items)
    while batch := list(itertools.islice(rest, size)):
        yield batch
