"""An image on its way through the engine, with the intermediates that several corruptions share."""

import threading
from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from benchc_tasks.corruptions.compiled import compiled

__all__ = ["MARGINS", "Border", "Picture", "pack", "pad", "positions"]

Border = Literal["edge", "reflect", "symmetric"]
Number = TypeVar("Number", bound=np.generic)

MARGINS: Mapping[Border, int] = MappingProxyType({"edge": 40, "reflect": 10})
"""How many pixels a padded image gains on every side: as far as the widest filter with that border reaches."""


@lru_cache(maxsize=64)
def positions(size: int, margin: int, border: Border) -> NDArray[np.int64]:
    """Return which pixel of an axis stands at each place of the axis with a margin.

    Parameters
    ----------
    size : int
        Length of the axis.
    margin : int
        How many places there are before its first and after its last pixel.
    border : {"edge", "reflect", "symmetric"}
        As in `numpy.pad`: repeat the border pixels, or mirror the image at them, or at its outer edge.

    Returns
    -------
    ndarray of int64, shape (size + 2 margin,)
        Positions in 0..size - 1, to be read only.
    """
    found: NDArray[np.int64] = np.pad(np.arange(size), margin, mode=border)
    found.flags.writeable = False
    return found


@compiled
def _copy_from(
    image: NDArray[Number],
    rows: NDArray[np.int64],
    columns: NDArray[np.int64],
    channels: int,
    out: NDArray[Number],
) -> None:
    """Copy the pixels at `rows` and `columns`; the middle columns are those of the image, in order."""
    width = image.shape[1] // channels
    margin = (columns.size - width) // 2
    for y in range(rows.size):
        source = image[rows[y]]
        target = out[y]
        for x in range(margin):
            for c in range(channels):
                target[x * channels + c] = source[columns[x] * channels + c]
        middle = target[margin * channels :]
        for i in range(source.size):
            middle[i] = source[i]
        for x in range(margin + width, columns.size):
            for c in range(channels):
                target[x * channels + c] = source[columns[x] * channels + c]


def pad(image: NDArray[Number], down: int, across: int, border: Border) -> NDArray[Number]:
    """Add a margin to an image; a faster `numpy.pad`.

    Parameters
    ----------
    image : ndarray, shape (H, W) or (H, W, C)
        What to pad.
    down, across : int
        Width of the margin: rows above and below, columns left and right.
    border : {"edge", "reflect", "symmetric"}
        As in `numpy.pad`: repeat the border pixels, or mirror the image at them, or at its outer edge.

    Returns
    -------
    ndarray, shape (H + 2 down, W + 2 across) or (H + 2 down, W + 2 across, C)
        The padded image.
    """
    height, width = image.shape[:2]
    rows = positions(height, down, border)
    columns = positions(width, across, border)
    out = np.empty((rows.size, columns.size, *image.shape[2:]), image.dtype)
    channels = image.size // (height * width)
    _copy_from(image.reshape(height, -1), rows, columns, channels, out.reshape(rows.size, -1))
    return out


@compiled
def pack(pixels: NDArray[np.uint8], packed: NDArray[np.int32]) -> None:
    """Put the three bytes of each pixel into one number, red lowest.

    Parameters
    ----------
    pixels : ndarray of uint8, shape (H, W, 3)
        An image.
    packed : ndarray of int32, shape (H, W) or more columns
        Receives it; further columns repeat the last one, so that each pixel has a right neighbour.
    """
    width = pixels.shape[1]
    for y in range(pixels.shape[0]):
        line, row = pixels[y].reshape(-1), packed[y]
        for x in range(width):
            row[x] = np.int32(line[3 * x]) | np.int32(line[3 * x + 1]) << 8 | np.int32(line[3 * x + 2]) << 16
        row[width:] = row[width - 1]


class Picture:
    """The pixels of one image, and what is derived from them, each computed once.

    Parameters
    ----------
    pixels : ndarray of uint8, shape (H, W, 3)
        The clean image in RGB. Corruptions read it and never write to it.
    """

    def __init__(self, pixels: NDArray[np.uint8]) -> None:
        self.pixels = np.ascontiguousarray(pixels)
        self._padded: dict[Border, NDArray[np.uint8]] = {}
        self._packed: NDArray[np.int32] | None = None
        self._lock = threading.Lock()

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self.pixels.shape[0], self.pixels.shape[1]

    def padded(self, border: Border) -> NDArray[np.uint8]:
        """Return the image with `MARGINS[border]` more pixels on every side.

        Parameters
        ----------
        border : {"edge", "reflect"}
            As in `numpy.pad`: repeat the border pixels, or mirror the image at them.

        Returns
        -------
        ndarray of uint8, shape (H + 2 margin, W + 2 margin, 3)
            To be read only: all conditions of an image share it, which is why the margin does not depend on them.
        """
        with self._lock:
            if border not in self._padded:
                self._padded[border] = pad(self.pixels, MARGINS[border], MARGINS[border], border)
            return self._padded[border]

    def packed(self) -> NDArray[np.int32]:
        """Return the image with the three bytes of each pixel in one number, see `pack`.

        Returns
        -------
        ndarray of int32, shape (H, W + 1)
            To be read only: all conditions of an image share it. The last column stands twice.
        """
        with self._lock:
            if self._packed is None:
                self._packed = np.empty((self.shape[0], self.shape[1] + 1), np.int32)
                pack(self.pixels, self._packed)
            return self._packed
