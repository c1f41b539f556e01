"""Provide the entry point by which lmms-eval finds the model `benchc` and the Bench-C tasks.

lmms-eval calls `manifests` while it imports its models, before it indexes its tasks. It has no hook for the tasks of a
plugin, so this module wraps the method that collects task folders. If that method is not the expected one, nothing is
changed, and `--include_path "$(benchc tasks-path)"` still works. This module also wraps the method that opens the
response cache, so that killed runs of Bench-C tasks keep their answers.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import yaml
from loguru import logger

from task_yamls import tasks_path

__all__ = ["add_answer_cache", "add_task_folder", "fast_yaml", "manifests", "tasks_are_registered"]

MODEL_CLASS = "benchc_tasks.stacks.lmms_eval.model.BenchCModel"
_WRAPPED_PARAMETERS = ("self", "include_path", "include_defaults")
_MARK = "_benchc_task_folder"
_CACHE_PARAMETERS = {
    "create": ("cache_root", "model", "model_args", "task_dict", "world_size", "global_rank"),
    "execute": ("self", "lm", "reqtype", "requests"),
    "finalize": ("self", "success", "dist_backend", "accelerator"),
}
_CACHE_MARK = "_benchc_answer_cache"
_TASKS_CURE = 'name the tasks with --include_path "$(benchc tasks-path)" instead'
_CACHE_CURE = "with --use_cache run the Bench-C tasks one at a time, because a killed run starts its tasks again"


def manifests() -> list[Any]:
    """Register the Bench-C tasks, and return the manifest of the model `benchc`.

    Returns
    -------
    list of lmms_eval.models.registry_v2.ModelManifest
        One manifest.
    """
    from lmms_eval.models.registry_v2 import ModelManifest

    try:
        from lmms_eval.tasks import TaskManager
    except ImportError as fault:
        _warn(f"lmms_eval.tasks has no TaskManager ({fault})", _TASKS_CURE)
    else:
        add_task_folder(TaskManager)
    try:
        from lmms_eval.caching.response_cache import ResponseCache
    except ImportError as fault:
        _warn(f"lmms_eval.caching has no ResponseCache ({fault})", _CACHE_CURE)
    else:
        add_answer_cache(ResponseCache)
    return [ModelManifest(model_id="benchc", simple_class_path=MODEL_CLASS)]


def add_task_folder(task_manager: type) -> bool:
    """Make every new `task_manager` also index the folder of the Bench-C tasks.

    Parameters
    ----------
    task_manager : type
        lmms-eval's `TaskManager`.

    Returns
    -------
    bool
        True if the tasks will be indexed; False, with one warning, if the class is not the expected one.
    """
    original = getattr(task_manager, "initialize_tasks", None)
    if getattr(original, _MARK, False):
        return True
    if not callable(original) or tuple(inspect.signature(original).parameters) != _WRAPPED_PARAMETERS:
        _warn("TaskManager.initialize_tasks is not the method it was in 0.7.3", _TASKS_CURE)
        return False
    task_manager.initialize_tasks = _with_task_folder(original)  # type: ignore[attr-defined]  # a class of lmms-eval
    return True


def add_answer_cache(response_cache: type) -> bool:
    """Make `--use_cache` open an `AnswerCache` for runs of Bench-C tasks; other runs keep lmms-eval's own cache.

    Parameters
    ----------
    response_cache : type
        lmms-eval's `ResponseCache`.

    Returns
    -------
    bool
        True if Bench-C tasks will use it; False, with one warning, if the class is not the expected one.
    """
    original: Any = getattr(response_cache, "create", None)
    if getattr(original, _CACHE_MARK, False):
        return True
    for name, parameters in _CACHE_PARAMETERS.items():
        method = getattr(response_cache, name, None)
        if not callable(method) or tuple(inspect.signature(method).parameters) != parameters:
            _warn(f"ResponseCache.{name} is not the method it was in 0.7.3", _CACHE_CURE)
            return False
    response_cache.create = _with_answer_cache(original)  # type: ignore[attr-defined]  # a class of lmms-eval
    return True


@contextmanager
def fast_yaml() -> Iterator[None]:
    """Let lmms-eval read YAML with libyaml inside the block, if PyYAML was built with it."""
    from lmms_eval import utils

    loader = getattr(yaml, "CFullLoader", None)
    if loader is None or getattr(utils, "yaml", None) is not yaml:
        yield
        return

    class TaskLoader(loader):  # type: ignore[misc, valid-type]  # the class that PyYAML has or not
        """A separate loader, so that its constructors do not affect other readers of YAML."""

    utils.yaml = SimpleNamespace(
        add_constructor=TaskLoader.add_constructor,
        full_load=lambda stream: yaml.load(stream, Loader=TaskLoader),
    )
    try:
        yield
    finally:
        utils.yaml = yaml


def tasks_are_registered() -> bool:
    """Check if lmms-eval's task manager in this process indexes the Bench-C tasks by itself."""
    from lmms_eval.tasks import TaskManager

    return bool(getattr(TaskManager.initialize_tasks, _MARK, False))


def _with_task_folder(original: Callable[..., dict[str, Any]]) -> Callable[..., dict[str, Any]]:
    @functools.wraps(original)
    def initialize_tasks(
        self: Any, include_path: str | list[str] | None = None, include_defaults: bool = True
    ) -> dict[str, Any]:
        given = [include_path] if isinstance(include_path, str) else list(include_path or [])
        with fast_yaml():
            return original(self, include_path=[*given, str(tasks_path())], include_defaults=include_defaults)

    setattr(initialize_tasks, _MARK, True)
    return initialize_tasks


def _with_answer_cache(original: Callable[..., Any]) -> staticmethod[..., Any]:
    @functools.wraps(original)
    def create(cache_root: str, *, task_dict: Mapping[str, Any] | None = None, **settings: Any) -> Any:
        if not _has_task_of_ours(task_dict or {}):
            return original(cache_root, task_dict=task_dict, **settings)
        from benchc_tasks.stacks.lmms_eval.answer_cache import AnswerCache

        return AnswerCache.create(cache_root, task_dict=task_dict, **settings)

    setattr(create, _CACHE_MARK, True)
    return staticmethod(create)


def _has_task_of_ours(tasks: Mapping[str, Any]) -> bool:
    """Check if one of lmms-eval's tasks, in a group or not, has a class from this package or from one above it."""
    return any(
        _has_task_of_ours(task)
        if isinstance(task, Mapping)
        else any(kind.__module__.startswith("benchc_tasks.") for kind in type(task).__mro__)
        for task in tasks.values()
    )


def _warn(what: str, cure: str) -> None:
    # Uses lmms-eval's own logger, because its backends switch Python's warnings off.
    logger.warning(f"benchc does not change lmms-eval, because {what}: {cure}.")
