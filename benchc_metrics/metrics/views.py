"""Views: the parts of a run for which metrics are computed."""

from __future__ import annotations

from dataclasses import dataclass

from benchc_metrics.benchmark import Condition
from benchc_metrics.runs import Run

__all__ = [
    "View",
    "category_views",
    "condition_views",
    "corruption_views",
    "severity_views",
    "whole_run",
]


@dataclass(frozen=True)
class View:
    """A part of a run: some samples under some conditions.

    Attributes
    ----------
    name : str
        `all`, a corruption, `severity 3`, a condition as `fog@3`, or a category.
    corruptions : tuple of str
    severities : tuple of int
    category : str or None
        Only samples of this category; None for all samples.
    """

    name: str
    corruptions: tuple[str, ...]
    severities: tuple[int, ...]
    category: str | None = None


def whole_run(run: Run) -> View:
    """Take all samples under all conditions."""
    return View("all", run.corruptions, run.severities)


def corruption_views(run: Run) -> tuple[View, ...]:
    """Take the corruptions one by one, over all severities."""
    return tuple(View(name, (name,), run.severities) for name in run.corruptions)


def severity_views(run: Run) -> tuple[View, ...]:
    """Take the severities one by one, over all corruptions."""
    return tuple(View(f"severity {severity}", run.corruptions, (severity,)) for severity in run.severities)


def condition_views(run: Run) -> tuple[View, ...]:
    """Take the conditions one by one, corruption by corruption."""
    return tuple(
        View(str(Condition(name, severity)), (name,), (severity,))
        for name in run.corruptions
        for severity in run.severities
    )


def category_views(run: Run) -> tuple[View, ...]:
    """Take the categories of samples one by one, in alphabetical order; none where the dataset names none."""
    categories = sorted({category for category in run.categories if category is not None})
    return tuple(View(category, run.corruptions, run.severities, category) for category in categories)
