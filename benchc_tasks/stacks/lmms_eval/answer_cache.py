"""`AnswerCache`, which stands behind lmms-eval's `--use_cache` in runs of Bench-C tasks.

lmms-eval's own `ResponseCache` stores nothing before the last answer has come, and finds nothing of a killed run. This
one asks a question once, whatever tasks ask it, and keeps its answer at once (`benchc_tasks.stacks.answer_store`).
"""

from __future__ import annotations

import json
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

from lmms_eval.api.instance import GenerationResult, Instance
from lmms_eval.utils import simple_parse_args_string
from loguru import logger

from benchc_metrics.messages import quoted
from benchc_metrics.responses import NO_ANSWER, checked_response, checked_text
from benchc_tasks.models.processes import fail_together
from benchc_tasks.stacks.answer_store import SYNC_INTERVAL, AnswerStore, answer_key
from benchc_tasks.stacks.lmms_eval.requests import group_by_key, in_pieces, task_configurations
from benchc_tasks.stacks.model_identity import model_identity

__all__ = ["AnswerCache", "AnswersNotKeptError"]


class AnswersNotKeptError(RuntimeError):
    """The answers of a run can no longer be kept; the message says how many are, and how to go on."""


class AnswerCache:
    """The answers of this run and of earlier ones, with the methods of `ResponseCache` that lmms-eval calls.

    Parameters
    ----------
    root : Path
        `--use_cache`; the answers of each model have a folder there.
    model : str
        What tells the model from others, beside its own `fingerprint` where it has one. Empty if nothing does: its
        answers are not kept.
    tasks : mapping of str to str
        The state of each task's configuration.
    """

    def __init__(self, root: Path, model: str, tasks: Mapping[str, str]) -> None:
        self._store = AnswerStore(root / f"answers-{answer_key(model)[:16]}")
        self._model = model
        self._tasks = tasks
        self._found = 0

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
        """Open the cache of a run as `ResponseCache.create` does, and merge what killed runs left."""
        path = Path(cache_root).absolute()
        root = path.parent if path.suffix == ".db" else path
        arguments = simple_parse_args_string(model_args) if isinstance(model_args, str) else dict(model_args or {})
        identity = model_identity(model, arguments)
        if global_rank == 0 and any(root.glob("runs/*benchc-*")):
            logger.warning(f"{root}/cache.db has answers of an earlier version of benchc, which are not used")
        if global_rank == 0 and identity is None:
            logger.warning(
                f"the answers of {quoted(model)} are not kept: give it a __repr__ that tells it from other models"
            )
        cache = cls(root, identity or "", task_configurations(task_dict or {}))
        # What cannot be merged on this disk is found all the same.
        with suppress(OSError):
            cache._store.merge()
        return cache

    @fail_together()
    def execute(self, lm: Any, reqtype: str, requests: Sequence[Instance]) -> list[Any]:
        """Answer requests from the cache, and those it lacks by the model, whose answers are kept as they come.

        Parameters
        ----------
        lm : lmms_eval.api.model.lmms
            Has a method `stream_<reqtype>` that yields the answers, or lmms-eval's `<reqtype>`.
        reqtype, requests
            As those of `ResponseCache.execute`.

        Returns
        -------
        list
            One answer a request, in order, the same whether they come from the cache or from the model.

        Raises
        ------
        AnswersNotKeptError
            If an answer cannot be written.
        """
        model = answer_key(self._model, getattr(lm, "fingerprint", "")) if self._model else ""
        questions = group_by_key(model, reqtype, requests, self._tasks)
        found = self._store.find({key for key, _ in questions})
        answers: list[Any] = [None] * len(requests)
        for key, options in questions:
            for places, response in zip(options, found.get(key, ()), strict=False):
                for place in places:
                    answers[place] = tuple(response) if reqtype == "loglikelihood" else response
        missing = [(key, options) for key, options in questions if key not in found]
        number = len(requests) - sum(len(places) for _, options in missing for places in options)
        self._found += number
        logger.info(f"{number:,} of {len(requests):,} answers were found in {self._store.folder.parent}")
        for places, response in self._ask(lm, reqtype, requests, missing) if missing else ():
            for place in places:
                answers[place] = response
        return answers

    def finalize(self, *, success: bool, dist_backend: str = "accelerate", accelerator: object = None) -> None:
        """Close the files, and merge them if all was answered; a fault here is only warned of."""
        try:
            self._store.close()
            if success:
                self._store.merge()
        except Exception as fault:
            if success and self._store.written:
                logger.warning(
                    f"the answers of this run could not be merged ({fault}): they stay in {self._store.folder}, where "
                    "the next run finds them"
                )

    def _ask(
        self, lm: Any, reqtype: str, requests: Sequence[Instance], missing: Sequence[tuple[str, list[list[int]]]]
    ) -> Iterator[tuple[list[int], Any]]:
        """Yield each response with the places of the requests that it answers; keep those to a question at its end."""
        with self._writing():
            self._store.open()
        asked = [[requests[places[0]] for places in options] for _, options in missing]
        with closing(_stream(lm, reqtype, asked)) as stream:
            order = [(key, places, places is options[-1]) for key, options in missing for places in options]
            kept: list[Any] = []
            for (key, places, is_last), response in zip(order, stream, strict=True):
                yield places, response
                kept.append(_kept(reqtype, response))
                if is_last:
                    if key and None not in kept:
                        with self._writing():
                            self._store.keep(key, kept)
                    kept = []

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as fault:
            raise AnswersNotKeptError(
                f"answers can no longer be kept in {self._store.folder} ({fault}): "
                f"{self._found + self._store.written:,} answers of this run are kept; make room there or make it "
                "writable, and the same command goes on from them"
            ) from fault


def _kept(reqtype: str, response: object) -> Any:
    """Return a response as JSON types, or None for one that is to be asked for again by the next run."""
    if reqtype == "loglikelihood":
        checked = checked_response(response)
        return None if isinstance(checked, dict) else list(checked[: 2 if checked.missing_mass is None else 3])
    text = response.text if isinstance(response, GenerationResult) else response
    if isinstance(text, str):
        is_answer = text.strip() and not text.startswith(NO_ANSWER) and "text" in checked_text(text)
        return text if is_answer else None
    return text if json.loads(json.dumps(text, default=str)) == text else None


def _stream(lm: Any, reqtype: str, questions: Sequence[Sequence[Instance]]) -> Generator[Any, None, None]:
    """Yield a model's answers as it gives them, or, from one that cannot, those to a few questions at a time."""
    stream = getattr(lm, f"stream_{reqtype}", None)
    if stream is not None:
        yield from stream([request for question in questions for request in question])
        return
    for requests in in_pieces(questions, SYNC_INTERVAL):
        yield from getattr(lm, reqtype)(requests)
