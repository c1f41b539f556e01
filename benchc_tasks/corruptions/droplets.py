"""Light that catches on droplets: edges, distances and contrast of a grey picture, in integers.

OpenCV's `Canny`, `distanceTransform`, `blur` and `equalizeHist` in the settings that spatter uses, written out because
OpenCV's own pick different code, and different last bits, from build to build and processor to processor.
"""

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from benchc_tasks.corruptions.compiled import compiled
from benchc_tasks.corruptions.picture import pad

__all__ = ["box_blur", "distance_to_edges", "edges", "emboss", "equalize"]

Level = TypeVar("Level", np.uint8, np.int32)


@compiled
def _gradients(
    grey: NDArray[np.uint8], across: NDArray[np.int32], down: NDArray[np.int32], strength: NDArray[np.int32]
) -> None:
    """Sobel gradients of an image padded by one, and their L1 norm into the inside of `strength`."""
    for y in range(across.shape[0]):
        above, middle, below = grey[y], grey[y + 1], grey[y + 2]
        to_right, to_bottom = across[y], down[y]
        norm = strength[y + 1, 1:]
        for x in range(to_right.size):
            a, b, c = np.int32(above[x]), np.int32(above[x + 1]), np.int32(above[x + 2])
            d, f = np.int32(middle[x]), np.int32(middle[x + 2])
            g, h, i = np.int32(below[x]), np.int32(below[x + 1]), np.int32(below[x + 2])
            to_right[x] = np.int32((c - a) + 2 * (f - d) + (i - g))
            to_bottom[x] = np.int32((g - a) + 2 * (h - b) + (i - c))
            norm[x] = abs(to_right[x]) + abs(to_bottom[x])


@compiled
def _find_ridges(
    across: NDArray[np.int32],
    down: NDArray[np.int32],
    strength: NDArray[np.int32],
    weak: int,
    strong: int,
    state: NDArray[np.uint8],
) -> None:
    """Set `state`, padded by one, to 2 at strong ridges and to 1 at weak ones.

    A ridge is where the gradient is the strongest along its own direction, of which there are four.
    """
    for y in range(across.shape[0]):
        above, same, below = strength[y], strength[y + 1], strength[y + 2]
        to_right, to_bottom = across[y], down[y]
        row = state[y + 1, 1:]
        for x in range(to_right.size):  # sums and products of truths, since branches on a picture are slow
            here = same[x + 1]
            steepness = abs(to_bottom[x]) << 15
            flat = abs(to_right[x]) * 13573  # the tangent of 22.5 degrees, times 2**15
            steep = flat + (abs(to_right[x]) << 16)
            horizontal = (here > same[x]) & (here >= same[x + 2])
            vertical = (here > above[x + 1]) & (here >= below[x + 1])
            falling = (here > above[x]) & (here > below[x + 2])
            rising = (here > above[x + 2]) & (here > below[x])
            diagonal = rising if (to_right[x] < 0) != (to_bottom[x] < 0) else falling
            ridge = horizontal if steepness < flat else (vertical if steepness > steep else diagonal)
            row[x] = np.uint8(ridge & (here > weak)) + np.uint8(ridge & (here > strong))


@compiled
def _join_edges(state: NDArray[np.uint8], width: int) -> None:
    """Turn each 1 that is connected to a 2 into a 2; `state` is a picture of that width row by row, its border 0."""
    stack = np.empty(state.size, np.int64)
    waiting = 0
    for place in range(state.size):
        if state[place] == 2:
            stack[waiting] = place
            waiting += 1
    while waiting > 0:
        waiting -= 1
        place = stack[waiting]
        for above in (place - width - 1, place - 1, place + width - 1):
            for near in range(above, above + 3):
                if state[near] == 1:
                    state[near] = 2
                    stack[waiting] = near
                    waiting += 1


