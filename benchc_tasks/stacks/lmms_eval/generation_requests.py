"""Make requests for a generated answer that work for every model of lmms-eval.

lmms-eval's models take a request in one of two forms, and a task with its own class cannot know which:

- simple: `(context, settings, doc_to_visual, doc_id, task, split)`
- chat: `(context, doc_to_messages, settings, doc_id, task, split)`

So the second and the third argument fit both forms: they are settings that can also be called with a doc. A model that
batches calls the function of the first request for all docs of the batch, also for other tasks and conditions. So the
functions do not hold the condition. The doc does: a model finds it by the doc id, which carries the condition.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import Any, SupportsIndex, overload

from PIL import Image

from benchc_metrics.benchmark import Condition
from benchc_metrics.messages import quoted
from benchc_tasks.datasets import SampleDataset
from benchc_tasks.stacks.pictures import ConditionedPicture, picture_or_blank
from benchc_tasks.stacks.prompting import Prompt

__all__ = ["ConditionedDocId", "ConditionedDocs", "SettingsAndMessages", "SettingsAndPictures"]

PICTURE_KEY = "benchc_picture"
"""Key of the `ConditionedPicture` in a doc that was looked up with its condition."""

VOTE_KEY = "benchc_vote"
"""Key of the number of the sampled answer in such a doc."""

RECENT_PICTURES = 8
"""Number of pictures that are kept for further votes."""


class ConditionedDocId(int):
    """The id of a doc, which is a sample's place in its dataset, together with the condition to ask.

    Attributes
    ----------
    dataset : str
        The dataset's fingerprint.
    condition : Condition
    vote : int or None
        The number of the sampled answer; None if only one answer is asked.
    """

    dataset: str
    condition: Condition
    vote: int | None

    def __new__(cls, doc_id: int, dataset: str, condition: Condition, vote: int | None = None) -> ConditionedDocId:
        """Make the id with dataset, condition and vote."""
        made = super().__new__(cls, doc_id)
        made.dataset, made.condition, made.vote = dataset, condition, vote
        return made

    def __reduce__(self) -> tuple[type[ConditionedDocId], tuple[int, str, Condition, int | None]]:
        """Pickle and copy with dataset, condition and vote."""
        return ConditionedDocId, (int(self), self.dataset, self.condition, self.vote)


class ConditionedDocs(Sequence[dict[str, Any]]):
    """Samples that a model looks up: with their condition by a `ConditionedDocId`, without it by a number.

    Parameters
    ----------
    samples : SampleDataset
    """

    def __init__(self, samples: SampleDataset) -> None:
        self._samples = samples

    @property
    def features(self) -> dict[str, str]:
        """Map a sample's keys to the names of their types."""
        return self._samples.features

    def __len__(self) -> int:
        """Count the samples."""
        return len(self._samples)

    @overload
    def __getitem__(self, index: SupportsIndex) -> dict[str, Any]: ...
    @overload
    def __getitem__(self, index: slice) -> SampleDataset: ...
    def __getitem__(self, index: SupportsIndex | slice) -> dict[str, Any] | SampleDataset:
        """Return a sample.

        Raises
        ------
        ValueError
            If the doc id belongs to another dataset, which happens if a model batches requests of several tasks.
        """
        if not isinstance(index, ConditionedDocId):
            return self._samples[index]
        if index.dataset != self._samples.fingerprint:
            raise ValueError(
                "the model put requests over two datasets into one batch: run their tasks one after the other, or with "
                "--batch_size 1"
            )
        sample = self._samples[index]
        picture = ConditionedPicture(index.dataset, sample["id"], index.condition)
        return {**sample, PICTURE_KEY: picture, VOTE_KEY: index.vote}


class _RecentPictures:
    """Render a picture once for all votes on it, if they come one after the other."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._kept: dict[ConditionedPicture, list[Image.Image]] = {}
        self._lock = threading.Lock()

    def of(self, picture: ConditionedPicture, doc: Mapping[str, Any]) -> list[Image.Image]:
        with self._lock:
            found = self._kept.get(picture)
        if found is None:
            found = picture_or_blank(picture, doc)
            with self._lock:
                self._kept[picture] = found
                while len(self._kept) > self._most:
                    del self._kept[next(iter(self._kept))]
        # A copy, because a model may change it.
        return [each.copy() for each in found]


_RECENT = _RecentPictures(RECENT_PICTURES)


class SettingsAndPictures(dict[str, Any]):
    """Generation settings for a chat model, and `doc_to_visual` for a simple model."""

    def __call__(self, doc: Mapping[str, Any]) -> list[Image.Image]:
        """Render the picture of a sample under the condition with which it was looked up.

        A picture that cannot be decoded becomes blank, because otherwise lmms-eval's models would end the whole run.
        `GenerationTask` does not count answers to it.

        Raises
        ------
        ValueError
            If it was looked up without a condition.
        """
        picture: ConditionedPicture | None = doc.get(PICTURE_KEY)
        if picture is None:
            raise ValueError(
                f"sample {quoted(doc['id'])} was looked up without its condition: the model changes "
                "lmms-eval's doc ids, and benchc-gen tasks cannot be run with it"
            )
        return picture_or_blank(picture, doc) if doc.get(VOTE_KEY) is None else _RECENT.of(picture, doc)


class SettingsAndMessages(dict[str, Any]):
    """Generation settings for a simple model, and `doc_to_messages` for a chat model.

    Parameters
    ----------
    settings : mapping
        As lmms-eval's `generation_kwargs`.
    prompt : Prompt
        The words around a question.
    expects_thinking : bool
        True if the task has a budget for thinking.
    seed : int
        The seed of sampled answers, for a model that takes one.
    """

    def __init__(
        self, settings: Mapping[str, Any], prompt: Prompt, *, expects_thinking: bool = False, seed: int = 0
    ) -> None:
        super().__init__(settings)
        self.prompt, self.expects_thinking, self.seed = prompt, expects_thinking, seed

    def __call__(self, doc: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Make the user's message: the picture, then the prompt.

        Raises
        ------
        ValueError
            As in `SettingsAndPictures`.
        """
        pictures = [{"type": "image", "url": picture} for picture in SettingsAndPictures()(doc)]
        text = {"type": "text", "text": self.prompt.text(doc["question"], doc["options"])}
        return [{"role": "user", "content": [*pictures, text]}]
