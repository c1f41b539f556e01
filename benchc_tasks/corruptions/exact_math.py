"""Exponential, sine and cosine whose last bit does not depend on the machine.

The C library's and numpy's versions differ between processors (they pick another code path where there is FMA or
AVX-512), and a difference in the last bit is enough to turn a grey level. These use Python's `decimal`, which rounds
correctly by specification, or nothing but ``+ - *``. They serve the few numbers that define a kernel, never a pixel.
"""

import math
from decimal import Context, Decimal
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

__all__ = ["cosine_and_sine", "exponential", "gaussian_weights", "one_sided_gaussian_weights"]

_CONTEXT = Context(prec=30)


def exponential(x: float) -> float:
    """Return e to the power of `x`, correctly rounded.

    Parameters
    ----------
    x : float
        Any finite number.

    Returns
    -------
    float
        ``exp(x)``.
    """
    return float(Decimal(x).exp(_CONTEXT))


def cosine_and_sine(degrees: float) -> tuple[float, float]:
    """Return the cosine and the sine of an angle.

    Parameters
    ----------
    degrees : float
        The angle, in -180..180 degrees.

    Returns
    -------
    tuple of float
        Cosine and sine, to about 1e-15.
    """
    angle = degrees * (math.pi / 180.0)
    cosine = sine = 0.0
    term = 1.0
    for power in range(40):  # Taylor: the 40th term of an angle below pi is under 1e-27
        sign = -1.0 if power % 4 >= 2 else 1.0
        if power % 2 == 0:
            cosine += sign * term
        else:
            sine += sign * term
        term *= angle / (power + 1)
    return cosine, sine


@lru_cache(maxsize=64)
def gaussian_weights(sigma: float, truncate: float) -> NDArray[np.float64]:
    """Return the weights of one half of a Gaussian filter, the centre first.

    Parameters
    ----------
    sigma : float
        Standard deviation in pixels; 0 gives the identity.
    truncate : float
        Where the filter ends, in standard deviations.

    Returns
    -------
    ndarray of float64
        Weights at distances 0, 1, ..., r, such that the whole, two-sided filter sums to 1; to be read only.
    """
    radius = int(truncate * sigma + 0.5)
    half = [1.0] + [exponential(-0.5 * distance * distance / (sigma * sigma)) for distance in range(1, radius + 1)]
    total = math.fsum([half[0], *half[1:], *half[1:]])
    return _read_only([weight / total for weight in half])


@lru_cache(maxsize=16)
def one_sided_gaussian_weights(count: int, sigma: float) -> NDArray[np.float64]:
    """Return the weights of a streak that fades as a Gaussian from its first pixel on.

    Parameters
    ----------
    count : int
        Length of the streak in pixels.
    sigma : float
        Standard deviation in pixels.

    Returns
    -------
    ndarray of float64
        Weights at distances 0, 1, ..., count - 1, summing to 1; to be read only.
    """
    weights = [exponential(-distance * distance / (2.0 * sigma * sigma)) for distance in range(count)]
    total = math.fsum(weights)
    return _read_only([weight / total for weight in weights])


def _read_only(weights: list[float]) -> NDArray[np.float64]:
    array = np.array(weights)
    array.flags.writeable = False
    return array
