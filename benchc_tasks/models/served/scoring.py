"""Option log-likelihoods from a model behind an OpenAI-compatible server."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeAlias

from loguru import logger

from benchc_metrics.responses import OptionResponse
from benchc_tasks.models.questions import Outcome, Question, ScoringError, describe
from benchc_tasks.models.served.backend import load_served_backend
from benchc_tasks.models.served.faults import engine_error
from benchc_tasks.models.served.probe import probe
from benchc_tasks.models.served.reading import ServedChat, as_data_uri
from benchc_tasks.models.served.requests import RequestFault, ServedModel
from benchc_tasks.models.served.tokens import OptionTokens
from benchc_tasks.models.visible_tokens import only_token

__all__ = ["AskedQuestions", "ServedChoiceScorer", "load_served_scorer"]

AskedQuestions: TypeAlias = "Sequence[Future[Outcome]]"
"""Questions that are on their way to the server or have been answered."""

FINAL_STATUSES = (401, 402, 404)
"""What a server that has answered before says when it will answer no more: no key, no money, no model."""


class ServedChoiceScorer:
    """Scores options by the log-probabilities of one token that a server generates.

    Questions go to the server when they are prepared, so that it has as many as it may have at once, in whatever order
    it answers.

    Parameters
    ----------
    model : ServedModel
        The model.
    chat : ServedChat
        The messages around a question.
    concurrency : int
        Requests that may be on their way at once, 1 or more.
    exact : bool
        Whether to ask for the options' token ids where the server knows them.

    Raises
    ------
    EngineError
        If the server can't answer a tiny question; the message says why and the cure.
    """

    def __init__(self, model: ServedModel, chat: ServedChat, *, concurrency: int, exact: bool = True) -> None:
        # Half, so that the next batch is on its way while the last answers of this one are waited for.
        self.batch_size = max(1, concurrency // 2)
        self._model = model
        self._chat = chat
        self._tokens = OptionTokens(model, chat)
        found = probe(model, chat, self._tokens, exact=exact)
        self._reading = found.reading
        self._identity = found.identity
        self._pool = ThreadPoolExecutor(concurrency, thread_name_prefix="benchc-served")
        logger.info(f"model {model.name!r} at {model.address}: options are known by {self._reading}")

    @property
    def fingerprint(self) -> str:
        """What the answers depend on: the address, the model and what the server says about it, the messages."""
        return json.dumps(
            {
                "address": self._model.address,
                "name": self._model.name,
                "server": dict(self._identity),
                "reading": str(self._reading),
                "system_prompt": self._chat.system_prompt,
                "template_settings": dict(self._chat.template_settings),
            },
            sort_keys=True,
        )

    def prepare(self, questions: Sequence[Question]) -> AskedQuestions:
        """Send the questions on their way, `concurrency` at once; their images are encoded in the same threads."""
        return [self._pool.submit(self._answer, question) for question in questions]

    def score(self, prepared: AskedQuestions) -> list[Outcome]:
        """Wait for the answers.

        Raises
        ------
        EngineError
            If the server refuses the key, or has the model no longer. No other question is sent then.
        """
        try:
            return [future.result() for future in prepared]
        except BaseException:  # an interruption too: what is under way must not go on without a reader
            self._model.give_up()
            raise

    def _answer(self, question: Question) -> Outcome:
        try:
            return self._ask(question)
        except ScoringError as fault:
            return fault
        except RequestFault as fault:
            if fault.status in FINAL_STATUSES or fault.is_spent:
                raise engine_error(self._model, fault) from None
            return ScoringError(f"{question.name}: the server at {self._model.address} gave no answer ({fault})")

    def _ask(self, question: Question) -> list[OptionResponse]:
        tokens = [
            only_token(question, option, self._tokens.find(option))
            for option in question.options
            if self._reading.by_id
        ]
        try:
            images = [as_data_uri(image) for image in question.images]
        except Exception as fault:  # an encoder may fail in any way
            raise ScoringError(f"{question.name}: the image could not be written as PNG ({describe(fault)})") from fault
        body = {**self._chat.body(question.context, images), **self._reading.body(tokens)}
        return self._reading.scores(question, self._model.complete(body, purpose=question.name), tokens)


def load_served_scorer(
    backend: str,
    arguments: Mapping[str, Any],
    *,
    system_prompt: str | None = None,
    template_settings: Mapping[str, Any] | None = None,
) -> ServedChoiceScorer:
    """Build the scorer of one of lmms-eval's backends for OpenAI-compatible servers.

    Parameters
    ----------
    backend : str
        `openai` or `async_openai`, or another name that lmms-eval has for them.
    arguments : mapping
        See `benchc_tasks.models.served.backend.load_served_backend`.
    system_prompt : str, optional
        Text of a system message.
    template_settings : mapping, optional
        What else the chat template is told.

    Raises
    ------
    ValueError
        If an argument is wrong.
    EngineError
        If the server can't answer a tiny question.
    """
    loaded = load_served_backend(backend, arguments)
    thinking = {} if loaded.enable_thinking is None else {"enable_thinking": loaded.enable_thinking}
    chat = ServedChat(system_prompt, {**thinking, **(template_settings or {})})
    return ServedChoiceScorer(ServedModel(loaded), chat, concurrency=loaded.concurrency)
