"""Digital: changes of contrast, colour, geometry, resolution and compression."""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from benchc_tasks.corruptions import random_draws
from benchc_tasks.corruptions.compiled import compiled
from benchc_tasks.corruptions.filters import blur_field
from benchc_tasks.corruptions.picture import Picture
from benchc_tasks.corruptions.random_draws import Key
from benchc_tasks.corruptions.registry import corruption

__all__ = ["Warp", "contrast", "elastic_transform", "jpeg_compression", "pixelate", "saturate"]


@compiled
def _sum_channels(pixels: NDArray[np.uint8], totals: NDArray[np.int64]) -> None:
    for y in range(pixels.shape[0]):
        r, g, b = np.int64(0), np.int64(0), np.int64(0)
        for x in range(pixels.shape[1]):
            r += np.int64(pixels[y, x, 0])
            g += np.int64(pixels[y, x, 1])
            b += np.int64(pixels[y, x, 2])
        totals[0] += r
        totals[1] += g
        totals[2] += b


@compiled
def _look_up_by_channel(pixels: NDArray[np.uint8], table: NDArray[np.uint8], out: NDArray[np.uint8]) -> None:
    for y in range(pixels.shape[0]):
        for x in range(pixels.shape[1]):
            for c in range(3):
                out[y, x, c] = table[c, pixels[y, x, c]]


def _contrasts(_: Key | None, picture: Picture, parameters: Sequence[Mapping[str, Any]]) -> list[NDArray[np.uint8]]:
    """Flatten towards the same means at several severities."""
    totals = np.zeros(3, np.int64)
    _sum_channels(picture.pixels, totals)
    mean = totals[:, None] / (255.0 * picture.shape[0] * picture.shape[1])
    outs = [np.empty_like(picture.pixels) for _ in parameters]
    for one, out in zip(parameters, outs, strict=True):
        levels = (np.arange(256) / 255.0 - mean) * one["factor"] + mean
        _look_up_by_channel(picture.pixels, (np.clip(levels, 0.0, 1.0) * 255.0).astype(np.uint8), out)
    return outs


@corruption("digital", together=_contrasts, factor=(0.4, 0.3, 0.2, 0.1, 0.05))
def contrast(picture: Picture, factor: float) -> NDArray[np.uint8]:
    """Imitate flat light: every channel moves towards its mean.

    Parameters
    ----------
    picture : Picture
        The clean image.
    factor : float
        Part of the distance from the mean that is kept.

    Returns
    -------
    ndarray of uint8, shape (H, W, 3)
        The flat image.
    """
    return _contrasts(None, picture, [{"factor": factor}])[0]


class Warp(NamedTuple):
    """The random numbers of elastic_transform: two fields, uniform in [-1, 1), shape (H, W)."""

    across: NDArray[np.float32]
    down: NDArray[np.float32]


def _warp(key: Key, picture: Picture) -> Warp:
    return Warp(
        random_draws.uniforms(picture.shape, key.derive("across"), -1.0, 1.0),
        random_draws.uniforms(picture.shape, key.derive("down"), -1.0, 1.0),
    )


@compiled
def _mirror(index: int, size: int) -> int:
    """Return the pixel at a position beyond the border, the image being mirrored at its outer edge."""
    index = index % (2 * size)
    return index if index < size else 2 * size - 1 - index


@compiled
def _between(
    top_left: np.int32,
    top_right: np.int32,
    bottom_left: np.int32,
    bottom_right: np.int32,
    right: np.int32,
    down: np.int32,
) -> np.int32:
    """Interpolate between four levels; `right` and `down` are parts of a pixel in steps of 2**-16."""
    upper = np.int32((top_left << 16) + np.int32(top_right - top_left) * right)
    lower = np.int32((bottom_left << 16) + np.int32(bottom_right - bottom_left) * right)
    change = np.int32(lower - upper)
    # change * down / 2**16 in two parts, so that 32 bits suffice
    rest = np.int32(np.uint32(np.uint32(change & 65535) * np.uint32(down)) >> np.uint32(16))
    level: np.int32 = np.int32(np.int32(upper + np.int32((change >> 16) * down)) + rest) >> 16
    return level


