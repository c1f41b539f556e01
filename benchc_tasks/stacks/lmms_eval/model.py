"""Provide the model `benchc`, which connects lmms-eval to the choice scorer."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from functools import partial
from typing import Any, NoReturn

from lmms_eval.api.instance import Instance
from lmms_eval.api.model import lmms

from benchc_tasks.models.processes import fail_together
from benchc_tasks.stacks.choice_model import Answer, ChoiceModel
from benchc_tasks.stacks.lmms_eval.backends import build_generator, build_scorer
from benchc_tasks.stacks.lmms_eval.documents import DocsOfModel
from benchc_tasks.stacks.lmms_eval.requests import group_requests, group_text_requests, inquiry_of

__all__ = ["BenchCModel"]

NO_TEMPLATE = (
    "--apply_chat_template is not for the model benchc, which always uses the checkpoint's own chat template: "
    "leave it out"
)


class BenchCModel(ChoiceModel, lmms):  # type: ignore[misc]  # lmms-eval is untyped
    """Compute option log-likelihoods, with one forward pass for a sample under a condition, and generate texts.

    Parameters
    ----------
    **arguments
        As in `ChoiceModel`; `backend` names the lmms-eval model that provides model and processor.

    Raises
    ------
    ValueError, EngineError
        As in `ChoiceModel`.
    """

    is_simple = True

    @fail_together()
    def __init__(self, **arguments: Any) -> None:
        lmms.__init__(self)
        ChoiceModel.__init__(self, build_scorer, build_generator, **arguments)
        self.task_dict = DocsOfModel(self.answering)

    @property
    def chat_template(self) -> NoReturn:
        """Refuse `--apply_chat_template`; lmms-eval reads this property for it."""
        raise ValueError(NO_TEMPLATE)

    def apply_chat_template(self, *messages: Any, **settings: Any) -> NoReturn:
        """Refuse `--apply_chat_template`."""
        raise ValueError(NO_TEMPLATE)

    def loglikelihood(self, requests: Sequence[Instance]) -> list[Answer]:
        """Score continuations.

        Parameters
        ----------
        requests : sequence of lmms_eval.api.instance.Instance
            See `benchc_tasks.stacks.lmms_eval.requests.group_requests`.

        Returns
        -------
        list of Answer
            One for each request, in order. A question that cannot be answered does not affect the others.

        Raises
        ------
        ValueError
            If the run has a limit, because no answers are kept here.
        EngineError
            If the engine stops answering.
        """
        self.refuse_limits()
        return list(self.stream_loglikelihood(requests))

    def stream_loglikelihood(self, requests: Sequence[Instance]) -> Generator[Answer, None, None]:
        """Score continuations, and yield each answer as soon as it and all earlier ones are ready.

        Parameters
        ----------
        requests : sequence of lmms_eval.api.instance.Instance
            As in `loglikelihood`.

        Yields
        ------
        Answer
            As from `loglikelihood`.

        Raises
        ------
        EngineError
            If the engine stops answering.
        StoppedError
            If the limit of the run is reached.
        """
        yield from self.stream_answers(
            group_requests(requests, self.task_dict), [str(request.args[4]) for request in requests]
        )

    def arrange_loglikelihood(self, requests: Sequence[Instance]) -> Sequence[int]:
        """Return the places of requests for different questions in the order in which they are best asked."""
        return self.wanted_order(requests, partial(inquiry_of, documents=self.task_dict))

    def generate_until(self, requests: Sequence[Instance]) -> list[str]:
        """Write texts.

        Parameters
        ----------
        requests : sequence of lmms_eval.api.instance.Instance
            See `benchc_tasks.stacks.lmms_eval.requests.group_text_requests`.

        Returns
        -------
        list of str
            One for each request, in order; `NO_TEXT` and the reason for a missing text.

        Raises
        ------
        ValueError
            If a setting of generation is unknown.
        EngineError
            If the engine stops answering.
        """
        return list(self.stream_generate_until(requests))

    def stream_generate_until(self, requests: Sequence[Instance]) -> Generator[str, None, None]:
        """Write texts, and yield each as soon as it and all earlier ones are ready; see `generate_until`."""
        inquiries = group_text_requests(requests, self.task_dict)
        yield from self.stream_texts(inquiries, [str(request.args[4]) for request in requests])

    def generate_until_multi_round(self, requests: Sequence[Instance]) -> NoReturn:
        """Refuse to hold a conversation."""
        raise NotImplementedError(
            "benchc answers one question and holds no conversation: run tasks of several rounds with the backend "
            "itself as --model"
        )

    def clean(self) -> None:
        """Free the model's memory; it cannot score afterwards."""
        self.release()
        lmms.clean(self)
