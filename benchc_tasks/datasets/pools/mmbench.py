"""MMBench, English, development split: lmms-eval's `mmbench_en_dev`."""

from __future__ import annotations

from benchc_tasks.datasets.pools.mapping import (
    Benchmark,
    NotASampleError,
    Row,
    Sample,
    lettered_index,
    sample_of,
    text_of,
)

__all__ = ["MMBENCH"]

FIRST_COPY = 1_000_000
"""Copies of a question with its options rotated have the question's index and a multiple of this."""

OPTIONS = "ABCDE"


def _to_sample(row: Row, number: int) -> Sample:
    """Map a row: question behind its hint, options in columns of their own (`nan` where there are fewer), a letter."""
    if int(row["index"]) >= FIRST_COPY:
        raise NotASampleError("a copy of a question with its options rotated")
    given = {letter: text for letter in OPTIONS if (text := text_of(row.get(letter))) is not None}
    answer = OPTIONS[lettered_index(row["answer"])] if lettered_index(row["answer"]) < len(OPTIONS) else ""
    if answer not in given:
        raise NotASampleError("the answer is none of the options")
    hint, question = text_of(row.get("hint")), text_of(row["question"]) or ""
    return sample_of(
        "mmbench",
        row["index"],
        row["image"],
        f"{hint} {question}" if hint else question,
        list(given.values()),
        list(given).index(answer),
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
