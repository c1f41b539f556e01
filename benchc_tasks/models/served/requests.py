"""Requests to an OpenAI-compatible server: tried again where that can help, and their faults in one sentence."""

from __future__ import annotations

import asyncio
import functools
import os
import random
import re
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import CancelledError, Future
from dataclasses import replace
from email.utils import parsedate_to_datetime
from typing import Any, TypeAlias, TypeVar

import openai
from loguru import logger
from pydantic import BaseModel, ValidationError
from tenacity import RetryCallState, Retrying, retry_if_exception, stop_after_attempt
from tenacity.nap import sleep_using_event

from benchc_metrics.messages import quoted
from benchc_tasks.models.questions import describe
from benchc_tasks.models.served.answers import OversizedAnswerError
from benchc_tasks.models.served.backend import PLACEHOLDER_KEY, ServedBackend
from benchc_tasks.models.served.reading import Completion

__all__ = ["RequestFault", "ServedModel"]

Body: TypeAlias = Mapping[str, Any]
Answer = TypeVar("Answer", bound=BaseModel)

KEY_VARIABLES = ("OPENAI_API_KEY", "AZURE_OPENAI_API_KEY", "AZURE_OPENAI_AD_TOKEN")
TRANSIENT_STATUSES = (408, 409, 429)
LOADING_STATUS = 503
LOADING = r"\b(loading|warming up|starting|initiali[sz]ing|not (yet )?ready)\b"
LONGEST_LOADING = 900.0
"""Seconds that a server may take to load its model."""
LONGEST_LOADING_PAUSE = 5.0
LEAST_LOADING_PAUSE = 0.05
SPENT_CODES = ("insufficient_quota", "billing_hard_limit_reached", "billing_not_active")
LONGEST_BACKOFF = 60.0
LONGEST_RETRY_AFTER = 300.0
"""Seconds; a server that asks for more is not waited for."""
LONGEST_MESSAGE = 200
LONGEST_QUOTATION = 60
BEARER_TOKEN = re.compile(r"(?<=Bearer )\S+")
NOTHING = r"(?!)"
CONNECTION_REFUSED = "the connection is refused"
GIVEN_UP = "the run was given up"
TELLING_LENGTH = 8
"""So many characters of a key are recognised as its beginning."""
IMAGES_UNKNOWN = (
    r"mmproj|not (a )?multi-?modal|not support (any )?(images?|vision)|images?( input)? (is|are) not supported"
)
LOGPROBS_REFUSED = r"log_?probs.*(support|allow|max|most|limit|greater|exceed|invalid|between|range)"


