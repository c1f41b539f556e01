"""What a model is asked to write, and what it wrote, whatever engine stands behind it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias, TypeVar

import numpy as np
from PIL import Image

from benchc_metrics.messages import quoted
from benchc_tasks.models.questions import ScoringError

__all__ = ["TextGenerator", "TextOutcome", "TextQuestion", "WritingSettings", "cut_at", "uniform_numbers"]

Prepared = TypeVar("Prepared")

KNOWN = ("do_sample", "max_new_tokens", "num_beams", "temperature", "top_p", "until")
DEFAULT_TOKENS = 1024


@dataclass(frozen=True)
class WritingSettings:
    """Settings of generation.

    Attributes
    ----------
    max_new_tokens : int
        The most tokens, those of thinking with them.
    temperature : float
        Divides the logits; 0 takes the most probable token each time.
    top_p : float
        Draw from the most probable tokens that have this probability together.
    stop : tuple of str
        Texts before which it ends.
    expects_thinking : bool
        Whether the task has a budget for thinking, so that a text that is cut off without a tag was thinking.
    seed : int
        Of the random numbers, together with the question's name.
    """

    max_new_tokens: int = DEFAULT_TOKENS
    temperature: float = 0.0
    top_p: float = 1.0
    stop: tuple[str, ...] = ()
    expects_thinking: bool = False
    seed: int = 0

    @classmethod
    def of_arguments(cls, settings: Mapping[str, Any], **more: Any) -> WritingSettings:
        """Read a task's `generation_kwargs`.

        Raises
        ------
        ValueError
            If one is unknown or has no sensible value; one sentence with the cure.
        """
        for name in settings:
            if name not in KNOWN:
                raise ValueError(
                    f"the model benchc knows no generation setting {quoted(name)}: leave it out, or use "
                    f"{', '.join(KNOWN)}"
                )
        if settings.get("num_beams") not in (None, 1):
            raise ValueError("the model benchc writes without beam search: leave num_beams out")
        until = settings.get("until") or ()
        temperature = float(settings.get("temperature") or 0.0)
        found = cls(
            max_new_tokens=int(settings.get("max_new_tokens") or DEFAULT_TOKENS),
            temperature=temperature if settings.get("do_sample", True) else 0.0,
            top_p=1.0 if settings.get("top_p") is None else float(settings["top_p"]),
            stop=(until,) if isinstance(until, str) else tuple(until),
            **more,
        )
        if found.max_new_tokens < 1 or not found.temperature >= 0 or not 0 < found.top_p <= 1:
            raise ValueError(
                f"generation settings {quoted(dict(settings))} have no sense: give max_new_tokens of 1 or more, a "
                "temperature of 0 or more and top_p above 0 and up to 1"
            )
        return found


@dataclass(frozen=True)
class TextQuestion:
    """One prompt with its images, and how many texts are wanted.

    Attributes
    ----------
    name : str
        What an error message calls it: the sample and the condition.
    context : str
        The prompt, without images and without the model's chat format.
    images : tuple of PIL.Image.Image
    settings : WritingSettings
    numbers : tuple of int
        The numbers of the texts that are wanted; text 3 of a question is the same text whatever others are wanted.
    """

    name: str
    context: str
    images: tuple[Image.Image, ...]
    settings: WritingSettings
    numbers: tuple[int, ...] = (0,)


TextOutcome: TypeAlias = "list[str] | ScoringError"
"""The texts of one question in the order of its numbers, or why there are none."""


class TextGenerator(Protocol[Prepared]):
    """An engine that writes texts.

    Attributes
    ----------
    batch_size : int
        How many questions the engine wants at once.
    draws_by_seed : bool
        Whether the same seed gives the same texts.
    """

    batch_size: int
    draws_by_seed: bool

    def prepare(self, questions: Sequence[TextQuestion]) -> Prepared:
        """Turn questions into the engine's input; runs in a background thread and raises nothing."""
        ...

    def generate(self, prepared: Prepared) -> list[TextOutcome]:
        """Write the texts of what `prepare` returned.

        Raises
        ------
        EngineError
            If the engine will answer no question more.
        """
        ...


def uniform_numbers(question: TextQuestion, number: int) -> Iterator[float]:
    """Draw numbers in [0, 1) for one text of a question; they depend on nothing else."""
    key = json.dumps([question.settings.seed, question.name, question.context, number])
    stream = np.random.Philox(
        key=int.from_bytes(hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()[:16], "big")
    )
    while True:
        yield float(stream.random_raw() >> 11) * 2.0**-53


def cut_at(text: str, stop: Sequence[str]) -> str:
    """End a text before the first of some texts."""
    places = [place for each in stop if each and (place := text.find(each)) >= 0]
    return text[: min(places)] if places else text
