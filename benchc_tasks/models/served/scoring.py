"""Option log-likelihoods from a model behind an OpenAI-compatible server."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeAlias

from loguru import logger

from benchc_metrics.messages import quoted
from benchc_metrics.responses import OptionResponse
from benchc_tasks.models.checkpoints import library_versions
from benchc_tasks.models.costs import Usage
from benchc_tasks.models.questions import Outcome, Question, ScoringError, describe
from benchc_tasks.models.served.backend import load_served_backend
from benchc_tasks.models.served.faults import engine_error, is_final, server_is_gone
from benchc_tasks.models.served.probe import probe
from benchc_tasks.models.served.reading import Completion, ServedChat, as_data_uri
from benchc_tasks.models.served.requests import RequestFault, ServedModel
from benchc_tasks.models.served.skipping import without_thinking
from benchc_tasks.models.served.tokens import OptionTokens
from benchc_tasks.models.visible_tokens import only_token

__all__ = ["AskedQuestions", "ServedChoiceScorer", "load_served_model", "load_served_scorer"]

AskedQuestions: TypeAlias = "Sequence[Future[Outcome]]"
"""Questions that are on their way to the server or have been answered."""

MOST_LOST = 2
"""After so many questions in a row without an answer, a tiny one tells whether the server is gone."""


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
        self.usage = Usage()
        self._model = model
        self._chat = chat
        self._tokens = OptionTokens(model, chat)
        self._found = probe(model, chat, self._tokens, exact=exact)
        self._reading = self._found.reading
        self._lost = 0
        self._pool = ThreadPoolExecutor(concurrency, thread_name_prefix="benchc-served")
        logger.info(f"model {quoted(model.name)} at {model.address}: options are known by {self._reading}")

    @property
    def fingerprint(self) -> str:
        """The address, the model and what the server says about it, the messages, and what writes the pictures."""
        return json.dumps(
            {
                "address": self._model.address,
                "name": self._model.name,
                "server": dict(self._found.identity),
                "reading": str(self._reading),
                "system_prompt": self._chat.system_prompt,
                "template_settings": dict(self._chat.template_settings),
                **({"beginning": self._chat.beginning} if self._chat.beginning else {}),
                "libraries": library_versions(),
            },
            sort_keys=True,
        )

    @property
    def thinking(self) -> str | None:
        """How thinking is skipped; None where it is not."""
        return self._chat.thinking

    @property
    def answered_by(self) -> str:
        """The name that the server gives the model in its answers."""
        return str(self._found.identity.get("model") or self._model.name)

    def prepare(self, questions: Sequence[Question]) -> AskedQuestions:
        """Send the questions on their way, `concurrency` at once; their images are encoded in the same threads."""
        return [self._pool.submit(self._answer, question) for question in questions]

    def score(self, prepared: AskedQuestions) -> list[Outcome]:
        """Wait for the answers.

        Raises
        ------
        EngineError
            If the server refuses the key, has the model no longer or answers nothing more. No other question is sent
            then.
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
            if is_final(fault):
                raise engine_error(self._model, fault) from None
            if fault.is_transient and self._is_gone(fault):
                raise server_is_gone(self._model, fault) from None
            return ScoringError(f"{question.name}: the server at {self._model.address} gave no answer ({fault})")

    def _is_gone(self, fault: RequestFault) -> bool:
        """Tell, where a question got no answer after all attempts, whether others would get none either."""
        self._lost += 1
        try:
            if not fault.is_connected:
                self._model.reach()
            if self._lost >= MOST_LOST:
                self._found.question.ask_once(self._reading)
        except RequestFault as another:
            return another.is_transient or not another.is_connected
        return False

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
        completion = self._model.complete(body, purpose=question.name)
        self._lost = 0
        if completion.prompt_tokens is not None:
            self.usage.add(completion.prompt_tokens, completion.completion_tokens)
        self._refuse_another_model(question, completion)
        return self._reading.scores(question, completion, tokens)

    def _refuse_another_model(self, question: Question, completion: Completion) -> None:
        """Refuse an answer of a model, or of a configuration, that the probe has not met."""
        names, name = self._found.names, completion.model
        if names and name and name not in names:
            raise ScoringError(
                f"{question.name}: the answer is of model {quoted(name)}, and those before were of {', '.join(names)}"
            )
        system = completion.system_fingerprint or ""
        if self._found.system and system.startswith("vllm-") and system != self._found.system:
            raise ScoringError(
                f"{question.name}: the server answers with the configuration {quoted(system)}, and before it was "
                f"{quoted(self._found.system)}"
            )


def load_served_scorer(
    backend: str,
    arguments: Mapping[str, Any],
    *,
    system_prompt: str | None = None,
    template_settings: Mapping[str, Any] | None = None,
    without_effect: Collection[str] = (),
    skips_thinking: bool = False,
) -> ServedChoiceScorer:
    """Build the scorer of a model behind an OpenAI-compatible server.

    Parameters
    ----------
    backend : str
        What messages call the backend.
    arguments : mapping
        See `benchc_tasks.models.served.backend.load_served_backend`.
    system_prompt : str, optional
        Text of a system message.
    template_settings : mapping, optional
        Further settings of the chat template.
    without_effect : collection of str
        Arguments that are accepted with a warning.
    skips_thinking : bool
        Keep the model from thinking before it answers.

    Raises
    ------
    ValueError
        If an argument is wrong.
    EngineError
        If the server can't answer a tiny question.
    """
    model, chat, concurrency = load_served_model(
        backend,
        arguments,
        system_prompt=system_prompt,
        template_settings=template_settings,
        without_effect=without_effect,
    )
    if skips_thinking:
        chat = without_thinking(model, chat)
    return ServedChoiceScorer(model, chat, concurrency=concurrency)


def load_served_model(
    backend: str,
    arguments: Mapping[str, Any],
    *,
    system_prompt: str | None = None,
    template_settings: Mapping[str, Any] | None = None,
    without_effect: Collection[str] = (),
) -> tuple[ServedModel, ServedChat, int]:
    """Build a model behind a server, its messages, and how many requests may be on their way; ask it nothing.

    Parameters
    ----------
    backend, arguments, system_prompt, template_settings, without_effect
        As in `load_served_scorer`.

    Raises
    ------
    ValueError
        If an argument is wrong.
    """
    loaded = load_served_backend(backend, arguments, without_effect)
    thinking = {} if loaded.enable_thinking is None else {"enable_thinking": loaded.enable_thinking}
    chat = ServedChat(system_prompt, {**thinking, **(template_settings or {})})
    return ServedModel(loaded), chat, loaded.concurrency
