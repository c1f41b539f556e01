"""Record the states of files, to detect a changed dataset or checkpoint."""

from __future__ import annotations

import os

__all__ = ["FileState", "file_states"]

FileState = tuple[str, int, int]
"""A file's path relative to the given path, its modification time in ns, and its size in bytes."""


def file_states(path: str) -> tuple[FileState, ...]:
    """Return the states of a file, or of all files below a folder, without reading their contents.

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
    # A broken link: if the file is needed, reading it will fail.
    except OSError:
        return os.path.relpath(file, path), 0, 0
    return os.path.relpath(file, path), state.st_mtime_ns, state.st_size
