"""Find the selected sets that come with the package: manifests, without texts and images."""

from __future__ import annotations

from pathlib import Path

from benchc_tasks.datasets.sets.names import SELECTED_SETS

__all__ = ["SETS", "named_set"]

SETS = tuple(SELECTED_SETS)
"""Names of the sets."""


def named_set(name: str) -> Path | None:
    """Return the manifest of a set, or None where the name is not one of `SETS`."""
    return SELECTED_SETS.get(name)
