"""The control: five changes of a picture that no person sees, one in place of each severity.

Whatever a model does under them is not the effect of a corruption. They do not rise from mild to strong.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchc_metrics.benchmark import CONTROL_CHANGES
from benchc_tasks.corruptions import random_draws
from benchc_tasks.corruptions.picture import Picture
from benchc_tasks.corruptions.random_draws import Key
from benchc_tasks.corruptions.registry import corruption

__all__ = ["CHANGES", "control"]

_JPEG_QUALITY = 98
_NO_SUBSAMPLING = 0x111111


def _dithered(pixels: NDArray[np.uint8], steps: NDArray[np.int8] | None) -> NDArray[np.uint8]:
    levels = pixels.astype(np.int16) + (0 if steps is None else steps)
    return np.asarray(np.clip(levels, 0, 255), np.uint8)


def _recompressed(pixels: NDArray[np.uint8], steps: NDArray[np.int8] | None) -> NDArray[np.uint8]:
    settings = [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, _NO_SUBSAMPLING]
    _, stream = cv2.imencode(".jpg", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR), settings)
    red_first: NDArray[np.uint8] = cv2.cvtColor(cv2.imdecode(stream, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)
    return red_first


def _brightened(pixels: NDArray[np.uint8], steps: NDArray[np.int8] | None) -> NDArray[np.uint8]:
    return np.asarray(np.minimum(pixels, 254) + np.uint8(1), np.uint8)


def _resized(pixels: NDArray[np.uint8], steps: NDArray[np.int8] | None) -> NDArray[np.uint8]:
    height, width = pixels.shape[:2]
    larger = Image.fromarray(pixels).resize((width + 1, height + 1), Image.Resampling.BICUBIC)
    return np.array(larger.resize((width, height), Image.Resampling.BICUBIC))


def _shifted(pixels: NDArray[np.uint8], steps: NDArray[np.int8] | None) -> NDArray[np.uint8]:
    return np.concatenate([pixels[:, :1], pixels[:, :-1]], axis=1)


_FUNCTIONS: Mapping[str, Callable[[NDArray[np.uint8], NDArray[np.int8] | None], NDArray[np.uint8]]] = MappingProxyType(
    {
        "dither": _dithered,
        "jpeg": _recompressed,
        "brighter": _brightened,
        "resize": _resized,
        "shift": _shifted,
    }
)

CHANGES = CONTROL_CHANGES
"""The changes in the order of the severities that they stand for."""


def _steps(key: Key, picture: Picture, change: str) -> NDArray[np.int8] | None:
    if change != "dither":
        return None
    thirds = random_draws.uniforms(picture.pixels.shape, key, 0.0, 3.0).astype(np.int8)
    return np.asarray((thirds - np.int8(1)).clip(-1, 1), np.int8)


@corruption("control", draws=_steps, change=CHANGES)
def control(picture: Picture, steps: NDArray[np.int8] | None, change: str) -> NDArray[np.uint8]:
    """Change a picture so little that no person sees it.

    Parameters
    ----------
    picture : Picture
        The clean image.
    steps : ndarray of int8, shape (H, W, 3), or None
        Of "dither": -1, 0 or 1 grey level for each value, alike often.
    change : {"dither", "jpeg", "brighter", "resize", "shift"}
        One grey level of dither; JPEG at quality 98 without chroma subsampling; one grey level brighter; enlarged by
        one pixel and back, bicubic; moved right by one pixel.

    Returns
    -------
    ndarray of uint8, shape (H, W, 3)
        The changed image.
    """
    return _FUNCTIONS[change](picture.pixels, steps)
