"""Keep a served model from thinking before it answers."""

from __future__ import annotations

import math
from dataclasses import replace

from loguru import logger

from benchc_metrics.messages import quoted
from benchc_tasks.models.questions import EngineError
from benchc_tasks.models.served.faults import engine_error
from benchc_tasks.models.served.probe import LEAST_LETTER_MASS, OPTIONS, PROMPT
from benchc_tasks.models.served.reading import Completion, ServedChat, as_data_uri
from benchc_tasks.models.served.requests import RequestFault, ServedModel
from benchc_tasks.models.sight import pictures
from benchc_tasks.models.thinking import FORMS

__all__ = ["without_thinking"]

CLOSED = "<think>\n\n</think>\n\n"
"""What closes a block that the server's template has no setting against."""
TOP = 5


def without_thinking(model: ServedModel, chat: ServedChat) -> ServedChat:
    """Find the messages after which a server's model answers with a letter and does not think.

    The template's own settings are tried first, then a closed thinking block as the beginning of the answer. The first
    way is taken that gives the letters a twentieth of the probability at a tiny question, else the one that gives them
    most.

    Parameters
    ----------
    model : ServedModel
        The model.
    chat : ServedChat
        Its messages.

    Raises
    ------
    EngineError
        If the server takes none of the ways.
    """
    ways = [
        replace(
            chat,
            template_settings={**chat.template_settings, **form},
            thinking="skipped: " + ", ".join(f"{name}={value}" for name, value in form.items()),
        )
        for form in FORMS[:2]
    ]
    ways.append(replace(chat, beginning=CLOSED, thinking=f"skipped: closed by benchc with {CLOSED.split()[-1]}"))
    picture = as_data_uri(pictures()[0])
    found: list[tuple[float, ServedChat]] = []
    refused: RequestFault | None = None
    for way in ways:
        body = {**way.body(PROMPT, [picture]), "max_tokens": 1, "temperature": 0, "logprobs": True, "top_logprobs": TOP}
        try:
            mass = _letter_mass(model.complete(body, purpose="the probe"))
        except RequestFault as fault:
            refused = fault
            continue
        found.append((mass, way))
        if mass >= LEAST_LETTER_MASS:
            break
    if not found:
        raise engine_error(model, refused) if refused is not None else EngineError("no way to skip thinking")
    mass, best = max(found, key=lambda entry: entry[0])
    logger.info(f"model {quoted(model.name)} at {model.address}: thinking is {best.thinking}, letters hold {mass:.0%}")
    return best


def _letter_mass(completion: Completion) -> float:
    return math.fsum(math.exp(entry.logprob) for entry in completion.shown if entry.text.strip() in OPTIONS)
