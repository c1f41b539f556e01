"""SEED-Bench, only questions about single images: lmms-eval's `seedbench`."""

from __future__ import annotations

from benchc_tasks.datasets.pools.mapping import (
    Benchmark,
    NotASampleError,
    Row,
    Sample,
    lettered_index,
    option_texts,
    sample_of,
    single_image,
    text_of,
)

__all__ = ["SEEDBENCH"]

OPTIONS = ("choice_a", "choice_b", "choice_c", "choice_d")


def _to_sample(row: Row, number: int) -> Sample:
    """Map a row with a list of images, four option columns, and a letter."""
    if text_of(row["data_type"]) != "image":
        raise NotASampleError("about a video, not an image" if row["data_type"] == "video" else "not about an image")
    kind = text_of(row.get("question_type_id"))
    return sample_of(
        "seedbench",
        row["question_id"],
        single_image(row["image"]),
        text_of(row["question"]),
        option_texts([row[option] for option in OPTIONS]),
        lettered_index(row["answer"]),
        SEEDBENCH.title,
        f"question type {kind}" if kind else None,
    )


SEEDBENCH = Benchmark(
    name="seedbench",
    title="SEED-Bench (images)",
    hub_id="lmms-lab-encoder/SEED-Bench",
    configurations=(),
    split="test",
    columns=("question_id", "image", "question", *OPTIONS, "answer", "data_type"),
    to_sample=_to_sample,
    reference="seedbench",
)
