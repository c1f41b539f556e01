"""The compiler of the pixel kernels: one typed decorator over numba.

The settings are part of what makes pixels the same everywhere. There is no `fastmath`: LLVM may then neither reorder
a sum nor contract a multiply and an add into one rounding, so a vectorised loop gives the bits of the plain loop, on
any processor. Kernels stick to ``+ - * /`` and integers, which IEEE 754 defines to the last bit, and every literal in
them has an explicit type, so that ``NUMBA_DISABLE_JIT=1`` (plain Python and numpy scalars) computes the same.

Compiled kernels are kept in the user's cache folder and never beside the source: files left there outlive an
uninstalled package, and their folder then shadows the next installation.
"""

import functools
import hashlib
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, TypeVar, cast

import numba
from loguru import logger
from platformdirs import user_cache_path

__all__ = ["compiled", "kernel_cache"]

Function = TypeVar("Function", bound=Callable[..., Any])

SETTINGS = {"nogil": True, "error_model": "numpy"}
KERNEL_BYTES = 4 * 2**20


def compiled(function: Function) -> Function:
    """Compile a kernel at its first call, cache it on disk where possible, and let it run without the GIL.

    Parameters
    ----------
    function : callable
        A function of arrays and numbers in numba's subset of Python.

    Returns
    -------
    callable
        The compiled function; `function` itself under ``NUMBA_DISABLE_JIT=1``.
    """
    folder = kernel_cache()
    if folder is not None:
        with _numba_caching_in(folder):
            try:
                kernel = numba.njit(cache=True, **SETTINGS)(function)
            except RuntimeError:
                # numba has no cache for a function without a source file.
                return cast(Function, numba.njit(**SETTINGS)(function))
        if not hasattr(kernel, "stats") or Path(kernel.stats.cache_path).is_relative_to(folder):
            return cast(Function, kernel)
    return cast(Function, numba.njit(**SETTINGS)(function))


@functools.cache
def kernel_cache() -> Path | None:
    """Return the folder of the compiled kernels, made if need be.

    Returns
    -------
    pathlib.Path or None
        ``NUMBA_CACHE_DIR`` where it is set; otherwise a folder for this version of benchc, its kernels and numba in
        the user's cache folder. None, after a warning, if nothing can be written there.
    """
    chosen = str(numba.config.CACHE_DIR)
    folder = Path(chosen) if chosen else _versioned(user_cache_path("benchc", appauthor=False))
    try:
        if not (chosen or folder.is_absolute()):
            raise OSError("this user has no home folder")
        folder.mkdir(parents=True, exist_ok=True)
        # numba makes no such attempt, and ends the run where the disk is full.
        with tempfile.TemporaryFile(dir=folder) as attempt:
            attempt.write(bytes(KERNEL_BYTES))
    except OSError as fault:
        logger.warning(
            f"The corruptions are compiled anew in every process, which takes about a minute, because {folder} cannot "
            f"keep them ({fault.strerror or fault}): set NUMBA_CACHE_DIR to a folder that can be written"
        )
        return None
    return folder


def _versioned(folder: Path) -> Path:
    try:
        ours = version("benchc")
    except PackageNotFoundError:
        ours = "source"
    # numba compares the file of a kernel, but not the files of the kernels that it calls.
    sources = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        sources.update(path.read_bytes())
    return folder / f"kernels-{ours}-{sources.hexdigest()[:8]}-numba-{numba.__version__}"


@contextmanager
def _numba_caching_in(folder: Path) -> Iterator[None]:
    # numba chooses the folder when it decorates, and would otherwise fall back to the folder of the source.
    before = numba.config.CACHE_DIR
    numba.config.CACHE_DIR = os.fspath(folder)
    try:
        yield
    finally:
        numba.config.CACHE_DIR = before
