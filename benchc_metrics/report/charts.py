"""The charts of runs: which numbers each one shows, and the sentence beside it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchc_metrics.benchmark import CORRUPTION_FAMILIES, FAMILIES
from benchc_metrics.findings.analysis import CELL_METRICS, FloorAnalysis, RunAnalysis
from benchc_metrics.findings.sentences import Finding
from benchc_metrics.metrics.registry import EVERY_METRIC
from benchc_metrics.pages.charts import (
    Chart,
    Line,
    Point,
    Scale,
    heat_map,
    interval_rows,
    lines_over_severity,
    points_with_intervals,
    reliability_diagram,
)
from benchc_metrics.statistics.estimates import Estimate
from benchc_metrics.statistics.floor import FLOOR_METRICS
from benchc_metrics.wording import MISSING, joined, number, percent, with_interval

__all__ = [
    "IN_WORDS",
    "OVERLAID",
    "PATTERNS",
    "ModelCharts",
    "charts_of_all",
    "charts_of_findings",
    "charts_of_model",
    "curves",
    "ras_scale",
    "short_names",
    "standings",
]

PATTERNS = {
    "erroneous_confidence": "confident",
    "hesitation": "hesitant",
    "flip": "flipped",
    "destroyed": "destroyed",
    "corrected": "corrected",
}
"""Metrics of the chart of patterns, each with the head of its column."""

GOOD_PATTERNS = ("corrected",)
"""The patterns of which more is better."""

OVERLAID = 6
"""Up to so many models share one chart of curves; with more, each has its own, before the others in grey."""

IN_WORDS = 3
"""Up to so many models are described in sentences; of more, rows of dots say the same."""

_ACCURACY = ("acc_corrupted", "Accuracy")
_SAME_COLOURS = "The colours mean the same for all models."


@dataclass(frozen=True)
class ModelCharts:
    """The charts of one model.

    Attributes
    ----------
    name : str
    heat_maps, parts, reliability, curves : sequence of Chart
        Curves stand here where there are too many models for one chart.
    """

    name: str
    heat_maps: Sequence[Chart]
    parts: Sequence[Chart]
    reliability: Sequence[Chart]
    curves: Sequence[Chart] = ()

    @property
    def all(self) -> list[Chart]:
        """Every chart, in the order of a page."""
        return [*self.heat_maps, *self.curves, *self.parts, *self.reliability]


def short_names(names: Sequence[str]) -> list[str]:
    """Shorten names of models to what follows the last slash, where that still tells them apart.

    Examples
    --------
    >>> short_names(["org/model-7b", "org/model-13b"])
    ['model-7b', 'model-13b']
    >>> short_names(["one/model", "two/model"])
    ['one/model', 'two/model']
    """
    short = [name.rstrip("/").rpartition("/")[2] or name for name in names]
    return short if len(set(short)) == len(set(names)) else list(names)


def charts_of_all(analyses: Sequence[RunAnalysis], prefix: str = "all", metric: str = "ras") -> list[Chart]:
    """Draw the charts that show all models together.

    Parameters
    ----------
    analyses : sequence of RunAnalysis
    prefix : str
        Begins the names of the charts on their page.
    metric : {"ras", "accuracy"}
        By which models and corruptions are shown; accuracy where there are no probabilities.

    Returns
    -------
    list of Chart
        For up to `OVERLAID` models curves over severity, and RAS against clean accuracy where there are several; for
        several models RAS by model and corruption.
    """
    has_ras = analyses[0].run.has_distributions
    charts = []
    if len(analyses) <= OVERLAID:
        charts += [_ras_against_accuracy(analyses, prefix)] if has_ras and len(analyses) > 1 else []
        charts += curves(analyses, prefix)
    if len(analyses) > 1:
        charts.append(
            _models_by_corruption(analyses, prefix, *(("ras", "RAS") if has_ras and metric == "ras" else _ACCURACY))
        )
    return charts


def standings(analyses: Sequence[RunAnalysis], prefix: str = "standings") -> list[Chart]:
    """Draw the metrics of several models as rows of dots: how robust they are, and how they fail.

    Parameters
    ----------
    analyses : sequence of RunAnalysis
        In the order of the rows.
    prefix : str
        Begins the names of the charts on their page.

    Returns
    -------
    list of Chart
        Accuracy, RAS, destroyed and corrected answers, confident and hesitant ones; without probabilities those that
        are defined.
    """
    kinds = (
        (
            "accuracy",
            ("Accuracy of the models", "accuracy", "Accuracy on clean pictures and under corruption."),
            {"acc_clean": "clean", "acc_corrupted": "under corruption"},
        ),
        (
            "ras",
            ("RAS of the models", "RAS", "RAS over all corruptions, as it is and tempered."),
            {"ras": "RAS", "ras_tempered": "tempered RAS"},
        ),
        (
            "moves",
            ("Answers that change", "share of pairs", "Answers that corruption turns from right to wrong, and back."),
            {"destroyed": "destroyed", "corrected": "corrected"},
        ),
        (
            "sureness",
            ("Confidence that misleads", "share of pairs", "Wrong answers under corruption, and right ones."),
            {"erroneous_confidence": "wrong, no less sure", "hesitation": "right, less sure"},
        ),
    )
    labels = short_names([each.name for each in analyses])
    return [
        interval_rows(
            f"{prefix}-{name}",
            title,
            labels,
            [(label, [each.headline(metric) for each in analyses]) for metric, label in shown.items()],
            f"{told} With 95 % intervals.",
            axis_title,
            reference=None if name == "accuracy" else 0.0,
            row_title="model",
        )
        for name, (title, axis_title, told), metrics in kinds
        for shown in ({key: label for key, label in metrics.items() if _is_defined(key, analyses)},)
        if shown
    ]


def charts_of_findings(findings: Sequence[Finding], prefix: str = "finding") -> dict[str, Chart]:
    """Draw what is said of many models as rows of dots.

    Parameters
    ----------
    findings : sequence of Finding
    prefix : str
        Begins the names of the charts on their page.

    Returns
    -------
    dict of str to Chart
        By the titles of the findings with more than `IN_WORDS` sentences, each about another model: the first effect
        that each sentence claims.
    """
    charts = {}
    for place, finding in enumerate(findings):
        about = [statement.about for statement in finding.statements]
        if len(about) > IN_WORDS and all(about):
            charts[finding.title] = interval_rows(
                f"{prefix}-{place}",
                f"{finding.title}: models",
                short_names(about),
                [("effect", [statement.effects[0] for statement in finding.statements])],
                "The effect that each sentence below claims, with its 95 % interval.",
                "effect",
                row_title="model",
            )
    return charts


def _is_defined(metric: str, analyses: Sequence[RunAnalysis]) -> bool:
    return metric in EVERY_METRIC and all(EVERY_METRIC[metric].is_defined_for(each.run) for each in analyses)


def ras_scale(analyses: Sequence[RunAnalysis]) -> Scale:
    """Make the one scale of colours of RAS that all charts of these runs share.

    Parameters
    ----------
    analyses : sequence of RunAnalysis

    Returns
    -------
    Scale
        It reaches the largest RAS of a condition or a corruption of any run, below zero or above.
    """
    values = [
        each
        for analysis in analyses
        if "ras" in analysis.cells
        for each in (analysis.cells["ras"].estimate.ravel(), analysis.corruptions.values("ras"))
    ]
    return Scale.around_zero(np.concatenate(values) if values else np.empty(0))


def _scale_of(metric: str, analyses: Sequence[RunAnalysis], ras: Scale | None = None) -> Scale:
    return (ras or ras_scale(analyses)) if metric == "ras" else Scale("sequential", 0.0, 1.0)


def _ras_against_accuracy(analyses: Sequence[RunAnalysis], prefix: str) -> Chart:
    labels = short_names([each.name for each in analyses])
    points = [
        Point(label, each.headline("acc_clean"), each.headline("ras"))
        for label, each in zip(labels, analyses, strict=True)
    ]
    return points_with_intervals(
        f"{prefix}-plane",
        "RAS against clean accuracy",
        points,
        "accuracy on clean images",
        "RAS",
        "One point a model, with its 95 % intervals as a cross. Models at the right are more accurate, and those at "
        "the top more robust.",
    )


def curves(analyses: Sequence[RunAnalysis], prefix: str, highlighted: int | None = None) -> list[Chart]:
    """Draw RAS and accuracy over severity.

    Parameters
    ----------
    analyses : sequence of RunAnalysis
    prefix : str
        Begins the names of the charts on their page.
    highlighted : int, optional
        The model that is drawn in colour before the others in grey; by default all are in colour.

    Returns
    -------
    list of Chart
    """
    charts = []
    severities = analyses[0].run.severities
    labels = short_names([each.name for each in analyses])
    for metric, title in (("ras", "RAS over severity"), ("acc_corrupted", "Accuracy over severity")):
        if not EVERY_METRIC[metric].is_defined_for(analyses[0].run):
            continue
        lines = [
            Line(
                label,
                [
                    _without_corruption(each, metric),
                    *(each.severities.of(metric, f"severity {severity}") for severity in severities),
                ],
            )
            for label, each in zip(labels, analyses, strict=True)
        ]
        told = "From clean pictures on, all corruptions together, with 95 % intervals as bands."
        charts.append(
            lines_over_severity(
                f"{prefix}-{metric}-curves",
                title,
                (0, *severities),
                lines,
                told if highlighted is None else f"{told} The other models in grey.",
                _ends(lines if highlighted is None else [lines[highlighted]]),
                highlighted=highlighted,
                limits=None if highlighted is None else _limits(lines),
                axis_title="RAS" if metric == "ras" else "accuracy",
            )
        )
    return charts


def _without_corruption(analysis: RunAnalysis, metric: str) -> Estimate:
    """Return a metric where nothing was done to the pictures: no distribution has moved then, so that RAS is 0."""
    return Estimate(0.0, 0.0, 0.0) if metric == "ras" else analysis.headline("acc_clean")


def _limits(lines: Sequence[Line]) -> tuple[float, float] | None:
    """Choose the ends of a vertical axis so that all lines and their intervals have room."""
    ends = np.array([[(each.low, each.high) for each in line.estimates] for line in lines])
    if np.isnan(ends).all():
        return None
    low, high = float(np.nanmin(ends)), float(np.nanmax(ends))
    margin = 0.04 * (high - low) or 0.01
    return low - margin, high + margin


def _ends(lines: Sequence[Line]) -> str:
    said = [
        f"{line.label} goes from {number(line.estimates[0].value)} to {number(line.estimates[-1].value)}"
        for line in lines
    ]
    return f"From clean pictures to the strongest severity {joined(said)}."


def _models_by_corruption(analyses: Sequence[RunAnalysis], prefix: str, metric: str, title: str) -> Chart:
    corruptions, groups = _by_family(analyses[0].run.corruptions)
    places = [analyses[0].run.corruptions.index(name) for name in corruptions]
    values = np.stack([each.corruptions.values(metric) for each in analyses], axis=1)[places]
    details = [[with_interval(each.corruptions.of(metric, name)) for each in analyses] for name in corruptions]
    return heat_map(
        f"{prefix}-by-corruption",
        f"{title} by corruption and model",
        values,
        _spoken(corruptions),
        short_names([each.name for each in analyses]),
        _scale_of(metric, analyses),
        _short,
        f"All severities together. {_extremes(values, corruptions)}",
        details=details,
        groups=groups,
    )


def _extremes(values: np.ndarray[Any, np.dtype[np.float64]], corruptions: Sequence[str]) -> str:
    means = np.array([np.nan if np.isnan(row).all() else np.nanmean(row) for row in values])
    if np.isnan(means).all():
        return "No metric could be computed."
    low, high = int(np.nanargmin(means)), int(np.nanargmax(means))
    names = _spoken(corruptions)
    ends = [f"{names[place]} ({_short(means[place])})" for place in (low, high)]
    return f"Lowest on average under {ends[0]}, highest under {ends[1]}."


def charts_of_model(analysis: RunAnalysis, prefix: str, ras: Scale | None = None) -> ModelCharts:
    """Draw the charts of one model, but for its curves over severity, which show the other models too.

    Parameters
    ----------
    analysis : RunAnalysis
    prefix : str
        Begins the names of the charts on their page.
    ras : Scale, optional
        Colours of RAS, see `ras_scale`; by default those of this run alone.

    Returns
    -------
    ModelCharts
    """
    if not analysis.run.has_distributions:
        return ModelCharts(
            name=analysis.name,
            heat_maps=[_cell_map(analysis, *_ACCURACY, f"{prefix}-accuracy")],
            parts=[*_floor_charts(analysis, f"{prefix}-floor"), _patterns(analysis, f"{prefix}-patterns")],
            reliability=[],
        )
    return ModelCharts(
        name=analysis.name,
        heat_maps=[
            _cell_map(analysis, "ras", "RAS", f"{prefix}-ras", ras),
            _cell_map(analysis, "acc_corrupted", "Accuracy", f"{prefix}-accuracy"),
        ],
        parts=[
            *_floor_charts(analysis, f"{prefix}-floor"),
            _parts(analysis, f"{prefix}-parts"),
            _patterns(analysis, f"{prefix}-patterns"),
        ],
        reliability=[
            _reliability(analysis, "clean", f"{prefix}-reliability-clean"),
            _reliability(analysis, "corrupted", f"{prefix}-reliability-corrupted"),
        ],
    )


def _cell_map(analysis: RunAnalysis, metric: str, title: str, name: str, ras: Scale | None = None) -> Chart:
    values = analysis.cells[metric].estimate
    floor = analysis.floor if analysis.floor is not None and metric in analysis.floor.cells.metrics else None
    at_floor = np.zeros(values.shape, dtype=bool) if floor is None else floor.cells_at_floor(metric)
    of_floor = "" if floor is None else f" {_at_floor_in_words(floor, metric)}"
    severities = analysis.run.severities
    corruptions, groups = _by_family(analysis.run.corruptions)
    places = [analysis.run.corruptions.index(name) for name in corruptions]
    values, at_floor = values[places], at_floor[places]
    intervals = [each[places] for each in analysis.cells[metric]]
    details = [
        [
            f"{number(value)} [{number(low)}, {number(high)}]{', at the floor' if is_at_floor else ''}"
            if np.isfinite(value)
            else MISSING
            for value, low, high, is_at_floor in zip(*rows, strict=True)
        ]
        for rows in zip(*(each.tolist() for each in (*intervals, at_floor)), strict=True)
    ]
    return heat_map(
        name,
        title,
        values,
        _spoken(corruptions),
        [str(severity) for severity in severities],
        _scale_of(metric, [analysis], ras),
        _short,
        f"{title} of each corruption at each severity. {_extremes(values, corruptions)}{of_floor}"
        f"{f' {_SAME_COLOURS}' if ras is not None else ''}",
        column_title="severity",
        details=details,
        marks=at_floor,
        mark_title="cannot be told from the floor",
        groups=groups,
    )


def _at_floor_in_words(floor: FloorAnalysis, metric: str) -> str:
    at_floor, value = floor.cells_at_floor(metric), floor.whole.of(metric)
    marked, cells = int(np.count_nonzero(at_floor)), at_floor.size
    under = f"that under the control, {with_interval(value)}"
    if not marked:
        return f"Every cell can be told from {under}."
    return f"A ring marks the {marked} of {cells} cells that cannot be told from {under}."


def _floor_charts(analysis: RunAnalysis, name: str) -> list[Chart]:
    """Draw each corruption's distance from the floor."""
    floor = analysis.floor
    if floor is None:
        return []
    corruptions, groups = _by_family(analysis.run.corruptions)
    # A chart has room for two.
    metrics = [metric for metric in floor.corruptions.metrics if metric in CELL_METRICS]
    said = joined([f"{FLOOR_METRICS[metric]} {with_interval(floor.whole.of(metric))}" for metric in metrics])
    return [
        interval_rows(
            name,
            "Distance from the floor",
            _spoken(corruptions),
            [
                (FLOOR_METRICS[metric], [floor.corruptions.distance(metric, corruption) for corruption in corruptions])
                for metric in metrics
            ],
            f"What each corruption adds to changes that no person sees. Zero is the floor: {said} under the control. "
            "Paired over samples, with 95 % intervals.",
            "under corruption less under the control",
            groups=groups,
        )
    ]


