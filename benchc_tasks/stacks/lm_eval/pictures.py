"""The picture of a request, as lm-evaluation-harness's models and its cache look at it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from PIL import Image

from benchc_metrics.benchmark import Condition
from benchc_tasks.datasets import SampleDataset
from benchc_tasks.stacks.inquiries import picture_state
from benchc_tasks.stacks.pictures import ConditionedPicture, picture_or_blank

__all__ = ["ShownPicture"]


class ShownPicture(str):
    """A text that says what a picture shows, and renders the picture when it is iterated.

    lm-evaluation-harness makes the key of a kept answer, and a row of its samples log, of a request's arguments as
    JSON; a model takes the pictures out of `{"visual": ...}` by iterating it.

    Attributes
    ----------
    picture : ConditionedPicture
        Of what sample and condition.
    """

    picture: ConditionedPicture
    _samples: SampleDataset
    _position: int

    def __new__(cls, samples: SampleDataset, position: int, condition: Condition, more: str = "") -> ShownPicture:
        """Describe the picture of the sample at a position; `more` is put behind the description."""
        picture = ConditionedPicture(samples.fingerprint, samples.ids[position], condition)
        made = super().__new__(cls, " ".join(filter(None, [*picture_state(picture), more])))
        made.picture, made._samples, made._position = picture, samples, position
        return made

    def __iter__(self) -> Iterator[Image.Image]:  # type: ignore[override]  # pictures in place of letters
        """Render the picture, a blank one if the image cannot be decoded."""
        yield from picture_or_blank(self.picture, self.doc())

    def doc(self) -> dict[str, Any]:
        """Return the sample with its image."""
        return self._samples[self._position]
