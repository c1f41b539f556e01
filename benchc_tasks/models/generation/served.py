"""Texts of a model behind an OpenAI-compatible server, all answers to a question in one request where it can."""

from __future__ import annotations

import json
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeAlias

from loguru import logger
from pydantic import BaseModel, Field

from benchc_metrics.messages import quoted
from benchc_tasks.models.checkpoints import library_versions
from benchc_tasks.models.costs import Usage
from benchc_tasks.models.generation.questions import TextOutcome, TextQuestion
from benchc_tasks.models.questions import EngineError, ScoringError, describe
from benchc_tasks.models.served.faults import engine_error, is_final, server_is_gone
from benchc_tasks.models.served.identity import server_identity
from benchc_tasks.models.served.reading import ServedChat, as_data_uri
from benchc_tasks.models.served.requests import RequestFault, ServedModel
from benchc_tasks.models.sight import pictures

__all__ = ["AskedTexts", "ServedGenerator", "text_of_choice"]

AskedTexts: TypeAlias = "Sequence[Future[TextOutcome]]"
"""Questions that are on their way to the server or have been answered."""

REFUSED = (400, 404, 422, 501)
LENGTH_ARGUMENTS = ("max_tokens", "max_completion_tokens")
OPENING, CLOSING = "<think>", "</think>"
MOST_LOST = 3
"""So many questions in a row without an answer are the server's fault."""


class Message(BaseModel):
    """What the model wrote; servers call its thinking by one of two names, where they tell it apart."""

    content: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None


class TextChoice(BaseModel):
    """One text."""

    message: Message
    finish_reason: str | None = None


class TextCompletion(BaseModel):
    """What is read of a chat completion."""

    choices: list[TextChoice] = Field(min_length=1)
    model: str | None = None
    usage: Any = None


def text_of_choice(choice: TextChoice, *, expects_thinking: bool) -> str:
    """Put a model's thinking and its answer into one text, with marks between them.

    Parameters
    ----------
    choice : TextChoice
    expects_thinking : bool
        Whether the task has a budget for thinking. A text that is cut off without any mark then was thinking that
        the server's chat template had opened.
    """
    content = choice.message.content or ""
    thought = choice.message.reasoning_content or choice.message.reasoning
    is_cut = choice.finish_reason == "length"
    if thought:
        return f"{OPENING}{thought}" if is_cut and not content.strip() else f"{OPENING}{thought}{CLOSING}{content}"
    if expects_thinking and is_cut and CLOSING not in content and OPENING not in content:
        return OPENING + content
    return content


