"""Requests to an OpenAI-compatible server: tried again where that can help, and their faults in one sentence."""

from __future__ import annotations

import functools
import os
import random
import re
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from email.utils import parsedate_to_datetime
from typing import Any, TypeAlias, TypeVar

import openai
from pydantic import BaseModel, ValidationError
from tenacity import RetryCallState, Retrying, retry_if_exception, stop_after_attempt
from tenacity.nap import sleep_using_event

from benchc_tasks.models.questions import describe
from benchc_tasks.models.served.backend import PLACEHOLDER_KEY, ServedBackend
from benchc_tasks.models.served.reading import Completion

__all__ = ["RequestFault", "ServedModel"]

Body: TypeAlias = Mapping[str, Any]
Answer = TypeVar("Answer", bound=BaseModel)

KEY_VARIABLES = ("OPENAI_API_KEY", "AZURE_OPENAI_API_KEY", "AZURE_OPENAI_AD_TOKEN")
TRANSIENT_STATUSES = (408, 409, 429)
SPENT_CODES = ("insufficient_quota", "billing_hard_limit_reached", "billing_not_active")
LONGEST_BACKOFF = 60.0
LONGEST_RETRY_AFTER = 300.0
"""Seconds; a server that asks for more is not waited for."""
LONGEST_MESSAGE = 200
LONGEST_QUOTATION = 60
BEARER_TOKEN = re.compile(r"(?<=Bearer )\S+")
NOTHING = r"(?!)"
TELLING_LENGTH = 8
"""So many characters of a key are recognised as its beginning."""
IMAGES_UNKNOWN = (
    r"mmproj|not (a )?multi-?modal|not support (any )?(images?|vision)|images?( input)? (is|are) not supported"
)


