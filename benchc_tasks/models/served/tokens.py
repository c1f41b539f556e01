"""The token ids of options, by the tokenizer of a server."""

from __future__ import annotations

import functools
import threading
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from benchc_tasks.models.served.reading import ServedChat
from benchc_tasks.models.served.requests import ServedModel

__all__ = ["OptionTokens"]

PROMPT = "What colour is the picture?"
"""Any; options are tokenised as answers to it."""


class TokenList(BaseModel):
    """What a server's tokenizer says."""

    tokens: list[int]


class OptionTokens:
    """The token ids of options behind a prompt, by the server's own tokenizer (vLLM's `/tokenize`).

    Parameters
    ----------
    model : ServedModel
        The model.
    chat : ServedChat
        Its messages.
    """

    def __init__(self, model: ServedModel, chat: ServedChat) -> None:
        self._model = model
        self._chat = chat
        self._lock = threading.Lock()
        self._found = functools.lru_cache(maxsize=4096)(self._find)
        self._prompt = functools.cache(self._find_prompt)

    def find(self, option: str) -> tuple[int, ...]:
        """Return the tokens of an option as the chat template writes an assistant's answer.

        They are what follows the prompt's tokens. Where the template writes an answer in another way than it begins
        one, they are the tokens of the option alone.

        Raises
        ------
        RequestFault
            If the server can't tell.
        """
        with self._lock:
            return self._found(option)

    def _find(self, option: str) -> tuple[int, ...]:
        prompt = self._prompt()
        answered = self._chat.body(PROMPT, (), answer=option)
        whole = self._tokenize({**answered, "add_generation_prompt": False, "continue_final_message": True})
        if whole[: len(prompt)] == prompt and len(whole) > len(prompt):
            return whole[len(prompt) :]
        return self._tokenize({"prompt": option, "add_special_tokens": False})

    def _find_prompt(self) -> tuple[int, ...]:
        return self._tokenize({"add_generation_prompt": True, **self._chat.body(PROMPT, ())})

    def _tokenize(self, body: Mapping[str, Any]) -> tuple[int, ...]:
        return tuple(self._model.post("/tokenize", body, TokenList, at_root=True).tokens)
