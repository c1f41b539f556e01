"""MMStar: lmms-eval's `mmstar`."""

from __future__ import annotations

from benchc_tasks.datasets.pools.mapping import (
    Benchmark,
    NotASampleError,
    Row,
    Sample,
    lettered_index,
    sample_of,
    split_options,
    text_of,
)

__all__ = ["MMSTAR"]

MARKS = (r"(?:,\s*|\s)LETTER:\s*", r"\s\(LETTER\)\s*", r"\sLETTER\.\s+")
"""How options are written in the question: `A: cat, B: dog`, `(A) cat` or `A. cat`, each behind white space."""

HEADINGS = ("options:", "choices:")


def _to_sample(row: Row, number: int) -> Sample:
    """Map a row: the options stand in the question's text, the answer is a letter."""
    text = f" {text_of(row['question']) or ''}"
    found = (split_options(text, mark) for mark in MARKS)
    question, options = next((parts for parts in found if parts[1]), (text, []))
    if not options:
        raise NotASampleError("no options are found in the question's text")
    for heading in HEADINGS:
        if question.lower().endswith(heading):
            question = question[: -len(heading)].rstrip()
    return sample_of(
        "mmstar",
        row["index"],
        row["image"],
        question,
        options,
        lettered_index(row["answer"]),
        MMSTAR.title,
        row.get("category"),
    )


MMSTAR = Benchmark(
    name="mmstar",
    title="MMStar val",
    hub_id="Lin-Chen/MMStar",
    configurations=(),
    split="val",
    columns=("index", "image", "question", "answer"),
    to_sample=_to_sample,
    reference="mmstar",
)
