"""An image on its way through the engine, with the intermediates that several corruptions share."""

import threading
from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

import numpy as np
from numpy.typing import NDArray

__all__ = ["MARGINS", "Border", "Picture"]

Border = Literal["edge", "reflect"]

MARGINS: Mapping[Border, int] = MappingProxyType({"edge": 40, "reflect": 10})
"""How many pixels a padded image gains on every side: as far as the widest filter with that border reaches."""


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
                margin = (MARGINS[border],) * 2
                self._padded[border] = np.pad(self.pixels, (margin, margin, (0, 0)), mode=border)
            return self._padded[border]
