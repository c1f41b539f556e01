"""The task and group definitions that lmms-eval reads: one YAML a corruption, the groups, the shared template."""

from __future__ import annotations

from pathlib import Path

__all__ = ["tasks_path"]


def tasks_path() -> Path:
    """Return the folder of the definitions, as lmms-eval's `--include_path` takes it."""
    return Path(__file__).resolve().parent
