"""Find the sets that come with the package: manifests, without texts and images."""

from __future__ import annotations

from pathlib import Path

__all__ = ["SETS", "named_set"]

_FOLDER = Path(__file__).parent / "manifests"

SETS = tuple(sorted(path.stem for path in _FOLDER.glob("*.json")))
"""Names of the sets."""


def named_set(name: str) -> Path | None:
    """Return the manifest of a set, or None where the name is not one of `SETS`."""
    return _FOLDER / f"{name}.json" if name in SETS else None
