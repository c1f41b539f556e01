"""Ask inspect_ai's model about a sample under a condition, and read its log-probabilities or its text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import anyio
import anyio.to_thread
from inspect_ai.model import (
    ChatMessage,
    ChatMessageSystem,
    ChatMessageUser,
    ContentImage,
    ContentText,
    GenerateConfig,
    Model,
    ModelOutput,
)
from pydantic import ValidationError

from benchc_metrics.benchmark import LETTERS
from benchc_metrics.messages import quoted, reason_of
from benchc_metrics.responses import OptionResponse
from benchc_tasks.datasets import DatasetError
from benchc_tasks.models.questions import Question, ScoringError
from benchc_tasks.models.served.reading import Completion, Reading, as_data_uri
from benchc_tasks.stacks.pictures import ConditionedPicture

__all__ = ["NO_LOG_PROBABILITIES", "ask_for_text", "score_options"]

NO_LOG_PROBABILITIES = (
    "the provider gave no log-probabilities: choose one that does, such as openai-api, or ask for letters with "
    "-T letters=true or for votes with -T votes=10"
)


async def score_options(
    model: Model, doc: Mapping[str, Any], picture: ConditionedPicture, text: str, system: str | None, top: int
) -> list[OptionResponse]:
    """Score the options of a sample under a condition by the log-probabilities of one generated token.

    Parameters
    ----------
    model : inspect_ai.model.Model
    doc : mapping
        The sample with its image.
    picture : ConditionedPicture
    text : str
        The prompt.
    system : str or None
        A system message.
    top : int
        How many of the most probable tokens are asked for.

    Raises
    ------
    ScoringError
        If the picture cannot be made, or the answer cannot be read.
    ValueError
        If the provider takes no pictures.
    """
    question = Question(f"sample {quoted(picture.sample)} under {picture.condition}", text, _letters(doc), ())
    config = GenerateConfig(max_tokens=1, temperature=0.0, logprobs=True, top_logprobs=top)
    output = await _generate(model, await _messages(doc, picture, text, system), config)
    completion = _completion_of(question.name, output)
    return Reading(top=top).scores(question, completion, ())


async def ask_for_text(
    model: Model,
    doc: Mapping[str, Any],
    picture: ConditionedPicture,
    text: str,
    system: str | None,
    config: GenerateConfig,
) -> str:
    """Let the model write its answer to a sample under a condition.

    Parameters
    ----------
    model, doc, picture, text, system
        As in `score_options`.
    config : inspect_ai.model.GenerateConfig
        How it writes.

    Raises
    ------
    ScoringError
        If the picture cannot be made, or there is no answer.
    ValueError
        If the provider takes no pictures.
    """
    output = await _generate(model, await _messages(doc, picture, text, system), config)
    if output.error or not output.choices:
        raise ScoringError(f"the provider gave no answer ({output.error or 'no choices'})")
    return str(output.completion)


async def _generate(model: Model, messages: list[ChatMessage], config: GenerateConfig) -> ModelOutput:
    try:
        return await model.generate(messages, config=config)
    # The provider hf/ takes texts alone, whatever the checkpoint could see.
    except NotImplementedError as fault:
        raise ValueError(
            f"the provider of {quoted(str(model))} takes no pictures ({reason_of(fault)}); serve the checkpoint and "
            "name --model openai-api/..., or score it in this process with `benchc run`"
        ) from fault


def _letters(doc: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(LETTERS[: len(doc["options"])])


async def _messages(
    doc: Mapping[str, Any], picture: ConditionedPicture, text: str, system: str | None
) -> list[ChatMessage]:
    """Write the messages of `ServedChat`: the picture first and the text behind it."""
    # Rendered beside the loop, which keeps the answers of other questions coming.
    uri = await anyio.to_thread.run_sync(_picture_uri, doc, picture)
    user = ChatMessageUser(content=[ContentImage(image=uri), ContentText(text=text)])
    return [ChatMessageSystem(content=system), user] if system else [user]


def _picture_uri(doc: Mapping[str, Any], picture: ConditionedPicture) -> str:
    try:
        (image,) = picture(doc)
        return as_data_uri(image)
    except DatasetError as fault:
        raise ScoringError(str(fault)) from fault


def _completion_of(name: str, output: ModelOutput) -> Completion:
    """Read an answer of inspect_ai as one of a server, of which it is a copy."""
    if output.error or not output.choices:
        raise ScoringError(f"{name}: the provider gave no answer ({output.error or 'no choices'})")
    choice = output.choices[0]
    if choice.logprobs is None or not choice.logprobs.content:
        raise ScoringError(f"{name}: {NO_LOG_PROBABILITIES}")
    written = {"choices": [{"logprobs": choice.logprobs.model_dump()}], "model": output.model}
    try:
        return Completion.model_validate(written)
    except ValidationError as fault:
        raise ScoringError(f"{name}: the provider's log-probabilities are none ({fault.errors()[0]['msg']})") from None
