"""AI2D: lmms-eval's `ai2d`."""

from __future__ import annotations

from benchc_tasks.datasets.pools.mapping import (
    Benchmark,
    Row,
    Sample,
    numbered_index,
    option_texts,
    sample_of,
    text_of,
)

__all__ = ["AI2D"]


def _to_sample(row: Row, number: int) -> Sample:
    """Map a row with a list of options and the answer's index as text; the row's number is its id."""
    options = option_texts(row["options"])
    return sample_of(
        "ai2d", number, row["image"], text_of(row["question"]), options, numbered_index(row["answer"]), AI2D.title
    )


AI2D = Benchmark(
    name="ai2d",
    title="AI2D test",
    hub_id="lmms-lab-encoder/ai2d",
    configurations=(),
    split="test",
    columns=("image", "question", "options", "answer"),
    to_sample=_to_sample,
    reference="ai2d",
)
