"""MMMU, validation split, multiple-choice questions about one image: lmms-eval's `mmmu_val`."""

from __future__ import annotations

import ast
import re

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

__all__ = ["MMMU"]

IMAGE_MARK = re.compile(r"<image (\d+)>")


MOST_CHARACTERS = 20_000


def _to_sample(row: Row, number: int) -> Sample:
    """Map a row: the options are a list in Python's notation, the answer is a letter.

    Marks in the question's text show where its images belong. Here the image comes first, so a mark at the start or the
    end is removed, and a mark within a sentence becomes its words.
    """
    if text_of(row["question_type"]) != "multiple-choice":
        raise NotASampleError("an open question, without options")
    question = text_of(row["question"]) or ""
    options = option_texts(_listed(row["options"]))
    if any(IMAGE_MARK.search(option) for option in options):
        raise NotASampleError("an option is an image")
    images = sorted(set(IMAGE_MARK.findall(question)))
    if len(images) > 1:
        raise NotASampleError("several images")
    return sample_of(
        "mmmu",
        row["id"],
        row.get(f"image_{images[0]}") if images else None,
        _without_marks(question) or None,
        options,
        lettered_index(row["answer"]),
        MMMU.title,
        text_of(row.get("subfield")) or _subject(row["id"]),
    )


def _listed(written: object) -> object:
    if not isinstance(written, str):
        return written
    # A long or deeply nested text can exhaust the memory of Python's parser, or crash it.
    if len(written) > MOST_CHARACTERS:
        raise NotASampleError("the options are not a readable list")
    try:
        return ast.literal_eval(written.strip())
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError) as error:
        raise NotASampleError("the options are not a readable list") from error


def _without_marks(question: str) -> str:
    ends = re.sub(rf"^\s*{IMAGE_MARK.pattern}\s*|\s*{IMAGE_MARK.pattern}\s*$", "", question)
    lines = re.sub(rf"[ \t]*\n\s*{IMAGE_MARK.pattern}[ \t]*\n", "\n", ends)
    return IMAGE_MARK.sub(r"image \1", lines).strip()


def _subject(identifier: object) -> str | None:
    found = re.fullmatch(r"[^_]+_(.+)_\d+", identifier) if isinstance(identifier, str) else None
    return found[1].replace("_", " ") if found else None


MMMU = Benchmark(
    name="mmmu",
    title="MMMU validation",
    hub_id="lmms-lab-encoder/MMMU",
    configurations=(),
    split="validation",
    columns=("id", "question", "options", "answer", "question_type", "image_1"),
    to_sample=_to_sample,
    reference="mmmu_val",
)
