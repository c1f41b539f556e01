"""MMBench, English, development split: lmms-eval's `mmbench_en_dev`."""

from __future__ import annotations

from benchc_tasks.datasets.options import number_of
from benchc_tasks.datasets.pools.mapping import (
    Benchmark,
    NotASampleError,
    Row,
    Sample,
    lettered_index,
    option_texts,
    sample_of,
    text_of,
)

__all__ = ["FIRST_COPY", "MMBENCH"]

FIRST_COPY = 1_000_000
"""The index of a copy with rotated options is the question's index plus a multiple of this."""

OPTIONS = "ABCDE"


def _to_sample(row: Row, number: int) -> Sample:
    """Map a row with a hint, a question, one column for each option, and a letter."""
    index = number_of(row["index"])
    if index is None:
        raise NotASampleError("the row has no index")
    if index >= FIRST_COPY:
        raise NotASampleError("a copy of a question with its options rotated")
    hint, question = text_of(row.get("hint")), text_of(row["question"])
    return sample_of(
        "mmbench",
        index,
        row["image"],
        f"{hint} {question}" if hint and question else question,
        option_texts([row.get(letter) for letter in OPTIONS]),
        lettered_index(row["answer"]),
        MMBENCH.title,
        row.get("category"),
    )


MMBENCH = Benchmark(
    name="mmbench",
    title="MMBench dev (en)",
    hub_id="lmms-lab-encoder/MMBench",
    configurations=("en",),
    split="dev",
    columns=("index", "image", "question", "A", "B", "answer"),
    to_sample=_to_sample,
    reference="mmbench_en_dev",
)
