"""AI2D: lmms-eval's `ai2d`."""

from __future__ import annotations

from benchc_tasks.datasets.pools.mapping import Benchmark, NotASampleError, Row, Sample, sample_of, text_of

__all__ = ["AI2D"]


def _to_sample(row: Row, number: int) -> Sample:
    """Map a row: a list of options, the answer's index written as text; it has no id but its number."""
    answer = text_of(row["answer"]) or ""
    if not answer.isascii() or not answer.isdigit():
        raise NotASampleError("the answer is not an option's index")
    return sample_of(
        "ai2d", number, row["image"], text_of(row["question"]) or "", row["options"], int(answer), AI2D.title
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
