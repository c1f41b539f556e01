"""Why a server will answer nothing, in one sentence with the cure."""

from __future__ import annotations

import re
from typing import Any

from pydantic import BaseModel

from benchc_tasks.models.questions import EngineError
from benchc_tasks.models.served.requests import RequestFault, ServedModel

__all__ = ["concerns_logprobs", "engine_error", "listed_models", "without_logprobs"]

LOGPROBS = r"log_?probs|log.?probabilit"
IMAGES = r"multi-?modal|image|\bvision\b|mmproj|modalit"
NO_MODEL = r"model.*(not (exist|found|available)|unknown|invalid)|(unknown|invalid|no such) model"
MOST_MODELS_NAMED = 5
"""So many models of a server are named."""


class ModelList(BaseModel):
    """What a server says about its models."""

    data: list[dict[str, Any]]


def concerns_logprobs(fault: RequestFault) -> bool:
    """Tell whether a server refuses a request for its log-probabilities."""
    return fault.status is not None and _mentions(fault.message, LOGPROBS)


def engine_error(model: ServedModel, fault: RequestFault) -> EngineError:
    """Say in one sentence why a server will answer nothing, and the cure."""
    said = fault.message.replace(model.name, "")
    it, where = f"model {model.name!r} at {model.address}", f"the server at {model.address}"
    if concerns_logprobs(fault):
        return without_logprobs(model, str(fault))
    if fault.status in (401, 403):
        sentence = (
            f"{where} refuses the key ({fault}): set OPENAI_API_KEY to one that it takes"
            if model.has_key
            else f"{where} wants a key ({fault}): set OPENAI_API_KEY"
        )
    elif fault.is_spent:
        sentence = f"{where} gives no answers on this account ({fault}): pay, or name another server"
    elif fault.status is not None and _mentions(said, IMAGES):
        sentence = f"{it} takes no images ({fault}): serve one that does"
    elif fault.status in (400, 404, 422) and (_mentions(said, NO_MODEL) or fault.status == 404):
        sentence = _not_found(model, fault)
    elif fault.status is None:
        sentence = f"{where} did not answer as asked ({fault}): raise timeout, or look at its log"
    else:
        sentence = f"{where} refuses a tiny question ({fault}): look at its log"
    return EngineError(sentence)


def without_logprobs(model: ServedModel, reason: str) -> EngineError:
    """Say that a model gives no log-probabilities, and what can be run all the same."""
    return EngineError(
        f"model {model.name!r} at {model.address} gives no log-probabilities ({reason}): run the benchc-gen tasks, "
        "which need none"
    )


def listed_models(model: ServedModel) -> list[dict[str, Any]]:
    """Return what a server says about its models; nothing where it does not say."""
    try:
        return model.get("/models", ModelList).data
    except RequestFault:
        return []


def _not_found(model: ServedModel, fault: RequestFault) -> str:
    names = [str(entry.get("id")) for entry in listed_models(model)]
    if not names:
        return f"nothing at {model.address} answers chats ({fault}): correct base_url, which mostly ends in /v1"
    some = ", ".join(names[:MOST_MODELS_NAMED]) + (", ..." if len(names) > MOST_MODELS_NAMED else "")
    return f"the server at {model.address} has no model {model.name!r} ({fault}): give model= one of {some}"


def _mentions(message: str, pattern: str) -> bool:
    return re.search(pattern, message, re.IGNORECASE) is not None
