"""Notice that the files of a dataset or a checkpoint have changed."""

from __future__ import annotations

import os

__all__ = ["FileState", "file_states"]

FileState = tuple[str, int, int]
"""A file's path relative to the path that was asked for, its time of change in ns, and its size in bytes."""


def file_states(path: str) -> tuple[FileState, ...]:
    """Return the states of a file, or of all files below a folder; what is in them is not read.

    Parameters
    ----------
    path : str
        A file or a folder; it may be absent.

    Returns
    -------
    tuple of FileState
        In the order of the paths; empty if the path is absent.
    """
    below = [os.path.join(root, name) for root, _, names in os.walk(path) for name in names]
    return tuple(_state(file, path) for file in ([path] if os.path.isfile(path) else sorted(below)))


def _state(file: str, path: str) -> FileState:
    try:
        state = os.stat(file)
    # A link to nothing: whether it is needed is seen when it is read.
    except OSError:
        return os.path.relpath(file, path), 0, 0
    return os.path.relpath(file, path), state.st_mtime_ns, state.st_size
