"""The client and the settings of a model behind an OpenAI-compatible server."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias
from urllib.parse import unquote, urlsplit

import openai
from loguru import logger

from benchc_metrics.messages import close_to_it, quoted
from benchc_tasks.models.served.answers import bounded_http_client

__all__ = ["PLACEHOLDER_KEY", "ServedBackend", "load_served_backend"]

Arguments: TypeAlias = Mapping[str, Any]

PLACEHOLDER_KEY = "no-key"
"""Sent where no key is set; the client requires one."""

MODEL_ARGUMENTS = ("model", "model_version", "pretrained")
CONCURRENCY_ARGUMENTS = ("num_concurrent", "num_cpus")
USED_ARGUMENTS = {
    *MODEL_ARGUMENTS,
    *CONCURRENCY_ARGUMENTS,
    "azure_openai",
    "base_url",
    "enable_thinking_kwarg",
    "httpx_trust_env",
    "max_retries",
    "retry_backoff_s",
    "timeout",
}
ADDRESS_VARIABLES = ("OPENAI_API_BASE", "OPENAI_BASE_URL")
SECRET_NAME = re.compile(r"(key|token|secret|password)$", re.IGNORECASE)

DEFAULT_ATTEMPTS = 5
DEFAULT_BACKOFF = 1.0
DEFAULT_CONCURRENCY = 32
DEFAULT_TIMEOUT = 120.0


@dataclass(frozen=True)
class ServedBackend:
    """Where a model is served, and how it may be asked.

    Attributes
    ----------
    client : openai.AsyncOpenAI
        Knows the address and the key; tries nothing twice by itself, and unpacks no more than an answer may hold.
    model : str
        The name under which the server has the model.
    attempts : int
        How often a request is sent before it counts as failed, 1 or more.
    backoff : float
        Seconds before the second attempt, 0 or more; doubled for each further one.
    timeout : float
        Seconds that a request may take, from its first byte to the last of its answer.
    concurrency : int
        Requests that may be on their way at once, 1 or more.
    enable_thinking : bool or None
        What lmms-eval's `enable_thinking_kwarg` says to the chat template; None where it is not given.
    """

    client: openai.AsyncOpenAI
    model: str
    attempts: int = DEFAULT_ATTEMPTS
    backoff: float = DEFAULT_BACKOFF
    timeout: float = DEFAULT_TIMEOUT
    concurrency: int = DEFAULT_CONCURRENCY
    enable_thinking: bool | None = None


def load_served_backend(name: str, arguments: Arguments, without_effect: Collection[str] = ()) -> ServedBackend:
    """Build the client of a server and read the settings.

    Parameters
    ----------
    name : str
        What messages call the backend.
    arguments : mapping
        Those in `USED_ARGUMENTS`, by lmms-eval's names, and `pretrained` as another word for `model`. Where it is not
        given, `timeout` is 120 s, and the number of concurrent requests 32.
    without_effect : collection of str
        Further arguments that are accepted, with a warning.

    Raises
    ------
    ValueError
        If an argument is unknown, has no sensible value or holds a key, if no model is named, or if there is neither a
        key nor an address.
    """
    _refuse_secrets(arguments)
    _refuse_unknown(name, arguments, {*USED_ARGUMENTS, *without_effect})
    limits = _limits(arguments)
    model = _model_name(name, arguments)
    address = str(arguments.get("base_url") or _first_set(ADDRESS_VARIABLES) or "")
    _check_address(unquote(address))
    if not (address or os.getenv("OPENAI_API_KEY") or _as_bool(arguments.get("azure_openai"))):
        raise ValueError(
            f"backend {quoted(name)} has neither a key nor an address: set OPENAI_API_KEY for OpenAI's own server, or "
            "give base_url=http://HOST:PORT/v1"
        )
    try:
        client = _client(unquote(address).rstrip("/"), arguments)
    # The address may be wrong in many ways; arguments are named without their values.
    except Exception as fault:
        raise ValueError(
            f"backend {quoted(name)} could not be built with {', '.join(arguments)}: {type(fault).__name__}: "
            f"{str(fault).strip().partition(chr(10))[0]}"
        ) from None
    _check_address(str(client.base_url))
    return ServedBackend(
        client=client.with_options(max_retries=0, timeout=limits["timeout"]),
        model=model,
        attempts=int(limits["attempts"]),
        backoff=limits["backoff"],
        timeout=limits["timeout"],
        concurrency=int(limits["concurrency"]),
        enable_thinking=_as_bool(arguments.get("enable_thinking_kwarg")),
    )


def _limits(arguments: Arguments) -> dict[str, float]:
    concurrency = next((name for name in CONCURRENCY_ARGUMENTS if name in arguments), CONCURRENCY_ARGUMENTS[0])
    return {
        "timeout": _number("timeout", arguments.get("timeout"), DEFAULT_TIMEOUT, above=0),
        "attempts": _number("max_retries", arguments.get("max_retries"), DEFAULT_ATTEMPTS, least=1),
        "backoff": _number("retry_backoff_s", arguments.get("retry_backoff_s"), DEFAULT_BACKOFF, least=0),
        "concurrency": _number(concurrency, arguments.get(concurrency), DEFAULT_CONCURRENCY, least=1),
    }


def _client(address: str, arguments: Arguments) -> openai.AsyncOpenAI:
    http = bounded_http_client(trust_env=_as_bool(arguments.get("httpx_trust_env")) is not False)
    if _as_bool(arguments.get("azure_openai")):
        return openai.AsyncAzureOpenAI(
            api_key=os.getenv("AZURE_OPENAI_API_KEY"),
            azure_endpoint=os.environ.get("AZURE_OPENAI_API_BASE", ""),
            api_version=os.getenv("AZURE_OPENAI_API_VERSION"),
            http_client=http,
        )
    key = os.getenv("OPENAI_API_KEY") or PLACEHOLDER_KEY
    return openai.AsyncOpenAI(api_key=key, base_url=address or None, http_client=http)


def _refuse_secrets(arguments: Arguments) -> None:
    for argument in arguments:
        if SECRET_NAME.search(argument):
            raise ValueError(
                f"{argument} must not stand in --model_args, which lmms-eval prints and stores: set OPENAI_API_KEY in "
                "the environment"
            )


def _refuse_unknown(name: str, arguments: Arguments, known: set[str]) -> None:
    for argument in arguments:
        if argument not in known:
            raise ValueError(
                f"argument {quoted(argument)} is unknown to benchc and to the backend {quoted(name)}"
                f"{close_to_it(argument, sorted(known), 'leave it out')}"
            )
    if unused := sorted(arguments.keys() - USED_ARGUMENTS):
        logger.warning(f"backend {quoted(name)}: {', '.join(unused)} changes nothing where options are scored")


def _model_name(name: str, arguments: Arguments) -> str:
    given = [argument for argument in MODEL_ARGUMENTS if arguments.get(argument) not in (None, "")]
    if len(given) != 1:
        what = f"{' and '.join(given)} are given" if given else "none is named"
        raise ValueError(
            f"backend {quoted(name)} scores one model, and {what}: give model=NAME, as the server calls it"
        )
    return str(arguments[given[0]])


def _check_address(address: str) -> None:
    """Refuse what is not an address, and one that holds a key; such an address is not repeated in the message."""
    if not address:
        return
    parts = urlsplit(address)
    if parts.username is not None or parts.password is not None or parts.query:
        raise ValueError(
            "base_url must hold neither a user's name nor a password nor a query, since lmms-eval prints and stores "
            "it: set OPENAI_API_KEY in the environment"
        )
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"base_url {quoted(address)} is not an address: give http://HOST:PORT/v1")


def _first_set(variables: tuple[str, ...]) -> str | None:
    return next((value for variable in variables if (value := os.getenv(variable))), None)


def _number(name: str, given: Any, default: float, *, least: float = -math.inf, above: float = -math.inf) -> float:
    if given is None:
        return default
    try:
        number = float(given)
    except (TypeError, ValueError):
        number = math.nan
    if not (math.isfinite(number) and number >= least and number > above):
        bound = f"of {least:g} or more" if math.isfinite(least) else f"above {above:g}"
        raise ValueError(f"{name} is {quoted(given)}: give a number {bound}")
    return number


def _as_bool(given: Any) -> bool | None:
    if given is None:
        return None
    return given.strip().lower() == "true" if isinstance(given, str) else bool(given)
