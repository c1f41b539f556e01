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
from benchc_tasks.corruptions.picture import positions

__all__ = [
    "add_weighted",
    "blur_field",
    "blur_picture",
    "enlarge",
    "look_up",
    "means_of_zooms",
    "streak",
    "streaks",
    "truncate",
]

Float = TypeVar("Float", np.float32, np.float64)

_STRIP = 768  # values of a row at a time, which stay in the processor's nearest cache


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
def _extend(line: NDArray[Float], columns: NDArray[np.int64], reach: int, channels: int) -> None:
    """Fill both margins of a row with the pixels that `columns` puts there."""
    for part in (0, columns.size - reach):
        for x in range(part, part + reach):
            for c in range(channels):
                line[x * channels + c] = line[(reach + columns[x]) * channels + c]


@compiled
def _blur_field(
    field: NDArray[Any],
    rows: NDArray[np.int64],
    columns: NDArray[np.int64],
    down: NDArray[Float],
    across: NDArray[Float],
    out: NDArray[Float],
) -> None:
    number = down.dtype.type
    reach = across.size - 1
    line = np.empty(columns.size, down.dtype)
    inside = line[reach : columns.size - reach]
    for y in range(out.shape[0]):
        middle = field[y]
        weight = down[0]
        for i in range(inside.size):
            inside[i] = weight * number(middle[i])
        for k in range(1, down.size):
            weight = down[k]
            above = field[rows[y + down.size - 1 - k]]
            below = field[rows[y + down.size - 1 + k]]
            for i in range(inside.size):
                inside[i] += weight * (number(above[i]) + number(below[i]))
        _extend(line, columns, reach, 1)
        _blur_along(line, across, 1, out[y])


