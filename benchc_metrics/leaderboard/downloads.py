"""The whole leaderboard as files for programs and spreadsheets: every metric of every choice."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import Literal

from pydantic import Field

from benchc_metrics.escaping import for_csv
from benchc_metrics.leaderboard.schema import EstimateRecord, Strict

__all__ = ["LEADERBOARD_SCHEMA", "LeaderboardData", "ModelData", "ViewData", "to_csv", "to_json"]

LEADERBOARD_SCHEMA: Literal["benchc.leaderboard-data/2"] = "benchc.leaderboard-data/2"
"""Name and version of what `to_json` writes."""


class ViewData(Strict):
    """A model in one choice of corruptions and severity.

    Attributes
    ----------
    corruptions, severity : str
        A family and a severity, or `all`.
    rank : int or None
        1 is best; None where the metric that ranks is not defined, and for a model in `doubt`.
    group : str
        Models of one table that share a letter cannot be told apart.
    metrics : dict of str to EstimateRecord
        Six digits after the point.
    """

    corruptions: str
    severity: str
    rank: int | None
    group: str
    metrics: dict[str, EstimateRecord]


class ModelData(Strict):
    """A row of the leaderboard.

    Attributes
    ----------
    name : str
        As the site shows it.
    page : str
        Of the model, relative to the site.
    table : str
        Which models it is ranked with.
    ranked_by : str
        The metric that ranks that table.
    method : str
        How predictions were obtained, see `benchc_metrics.records.Obtained`.
    evaluated : str or None
        When the evaluation began, ISO 8601.
    link : str
        Address of who evaluated.
    parameters : int or None
        Of the model; these three as the evaluator states them.
    licence, model_link : str or None
    doubt : str
        Why it is not ranked, in a sentence; empty for the others.
    """

    name: str
    page: str
    table: str
    ranked_by: str
    design: str
    method: str
    stack: str
    stack_version: str
    backend: str
    evaluated: str | None
    organisation: str
    relationship: str
    link: str
    parameters: int | None
    licence: str | None
    model_link: str | None
    doubt: str
    cautions: tuple[str, ...]
    views: tuple[ViewData, ...]


class LeaderboardData(Strict):
    """The content of `leaderboard.json`.

    Attributes
    ----------
    schema_version : str
        Written as `schema`.
    dataset : str or None
        Its id on a hub, where known.
    fingerprint, engine, ras : str
        What all submissions were evaluated with.
    """

    schema_version: Literal["benchc.leaderboard-data/2"] = Field(alias="schema")
    title: str
    dataset: str | None
    revision: str | None
    fingerprint: str
    engine: str
    ras: str
    models: tuple[ModelData, ...]


def to_json(data: LeaderboardData) -> str:
    """Write everything, with no character that a page would take for markup."""
    return data.model_dump_json(by_alias=True, indent=1).replace("<", "\\u003c") + "\n"


_OF_MODEL = (
    "name",
    "table",
    "design",
    "method",
    "stack",
    "stack_version",
    "backend",
    "evaluated",
    "organisation",
    "relationship",
    "link",
    "parameters",
    "licence",
    "model_link",
    "doubt",
)
_OF_VIEW = ("corruptions", "severity", "rank", "group")


def _cell(value: str | int | None) -> str:
    """Write a fact about a model as text that no spreadsheet computes."""
    return "" if value is None else for_csv(str(value))


def to_csv(models: Sequence[ModelData]) -> str:
    """Write a row for each model and each choice of corruptions and severity; each metric has three columns.

    A text that a spreadsheet would compute has an apostrophe before it. A metric that a model does not have is empty.
    """
    metrics = list(dict.fromkeys(name for model in models for view in model.views for name in view.metrics))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    of_metrics = [f"{name}{end}" for name in metrics for end in ("", "_low", "_high")]
    writer.writerow((*_OF_MODEL, "cautions", *_OF_VIEW, *of_metrics))
    for model in models:
        about = [_cell(getattr(model, field)) for field in _OF_MODEL]
        for view in model.views:
            estimates = [view.metrics.get(name) for name in metrics]
            writer.writerow(
                (
                    *about,
                    for_csv(", ".join(model.cautions)),
                    *(getattr(view, field) for field in _OF_VIEW),
                    *(
                        number
                        for estimate in estimates
                        for number in (
                            (estimate.value, estimate.low, estimate.high) if estimate else (None, None, None)
                        )
                    ),
                )
            )
    return text.getvalue()
