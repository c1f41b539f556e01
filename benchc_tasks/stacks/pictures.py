"""The picture of a sample under a condition, as lmms-eval's backends ask for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from PIL import Image

from benchc_metrics.benchmark import Condition
from benchc_tasks.corruptions import condition_seed, corrupt
from benchc_tasks.datasets import decode_image

__all__ = ["ConditionedPicture"]


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