@compiled
def _read_between(
    packed: NDArray[np.int32], across: NDArray[np.float32], down: NDArray[np.float32], out: NDArray[np.uint8]
) -> None:
    """Move every pixel, reading by bilinear interpolation with weights in steps of 2**-16."""
    height, width = across.shape
    moved_x, moved_y = np.empty(width, np.int32), np.empty(width, np.int32)
    corners = np.empty((4, width), np.int32)
    top_left, top_right, bottom_left, bottom_right = corners[0], corners[1], corners[2], corners[3]
    for y in range(height):
        target = out[y].reshape(-1)
        moves_x, moves_y = across[y], down[y]
        for x in range(width):
            moved_x[x] = np.int32(moves_x[x] * np.float32(65536.0))
            moved_y[x] = np.int32(moves_y[x] * np.float32(65536.0))
        for x in range(width):  # in a loop of its own, so that LLVM vectorises the others
            left, top = x + (moved_x[x] >> 16), y + (moved_y[x] >> 16)
            right, bottom = left + 1, top + 1
            if left < 0 or top < 0 or right >= width or bottom >= height:
                left, right = _mirror(left, width), _mirror(right, width)
                top, bottom = _mirror(top, height), _mirror(bottom, height)
            # unsigned, so that numba need not look for negative indices
            upper, lower = np.uint64(top), np.uint64(bottom)
            top_left[x], top_right[x] = packed[upper, np.uint64(left)], packed[upper, np.uint64(right)]
            bottom_left[x], bottom_right[x] = packed[lower, np.uint64(left)], packed[lower, np.uint64(right)]
        for x in range(width):
            a, b, c, d = top_left[x], top_right[x], bottom_left[x], bottom_right[x]
            p, q = np.int32(moved_x[x] & 65535), np.int32(moved_y[x] & 65535)
            target[3 * x] = _between(np.int32(a & 255), np.int32(b & 255), np.int32(c & 255), np.int32(d & 255), p, q)
            target[3 * x + 1] = _between(
                np.int32(a >> 8 & 255), np.int32(b >> 8 & 255), np.int32(c >> 8 & 255), np.int32(d >> 8 & 255), p, q
            )
            target[3 * x + 2] = _between(
                np.int32(a >> 16), np.int32(b >> 16), np.int32(c >> 16), np.int32(d >> 16), p, q
            )


def _displacements(warp: Warp, shape: tuple[int, int], strength: float) -> Warp:
    """Smooth the draws, and scale them to pixels."""
    height, width = shape
    sigma = (height * 0.01, width * 0.01)
    scale = height * 0.005 * strength
    return Warp(*(blur_field(field, sigma, truncate=3.0, border="symmetric", scale=scale) for field in warp))


def _elastic_transforms(key: Key, picture: Picture, parameters: Sequence[Mapping[str, Any]]) -> list[NDArray[np.uint8]]:
    """Warp at several severities; twice the strength moves each pixel exactly twice as far."""
    warp = _warp(key, picture)
    outs = [np.empty_like(picture.pixels) for _ in parameters]
    strengths = [one["strength"] for one in parameters]
    for strength in sorted({strength for strength in strengths if strength / 2 not in strengths}):
        moves = _displacements(warp, picture.shape, strength)
        while strength in strengths:
            for place, out in enumerate(outs):
                if strengths[place] == strength:
                    _read_between(picture.packed(), *moves, out)
            strength *= 2
            for field in moves:
                field *= np.float32(2.0)
    return outs


@corruption("digital", draws=_warp, together=_elastic_transforms, strength=(12.5, 16.25, 21.25, 25.0, 30.0))
def elastic_transform(picture: Picture, warp: Warp, strength: float) -> NDArray[np.uint8]:
    """Imitate a picture on rubber: smooth random displacements.

    Parameters
    ----------
    picture : Picture
        The clean image.
    warp : Warp
        The draws.
    strength : float
        Factor of the displacements, which before it are the draws times 0.5 % of the height, smoothed by a Gaussian of
        1 % of the height and width.

    Returns
    -------
    ndarray of uint8, shape (H, W, 3)
        The warped image, mirrored at its outer edge.
    """
    out = np.empty_like(picture.pixels)
    _read_between(picture.packed(), *_displacements(warp, picture.shape, strength), out)
    return out


