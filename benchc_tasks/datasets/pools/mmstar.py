"""MMStar: lmms-eval's `mmstar`."""

from __future__ import annotations

from benchc_tasks.datasets.pools.mapping import Benchmark, Row, Sample, lettered_index, sample_of, text_of
from benchc_tasks.datasets.pools.written_options import split_options

__all__ = ["MMSTAR"]

MARKS = (r"(?:,\s*|\s)LETTER:\s*", r"\s\(LETTER\)\s*", r"\sLETTER\.\s+")
"""Forms of an option in the question: `A: cat, B: dog`, `(A) cat` or `A. cat`, each after white space."""

HEADINGS = ("options:", "choices:")


def _to_sample(row: Row, number: int) -> Sample:
    """Map a row: the question's text contains the options, the answer is a letter."""
    question, options = split_options(f" {text_of(row['question']) or ''}", MARKS, in_lines=False)
    for heading in HEADINGS:
        if question.lower().endswith(heading):
            question = question[: -len(heading)].rstrip()
    return sample_of(
        "mmstar",
        row["index"],
        row["image"],
        question or None,
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
