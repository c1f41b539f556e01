"""RealWorldQA, only multiple-choice questions: lmms-eval's `realworldqa`."""

from __future__ import annotations

from benchc_tasks.datasets.options import letter_index
from benchc_tasks.datasets.pools.mapping import (
    Benchmark,
    NotASampleError,
    Row,
    Sample,
    lettered_index,
    sample_of,
    text_of,
)
from benchc_tasks.datasets.pools.written_options import split_options

__all__ = ["REALWORLDQA"]

INSTRUCTION = "Please answer directly with only the letter of the correct option and nothing else."

MARK = r"(?:^|\n)\s*LETTER\.\s+"


def _to_sample(row: Row, number: int) -> Sample:
    """Map a row: the question contains options and instruction, the answer is a letter; open questions are left out.

    The row's number is its id.
    """
    answer = text_of(row["answer"])
    if answer is None:
        raise NotASampleError("no answer")
    if letter_index(answer) is None:
        raise NotASampleError("an open question, without options")
    text = (text_of(row["question"]) or "").replace(INSTRUCTION, "")
    question, options = split_options(text, [MARK], in_lines=True)
    return sample_of(
        "realworldqa", number, row["image"], question or None, options, lettered_index(answer), REALWORLDQA.title
    )


REALWORLDQA = Benchmark(
    name="realworldqa",
    title="RealWorldQA test",
    hub_id="lmms-lab-encoder/RealWorldQA",
    configurations=(),
    split="test",
    columns=("image", "question", "answer"),
    to_sample=_to_sample,
    reference="realworldqa",
)
