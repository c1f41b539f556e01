"""The picture of a sample under a condition, as a stack's models ask for it."""

from __future__ import annotations

import functools
import hashlib
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from loguru import logger
from PIL import Image

from benchc_metrics.benchmark import Condition
from benchc_tasks.corruptions import CONTROLS, CORRUPTIONS, ENGINE_VERSION, Corruption, condition_seed, corrupt
from benchc_tasks.datasets import DatasetError, SampleDataset, decode_image, image_problem

__all__ = ["ConditionedPicture", "condition_state", "picture_or_blank", "why_undecodable"]

BLANK_SIZE = (64, 64)
"""Pixels of what stands for a picture that cannot be decoded."""


_DESCRIBED: dict[Condition, tuple[Corruption, str]] = {}


@dataclass(frozen=True)
class ConditionedPicture:
    """A `doc_to_visual` bound to one sample and one condition.

    Two requests with equal `ConditionedPicture` and equal context show a model the same thing, whatever task they
    come from; the `benchc` model relies on that to answer the clean condition once. Calling it is thread-safe.

    Attributes
    ----------
    dataset : str
        The dataset's fingerprint.
    sample : str
        The sample's id.
    condition : Condition
        What is done to the image.
    """

    dataset: str
    sample: str
    condition: Condition

    def __call__(self, doc: Mapping[str, Any]) -> list[Image.Image]:
        """Render the picture of `doc` under this condition.

        Parameters
        ----------
        doc : mapping
            The sample's row; its `image` is decoded as `benchc_tasks.datasets.decode_image` does.

        Returns
        -------
        list of PIL.Image.Image
            One upright RGB image.
        """
        image = decode_image(doc["image"], sample=self.sample)
        corruption, severity = self.condition
        if corruption is None:
            return [image]
        return [corrupt(image, corruption, severity, seed=condition_seed(self.sample, corruption, severity))]

    @property
    def depends_on_sample(self) -> bool:
        """Whether two samples of one picture show other pixels under this condition, which draws random numbers."""
        name = self.condition.corruption
        corruption = None if name is None else CORRUPTIONS.get(name) or CONTROLS.get(name)
        return name is not None and (corruption is None or corruption.is_random)


def picture_or_blank(picture: ConditionedPicture, doc: Mapping[str, Any]) -> list[Image.Image]:
    """Render a picture, or a blank one if the image cannot be decoded.

    A stack's own model would end the run of all samples over such an image; no answer to it counts, see
    `why_undecodable`.
    """
    try:
        return picture(doc)
    except DatasetError:
        return [Image.new("RGB", BLANK_SIZE)]


@functools.lru_cache(maxsize=1 << 20)
def why_undecodable(samples: SampleDataset, position: int) -> str | None:
    """Say why a sample's image cannot be decoded; tried and logged once for all tasks of a run."""
    problem = image_problem(samples[position])
    if problem:
        logger.warning(f"{problem}; its answers count as invalid")
    return problem


def condition_state(condition: Condition) -> str:
    """Describe what a condition does to a picture, so that answers to other pixels are never used for it.

    Parameters
    ----------
    condition : Condition
        Clean, or a registered corruption at a severity.

    Returns
    -------
    str
        The condition, the version of the corruptions and the parameters. A function that is not of this package has no
        version: its source, and the pixels that it makes of a small picture, are added.
    """
    name = condition.corruption or ""
    corruption = CORRUPTIONS.get(name) or CONTROLS.get(name)
    described, state = _DESCRIBED.get(condition, (None, ""))
    if corruption is not None and described is not corruption:
        parts: list[object] = [corruption.parameters]
        if not corruption.function.__module__.startswith("benchc_tasks."):
            parts += [_source(corruption.function), _source(corruption.draws), _probe(condition)]
        state = hashlib.sha256(repr(parts).encode()).hexdigest()
        _DESCRIBED[condition] = (corruption, state)
    return f"{condition} {ENGINE_VERSION} {state}"


def _source(function: Callable[..., Any] | None) -> str:
    try:
        return inspect.getsource(function) if function is not None else ""
    except (OSError, TypeError):
        return ""


def _probe(condition: Condition) -> str:
    """Hash what a condition makes of a small picture, or name the fault."""
    pixels = np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8)
    try:
        return hashlib.sha256(corrupt(pixels, str(condition.corruption), condition.severity).tobytes()).hexdigest()
    except Exception as fault:  # a corruption of a user's may raise anything, and does so again when it is asked for
        return repr(fault)
