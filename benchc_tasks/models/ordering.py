"""Put questions about one picture side by side, before batches are cut."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import Protocol, TypeVar

from benchc_tasks.batching import in_batches

__all__ = ["MOST_QUESTIONS", "ShowsPixels", "side_by_side"]

MOST_QUESTIONS = 16
"""The most questions that are asked together about one picture; for more, it is rendered and read again."""
WINDOW = 8
"""Within so many batches, pictures with several questions are put together, so that whole batches share."""


class ShowsPixels(Protocol):
    """A question whose picture is still to be rendered.

    Attributes
    ----------
    pixels : hashable or None
        Equal for pictures that are equal to the pixel; None where that is not known.
    """

    pixels: Hashable | None


AnyShown = TypeVar("AnyShown", bound=ShowsPixels)


def side_by_side(inquiries: Iterable[AnyShown], batch_size: int) -> list[list[AnyShown]]:
    """Put questions that show the same pixels together.

    Parameters
    ----------
    inquiries : iterable of ShowsPixels
    batch_size : int
        How many pictures are read at once.

    Returns
    -------
    list of list
        A picture and its questions, `MOST_QUESTIONS` at most, in the order of the first of them. Only pictures with one
        question and pictures with several change places, within `WINDOW` batches. Applied again, nothing moves.
    """
    units: list[list[AnyShown]] = []
    open_units: dict[Hashable, list[AnyShown]] = {}
    for inquiry in inquiries:
        unit = open_units.get(inquiry.pixels) if inquiry.pixels is not None else None
        if unit is not None and len(unit) < MOST_QUESTIONS:
            unit.append(inquiry)
            continue
        units.append([inquiry])
        if inquiry.pixels is not None:
            open_units[inquiry.pixels] = units[-1]
    windows = in_batches(units, WINDOW * batch_size)
    return [unit for window in windows for unit in sorted(window, key=lambda unit: len(unit) > 1)]
