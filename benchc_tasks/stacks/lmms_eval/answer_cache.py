"""`AnswerCache`, which stands behind lmms-eval's `--use_cache` in runs of Bench-C tasks.

lmms-eval's own `ResponseCache` stores nothing before the last answer has come, and finds nothing of a run that was
killed. This one keeps its files and its keys; what is written when, and what is read, is in
`benchc_tasks.stacks.answer_store`.
"""

from __future__ import annotations

import hashlib
import json
import re
import sqlite3
import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any

from lmms_eval.api.instance import GenerationResult, Instance
from lmms_eval.caching.response_cache import (
    canonicalize_gen_kwargs,
    compute_cache_key,
    extract_gen_kwargs,
    fingerprint_callable,
    is_deterministic,
)
from lmms_eval.utils import simple_parse_args_string
from loguru import logger

from benchc_metrics.responses import checked_response
from benchc_tasks.corruptions import CORRUPTIONS
from benchc_tasks.models.processes import fail_together
from benchc_tasks.stacks.answer_store import SYNC_INTERVAL, Answer, AnswerFolder, AnswerLog, is_answer
from benchc_tasks.stacks.lmms_eval.requests import shown_question

__all__ = ["AnswerCache", "AnswersNotKeptError"]

_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+>")
_SECRET = re.compile(r"(^|_)(api_key|secret|password)$|^(hf_)?token$", re.IGNORECASE)


class AnswersNotKeptError(RuntimeError):
    """The answers of a run can be kept no more; the message says how many are, and how to go on."""


class AnswerCache:
    """The answers of this run and of all before it, one process's face of them.

    It has the methods of `lmms_eval.caching.response_cache.ResponseCache` that the evaluator calls.

    Parameters
    ----------
    folder : AnswerFolder
        Where the answers lie.
    model : str
        The model and its arguments; what else its answers depend on, the model says itself (`fingerprint`).
    tasks : mapping of str to str
        For each task what its answers depend on.
    rank : int
        Number of this process.
    """

    def __init__(self, folder: AnswerFolder, model: str, tasks: Mapping[str, str], rank: int = 0) -> None:
        self._folder = folder
        self._model = model
        self._tasks = tasks
        self._rank = rank
        self._log: AnswerLog | None = None
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
        """Open the cache of a run; answers of runs that were killed are merged first.

        Parameters
        ----------
        cache_root : str
            `--use_cache`: a folder, or a database in it.
        model : object
            `--model`.
        model_args : str or mapping
            `--model_args`.
        task_dict : mapping
            lmms-eval's tasks, by name and in groups.
        world_size : int
            Not used: every process has files of its own.
        global_rank : int
            Number of this process.

        Returns
        -------
        AnswerCache
        """
        path = Path(cache_root).absolute()
        folder = AnswerFolder(path.parent if path.suffix == ".db" else path)
        # What cannot be merged on this disk is found all the same, and told when something is to be written.
        with suppress(OSError, sqlite3.Error):
            folder.merge()
        return cls(folder, f"{model}|{_arguments(model_args)}", dict(_task_fingerprints(task_dict or {})), global_rank)

    @fail_together()
    def execute(self, lm: Any, reqtype: str, requests: Sequence[Instance]) -> list[Any]:
        """Answer requests from the cache, and those it lacks by the model, whose answers are kept as they come.

        Parameters
        ----------
        lm : lmms_eval.api.model.lmms
            Has a method `stream_<reqtype>` that yields the answers, or lmms-eval's `<reqtype>`.
        reqtype : str
            `loglikelihood`, `generate_until`, ...
        requests : sequence of Instance
            What is asked.

        Returns
        -------
        list
            One answer a request, in order, the same whether they come from the cache or from the model.

        Raises
        ------
        AnswersNotKeptError
            If an answer cannot be written.
        """
        keys = self._keys(lm, reqtype, requests)
        found = self._find({key for key in keys if key})
        answers: list[Any] = [None] * len(requests)
        missing: list[list[int]] = []
        for places in _questions(reqtype, requests):
            if all(keys[place] in found for place in places):
                for place in places:
                    answers[place] = _restored(reqtype, found[keys[place]])
            else:
                missing.append(places)
        asked = sum(map(len, missing))
        self._found += len(requests) - asked
        logger.info(f"{len(requests) - asked:,} of {len(requests):,} answers were found in {self._folder.root}")
        if missing:
            self._ask(lm, reqtype, requests, keys, missing, answers)
        return answers

    def finalize(self, *, success: bool, dist_backend: str = "accelerate", accelerator: object = None) -> None:
        """Close the files, and merge them if the run has its results; a fault here is told and harms nothing.

        Parameters
        ----------
        success : bool
            Whether all was answered.
        dist_backend, accelerator : object
            Not used: no process waits for another.
        """
        log, self._log = self._log, None
        try:
            if log is not None:
                log.close()
            if success:
                self._folder.merge()
        except Exception as fault:
            if success and log is not None:
                logger.warning(
                    f"the answers of this run could not be merged into {self._folder.database} ({fault}): "
                    f"they stay in {log.folder}, where the next run finds them"
                )

    def _find(self, keys: set[str]) -> dict[str, str]:
        if self._log is None:
            return self._folder.find(keys)
        return self._folder.find(keys, own=self._log.folder) | self._log.find(keys)

    def _ask(
        self,
        lm: Any,
        reqtype: str,
        requests: Sequence[Instance],
        keys: Sequence[str],
        questions: Sequence[Sequence[int]],
        answers: list[Any],
    ) -> None:
        log = self._open_log()
        # Question by question, so that what a question is answered with is kept at once, whatever task asks for it.
        order = [place for places in questions for place in places]
        question_ending_at = {places[-1]: places for places in questions}
        asked = [[requests[place] for place in places] for places in questions]
        with closing(_stream(lm, reqtype, asked)) as stream:
            for place, response in zip(order, stream, strict=True):
                answers[place] = response
                places = question_ending_at.get(place, ())
                self._keep(
                    log,
                    [
                        answer
                        for place in places
                        if (answer := _answer(reqtype, requests[place], keys[place], answers[place])) is not None
                    ],
                )

    def _open_log(self) -> AnswerLog:
        try:
            self._log = self._log or AnswerLog(self._folder.root, self._rank)
        except (OSError, sqlite3.Error) as fault:
            raise self._not_kept(fault) from fault
        return self._log

    def _keep(self, log: AnswerLog, answers: Sequence[Answer]) -> None:
        try:
            log.write(answers)
        except (OSError, sqlite3.Error) as fault:
            raise self._not_kept(fault) from fault

    def _not_kept(self, fault: Exception) -> AnswersNotKeptError:
        kept = self._found + (self._log.written if self._log is not None else 0)
        return AnswersNotKeptError(
            f"answers can be kept no more in {self._folder.root} ({fault}): {kept:,} answers of this run are kept; "
            "make room there or make it writable, and the same command goes on from them"
        )

    def _keys(self, lm: Any, reqtype: str, requests: Sequence[Instance]) -> list[str]:
        """Return what each answer is found by, empty for one that is not to be kept."""
        model = _hash("\0".join((self._model, getattr(lm, "fingerprint", ""))))
        versions = f"lmms-eval {version('lmms-eval')}, benchc {version('benchc')}"
        return [
            compute_cache_key(
                reqtype,
                request.task_name,
                request.doc_id,
                extract_gen_kwargs(request),
                idx=request.idx,
                task_fingerprint=self._tasks.get(request.task_name, ""),
                content_hash=_hash("\0".join(argument for argument in request.args if isinstance(argument, str))),
                model_fingerprint_hash=model,
                eval_version=versions,
            )
            if is_deterministic(reqtype, extract_gen_kwargs(request))
            else ""
            for request in requests
        ]


