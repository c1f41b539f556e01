"""Linear filters and zooms that several corruptions are made of.

All work on rows of numbers, a row being W pixels of C channels side by side, and add terms in a fixed order.
"""

import math
from typing import Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from benchc_tasks.corruptions.compiled import compiled
from benchc_tasks.corruptions.exact_math import cosine_and_sine, gaussian_weights, one_sided_gaussian_weights
from benchc_tasks.corruptions.picture import MARGINS, Picture

__all__ = ["add_zoomed", "blur_picture", "gaussian_filter", "streak", "to_pixels", "zoom_grid"]

Float = TypeVar("Float", np.float32, np.float64)


@compiled
def _truncate(values: NDArray[np.float32], out: NDArray[np.uint8]) -> None:
    top = np.float32(255.0)
    bottom = np.float32(0.0)
    for i in range(out.size):
        out[i] = np.uint8(np.int32(min(max(values[i], bottom), top)))


def to_pixels(values: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Clip to 0..255 and cut off the fraction, as the reference does.

    Parameters
    ----------
    values : ndarray of float32
        Grey levels.

    Returns
    -------
    ndarray of uint8
        In the shape of `values`.
    """
    out = np.empty(values.shape, np.uint8)
    _truncate(values.reshape(-1), out.reshape(-1))
    return out


@compiled
def _separable(
    padded: NDArray[np.float32],
    down: NDArray[np.float32],
    across: NDArray[np.float32],
    top: int,
    left: int,
    channels: int,
    out: NDArray[np.float32],
) -> None:
    """Correlate with the symmetric filters `down` and `across`, each given from its centre outwards."""
    rows, length = out.shape
    start = (across.size - 1) * channels
    first = left * channels - start
    stop = first + length + 2 * start
    column = np.empty(length + 2 * start, padded.dtype)
    for y in range(rows):
        centre = padded[y + top, first:stop]
        weight = down[0]
        for i in range(column.size):
            column[i] = weight * centre[i]
        for k in range(1, down.size):
            weight = down[k]
            above = padded[y + top - k, first:stop]
            below = padded[y + top + k, first:stop]
            for i in range(column.size):
                column[i] += weight * (above[i] + below[i])
        row = out[y]
        middle = column[start : start + length]
        weight = across[0]
        for i in range(length):
            row[i] = weight * middle[i]
        for k in range(1, across.size):
            weight = across[k]
            before = column[start - k * channels : start - k * channels + length]
            after = column[start + k * channels : start + k * channels + length]
            for i in range(length):
                row[i] += weight * (before[i] + after[i])


def gaussian_filter(
    image: NDArray[Float], sigma: tuple[float, float], truncate: float, border: Literal["edge", "symmetric"]
) -> NDArray[Float]:
    """Blur a field with a Gaussian, first down the columns, then along the rows.

    Parameters
    ----------
    image : ndarray of float32 or float64, shape (H, W)
        What to blur.
    sigma : tuple of float
        Standard deviations in pixels, down and across.
    truncate : float
        Where the filter ends, in standard deviations.
    border : {"edge", "symmetric"}
        As in `numpy.pad`: beyond the border its pixels are repeated, or the image is mirrored at its outer edge.

    Returns
    -------
    ndarray
        In the shape and dtype of `image`.
    """
    down, across = (gaussian_weights(one, truncate).astype(image.dtype) for one in sigma)
    top, left = down.size - 1, across.size - 1
    padded = np.pad(image, ((top, top), (left, left)), mode=border)
    out = np.empty_like(image)
    _separable(padded, down, across, top, left, 1, out)
    return out


def blur_picture(picture: Picture, sigma: float) -> NDArray[np.float32]:
    """Blur an image with a Gaussian that ends at four standard deviations, the border pixels repeated.

    Parameters
    ----------
    picture : Picture
        The image.
    sigma : float
        Standard deviation in pixels, at most 9.

    Returns
    -------
    ndarray of float32, shape (H, W, 3)
        The blurred image.
    """
    weights = gaussian_weights(sigma, 4.0).astype(np.float32)
    margin = MARGINS["edge"]
    padded = picture.padded("edge")
    out = np.empty(picture.pixels.shape, np.float32)
    height = out.shape[0]
    _separable(padded.reshape(padded.shape[0], -1), weights, weights, margin, margin, 3, out.reshape(height, -1))
    return out


@compiled
def _weighted_shifts(
    padded: NDArray[np.float32],
    tops: NDArray[np.int64],
    starts: NDArray[np.int64],
    weights: NDArray[np.float32],
    out: NDArray[np.float32],
) -> None:
    rows, length = out.shape
    for y in range(rows):
        row = out[y]
        row[:] = 0
        for tap in range(weights.size):
            weight = weights[tap]
            source = padded[y + tops[tap], starts[tap] : starts[tap] + length]
            for i in range(length):
                row[i] += weight * source[i]


def streak(
    padded: NDArray[np.float32], reach: int, degrees: float, radius: int, sigma: float, shape: tuple[int, ...]
) -> NDArray[np.float32]:
    """Smear an image along a line that fades from its first pixel on.

    Parameters
    ----------
    padded : ndarray of float32, shape (H + 2 reach, W + 2 reach) or (H + 2 reach, W + 2 reach, C)
        The image, its outermost pixels repeated `reach` times, at least ``2 * radius``.
    reach : int
        The padding.
    degrees : float
        Direction of the line; 0 smears along the rows.
    radius : int
        The line is ``2 * radius + 1`` pixels long.
    sigma : float
        Standard deviation of its fading, in pixels.
    shape : tuple of int
        Shape of the result: (H, W) or (H, W, C).

    Returns
    -------
    ndarray of float32
        The smeared image.

    Notes
    -----
    Where a shift is as large as the image the reference stops, without making up for the missing weight, which
    darkens images of 32 to 40 pixels. So does this, but in images with a side under 32, which the reference refuses,
    the line goes on over the repeated border.
    """
    weights = one_sided_gaussian_weights(2 * radius + 1, sigma)
    cosine, sine = cosine_and_sine(degrees)
    down = [-math.ceil(step * sine - 0.5) for step in range(weights.size)]
    right = [-math.ceil(step * cosine - 0.5) for step in range(weights.size)]
    taps = weights.size
    if min(shape[:2]) >= 32:
        outside = [abs(dy) >= shape[0] or abs(dx) >= shape[1] for dy, dx in zip(down, right, strict=True)]
        taps = outside.index(True) if True in outside else taps
    channels = shape[2] if len(shape) == 3 else 1
    out = np.empty(shape, np.float32)
    _weighted_shifts(
        padded.reshape(padded.shape[0], -1),
        np.array([reach - dy for dy in down[:taps]]),
        np.array([(reach - dx) * channels for dx in right[:taps]]),
        weights[:taps].astype(np.float32),
        out.reshape(shape[0], -1),
    )
    return out


def zoom_grid(
    size: int, factor: float, part_only: bool = False
) -> tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.float32]]:
    """Return where a zoom into the middle of an axis reads.

    Parameters
    ----------
    size : int
        Length of the axis.
    factor : float
        The zoom, at least 1.
    part_only : bool, default=False
        Whether the axis is the middle part already, all of which is zoomed.

    Returns
    -------
    index : ndarray of int64
        For each pixel of the zoomed axis, the first of the two pixels that it lies between.
    near, far : ndarray of float32
        The weights of that pixel and of the next.

    Notes
    -----
    As in `scipy.ndimage.zoom` at order 1: the outermost pixels of the part zoomed into become the outermost pixels of
    the result, and a position that lands beyond the last pixel, by rounding, is black.
    """
    part = size if part_only else math.ceil(size / factor)
    zoomed = round(part * factor)
    step = (part - 1) / (zoomed - 1) if zoomed > 1 else 0.0
    position = np.arange(zoomed) * step
    index = np.minimum(np.floor(position).astype(np.int64), max(part - 2, 0))
    far = position - index
    near = 1.0 - far
    beyond = position > part - 1
    far[beyond] = near[beyond] = 0.0
    return index + (size - part) // 2, near.astype(np.float32), far.astype(np.float32)


@compiled
def _add_zoomed(
    image: NDArray[np.float32],
    rows: tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.float32]],
    columns: tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.float32]],
    out: NDArray[np.float32],
) -> None:
    height, width, channels = out.shape
    last = image.shape[0] - 1
    line = np.zeros((image.shape[1] + 1) * channels, np.float32)
    for y in range(height):
        first = rows[0][y]
        above = image[first].reshape(-1)
        below = image[min(first + 1, last)].reshape(-1)
        near = rows[1][y]
        far = rows[2][y]
        for i in range(above.size):
            line[i] = near * above[i] + far * below[i]
        row = out[y]
        for x in range(width):
            start = columns[0][x] * channels
            near = columns[1][x]
            far = columns[2][x]
            for c in range(channels):
                row[x, c] += near * line[start + c] + far * line[start + channels + c]


def add_zoomed(out: NDArray[np.float32], image: NDArray[np.float32], factor: float, part_only: bool = False) -> None:
    """Add, in place, an image zoomed into its middle.

    Parameters
    ----------
    out : ndarray of float32, shape (H', W', C)
        What to add to; the zoomed image is cropped to it at its top left corner, as in the reference.
    image : ndarray of float32, shape (H, W, C)
        The image.
    factor : float
        The zoom, at least 1.
    part_only : bool, default=False
        Whether `image` is only the middle part already.
    """
    height, width = image.shape[:2]
    _add_zoomed(image, zoom_grid(height, factor, part_only), zoom_grid(width, factor, part_only), out)
