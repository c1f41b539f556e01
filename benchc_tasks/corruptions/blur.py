"""Blur: the lens out of focus, rippled glass, a moving or zooming camera."""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchc_tasks.corruptions import random_draws
from benchc_tasks.corruptions.compiled import compiled
from benchc_tasks.corruptions.exact_math import gaussian_weights
from benchc_tasks.corruptions.filters import (
    add_weighted,
    blur_picture,
    means_of_zooms,
    streak,
    streaks,
    truncate,
)
from benchc_tasks.corruptions.picture import MARGINS, Picture, pack
from benchc_tasks.corruptions.random_draws import Key
from benchc_tasks.corruptions.registry import corruption

__all__ = ["defocus_blur", "gaussian_blur", "glass_blur", "motion_blur", "zoom_blur"]


@cache
def disk_weights(radius: int, soften: float) -> NDArray[np.float32]:
    """Return one quarter of the picture of a point out of focus: a disk with a softened rim.

    Parameters
    ----------
    radius : int
        Radius of the disk in pixels.
    soften : float
        Standard deviation, in pixels, of the Gaussian that softens its rim.

    Returns
    -------
    ndarray of float32, shape (r + 1, r + 1)
        Weights at distances (down, across) from the centre; the other quarters mirror it.

    Notes
    -----
    The reference draws the disk on a grid of at least 17 x 17 and softens it there with a mirroring border, by which
    a disk that touches the border gains weight: at radius 8 and 10 the weights sum to 1.013 and 1.011.
    """
    edge = max(radius, 8)
    rim = 1 if radius <= 8 else 2
    place = np.arange(-edge, edge + 1)
    disk = (place[:, None] ** 2 + place[None, :] ** 2 <= radius**2).astype(np.float64)
    half = gaussian_weights(soften, rim / soften)
    bell = np.concatenate([half[:0:-1], half])
    grid = np.pad(disk / disk.sum(), rim, mode="reflect")
    size = disk.shape[0]
    softened = np.zeros((size, size + 2 * rim))
    for i in range(bell.size):
        softened += bell[i] * grid[i : i + size]
    quarter = np.zeros((edge + 1, edge + 1))
    for i in range(bell.size):
        quarter += bell[i] * softened[edge:, edge + i : edge + i + edge + 1]
    quarter[quarter < 1e-9] = 0.0
    reach = int(np.flatnonzero(quarter.any(axis=1)).max())
    return quarter[: reach + 1, : reach + 1].astype(np.float32)


@compiled
def _correlate_disks(
    padded: NDArray[np.uint8], margin: int, quarters: NDArray[np.float32], outs: NDArray[np.uint8]
) -> None:
    """Add up the pixels under each disk, column by column of the disk; small quarters are filled up with 0.

    Inside a disk all weights are the same, so that most of a column is one weight times a sum that grows from column
    to column; only the pixels at the rim have weights of their own. The sums of rows are the same for all disks.
    """
    disks, count = quarters.shape[:2]
    length = outs.shape[2]
    solids = np.zeros((disks, count), np.int64)  # of each column, how many pixels from the middle on have full weight
    rims = np.zeros((disks, count), np.int64)  # and from where on its pixels weigh nothing
    for disk in range(disks):
        quarter = quarters[disk]
        for k in range(count):
            while solids[disk, k] < count and quarter[solids[disk, k], k] == quarter[0, 0]:
                solids[disk, k] += 1
            for j in range(count):
                if quarter[j, k] > 0:
                    rims[disk, k] = j + 1
    pairs = np.empty((count, padded.shape[1]), np.uint16)  # the two rows at the same distance
    sums = np.empty((count, padded.shape[1]), np.uint16)  # all rows up to a distance
    distances, from_start = np.arange(count), np.zeros(count, np.int64)
    column = np.empty(padded.shape[1], np.float32)
    row = np.empty(length, np.float32)
    for y in range(outs.shape[1]):
        middle = padded[y + margin]
        for i in range(column.size):
            pairs[0, i] = sums[0, i] = middle[i]
        for j in range(1, count):
            above, below, pair = padded[y + margin - j], padded[y + margin + j], pairs[j]
            nearer, total = sums[j - 1], sums[j]
            for i in range(column.size):
                both = np.uint16(np.uint16(above[i]) + np.uint16(below[i]))
                pair[i] = both
                total[i] = nearer[i] + both
        for disk in range(disks):
            quarter = quarters[disk]
            for k in range(count):
                solid, rim = solids[disk, k], rims[disk, k]
                if rim == 0:
                    break
                total = sums[max(solid - 1, 0)]
                weight = quarter[0, 0] if solid > 0 else np.float32(0.0)
                for i in range(column.size):
                    column[i] = weight * np.float32(total[i])
                add_weighted(pairs, distances[solid:rim], from_start[solid:rim], quarter[solid:rim, k], column)
                left = column[(margin - k) * 3 : (margin - k) * 3 + length]
                right = column[(margin + k) * 3 : (margin + k) * 3 + length]
                if k == 0:
                    row[:] = left
                else:
                    for i in range(length):
                        row[i] += left[i] + right[i]
            truncate(row, np.float32(0.0), outs[disk, y])


