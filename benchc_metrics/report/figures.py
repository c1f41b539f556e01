"""Single charts of the report as figures for a paper, each with a caption."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

from matplotlib.text import Text

from benchc_metrics.findings.analysis import RunAnalysis, analyse, check_all_comparable
from benchc_metrics.findings.rankings import rankings
from benchc_metrics.metrics.ras import DEFAULT_READING, RAS_VERSION, Reading
from benchc_metrics.pages.charts import Chart, ranks_by_reading
from benchc_metrics.pages.drawing import on_paper
from benchc_metrics.pages.paper import check_ending, written
from benchc_metrics.report.charts import OVERLAID, charts_of_all, charts_of_model, curves, short_names
from benchc_metrics.runs import Run
from benchc_metrics.wording import joined

__all__ = ["COLUMN_WIDTH", "KINDS", "Kind", "PaperFigure", "figure_of"]

Kind: TypeAlias = Literal["curves", "heat-map", "decomposition", "reliability", "ranks"]
"""What a figure shows."""

KINDS: tuple[Kind, ...] = get_args(Kind)

COLUMN_WIDTH = 3.25
"""Of a page of two columns, in inches."""

SMALLEST_LETTERS = 5.5
"""In points; smaller letters are hard to read on paper."""

_PIXELS_PER_POINT = 1.5
"""So many of a chart's pixels make one point on paper: its letters of 10 and 11 pixels have about 7 points then."""

_POINTS_PER_INCH = 72
_NEEDS_PROBABILITIES = ("decomposition", "reliability", "ranks")
_OF_ONE_RUN = ("decomposition", "reliability")


@dataclass(frozen=True)
class PaperFigure:
    """A figure as a file holds it.

    Attributes
    ----------
    content : bytes
        The file.
    caption : str
        What the figure shows, of how many samples, and how.
    cautions : tuple of str
        Why a reader should doubt a run, a sentence each.
    letters : float
        Size of its smallest letters, in points.
    """

    content: bytes
    caption: str
    cautions: tuple[str, ...]
    letters: float

    @property
    def is_small(self) -> bool:
        """Whether its letters are hard to read on paper."""
        return self.letters < SMALLEST_LETTERS


def figure_of(
    kind: Kind,
    runs: Sequence[Run],
    ending: str,
    *,
    metric: str = "ras",
    answers: str = "corrupted",
    width: float = COLUMN_WIDTH,
    reading: Reading = DEFAULT_READING,
) -> PaperFigure:
    """Draw one figure of runs.

    Parameters
    ----------
    kind : {"curves", "heat-map", "decomposition", "reliability", "ranks"}
        `decomposition` and `reliability` show one run, `ranks` two or more.
    runs : sequence of Run
        Over the same samples, images and prompt.
    ending : {".pdf", ".svg", ".png"}
        Of the file.
    metric : {"ras", "accuracy"}
        Of curves and heat map; runs without probabilities have accuracy only.
    answers : {"clean", "corrupted"}
        Of which answers the reliability is shown.
    width : float
        In inches.
    reading : {"brier", "probability", "confidence", "certainty"}
        Of RAS.

    Returns
    -------
    PaperFigure

    Raises
    ------
    ValueError
        If the file's ending is another, the runs do not belong together, or the figure is not defined for them.
    """
    check_ending(ending)
    notes = check_all_comparable(runs)
    has_ras = all(run.has_distributions for run in runs)
    _check_number(kind, len(runs))
    if not has_ras and (kind in _NEEDS_PROBABILITIES or metric == "ras"):
        asked = kind if kind in _NEEDS_PROBABILITIES else "RAS"
        raise ValueError(
            f"{asked} needs probabilities, which generated letters do not have: draw curves or heat-map with "
            "--metric accuracy"
        )
    analyses = [analyse(run, reading) for run in runs]
    room = width * _POINTS_PER_INCH
    with on_paper(room * _PIXELS_PER_POINT) as paper:
        chart, place = _chart(kind, analyses, metric, answers)
    figure = paper.figures[place]
    scale = room / (float(figure.get_size_inches()[0]) * _POINTS_PER_INCH)
    is_ras = kind in ("decomposition", "ranks") or (kind != "reliability" and metric == "ras")
    caption = _caption(chart, runs, reading if is_ras and kind != "ranks" else None, notes)
    cautions = tuple(f"CAUTION ({each.name}): {run.name}: {each.sentence}" for run in runs for each in run.cautions)
    letters = min(float(text.get_fontsize()) for text in figure.findobj(Text) if text.get_text())
    return PaperFigure(written(figure, ending, scale, caption), caption, cautions, letters * scale)


def _check_number(kind: Kind, runs: int) -> None:
    if kind in _OF_ONE_RUN and runs != 1:
        raise ValueError(f"a figure of {kind} shows one run: name one of the {runs}")
    if kind == "ranks" and runs < 2:
        raise ValueError("ranks compare models: name two runs or more")
    if kind in ("curves", "ranks") and runs > OVERLAID:
        raise ValueError(f"a figure of {kind} tells {OVERLAID} runs apart at most: name fewer than {runs}")


def _chart(kind: Kind, analyses: Sequence[RunAnalysis], metric: str, answers: str) -> tuple[Chart, int]:
    """Draw the charts of which one is asked for; return it with its place among what was drawn."""
    has_ras = analyses[0].run.has_distributions
    if kind == "ranks":
        return _ranks(analyses), 0
    if kind == "curves":
        drawn = curves(analyses, "figure")
        place = 1 if has_ras and metric == "accuracy" else 0
    elif kind == "heat-map" and len(analyses) > 1:
        drawn = charts_of_all(analyses, "figure", metric)
        place = len(drawn) - 1
    else:
        charts = charts_of_model(analyses[0], "figure")
        drawn = [*charts.heat_maps, *charts.parts, *charts.reliability]
        titles = {
            "heat-map": "RAS" if metric == "ras" else "Accuracy",
            "decomposition": "Destructive and corrective part",
            "reliability": f"Reliability, {answers}",
        }
        place = [chart.title for chart in drawn].index(titles[kind])
    return drawn[place], place


def _ranks(analyses: Sequence[RunAnalysis]) -> Chart:
    found = rankings(analyses)
    labels = short_names([each.name for each in analyses])
    readings = [f"{each.reading}{', tempered' if each.is_tempered else ''}" for each in found]
    ranks = [(label, [each.ranks[place] for each in found]) for place, label in enumerate(labels)]
    changed = len({each.ranks for each in found}) > 1
    return ranks_by_reading(
        "figure-ranks",
        "Ranks by RAS under each reading, tempered and raw",
        readings,
        ranks,
        "Rank 1 is the most robust. "
        + ("The ranking depends on the reading." if changed else "The ranking is the same under every reading."),
    )


def _caption(chart: Chart, runs: Sequence[Run], reading: Reading | None, notes: Sequence[str]) -> str:
    first = runs[0]
    of_ras = "" if reading is None else f" RAS version {RAS_VERSION}, reading {reading}."
    corruptions = "corruption" if len(first.corruptions) == 1 else "corruptions"
    sentences = [
        f"{chart.title}: {joined([run.name for run in runs])}. {chart.description}{of_ras}",
        f"n = {len(first.sample_ids):,} samples, {len(first.corruptions)} {corruptions} at "
        f"{len(first.severities)} severities.",
        *notes,
        *(
            ["The bundled demonstration set was evaluated; this is no Bench-C result."]
            if any(run.metadata.demonstration for run in runs)
            else []
        ),
    ]
    return " ".join(sentences)
