"""Light that catches on droplets: edges, distances and contrast of a grey picture, in integers.

OpenCV's `Canny`, `distanceTransform`, `blur` and `equalizeHist` in the settings that spatter uses, written out because
OpenCV's own pick different code, and different last bits, from build to build and processor to processor.
"""

import numpy as np
from numpy.typing import NDArray

from benchc_tasks.corruptions.compiled import compiled
from benchc_tasks.corruptions.picture import pad

__all__ = ["box_blur", "distance_to_edges", "edges", "emboss", "equalize"]


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
def _is_ridge(strength: NDArray[np.int32], y: int, x: int, across: int, down: int) -> bool:
    """Whether the gradient at padded position (y, x) is the strongest along its own direction."""
    here = strength[y, x]
    flat = abs(across) * 13573  # the tangent of 22.5 degrees, times 2**15
    steep = flat + (abs(across) << 16)
    rise = abs(down) << 15
    if rise < flat:
        return bool(here > strength[y, x - 1] and here >= strength[y, x + 1])
    if rise > steep:
        return bool(here > strength[y - 1, x] and here >= strength[y + 1, x])
    side = -1 if (across < 0) != (down < 0) else 1
    return bool(here > strength[y - 1, x - side] and here > strength[y + 1, x + side])


@compiled
def _trace_edges(
    across: NDArray[np.int32],
    down: NDArray[np.int32],
    strength: NDArray[np.int32],
    weak: int,
    strong: int,
    state: NDArray[np.uint8],
) -> None:
    """Set `state`, padded by one, to 2 at edges: strong ridges, and the weak ones connected to them."""
    height, width = across.shape
    stack = np.empty(height * width, np.int64)
    waiting = 0
    for y in range(1, height + 1):
        for x in range(1, width + 1):
            here = strength[y, x]
            if here > weak and _is_ridge(strength, y, x, np.int64(across[y - 1, x - 1]), np.int64(down[y - 1, x - 1])):
                if here > strong:
                    state[y, x] = 2
                    stack[waiting] = y * (width + 2) + x
                    waiting += 1
                else:
                    state[y, x] = 1
    while waiting > 0:
        waiting -= 1
        y = stack[waiting] // (width + 2)
        x = stack[waiting] % (width + 2)
        for near_y in range(y - 1, y + 2):
            for near_x in range(x - 1, x + 2):
                if state[near_y, near_x] == 1:
                    state[near_y, near_x] = 2
                    stack[waiting] = near_y * (width + 2) + near_x
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
    _trace_edges(across, down, strength, weak, strong, state)
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
def _relax_distances(distance: NDArray[np.int32]) -> None:
    """Turn zeros and large numbers, padded by two, into distances to the nearest zero, in two passes."""
    straight = np.int32(65536)
    rows, columns = distance.shape
    near = np.empty(columns, np.int32)
    for y in range(2, rows - 2):
        row = distance[y]
        _relax_row(near, distance[y - 1], distance[y - 2], row)
        for x in range(2, columns - 2):
            row[x] = min(near[x], np.int32(row[x - 1] + straight))
    for y in range(rows - 3, 1, -1):
        row = distance[y]
        _relax_row(near, distance[y + 1], distance[y + 2], row)
        for x in range(columns - 3, 1, -1):
            row[x] = min(near[x], np.int32(row[x + 1] + straight))


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
    far = np.int32(1 << 29)
    distance = np.full((edge.shape[0] + 4, edge.shape[1] + 4), far, np.int32)
    distance[2:-2, 2:-2][edge] = 0
    _relax_distances(distance)
    limited: NDArray[np.int32] = np.minimum(distance[2:-2, 2:-2], np.int32(limit << 16))
    return limited


@compiled
def _box_means(padded: NDArray[np.int32], shift: int, offset: int, out: NDArray[np.int32]) -> None:
    columns = np.empty(padded.shape[1], np.int32)
    for y in range(out.shape[0]):
        above, middle, below = padded[y], padded[y + 1], padded[y + 2]
        for x in range(columns.size):
            columns[x] = above[x] + middle[x] + below[x]
        left, centre, right = columns[0:], columns[1:], columns[2:]
        row = out[y]
        for x in range(row.size):
            row[x] = (((left[x] + centre[x] + right[x]) >> shift) + offset) // 9


def box_blur(grey: NDArray[np.int32], shift: int = 0, *, rounds: bool) -> NDArray[np.int32]:
    """Average the 3 x 3 neighbourhood of each pixel; beyond its border the picture is mirrored at the border pixel.

    Parameters
    ----------
    grey : ndarray of int32, shape (H, W)
        The picture.
    shift : int, default=0
        Bits behind the point that are cut off.
    rounds : bool
        Whether the mean is rounded, or cut off too.

    Returns
    -------
    ndarray of int32, shape (H, W)
        The means.
    """
    out = np.empty_like(grey)
    _box_means(pad(grey, 1, 1, "reflect"), shift, 4 if rounds else 0, out)
    return out


@compiled
def _count_levels(levels: NDArray[np.int32], counts: NDArray[np.int64]) -> None:
    for i in range(levels.size):
        counts[levels[i]] += 1


@compiled
def _replace_levels(grey: NDArray[np.int32], levels: NDArray[np.int32], out: NDArray[np.int32]) -> None:
    for i in range(grey.size):
        out[i] = levels[grey[i]]


def equalize(grey: NDArray[np.int32]) -> NDArray[np.int32]:
    """Spread the grey levels so that each range of them holds the same number of pixels.

    Parameters
    ----------
    grey : ndarray of int32, shape (H, W)
        Levels 0..255.

    Returns
    -------
    ndarray of int32, shape (H, W)
        Levels 0..255; a picture of one level stays as it is.
    """
    counts = np.zeros(256, np.int64)
    _count_levels(grey.reshape(-1), counts)
    darkest = int(np.flatnonzero(counts)[0])
    if counts[darkest] == grey.size:
        return grey
    scale = np.float32(255.0) / np.float32(grey.size - counts[darkest])
    counts[darkest] = 0
    levels = np.rint(np.cumsum(counts).astype(np.float32) * scale).astype(np.int32)
    out = np.empty_like(grey)
    _replace_levels(grey.reshape(-1), levels, out.reshape(-1))
    return out


@compiled
def _emboss(padded: NDArray[np.int32], out: NDArray[np.int32]) -> None:
    black, white = np.int32(0), np.int32(255)
    for y in range(out.shape[0]):
        above, middle, below = padded[y], padded[y + 1], padded[y + 2]
        row = out[y]
        for x in range(row.size):
            dark = 2 * above[x] + above[x + 1] + middle[x]
            light = middle[x + 1] + middle[x + 2] + below[x + 1] + 2 * below[x + 2]
            row[x] = min(max(np.int32(light - dark), black), white)


def emboss(grey: NDArray[np.int32]) -> NDArray[np.int32]:
    """Light a picture from the lower right, by a 3 x 3 filter that sums to 1.

    Parameters
    ----------
    grey : ndarray of int32, shape (H, W)
        Levels 0..255.

    Returns
    -------
    ndarray of int32, shape (H, W)
        Levels 0..255.
    """
    out = np.empty_like(grey)
    _emboss(pad(grey, 1, 1, "reflect"), out)
    return out
