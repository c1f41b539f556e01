"""An image on its way through the engine, with the intermediates that several corruptions share."""

import threading
from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from benchc_tasks.corruptions.compiled import compiled

__all__ = ["MARGINS", "Border", "Picture", "pad"]

Border = Literal["edge", "reflect", "symmetric"]
Number = TypeVar("Number", bound=np.generic)

MARGINS: Mapping[Border, int] = MappingProxyType({"edge": 40, "reflect": 10})
"""How many pixels a padded image gains on every side: as far as the widest filter with that border reaches."""


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
    rows = np.pad(np.arange(height), down, mode=border)
    columns = np.pad(np.arange(width), across, mode=border)
    out = np.empty((rows.size, columns.size, *image.shape[2:]), image.dtype)
    channels = image.size // (height * width)
    _copy_from(image.reshape(height, -1), rows, columns, channels, out.reshape(rows.size, -1))
    return out


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