def _questions(reqtype: str, requests: Sequence[Instance]) -> list[list[int]]:
    """Group the places of requests that a model answers together: one prompt and one picture, whatever task asks."""
    questions: dict[object, list[int]] = {}
    for place, request in enumerate(requests):
        shown = shown_question(request) if reqtype == "loglikelihood" else None
        questions.setdefault(shown or place, []).append(place)
    return list(questions.values())


def _stream(lm: Any, reqtype: str, questions: Sequence[Sequence[Instance]]) -> Generator[Any, None, None]:
    """Yield a model's answers as it gives them, or, from one that cannot, those to a few questions at a time."""
    stream = getattr(lm, f"stream_{reqtype}", None)
    if stream is not None:
        yield from stream([request for question in questions for request in question])
        return
    for requests in _in_pieces(questions):
        yield from getattr(lm, reqtype)(requests)


def _in_pieces(questions: Sequence[Sequence[Instance]]) -> Iterator[list[Instance]]:
    """Join whole questions as long as they make no more requests than a killed run may lose."""
    piece: list[Instance] = []
    for question in questions:
        if piece and len(piece) + len(question) > SYNC_INTERVAL:
            yield piece
            piece = []
        piece = [*piece, *question]
    yield piece


def _answer(reqtype: str, request: Instance, key: str, response: Any) -> Answer | None:
    if isinstance(response, GenerationResult):
        response = response.text
    if not key or not is_answer(reqtype, response):
        return None
    if reqtype == "loglikelihood":
        response = checked_response(response)
    return Answer(
        cache_key=key,
        request_type=reqtype,
        task_name=request.task_name,
        doc_id=request.doc_id,
        idx=request.idx,
        gen_kwargs=canonicalize_gen_kwargs(extract_gen_kwargs(request)),
        response=json.dumps(response, default=str),
        created_at=time.time(),
    )


def _restored(reqtype: str, response: str) -> Any:
    """Read a response as the model gave it: JSON has no tuples."""
    restored = json.loads(response)
    return tuple(restored) if reqtype == "loglikelihood" else restored


def _arguments(model_args: str | Mapping[str, Any]) -> str:
    """Write a model's arguments so that equal ones are equal texts; keys to a server change no answer."""
    given = simple_parse_args_string(model_args) if isinstance(model_args, str) else dict(model_args)
    said = {name: value for name, value in given.items() if not _SECRET.search(name)}
    return json.dumps(said, sort_keys=True, default=str)


def _task_fingerprints(tasks: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, task in tasks.items():
        if isinstance(task, Mapping):
            yield from _task_fingerprints(task)
        elif hasattr(task, "dump_config"):
            configuration = json.dumps(task.dump_config(), sort_keys=True, default=str)
            names = sorted({str(condition.corruption) for condition in getattr(task, "conditions", ())})
            corruptions = [_corruption_state(name) for name in names if name in CORRUPTIONS]
            yield name, _hash("\0".join([_ADDRESS.sub(">", configuration), *corruptions]))


def _corruption_state(name: str) -> str:
    """Say what a corruption does, since one of the user's own has no version."""
    corruption = CORRUPTIONS[name]
    return (
        f"{fingerprint_callable(corruption.function)} {fingerprint_callable(corruption.draws)} {corruption.parameters}"
    )


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