def _parts(analysis: RunAnalysis, name: str) -> Chart:
    corruptions, groups = _by_family(analysis.run.corruptions)
    series = [
        ("destructive", [analysis.corruptions.of("ras_destructive", each) for each in corruptions]),
        ("corrective", [analysis.corruptions.of("ras_corrective", each) for each in corruptions]),
    ]
    destructive, corrective = analysis.headline("ras_destructive"), analysis.headline("ras_corrective")
    return interval_rows(
        name,
        "Destructive and corrective part",
        _spoken(corruptions),
        series,
        "RAS over samples answered right when clean (destructive) and wrong when clean (corrective), with 95 % "
        f"intervals. Over all corruptions {number(destructive.value)} and {number(corrective.value)}.",
        "RAS",
        groups=groups,
    )


def _patterns(analysis: RunAnalysis, name: str) -> Chart:
    corruptions, groups = _by_family(analysis.run.corruptions)
    places = [analysis.run.corruptions.index(name) for name in corruptions]
    shown = [pattern for pattern in PATTERNS if EVERY_METRIC[pattern].is_defined_for(analysis.run)]
    values = np.stack([analysis.corruptions.values(pattern) for pattern in shown], axis=1)[places]
    details = [[with_interval(analysis.corruptions.of(pattern, each)) for pattern in shown] for each in corruptions]
    signs = [1 if pattern in GOOD_PATTERNS else -1 for pattern in shown]
    reach = Scale.around_zero(values)
    overall = [f"{EVERY_METRIC[p].name.replace('_', ' ')} {percent(analysis.headline(p).value, 0)}" for p in shown]
    return heat_map(
        name,
        "Pattern rates",
        values,
        _spoken(corruptions),
        [PATTERNS[pattern] for pattern in shown],
        reach,
        _whole_percent,
        f"Shares of pairs: {joined(overall)} over all corruptions. Blue speaks for the model, orange against it.",
        details=details,
        groups=groups,
        signs=signs,
        ends=(f"{percent(reach.high, 0)}, bad", f"{percent(reach.high, 0)}, good"),
    )


