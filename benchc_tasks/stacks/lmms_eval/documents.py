"""Hand the docs of a task to the model that answers, and back, through lmms-eval.

lmms-eval sets `lm.task_dict[task] = task.dataset` before anything is asked. It offers no way back, and a record must
say which system text was sent; so the model leaves its facts on the docs when it is given them.
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
        The model that was given them, where it says what it is.
    """

    model: AnsweringModel | None = None


class DocsOfModel(dict[str, Any]):
    """A model's `task_dict`, which leaves the model's facts on docs of ours.

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
