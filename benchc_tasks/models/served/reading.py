"""What a chat completion is asked for, and how its log-probabilities are read."""

from __future__ import annotations

import base64
import io
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from PIL import Image
from pydantic import BaseModel, Field

from benchc_metrics.messages import quoted
from benchc_metrics.responses import OptionResponse
from benchc_tasks.models.questions import Question, ScoringError
from benchc_tasks.models.visible_tokens import refuse_improbable, score_visible_options

__all__ = ["Completion", "Reading", "ServedChat", "as_data_uri", "shown_ids"]

TOKEN_ID = re.compile(r"token_id:(\d+)")
UNDECODABLE = "\ufffd"
CONTRADICTION = 1e-2
"""Nats by which a token's log-probability may differ from that of the same token in the list of the most probable."""


class TokenProbability(BaseModel):
    """A token and its natural log-probability."""

    token: str
    # Strict: text and truth values are not numbers, though Python reads them as some.
    logprob: float = Field(strict=True)
    bytes: list[int] | None = None

    @property
    def text(self) -> str:
        """The token's text; its bytes are the better source, since a piece of a character has no text."""
        try:
            return bytes(self.bytes).decode() if self.bytes else self.token
        except ValueError:
            return self.token

    @property
    def identity(self) -> str | None:
        """What tells it from all others in the same place; None for a piece of a character, which has no text."""
        if not self.token or UNDECODABLE in self.token:
            return None
        is_plain = self.bytes is None or list(self.token.encode("utf-8", "surrogatepass")) == self.bytes
        return self.token if is_plain else f"{self.token} {self.bytes}"


class ChosenToken(TokenProbability):
    """A generated token and the most probable ones in its place."""

    top_logprobs: list[TokenProbability] | None = None


class Logprobs(BaseModel):
    """The generated tokens."""

    content: list[ChosenToken] | None = None


class Choice(BaseModel):
    """One answer."""

    logprobs: Logprobs | None = None


class Completion(BaseModel):
    """What is read of a chat completion."""

    choices: list[Choice] = Field(min_length=1)
    model: str | None = None
    system_fingerprint: str | None = None
    usage: Any = None

    @property
    def prompt_tokens(self) -> int | None:
        """How many tokens the server read, those of pictures with them; None where it does not say."""
        count = self.usage.get("prompt_tokens") if isinstance(self.usage, dict) else None
        return count if isinstance(count, int) and count > 0 else None

    @property
    def completion_tokens(self) -> int:
        """How many tokens the server wrote; one, which was asked for, where it does not say."""
        count = self.usage.get("completion_tokens") if isinstance(self.usage, dict) else None
        return count if isinstance(count, int) and count > 0 else 1

    @property
    def chosen(self) -> ChosenToken | None:
        """The first token that was generated, if it is shown."""
        logprobs = self.choices[0].logprobs
        return logprobs.content[0] if logprobs is not None and logprobs.content else None

    @property
    def shown(self) -> tuple[TokenProbability, ...]:
        """The tokens that are shown for the first place; the chosen one beside the others if they lack it."""
        chosen = self.chosen
        if chosen is None:
            return ()
        top = chosen.top_logprobs or []
        return (*top, chosen) if all(entry.token != chosen.token for entry in top) else tuple(top)


@dataclass(frozen=True)
class ServedChat:
    """The messages around a question.

    Attributes
    ----------
    system_prompt : str or None
        Text of a system message; None leaves it to the server's chat template.
    template_settings : mapping
        Further settings of the chat template, such as `enable_thinking`; sent as `chat_template_kwargs`, if any.
    beginning : str
        What the assistant's answer is made to begin with, such as a closed thinking block.
    thinking : str or None
        How thinking is skipped; None where it is not.
    """

    system_prompt: str | None = None
    template_settings: Mapping[str, Any] = field(default_factory=dict)
    beginning: str = ""
    thinking: str | None = None

    def body(self, context: str, images: Sequence[str], *, answer: str | None = None) -> dict[str, Any]:
        """Write the part of a request that says what the model sees.

        Parameters
        ----------
        context : str
            The prompt.
        images : sequence of str
            The images as data URIs. They come first and the text behind them, as in `benchc_tasks.models.chat`.
        answer : str, optional
            What the assistant has said already.
        """
        parts: list[dict[str, Any]] = [{"type": "image_url", "image_url": {"url": uri}} for uri in images]
        messages: list[dict[str, Any]] = [{"role": "user", "content": [*parts, {"type": "text", "text": context}]}]
        if self.system_prompt:
            messages.insert(0, {"role": "system", "content": self.system_prompt})
        if answer is not None or self.beginning:
            messages.append({"role": "assistant", "content": self.beginning + (answer or "")})
        settings: dict[str, Any] = {}
        if self.template_settings:
            settings["chat_template_kwargs"] = dict(self.template_settings)
        if self.beginning and answer is None:
            settings |= {"add_generation_prompt": False, "continue_final_message": True}
        return {"messages": messages, **settings}


