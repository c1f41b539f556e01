"""How the pixel kernels are compiled: one typed decorator over numba.

The settings are part of what makes pixels the same everywhere. There is no `fastmath`: LLVM may then neither reorder
a sum nor contract a multiply and an add into one rounding, so a vectorised loop gives the bits of the plain loop, on
any processor. Kernels stick to ``+ - * /`` and integers, which IEEE 754 defines to the last bit, and every literal in
them has an explicit type, so that ``NUMBA_DISABLE_JIT=1`` (plain Python and numpy scalars) computes the same.
"""

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba

__all__ = ["compiled"]

Function = TypeVar("Function", bound=Callable[..., Any])


def compiled(function: Function) -> Function:
    """Compile a kernel at its first call, cache it on disk, and let it run without the GIL.

    Parameters
    ----------
    function : callable
        A function of arrays and numbers in numba's subset of Python.

    Returns
    -------
    callable
        The compiled function; `function` itself under ``NUMBA_DISABLE_JIT=1``.
    """
    return cast(Function, numba.njit(cache=True, nogil=True, error_model="numpy")(function))
