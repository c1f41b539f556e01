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
    sample_of,
    text_of,
)

__all__ = ["MMMU"]

IMAGE_MARK = re.compile(r"<image (\d+)>")


def _to_sample(row: Row, number: int) -> Sample:
    """Map a row: the options are a list written as Python writes it, the answer is a letter.

    The question's text marks where its images belong. Here the image comes first: a mark at either end goes, one within
    a sentence becomes the words that it stands for.
    """
    if row["question_type"] != "multiple-choice":
        raise NotASampleError("an open question, without options")
    question = text_of(row["question"]) or ""
    options = _options(row["options"])
    if any(IMAGE_MARK.search(option) for option in options):
        raise NotASampleError("an option is an image")
    images = sorted(set(IMAGE_MARK.findall(question)))
    if len(images) > 1:
        raise NotASampleError("several images")
    return sample_of(
        "mmmu",
        row["id"],
        row.get(f"image_{images[0]}") if images else None,
        _without_marks(question),
        options,
        lettered_index(row["answer"]),
        MMMU.title,
        row.get("subfield") or _subject(str(row["id"])),
    )


def _options(written: object) -> list[str]:
    try:
        found = ast.literal_eval(written) if isinstance(written, str) else written
    except (ValueError, SyntaxError) as error:
        raise NotASampleError("the options cannot be read as a list") from error
    if not isinstance(found, (list, tuple)):
        raise NotASampleError("the options cannot be read as a list")
    return [str(option) for option in found]


def _without_marks(question: str) -> str:
    ends = re.sub(rf"^\s*{IMAGE_MARK.pattern}\s*|\s*{IMAGE_MARK.pattern}\s*$", "", question)
    lines = re.sub(rf"[ \t]*\n\s*{IMAGE_MARK.pattern}[ \t]*\n", "\n", ends)
    return IMAGE_MARK.sub(r"image \1", lines)


def _subject(identifier: str) -> str | None:
    found = re.fullmatch(r"[^_]+_(.+)_\d+", identifier)
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
