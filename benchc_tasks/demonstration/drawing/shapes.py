"""Draw masks in [0, 1]: shapes from signed distances, and handwritten digits from enlarged glyphs."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

__all__ = ["HELD_OUT_EVERY", "SHAPES", "digit_mask", "glyph_indices", "shape_mask"]

Floats = NDArray[np.float64]
Distance = Callable[[Floats, Floats], Floats]

HELD_OUT_EVERY = 6
"""Every sixth glyph of scikit-learn's digits is kept for evaluation; training never draws it."""


def _circle(x: Floats, y: Floats) -> Floats:
    return np.hypot(x, y) - 0.95


def _ring(x: Floats, y: Floats) -> Floats:
    return np.abs(np.hypot(x, y) - 0.70) - 0.26


def _box(x: Floats, y: Floats, width: float, height: float) -> Floats:
    return np.maximum(np.abs(x) - width, np.abs(y) - height)


def _square(x: Floats, y: Floats) -> Floats:
    return _box(x, y, 0.84, 0.84)


def _diamond(x: Floats, y: Floats) -> Floats:
    return np.asarray((np.abs(x) * 1.25 + np.abs(y) - 1.05) / 1.6)


def _triangle(x: Floats, y: Floats) -> Floats:
    return np.maximum(np.abs(x) * 0.88 - (y + 1.0) * 0.47, y - 0.85)


def _cross(x: Floats, y: Floats) -> Floats:
    return np.minimum(_box(x, y, 0.95, 0.32), _box(x, y, 0.32, 0.95))


def _star(x: Floats, y: Floats) -> Floats:
    # Fold the plane into half a point of the star, then measure the distance to that point's one edge.
    sector = np.pi / 5
    angle = np.abs((np.arctan2(x, -y) + sector) % (2 * sector) - sector)
    radius = np.hypot(x, y)
    tip, notch = np.array([1.05, 0.0]), 0.46 * np.array([np.cos(sector), np.sin(sector)])
    edge = (notch - tip) / np.hypot(*(notch - tip))
    return np.asarray((radius * np.cos(angle) - tip[0]) * edge[1] - (radius * np.sin(angle) - tip[1]) * edge[0])


def _heart(x: Floats, y: Floats) -> Floats:
    # Two round lobes, a point between the straight lines that touch both lobes, and a box that fills the gap.
    lobes = np.hypot(np.abs(x) - 0.44, y + 0.35) - 0.50
    point = np.maximum(0.765 * np.abs(x) + 0.644 * y - 0.611, -y - 0.028)
    return np.minimum(np.minimum(lobes, point), _box(x, y + 0.10, 0.30, 0.20))


SHAPES: dict[str, Distance] = {
    "circle": _circle,
    "square": _square,
    "triangle": _triangle,
    "star": _star,
    "cross": _cross,
    "ring": _ring,
    "diamond": _diamond,
    "heart": _heart,
}
"""Signed distance of each shape from its outline, in units of half its size; negative inside, y downwards."""


def _turned(size: int, centre: tuple[float, float], half: float, turn: float) -> tuple[Floats, Floats]:
    """Return a picture's pixel centres in a thing's own coordinates: [-1, 1] across it, turned by `turn` radians."""
    pixels = np.arange(size) + 0.5
    x, y = (pixels[None, :] - centre[0]) / half, (pixels[:, None] - centre[1]) / half
    return x * np.cos(turn) + y * np.sin(turn), y * np.cos(turn) - x * np.sin(turn)


def shape_mask(shape: str, size: int, centre: tuple[float, float], half: float, turn: float) -> NDArray[np.float32]:
    """Rasterise a shape with smooth edges.

    Parameters
    ----------
    shape
        A key of `SHAPES`.
    size
        Width and height of the picture.
    centre
        Column and row of the shape's centre, in pixels.
    half
        Half of the shape's size, in pixels.
    turn
        Rotation in radians.

    Returns
    -------
    ndarray of shape (size, size)
        The share of each pixel that the shape covers.
    """
    distance = SHAPES[shape](*_turned(size, centre, half, turn)) * half
    return np.asarray(np.clip(0.5 - distance, 0.0, 1.0), np.float32)


@lru_cache(maxsize=1)
def _glyphs() -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Return scikit-learn's 1,797 handwritten digits, 8 x 8 in [0, 1], and the digit that each shows."""
    # Imported here: scikit-learn takes a second to import, and only scenes with digits need it.
    from sklearn.datasets import load_digits

    digits = load_digits()
    return np.asarray(digits.images / 16.0, np.float32), np.asarray(digits.target, np.int64)


@lru_cache(maxsize=32)
def glyph_indices(digit: int, held_out: bool) -> tuple[int, ...]:
    """Return the indices of a digit's glyphs: the held-out ones, or all others."""
    _, labels = _glyphs()
    same = np.flatnonzero(labels == digit)
    return tuple(int(index) for index in same if (index % HELD_OUT_EVERY == 0) == held_out)


def digit_mask(glyph: int, size: int, centre: tuple[float, float], half: float, turn: float) -> NDArray[np.float32]:
    """Rasterise a handwritten digit: its 8 x 8 glyph enlarged by bilinear interpolation, with a sharpened edge.

    Parameters
    ----------
    glyph
        Index into scikit-learn's digits.
    size, centre, half, turn
        As in `shape_mask`.

    Returns
    -------
    ndarray of shape (size, size)
        The share of each pixel that the ink covers.
    """
    images, _ = _glyphs()
    padded = np.pad(images[glyph], 1)
    x, y = _turned(size, centre, half, turn)
    columns, rows = np.clip(x * 4.0 + 4.5, 0.0, 9.0 - 1e-6), np.clip(y * 4.0 + 4.5, 0.0, 9.0 - 1e-6)
    left, top = columns.astype(int), rows.astype(int)
    across, down = columns - left, rows - top
    upper = padded[top, left] * (1 - across) + padded[top, left + 1] * across
    lower = padded[top + 1, left] * (1 - across) + padded[top + 1, left + 1] * across
    ink = upper * (1 - down) + lower * down
    return np.asarray(np.clip((ink - 0.30) / 0.30, 0.0, 1.0), np.float32)
