"""The candidate samples as the selection sees them: ids, texts, numbers of options and right options, no images."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from benchc_tasks.datasets import SampleDataset

__all__ = ["Pool"]


@dataclass(frozen=True)
class Pool:
    """n candidate samples, in the dataset's order.

    Attributes
    ----------
    ids : pyarrow.Array of n str
        Distinct.
    texts : tuple of n str
        Question and options, which is what a text encoder reads.
    option_counts : ndarray of int64, shape (n,)
        2..26.
    answers : ndarray of int64, shape (n,)
        Index of the right option.
    categories : tuple of n (str or None)
        What kind of question each is, where the dataset says so.
    right_texts : tuple of n str
        Text of the right option.
    fingerprint : str
        The dataset's.
    """

    ids: pa.Array
    texts: tuple[str, ...]
    option_counts: NDArray[np.int64]
    answers: NDArray[np.int64]
    categories: tuple[str | None, ...]
    right_texts: tuple[str, ...]
    fingerprint: str

    def __len__(self) -> int:
        """Count the samples, n."""
        return len(self.texts)

    @cached_property
    def width(self) -> int:
        """The largest number of options."""
        return int(self.option_counts.max())

    def id_of(self, position: int) -> str:
        """Return the id of a sample."""
        return str(self.ids[position].as_py())

    def names(self, positions: Iterable[int], at_most: int = 5) -> str:
        """List ids for a sentence: the first few, and how many more there are."""
        positions = list(positions)
        shown = ", ".join(repr(self.id_of(position)) for position in positions[:at_most])
        more = len(positions) - at_most
        return f"{shown} and {more} more" if more > 0 else shown

    @cached_property
    def category_codes(self) -> NDArray[np.int64]:
        """Number the categories in the order of their names; -1 for a sample without one, shape (n,)."""
        codes = {name: code for code, name in enumerate(self.category_names)}
        return np.array([-1 if name is None else codes[name] for name in self.categories], dtype=np.int64)

    @cached_property
    def category_names(self) -> tuple[str, ...]:
        """The categories in the order of their names."""
        return tuple(sorted({name for name in self.categories if name is not None}))

    @cached_property
    def right_text_codes(self) -> NDArray[np.int64]:
        """Number the texts of right options, whatever their case and white space, shape (n,)."""
        _, codes = np.unique([" ".join(text.split()).casefold() for text in self.right_texts], return_inverse=True)
        return np.asarray(codes, dtype=np.int64)

    @classmethod
    def from_dataset(cls, dataset: SampleDataset) -> Pool:
        """Read the pool from a loaded dataset; its images are read once, for the fingerprint."""
        return cls.from_rows(dataset.without_images(), dataset.fingerprint)

    @classmethod
    def from_rows(cls, rows: Iterable[Mapping[str, Any]], fingerprint: str) -> Pool:
        """Build a pool from samples: mappings with `id`, `question`, `options`, `answer` and perhaps `category`.

        Raises
        ------
        ValueError
            If there is no sample.
        """
        ids, texts, counts, answers, categories, right = [], [], [], [], [], []
        for row in rows:
            ids.append(row["id"])
            texts.append(text_of(row["question"], row["options"]))
            counts.append(len(row["options"]))
            answers.append(row["answer"])
            categories.append(row.get("category"))
            right.append(row["options"][row["answer"]])
        if not ids:
            raise ValueError("the pool has no samples: give one with at least one row")
        return cls(
            ids=pa.array(ids, pa.string()),
            texts=tuple(texts),
            option_counts=np.array(counts, dtype=np.int64),
            answers=np.array(answers, dtype=np.int64),
            categories=tuple(categories),
            right_texts=tuple(right),
            fingerprint=fingerprint,
        )


def text_of(question: str, options: Sequence[str]) -> str:
    """Write what an encoder reads of a sample."""
    return "\n".join([question, *options])
