"""Restore a picture before a model sees it: classical restorers of OpenCV and scikit-image, or a function of a user's.

A restorer is applied to every picture, clean ones too, after the corruption and before the model's own processor.
"""

from __future__ import annotations

import hashlib
import importlib
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchc_metrics.messages import quoted, reason_of, shortened

__all__ = ["RESTORERS", "RestorationError", "Restorer", "find_restorer"]

Pixels = NDArray[np.uint8]
"""RGB, (height, width, 3)."""


class RestorationError(RuntimeError):
    """Raised when a picture cannot be restored; the message names the restorer."""


@dataclass(frozen=True)
class Restorer:
    """A function from a picture to the picture that a model is shown in its place.

    Attributes
    ----------
    name : str
        Its name in `RESTORERS`, or `module:function`.
    function : callable
        Takes RGB pixels, uint8 of shape (height, width, 3), and returns such, or a PIL image; the size may change.
    state : str
        What its pictures depend on, so that answers to other pixels are never used for them.
    """

    name: str
    function: Callable[[Pixels], Any]
    state: str

    def __call__(self, image: Image.Image) -> Image.Image:
        """Restore a picture; thread-safe if the function is.

        Raises
        ------
        RestorationError
            If the function raises, or returns no picture.
        """
        pixels = np.array(image.convert("RGB"))
        try:
            restored = self.function(pixels)
        except Exception as fault:  # a user's function may raise anything
            raise RestorationError(
                f"restore={shortened(self.name)} failed ({type(fault).__name__}: {reason_of(fault)})"
            ) from fault
        if isinstance(restored, Image.Image):
            return restored.convert("RGB")
        is_picture = isinstance(restored, np.ndarray) and restored.dtype == np.uint8 and restored.ndim == 3
        if not is_picture or restored.shape[2] != 3 or not restored.size:
            raise RestorationError(
                f"restore={shortened(self.name)} returned {_described(restored)}: return RGB pixels, uint8 of shape "
                "(height, width, 3), or a PIL image"
            )
        return Image.fromarray(restored)


def nlm(pixels: Pixels) -> Pixels:
    """Non-local means of OpenCV: strength 10 for luminance and colour, patches of 7, windows of 21 pixels."""
    return np.asarray(cv2.fastNlMeansDenoisingColored(pixels, None, 10, 10, 7, 21), dtype=np.uint8)


def median(pixels: Pixels) -> Pixels:
    """Median of 3 x 3 pixels, of OpenCV."""
    return np.asarray(cv2.medianBlur(pixels, 3), dtype=np.uint8)


def bilateral(pixels: Pixels) -> Pixels:
    """Bilateral filter of OpenCV: 9 pixels wide, 75 grey levels, 75 pixels."""
    return np.asarray(cv2.bilateralFilter(pixels, 9, 75, 75), dtype=np.uint8)


def clahe(pixels: Pixels) -> Pixels:
    """Contrast-limited adaptive histogram equalisation of OpenCV on the lightness: limit 2, 8 x 8 tiles."""
    lab = cv2.cvtColor(pixels, cv2.COLOR_RGB2LAB)
    lab[..., 0] = cv2.createCLAHE(clipLimit=2.0, tileGridSize=(8, 8)).apply(np.ascontiguousarray(lab[..., 0]))
    return np.asarray(cv2.cvtColor(lab, cv2.COLOR_LAB2RGB), dtype=np.uint8)


def unsharp(pixels: Pixels) -> Pixels:
    """Unsharp mask by OpenCV: the difference to a Gaussian blur of sigma 2, added once."""
    return np.asarray(cv2.addWeighted(pixels, 2.0, cv2.GaussianBlur(pixels, (0, 0), 2.0), -1.0, 0), dtype=np.uint8)


def wavelet(pixels: Pixels) -> Pixels:
    """Wavelet shrinkage of scikit-image: BayesShrink, soft, in YCbCr, noise estimated from the picture."""
    from skimage.restoration import denoise_wavelet

    restored = denoise_wavelet(
        pixels / 255.0, channel_axis=-1, convert2ycbcr=True, method="BayesShrink", mode="soft", rescale_sigma=True
    )
    return _bytes(restored)


