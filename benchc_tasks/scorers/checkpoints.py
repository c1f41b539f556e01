"""Whether a checkpoint is still the one that it was."""

from __future__ import annotations

import hashlib
from pathlib import Path

__all__ = ["checkpoint_state"]


def checkpoint_state(name: str, commit: str | None = None) -> str:
    """Name a checkpoint so that another one in its place has another name.

    Parameters
    ----------
    name : str
        A folder or a hub id.
    commit : str or None
        The commit of the hub that it was loaded from, where it was.

    Returns
    -------
    str
        For a folder a hash of its files' names, sizes and times of change; weights are not read. Else the id and its
        commit.
    """
    folder = Path(name)
    if not folder.is_dir():
        return f"{name}@{commit}"
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    states = [(str(path.relative_to(folder)), path.stat().st_size, path.stat().st_mtime_ns) for path in files]
    return hashlib.sha256(repr(states).encode()).hexdigest()[:16]
