"""`selection.png`: how separation depends on the subset's size, and how the subset covers the pool's topics."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchc_tasks.selection.separation import SeparationCurve

__all__ = ["draw_selection"]

# Blue and orange of the palette that Okabe and Ito made for the colour-blind; they differ in print as well.
SELECTED, RANDOM, POOL = "#0072B2", "#7a7a7a", "#E69F00"


def draw_selection(
    path: Path,
    curve: SeparationCurve,
    size: int,
    clusters: NDArray[np.int64],
    candidates: NDArray[np.bool_],
    positions: NDArray[np.int64],
    title: str,
) -> None:
    """Draw the picture of a selection.

    Parameters
    ----------
    path : Path
        The PNG.
    curve : SeparationCurve
        The left panel.
    size : int
        Of the subset, marked there.
    clusters : ndarray of int64, shape (samples,)
        Each sample's cluster, for the right panel: what share of the candidates and of the subset each one has.
    candidates : ndarray of bool, shape (samples,)
    positions : ndarray of int64
        Of the subset.
    title : str
        Stands above both.
    """
    # The object-oriented interface: pyplot would hold figures in a global state, and might look for a screen.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11.0, 4.6), layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2)
    _draw_curve(left, curve, size)
    _draw_coverage(right, clusters, candidates, positions)
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
        axes.tick_params(labelsize=9)
    figure.suptitle(title, fontsize=12, fontweight="bold")
    figure.savefig(path, dpi=150)


def _draw_curve(axes: Any, curve: SeparationCurve, size: int) -> None:
    low, high = np.array(curve.random).T
    axes.fill_between(curve.sizes, low, high, color=RANDOM, alpha=0.25, linewidth=0, label="random, 5 to 95 %")
    axes.axhline(1.0, color=RANDOM, linewidth=1, linestyle="--")
    splits = np.array(curve.selected)
    if len(splits) > 1:
        for split in splits:
            axes.plot(curve.sizes, split, color=SELECTED, alpha=0.3, linewidth=1)
    label = f"selected, mean of {len(splits)} splits" if len(splits) > 1 else "selected"
    axes.plot(curve.sizes, splits.mean(axis=0), color=SELECTED, linewidth=2, marker="o", markersize=4, label=label)
    axes.axvline(size, color="black", linewidth=1, linestyle=":")
    axes.annotate(
        f"{size} samples",
        (size, 0.02),
        xycoords=("data", "axes fraction"),
        xytext=(4, 0),
        textcoords="offset points",
        fontsize=9,
        bbox={"facecolor": "white", "edgecolor": "none", "pad": 1},
    )
    axes.set_xscale("log")
    axes.set_xticks(curve.sizes, [f"{value:,}" for value in curve.sizes])
    axes.minorticks_off()
    axes.set_ylim(bottom=0)
    axes.set_xlabel("samples in the subset", fontsize=10)
    axes.set_ylabel("separation of models, random = 1", fontsize=10)
    judges = "half of the models select, the others judge" if curve.is_held_out else "the models that select also judge"
    axes.set_title(f"Separation against size ({judges})", fontsize=10, loc="left")
    axes.legend(frameon=False, fontsize=9)


def _draw_coverage(
    axes: Any, clusters: NDArray[np.int64], candidates: NDArray[np.bool_], positions: NDArray[np.int64]
) -> None:
    bins = int(clusters.max()) + 1
    of_candidates = np.bincount(clusters[candidates], minlength=bins)
    of_subset = np.bincount(clusters[positions], minlength=bins)
    there = of_candidates > 0
    covered = int((of_subset[there] > 0).sum())
    order = np.argsort(-of_candidates, kind="stable")[: int(there.sum())]
    shares = [counts[order] / counts.sum() * 100 for counts in (of_candidates, of_subset)]
    edges = np.arange(len(order) + 1)
    axes.bar(
        edges[:-1],
        shares[0],
        width=1,
        align="edge",
        color=POOL,
        alpha=0.75,
        label="candidates",
        edgecolor="white",
        linewidth=1 if len(order) <= 60 else 0,
    )
    marker = float(np.clip(160 / len(order), 2, 5))
    axes.plot(edges[:-1] + 0.5, shares[1], color=SELECTED, marker="o", markersize=marker, linestyle="", label="subset")
    axes.set_xlim(0, len(order))
    axes.set_ylim(0, 1.1 * max(values.max() for values in shares))
    axes.set_xticks([])
    axes.set_xlabel("topics, the one with most candidates first", fontsize=10)
    axes.set_ylabel("share of the samples (%)", fontsize=10)
    axes.set_title(
        f"Coverage: {covered} of {int(there.sum())} topics have samples in the subset", fontsize=10, loc="left"
    )
    axes.legend(frameon=False, fontsize=9)
