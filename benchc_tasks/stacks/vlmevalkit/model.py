"""The model `benchc` of VLMEvalKit: option log-likelihoods by one forward pass for a row."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any

from vlmeval.vlm.base import BaseModel

from benchc_metrics.benchmark import LETTERS
from benchc_tasks.models.processes import processes
from benchc_tasks.stacks.choice_model import Answer, ChoiceModel
from benchc_tasks.stacks.inquiries import Inquiry, group_by_sight
from benchc_tasks.stacks.lmms_eval.backends import build_scorer
from benchc_tasks.stacks.vlmevalkit.answers import write_answer
from benchc_tasks.stacks.vlmevalkit.dataset import RowMessage
from benchc_tasks.stacks.vlmevalkit.rows import Row

__all__ = ["BenchCModel"]


class BenchCModel(ChoiceModel, BaseModel):  # type: ignore[misc]  # VLMEvalKit is skipped
    """Option log-likelihoods; see `ChoiceModel` for its arguments.

    VLMEvalKit asks row by row. Rows are scored in batches and rendered ahead all the same: the first one that is asked
    begins a stream through those that follow it, and the next ones take their answers from there.

    Raises
    ------
    ValueError, EngineError
        As in `ChoiceModel`; or if the run has several processes.
    """

    is_api = False

    def __init__(self, **arguments: Any) -> None:
        if processes() > 1:
            raise ValueError(
                f"this run has {processes()} processes, and benchc scores in one under VLMEvalKit: run the same tasks "
                "with lmms-eval to use several"
            )
        BaseModel.__init__(self)
        ChoiceModel.__init__(self, build_scorer, **arguments)
        self._stream: Generator[Answer, None, None] | None = None
        self._asked: tuple[int, int] | None = None

    def generate(self, message: Any, dataset: str | None = None) -> str:
        """Score the options of a row.

        Raises
        ------
        ValueError
            If the row is not one of benchc's datasets.
        """
        if not isinstance(message, RowMessage):
            raise ValueError("the model benchc answers the datasets BenchC_* only: run others with another --model")
        following = (id(message.rows), message.place)
        if self._stream is None or self._asked != following:
            if self._stream is not None:
                self._stream.close()
            self._stream = self._stream_from(message.rows[message.place :])
        row = message.rows[message.place]
        answers = [next(self._stream) for _ in _options(row)]
        self._asked = (id(message.rows), message.place + 1)
        return write_answer(answers)

    generate_inner = generate

    def _stream_from(self, rows: list[Row]) -> Generator[Answer, None, None]:
        requests = [(row, letter) for row in rows for letter in _options(row)]
        inquiries = group_by_sight((row.index, letter, _inquiry_of(row)) for row, letter in requests)
        return self.stream_answers(inquiries, ["benchc"] * len(requests))


def _options(row: Row) -> str:
    return LETTERS[: len(row.samples.without_images()[row.position]["options"])]


def _inquiry_of(row: Row) -> Callable[[], Inquiry]:
    return lambda: Inquiry.of_picture(row.prompt, row.picture, lambda: row.samples[row.position])
