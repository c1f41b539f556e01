"""Provide `AnswerCache` for lmms-eval's `--use_cache` in runs of Bench-C tasks.

lmms-eval's own `ResponseCache` stores nothing before the last answer arrives, and finds nothing from a killed run. This
cache asks a question only once, even if several tasks ask it, and stores its answer at once
(`benchc_tasks.stacks.answer_store`).
"""

from __future__ import annotations

import json
from collections.abc import Generator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from lmms_eval.api.instance import GenerationResult, Instance
from lmms_eval.utils import simple_parse_args_string
from loguru import logger

from benchc_metrics.messages import quoted
from benchc_metrics.responses import NO_ANSWER, checked_text
from benchc_tasks.models.processes import fail_together
from benchc_tasks.stacks import answer_cache
from benchc_tasks.stacks.answer_cache import AnswersNotKeptError, kept_log_likelihood
from benchc_tasks.stacks.answer_store import SYNC_INTERVAL
from benchc_tasks.stacks.lmms_eval.requests import group_requests_by_key, in_pieces, task_configurations
from benchc_tasks.stacks.model_identity import model_identity

__all__ = ["AnswerCache", "AnswersNotKeptError"]


class AnswerCache(answer_cache.AnswerCache):
    """The answers of this run and of earlier ones, with the methods of `ResponseCache` that lmms-eval calls.

    Parameters
    ----------
    root, model
        As in `benchc_tasks.stacks.answer_cache.AnswerCache`.
    tasks : mapping of str to str
        The state of each task's configuration.
    """

    def __init__(self, root: Path, model: str, tasks: Mapping[str, str]) -> None:
        super().__init__(root, model)
        self._tasks = tasks

    @classmethod
    def create(
        cls,
        cache_root: str,
        *,
        model: object = "",
        model_args: str | Mapping[str, Any] = "",
        task_dict: Mapping[str, Any] | None = None,
        world_size: int = 1,
        global_rank: int = 0,
    ) -> AnswerCache:
        """Open the cache of a run as `ResponseCache.create` does, and merge the answers of killed runs."""
        path = Path(cache_root).absolute()
        root = path.parent if path.suffix == ".db" else path
        arguments = simple_parse_args_string(model_args) if isinstance(model_args, str) else dict(model_args or {})
        identity = model_identity(model, arguments)
        if global_rank == 0 and any(root.glob("runs/*benchc-*")):
            logger.warning(f"{root}/cache.db has answers of an earlier version of benchc, which are not used")
        if global_rank == 0 and identity is None:
            logger.warning(
                f"the answers of {quoted(model)} are not kept: give it a __repr__ that differs from other models"
            )
        cache = cls(root, identity or "", task_configurations(task_dict or {}))
        cache.merge()
        return cache

    @fail_together()
    def execute(self, lm: Any, reqtype: str, requests: Sequence[Instance]) -> list[Any]:
        """Answer requests from the cache; ask the model for the others, and store each answer as it arrives.

        Parameters
        ----------
        lm : lmms_eval.api.model.lmms
            A model with a method `stream_<reqtype>` that yields the answers, or with lmms-eval's `<reqtype>`.
        reqtype, requests
            As in `ResponseCache.execute`.

        Returns
        -------
        list
            One answer for each request, in order; answers from the cache equal those from the model.

        Raises
        ------
        AnswersNotKeptError
            If an answer cannot be written.
        """
        return self.answer(
            requests,
            group_requests_by_key(self.key_of(lm), reqtype, requests, self._tasks),
            partial(_stream, lm, reqtype),
            keep=partial(_kept, reqtype),
            read=tuple if reqtype == "loglikelihood" else _same,
            arrange=getattr(lm, f"arrange_{reqtype}", None),
        )

    def finalize(self, *, success: bool, dist_backend: str = "accelerate", accelerator: object = None) -> None:
        """Close the files, and merge them if all requests were answered; a fault here only causes a warning."""
        self.close(success=success)


def _same(kept: Any) -> Any:
    return kept


def _kept(reqtype: str, response: object) -> Any:
    """Return a response as JSON types, or None if the next run must ask for it again."""
    if reqtype == "loglikelihood":
        return kept_log_likelihood(response)
    text = response.text if isinstance(response, GenerationResult) else response
    if isinstance(text, str):
        is_answer = text.strip() and not text.startswith(NO_ANSWER) and "text" in checked_text(text)
        return text if is_answer else None
    return text if json.loads(json.dumps(text, default=str)) == text else None


def _stream(lm: Any, reqtype: str, questions: Sequence[Sequence[Instance]]) -> Generator[Any, None, None]:
    """Yield a model's answers one by one, or in groups of a few questions if the model cannot stream."""
    stream = getattr(lm, f"stream_{reqtype}", None)
    if stream is not None:
        yield from stream([request for question in questions for request in question])
        return
    for requests in in_pieces(questions, SYNC_INTERVAL):
        yield from getattr(lm, reqtype)(requests)
