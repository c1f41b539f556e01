"""The report as a document: which charts, tables and sentences it holds, in what order."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from benchc_metrics.benchmark import CONTROL_CHANGES, CORRUPTION_FAMILIES, FAMILIES
from benchc_metrics.designs import describe_design
from benchc_metrics.findings.analysis import (
    CELL_METRICS,
    DETAIL_RESAMPLES,
    Contest,
    FloorAnalysis,
    RunAnalysis,
    analyse,
    check_all_comparable,
)
from benchc_metrics.findings.designs import note_on_design, note_on_designs
from benchc_metrics.findings.rankings import rankings
from benchc_metrics.findings.restoration import notes_on_restorations
from benchc_metrics.findings.sentences import MILD, find_all
from benchc_metrics.findings.short import in_short
from benchc_metrics.metrics.ras import DEFAULT_READING, RAS_VERSION, READINGS, Reading
from benchc_metrics.metrics.registry import EVERY_METRIC, headline_metrics
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
from benchc_metrics.pages.page import render_page
from benchc_metrics.report.gallery import Card, ShowSample, candidates, show_card
from benchc_metrics.runs import Run
from benchc_metrics.statistics.estimates import Estimate
from benchc_metrics.statistics.floor import FLOOR_METRICS
from benchc_metrics.statistics.resampling import RESAMPLES
from benchc_metrics.wording import MISSING, joined, number, percent, with_interval

__all__ = [
    "OVERLAID",
    "ModelCharts",
    "charts_of_all",
    "charts_of_model",
    "curves",
    "floor_metrics",
    "floor_rows",
    "headline_columns",
    "render_report",
    "report_steps",
    "short_names",
]

PATTERNS = {
    "erroneous_confidence": "confident",
    "hesitation": "hesitant",
    "flip": "flipped",
    "destroyed": "destroyed",
    "corrected": "corrected",
}
"""Metrics of the chart of patterns, each with the head of its column."""

_ACCURACY = ("acc_corrupted", "Accuracy")
OVERLAID = 6
"""Up to so many models share one chart of curves; with more, each has its own, before the others in grey."""

Advance = Callable[[str], None]
"""Is told, in a few words, each step that was done."""


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


def report_steps(runs: Sequence[Run]) -> int:
    """Count the steps of `render_report`, for a progress bar."""
    return len(runs) + 3


def render_report(
    runs: Sequence[Run],
    show: ShowSample | None = None,
    *,
    title: str = "Robustness under image corruption",
    without_gallery: str = "No dataset was given, so there are no pictures to show.",
    about: str = "",
    reading: Reading = DEFAULT_READING,
    advance: Advance = lambda step: None,
    mapping: Callable[..., Iterable[Any]] = map,
) -> str:
    """Write the report on one run or several.

    Parameters
    ----------
    runs : sequence of Run
        Over the same samples, images and prompt.
    show : callable, optional
        Shows a sample under a condition, see `benchc_metrics.report.gallery.ShowSample`.
    title : str
        Heading of the page.
    without_gallery : str
        Why there is no gallery, in a sentence, where `show` is not given.
    about : str
        What the runs are, in a sentence or two of their maker's.
    reading : {"brier", "probability", "confidence", "certainty"}
        Of RAS.
    advance : callable
        Called after each of `report_steps` steps.
    mapping : callable
        Applies a function to each element, as `map` does; that of a pool of processes works on many runs at once.

    Returns
    -------
    str
        One HTML page that needs nothing else.

    Raises
    ------
    ValueError
        If there is no run, or runs do not belong on one page.
    """
    notes = check_all_comparable(runs)
    analyses, models = [], []
    for analysis, charts in mapping(_analyse_and_draw, runs, range(len(runs)), [reading] * len(runs)):
        analyses.append(analysis)
        models.append(charts)
        advance(f"metrics and charts of {analysis.name}")
    contest = Contest(analyses)
    winners, findings = contest.winners(), find_all(analyses, contest)
    advance("differences and findings")
    cautions = [(run.name, caution) for run in runs for caution in run.cautions]
    overview = charts_of_all(analyses)
    floors = {analysis.name: analysis.floor for analysis in analyses}
    if len(analyses) > OVERLAID:
        models = [
            replace(charts, curves=curves(analyses, f"model-{place}", highlighted=place))
            for place, charts in enumerate(models)
        ]
    advance("charts of all models")
    gallery = [] if show is None else [_gallery_part(analyses, kind, show) for kind in ("destroyed", "corrected")]
    advance("gallery")
    return render_page(
        "report.html.jinja",
        title=title,
        about=about,
        runs=runs,
        facts=facts_of(runs),
        is_demonstration=any(run.metadata.demonstration for run in runs),
        cautions=cautions,
        reading=reading,
        formula=READINGS[reading],
        has_probabilities=runs[0].has_distributions,
        has_votes=runs[0].votes is not None,
        notes=[*notes, *_notes_of_runs(runs), *_notes_on_designs(analyses), *notes_on_restorations(runs, reading)],
        columns=headline_columns(analyses, winners),
        rankings=rankings(analyses),
        version=RAS_VERSION,
        floors=floor_rows(floors),
        floor_metrics=floor_metrics(floors.values()),
        changes=CONTROL_CHANGES,
        metrics=[EVERY_METRIC[name] for name in headline_metrics(runs[0])],
        names=[analysis.name for analysis in analyses],
        short=[in_short(each) for each in analyses] if len(analyses) <= OVERLAID else [],
        findings=findings,
        mild=joined([str(severity) for severity in MILD]),
        overview=overview,
        models=models,
        gallery=gallery,
        without_gallery="" if show else without_gallery,
        patterns=[EVERY_METRIC[name] for name in PATTERNS],
        resamples=RESAMPLES,
        detail_resamples=DETAIL_RESAMPLES,
    )


def _analyse_and_draw(run: Run, place: int, reading: Reading) -> tuple[RunAnalysis, ModelCharts]:
    analysis = analyse(run, reading)
    return analysis, charts_of_model(analysis, f"model-{place}")


def facts_of(runs: Sequence[Run]) -> list[tuple[str, str]]:
    """Say in names and values what the runs share."""
    first = runs[0]
    dataset = "demonstration set" if first.metadata.demonstration else first.metadata.dataset[:16]
    restorations = sorted({run.metadata.restoration or "none" for run in runs})
    return [
        ("models", str(len(runs))),
        ("samples", f"{len(first.sample_ids):,}"),
        ("predictions from", joined(sorted({run.obtained for run in runs}))),
        ("corruptions", f"{len(first.corruptions)} at {len(first.severities)} severities"),
        ("design", joined(sorted({describe_design(run.metadata.design) for run in runs}))),
        *([] if restorations == ["none"] else [("restoration", joined(restorations))]),
        ("dataset", dataset),
        ("corruption engine", first.metadata.engine),
        ("benchc", joined(sorted({run.metadata.benchc for run in runs}))),
        ("evaluated", _dates(runs)),
    ]


def _dates(runs: Iterable[Run]) -> str:
    days = sorted({run.metadata.date[:10] for run in runs if run.metadata.date})
    if not days:
        return "date unknown"
    return days[0] if len(days) == 1 else f"{days[0]} to {days[-1]}"


def _notes_of_runs(runs: Sequence[Run]) -> list[str]:
    """Say what a reader should know of the runs, and of each thing once, whose it is."""
    whose: dict[str, list[str]] = {}
    for run in runs:
        for note in _notes_of_run(run):
            whose.setdefault(note, []).append(run.name)
    return [
        f"{'All models' if len(names) == len(runs) > 1 else joined(names)}: {note}" for note, names in whose.items()
    ]


def _notes_on_designs(analyses: Sequence[RunAnalysis]) -> Iterator[str]:
    for each in analyses:
        if note := note_on_design(each.whole, each.corruptions):
            yield f"{each.name}: {note}"
    if differing := note_on_designs([each.run for each in analyses]):
        yield differing


def _notes_of_run(run: Run) -> Iterator[str]:
    yield from run.notes
    if run.note_on_temperature:
        yield run.note_on_temperature
    if run.missing:
        yield f"{len(run.missing):,} pairs or clean answers were not run and are left out."
    if run.invalid:
        yield f"{len(run.invalid):,} answers could not be used and are left out."
    if run.metadata.dataset_size is not None and run.metadata.dataset_size > len(run.sample_ids):
        yield f"{len(run.sample_ids):,} of the dataset's {run.metadata.dataset_size:,} samples were run."


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
        Curves over severity for up to `OVERLAID` models; where there are several, RAS against clean accuracy, and RAS
        by model and corruption.
    """
    has_ras = analyses[0].run.has_distributions
    charts = [_ras_against_accuracy(analyses, prefix)] if has_ras and len(analyses) > 1 else []
    if len(analyses) <= OVERLAID:
        charts += curves(analyses, prefix)
    if len(analyses) > 1:
        charts.append(
            _models_by_corruption(analyses, prefix, *(("ras", "RAS") if has_ras and metric == "ras" else _ACCURACY))
        )
    return charts


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
        "One point a model, its 95 % intervals as a cross; further right is more accurate, further up more robust.",
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
        Scale.around_zero(values) if metric == "ras" else Scale("sequential", 0.0, 1.0),
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


