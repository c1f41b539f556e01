"""The rows of a dataset: each sample under each condition, and the picture that a row shows."""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from benchc_metrics.benchmark import LETTERS, Condition
from benchc_metrics.files import replace_file
from benchc_tasks.datasets import SampleDataset
from benchc_tasks.stacks.common import AskedConditions
from benchc_tasks.stacks.inquiries import picture_state
from benchc_tasks.stacks.pictures import ConditionedPicture, picture_or_blank
from benchc_tasks.stacks.prompting import Prompt

__all__ = ["Row", "picture_bytes", "rows_of", "table_of", "write_picture"]

_KEY_DIGITS = 16
_MEASURED = 16
_UNWRITABLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f]")
"""Characters that a spreadsheet cannot hold."""


@dataclass(frozen=True)
class Row:
    """A sample under a condition.

    Attributes
    ----------
    samples : SampleDataset
    position : int
        Of the sample.
    condition : Condition
    prompt : str
        What the model is asked.
    answered_by : str
        Tells the model from others.
    vote : int
        Which of several answers under the condition it is for, from 0.
    """

    samples: SampleDataset
    position: int
    condition: Condition
    prompt: str
    answered_by: str
    vote: int = 0

    @cached_property
    def picture(self) -> ConditionedPicture:
        """Return the picture that the row shows."""
        return ConditionedPicture(self.samples.fingerprint, self.samples.ids[self.position], self.condition)

    @cached_property
    def index(self) -> str:
        """Name the row, with a digest of what the model sees and of the model, so that no other answer is reused."""
        seen = "\n".join((*picture_state(self.picture), self.prompt, self.answered_by))
        digest = hashlib.sha256(seen.encode("utf-8", "surrogatepass")).hexdigest()
        vote = f"-vote-{self.vote}" if self.vote else ""
        return f"{self.position:06d}-{self.condition}-{digest[:_KEY_DIGITS]}{vote}"


def rows_of(
    samples: SampleDataset,
    asked: AskedConditions,
    prompt: Prompt,
    answered_by: str,
    *,
    limit: int | None = None,
    votes: int = 1,
) -> list[Row]:
    """List the rows of a dataset, sample by sample, clean first, and vote by vote.

    Parameters
    ----------
    samples : SampleDataset
    asked : AskedConditions
    prompt : Prompt
    answered_by : str
        Tells the model from others.
    limit : int, optional
        Only so many samples.
    votes : int
        Rows for each condition.
    """
    rows = []
    for position, doc in enumerate(samples.without_images()):
        if limit is not None and position >= limit:
            break
        text = prompt.text(doc["question"], doc["options"])
        rows += [
            Row(samples, position, condition, text, answered_by, vote)
            for condition in asked.of_sample(doc["id"])
            for vote in range(votes)
        ]
    return rows


def table_of(rows: list[Row]) -> dict[str, list[Any]]:
    """Return the columns of VLMEvalKit's table; texts are there for people, the records take them from the dataset."""
    docs = [row.samples.without_images()[row.position] for row in rows]
    width = max(len(doc["options"]) for doc in docs)
    return {
        "index": [row.index for row in rows],
        "sample": [_shown(doc["id"]) for doc in docs],
        "condition": [str(row.condition) for row in rows],
        "question": [_shown(doc["question"]) for doc in docs],
        **{
            letter: [_shown(doc["options"][place]) if place < len(doc["options"]) else "" for doc in docs]
            for place, letter in enumerate(LETTERS[:width])
        },
        "answer": [LETTERS[doc["answer"]] for doc in docs],
        "category": [_shown(doc["category"] or "") for doc in docs],
    }


def write_picture(row: Row, folder: Path) -> Path:
    """Write the picture of a row for a model that reads files; one that is there whole is left.

    Returns
    -------
    Path
        A PNG file whose name has the condition and a digest of what the picture shows.
    """
    state = hashlib.sha256("\n".join(picture_state(row.picture)).encode()).hexdigest()
    path = folder / f"{row.position:06d}-{row.condition}-{state[:_KEY_DIGITS]}.png"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        replace_file(path, _png(row))
    return path


def picture_bytes(rows: Sequence[Row]) -> float:
    """Estimate the bytes of the picture files of some rows from a few of them, spread over all."""
    pictures = list({row.picture: row for row in rows}.values())
    some = pictures[:: max(1, len(pictures) // _MEASURED)]
    return sum(len(_png(row)) for row in some) / len(some) * len(pictures)


def _png(row: Row) -> bytes:
    (picture,) = picture_or_blank(row.picture, row.samples[row.position])
    encoded = io.BytesIO()
    picture.save(encoded, "PNG", compress_level=1)
    return encoded.getvalue()


def _shown(text: str) -> str:
    return _UNWRITABLE.sub(" ", text)