def _defocus_blurs(_: Key | None, picture: Picture, parameters: Sequence[Mapping[str, Any]]) -> list[NDArray[np.uint8]]:
    """Blur with several disks."""
    disks = [disk_weights(**one) for one in parameters]
    count = max(disk.shape[0] for disk in disks)
    quarters = np.zeros((len(disks), count, count), np.float32)
    for quarter, disk in zip(quarters, disks, strict=True):
        quarter[: disk.shape[0], : disk.shape[0]] = disk
    padded = picture.padded("reflect")
    outs = np.empty((len(disks), *picture.pixels.shape), np.uint8)
    rows = outs.reshape(len(disks), picture.shape[0], -1)
    _correlate_disks(padded.reshape(padded.shape[0], -1), MARGINS["reflect"], quarters, rows)
    return list(outs)


@corruption("blur", together=_defocus_blurs, radius=(3, 4, 6, 8, 10), soften=(0.1, 0.5, 0.5, 0.5, 0.5))
def defocus_blur(picture: Picture, radius: int, soften: float) -> NDArray[np.uint8]:
    """Imitate a lens out of focus: every point becomes a disk.

    Parameters
    ----------
    picture : Picture
        The clean image.
    radius : int
        Radius of the disk in pixels.
    soften : float
        Softness of its rim: standard deviation of a Gaussian in pixels.

    Returns
    -------
    ndarray of uint8, shape (H, W, 3)
        The blurred image, which goes on beyond its border as in a mirror.

    Notes
    -----
    At severity 4 and 5 the disk's weights sum to 1.013 and 1.011, as in the reference: the image gets a little
    brighter. See `disk_weights`.
    """
    return _defocus_blurs(None, picture, [{"radius": radius, "soften": soften}])[0]


def _glass_shifts(key: Key, picture: Picture, reach: int, rounds: int) -> NDArray[np.int8]:
    """Draw a displacement for every pixel in every round."""
    return random_draws.shifts((rounds, *picture.shape), key, reach)


@compiled
def _move_pixels(pixels: NDArray[np.uint8], shifts: NDArray[np.int8], reach: int) -> None:
    """Overwrite each pixel, in place, by its drawn neighbour; three bytes move as one number."""
    height, width = pixels.shape[:2]
    packed = np.empty((height, width), np.int32)
    pack(pixels, packed)
    flat = packed.reshape(-1)
    steps = np.empty(width, np.int64)
    for turn in range(shifts.shape[1]):
        for y in range(height - reach, reach, -1):
            across, down = shifts[0, turn, y], shifts[1, turn, y]
            for x in range(width):  # in a loop of its own, so that LLVM vectorises it
                steps[x] = (y + np.int64(down[x])) * width + x + np.int64(across[x])
            row = packed[y]
            for x in range(width - reach, reach, -1):
                row[x] = flat[np.uint64(steps[x])]
    for y in range(height):
        row, line = packed[y], pixels[y].reshape(-1)
        for x in range(width):
            line[3 * x] = row[x] & 255
            line[3 * x + 1] = row[x] >> 8 & 255
            line[3 * x + 2] = row[x] >> 16