class RequestFault(Exception):  # noqa: N818  # an answer of a kind, which its reader turns into an error or not
    """Raised when a server returns no response; the message is one line and holds no key.

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
    is_loading : bool
        Whether the server says that it is still loading its model.
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
        is_loading: bool = False,
        retry_after: float = 0.0,
    ) -> None:
        super().__init__(message if status is None else f"{status}: {message}")
        self.message = message
        self.status = status
        self.is_transient = is_transient
        self.is_connected = is_connected
        self.is_spent = is_spent
        self.is_loading = is_loading
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
        Seconds that a request may take, from its first byte to the last of its answer.
    """

    def __init__(self, backend: ServedBackend) -> None:
        self._backend = backend
        self.name = backend.model
        self.address = str(backend.client.base_url).rstrip("/")
        self.has_key = backend.client.api_key != PLACEHOLDER_KEY
        self.timeout = backend.timeout
        self._root = self.address.removesuffix("/v1")
        self._client = backend.client
        self._attempts = backend.attempts
        self._backoff = backend.backoff
        self._given_up = threading.Event()
        self._under_way: set[Future[str]] = set()
        keys = [backend.client.api_key, *map(os.getenv, KEY_VARIABLES)]
        self._without_keys = _key_remover({(key or "").strip() for key in keys} - {"", PLACEHOLDER_KEY})

    def with_key(self, key: str) -> ServedModel:
        """Return the same model, asked with another key."""
        return ServedModel(replace(self._backend, client=self._backend.client.with_options(api_key=key)))

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
        return self._read(self._ask_when_loaded("/chat/completions", body, purpose), Completion)

    def try_once(self, body: Body) -> Completion:
        """Ask for a chat completion as `complete` does, and not a second time."""
        return self._read(self._send("/chat/completions", body), Completion)

    def get(self, path: str, kind: type[Answer]) -> Answer:
        """Fetch an answer of a kind from a path below the server's address."""
        return self._read(self._ask(path, None, path), kind)

    def look(self, path: str, kind: type[Answer]) -> Answer:
        """Fetch an answer from a path below the server's root: the address without `/v1`.

        It is tried once, since most servers lack such a path.
        """
        return self._read(self._send(self._root + path, None), kind)

    def post(self, path: str, body: Body, kind: type[Answer], *, at_root: bool = False) -> Answer:
        """Post JSON to a path below the server's address or its root; the model's name is added."""
        return self._read(self._ask(self._root + path if at_root else path, body, path), kind)

    def give_up(self) -> None:
        """Let all requests fail: those that are under way, have not been sent yet or wait for another attempt."""
        self._given_up.set()
        for request in tuple(self._under_way):
            request.cancel()

    def _read(self, text: str, kind: type[Answer]) -> Answer:
        try:
            # A key can stand where a model's name is expected; stars in its place leave JSON what it is.
            return kind.model_validate_json(self._without_keys(text))
        except ValidationError as fault:
            first = fault.errors()[0]
            reason = ": ".join([*filter(None, [".".join(map(str, first["loc"]))]), first["msg"]])
            said = self._one_line(text)[:LONGEST_QUOTATION]
            raise RequestFault(f"the answer {quoted(said)} is no {kind.__name__}: {self._one_line(reason)}") from None

    def _ask_when_loaded(self, url: str, body: Body | None, purpose: str) -> str:
        """Ask, and wait as long as the server says that it is still loading its model."""
        start, pause = time.monotonic(), max(self._backoff, LEAST_LOADING_PAUSE)
        while True:
            try:
                return self._ask(url, body, purpose)
            except RequestFault as fault:
                waited = time.monotonic() - start
                if not fault.is_loading or waited > LONGEST_LOADING or self._given_up.is_set():
                    raise
                logger.info(f"the server at {self.address} is loading its model ({fault}) and is waited for")
                self._given_up.wait(max(min(pause, LONGEST_LOADING_PAUSE), fault.retry_after))
                pause *= 2

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
        """Send a request from the thread that all requests share, and wait for its answer."""
        if self._given_up.is_set():
            raise RequestFault(GIVEN_UP)
        request = asyncio.run_coroutine_threadsafe(self._fetch(url, body), _event_loop(os.getpid()))
        self._under_way.add(request)
        try:
            return request.result()
        except CancelledError:
            raise RequestFault(GIVEN_UP) from None
        finally:
            self._under_way.discard(request)

    async def _fetch(self, url: str, body: Body | None) -> str:
        # The client's own limits hold for each piece of an answer: one that comes byte by byte would last for ever.
        try:
            return await asyncio.wait_for(self._exchange(url, body), self.timeout)
        # Nothing is chained: the client's own errors hold what the server said, and a server may say the key.
        except openai.APIStatusError as fault:
            raise self._status_fault(fault) from None
        except (asyncio.TimeoutError, openai.APITimeoutError):
            raise RequestFault(f"no answer within {self.timeout:g} s", is_transient=True) from None
        except openai.APIConnectionError as fault:
            if isinstance(fault.__cause__, OversizedAnswerError):
                raise RequestFault(str(fault.__cause__)) from None
            cause = _first_cause(fault)
            said = CONNECTION_REFUSED if isinstance(cause, ConnectionRefusedError) else self._one_line(str(cause))
            raise RequestFault(said, is_transient=True, is_connected=False) from None
        except OversizedAnswerError as fault:
            raise RequestFault(str(fault)) from None
        except Exception as fault:  # what can't be sent, such as half a surrogate pair in a question
            raise RequestFault(self._one_line(describe(fault))) from None

    async def _exchange(self, url: str, body: Body | None) -> str:
        # The text and not the client's own reading of it, which takes whatever comes for an answer.
        if body is None:
            return await self._client.get(url, cast_to=str)
        return await self._client.post(url, body={"model": self.name, **body}, cast_to=str)

    def _status_fault(self, fault: openai.APIStatusError) -> RequestFault:
        said = self._one_line(_what_was_said(fault))
        retry_after = _retry_after(fault.response.headers)
        # A spent quota comes with the status of a rate limit, and some servers refuse images with that of a breakdown.
        is_spent = fault.status_code == 402 or fault.code in SPENT_CODES
        is_loading = fault.status_code == LOADING_STATUS and re.search(LOADING, said, re.IGNORECASE) is not None
        is_settled = is_spent or re.search(f"{IMAGES_UNKNOWN}|{LOGPROBS_REFUSED}", said, re.IGNORECASE) is not None
        heals = not (is_settled or is_loading) and retry_after <= LONGEST_RETRY_AFTER
        return RequestFault(
            said,
            status=fault.status_code,
            is_transient=heals and (fault.status_code in TRANSIENT_STATUSES or fault.status_code >= 500),
            is_spent=is_spent,
            is_loading=is_loading,
            retry_after=retry_after,
        )

    def _one_line(self, text: str) -> str:
        line = " ".join(BEARER_TOKEN.sub("***", self._without_keys(text)).split())
        return line if len(line) <= LONGEST_MESSAGE else line[: LONGEST_MESSAGE - 3] + "..."


@functools.cache
def _event_loop(process: int) -> asyncio.AbstractEventLoop:
    """Return the loop in which a process sends its requests, in a thread of its own."""
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, name="benchc-requests", daemon=True).start()
    return loop


def _first_cause(fault: BaseException) -> BaseException:
    while (cause := fault.__cause__ or fault.__context__) is not None:
        fault = cause
    return fault


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
