from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

Rows = list[dict[str, Any]]


def encode(image: Image.Image, kind: str = "PNG", **settings: Any) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **settings)
    return stream.getvalue()


def make_rows(count: int = 3) -> Rows:
    pixels = np.random.default_rng(7).integers(0, 256, (count, 6, 5, 3), dtype=np.uint8)
    return [
        {
            "id": f"s{number}",
            "image": encode(Image.fromarray(pixels[number])),
            "question": f"Which colour has shape {number}?",
            "options": ["red", "grün", f"{number}"],
            "answer": number % 3,
            "source": "made up" if number % 2 else None,
            "category": None,
        }
        for number in range(count)
    ]


def write_jsonl(folder: Path, rows: Rows, name: str = "data.jsonl") -> Path:
    """Rows as a JSONL file; images that are bytes go into files of their own."""
    (folder / "images").mkdir(parents=True, exist_ok=True)
    lines = []
    for number, row in enumerate(rows):
        row = dict(row)
        if isinstance(row.get("image"), bytes):
            path = f"images/{name}.{number}.png"
            (folder / path).write_bytes(row["image"])
            row["image"] = path
        lines.append(json.dumps(row))
    path = folder / name
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@pytest.fixture(name="encode")
def encode_fixture() -> Callable[..., bytes]:
    return encode


@pytest.fixture(name="make_rows")
def make_rows_fixture() -> Callable[..., Rows]:
    return make_rows


@pytest.fixture(name="write_jsonl")
def write_jsonl_fixture() -> Callable[..., Path]:
    return write_jsonl
