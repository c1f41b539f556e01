"""What a chart is, and what all charts share: colours for numbers, room for labels, tooltips."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from math import nan
from typing import Protocol

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from benchc_metrics.pages.palette import DIVERGING_STEPS, SEQUENTIAL_STEPS
from benchc_metrics.wording import breakable

__all__ = [
    "DASHES",
    "LEGEND_LINE",
    "LONG_LABEL",
    "MARKERS",
    "ROW_HEIGHT",
    "WIDTH",
    "Chart",
    "Measured",
    "Scale",
    "apart",
    "label_room",
    "legend_below",
    "row_height",
    "shortened",
    "wrapped",
]

WIDTH = 392.0
"""Of most charts, in CSS pixels: little more than a phone has, so that letters keep their size there."""

ROW_HEIGHT = 21.0
LINE_HEIGHT = 13.0
LETTER_WIDTH = 6.1
"""Of a letter of a label on average, rather too much than too little."""

LEGEND_LINE = 17.0
LEGEND_LETTERS = 10.5
LONG_LABEL = 14
"""Letters of a label that has room behind the end of a line; longer ones stand in a list below."""

DASHES = ("solid", (0, (6, 2)), (0, (2, 1.5)), (0, (6, 2, 1, 2)), (0, (8, 2, 2, 2, 2, 2)), (0, (1, 1)))
MARKERS = ("o", "s", "^", "D", "v", "P")


class Measured(Protocol):
    """A metric with its interval."""

    @property
    def value(self) -> float:
        """The metric."""

    @property
    def low(self) -> float:
        """Lower end of its interval."""

    @property
    def high(self) -> float:
        """Upper end of its interval."""


@dataclass(frozen=True)
class Chart:
    """A drawing with its alternatives in words and in numbers.

    Attributes
    ----------
    title : str
        What is drawn, in a few words.
    drawing : str
        One `<svg>` element.
    description : str
        A sentence or two that say what is drawn.
    columns : sequence of str
        Heads of the table of numbers; the first column names the row.
    rows : sequence of sequences of str
        The numbers, written out.
    width : float
        Natural width in CSS pixels.
    alternative : str
        What the drawing shows beyond title and description, for readers who cannot see it.
    """

    title: str
    drawing: str
    description: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    width: float = WIDTH
    alternative: str = ""


@dataclass(frozen=True)
class Scale:
    """A mapping from numbers to colours.

    Attributes
    ----------
    name : {"sequential", "diverging"}
        The colours: one hue from nothing to much, or orange below zero and blue above.
    low, high : float
        Numbers at the ends; a diverging scale has zero in its middle.
    """

    name: str
    low: float
    high: float

    @classmethod
    def around_zero(cls, values: NDArray[np.float64]) -> Scale:
        """Make a diverging scale that reaches the value farthest from zero."""
        reach = float(np.max(np.abs(values[np.isfinite(values)]), initial=0.0)) or 1.0
        return cls("diverging", -reach, reach)

    @classmethod
    def from_zero(cls, values: NDArray[np.float64]) -> Scale:
        """Make a sequential scale from 0 to the largest value."""
        return cls("sequential", 0.0, float(np.max(values[np.isfinite(values)], initial=0.0)) or 1.0)

    @property
    def steps(self) -> int:
        """Number of its colours."""
        return DIVERGING_STEPS if self.name == "diverging" else SEQUENTIAL_STEPS

    def colour_name(self, value: float) -> str:
        """Return the name, in `COLOURS`, of the colour of a number."""
        share = (value - self.low) / (self.high - self.low)
        return f"{self.name}-{min(self.steps - 1, max(0, round(share * (self.steps - 1))))}"


def wrapped(name: str, longest: int) -> str:
    """Write a name in as many lines as it needs, broken behind slashes, hyphens, underscores and spaces.

    Parameters
    ----------
    name : str
    longest : int
        Letters of a line at most; a part that is longer is cut to pieces.

    Returns
    -------
    str
        Nothing is left out.

    Examples
    --------
    >>> print(wrapped("organisation/model-7b-instruct", 18))
    organisation/
    model-7b-instruct
    """
    lines = [""]
    for part in (part for word in re.findall(r"\S+\s*", name) for part in breakable(word)):
        for start in range(0, len(part), longest):
            piece = part[start : start + longest]
            if lines[-1] and len(lines[-1]) + len(piece.rstrip()) > longest:
                lines.append("")
            lines[-1] += piece
    return "\n".join(line.rstrip() for line in lines)


def label_room(labels: Sequence[str], has_groups: bool) -> float:
    """Return the width in pixels that the labels of rows need, with a strip for names of groups."""
    longest = max((len(line) for label in labels for line in label.split("\n")), default=0)
    return LETTER_WIDTH * longest + (24 if has_groups else 10)


def row_height(labels: Sequence[str]) -> float:
    """Return the height in pixels of rows with such labels."""
    return max([ROW_HEIGHT, *(LINE_HEIGHT * (1 + label.count("\n")) + 5 for label in labels)])


def legend_below(axes: Axes, labels: Sequence[str], offset: float) -> None:
    """List what was drawn with a label below the axes, one line each, in its colour.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
    labels : sequence of str
        As they were given to what was drawn, in the order of the list.
    offset : float
        Distance in pixels from the axes' lower edge.
    """
    drawn = dict(zip(*reversed(axes.get_legend_handles_labels()), strict=True))
    legend = axes.legend(
        [drawn[label] for label in labels],
        labels,
        loc="upper left",
        bbox_to_anchor=(0, -offset / (axes.get_position().height * axes.figure.bbox.height)),
        borderpad=0,
        borderaxespad=0,
        handlelength=2.8,
        labelspacing=(LEGEND_LINE - LEGEND_LETTERS) / LEGEND_LETTERS,
        fontsize=LEGEND_LETTERS,
    )
    for text, label in zip(legend.get_texts(), labels, strict=True):
        text.set_color(drawn[label].get_color())


def shortened(text: str, longest: int) -> str:
    """Cut a text to a number of letters; an ellipsis says so."""
    return text if len(text) <= longest else text[: longest - 1] + "…"


def apart(values: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Move values as little as needed, in their order, so that neighbours keep a distance.

    Parameters
    ----------
    values : sequence of float
    gap : float
        Smallest distance between two.
    low, high : float
        The ends that none may leave, as long as all have room.

    Returns
    -------
    list of float
        In the order of `values`.
    """
    order = sorted(range(len(values)), key=lambda place: values[place])
    placed: list[float] = []
    for place in order:
        placed.append(max(values[place], placed[-1] + gap) if placed else max(values[place], low))
    ceiling = high
    for rank in reversed(range(len(placed))):
        placed[rank] = min(placed[rank], ceiling)
        ceiling = placed[rank] - gap
    moved = [nan] * len(values)
    for rank, place in enumerate(order):
        moved[place] = placed[rank]
    return moved
