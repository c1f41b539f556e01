"""Small datasets, and what is logged, for tests of several rooms."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from loguru import logger
from PIL import Image


@contextmanager
def logged(level: str = "WARNING", written: str = "{message}") -> Iterator[list[str]]:
    """Collect what is logged inside the block, from a level on; `written` is loguru's format of a line."""
    lines: list[str] = []
    sink = logger.add(lambda line: lines.append(str(line).strip()), level=level, format=written)
    try:
        yield lines
    finally:
        logger.remove(sink)


def encoded(pixels: np.ndarray) -> bytes:
    """Return an array of uint8 pixels as a PNG file's bytes."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG")
    return buffer.getvalue()


def rows_of_samples(count: int, *, seed: int = 0) -> list[dict[str, Any]]:
    """Return rows of a dataset whose images are coloured noise, with 2 to 4 options each."""
    draw = np.random.default_rng(seed)
    options = ["red", "blue", "green", "grey"]
    return [
        {
            "id": f"sample-{number}",
            "image": encoded(draw.integers(0, 256, (48, 56, 3), dtype=np.uint8)),
            "question": f"What colour is shape {number}?",
            "options": options[: 2 + number % 3],
            "answer": number % 2,
            "source": "test",
            "category": "colour",
        }
        for number in range(count)
    ]
