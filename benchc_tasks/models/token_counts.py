"""The tokens of questions, counted by a checkpoint's processor without its model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from benchc_tasks.models.chat import ChatFormat
from benchc_tasks.models.loading import load_processor
from benchc_tasks.models.questions import Question

__all__ = ["mean_tokens"]


def mean_tokens(
    pretrained: str, arguments: Mapping[str, Any], questions: Sequence[Question], system_prompt: str | None = None
) -> float:
    """Count the tokens that a model reads for a question, those of its pictures with them.

    Parameters
    ----------
    pretrained : str
        Folder or hub id of the checkpoint.
    arguments : mapping
        As in `benchc_tasks.models.loading.load_processor`.
    questions : sequence of Question
    system_prompt : str, optional
        Text of a system message.

    Returns
    -------
    float
        The mean.

    Raises
    ------
    ValueError
        If the processor cannot be loaded or has no chat template.
    """
    processor = load_processor(pretrained, arguments)
    chat = ChatFormat(processor, processor.tokenizer, system_prompt=system_prompt)
    counts = []
    for question in questions:
        inputs = chat.model_input([chat.prompt(question.context, len(question.images))], [question.images])
        counts.append(int(inputs["attention_mask"].sum()))
    return sum(counts) / len(counts)