def tv(pixels: Pixels) -> Pixels:
    """Total variation of scikit-image: Chambolle's algorithm, weight 0.1."""
    from skimage.restoration import denoise_tv_chambolle

    return _bytes(denoise_tv_chambolle(pixels / 255.0, weight=0.1, channel_axis=-1))


RESTORERS: Mapping[str, tuple[Callable[[Pixels], Pixels], tuple[str, ...]]] = {
    "nlm": (nlm, ("cv2",)),
    "median": (median, ("cv2",)),
    "bilateral": (bilateral, ("cv2",)),
    "clahe": (clahe, ("cv2",)),
    "unsharp": (unsharp, ("cv2",)),
    "wavelet": (wavelet, ("skimage", "pywt")),
    "tv": (tv, ("skimage",)),
}
"""Each restorer that has a name: its function, and the modules that it needs."""

PACKAGES = {"skimage": "scikit-image", "pywt": "PyWavelets"}


def find_restorer(wanted: str) -> Restorer:
    """Find a restorer by its name, and try it on a small picture.

    Parameters
    ----------
    wanted : str
        A name in `RESTORERS`, or `module:function` of a module that Python finds.

    Raises
    ------
    ValueError
        If there is none of that name, a library is missing, or it fails; one sentence with the cure.
    """
    if wanted in RESTORERS:
        function, modules = RESTORERS[wanted]
        restorer = Restorer(
            wanted, function, f"{wanted} {' '.join(_state_of_module(wanted, name) for name in modules)}"
        )
    else:
        restorer = _of_a_user(wanted)
    try:
        tried = restorer(Image.fromarray(_probe()))
    except RestorationError as fault:
        raise ValueError(f"{fault}, on a picture of 64 x 48 pixels: correct the function or name another") from fault
    pixels = hashlib.sha256(np.asarray(tried).tobytes()).hexdigest()[:16]
    return Restorer(restorer.name, restorer.function, f"{restorer.state} {tried.size} {pixels}")


def _state_of_module(wanted: str, module: str) -> str:
    try:
        loaded = importlib.import_module(module)
    except ImportError as fault:
        package = PACKAGES.get(module, module)
        raise ValueError(f"restore={wanted} needs {package}: pip install 'benchc[restoration]'") from fault
    return f"{module} {getattr(loaded, '__version__', '')}"


def _of_a_user(wanted: str) -> Restorer:
    module, colon, name = wanted.partition(":")
    if not colon or not module or not name:
        raise ValueError(
            f"restore is {quoted(wanted)}: give one of {', '.join(RESTORERS)}, or module:function of a function of "
            "your own"
        )
    try:
        loaded = importlib.import_module(module)
    except Exception as fault:  # a user's module may raise anything
        raise ValueError(
            f"restore={shortened(wanted)} cannot be imported ({type(fault).__name__}: {reason_of(fault)}): name a "
            "module that Python finds, such as a file in the current folder"
        ) from fault
    function = getattr(loaded, name, None)
    if not callable(function):
        raise ValueError(f"restore={shortened(wanted)}: the module has no function {quoted(name)}: correct the name")
    return Restorer(wanted, function, f"{wanted} {_source(loaded)} {_version(module)}")


def _source(module: Any) -> str:
    """Hash the module's own text: what it imports is known by the pixels that it makes of a small picture."""
    try:
        return hashlib.sha256(inspect.getsource(module).encode()).hexdigest()[:16]
    except (OSError, TypeError):
        return ""


def _version(module: str) -> str:
    try:
        return version(module.partition(".")[0])
    except PackageNotFoundError:
        return ""


def _probe() -> Pixels:
    """Return a small picture with edges and noise."""
    noise = np.random.default_rng(0).integers(0, 64, (48, 64, 3), dtype=np.uint8)
    noise[12:36, 16:48] += 150
    return noise


def _bytes(pixels: NDArray[np.floating[Any]]) -> Pixels:
    return np.asarray(np.rint(np.clip(pixels, 0, 1) * 255), dtype=np.uint8)


def _described(value: object) -> str:
    if isinstance(value, np.ndarray):
        return f"an array of {value.dtype} of shape {value.shape}"
    return f"a {type(value).__name__}"
