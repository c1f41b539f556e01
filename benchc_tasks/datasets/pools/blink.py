"""BLINK, validation split, the tasks about one image: lmms-eval's `blink_*`."""

from __future__ import annotations

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

__all__ = ["BLINK"]

IMAGES = ("image_1", "image_2", "image_3", "image_4")

CHOICES = re.compile(r"\s*Select from the following (?:choices|options)\.?\s*(?:\([A-Z]\).*)?\Z", re.DOTALL)
"""Matches the text after the question in `prompt`; our own prompt lists the options."""


def _to_sample(row: Row, number: int) -> Sample:
    """Map a row with up to four image columns, a list of options, and an answer letter in brackets.

    lmms-eval asks `prompt`, which says more than `question`, such as what the marks in the image are.
    """
    if sum(row.get(name) is not None for name in IMAGES) > 1:
        raise NotASampleError("several images")
    question = CHOICES.sub("", text_of(row["prompt"]) or "") or text_of(row.get("question"))
    return sample_of(
        "blink",
        row["idx"],
        row["image_1"],
        question,
        option_texts(row["choices"]),
        lettered_index(row["answer"]),
        BLINK.title,
        (text_of(row.get("sub_task")) or "").replace("_", " "),
    )


BLINK = Benchmark(
    name="blink",
    title="BLINK val",
    hub_id="BLINK-Benchmark/BLINK",
    configurations=(
        "Counting",
        "IQ_Test",
        "Object_Localization",
        "Relative_Depth",
        "Relative_Reflectance",
        "Spatial_Relation",
    ),
    split="val",
    columns=("idx", "image_1", "prompt", "choices", "answer"),
    to_sample=_to_sample,
    reference="blink",
)
