"""The tables of the report: its headline metrics, and the floors."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from benchc_metrics.findings.analysis import FloorAnalysis, RunAnalysis
from benchc_metrics.metrics.registry import EVERY_METRIC, headline_metrics
from benchc_metrics.statistics.floor import FLOOR_METRICS

__all__ = ["floor_metrics", "floor_rows", "headline_columns"]


def headline_columns(analyses: Sequence[RunAnalysis], winners: dict[str, int | None]) -> list[dict[str, Any]]:
    """Prepare the headline table, metric by metric.

    Parameters
    ----------
    analyses : sequence of RunAnalysis
    winners : dict of str to (int or None)
        The place of the significantly best run in each metric, see `Contest.winners`.

    Returns
    -------
    list of dict
        `metric`, and `cells`: for each run its `estimate`, whether the metric `is_defined` for this kind of run, and
        whether it is the `best`.
    """
    return [
        {
            "metric": EVERY_METRIC[name],
            "cells": [
                {
                    "estimate": analysis.headline(name),
                    "is_defined": EVERY_METRIC[name].is_defined_for(analysis.run),
                    "best": winners.get(name) == place,
                }
                for place, analysis in enumerate(analyses)
            ],
        }
        for name in headline_metrics(analyses[0].run)
    ]


def floor_metrics(floors: Iterable[FloorAnalysis | None]) -> list[str]:
    """Say in words which metrics have a floor, as `floor_rows` orders them."""
    known = [floor.whole.metrics for floor in floors if floor is not None]
    return [FLOOR_METRICS[metric] for metric in (known[0] if known else ())]


def floor_rows(floors: Mapping[str, FloorAnalysis | None]) -> list[dict[str, Any]]:
    """Prepare the table of floors, model by model.

    Parameters
    ----------
    floors : mapping of str to (FloorAnalysis or None)
        By the models' names.

    Returns
    -------
    list of dict
        `name`, and `cells`: for each metric its `floor`, the `distance` of all corruptions together from it, how many
        conditions are `told` from it, of how many in `all`, and `changes`, the metric under each change. No cells for
        a run without the control, and no row if no run has it.
    """
    rows: list[dict[str, Any]] = []
    for name, floor in floors.items():
        cells = [
            {
                "floor": floor.whole.of(metric),
                "digits": 3 if metric == "acc_corrupted" else 4,
                "distance": floor.whole.distance(metric),
                "told": int(np.count_nonzero(floor.cells.is_told(metric))),
                "all": len(floor.cells.views),
                "changes": [floor.whole.of_change(metric, severity) for severity in floor.whole.run.severities],
            }
            for metric in (floor.whole.metrics if floor is not None else ())
            if floor is not None
        ]
        rows.append({"name": name, "cells": cells})
    return rows if any(row["cells"] for row in rows) else []
