"""ScienceQA, only questions with an image: lmms-eval's `scienceqa_img`."""

from __future__ import annotations

from benchc_tasks.datasets.pools.mapping import (
    Benchmark,
    NotASampleError,
    Row,
    Sample,
    numbered_index,
    option_texts,
    sample_of,
    text_of,
)

__all__ = ["SCIENCEQA"]


def _to_sample(row: Row, number: int) -> Sample:
    """Map a row with two to five options, the answer's index, and sometimes a hint; its number is its id."""
    if row["image"] is None:
        raise NotASampleError("no image")
    hint, question = text_of(row.get("hint")), text_of(row["question"])
    return sample_of(
        "scienceqa",
        number,
        row["image"],
        f"Context: {hint}\n{question}" if hint and question else question,
        option_texts(row["choices"]),
        numbered_index(row["answer"]),
        SCIENCEQA.title,
        row.get("topic"),
    )


SCIENCEQA = Benchmark(
    name="scienceqa",
    title="ScienceQA test (images)",
    hub_id="lmms-lab-encoder/ScienceQA",
    configurations=("ScienceQA-IMG",),
    split="test",
    columns=("image", "question", "choices", "answer"),
    to_sample=_to_sample,
    reference="scienceqa_img",
)
