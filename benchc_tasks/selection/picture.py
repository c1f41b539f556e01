"""Draw a selection: what subsets of each size are worth beside random ones, and which kinds of samples it holds."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchc_tasks.selection.kinds import Kinds
from benchc_tasks.selection.measures import Measure, SubsetCurve, one_letter_accuracy
from benchc_tasks.selection.selecting import Selection

__all__ = ["PICTURE_FILES", "draw_selection"]

PICTURE_FILES = ("selection.png", "selection.svg")

# Blue and orange of the palette that Okabe and Ito made for the colour-blind; they differ in print as well.
SELECTED, RANDOM, POOL = "#0072B2", "#7a7a7a", "#E69F00"

KINDS_SHOWN = 16
"""Kinds with a bar; the others are counted in the title."""

NAME_LENGTH = 32


def draw_selection(
    folder: Path,
    curve: SubsetCurve,
    size: int,
    answers: NDArray[np.int64],
    kinds: Kinds,
    selection: Selection,
    title: str,
) -> None:
    """Draw the picture of a selection, as PNG and as SVG.

    Parameters
    ----------
    folder : Path
        Where `selection.png` and `selection.svg` are written.
    curve : SubsetCurve
        For the first three panels.
    size : int
        Of the subset, marked there.
    answers : ndarray of int64, shape (samples,)
        Index of each sample's right option.
    kinds : Kinds of the samples
        For the last panel: the share of the candidates and of the subset that is of each kind.
    selection : Selection
    title : str
        Stands above all.
    """
    # The object-oriented interface: pyplot would hold figures in a global state, and might look for a screen.
    from matplotlib import rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    figure = Figure(figsize=(11.0, 8.4), layout=ConstrainedLayoutEngine(w_pad=0.12, h_pad=0.12), facecolor="white")
    FigureCanvasAgg(figure)
    panels = figure.subplots(2, 2)
    judges = "half of the models select, the others judge" if curve.is_held_out else "the models that select also judge"
    _draw_separation(panels[0, 0], curve, size)
    _draw_tau(panels[0, 1], curve, size)
    _draw_one_letter(panels[1, 0], curve, size, one_letter_accuracy(answers))
    _draw_kinds(panels[1, 1], kinds, selection)
    for axes in panels.flat:
        axes.spines[["top", "right"]].set_visible(False)
        axes.tick_params(labelsize=8.5)
    figure.suptitle(f"{title}\n{judges}", fontsize=11)
    figure.savefig(folder / PICTURE_FILES[0], dpi=150)
    # Without a date and with fixed names of its parts the same picture is the same file.
    with rc_context({"svg.hashsalt": "benchc", "svg.fonttype": "none"}):
        figure.savefig(folder / PICTURE_FILES[1], metadata={"Date": None})


def _draw_separation(axes: Any, curve: SubsetCurve, size: int) -> None:
    _draw_measure(axes, curve, curve.separation, size)
    axes.set_ylim(bottom=0)
    axes.set_ylabel("separation, random = 1", fontsize=9)
    axes.set_title(
        "Separation: how far models lie apart, in standard errors\n(2 = twice as far as on random subsets of the size)",
        fontsize=9.5,
        loc="left",
    )


def _draw_tau(axes: Any, curve: SubsetCurve, size: int) -> None:
    _draw_measure(axes, curve, curve.tau, size)
    axes.set_ylim(top=1.02)
    axes.set_ylabel("Kendall's tau", fontsize=9)
    axes.set_title(
        "Order: agreement of the models' ranks on subset and pool\n(1 = the same order)", fontsize=9.5, loc="left"
    )


def _draw_one_letter(axes: Any, curve: SubsetCurve, size: int, pool: float) -> None:
    axes.axhline(pool, color=POOL, linewidth=1.5, label=f"pool, {pool:.2f}")
    _draw_measure(axes, curve, curve.one_letter, size)
    axes.set_ylim(0, 1)
    axes.set_ylabel("accuracy", fontsize=9)
    axes.set_title(
        "Letters: accuracy of a model that always says one letter\n(the best of the letters)", fontsize=9.5, loc="left"
    )


def _draw_measure(axes: Any, curve: SubsetCurve, measure: Measure, size: int) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    low, mean, high = np.array(measure.random).T
    axes.fill_between(curve.sizes, low, high, color=RANDOM, alpha=0.25, linewidth=0, label="random, 5 to 95 %")
    axes.plot(curve.sizes, mean, color=RANDOM, linewidth=1, linestyle="--", label="random, mean")
    splits = np.array(measure.selected)
    if len(splits) > 1:
        for split in splits:
            axes.plot(curve.sizes, split, color=SELECTED, alpha=0.3, linewidth=1)
    label = f"selected, mean of {len(splits)} splits" if len(splits) > 1 else "selected"
    axes.plot(curve.sizes, splits.mean(axis=0), color=SELECTED, linewidth=2, marker="o", markersize=4, label=label)
    axes.axvline(size, color="black", linewidth=1, linestyle=":", label=f"this subset, {size:,}")
    axes.set_xscale("log")
    spread = np.log10(max(curve.sizes) / min(curve.sizes))
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if spread < 2.5 else (1,)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, place: f"{value:,.0f}"))
    axes.set_xlabel("samples in the subset", fontsize=9)
    axes.legend(facecolor="white", edgecolor="none", framealpha=0.85, fontsize=8)


def _draw_kinds(axes: Any, kinds: Kinds, selection: Selection) -> None:
    count = len(kinds.names)
    # Quotas follow the pool; places dealt out over topics follow its candidates.
    has_quotas = len(selection.by_quota) > 0
    whole = kinds.labels if has_quotas else kinds.labels[selection.candidates]
    of_whole, of_subset = (
        np.bincount(labels, minlength=count) / len(labels) * 100
        for labels in (whole, kinds.labels[selection.positions])
    )
    there = of_whole > 0
    covered = int((of_subset[there] > 0).sum())
    order = np.argsort(-of_whole, kind="stable")[: int(there.sum())]
    shown, rest = order[:KINDS_SHOWN], order[KINDS_SHOWN:]
    places = np.arange(len(shown))
    name = "pool" if has_quotas else "candidates"
    axes.barh(places, of_whole[shown], color=POOL, alpha=0.75, height=0.75, label=name)
    axes.plot(of_subset[shown], places, color=SELECTED, marker="o", markersize=4, linestyle="", label="subset")
    axes.set_yticks(places, [_shortened(kinds.names[kind]) for kind in shown], fontsize=7.5)
    axes.set_ylim(len(shown) - 0.4, -0.6)
    axes.set_xlim(0, 1.08 * max(of_whole[shown].max(), of_subset[shown].max()))
    axes.set_xlabel("share of the samples (%)", fontsize=9)
    what = "topics" if kinds.clusters is not None else "categories"
    title = f"Coverage: the subset holds {covered:,} of {int(there.sum()):,} {what}"
    if len(rest):
        title += f"\n({len(rest):,} smaller ones, {of_whole[rest].sum():.0f} % of the {name}, have no bar)"
    axes.set_title(title, fontsize=9.5, loc="left")
    axes.legend(frameon=False, fontsize=8, loc="lower right")


def _shortened(name: str) -> str:
    """Cut a name to the room beside the bars; `$` starts no formula."""
    short = textwrap.shorten(" ".join(name.replace("_", " ").split()), NAME_LENGTH, placeholder=" ...")
    return short.replace("$", r"\$")