def edges(grey: NDArray[np.uint8], weak: int, strong: int) -> NDArray[np.bool_]:
    """Find edges as Canny does: ridges of the gradient, kept if strong or connected to a strong one.

    Parameters
    ----------
    grey : ndarray of uint8, shape (H, W)
        The picture.
    weak, strong : int
        Thresholds of the gradient, the L1 norm of the 3 x 3 Sobel filters.

    Returns
    -------
    ndarray of bool, shape (H, W)
        Where the edges are.
    """
    height, width = grey.shape
    across = np.empty((height, width), np.int32)
    down = np.empty((height, width), np.int32)
    strength = np.zeros((height + 2, width + 2), np.int32)
    state = np.zeros((height + 2, width + 2), np.uint8)
    _gradients(pad(grey, 1, 1, "edge"), across, down, strength)
    _find_ridges(across, down, strength, weak, strong, state)
    _join_edges(state.reshape(-1), width + 2)
    found: NDArray[np.bool_] = state[1:-1, 1:-1] == 2
    return found


@compiled
def _relax_row(
    near: NDArray[np.int32], next_to: NDArray[np.int32], beyond: NDArray[np.int32], distance: NDArray[np.int32]
) -> None:
    """Shorten the distances of a row, padded by two, by way of the two rows next to it."""
    straight = np.int32(65536)
    diagonal = np.int32(91750)
    knight = np.int32(143976)
    n = near.size - 4  # slices, since LLVM vectorises only indices that plainly are not negative
    far_left, left, same, right, far_right = next_to[:n], next_to[1:], next_to[2:], next_to[3:], next_to[4:]
    beyond_left, beyond_right = beyond[1:], beyond[3:]
    here, result = distance[2:], near[2:]
    for x in range(n):
        best = min(here[x], np.int32(same[x] + straight))
        best = min(best, np.int32(min(left[x], right[x]) + diagonal))
        best = min(best, np.int32(min(far_left[x], far_right[x]) + knight))
        result[x] = min(best, np.int32(min(beyond_left[x], beyond_right[x]) + knight))


@compiled
def _relax_distances(edge: NDArray[np.bool_], limit: np.int32, distance: NDArray[np.int32]) -> None:
    """Write the distances to the nearest edge into the inside of `distance`, padded by two, in two passes."""
    straight = np.int32(65536)
    rows, columns = distance.shape
    near = np.empty(columns, np.int32)
    for y in range(2, rows - 2):
        row, marked = distance[y, 2:], edge[y - 2]
        for x in range(marked.size):
            row[x] = np.int32(0) if marked[x] else row[x]
    for y in range(2, rows - 2):
        row = distance[y]
        _relax_row(near, distance[y - 1], distance[y - 2], row)
        last = row[1]
        for x in range(2, columns - 2):
            last = min(near[x], np.int32(last + straight))
            row[x] = last
    for y in range(rows - 3, 1, -1):
        row = distance[y]
        _relax_row(near, distance[y + 1], distance[y + 2], row)
        last = row[columns - 2]
        for x in range(columns - 3, 1, -1):
            last = min(near[x], np.int32(last + straight))
            row[x] = last
    for y in range(2, rows - 2):
        row = distance[y]
        for x in range(columns):
            row[x] = min(row[x], limit)


def distance_to_edges(edge: NDArray[np.bool_], limit: int) -> NDArray[np.int32]:
    """Measure how far each pixel is from the nearest edge, in steps of 1, 1.4 (diagonal) and 2.1969 (knight's move).

    Parameters
    ----------
    edge : ndarray of bool, shape (H, W)
        Where the edges are.
    limit : int
        Distances end here, in pixels.

    Returns
    -------
    ndarray of int32, shape (H, W)
        Distances in units of 1/65536 pixel.
    """
    distance = np.full((edge.shape[0] + 4, edge.shape[1] + 4), np.int32(1 << 29), np.int32)
    _relax_distances(edge, np.int32(limit << 16), distance)
    return distance[2:-2, 2:-2]


