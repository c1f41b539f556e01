"""The entry point by which lmms-eval finds the model `benchc` and the Bench-C tasks.

lmms-eval calls `manifests` while it imports its models, before it indexes its tasks. It has no hook of its own for the
tasks of a plugin, so the one method that collects task folders is wrapped here; where that method is not the one that
this was written for, nothing is touched and `--include_path "$(benchc tasks-path)"` remains.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

from loguru import logger

from task_yamls import tasks_path

__all__ = ["add_task_folder", "manifests", "tasks_are_registered"]

MODEL_CLASS = "benchc_tasks.scorers.model.BenchCModel"
_WRAPPED_PARAMETERS = ("self", "include_path", "include_defaults")
_MARK = "_benchc_task_folder"


def manifests() -> list[Any]:
    """Make the Bench-C tasks known and return the manifest of the model `benchc`.

    Returns
    -------
    list of lmms_eval.models.registry_v2.ModelManifest
        One manifest.
    """
    from lmms_eval.models.registry_v2 import ModelManifest

    try:
        from lmms_eval.tasks import TaskManager
    except ImportError as fault:
        _warn(f"lmms_eval.tasks has no TaskManager ({fault})")
    else:
        add_task_folder(TaskManager)
    return [ModelManifest(model_id="benchc", simple_class_path=MODEL_CLASS)]


def add_task_folder(task_manager: type) -> bool:
    """Let every new `task_manager` index the folder of the Bench-C tasks too.

    Parameters
    ----------
    task_manager : type
        lmms-eval's `TaskManager`.

    Returns
    -------
    bool
        Whether the tasks will be indexed; False, with one warning, if the class is not the expected one.
    """
    original = getattr(task_manager, "initialize_tasks", None)
    if getattr(original, _MARK, False):
        return True
    if not callable(original) or tuple(inspect.signature(original).parameters) != _WRAPPED_PARAMETERS:
        _warn("TaskManager.initialize_tasks is not the method it was in 0.7.3")
        return False
    task_manager.initialize_tasks = _with_task_folder(original)  # type: ignore[attr-defined]  # a class of lmms-eval
    return True


def tasks_are_registered() -> bool:
    """Tell whether lmms-eval's task manager, as it is in this process, indexes the Bench-C tasks by itself."""
    from lmms_eval.tasks import TaskManager

    return bool(getattr(TaskManager.initialize_tasks, _MARK, False))


def _with_task_folder(original: Callable[..., dict[str, Any]]) -> Callable[..., dict[str, Any]]:
    @functools.wraps(original)
    def initialize_tasks(
        self: Any, include_path: str | list[str] | None = None, include_defaults: bool = True
    ) -> dict[str, Any]:
        given = [include_path] if isinstance(include_path, str) else list(include_path or [])
        return original(self, include_path=[*given, str(tasks_path())], include_defaults=include_defaults)

    setattr(initialize_tasks, _MARK, True)
    return initialize_tasks


def _warn(what: str) -> None:
    # By lmms-eval's own logger: backends that it imports switch Python's warnings off.
    logger.warning(
        f"benchc leaves lmms-eval as it is, because {what}: "
        'name the tasks with --include_path "$(benchc tasks-path)" instead.'
    )
