"""Draw textured backgrounds of a scene: gradients, blotches, stripes and grain, in muted colours."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

__all__ = ["TEXTURES", "background"]

Pattern = Callable[[int, np.random.Generator], NDArray[np.float32]]


def _coordinates(size: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the columns and rows of a square picture, scaled to [-1, 1]."""
    axis = np.linspace(-1.0, 1.0, size, dtype=np.float32)
    return axis[None, :], axis[:, None]


def _enlarging(small: int, size: int) -> NDArray[np.float32]:
    """Return the (size, small) matrix that enlarges an axis with smooth, cosine-weighted steps."""
    places = np.linspace(0.0, small - 1.0, size)
    left = np.minimum(places.astype(int), small - 2)
    weight = 0.5 - 0.5 * np.cos(np.pi * (places - left))
    matrix = np.zeros((size, small))
    matrix[np.arange(size), left] = 1.0 - weight
    matrix[np.arange(size), left + 1] = weight
    return matrix.astype(np.float32)


def _gradient(size: int, rng: np.random.Generator) -> NDArray[np.float32]:
    columns, rows = _coordinates(size)
    angle = rng.uniform(0.0, 2.0 * np.pi)
    return np.asarray(np.clip(0.5 + 0.4 * (np.cos(angle) * columns + np.sin(angle) * rows), 0.0, 1.0), np.float32)


def _blotches(size: int, rng: np.random.Generator) -> NDArray[np.float32]:
    small = int(rng.integers(4, 10))
    matrix = _enlarging(small, size)
    return np.asarray(matrix @ rng.random((small, small), dtype=np.float32) @ matrix.T, np.float32)


def _stripes(size: int, rng: np.random.Generator) -> NDArray[np.float32]:
    columns, rows = _coordinates(size)
    angle, phase = rng.uniform(0.0, 2.0 * np.pi, 2)
    waves = rng.uniform(2.0, 7.0) * np.pi
    return np.asarray(0.5 + 0.5 * np.sin(waves * (np.cos(angle) * columns + np.sin(angle) * rows) + phase), np.float32)


def _grain(size: int, rng: np.random.Generator) -> NDArray[np.float32]:
    small = int(rng.integers(24, 56))
    matrix = _enlarging(small, size)
    return np.asarray(matrix @ rng.random((small, small), dtype=np.float32) @ matrix.T, np.float32)


TEXTURES: dict[str, Pattern] = {"gradient": _gradient, "blotches": _blotches, "stripes": _stripes, "grain": _grain}
"""The kinds of background: each gives a (size, size) pattern in [0, 1] that blends two colours."""


def background(size: int, texture: str, rng: np.random.Generator) -> NDArray[np.float32]:
    """Draw a background.

    Parameters
    ----------
    size
        Width and height in pixels.
    texture
        A key of `TEXTURES`.
    rng
        Source of the colours and of the pattern.

    Returns
    -------
    ndarray of shape (size, size, 3)
        Colours in [0, 1]; muted and of middling lightness, so that every shape's colour stands out.
    """
    lightness = rng.uniform(0.36, 0.68)
    contrast = rng.uniform(0.05, 0.11)
    tint = rng.uniform(-0.055, 0.055, 3)
    first = lightness - contrast + tint
    second = lightness + contrast + rng.uniform(-0.03, 0.03, 3) + tint
    pattern = TEXTURES[texture](size, rng)[..., None]
    fine_grain = rng.standard_normal((size, size, 1), dtype=np.float32) * np.float32(rng.uniform(0.008, 0.025))
    blended = first.astype(np.float32) * (1.0 - pattern) + second.astype(np.float32) * pattern
    return np.asarray(np.clip(blended + fine_grain, 0.0, 1.0), np.float32)