@compiled
def _box_means(padded: NDArray[Level], shift: int, offset: int, out: NDArray[np.uint8]) -> None:
    columns = np.empty(padded.shape[1], np.int32)
    for y in range(out.shape[0]):
        above, middle, below = padded[y], padded[y + 1], padded[y + 2]
        for x in range(columns.size):
            columns[x] = np.int32(above[x]) + np.int32(middle[x]) + np.int32(below[x])
        left, centre, right = columns[0:], columns[1:], columns[2:]
        row = out[y]
        for x in range(row.size):
            total = np.int32(((left[x] + centre[x] + right[x]) >> shift) + offset)
            row[x] = np.int32(total * 7282) >> 16  # a ninth, cut off, of any number up to 9 * 255 + 4


def box_blur(grey: NDArray[Level], shift: int = 0, *, rounds: bool) -> NDArray[np.uint8]:
    """Average the 3 x 3 neighbourhood of each pixel; beyond its border the picture is mirrored at the border pixel.

    Parameters
    ----------
    grey : ndarray of uint8 or int32, shape (H, W)
        The picture: levels 0..255.
    shift : int, default=0
        How many bits of `grey` are behind the point; they are cut off.
    rounds : bool
        Whether the mean is rounded, or cut off too.

    Returns
    -------
    ndarray of uint8, shape (H, W)
        The means.
    """
    out = np.empty(grey.shape, np.uint8)
    _box_means(pad(grey, 1, 1, "reflect"), shift, 4 if rounds else 0, out)
    return out


@compiled
def _count_levels(levels: NDArray[Level], counts: NDArray[np.int64]) -> None:
    """Count how often each level occurs, in four parts, since the next count of the same part has to wait."""
    quarters = levels.size // 4
    for i in range(quarters):
        for part in range(4):
            counts[part, levels[part * quarters + i]] += 1
    for i in range(4 * quarters, levels.size):
        counts[0, levels[i]] += 1


@compiled
def _replace_levels(grey: NDArray[Level], levels: NDArray[np.uint8], out: NDArray[np.uint8]) -> None:
    for i in range(grey.size):
        out[i] = levels[grey[i]]


def equalize(grey: NDArray[Level]) -> NDArray[np.uint8]:
    """Spread the grey levels so that each range of them holds the same number of pixels.

    Parameters
    ----------
    grey : ndarray of uint8 or int32, shape (H, W)
        Levels 0..255.

    Returns
    -------
    ndarray of uint8, shape (H, W)
        Levels 0..255; a picture of one level stays as it is.
    """
    parts = np.zeros((4, 256), np.int64)
    _count_levels(grey.reshape(-1), parts)
    counts = parts.sum(axis=0)
    darkest = int(np.flatnonzero(counts)[0])
    if counts[darkest] == grey.size:
        return grey.astype(np.uint8)
    scale = np.float32(255.0) / np.float32(grey.size - counts[darkest])
    counts[darkest] = 0
    levels = np.rint(np.cumsum(counts).astype(np.float32) * scale).astype(np.uint8)
    out = np.empty(grey.shape, np.uint8)
    _replace_levels(grey.reshape(-1), levels, out.reshape(-1))
    return out


@compiled
def _emboss(padded: NDArray[Level], out: NDArray[np.uint8]) -> None:
    black, white = np.int32(0), np.int32(255)
    for y in range(out.shape[0]):
        above, middle, below = padded[y], padded[y + 1], padded[y + 2]
        row = out[y]
        for x in range(row.size):
            dark = np.int32(2 * np.int32(above[x]) + np.int32(above[x + 1]) + np.int32(middle[x]))
            light = np.int32(
                np.int32(middle[x + 1]) + np.int32(middle[x + 2]) + np.int32(below[x + 1]) + 2 * np.int32(below[x + 2])
            )
            row[x] = min(max(np.int32(light - dark), black), white)


def emboss(grey: NDArray[Level]) -> NDArray[np.uint8]:
    """Light a picture from the lower right, by a 3 x 3 filter that sums to 1.

    Parameters
    ----------
    grey : ndarray of uint8 or int32, shape (H, W)
        Levels 0..255.

    Returns
    -------
    ndarray of uint8, shape (H, W)
        Levels 0..255.
    """
    out = np.empty(grey.shape, np.uint8)
    _emboss(pad(grey, 1, 1, "reflect"), out)
    return out
