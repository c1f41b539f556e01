"""What a server can do, found out before the first question; what it can't, in one sentence with the cure."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from loguru import logger
from PIL import Image
from pydantic import BaseModel

from benchc_tasks.models.questions import EngineError
from benchc_tasks.models.served.faults import concerns_logprobs, engine_error, listed_models, without_logprobs
from benchc_tasks.models.served.reading import Completion, Reading, ServedChat, as_data_uri, shown_ids
from benchc_tasks.models.served.requests import RequestFault, ServedModel
from benchc_tasks.models.served.tokens import OptionTokens

__all__ = ["Probe", "probe"]

TOP_LIMITS = (20, 10, 5)
"""How many top log-probabilities are asked for, until a server agrees; 20 is the most that OpenAI and vLLM give."""
PROMPT = (
    "What colour is the picture?\nA. red\nB. blue\nAnswer with the option's letter from the given choices directly."
)
OPTIONS = ("A", "B")
PICTURE_SIZE = (64, 64)
PICTURE_COLOUR = (200, 30, 30)

REFUSED = (400, 422)


@dataclass(frozen=True)
class Probe:
    """What was found out.

    Attributes
    ----------
    reading : Reading
        How the options are found among the tokens that the server shows.
    identity : mapping
        What the server says about the model and about itself, so far as it stays the same from run to run.
    """

    reading: Reading
    identity: Mapping[str, str]


class Version(BaseModel):
    """What vLLM's server says about itself."""

    version: str


def probe(model: ServedModel, chat: ServedChat, tokens: OptionTokens, *, exact: bool = True) -> Probe:
    """Ask a tiny question and find out how the server answers.

    Parameters
    ----------
    model : ServedModel
        The model.
    chat : ServedChat
        Its messages.
    tokens : OptionTokens
        The tokens of options.
    exact : bool
        Whether to ask for token ids, if the server knows them.

    Raises
    ------
    EngineError
        If nothing answers, or the server refuses the key, has no such model, takes no images or gives no
        log-probabilities.
    """
    logger.info(f"model {model.name!r} at {model.address} is asked a tiny question first")
    try:
        model.reach()
    except RequestFault as fault:
        raise EngineError(f"no server answers at {model.address} ({fault}): start it, or correct base_url") from None
    question = _TinyQuestion(model, chat, as_data_uri(Image.new("RGB", PICTURE_SIZE, PICTURE_COLOUR)))
    reading, completion = _top_reading(question)
    _check_that_it_sees(question, reading, completion)
    if exact:
        reading = _reading_by_ids(question, reading, tokens)
    return Probe(reading, _identity(model, completion))


@dataclass(frozen=True)
class _TinyQuestion:
    """The question of the probe to a model."""

    model: ServedModel
    chat: ServedChat
    picture: str

    def ask(self, reading: Reading, *, tokens: Sequence[int] = (), with_picture: bool = True) -> Completion:
        seen = self.chat.body(PROMPT, [self.picture] if with_picture else [])
        return self.model.complete({**seen, **reading.body(tokens)}, purpose="the probe")


def _top_reading(question: _TinyQuestion) -> tuple[Reading, Completion]:
    """Find how the length of an answer is called, and how many top log-probabilities there are."""
    limits = iter(TOP_LIMITS)
    reading = Reading(top=next(limits))
    while True:
        try:
            completion = question.ask(reading)
        except RequestFault as fault:
            refused = fault.status in REFUSED
            if refused and reading.length_argument == "max_tokens" and "max_completion_tokens" in fault.message:
                reading = replace(reading, length_argument="max_completion_tokens")
            elif refused and concerns_logprobs(fault) and (limit := next(limits, None)) is not None:
                reading = replace(reading, top=limit)
            else:
                raise engine_error(question.model, fault) from None
        else:
            if len(completion.shown) < len(OPTIONS):
                raise without_logprobs(question.model, f"it shows {len(completion.shown)} tokens")
            return reading, completion


def _check_that_it_sees(question: _TinyQuestion, reading: Reading, seen: Completion) -> None:
    """Refuse a server that leaves pictures out without a word, and so answers the same under every corruption."""
    try:
        blind = question.ask(reading, with_picture=False)
    except RequestFault:  # one that wants a picture sees it
        return
    if blind.shown == seen.shown:
        raise EngineError(
            f"model {question.model.name!r} at {question.model.address} answers the same with a picture and without: "
            "serve a model that takes images, and its image processor with it"
        )


def _reading_by_ids(question: _TinyQuestion, by_text: Reading, tokens: OptionTokens) -> Reading:
    """Return the most exact reading that the server knows: options asked for by id, top ids, texts."""
    try:
        found = [tokens.find(option) for option in OPTIONS]
    except RequestFault:
        return by_text
    ids = [token for option in found for token in option]
    if any(len(option) != 1 for option in found) or len(set(ids)) < len(ids):
        return by_text
    for reading in (replace(by_text, by_id=True, top=None), replace(by_text, by_id=True)):
        try:
            completion = question.ask(reading, tokens=ids)
        except RequestFault as fault:
            if fault.status in REFUSED:
                continue
            raise engine_error(question.model, fault) from None
        shown = {token for token, _ in shown_ids(completion)}
        if shown.issuperset(ids) if reading.top is None else len(shown) >= len(OPTIONS):
            return reading
    return by_text


def _identity(model: ServedModel, completion: Completion) -> dict[str, str]:
    """Collect what tells one model from another under the same name.

    Left out is what changes by itself: the time `created`, which is that of the question in vLLM's list of models, and
    `system_fingerprint` but for vLLM's, since hosted models answer with several in turns.
    """
    identity = {"model": completion.model or ""}
    if (completion.system_fingerprint or "").startswith("vllm-"):
        identity["system"] = completion.system_fingerprint or ""
    with contextlib.suppress(RequestFault):  # other servers than vLLM's have no such path
        identity["version"] = model.get("/version", Version, at_root=True).version
    entry = next((entry for entry in listed_models(model) if entry.get("id") == model.name), {})
    return identity | {name: str(entry[name]) for name in ("id", "root", "owned_by", "max_model_len") if name in entry}
