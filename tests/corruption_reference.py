"""The random numbers that the reference drew for its golden arrays, in the form in which our functions take them.

The reference seeds numpy's and numba's global generators (see ../shared/golden/README.md); the generators here are
private ones with the same output, except for numba's, which has no private form.
"""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba
import numpy as np

from benchc_tasks.corruptions import CORRUPTIONS, Picture
from benchc_tasks.corruptions.digital import Warp
from benchc_tasks.corruptions.textures import frost_texture
from benchc_tasks.corruptions.weather import FrostWindow, Snowfall, enlarged_shape

GOLDEN = Path(__file__).parent / "benchc_tasks" / "corruptions" / "golden"
SHARED_GOLDEN = Path(__file__).parents[2] / "shared" / "golden"
"""Golden arrays that show the frost photographs, whose source is unknown, are not in the repository."""

# fmt: off
ORDER = [
    "gaussian_noise", "shot_noise", "impulse_noise", "defocus_blur", "glass_blur", "motion_blur", "zoom_blur", "snow",
    "frost", "fog", "brightness", "contrast", "elastic_transform", "pixelate", "jpeg_compression", "speckle_noise",
    "gaussian_blur", "spatter", "saturate",
]
DETERMINISTIC = [
    "defocus_blur", "zoom_blur", "brightness", "contrast", "pixelate", "jpeg_compression", "gaussian_blur", "saturate",
]
# fmt: on


def golden_seed(name: str, severity: int) -> int:
    return 1000 * ORDER.index(name) + severity


def _normals_like_image(seed: int, picture: Picture, **_: Any) -> np.ndarray:
    return np.random.RandomState(seed).normal(size=picture.pixels.shape).astype(np.float32)


def _normals_like_plane(seed: int, picture: Picture, **_: Any) -> np.ndarray:
    return np.random.RandomState(seed).normal(size=picture.shape)


def _photons(seed: int, picture: Picture, photons: int, **_: Any) -> np.ndarray:
    counts = np.random.RandomState(seed).poisson(picture.pixels / 255.0 * photons)
    return np.minimum(counts, 255).astype(np.uint8)


def _hits(seed: int, picture: Picture, amount: float) -> np.ndarray:
    generator = np.random.default_rng(seed)
    hit = generator.random(picture.pixels.shape) <= amount
    salt = generator.random(picture.pixels.shape) <= 0.5
    return np.where(hit, np.where(salt, 0.25, 0.75) * amount, 1.0).astype(np.float32)


@numba.njit
def _numba_shifts(seed: int, shifts: np.ndarray, reach: int) -> None:
    np.random.seed(seed)  # noqa: NPY002
    for turn in range(shifts.shape[1]):
        for y in range(shifts.shape[2] - reach, reach, -1):
            for x in range(shifts.shape[3] - reach, reach, -1):
                shifts[:, turn, y, x] = np.random.randint(-reach, reach, size=(2,))  # noqa: NPY002


def _shifts(seed: int, picture: Picture, reach: int, rounds: int, **_: Any) -> np.ndarray:
    shifts = np.zeros((2, rounds, *picture.shape), np.int8)
    _numba_shifts(seed, shifts, reach)
    return shifts


def _angle(seed: int, picture: Picture, **_: Any) -> float:
    return float(np.random.RandomState(seed).uniform(-45, 45))


def _snowfall(seed: int, picture: Picture, zoom: float, **_: Any) -> Snowfall:
    generator = np.random.RandomState(seed)
    field = generator.normal(size=picture.shape)
    part = [math.ceil(side / zoom) for side in picture.shape]
    top, left = ((side - inner) // 2 for side, inner in zip(picture.shape, part, strict=True))
    flakes = field[top : top + part[0], left : left + part[1]].astype(np.float32)
    return Snowfall(flakes, float(generator.uniform(-135, -45)))


def _frost_window(seed: int, picture: Picture, **_: Any) -> FrostWindow:
    generator = np.random.RandomState(seed)
    texture = int(generator.randint(5))
    height, width = enlarged_shape(frost_texture(texture).shape, picture.shape)
    top = int(generator.randint(0, height - picture.shape[0]))
    return FrostWindow(texture, top, int(generator.randint(0, width - picture.shape[1])))


def _wobbles(seed: int, picture: Picture, **_: Any) -> np.ndarray:
    generator = np.random.RandomState(seed)
    side = 1 << (max(*picture.shape, 3) - 1).bit_length()
    wobbles = np.zeros((side, side))
    step = side
    while step >= 2:
        half = step // 2
        for rows, columns in ((half, half), (0, half), (half, 0)):
            wobbles[rows::step, columns::step] = generator.uniform(-1, 1, (side // step, side // step))
        step = half
    return wobbles.astype(np.float32)


def _warp(seed: int, picture: Picture, **_: Any) -> Warp:
    generator = np.random.RandomState(seed)
    across = generator.uniform(-1, 1, picture.shape).astype(np.float32)
    return Warp(across, generator.uniform(-1, 1, picture.shape).astype(np.float32))


_DRAWS: dict[str, Callable[..., Any]] = {
    "gaussian_noise": _normals_like_image,
    "shot_noise": _photons,
    "impulse_noise": _hits,
    "speckle_noise": _normals_like_image,
    "glass_blur": _shifts,
    "motion_blur": _angle,
    "snow": _snowfall,
    "frost": _frost_window,
    "fog": _wobbles,
    "spatter": _normals_like_plane,
    "elastic_transform": _warp,
}


def reference_draws(name: str, picture: Picture, severity: int, seed: int) -> Any:
    """What the reference draws with a seed, in the form that our function of that name takes."""
    return _DRAWS[name](seed, picture, **CORRUPTIONS[name].parameters[severity - 1])