class ServedGenerator:
    """Writes texts by the chat completions of a server.

    Questions go to the server when they are prepared. The API's own `n` is used where the server takes it, else one
    request a text. No seed is sent: some servers die for it, and most ignore it.

    Parameters
    ----------
    model : ServedModel
        The model.
    chat : ServedChat
        The messages around a question.
    concurrency : int
        Requests that may be on their way at once, 1 or more.

    Raises
    ------
    EngineError
        If the server cannot write an answer to a tiny question; the message says why and the cure.
    """

    draws_by_seed = False

    def __init__(self, model: ServedModel, chat: ServedChat, *, concurrency: int) -> None:
        self.batch_size = max(1, concurrency // 2)
        self.usage = Usage()
        self._model = model
        self._chat = chat
        self._length_argument = LENGTH_ARGUMENTS[0]
        self._takes_n = True
        self._lost = 0
        self._pool = ThreadPoolExecutor(concurrency, thread_name_prefix="benchc-served")
        self._identity = self._try_out()

    @property
    def fingerprint(self) -> str:
        """The address, the model and what the server says about it, and the messages."""
        said = {
            "address": self._model.address,
            "name": self._model.name,
            "server": dict(self._identity),
            "system_prompt": self._chat.system_prompt,
            "template_settings": dict(self._chat.template_settings),
            "libraries": library_versions(),
        }
        return json.dumps(said, sort_keys=True)

    @property
    def thinking(self) -> str | None:
        """How thinking is skipped; None where it is not."""
        return self._chat.thinking

    @property
    def answered_by(self) -> str:
        """The name that the server gives the model in its answers."""
        return str(self._identity.get("model") or self._model.name)

    def prepare(self, questions: Sequence[TextQuestion]) -> AskedTexts:
        """Send the questions on their way; their images are encoded in the same threads."""
        return [self._pool.submit(self._answer, question) for question in questions]

    def generate(self, prepared: AskedTexts) -> list[TextOutcome]:
        """Wait for the texts.

        Raises
        ------
        EngineError
            If the server refuses the key, has the model no longer or answers nothing more.
        """
        try:
            return [future.result() for future in prepared]
        except BaseException:  # an interruption too: what is under way must not go on without a reader
            self._model.give_up()
            raise

    def _try_out(self) -> dict[str, str]:
        """Ask a tiny question and find what the server calls the length of an answer."""
        try:
            self._model.reach()
        except RequestFault as fault:
            raise EngineError(
                f"no server answers at {self._model.address} ({fault}): start it, or correct base_url"
            ) from None
        question = self._chat.body("What colour is the picture?", [as_data_uri(pictures()[0])])
        for argument in LENGTH_ARGUMENTS:
            try:
                completion = self._model.complete({**question, argument: 1}, purpose="the probe")
            except RequestFault as fault:
                if argument == LENGTH_ARGUMENTS[0] and LENGTH_ARGUMENTS[1] in fault.message:
                    continue
                raise engine_error(self._model, fault) from None
            self._length_argument = argument
            return server_identity(self._model, completion)
        raise EngineError(f"model {quoted(self._model.name)} at {self._model.address} answers no tiny question")

    def _answer(self, question: TextQuestion) -> TextOutcome:
        try:
            texts = self._ask(question)
        except ScoringError as fault:
            return fault
        except RequestFault as fault:
            if is_final(fault):
                raise engine_error(self._model, fault) from None
            self._lost += 1
            if fault.is_transient and self._lost >= MOST_LOST:
                raise server_is_gone(self._model, fault) from None
            return ScoringError(f"{question.name}: the server at {self._model.address} gave no answer ({fault})")
        self._lost = 0
        return texts

    def _ask(self, question: TextQuestion) -> list[str]:
        settings = question.settings
        try:
            images = [as_data_uri(image) for image in question.images]
        except Exception as fault:  # an encoder may fail in any way
            raise ScoringError(f"{question.name}: the image could not be written as PNG ({describe(fault)})") from fault
        body: dict[str, Any] = {
            **self._chat.body(question.context, images),
            self._length_argument: settings.max_new_tokens,
            "temperature": settings.temperature,
        }
        if settings.top_p < 1:
            body["top_p"] = settings.top_p
        if settings.stop:
            body["stop"] = list(settings.stop)
        # Texts of temperature 0 are all the same.
        wanted = len(question.numbers) if settings.temperature > 0 else 1
        texts: list[str] = []
        while len(texts) < wanted:
            texts += self._some(question, body, wanted - len(texts))[: wanted - len(texts)]
        self.usage.add(0)
        return texts * (len(question.numbers) // wanted)

    def _some(self, question: TextQuestion, body: dict[str, Any], number: int) -> list[str]:
        """Ask for some texts, and get at least one."""
        several = self._takes_n and number > 1
        try:
            completion = self._post(question, {**body, "n": number} if several else body)
        except RequestFault as fault:
            if not several or fault.status not in REFUSED:
                raise
            completion = self._post(question, body)
        if several and len(completion.choices) < number and self._takes_n:
            self._takes_n = False
            logger.info(f"the server at {self._model.address} takes no n: each answer is a request of its own")
        if isinstance(completion.usage, dict):
            read, written = (completion.usage.get(name) for name in ("prompt_tokens", "completion_tokens"))
            # The pass is counted with its last text: several requests may write the texts of one.
            self.usage.add(read if isinstance(read, int) else 0, written if isinstance(written, int) else 0, passes=0)
        return [
            text_of_choice(each, expects_thinking=question.settings.expects_thinking) for each in completion.choices
        ]

    def _post(self, question: TextQuestion, body: dict[str, Any]) -> TextCompletion:
        return self._model.post("/chat/completions", body, TextCompletion)
