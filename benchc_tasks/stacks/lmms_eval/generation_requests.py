"""Requests for a generated answer that every model of lmms-eval can serve.

lmms-eval's models take a request in one of two forms, and does not say which to a task with a class of its own:

- simple: `(context, settings, doc_to_visual, doc_id, task, split)`
- chat: `(context, doc_to_messages, settings, doc_id, task, split)`

So the second and the third argument are made for both: settings that can be called with a doc. A model that batches
calls the first request's function for all docs of the batch, whatever their tasks and conditions are. So the functions
know no condition: the doc does, because the doc id does by which a model looks it up.
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
"""Where a doc that was looked up with its condition has its `ConditionedPicture`."""

VOTE_KEY = "benchc_vote"
"""Where such a doc has the number of its sampled answer."""

RECENT_PICTURES = 8
"""Pictures that are kept for further votes on them."""


class ConditionedDocId(int):
    """The id of a doc - a sample's place in its dataset - that says under which condition the sample is asked.

    Attributes
    ----------
    dataset : str
        The dataset's fingerprint.
    condition : Condition
    vote : int or None
        The number of the sampled answer; None where one answer is asked for.
    """

    dataset: str
    condition: Condition
    vote: int | None

    def __new__(cls, doc_id: int, dataset: str, condition: Condition, vote: int | None = None) -> ConditionedDocId:
        """Keep the id with dataset, condition and vote."""
        made = super().__new__(cls, doc_id)
        made.dataset, made.condition, made.vote = dataset, condition, vote
        return made

    def __reduce__(self) -> tuple[type[ConditionedDocId], tuple[int, str, Condition, int | None]]:
        """Pickle and copy with dataset, condition and vote."""
        return ConditionedDocId, (int(self), self.dataset, self.condition, self.vote)


class ConditionedDocs(Sequence[dict[str, Any]]):
    """Samples as a model looks them up: by a `ConditionedDocId` with their condition, by a number without.

    Parameters
    ----------
    samples : SampleDataset
    """

    def __init__(self, samples: SampleDataset) -> None:
        self._samples = samples

    @property
    def features(self) -> dict[str, str]:
        """From a sample's keys to the names of their types."""
        return self._samples.features

    def __len__(self) -> int:
        """Count the samples."""
        return len(self._samples)

    @overload
    def __getitem__(self, index: SupportsIndex) -> dict[str, Any]: ...
    @overload
    def __getitem__(self, index: slice) -> SampleDataset: ...
    def __getitem__(self, index: SupportsIndex | slice) -> dict[str, Any] | SampleDataset:
        """Give a sample.

        Raises
        ------
        ValueError
            If the doc id is of another dataset, which happens where a model batches requests of several tasks.
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
    """Renders a picture once for all votes on it, as long as they come one after the other."""

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
        # A model may change what it is given.
        return [each.copy() for each in found]


_RECENT = _RecentPictures(RECENT_PICTURES)


class SettingsAndPictures(dict[str, Any]):
    """Settings of generation for a chat model, and the `doc_to_visual` of a simple one."""

    def __call__(self, doc: Mapping[str, Any]) -> list[Image.Image]:
        """Render the picture of a sample under the condition with which it was looked up.

        One that cannot be decoded is blank, because a model of lmms-eval would end the run of all samples over it;
        `GenerationTask` lets no answer to it count.

        Raises
        ------
        ValueError
            If it was looked up without one.
        """
        picture: ConditionedPicture | None = doc.get(PICTURE_KEY)
        if picture is None:
            raise ValueError(
                f"sample {quoted(doc['id'])} was looked up without its condition: the model changes "
                "lmms-eval's doc ids, and benchc-gen tasks cannot be run with it"
            )
        return picture_or_blank(picture, doc) if doc.get(VOTE_KEY) is None else _RECENT.of(picture, doc)


class SettingsAndMessages(dict[str, Any]):
    """Settings of generation for a simple model, and the `doc_to_messages` of a chat model.

    Parameters
    ----------
    settings : mapping
        As lmms-eval's `generation_kwargs`.
    prompt : Prompt
        The words around a question.
    expects_thinking : bool
        Whether the task has a budget for thinking.
    seed : int
        Of drawn answers, for a model that takes one.
    """

    def __init__(
        self, settings: Mapping[str, Any], prompt: Prompt, *, expects_thinking: bool = False, seed: int = 0
    ) -> None:
        super().__init__(settings)
        self.prompt, self.expects_thinking, self.seed = prompt, expects_thinking, seed

    def __call__(self, doc: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Make the message of a user: the picture, and the prompt behind it.

        Raises
        ------
        ValueError
            As in `SettingsAndPictures`.
        """
        pictures = [{"type": "image", "url": picture} for picture in SettingsAndPictures()(doc)]
        text = {"type": "text", "text": self.prompt.text(doc["question"], doc["options"])}
        return [{"role": "user", "content": [*pictures, text]}]
