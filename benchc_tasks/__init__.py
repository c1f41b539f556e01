"""Bench-C up to the model's response: corruptions, datasets, selection, models and the stacks' tasks.

The names below are the front door. Each is imported when it is first used: neither torch nor an evaluation framework is
imported before it is needed.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from benchc_tasks.corruptions import corrupt, corrupt_many
    from benchc_tasks.datasets import load_dataset
    from benchc_tasks.stacks.lmms_eval.evaluation import evaluate

__all__ = ["corrupt", "corrupt_many", "evaluate", "load_dataset"]

_ROOMS = {
    "corrupt": "benchc_tasks.corruptions",
    "corrupt_many": "benchc_tasks.corruptions",
    "evaluate": "benchc_tasks.stacks.lmms_eval.evaluation",
    "load_dataset": "benchc_tasks.datasets",
}


def __getattr__(name: str) -> Any:
    if name not in _ROOMS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = globals()[name] = getattr(import_module(_ROOMS[name]), name)
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