def _box_means(size: int, parts: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return first and last pixel (exclusive) of each of `parts` boxes along an axis, as Pillow lays them out."""
    scale = size / parts
    centre = (np.arange(parts) + 0.5) * scale
    first = np.maximum(centre - scale * 0.5 + 0.5, 0.0).astype(np.int64)
    last = np.minimum((centre + scale * 0.5 + 0.5).astype(np.int64), size)
    # a pixel belongs to the box if its middle is in (-0.5, 0.5] of the box's width from the box's centre
    first += (first - centre + 0.5) * (1.0 / scale) <= -0.5
    last -= (last - 1 - centre + 0.5) * (1.0 / scale) > 0.5
    return first, last


def _nearest(size: int, parts: int) -> NDArray[np.int64]:
    """Return which of `parts` each pixel of an axis shows; ties follow the running sum that Pillow makes."""
    steps = np.full(size, parts / size)
    steps[0] *= 0.5
    return np.minimum(np.cumsum(steps).astype(np.int64), parts - 1)


@compiled
def _fixed_shares(firsts: NDArray[np.int64], lasts: NDArray[np.int64]) -> NDArray[np.int32]:
    """Return what one pixel of each box weighs, in units of 2**-22."""
    shares = np.empty(firsts.size, np.int32)
    for i in range(firsts.size):
        shares[i] = np.int32(0.5 + 4194304.0 / (lasts[i] - firsts[i]))
    return shares


@compiled
def _running_sums(pixels: NDArray[np.uint8], sums: NDArray[np.int64]) -> None:
    """Write into each row the sums of the pixels before each place, the three levels in fields of 21 bits.

    The last field may overflow; the difference of two sums is that of the pixels between them all the same.
    """
    for y in range(pixels.shape[0]):
        line, row = pixels[y].reshape(-1), sums[y]
        total = np.int64(0)
        row[0] = total
        for x in range(pixels.shape[1]):
            total += np.int64(line[3 * x]) | np.int64(line[3 * x + 1]) << 21 | np.int64(line[3 * x + 2]) << 42
            row[x + 1] = total


@compiled
def _average_boxes(
    running: NDArray[np.int64],
    firsts: NDArray[np.int64],
    lasts: NDArray[np.int64],
    tops: NDArray[np.int64],
    bottoms: NDArray[np.int64],
    out: NDArray[np.uint8],
) -> None:
    """Average along the rows, round, average down the columns, round: Pillow's two passes in 22-bit fixed point."""
    half, field = np.int32(1 << 21), (1 << 21) - 1
    across, down = _fixed_shares(firsts, lasts), _fixed_shares(tops, bottoms)
    sums = np.empty(firsts.size, np.int64)
    totals = np.empty((3, firsts.size), np.int32)
    for y in range(tops.size):
        totals[:] = 0
        for i in range(tops[y], bottoms[y]):
            line = running[i]
            for x in range(sums.size):  # unsigned, so that numba need not look for negative indices
                sums[x] = line[np.uint64(lasts[x])] - line[np.uint64(firsts[x])]
            for x in range(sums.size):
                red, green, blue = np.int32(sums[x] & field), np.int32(sums[x] >> 21 & field), np.int32(sums[x] >> 42)
                totals[0, x] += np.int32(np.int32(red * across[x]) + half) >> 22
                totals[1, x] += np.int32(np.int32(green * across[x]) + half) >> 22
                totals[2, x] += np.int32(np.int32(blue * across[x]) + half) >> 22
        target, share = out[y].reshape(-1), down[y]
        for x in range(sums.size):
            target[3 * x] = np.int32(np.int32(totals[0, x] * share) + half) >> 22
            target[3 * x + 1] = np.int32(np.int32(totals[1, x] * share) + half) >> 22
            target[3 * x + 2] = np.int32(np.int32(totals[2, x] * share) + half) >> 22


@compiled
def _repeat_boxes(
    boxes: NDArray[np.uint8], rows: NDArray[np.int64], columns: NDArray[np.int64], out: NDArray[np.uint8]
) -> None:
    for y in range(rows.size):
        target = out[y].reshape(-1)
        if y > 0 and rows[y] == rows[y - 1]:
            before = out[y - 1].reshape(-1)
            for i in range(target.size):  # three times as fast as numba's assignment of an array
                target[i] = before[i]
            continue
        box_row = boxes[rows[y]].reshape(-1)
        for x in range(columns.size):
            box = np.uint64(3 * columns[x])  # unsigned, so that numba need not look for negative indices
            target[3 * x] = box_row[box]
            target[3 * x + 1] = box_row[box + np.uint64(1)]
            target[3 * x + 2] = box_row[box + np.uint64(2)]


def _pixelates(_: Key | None, picture: Picture, parameters: Sequence[Mapping[str, Any]]) -> list[NDArray[np.uint8]]:
    """Make coarse images of several resolutions from the same running sums."""
    height, width = picture.shape
    running = np.empty((height, width + 1), np.int64)
    _running_sums(picture.pixels, running)
    outs = [np.empty_like(picture.pixels) for _ in parameters]
    for one, out in zip(parameters, outs, strict=True):
        few = [max(int(side * one["resolution"]), 1) for side in (height, width)]
        boxes = np.empty((few[0], few[1], 3), np.uint8)
        _average_boxes(running, *_box_means(width, few[1]), *_box_means(height, few[0]), boxes)
        _repeat_boxes(boxes, _nearest(height, few[0]), _nearest(width, few[1]), out)
    return outs


@corruption("digital", together=_pixelates, resolution=(0.6, 0.5, 0.4, 0.3, 0.25))
def pixelate(picture: Picture, resolution: float) -> NDArray[np.uint8]:
    """Imitate a picture of low resolution: boxes of one colour.

    Parameters
    ----------
    picture : Picture
        The clean image.
    resolution : float
        Part of the pixels along each side that is left, at least one.

    Returns
    -------
    ndarray of uint8, shape (H, W, 3)
        The coarse image in its old size.

    Notes
    -----
    The same as Pillow's ``resize`` down by ``BOX`` and up by ``NEAREST``, which the reference calls.
    """
    return _pixelates(None, picture, [{"resolution": resolution}])[0]


@corruption("digital", quality=(25, 18, 15, 10, 7))
def jpeg_compression(picture: Picture, quality: int) -> NDArray[np.uint8]:
    """Compress as JPEG, with halved colour resolution.

    Parameters
    ----------
    picture : Picture
        The clean image.
    quality : int
        libjpeg's quality, 1..100.

    Returns
    -------
    ndarray of uint8, shape (H, W, 3)
        The decompressed image.

    Notes
    -----
    The reference calls Pillow. Both Pillow and OpenCV call libjpeg-turbo, whose default transforms are in integers and
    give the same bits in all its versions; OpenCV copies less.
    """
    blue_first = cv2.cvtColor(picture.pixels, cv2.COLOR_RGB2BGR)
    _, stream = cv2.imencode(".jpg", blue_first, [cv2.IMWRITE_JPEG_QUALITY, quality])
    decoded = cv2.imdecode(stream, cv2.IMREAD_COLOR)
    red_first: NDArray[np.uint8] = cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB, dst=decoded)
    return red_first