def charts_of_model(analysis: RunAnalysis, prefix: str) -> ModelCharts:
    """Draw the charts of one model, but for its curves over severity, which show the other models too.

    Parameters
    ----------
    analysis : RunAnalysis
    prefix : str
        Begins the names of the charts on their page.

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
            _cell_map(analysis, "ras", "RAS", f"{prefix}-ras"),
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


def _cell_map(analysis: RunAnalysis, metric: str, title: str, name: str) -> Chart:
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
        Scale.around_zero(values) if metric == "ras" else Scale("sequential", 0.0, 1.0),
        _short,
        f"{title} of each corruption at each severity. {_extremes(values, corruptions)}{of_floor}",
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
    overall = [f"{EVERY_METRIC[p].name.replace('_', ' ')} {percent(analysis.headline(p).value, 0)}" for p in shown]
    return heat_map(
        name,
        "Pattern rates",
        values,
        _spoken(corruptions),
        [PATTERNS[pattern] for pattern in shown],
        Scale.from_zero(values),
        _whole_percent,
        f"Shares of pairs: {joined(overall)} over all corruptions.",
        details=details,
        groups=groups,
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


def _gallery_part(analyses: Sequence[RunAnalysis], kind: str, show: ShowSample) -> tuple[str, list[Card]]:
    chosen = candidates(analyses, "destroyed" if kind == "destroyed" else "corrected")
    return kind, [show_card(candidate, show) for candidate in chosen]
