"""The report as a document: which charts, tables and sentences it holds, in what order."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from itertools import combinations
from typing import Any

from benchc_metrics.benchmark import CONTROL_CHANGES
from benchc_metrics.findings.analysis import (
    DETAIL_RESAMPLES,
    Contest,
    RunAnalysis,
    analyse,
    check_all_comparable,
)
from benchc_metrics.findings.designs import note_on_designs
from benchc_metrics.findings.groups import undistinguished_groups
from benchc_metrics.findings.rankings import rankings
from benchc_metrics.findings.restoration import notes_on_restorations
from benchc_metrics.findings.sentences import MILD, find_all
from benchc_metrics.findings.short import in_short
from benchc_metrics.metrics.ras import DEFAULT_READING, RAS_VERSION, READINGS, Reading
from benchc_metrics.metrics.registry import EVERY_METRIC, headline_metrics
from benchc_metrics.metrics.views import whole_run
from benchc_metrics.pages.charts import Scale
from benchc_metrics.pages.page import render_page
from benchc_metrics.report.charts import (
    IN_WORDS,
    OVERLAID,
    PATTERNS,
    ModelCharts,
    charts_of_all,
    charts_of_findings,
    charts_of_model,
    curves,
    ras_scale,
    standings,
)
from benchc_metrics.report.gallery import Card, ShowSample, candidates, show_card
from benchc_metrics.report.notes import cautions_of_runs, facts_of, notes_of_runs, notes_on_analyses
from benchc_metrics.report.tables import floor_metrics, floor_rows, headline_columns
from benchc_metrics.runs import Run
from benchc_metrics.statistics.resampling import RESAMPLES
from benchc_metrics.wording import MISSING, joined

__all__ = ["OPENED", "render_report", "report_steps"]

OPENED = 3
"""Up to so many models have their charts unfolded."""

Advance = Callable[[str], None]
"""Is told, in a few words, each step that was done."""


def report_steps(runs: Sequence[Run]) -> int:
    """Count the steps of `render_report`, for a progress bar."""
    return 2 * len(runs) + 3


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
    analyses = []
    for analysis in mapping(analyse, runs, [reading] * len(runs)):
        analyses.append(analysis)
        advance(f"metrics of {analysis.name}")
    order = _by_robustness(analyses)
    analyses, runs = [analyses[place] for place in order], [runs[place] for place in order]
    scales = [ras_scale(analyses)] * len(analyses) if len(analyses) > 1 else [None]
    models = []
    for place, charts in enumerate(mapping(_draw, analyses, range(len(analyses)), scales)):
        own = curves(analyses, f"model-{place}", highlighted=place) if len(analyses) > OVERLAID else ()
        models.append(replace(charts, curves=own))
        advance(f"charts of {charts.name}")
    contest = Contest(analyses)
    winners, findings = contest.winners(), find_all(analyses, contest)
    letters = _letters(analyses)
    advance("differences and findings")
    overview = charts_of_all(analyses)
    floors = {analysis.name: analysis.floor for analysis in analyses}
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
        cautions=cautions_of_runs(runs),
        reading=reading,
        formula=READINGS[reading],
        has_probabilities=runs[0].has_distributions,
        has_votes=runs[0].votes is not None,
        notes=[*notes, *notes_of_runs(runs), *notes_on_analyses(analyses), *notes_on_restorations(runs, reading)],
        columns=headline_columns(analyses, winners),
        rankings=rankings(analyses),
        version=RAS_VERSION,
        floors=floor_rows(floors),
        floor_metrics=floor_metrics(floors.values()),
        changes=CONTROL_CHANGES,
        metrics=[EVERY_METRIC[name] for name in headline_metrics(runs[0])],
        names=[analysis.name for analysis in analyses],
        short=[(each.name, in_short(each)) for each in analyses] if len(analyses) <= IN_WORDS else [],
        standings=standings(analyses) if len(analyses) > 1 else [],
        difference=_difference_in_words(letters, _ranked_by(analyses)),
        letters=letters,
        ranked_by=_ranked_by(analyses),
        are_open=len(analyses) <= OPENED,
        findings=findings,
        finding_charts=charts_of_findings(findings),
        mild=joined([str(severity) for severity in MILD]),
        overview=overview,
        models=models,
        gallery=gallery,
        without_gallery="" if show else without_gallery,
        patterns=[EVERY_METRIC[name] for name in PATTERNS],
        resamples=RESAMPLES,
        detail_resamples=DETAIL_RESAMPLES,
    )


def _draw(analysis: RunAnalysis, place: int, ras: Scale | None) -> ModelCharts:
    return charts_of_model(analysis, f"model-{place}", ras)


def _ranked_by(analyses: Sequence[RunAnalysis]) -> str:
    """Return the metric that sorts the models: that of robustness, or accuracy where it is not defined."""
    metric = Contest(analyses).robustness
    return metric if all(EVERY_METRIC[metric].is_defined_for(each.run) for each in analyses) else "acc_corrupted"


def _by_robustness(analyses: Sequence[RunAnalysis]) -> list[int]:
    """Return the places of the analyses from the most robust to the least; those that have no rank come last."""
    ranked = Contest(analyses).ranking(_ranked_by(analyses))
    return [*ranked, *(place for place in range(len(analyses)) if place not in ranked)]


def _letters(analyses: Sequence[RunAnalysis]) -> list[str]:
    """Name the groups of models that cannot be told apart, with a dash for a model that has no rank.

    Empty where fewer than two have a rank, or where their conditions differ.
    """
    ranked = Contest(analyses).ranking(_ranked_by(analyses))
    if len(ranked) < 2 or note_on_designs([each.run for each in analyses]):
        return []
    view = whole_run(analyses[0].run)
    of_ranked = undistinguished_groups([analyses[place].pairs for place in ranked], [view], _ranked_by(analyses))
    letters = dict(zip(ranked, of_ranked[view.name], strict=True))
    return [letters.get(place, MISSING) for place in range(len(analyses))]


def _difference_in_words(letters: Sequence[str], metric: str) -> str:
    """Say how many pairs of models can be told apart; empty where that was not asked."""
    if not letters:
        return ""
    pairs = list(combinations([each for each in letters if each != MISSING], 2))
    # Two groups share a letter where their names do; a letter may be followed by a number.
    apart = sum(not _names(first) & _names(second) for first, second in pairs)
    if len(pairs) == 1:
        told = f"the two models {'can' if apart else 'cannot'} be told apart"
    else:
        told = f"{apart} of the {len(pairs)} pairs of models can be told apart"
    return (
        f"By {metric}, {told} (paired sign-flip tests over samples, Holm-corrected over the pairs, p ≤ 0.05). Models "
        "that share a letter in the table of headline metrics cannot."
    )


def _names(letters: str) -> set[str]:
    return set(re.findall(r"[a-z]\d*", letters))


def _gallery_part(analyses: Sequence[RunAnalysis], kind: str, show: ShowSample) -> tuple[str, list[Card]]:
    chosen = candidates(analyses, "destroyed" if kind == "destroyed" else "corrected")
    return kind, [show_card(candidate, show) for candidate in chosen]