class RequestFault(Exception):  # noqa: N818  # an answer of a kind, which its reader turns into an error or not
    """What came back in place of an answer; the message is one line and holds no key.

    Attributes
    ----------
    message : str
        What the server or the connection said.
    status : int or None
        The HTTP status; None if nothing came back.
    is_transient : bool
        Whether the same request may succeed later.
    is_connected : bool
        Whether there was a server, as far as can be told.
    is_spent : bool
        Whether the account has nothing left to pay with.
    retry_after : float
        Seconds after which the server wants to be asked again, 0 where it does not say.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        is_transient: bool = False,
        is_connected: bool = True,
        is_spent: bool = False,
        retry_after: float = 0.0,
    ) -> None:
        super().__init__(message if status is None else f"{status}: {message}")
        self.message = message
        self.status = status
        self.is_transient = is_transient
        self.is_connected = is_connected
        self.is_spent = is_spent
        self.retry_after = retry_after


class ServedModel:
    """One model behind one server; may be asked from several threads.

    Parameters
    ----------
    backend : ServedBackend
        The client, the model's name, and how often and how long to try.

    Attributes
    ----------
    name : str
        The model's name.
    address : str
        The server's address, without a user's name or a password.
    has_key : bool
        Whether a key of the user's is sent.
    timeout : float
        Seconds that a request may take.
    """

    def __init__(self, backend: ServedBackend) -> None:
        self.name = backend.model
        self.address = str(backend.client.base_url).rstrip("/")
        self.has_key = backend.client.api_key != PLACEHOLDER_KEY
        self.timeout = backend.timeout
        self._root = self.address.removesuffix("/v1")
        self._client = backend.client
        self._attempts = backend.attempts
        self._backoff = backend.backoff
        self._given_up = threading.Event()
        keys = [backend.client.api_key, *map(os.getenv, KEY_VARIABLES)]
        self._without_keys = _key_remover({(key or "").strip() for key in keys} - {"", PLACEHOLDER_KEY})

    def reach(self) -> None:
        """Ask for the list of models, once.

        Raises
        ------
        RequestFault
            If there is no server; whatever a server answers is good enough.
        """
        try:
            self._send("/models", None)
        except RequestFault as fault:
            if not fault.is_connected:
                raise

    def complete(self, body: Body, *, purpose: str) -> Completion:
        """Ask for a chat completion.

        Parameters
        ----------
        body : mapping
            The request but for the model's name.
        purpose : str
            What is asked; the pauses between attempts are drawn from it.

        Raises
        ------
        RequestFault
            If there is none after all attempts that make sense.
        """
        return self._read(self._ask("/chat/completions", body, purpose), Completion)

    def get(self, path: str, kind: type[Answer], *, at_root: bool = False) -> Answer:
        """Fetch an answer of a kind from a path below the server's address, or its root: the address without `/v1`."""
        return self._read(self._ask(self._root + path if at_root else path, None, path), kind)

    def post(self, path: str, body: Body, kind: type[Answer], *, at_root: bool = False) -> Answer:
        """Post JSON to a path, as `get` names it; the model's name is added."""
        return self._read(self._ask(self._root + path if at_root else path, body, path), kind)

    def give_up(self) -> None:
        """Let all requests fail that have not been sent yet, and those that wait for another attempt."""
        self._given_up.set()

    def _read(self, text: str, kind: type[Answer]) -> Answer:
        try:
            # A key can stand where a model's name is expected; stars in its place leave JSON what it is.
            return kind.model_validate_json(self._without_keys(text))
        except ValidationError:
            said = self._one_line(text)[:LONGEST_QUOTATION]
            raise RequestFault(f"the answer {said!r} is no {kind.__name__}") from None

    def _ask(self, url: str, body: Body | None, purpose: str) -> str:
        attempts = Retrying(
            retry=retry_if_exception(lambda fault: isinstance(fault, RequestFault) and fault.is_transient),
            stop=stop_after_attempt(self._attempts),
            wait=lambda state: _pause(state, purpose, self._backoff),
            sleep=sleep_using_event(self._given_up),
            reraise=True,
        )
        return attempts(self._send, url, body)

    def _send(self, url: str, body: Body | None) -> str:
        if self._given_up.is_set():
            raise RequestFault("the run was given up")
        try:
            # The text and not the client's own reading of it, which takes whatever comes for an answer.
            if body is None:
                return self._client.get(url, cast_to=str)
            return self._client.post(url, body={"model": self.name, **body}, cast_to=str)
        # Nothing is chained: the client's own errors hold what the server said, and a server may say the key.
        except openai.APIStatusError as fault:
            raise self._status_fault(fault) from None
        except openai.APITimeoutError:
            raise RequestFault(f"no answer within {self.timeout:g} s", is_transient=True) from None
        except openai.APIConnectionError as fault:
            said = self._one_line(str(fault.__cause__ or fault))
            raise RequestFault(said, is_transient=True, is_connected=False) from None
        except Exception as fault:  # what can't be sent, such as half a surrogate pair in a question
            raise RequestFault(self._one_line(describe(fault))) from None

    def _status_fault(self, fault: openai.APIStatusError) -> RequestFault:
        said = self._one_line(_what_was_said(fault))
        retry_after = _retry_after(fault.response.headers)
        # A spent quota comes with the status of a rate limit, and some servers refuse images with that of a breakdown.
        is_spent = fault.status_code == 402 or fault.code in SPENT_CODES
        heals = (
            not is_spent and not re.search(IMAGES_UNKNOWN, said, re.IGNORECASE) and retry_after <= LONGEST_RETRY_AFTER
        )
        return RequestFault(
            said,
            status=fault.status_code,
            is_transient=heals and (fault.status_code in TRANSIENT_STATUSES or fault.status_code >= 500),
            is_spent=is_spent,
            retry_after=retry_after,
        )

    def _one_line(self, text: str) -> str:
        line = " ".join(BEARER_TOKEN.sub("***", self._without_keys(text)).split())
        return line if len(line) <= LONGEST_MESSAGE else line[: LONGEST_MESSAGE - 3] + "..."


def _what_was_said(fault: openai.APIStatusError) -> str:
    """Return the message inside the JSON that servers wrap an error in, or else the whole text of the answer."""
    said: Any = fault.body
    for name in ("error", "message", "detail"):
        if isinstance(said, Mapping) and name in said:
            said = said[name]
    return str(said) if said else fault.response.text or fault.message


def _retry_after(headers: Mapping[str, str]) -> float:
    """Read the header Retry-After, a number of seconds or a date."""
    value = headers.get("retry-after", "")
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    except ValueError:
        return 0.0


def _fault_of(state: RetryCallState) -> RequestFault:
    fault = state.outcome.exception() if state.outcome is not None else None
    return fault if isinstance(fault, RequestFault) else RequestFault(str(fault))


def _pause(state: RetryCallState, purpose: str, backoff: float) -> float:
    """Return the seconds before the next attempt: doubled each time, scattered, behind what the server asks for."""
    doubled = min(LONGEST_BACKOFF, backoff * 2.0 ** (state.attempt_number - 1))
    scatter = random.Random(f"{purpose} {state.attempt_number}").uniform(0.5, 1.5)
    return _fault_of(state).retry_after + doubled * scatter


def _key_remover(keys: Iterable[str]) -> Callable[[str], str]:
    """Return a function that puts stars in the place of keys, and of what is left of a long one."""
    patterns = []
    for key in sorted(keys, key=len, reverse=True):
        recognised = key[:TELLING_LENGTH] if len(key) >= 2 * TELLING_LENGTH else key
        patterns.append(re.escape(recognised) + (r"[\w.\-]*" if recognised != key else ""))
    return functools.partial(re.compile("|".join(patterns) or NOTHING).sub, "***")