@corruption("blur", draws=_glass_shifts, sigma=(0.7, 0.9, 1.0, 1.1, 1.5), reach=(1, 2, 2, 3, 4), rounds=(2, 1, 3, 2, 2))
def glass_blur(picture: Picture, shifts: NDArray[np.int8], sigma: float, reach: int, rounds: int) -> NDArray[np.uint8]:
    """Imitate a look through rippled glass: pixels take the place of their neighbours.

    Parameters
    ----------
    picture : Picture
        The clean image.
    shifts : ndarray of int8, shape (2, rounds, H, W)
        Draws, across and down, uniform over -reach, ..., reach - 1: which neighbour a pixel is copied from.
    sigma : float
        Standard deviation, in pixels, of the Gaussian blur before and after.
    reach : int
        Pixels this near to the border stay, and displacements go this far.
    rounds : int
        How often all pixels are moved.

    Returns
    -------
    ndarray of uint8, shape (H, W, 3)
        The image behind glass.

    Notes
    -----
    The papers speak of swapping pixels. In the reference the swap of two views is a copy, and so it is here: in the
    order from bottom right to top left, each pixel is overwritten by its drawn neighbour.
    """
    moved = blur_picture(picture.pixels, sigma)
    _move_pixels(moved, shifts, reach)
    return blur_picture(moved, sigma)


def _camera_angle(key: Key, picture: Picture) -> float:
    """Draw the direction of the motion in degrees."""
    return random_draws.uniform(key, -45.0, 45.0)


def _motion_blurs(key: Key, picture: Picture, parameters: Sequence[Mapping[str, Any]]) -> list[NDArray[np.uint8]]:
    """Smear along the same direction at several severities."""
    fadings = [(one["radius"], one["sigma"]) for one in parameters]
    return streaks(picture.padded("edge"), MARGINS["edge"], _camera_angle(key, picture), fadings)


@corruption("blur", draws=_camera_angle, together=_motion_blurs, radius=(10, 15, 15, 15, 20), sigma=(3, 5, 8, 12, 15))
def motion_blur(picture: Picture, degrees: float, radius: int, sigma: float) -> NDArray[np.uint8]:
    """Imitate a camera that moves while the shutter is open.

    Parameters
    ----------
    picture : Picture
        The clean image.
    degrees : float
        Draw from -45..45: the direction, 0 being along the rows.
    radius : int
        The streak is ``2 * radius + 1`` pixels long.
    sigma : float
        Standard deviation of its fading, in pixels.

    Returns
    -------
    ndarray of uint8, shape (H, W, 3)
        The smeared image, its border pixels repeated beyond its border.

    Notes
    -----
    See `streak` for images with a side of 40 pixels and less.
    """
    return streak(picture.padded("edge"), MARGINS["edge"], degrees, radius, sigma)


def _zoom_factors(step: float, layers: int) -> list[float]:
    spacing = (1.0 + step) - 1.0  # rounded as numpy.arange rounds it
    return [1.0 + layer * spacing for layer in range(layers)]


def _zoom_blurs(_: Key, picture: Picture, parameters: Sequence[Mapping[str, Any]]) -> list[NDArray[np.uint8]]:
    """Blur at several severities, of which many have the same layers."""
    return means_of_zooms(picture.packed(), [_zoom_factors(**one) for one in parameters])


@corruption("blur", together=_zoom_blurs, step=(0.01, 0.01, 0.02, 0.02, 0.03), layers=(12, 16, 11, 13, 11))
def zoom_blur(picture: Picture, step: float, layers: int) -> NDArray[np.uint8]:
    """Imitate a camera that moves towards the scene: the mean of ever larger zooms into the image.

    Parameters
    ----------
    picture : Picture
        The clean image.
    step : float
        By how much the zoom factor grows from one layer to the next, from 1 on.
    layers : int
        Number of layers, besides the image itself.

    Returns
    -------
    ndarray of uint8, shape (H, W, 3)
        The blurred image.

    Notes
    -----
    As in the reference, a layer is cropped to the image at its top left corner, so that the centre of the zoom drifts
    by up to half a pixel.
    """
    return means_of_zooms(picture.packed(), [_zoom_factors(step, layers)])[0]


@corruption("blur", sigma=(1, 2, 3, 4, 6))
def gaussian_blur(picture: Picture, sigma: float) -> NDArray[np.uint8]:
    """Blur with a Gaussian.

    Parameters
    ----------
    picture : Picture
        The clean image.
    sigma : float
        Standard deviation in pixels; the filter ends at four of them.

    Returns
    -------
    ndarray of uint8, shape (H, W, 3)
        The blurred image, its border pixels repeated beyond its border.
    """
    return blur_picture(picture.pixels, sigma)
