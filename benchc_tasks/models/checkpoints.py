"""Whether a checkpoint is still the one that it was."""

from __future__ import annotations

import hashlib
import os

from benchc_tasks.datasets.file_states import file_states

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
    if not os.path.isdir(name):
        return f"{name}@{commit}"
    return hashlib.sha256(repr(file_states(name)).encode()).hexdigest()[:16]
