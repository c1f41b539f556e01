"""The answer to a row as VLMEvalKit keeps it: a text, with the option's letter last."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from benchc_metrics.benchmark import LETTERS
from benchc_metrics.responses import NO_ANSWER
from benchc_tasks.stacks.choice_model import Answer

__all__ = ["FAILED", "read_answer", "read_text", "write_answer"]

FAILED = "Failed to obtain answer"
"""How VLMEvalKit's own text begins where a model gave no answer."""


def write_answer(options: Sequence[Answer]) -> str:
    """Write the responses for the options of a row.

    Parameters
    ----------
    options : sequence of Answer
        One for each option.

    Returns
    -------
    str
        The responses as JSON and the letter of the most probable option, which VLMEvalKit's own matching reads; or
        `NO_ANSWER` and the reason. `--reuse` keeps this text and nothing else of an answer.
    """
    for option in options:
        if isinstance(option, str):
            return option
    values = [option[0] for option in options if not isinstance(option, str)]
    letter = LETTERS[max(range(len(values)), key=values.__getitem__)]
    return f"{json.dumps([list(option) for option in options])} {letter}"


def read_answer(text: str, options: int) -> list[Any]:
    """Read the responses of a row.

    Parameters
    ----------
    text : str
        As `write_answer` writes it.
    options : int
        How many the sample has.

    Returns
    -------
    list
        A response for each option, as `benchc_metrics.records.assembly.assemble_record` takes them; for a text of
        another form the reason, in place of each.
    """
    if text.startswith(NO_ANSWER):
        return [text] * options
    try:
        found = json.loads(text.rpartition(" ")[0])
        if isinstance(found, list) and len(found) == options:
            return [tuple(option) for option in found]
    except (ValueError, TypeError):
        pass
    return [f"{NO_ANSWER}the prediction file holds no log-likelihoods for this row"] * options


def read_text(text: str) -> str | dict[str, str]:
    """Return the text of a model of VLMEvalKit; where it gave none, the reason."""
    return {"invalid": text} if text.startswith(FAILED) else text
