"""The model `benchc`: lm-evaluation-harness's face of the choice scorer."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from typing import Any, NoReturn

import torch
from lm_eval.api.instance import Instance
from lm_eval.api.model import LM

from benchc_metrics.messages import quoted
from benchc_tasks.models.processes import processes
from benchc_tasks.stacks.answer_cache import AnswerCache, group_by_key, kept_log_likelihood
from benchc_tasks.stacks.choice_model import Answer, ChoiceModel
from benchc_tasks.stacks.common import AnsweringModel
from benchc_tasks.stacks.inquiries import Inquiry, group_by_sight, picture_state
from benchc_tasks.stacks.lm_eval.pictures import ShownPicture
from benchc_tasks.stacks.lmms_eval.backends import build_scorer
from benchc_tasks.stacks.model_identity import model_identity

__all__ = ["BenchCModel", "answering_model"]

CACHE_SUFFIX = "_rank0.db"
"""What lm-evaluation-harness puts behind `--use_cache`."""

NO_TEMPLATE = (
    "--apply_chat_template is not for the model benchc, which puts every question into the checkpoint's own chat "
    "template: leave it out"
)
ONE_PROCESS = (
    "this run has {} processes, and benchc scores in one under lm-evaluation-harness: run the same tasks with "
    "lmms-eval to use several"
)

_ANSWERING: list[AnsweringModel] = []


def answering_model() -> AnsweringModel:
    """Return what the model of this process says of itself; nothing, where a model of the harness answers."""
    return _ANSWERING[-1] if _ANSWERING else AnsweringModel()


class BenchCModel(ChoiceModel, LM):  # type: ignore[misc]  # lm-evaluation-harness is skipped
    """Option log-likelihoods by one forward pass for a sample under a condition.

    Parameters
    ----------
    **arguments
        As in `ChoiceModel`; `backend` is an lmms-eval model whose model and processor are used.

    Raises
    ------
    ValueError, EngineError
        As in `ChoiceModel`; or if the run has several processes.
    """

    MULTIMODAL = True

    def __init__(self, **arguments: Any) -> None:
        if processes() > 1:
            raise ValueError(ONE_PROCESS.format(processes()))
        LM.__init__(self)
        # The harness asks for this device where the user names none.
        if arguments.get("device") == "cuda:0" and not torch.cuda.is_available():
            del arguments["device"]
        ChoiceModel.__init__(self, build_scorer, **arguments)
        own = {name: value for name, value in arguments.items() if name not in ("batch_size", "max_batch_size")}
        self._arguments = own
        self._cache: AnswerCache | None = None
        _ANSWERING[:] = [self.answering]

    def keep_answers(self, database: str) -> BenchCModel:
        """Keep the answers of this run, and use those of earlier ones.

        Parameters
        ----------
        database : str
            What the harness makes of `--use_cache`. The answers are kept in a folder of its name, without its suffix.

        Returns
        -------
        BenchCModel
            This one.
        """
        root = Path(database.removesuffix(CACHE_SUFFIX)).absolute()
        self._cache = AnswerCache(root, model_identity("benchc", self._arguments) or "")
        self._cache.merge()
        return self

    def loglikelihood(self, requests: Sequence[Instance], disable_tqdm: bool = False) -> list[Answer]:
        """Score continuations.

        Parameters
        ----------
        requests : sequence of lm_eval.api.instance.Instance
            Their arguments are context, continuation and `ShownPicture`.
        disable_tqdm : bool
            Not used: progress is shown as `benchc_tasks.stacks.progress` does.

        Returns
        -------
        list of Answer
            One for each request, in order. A question that cannot be answered leaves the others alone.

        Raises
        ------
        EngineError
            If the engine answers nothing more.
        """
        _refuse_other_tasks(requests)
        if self._cache is None:
            self.refuse_limits()
            return list(self._stream([requests]))
        questions = group_by_key(self._cache.key_of(self), map(_kept_question, requests))
        try:
            answers = self._cache.answer(
                requests, questions, self._stream, keep=kept_log_likelihood, read=tuple, arrange=self._arrange
            )
        except BaseException:
            self._cache.close(success=False)
            raise
        self._cache.close()
        return answers

    def loglikelihood_rolling(self, requests: Sequence[Instance], disable_tqdm: bool = False) -> NoReturn:
        """Refuse whole texts."""
        raise NotImplementedError("benchc scores options and no whole texts: run such tasks with another --model")

    def generate_until(self, requests: Sequence[Instance], disable_tqdm: bool = False) -> NoReturn:
        """Refuse to generate."""
        raise NotImplementedError(
            "benchc scores options and does not generate: run tasks that generate with hf-multimodal or vllm-vlm as "
            "--model"
        )

    @property
    def tokenizer_name(self) -> str:
        """What the harness would name kept requests by, which Bench-C tasks do not keep."""
        return ""

    def chat_template(self, chat_template: bool | str = False) -> str:
        """Refuse `--apply_chat_template`, for which the harness asks this."""
        if chat_template:
            raise ValueError(NO_TEMPLATE)
        return ""

    def apply_chat_template(self, chat_history: object, add_generation_prompt: bool = True) -> NoReturn:
        """Refuse `--apply_chat_template`."""
        raise ValueError(NO_TEMPLATE)

    def _arrange(self, requests: Sequence[Instance]) -> Sequence[int]:
        return self.wanted_order(requests, lambda request: _sighted(request)[2]())

    def _stream(self, questions: Sequence[Sequence[Instance]]) -> Generator[Answer, None, None]:
        requests = [request for question in questions for request in question]
        inquiries = group_by_sight(map(_sighted, requests))
        yield from self.stream_answers(inquiries, [str(request.task_name) for request in requests])


def _sighted(request: Instance) -> tuple[object, str, Callable[[], Inquiry]]:
    context, continuation, shown = request.args
    return (context, shown.picture), continuation, lambda: Inquiry.of_picture(context, shown.picture, shown.doc)


def _kept_question(request: Instance) -> tuple[tuple[str, ...], str]:
    context, continuation, shown = request.args
    return ("loglikelihood", context, *picture_state(shown.picture)), continuation


def _refuse_other_tasks(requests: Sequence[Instance]) -> None:
    for request in requests:
        if len(request.args) != 3 or not isinstance(request.args[2], ShownPicture):
            raise ValueError(
                f"task {quoted(request.task_name)} is not a Bench-C task, and the model benchc answers "
                "those only: run it with another --model"
            )


def caching_model(original: Callable[..., Any]) -> Callable[..., Any]:
    """Return what makes the harness's `CachingLM`, and of a `BenchCModel` one that keeps its answers itself.

    `CachingLM` stores nothing before the last answer has come, and its keys know no model.
    """

    def open_cache(lm: Any, cache_db: str) -> Any:
        return lm.keep_answers(cache_db) if isinstance(lm, BenchCModel) else original(lm, cache_db)

    return open_cache