@cache
def _saturation_ratio(factor: float, offset: float) -> NDArray[np.float32]:
    """Return new by old saturation, by (largest channel, smallest channel); new saturation where the old is 0."""
    largest = np.arange(256)[:, None] / 255.0
    smallest = np.arange(256)[None, :] / 255.0
    old = np.divide(largest - smallest, largest, out=np.zeros((256, 256)), where=largest > 0)
    new = np.clip(old * factor + offset, 0.0, 1.0)
    ratio: NDArray[np.float32] = np.divide(new, old, out=new.copy(), where=old > 0).astype(np.float32)
    return ratio


@compiled
def _saturate(pixels: NDArray[np.uint8], ratios: NDArray[np.float32], out: NDArray[np.uint8]) -> None:
    bottom = np.float32(0.0)
    flat = ratios.reshape(-1)
    width = pixels.shape[1]
    places, row = np.empty(width, np.int32), np.empty(width, np.float32)
    for y in range(pixels.shape[0]):
        source, target = pixels[y].reshape(-1), out[y].reshape(-1)
        for x in range(width):
            r, g, b = source[3 * x], source[3 * x + 1], source[3 * x + 2]
            places[x] = np.int32(max(r, g, b)) << 8 | np.int32(min(r, g, b))
        for x in range(width):  # in a loop of its own, so that LLVM vectorises the others
            row[x] = flat[np.uint64(places[x])]
        for x in range(width):
            largest, ratio = np.float32(np.int32(places[x] >> 8)), row[x]
            coloured = np.int32(places[x] >> 8 != places[x] & 255)  # grey has hue 0, that of red
            r = np.float32(source[3 * x])
            g = np.float32(np.int32(source[3 * x + 1]) * coloured)
            b = np.float32(np.int32(source[3 * x + 2]) * coloured)
            target[3 * x] = np.uint8(np.int32(max(largest - (largest - r) * ratio, bottom)))
            target[3 * x + 1] = np.uint8(np.int32(max(largest - (largest - g) * ratio, bottom)))
            target[3 * x + 2] = np.uint8(np.int32(max(largest - (largest - b) * ratio, bottom)))


@corruption("digital", factor=(0.3, 0.1, 2.0, 5.0, 20.0), offset=(0.0, 0.0, 0.0, 0.1, 0.2))
def saturate(picture: Picture, factor: float, offset: float) -> NDArray[np.uint8]:
    """Imitate colours faded (severity 1 and 2) or glaring (3 to 5): the saturation of HSV is scaled.

    Parameters
    ----------
    picture : Picture
        The clean image.
    factor : float
        Factor of the saturation.
    offset : float
        What is added to it then; 1 is full saturation.

    Returns
    -------
    ndarray of uint8, shape (H, W, 3)
        The image with the same hue and value.

    Notes
    -----
    As in the reference, grey counts as red: at severity 4 and 5 it turns reddish. All channels move away from the
    largest by the same factor, so that there is no need to go to HSV.
    """
    out = np.empty_like(picture.pixels)
    _saturate(picture.pixels, _saturation_ratio(factor, offset), out)
    return out
