"""Linear filters and zooms that several corruptions are made of.

All work on rows of numbers, a row being W pixels of C channels side by side, and add terms in a fixed order.
"""

import math
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from benchc_tasks.corruptions.compiled import compiled
from benchc_tasks.corruptions.exact_math import cosine_and_sine, gaussian_weights, one_sided_gaussian_weights
from benchc_tasks.corruptions.picture import MARGINS, Picture, pad

__all__ = ["blur_field", "blur_picture", "enlarge", "look_up", "mean_of_zooms", "streak", "truncate"]

Float = TypeVar("Float", np.float32, np.float64)


@compiled
def truncate(row: NDArray[np.float32], offset: np.float32, out: NDArray[np.uint8]) -> None:
    """Clip a row of levels, plus `offset`, to 0..255 and cut off the fraction, as the reference does."""
    top = np.float32(255.0)
    bottom = np.float32(0.0)
    for i in range(out.size):
        out[i] = np.uint8(np.int32(min(max(row[i] + offset, bottom), top)))


@compiled
def _look_up(pixels: NDArray[np.uint8], table: NDArray[np.uint8], out: NDArray[np.uint8]) -> None:
    for i in range(out.size):
        out[i] = table[pixels[i]]


def look_up(pixels: NDArray[np.uint8], table: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Replace every level by its entry in a table.

    Parameters
    ----------
    pixels : ndarray of uint8
        Levels.
    table : ndarray of uint8, shape (256,)
        The new levels.

    Returns
    -------
    ndarray of uint8
        In the shape of `pixels`.
    """
    out = np.empty_like(pixels)
    _look_up(pixels.reshape(-1), table, out.reshape(-1))
    return out


@compiled
def _blur_along(line: NDArray[Float], weights: NDArray[Float], channels: int, out: NDArray[Float]) -> None:
    """Correlate a row, padded by the filter's reach, with a symmetric filter given from its centre outwards."""
    start = (weights.size - 1) * channels
    middle = line[start : start + out.size]
    weight = weights[0]
    for i in range(out.size):
        out[i] = weight * middle[i]
    for k in range(1, weights.size):
        weight = weights[k]
        before = line[start - k * channels : start - k * channels + out.size]
        after = line[start + k * channels : start + k * channels + out.size]
        for i in range(out.size):
            out[i] += weight * (before[i] + after[i])


@compiled
def _blur_field(
    padded: NDArray[Float], down: NDArray[Float], across: NDArray[Float], scale: Float, out: NDArray[Float]
) -> None:
    reach = down.size - 1
    line = np.empty(padded.shape[1], padded.dtype)
    for y in range(out.shape[0]):
        middle = padded[y + reach]
        weight = scale * down[0]
        for i in range(line.size):
            line[i] = weight * middle[i]
        for k in range(1, down.size):
            weight = scale * down[k]
            above = padded[y + reach - k]
            below = padded[y + reach + k]
            for i in range(line.size):
                line[i] += weight * (above[i] + below[i])
        _blur_along(line, across, 1, out[y])


def blur_field(
    field: NDArray[Float],
    sigma: tuple[float, float],
    truncate: float,
    border: Literal["edge", "symmetric"],
    scale: float = 1.0,
) -> NDArray[Float]:
    """Blur a field of numbers with a Gaussian, first down the columns, then along the rows.

    Parameters
    ----------
    field : ndarray of float32 or float64, shape (H, W)
        What to blur.
    sigma : tuple of float
        Standard deviations in pixels, down and across.
    truncate : float
        Where the filter ends, in standard deviations.
    border : {"edge", "symmetric"}
        As in `numpy.pad`: beyond the border its pixels are repeated, or the field is mirrored at its outer edge.
    scale : float, default=1
        Factor of the result.

    Returns
    -------
    ndarray
        In the shape and dtype of `field`.
    """
    down, across = (gaussian_weights(one, truncate).astype(field.dtype) for one in sigma)
    padded = pad(field, down.size - 1, across.size - 1, border)
    out = np.empty_like(field)
    _blur_field(padded, down, across, field.dtype.type(scale), out)
    return out


@compiled
def _blur_pixels(padded: NDArray[np.uint8], margin: int, weights: NDArray[np.float32], out: NDArray[np.uint8]) -> None:
    length = out.shape[1]
    reach = weights.size - 1
    first = 3 * (margin - reach)
    stop = 3 * (margin + reach) + length
    line = np.empty(stop - first, np.float32)
    row = np.empty(length, np.float32)
    for y in range(out.shape[0]):
        middle = padded[y + margin, first:stop]
        weight = weights[0]
        for i in range(line.size):
            line[i] = weight * np.float32(middle[i])
        for k in range(1, weights.size):
            weight = weights[k]
            above = padded[y + margin - k, first:stop]
            below = padded[y + margin + k, first:stop]
            for i in range(line.size):
                line[i] += weight * np.float32(np.int32(np.int32(above[i]) + np.int32(below[i])))
        _blur_along(line, weights, 3, row)
        truncate(row, np.float32(0.0), out[y])


def blur_picture(picture: Picture, sigma: float) -> NDArray[np.uint8]:
    """Blur an image with a Gaussian that ends at four standard deviations, the border pixels repeated.

    Parameters
    ----------
    picture : Picture
        The image.
    sigma : float
        Standard deviation in pixels, at most 9.

    Returns
    -------
    ndarray of uint8, shape (H, W, 3)
        The blurred image.
    """
    weights = gaussian_weights(sigma, 4.0).astype(np.float32)
    padded = picture.padded("edge")
    out = np.empty_like(picture.pixels)
    height = out.shape[0]
    _blur_pixels(padded.reshape(padded.shape[0], -1), MARGINS["edge"], weights, out.reshape(height, -1))
    return out


@compiled
def _weighted_shifts(
    padded: NDArray[Any],
    tops: NDArray[np.int64],
    starts: NDArray[np.int64],
    weights: NDArray[np.float32],
    offset: float,
    out: NDArray[np.uint8],
) -> None:
    row = np.empty(out.shape[1], np.float32)
    for y in range(out.shape[0]):
        row[:] = 0
        for tap in range(weights.size):
            weight = weights[tap]
            source = padded[y + tops[tap], starts[tap] : starts[tap] + row.size]
            for i in range(row.size):
                row[i] += weight * np.float32(source[i])
        truncate(row, np.float32(offset), out[y])


def streak(
    padded: NDArray[Any], reach: int, degrees: float, radius: int, sigma: float, offset: float = 0.0
) -> NDArray[np.uint8]:
    """Smear an image along a line that fades from its first pixel on.

    Parameters
    ----------
    padded : ndarray of uint8 or float32, shape (H + 2 reach, W + 2 reach) or (H + 2 reach, W + 2 reach, C)
        The image, its outermost pixels repeated `reach` times, at least ``2 * radius``.
    reach : int
        The padding.
    degrees : float
        Direction of the line; 0 smears along the rows.
    radius : int
        The line is ``2 * radius + 1`` pixels long.
    sigma : float
        Standard deviation of its fading, in pixels.
    offset : float, default=0
        What is added before the fraction is cut off; 0.5 rounds.

    Returns
    -------
    ndarray of uint8, shape (H, W) or (H, W, C)
        The smeared image.

    Notes
    -----
    Where a shift is as large as the image the reference stops, without making up for the missing weight, which
    darkens images of 32 to 40 pixels. So does this, but in images with a side under 32, which the reference refuses,
    the line goes on over the repeated border.
    """
    shape = (padded.shape[0] - 2 * reach, padded.shape[1] - 2 * reach, *padded.shape[2:])
    weights = one_sided_gaussian_weights(2 * radius + 1, sigma)
    cosine, sine = cosine_and_sine(degrees)
    down = [-math.ceil(step * sine - 0.5) for step in range(weights.size)]
    right = [-math.ceil(step * cosine - 0.5) for step in range(weights.size)]
    taps = weights.size
    if min(shape[0], shape[1]) >= 32:
        outside = [abs(dy) >= shape[0] or abs(dx) >= shape[1] for dy, dx in zip(down, right, strict=True)]
        taps = outside.index(True) if True in outside else taps
    channels = math.prod(shape[2:])
    out = np.empty(shape, np.uint8)
    _weighted_shifts(
        padded.reshape(padded.shape[0], -1),
        np.array([reach - dy for dy in down[:taps]]),
        np.array([(reach - dx) * channels for dx in right[:taps]]),
        weights[:taps].astype(np.float32),
        offset,
        out.reshape(shape[0], -1),
    )
    return out


class ZoomedAxis(NamedTuple):
    """Where a zoom reads along one axis: pixel i is ``near[i] * source[first[i]] + far[i] * source[first[i] + 1]``."""

    first: NDArray[np.int64]
    near: NDArray[np.float32]
    far: NDArray[np.float32]


def zoomed_axis(size: int, factor: float, length: int | None = None) -> ZoomedAxis:
    """Return where a zoom reads along an axis.

    Parameters
    ----------
    size : int
        Length of the axis.
    factor : float
        The zoom, at least 1.
    length : int, optional
        Zoom into that middle part of the axis which fills `length` pixels; by default, zoom all of it.

    Returns
    -------
    ZoomedAxis
        `length` pixels, or `size` times `factor`, rounded.

    Notes
    -----
    As in `scipy.ndimage.zoom` at order 1: the outermost pixels of the part zoomed into become the outermost pixels of
    the result, and a position that lands beyond the last pixel, by rounding, is black.
    """
    part = size if length is None else math.ceil(length / factor)
    zoomed = round(part * factor)
    step = (part - 1) / (zoomed - 1) if zoomed > 1 else 0.0
    position = np.arange(zoomed) * step
    first = np.minimum(np.floor(position).astype(np.int64), max(part - 2, 0))
    far = position - first
    near = 1.0 - far
    beyond = position > part - 1
    far[beyond] = near[beyond] = 0.0
    axis = (first + (size - part) // 2, near.astype(np.float32), far.astype(np.float32))
    return ZoomedAxis(*(one[:length] for one in axis))


@compiled
def _stretch_row(line: NDArray[np.float32], columns: ZoomedAxis, channels: int, out: NDArray[np.float32]) -> None:
    """Zoom one row of pixels, of one or three channels."""
    firsts, near, far = columns
    if channels == 1:
        for x in range(firsts.size):
            out[x] = near[x] * line[firsts[x]] + far[x] * line[firsts[x] + 1]
    else:
        for x in range(firsts.size):
            start = 3 * firsts[x]
            one, other = near[x], far[x]
            red = one * line[start] + other * line[start + 3]
            green = one * line[start + 1] + other * line[start + 4]
            blue = one * line[start + 2] + other * line[start + 5]
            out[3 * x], out[3 * x + 1], out[3 * x + 2] = red, green, blue


@compiled
def _add_zoomed_row(
    image: NDArray[Any],
    y: int,
    rows: ZoomedAxis,
    columns: ZoomedAxis,
    channels: int,
    newest: int,
    stretched: NDArray[np.float32],
    out: NDArray[np.float32],
) -> int:
    """Add row `y` of a zoomed image.

    `stretched` holds the image's two newest stretched rows, since the next row of the result needs mostly the same,
    and behind them the newest row as it was. Returns the number of the newest one.
    """
    first = rows.first[y]
    while newest <= first:
        newest += 1
        if newest >= first:
            source = image[min(newest, image.shape[0] - 1)]
            line = stretched[2]
            for i in range(source.size):
                line[i] = np.float32(source[i])
            _stretch_row(line, columns, channels, stretched[newest % 2])
    above = stretched[first % 2]
    below = stretched[(first + 1) % 2]
    near = rows.near[y]
    far = rows.far[y]
    for i in range(out.size):
        out[i] += near * above[i] + far * below[i]
    return newest


@compiled
def _mean_of_zooms(image: NDArray[np.uint8], rows: ZoomedAxis, columns: ZoomedAxis, out: NDArray[np.uint8]) -> None:
    """Average the image and its zooms; the axes have one row for each."""
    height, length = out.shape
    layers = rows.first.shape[0]
    share = np.float32(1.0 / (layers + 1))
    band = 16  # rows at a time, which stay in the processor's cache from layer to layer
    total = np.empty((band, length), np.float32)
    stretched = np.empty((layers, 3, max(length, image.shape[1])), np.float32)
    newest = np.full(layers, -1)
    for start in range(0, height, band):
        stop = min(start + band, height)
        for y in range(start, stop):
            clean = image[y]
            for i in range(length):
                total[y - start, i] = np.float32(clean[i])
        for layer in range(layers):
            across = ZoomedAxis(columns.first[layer], columns.near[layer], columns.far[layer])
            down = ZoomedAxis(rows.first[layer], rows.near[layer], rows.far[layer])
            recent = stretched[layer]
            for y in range(start, stop):
                newest[layer] = _add_zoomed_row(image, y, down, across, 3, newest[layer], recent, total[y - start])
        for y in range(start, stop):
            row = total[y - start]
            for i in range(length):
                row[i] *= share
            truncate(row, np.float32(0.0), out[y])


def mean_of_zooms(image: NDArray[np.uint8], factors: Sequence[float]) -> NDArray[np.uint8]:
    """Average an image and its zooms.

    Parameters
    ----------
    image : ndarray of uint8, shape (H, W, 3)
        The image.
    factors : sequence of float
        The zooms, each at least 1; a zoomed image is cropped at its top left corner.

    Returns
    -------
    ndarray of uint8, shape (H, W, 3)
        The mean of all.
    """
    height, width = image.shape[:2]
    rows = ZoomedAxis(*map(np.stack, zip(*(zoomed_axis(height, factor, height) for factor in factors), strict=True)))
    columns = ZoomedAxis(*map(np.stack, zip(*(zoomed_axis(width, factor, width) for factor in factors), strict=True)))
    out = np.empty_like(image)
    if width == 1:  # every column is read with its right neighbour
        image = np.repeat(image, 2, axis=1)
    _mean_of_zooms(image.reshape(height, -1), rows, columns, out.reshape(height, -1))
    return out


@compiled
def _enlarge(field: NDArray[np.float32], rows: ZoomedAxis, columns: ZoomedAxis, out: NDArray[np.float32]) -> None:
    stretched = np.empty((3, max(out.shape[1], field.shape[1])), np.float32)
    newest = -1
    for y in range(out.shape[0]):
        newest = _add_zoomed_row(field, y, rows, columns, 1, newest, stretched, out[y])


def enlarge(field: NDArray[np.float32], factor: float) -> NDArray[np.float32]:
    """Zoom a field of numbers, all of it.

    Parameters
    ----------
    field : ndarray of float32, shape (H, W)
        The field.
    factor : float
        The zoom, at least 1.

    Returns
    -------
    ndarray of float32
        Its sides are those of `field` times `factor`, rounded.
    """
    rows, columns = (zoomed_axis(side, factor) for side in field.shape)
    if field.shape[1] == 1:  # every column is read with its right neighbour
        field = np.repeat(field, 2, axis=1)
    out = np.zeros((rows.first.size, columns.first.size), np.float32)
    _enlarge(field, rows, columns, out)
    return out
