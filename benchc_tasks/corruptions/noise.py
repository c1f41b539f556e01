"""Noise: the sensor's and the channel's random errors, independent from value to value."""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchc_tasks.corruptions import random_draws
from benchc_tasks.corruptions.compiled import compiled
from benchc_tasks.corruptions.filters import look_up
from benchc_tasks.corruptions.picture import Picture
from benchc_tasks.corruptions.random_draws import Key
from benchc_tasks.corruptions.registry import corruption

__all__ = ["gaussian_noise", "impulse_noise", "shot_noise", "speckle_noise"]


def _normal_field(key: Key, picture: Picture) -> NDArray[np.float32]:
    """Draw a standard normal number for every value of the image."""
    return random_draws.normals(picture.pixels.shape, key)


def _uniform_field(key: Key, picture: Picture) -> NDArray[np.float32]:
    """Draw a number in [0, 1) for every value of the image."""
    return random_draws.uniforms(picture.pixels.shape, key)


def _photon_counts(key: Key, picture: Picture, photons: float) -> NDArray[np.uint8]:
    """Draw the photon count of every value of the image."""
    return random_draws.poisson_counts(picture.pixels, key, photons)


@compiled
def _add_noise(
    pixels: NDArray[np.uint8], noise: NDArray[np.float32], floor: float, slope: float, out: NDArray[np.uint8]
) -> None:
    """Add noise whose standard deviation is ``floor + slope * level``."""
    top = np.float32(255.0)
    bottom = np.float32(0.0)
    floor32 = np.float32(floor)
    slope32 = np.float32(slope)
    for i in range(out.size):
        level = np.float32(pixels[i])
        value = level + (floor32 + slope32 * level) * noise[i]
        out[i] = np.uint8(np.int32(min(max(value, bottom), top)))


@corruption("noise", draws=_normal_field, scale=(0.08, 0.12, 0.18, 0.26, 0.38))
def gaussian_noise(picture: Picture, normals: NDArray[np.float32], scale: float) -> NDArray[np.uint8]:
    """Imitate the noise of a sensor in low light: an independent normal error on every value.

    Parameters
    ----------
    picture : Picture
        The clean image.
    normals : ndarray of float32, shape (H, W, 3)
        Standard normal draws.
    scale : float
        Standard deviation, as a part of the full range.

    Returns
    -------
    ndarray of uint8, shape (H, W, 3)
        The noisy image.
    """
    out = np.empty_like(picture.pixels)
    _add_noise(picture.pixels.reshape(-1), normals.reshape(-1), 255.0 * scale, 0.0, out.reshape(-1))
    return out


def _as_levels(counts: NDArray[np.uint8], photons: int) -> NDArray[np.uint8]:
    """Scale photon counts to grey levels, `photons` being white."""
    return look_up(counts, (np.minimum(np.arange(256) / float(photons), 1.0) * 255.0).astype(np.uint8))


def _shot_noises(key: Key, picture: Picture, parameters: Sequence[Mapping[str, Any]]) -> list[NDArray[np.uint8]]:
    """Count photons of several strengths of light by the same random bits."""
    photons = [one["photons"] for one in parameters]
    counts = random_draws.poisson_counts_together(picture.pixels, key, tuple(photons))
    return [_as_levels(*pair) for pair in zip(counts, photons, strict=True)]


@corruption("noise", draws=_photon_counts, together=_shot_noises, photons=(60, 25, 12, 5, 3))
def shot_noise(picture: Picture, counts: NDArray[np.uint8], photons: int) -> NDArray[np.uint8]:
    """Imitate photon noise: every value is a Poisson count of few photons.

    Parameters
    ----------
    picture : Picture
        The clean image, which made the draws.
    counts : ndarray of uint8, shape (H, W, 3)
        Poisson draws of mean ``pixels * photons / 255``.
    photons : int
        Photons that a white pixel catches on average.

    Returns
    -------
    ndarray of uint8, shape (H, W, 3)
        The counts as grey levels, `photons` being white.
    """
    return _as_levels(counts, photons)


@cache
def _round_trip() -> NDArray[np.uint8]:
    """Return what the reference makes of an untouched level: ``level / 255 * 255``, cut off, falls short for some."""
    return (np.arange(256) / 255.0 * 255.0).astype(np.uint8)


@compiled
def _salt_and_pepper(
    pixels: NDArray[np.uint8], uniforms: NDArray[np.float32], amount: float, out: NDArray[np.uint8]
) -> None:
    """Copy what is spared, and write 255 or 0 over what is hit."""
    salt, pepper = np.float32(0.5 * amount), np.float32(amount)
    for i in range(out.size):  # masks, since a branch on a random number is slow
        spared, salted = -np.int32(uniforms[i] >= pepper), -np.int32(uniforms[i] < salt)
        out[i] = np.uint8((np.int32(pixels[i]) & spared) | (salted & 255))


def _impulse_noises(key: Key, picture: Picture, parameters: Sequence[Mapping[str, Any]]) -> list[NDArray[np.uint8]]:
    """Hit the same image at several severities."""
    uniforms = _uniform_field(key, picture).reshape(-1)
    kept = look_up(picture.pixels, _round_trip())
    outs = [np.empty_like(kept) for _ in parameters]
    for one, out in zip(parameters, outs, strict=True):
        _salt_and_pepper(kept.reshape(-1), uniforms, one["amount"], out.reshape(-1))
    return outs


@corruption("noise", draws=_uniform_field, together=_impulse_noises, amount=(0.03, 0.06, 0.09, 0.17, 0.27))
def impulse_noise(picture: Picture, uniforms: NDArray[np.float32], amount: float) -> NDArray[np.uint8]:
    """Imitate bit errors, salt and pepper: some values become 0 or 255.

    Parameters
    ----------
    picture : Picture
        The clean image.
    uniforms : ndarray of float32, shape (H, W, 3)
        Uniform draws in [0, 1): below ``amount / 2`` a value becomes 255, from there to below `amount` it becomes 0.
    amount : float
        Part of the values that are hit.

    Returns
    -------
    ndarray of uint8, shape (H, W, 3)
        The noisy image.

    Notes
    -----
    The reference makes two draws for each value, one for being hit and one for salt or pepper; one is enough.
    """
    out = np.empty_like(picture.pixels)
    kept = look_up(picture.pixels, _round_trip())
    _salt_and_pepper(kept.reshape(-1), uniforms.reshape(-1), amount, out.reshape(-1))
    return out


@corruption("noise", draws=_normal_field, scale=(0.15, 0.2, 0.35, 0.45, 0.6))
def speckle_noise(picture: Picture, normals: NDArray[np.float32], scale: float) -> NDArray[np.uint8]:
    """Imitate the speckle of coherent light: a normal error in proportion to the value.

    Parameters
    ----------
    picture : Picture
        The clean image.
    normals : ndarray of float32, shape (H, W, 3)
        Standard normal draws.
    scale : float
        Standard deviation, as a part of the value.

    Returns
    -------
    ndarray of uint8, shape (H, W, 3)
        The noisy image.
    """
    out = np.empty_like(picture.pixels)
    _add_noise(picture.pixels.reshape(-1), normals.reshape(-1), 0.0, scale, out.reshape(-1))
    return out