@dataclass(frozen=True)
class Reading:
    """The way in which the options are found among the tokens that a server shows.

    Attributes
    ----------
    by_id : bool
        Whether tokens are known by their ids, and not by their text.
    top : int or None
        How many of the most probable tokens are asked for; None where the server is asked for the options' own ids.
    length_argument : str
        How the server calls the number of tokens to generate.
    """

    by_id: bool = False
    top: int | None = 20
    length_argument: str = "max_tokens"

    def __str__(self) -> str:
        """Say how, as in "options are known by ..."."""
        among = "" if self.top is None else f" among the {self.top} most probable"
        return ("token ids" if self.by_id else "the text of tokens") + among

    def body(self, tokens: Sequence[int]) -> dict[str, Any]:
        """Write the part of a request that asks for the log-probabilities of one token."""
        asked: dict[str, Any] = {self.length_argument: 1, "temperature": 0, "logprobs": True}
        if self.top is not None:
            asked["top_logprobs"] = self.top
        if self.by_id:
            asked["return_tokens_as_token_ids"] = True
        if self.top is None:
            asked["logprob_token_ids"] = list(tokens)
        return asked

    def scores(self, question: Question, completion: Completion, tokens: Sequence[int]) -> list[OptionResponse]:
        """Score the options of a question.

        Parameters
        ----------
        question : Question
            The question.
        completion : Completion
            The server's answer.
        tokens : sequence of int
            The token id of each option; empty where tokens are known by their text.

        Raises
        ------
        ScoringError
            If an option is not visible, or the server's numbers cannot be log-probabilities.
        """
        self.check(question.name, completion)
        if self.by_id:
            return score_visible_options(question, tokens, shown_ids(completion), asked_for_by_name=self.top is None)
        options = [option.strip() for option in question.options]
        if len(set(options)) < len(options) or "" in options:
            raise ScoringError(
                f"{question.name}: the options {', '.join(map(repr, question.options))} are not told apart by text"
            )
        return score_visible_options(question, options, _shown_texts(completion))

    def check(self, name: str, completion: Completion) -> None:
        """Refuse what a server shows if it cannot be log-probabilities.

        Parameters
        ----------
        name : str
            What the message calls the question.
        completion : Completion
            The server's answer.

        Raises
        ------
        ScoringError
            See `benchc_tasks.models.visible_tokens.refuse_improbable`; or if a token has two log-probabilities.
        """
        shown, chosen = completion.shown, completion.chosen
        entries = [(entry.identity or number, entry.logprob) for number, entry in enumerate(shown)]
        refuse_improbable(name, entries, shows_all=self.top is None)
        for entry in shown:
            if (
                chosen is not None
                and entry.identity == chosen.identity
                and abs(entry.logprob - chosen.logprob) > CONTRADICTION
            ):
                raise ScoringError(
                    f"{name}: the engine gives token {quoted(chosen.token)} the log-probabilities {chosen.logprob} and "
                    f"{entry.logprob}"
                )


def shown_ids(completion: Completion) -> list[tuple[int, float]]:
    """Return ids and log-probabilities of the tokens that a server names by their ids."""
    named = ((TOKEN_ID.fullmatch(entry.token), entry.logprob) for entry in completion.shown)
    return [(int(match[1]), value) for match, value in named if match]


def _shown_texts(completion: Completion) -> list[tuple[str, float]]:
    """Return texts without the white space around them, and the log-probability that a token has the text."""
    values: dict[str, list[float]] = {}
    for entry in completion.shown:
        values.setdefault(entry.text.strip(), []).append(entry.logprob)
    return [(text, _log_of_sum(some)) for text, some in values.items()]


def _log_of_sum(logs: Sequence[float]) -> float:
    """Return the logarithm of the sum of what the logarithms stand for."""
    largest = max(logs)
    if len(logs) == 1 or not math.isfinite(largest):
        return largest
    return largest + math.log(math.fsum(math.exp(value - largest) for value in logs))


def as_data_uri(image: Image.Image, *, compress_level: int = 1) -> str:
    """Write an image as a data URI of a PNG file, which loses nothing."""
    buffer = io.BytesIO()
    # The pictures are mostly noise or sent over a fast line: more compression costs more time than it saves.
    image.convert("RGB").save(buffer, format="PNG", compress_level=compress_level)
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"