def blur_field(
    field: NDArray[Any],
    sigma: tuple[float, float],
    truncate: float,
    border: Literal["edge", "symmetric"],
    scale: float = 1.0,
    dtype: type[np.floating[Any]] | None = None,
) -> NDArray[Any]:
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
    dtype : {numpy.float32, numpy.float64}, optional
        In what to compute; by default that of `field`.

    Returns
    -------
    ndarray of `dtype`, shape (H, W)
        The blurred field.
    """
    dtype = field.dtype.type if dtype is None else dtype
    down, across = (gaussian_weights(one, truncate).astype(dtype) for one in sigma)
    rows = positions(field.shape[0], down.size - 1, border)
    columns = positions(field.shape[1], across.size - 1, border)
    out = np.empty(field.shape, dtype)
    _blur_field(field, rows, columns, dtype(scale) * down, across, out)
    return out


@compiled
def _blur_pixels(
    pixels: NDArray[np.uint8],
    rows: NDArray[np.int64],
    columns: NDArray[np.int64],
    weights: NDArray[np.float32],
    out: NDArray[np.uint8],
) -> None:
    reach = weights.size - 1
    line = np.empty(3 * columns.size, np.float32)
    inside = line[3 * reach : line.size - 3 * reach]
    row = np.empty(inside.size, np.float32)
    for y in range(out.shape[0]):
        middle = pixels[y]
        weight = weights[0]
        for i in range(inside.size):
            inside[i] = weight * np.float32(middle[i])
        for k in range(1, weights.size):
            weight = weights[k]
            above, below = pixels[rows[y + reach - k]], pixels[rows[y + reach + k]]
            for i in range(inside.size):
                inside[i] += weight * np.float32(np.int32(np.int32(above[i]) + np.int32(below[i])))
        _extend(line, columns, reach, 3)
        _blur_along(line, weights, 3, row)
        truncate(row, np.float32(0.0), out[y])


def blur_picture(pixels: NDArray[np.uint8], sigma: float) -> NDArray[np.uint8]:
    """Blur an image with a Gaussian that ends at four standard deviations, the border pixels repeated.

    Parameters
    ----------
    pixels : ndarray of uint8, shape (H, W, 3)
        The image.
    sigma : float
        Standard deviation in pixels.

    Returns
    -------
    ndarray of uint8, shape (H, W, 3)
        The blurred image.
    """
    weights = gaussian_weights(sigma, 4.0).astype(np.float32)
    height, width = pixels.shape[:2]
    rows, columns = (positions(side, weights.size - 1, "edge") for side in (height, width))
    out = np.empty_like(pixels)
    _blur_pixels(pixels.reshape(height, -1), rows, columns, weights, out.reshape(height, -1))
    return out


@compiled
def add_weighted(
    rows: NDArray[Any],
    tops: NDArray[np.int64],
    starts: NDArray[np.int64],
    weights: NDArray[np.float32],
    out: NDArray[np.float32],
) -> None:
    """Add weighted parts of rows to a row, one after the other.

    Parameters
    ----------
    rows : ndarray, shape (R, N)
        Rows of numbers.
    tops, starts : ndarray of int64, shape (T,)
        Of each term the row and where its part begins.
    weights : ndarray of float32, shape (T,)
        Its weight.
    out : ndarray of float32, shape (L,)
        To this the terms are added.
    """
    size = out.size
    fours = weights.size // 4 * 4
    for t in range(0, fours, 4):  # four terms at a time, which saves three of four trips of the sum to memory
        a = rows[tops[t], starts[t] : starts[t] + size]
        b = rows[tops[t + 1], starts[t + 1] : starts[t + 1] + size]
        c = rows[tops[t + 2], starts[t + 2] : starts[t + 2] + size]
        d = rows[tops[t + 3], starts[t + 3] : starts[t + 3] + size]
        p, q, r, s = weights[t], weights[t + 1], weights[t + 2], weights[t + 3]
        for i in range(size):
            total = (out[i] + p * np.float32(a[i])) + q * np.float32(b[i])
            out[i] = (total + r * np.float32(c[i])) + s * np.float32(d[i])
    for t in range(fours, weights.size):
        p, a = weights[t], rows[tops[t], starts[t] : starts[t] + size]
        for i in range(size):
            out[i] += p * np.float32(a[i])


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
        add_weighted(padded[y:], tops, starts, weights, row)
        truncate(row, np.float32(offset), out[y])


@compiled
def _add_four(
    a: NDArray[Any],
    b: NDArray[Any],
    c: NDArray[Any],
    d: NDArray[Any],
    weights: NDArray[np.float32],
    t: int,
    out: NDArray[np.float32],
) -> None:
    """Add four rows with the weights from `t` on, as `add_weighted` does."""
    p, q, r, s = weights[t], weights[t + 1], weights[t + 2], weights[t + 3]
    for i in range(out.size):
        total = (out[i] + p * np.float32(a[i])) + q * np.float32(b[i])
        out[i] = (total + r * np.float32(c[i])) + s * np.float32(d[i])


@compiled
def _weighted_shifts_together(
    padded: NDArray[Any],
    tops: NDArray[np.int64],
    starts: NDArray[np.int64],
    weights: NDArray[np.float32],
    outs: NDArray[np.uint8],
) -> None:
    """Make several smears that differ in their weights, shape (smears, a multiple of 4); those beyond the end are 0."""
    sums, terms = np.empty((outs.shape[0], _STRIP), np.float32), np.empty((4, _STRIP), np.float32)
    for y in range(outs.shape[1]):
        for left in range(0, outs.shape[2], _STRIP):
            size = min(_STRIP, outs.shape[2] - left)
            a, b, c, d = terms[0, :size], terms[1, :size], terms[2, :size], terms[3, :size]
            sums[:] = 0
            for t in range(0, weights.shape[1], 4):
                for k in range(4):
                    term, levels = terms[k, :size], padded[y + tops[t + k], starts[t + k] + left :]
                    for i in range(term.size):
                        term[i] = np.float32(levels[i])
                for smear in range(sums.shape[0]):
                    if weights[smear, t] > 0:
                        _add_four(a, b, c, d, weights[smear], t, sums[smear, :size])
            for smear in range(sums.shape[0]):
                truncate(sums[smear, :size], np.float32(0.0), outs[smear, y, left : left + size])


class _Line(NamedTuple):
    """A line along which an image is smeared: for each term the row and column of its shift, and its weight."""

    down: list[int]
    right: list[int]
    weights: NDArray[np.float32]


def _line(shape: tuple[int, ...], degrees: float, radius: int, sigma: float) -> _Line:
    weights = one_sided_gaussian_weights(2 * radius + 1, sigma)
    cosine, sine = cosine_and_sine(degrees)
    down = [-math.ceil(step * sine - 0.5) for step in range(weights.size)]
    right = [-math.ceil(step * cosine - 0.5) for step in range(weights.size)]
    taps = weights.size
    if min(shape[0], shape[1]) >= 32:
        outside = [abs(dy) >= shape[0] or abs(dx) >= shape[1] for dy, dx in zip(down, right, strict=True)]
        taps = outside.index(True) if True in outside else taps
    return _Line(down[:taps], right[:taps], weights[:taps].astype(np.float32))


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
    line = _line(shape, degrees, radius, sigma)
    channels = math.prod(shape[2:])
    out = np.empty(shape, np.uint8)
    _weighted_shifts(
        padded.reshape(padded.shape[0], -1),
        np.array([reach - dy for dy in line.down]),
        np.array([(reach - dx) * channels for dx in line.right]),
        line.weights,
        offset,
        out.reshape(shape[0], -1),
    )
    return out


def streaks(
    padded: NDArray[np.uint8], reach: int, degrees: float, fadings: Sequence[tuple[int, float]]
) -> list[NDArray[np.uint8]]:
    """Smear an image along several lines of the same direction, as `streak` does along one.

    Parameters
    ----------
    padded : ndarray of uint8, shape (H + 2 reach, W + 2 reach, C)
        The image, its outermost pixels repeated `reach` times.
    reach : int
        The padding.
    degrees : float
        Direction of the lines.
    fadings : sequence of (int, float)
        Radius and standard deviation of each line.

    Returns
    -------
    list of ndarray of uint8, shape (H, W, C)
        The smeared images.

    Notes
    -----
    All lines begin with the same shifts of the image, so that each is read once. Terms of weight 0 change no sum.
    """
    height, width, channels = padded.shape[0] - 2 * reach, padded.shape[1] - 2 * reach, padded.shape[2]
    lines = [_line((height, width), degrees, radius, sigma) for radius, sigma in fadings]
    longest = max(lines, key=lambda line: line.weights.size)
    spare = -longest.weights.size % 4
    weights = np.zeros((len(lines), longest.weights.size + spare), np.float32)
    for row, line in zip(weights, lines, strict=True):
        row[: line.weights.size] = line.weights
    outs = np.empty((len(lines), height, width, channels), np.uint8)
    _weighted_shifts_together(
        padded.reshape(padded.shape[0], -1),
        np.array([reach - dy for dy in longest.down] + [reach] * spare),
        np.array([(reach - dx) * channels for dx in longest.right] + [reach * channels] * spare),
        weights,
        outs.reshape(len(lines), height, -1),
    )
    return list(outs)


class ZoomedAxis(NamedTuple):
    """Where a zoom reads along one axis: pixel i is ``near[i] * source[first[i]] + far[i] * source[first[i] + 1]``."""

    first: NDArray[np.int32]
    near: NDArray[np.float32]
    far: NDArray[np.float32]


@compiled
def _fill_axis(
    size: int, part: int, zoomed: int, first: NDArray[np.int32], near: NDArray[np.float32], far: NDArray[np.float32]
) -> None:
    step = np.float64(part - 1) / np.float64(zoomed - 1) if zoomed > 1 else 0.0
    before = (size - part) // 2
    for i in range(first.size):
        position = np.float64(i) * step
        pixel = min(np.int64(np.floor(position)), max(part - 2, 0))
        beyond = position > part - 1
        far[i] = 0.0 if beyond else position - np.float64(pixel)
        near[i] = 0.0 if beyond else 1.0 - (position - np.float64(pixel))
        first[i] = pixel + before


def zoomed_axes(size: int, factors: Sequence[float], length: int | None = None) -> ZoomedAxis:
    """Return where zooms read along an axis.

    Parameters
    ----------
    size : int
        Length of the axis.
    factors : sequence of float
        The zooms, each at least 1.
    length : int, optional
        Zoom into that middle part of the axis which fills `length` pixels; by default, zoom all of it.

    Returns
    -------
    ZoomedAxis
        A row for each zoom, of `length` pixels or of `size` times the zoom, rounded.

    Notes
    -----
    As in `scipy.ndimage.zoom` at order 1: the outermost pixels of the part zoomed into become the outermost pixels of
    the result, and a position that lands beyond the last pixel, by rounding, is black.
    """
    parts = [size if length is None else math.ceil(length / factor) for factor in factors]
    zoomed = [round(part * factor) for part, factor in zip(parts, factors, strict=True)]
    shape = (len(parts), zoomed[0] if length is None else length)
    axes = ZoomedAxis(np.empty(shape, np.int32), np.empty(shape, np.float32), np.empty(shape, np.float32))
    for row in range(len(parts)):
        _fill_axis(size, parts[row], zoomed[row], axes.first[row], axes.near[row], axes.far[row])
    return axes


@compiled
def _stretch_row(
    packed: NDArray[np.int32],
    columns: ZoomedAxis,
    left: NDArray[np.int32],
    right: NDArray[np.int32],
    out: NDArray[np.float32],
) -> None:
    """Zoom one row of packed pixels into three planes: all reds, all greens, all blues."""
    for x in range(left.size):  # in a loop of its own, so that LLVM vectorises the arithmetic
        first = np.uint64(columns.first[x])
        left[x] = packed[first]
        right[x] = packed[first + np.uint64(1)]
    red, green, blue = out[0], out[1], out[2]
    near, far = columns.near, columns.far
    for x in range(left.size):
        a, b, one, other = left[x], right[x], near[x], far[x]
        red[x] = one * np.float32(np.int32(a & 255)) + other * np.float32(np.int32(b & 255))
        green[x] = one * np.float32(np.int32(a >> 8 & 255)) + other * np.float32(np.int32(b >> 8 & 255))
        blue[x] = one * np.float32(np.int32(a >> 16)) + other * np.float32(np.int32(b >> 16))


@compiled
def _add_between(
    stretched: NDArray[np.float32], first: int, near: np.float32, far: np.float32, out: NDArray[np.float32]
) -> None:
    """Add what lies between row `first` and the next, which stand at their numbers modulo 2."""
    above, below, total = stretched[first % 2].reshape(-1), stretched[(first + 1) % 2].reshape(-1), out.reshape(-1)
    for i in range(total.size):
        total[i] += near * above[i] + far * below[i]


@compiled
def _write_planes(planes: NDArray[np.float32], factor: np.float32, out: NDArray[np.uint8]) -> None:
    """Write a row of three planes, times a factor, as pixels; cut off the fraction."""
    red, green, blue = planes[0], planes[1], planes[2]
    top, bottom = np.float32(255.0), np.float32(0.0)
    target = out.reshape(-1)
    for x in range(red.size):
        target[3 * x] = np.uint8(np.int32(min(max(red[x] * factor, bottom), top)))
        target[3 * x + 1] = np.uint8(np.int32(min(max(green[x] * factor, bottom), top)))
        target[3 * x + 2] = np.uint8(np.int32(min(max(blue[x] * factor, bottom), top)))


@compiled
def _means_of_zooms(
    packed: NDArray[np.int32],
    copies: int,
    rows: ZoomedAxis,
    columns: ZoomedAxis,
    wanted: NDArray[np.bool_],
    sums: NDArray[np.int64],
    ends: NDArray[np.int64],
    counts: NDArray[np.int64],
    outs: NDArray[np.uint8],
) -> None:
    """Average `copies` of the image and some of its zooms; the axes have one row for each zoom.

    Which zooms each running sum adds is `wanted`, shape (zooms, sums). Picture i is the mean of the first ``counts[i]``
    terms of the sum ``sums[i]``; these are complete before the zoom ``ends[i]``.
    """
    height, width = outs.shape[1:3]
    layers = rows.first.shape[0]
    many = np.int32(copies)
    band = 8  # rows at a time, which stay in the processor's cache from layer to layer
    totals = np.empty((wanted.shape[1], band, 3, width), np.float32)
    stretched = np.empty((layers, 2, 3, width), np.float32)  # the two newest rows of each layer
    newest = np.full(layers, -1)
    left, right = np.empty(width, np.int32), np.empty(width, np.int32)
    for start in range(0, height, band):
        stop = min(start + band, height)
        for y in range(start, stop):
            clean = packed[y]
            red, green, blue = totals[0, y - start, 0], totals[0, y - start, 1], totals[0, y - start, 2]
            for x in range(width):
                red[x] = np.float32(np.int32(many * np.int32(clean[x] & 255)))
                green[x] = np.float32(np.int32(many * np.int32(clean[x] >> 8 & 255)))
                blue[x] = np.float32(np.int32(many * np.int32(clean[x] >> 16)))
        totals[1:] = totals[0]
        for layer in range(layers + 1):
            for i in range(ends.size):
                if ends[i] == layer:
                    for y in range(start, stop):
                        _write_planes(totals[sums[i], y - start], np.float32(1.0 / counts[i]), outs[i, y])
            if layer == layers:
                break
            across = ZoomedAxis(columns.first[layer], columns.near[layer], columns.far[layer])
            for y in range(start, stop):
                first = rows.first[layer, y]
                while newest[layer] <= first:
                    newest[layer] += 1
                    if newest[layer] >= first:
                        source = packed[min(newest[layer], height - 1)]
                        _stretch_row(source, across, left, right, stretched[layer, newest[layer] % 2])
                near, far = rows.near[layer, y], rows.far[layer, y]
                for i in range(wanted.shape[1]):
                    if wanted[layer, i]:
                        _add_between(stretched[layer], first, near, far, totals[i, y - start])


def means_of_zooms(packed: NDArray[np.int32], zooms: Sequence[Sequence[float]]) -> list[NDArray[np.uint8]]:
    """Average an image and its zooms, for several sequences of zooms.

    Parameters
    ----------
    packed : ndarray of int32, shape (H, W + 1)
        The image, see `Picture.packed`.
    zooms : sequence of sequences of float
        For each mean the factors: 1, equally often in each, and then ever larger ones. A zoomed image is cropped at its
        top left corner.

    Returns
    -------
    list of ndarray of uint8, shape (H, W, 3)
        The mean for each of `zooms`.

    Notes
    -----
    A zoom that several means need is made once, and one sum serves all that begin alike.
    """
    height, width = packed.shape[0], packed.shape[1] - 1
    copies = 1 + zooms[0].count(1.0)  # a zoom by 1 is the image itself
    larger = [[factor for factor in factors if factor != 1.0] for factors in zooms]
    sums: list[list[float]] = []
    for terms in sorted(larger, key=len, reverse=True):
        if not any(longer[: len(terms)] == terms for longer in sums):
            sums.append(terms)
    factors = sorted({factor for terms in sums for factor in terms})
    outs = np.empty((len(zooms), height, width, 3), np.uint8)
    rows, columns = (zoomed_axes(side, factors, side) for side in (height, width))
    _means_of_zooms(
        packed,
        copies,
        rows,
        columns,
        np.array([factor in terms for factor in factors for terms in sums], bool).reshape(len(factors), len(sums)),
        np.array([next(i for i, longer in enumerate(sums) if longer[: len(terms)] == terms) for terms in larger]),
        np.array([factors.index(terms[-1]) + 1 if terms else 0 for terms in larger]),
        np.array([copies + len(terms) for terms in larger]),
        outs,
    )
    return list(outs)


@compiled
def _enlarge(field: NDArray[np.float32], rows: ZoomedAxis, columns: ZoomedAxis, out: NDArray[np.float32]) -> None:
    last = np.array(field.shape) - 1
    stretched = np.empty((2, out.shape[1]), np.float32)
    newest = -1
    for y in range(out.shape[0]):
        first = rows.first[0, y]
        while newest <= first:
            newest += 1
            source, row = field[min(newest, last[0])], stretched[newest % 2]
            for x in range(row.size):
                left = columns.first[0, x]
                row[x] = columns.near[0, x] * source[left] + columns.far[0, x] * source[min(left + 1, last[1])]
        above, below, row = stretched[first % 2], stretched[(first + 1) % 2], out[y]
        for x in range(row.size):
            row[x] = rows.near[0, y] * above[x] + rows.far[0, y] * below[x]


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
    rows, columns = (zoomed_axes(side, [factor]) for side in field.shape)
    out = np.empty((rows.first.shape[1], columns.first.shape[1]), np.float32)
    _enlarge(field, rows, columns, out)
    return out
