"""SEED-Bench, the questions about single images: lmms-eval's `seedbench`."""

from __future__ import annotations

from collections.abc import Mapping

from benchc_tasks.datasets.pools.mapping import (
    Benchmark,
    NotASampleError,
    Row,
    Sample,
    lettered_index,
    sample_of,
    text_of,
)

__all__ = ["SEEDBENCH"]

OPTIONS = ("choice_a", "choice_b", "choice_c", "choice_d")


def _to_sample(row: Row, number: int) -> Sample:
    """Map a row: a list of images, four options in columns of their own, a letter."""
    if row["data_type"] != "image":
        raise NotASampleError(f"about a {row['data_type']}, not an image")
    images = [row["image"]] if isinstance(row["image"], (Mapping, bytes)) else list(row["image"] or [])
    if len(images) > 1:
        raise NotASampleError("several images")
    return sample_of(
        "seedbench",
        row["question_id"],
        images[0] if images else None,
        text_of(row["question"]) or "",
        [row[option] for option in OPTIONS],
        lettered_index(row["answer"]),
        SEEDBENCH.title,
        f"question type {row['question_type_id']}" if text_of(row.get("question_type_id")) else None,
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
