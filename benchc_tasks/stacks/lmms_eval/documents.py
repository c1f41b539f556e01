"""Pass the docs of a task to the model, and facts about the model back to the task.

lmms-eval sets `lm.task_dict[task] = task.dataset` before anything is asked. It has no way back, but a record must hold
the system text that was sent. So the model stores its facts on the docs when it receives them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from benchc_tasks.stacks.common import AnsweringModel

__all__ = ["DocsOfModel", "DocsOfTask"]


class DocsOfTask(dict[str, Sequence[dict[str, Any]]]):
    """The docs of a task by split.

    Attributes
    ----------
    model : AnsweringModel or None
        The model that received them, if it describes itself.
    """

    model: AnsweringModel | None = None


class DocsOfModel(dict[str, Any]):
    """A model's `task_dict`, which stores the model's facts on our docs.

    Parameters
    ----------
    model : AnsweringModel
    """

    def __init__(self, model: AnsweringModel) -> None:
        super().__init__()
        self._model = model

    def __setitem__(self, task: str, docs: Any) -> None:
        """Keep the docs of a task."""
        if isinstance(docs, DocsOfTask):
            docs.model = self._model
        super().__setitem__(task, docs)
