"""The bundled demonstration set and model: their files, and all that draws, trains and tries them."""

from __future__ import annotations

from pathlib import Path

__all__ = ["DEMONSTRATION_MODEL", "DEMONSTRATION_SET"]

DEMONSTRATION_SET = Path(__file__).parent / "data.parquet"
"""The bundled questions with their pictures."""

DEMONSTRATION_MODEL = Path(__file__).parent / "model"
"""Folder of the bundled checkpoint."""
