"""`AnswerCache`: ask a question once, whatever tasks ask it, and keep its answer at once; imports no stack.

The caches of the stacks store nothing before the last answer has come, or know neither the data nor the model. What
stands behind `--use_cache` in runs of Bench-C tasks is this one (`benchc_tasks.stacks.answer_store`).
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

from loguru import logger

from benchc_metrics.responses import checked_response
from benchc_tasks.stacks.answer_store import AnswerStore, answer_key

__all__ = ["AnswerCache", "AnswersNotKeptError", "group_by_key", "kept_log_likelihood"]

Request = TypeVar("Request")


class AnswersNotKeptError(RuntimeError):
    """The answers of a run can no longer be kept; the message says how many are, and how to go on."""


def group_by_key(model: str, asked: Iterable[tuple[tuple[str, ...] | None, str]]) -> list[tuple[str, list[list[int]]]]:
    """Group requests by the key under which their answers are kept.

    Parameters
    ----------
    model : str
        The model's identity; empty if its answers are not kept.
    asked : iterable of (tuple of str or None, str)
        For each request the texts that its answer depends on, None if the answer is not kept; and its option, empty
        where a question has one answer.

    Returns
    -------
    list of (str, list of (list of int))
        In the order in which they are first asked for: a key, empty for an answer that is not kept, and for each option
        under it the places of all requests that share its answer.
    """
    groups: dict[int | tuple[str, ...], dict[str, list[int]]] = {}
    for place, (question, option) in enumerate(asked):
        groups.setdefault(question if model and question else place, {}).setdefault(option, []).append(place)
    return [
        ("" if isinstance(question, int) else answer_key(model, *question, *options), list(options.values()))
        for question, options in groups.items()
    ]


def kept_log_likelihood(response: object) -> list[Any] | None:
    """Return a log-likelihood as JSON types, or None for one that is to be asked for again by the next run."""
    checked = checked_response(response)
    return None if isinstance(checked, dict) else list(checked[: 2 if checked.missing_mass is None else 3])


class AnswerCache:
    """The answers of this run and of earlier ones.

    Parameters
    ----------
    root : Path
        `--use_cache`; the answers of each model have a folder there.
    model : str
        What tells the model from others, beside its own `fingerprint` where it has one. Empty if nothing does: its
        answers are not kept.
    """

    def __init__(self, root: Path, model: str) -> None:
        self._store = AnswerStore(root / f"answers-{answer_key(model)[:16]}")
        self._model = model
        self._found = 0

    def key_of(self, model: object) -> str:
        """Return what tells a model from others, with its own fingerprint; empty if its answers are not kept."""
        return answer_key(self._model, getattr(model, "fingerprint", "")) if self._model else ""

    def merge(self) -> None:
        """Merge what killed runs left; what cannot be merged on this disk is found all the same."""
        with suppress(OSError):
            self._store.merge()

    def answer(
        self,
        requests: Sequence[Request],
        questions: Sequence[tuple[str, list[list[int]]]],
        ask: Callable[[Sequence[Sequence[Request]]], Generator[Any, None, None]],
        *,
        keep: Callable[[object], Any],
        read: Callable[[Any], Any] = lambda kept: kept,
        arrange: Callable[[Sequence[Request]], Sequence[int]] | None = None,
    ) -> list[Any]:
        """Answer requests from the cache, and those it lacks by the model, whose answers are kept as they come.

        Parameters
        ----------
        requests : sequence
            Of a stack.
        questions : sequence of (str, list of (list of int))
            As `group_by_key` returns them.
        ask : callable
            Yields the model's answers to some questions, each a sequence of requests.
        keep, read : callable
            Turn a response into JSON types, None for one that is not kept, and back.
        arrange : callable, optional
            Returns the order in which the model wants questions, of which it is given one request each. Answers are
            kept in that order, so that none waits for its turn unkept.

        Returns
        -------
        list
            One answer a request, in order, the same whether they come from the cache or from the model.

        Raises
        ------
        AnswersNotKeptError
            If an answer cannot be written.
        """
        found = self._store.find({key for key, _ in questions})
        answers: list[Any] = [None] * len(requests)
        for key, options in questions:
            for places, response in zip(options, found.get(key, ()), strict=False):
                for place in places:
                    answers[place] = read(response)
        missing = [(key, options) for key, options in questions if key not in found]
        if arrange is not None:
            order = arrange([requests[options[0][0]] for _, options in missing])
            missing = [missing[place] for place in order]
        number = len(requests) - sum(len(places) for _, options in missing for places in options)
        self._found += number
        logger.info(f"{number:,} of {len(requests):,} answers were found in {self._store.folder.parent}")
        for places, response in self._ask(requests, missing, ask, keep) if missing else ():
            for place in places:
                answers[place] = response
        return answers

    def close(self, *, success: bool = True) -> None:
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
        self,
        requests: Sequence[Request],
        missing: Sequence[tuple[str, list[list[int]]]],
        ask: Callable[[Sequence[Sequence[Request]]], Generator[Any, None, None]],
        keep: Callable[[object], Any],
    ) -> Iterator[tuple[list[int], Any]]:
        """Yield each response with the places of the requests that it answers; keep those to a question at its end."""
        with self._writing():
            self._store.open()
        asked = [[requests[places[0]] for places in options] for _, options in missing]
        with closing(ask(asked)) as stream:
            order = [(key, places, places is options[-1]) for key, options in missing for places in options]
            kept: list[Any] = []
            for (key, places, is_last), response in zip(order, stream, strict=True):
                yield places, response
                kept.append(keep(response))
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