def _reliability(analysis: RunAnalysis, which: str, name: str) -> Chart:
    bins = analysis.clean_bins if which == "clean" else analysis.corrupted_bins
    error = analysis.headline(f"ece_{which}")
    if not bins.answers:
        told = "There are no answers."
    else:
        sure = bins.confidence_sum.sum() / bins.answers
        right = bins.correctness_sum.sum() / bins.answers
        told = (
            f"Bars: accuracy of the answers of each confidence; orange: their confidence. ECE {with_interval(error)}; "
            f"mean confidence {number(float(sure))}, accuracy {number(float(right))}."
        )
    return reliability_diagram(name, f"Reliability, {which}", bins, told)


def _by_family(corruptions: Sequence[str]) -> tuple[list[str], list[tuple[str, int]]]:
    """Sort corruptions by family, and count those of each; what has no family stands at the end without a name."""
    families = {name: CORRUPTION_FAMILIES.get(name, "") for name in corruptions}
    order = [*FAMILIES, ""]
    ordered = sorted(corruptions, key=lambda name: order.index(families[name]))
    counts = [(family, list(families.values()).count(family)) for family in order]
    return ordered, [(family, count) for family, count in counts if count]


def _spoken(corruptions: Iterable[str]) -> list[str]:
    return [name.replace("_", " ") for name in corruptions]


def _short(value: float) -> str:
    return number(value, 2)


def _whole_percent(value: float) -> str:
    return percent(value, 0)
