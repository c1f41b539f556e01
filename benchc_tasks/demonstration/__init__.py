"""Hold the bundled demonstration set and model, and the code that draws and trains them."""

from __future__ import annotations

from pathlib import Path

__all__ = ["DEMONSTRATION_MODEL", "DEMONSTRATION_SET", "KNOWN_LOG_LIKELIHOODS"]

DEMONSTRATION_SET = Path(__file__).parent / "data.parquet"
"""File of the bundled questions with their pictures."""

DEMONSTRATION_MODEL = Path(__file__).parent / "model"
"""Folder of the bundled checkpoint."""

KNOWN_LOG_LIKELIHOODS = (-0.000788, -8.600659, -8.192907, -9.124259)
"""The bundled model's answer to the first bundled question: the options' log-likelihoods, in nats."""
