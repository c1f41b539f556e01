"""Why a server answers no more, in one sentence with the cure."""

from __future__ import annotations

import re
from typing import Any

from pydantic import BaseModel

from benchc_metrics.messages import quoted
from benchc_tasks.models.questions import EngineError, NoProbabilitiesError
from benchc_tasks.models.served.requests import RequestFault, ServedModel

__all__ = ["concerns_logprobs", "engine_error", "is_final", "listed_models", "server_is_gone", "without_logprobs"]

LOGPROBS = r"log_?probs|log.?probabilit"
IMAGES = r"multi-?modal|image|\bvision\b|mmproj|modalit"
NO_MODEL = r"model.*(not (exist|found|available)|unknown|invalid)|(unknown|invalid|no such) model"
KEY_STATUSES = (401, 403)
# litellm without a database looks every key up there that is not its own.
NO_KEY_DATABASE = r"no.?(connected.?)?db|not connected to (the )?(db|database)"
UPSTREAM = r"litellm\.\w+|\b\w+Exception - |upstream|provider"
"""How gateways begin what another server has said to them."""
FINAL_STATUSES = (401, 402, 404)
"""What a server that has answered before says when it will answer no more: no key, no money, no model."""
MOST_MODELS_NAMED = 5
"""So many models of a server are named."""
WRONG_KEY = "no-key-of-this-server"


class ModelList(BaseModel):
    """What a server says about its models."""

    data: list[dict[str, Any]]


def concerns_logprobs(fault: RequestFault) -> bool:
    """Tell whether a server refuses a request for its log-probabilities."""
    return fault.status is not None and _mentions(fault.message, LOGPROBS)


def is_final(fault: RequestFault) -> bool:
    """Tell whether a server that has answered before will answer no question more."""
    return fault.status in FINAL_STATUSES or fault.is_spent or _concerns_the_key(fault, with_forbidden=False)


def engine_error(model: ServedModel, fault: RequestFault) -> EngineError:
    """Say in one sentence why a server will answer nothing, and the cure."""
    said = fault.message.replace(model.name, "")
    it, where = f"model {quoted(model.name)} at {model.address}", f"the server at {model.address}"
    if concerns_logprobs(fault):
        return without_logprobs(model, str(fault))
    if _concerns_the_key(fault):
        sentence = _key_refused(model, fault, where)
    elif fault.is_spent:
        sentence = f"{where} gives no answers on this account ({fault}): pay, or name another server"
    elif fault.is_loading:
        sentence = f"{where} is still loading its model ({fault}): wait until it answers, or look at its log"
    elif fault.status is not None and _mentions(said, IMAGES):
        sentence = f"{it} takes no images ({fault}): serve one that does"
    elif fault.status in (400, 404, 422) and (_mentions(said, NO_MODEL) or fault.status == 404):
        sentence = _not_found(model, fault)
    elif fault.status is None:
        sentence = f"{where} did not answer as asked ({fault}): raise timeout, or look at its log"
    else:
        sentence = f"{where} refuses a tiny question ({fault}): look at its log"
    return EngineError(sentence)


def server_is_gone(model: ServedModel, fault: RequestFault) -> EngineError:
    """Say that a server that has answered before answers nothing more."""
    return EngineError(
        f"the server at {model.address} answers no more ({fault}): start it again, and run the same command; with "
        "--use_cache it goes on from the answers that were given"
    )


def without_logprobs(model: ServedModel, reason: str) -> NoProbabilitiesError:
    """Say that a model gives no log-probabilities, and what can be run all the same."""
    return NoProbabilitiesError(
        f"model {quoted(model.name)} at {model.address} gives no log-probabilities ({reason}): run the "
        f"benchc-gen tasks with --model openai --model_args model={model.name},base_url={model.address}, "
        "which need none"
    )


def listed_models(model: ServedModel) -> list[dict[str, Any]]:
    """Return what a server says about its models; nothing where it does not say."""
    try:
        return model.get("/models", ModelList).data
    except RequestFault:
        return []


def _concerns_the_key(fault: RequestFault, *, with_forbidden: bool = True) -> bool:
    statuses = KEY_STATUSES if with_forbidden else KEY_STATUSES[:1]
    return fault.status in statuses or (fault.status in (400, 500) and _mentions(fault.message, NO_KEY_DATABASE))


def _key_refused(model: ServedModel, fault: RequestFault, where: str) -> str:
    if _mentions(fault.message, UPSTREAM) or _takes_this_key_and_no_other(model):
        return (
            f"{where} takes the key, and what stands behind it refuses that server's own ({fault}): set the key in the "
            "configuration of that server"
        )
    if model.has_key:
        return f"{where} refuses the key ({fault}): set OPENAI_API_KEY to one that it takes"
    return f"{where} wants a key ({fault}): set OPENAI_API_KEY"


def _takes_this_key_and_no_other(model: ServedModel) -> bool:
    """Tell whether a server lists its models for the key that it got, and not for another."""
    return bool(model.has_key and listed_models(model) and not listed_models(model.with_key(WRONG_KEY)))


def _not_found(model: ServedModel, fault: RequestFault) -> str:
    names = [str(entry.get("id")) for entry in listed_models(model)]
    if not names:
        return f"nothing at {model.address} answers chats ({fault}): correct base_url, which mostly ends in /v1"
    others = [name for name in names if name != model.name]
    some = ", ".join(others[:MOST_MODELS_NAMED]) + (", ..." if len(others) > MOST_MODELS_NAMED else "")
    if model.name in names:
        another = f", or give model= one of {some}" if some else ""
        return (
            f"the server at {model.address} lists model {quoted(model.name)}, and what stands behind it "
            f"has no such model ({fault}): correct the configuration of that server{another}"
        )
    return f"the server at {model.address} has no model {quoted(model.name)} ({fault}): give model= one of {some}"


def _mentions(message: str, pattern: str) -> bool:
    return re.search(pattern, message, re.IGNORECASE) is not None
