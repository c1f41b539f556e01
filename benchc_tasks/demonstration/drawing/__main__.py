"""Generate the demonstration set: `python -m benchc_tasks.demonstration.drawing -o FOLDER`."""

from __future__ import annotations

import argparse
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from benchc_tasks.demonstration.drawing.questions import CATEGORIES, Question, ask, draw_scene_for
from benchc_tasks.demonstration.drawing.scenes import Scene, Split, render

__all__ = ["SAMPLES", "Sample", "draw_sample", "main", "write"]

SAMPLES = 144
"""24 of each question type."""
_SEED = 2511
_OPTIONS = 4
_SOURCE = "benchc-demonstration"

_SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("image", pa.struct([("bytes", pa.binary()), ("path", pa.string())])),
        ("question", pa.string()),
        ("options", pa.list_(pa.string())),
        ("answer", pa.int64()),
        ("source", pa.string()),
        ("category", pa.string()),
    ]
)


@dataclass(frozen=True)
class Sample:
    """One sample of the set: a scene, its question and its picture as PNG."""

    identifier: str
    scene: Scene
    question: Question
    png: bytes

    def row(self) -> dict[str, object]:
        """Return the sample as a row of the dataset."""
        return {
            "id": self.identifier,
            "image": {"bytes": self.png, "path": f"{self.identifier}.png"},
            "question": self.question.text,
            "options": list(self.question.options),
            "answer": self.question.answer,
            "source": _SOURCE,
            "category": self.question.category,
        }


def draw_sample(index: int) -> Sample:
    """Draw a sample of the evaluation split; each index has its own random stream.

    Question types alternate, and so do the letters of the right answer within a type.

    Parameters
    ----------
    index
        Number of the sample, from 0.

    Returns
    -------
    Sample
        The sample, which depends only on the index.
    """
    rng = np.random.default_rng([Split.EVALUATION.value, _SEED, index])
    category = CATEGORIES[index % len(CATEGORIES)]
    scene = draw_scene_for(category, Split.EVALUATION, rng)
    question = ask(scene, category, rng, _OPTIONS, answer=index // len(CATEGORIES) % _OPTIONS)
    buffer = io.BytesIO()
    Image.fromarray(render(scene, rng)).save(buffer, format="PNG", optimize=True)
    return Sample(f"demonstration-{index:03d}", scene, question, buffer.getvalue())


def write(folder: Path) -> Path:
    """Generate the set and write it as `data.parquet`.

    Parameters
    ----------
    folder
        The folder to write to; it is created if it does not exist.

    Returns
    -------
    Path
        The file written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rows = [draw_sample(index).row() for index in range(SAMPLES)]
    path = folder / "data.parquet"
    pq.write_table(pa.Table.from_pylist(rows, schema=_SCHEMA), path)
    return path


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the command line and generate."""
    parser = argparse.ArgumentParser(prog="python -m benchc_tasks.demonstration.drawing", description=__doc__)
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder that data.parquet is written to")
    print(write(parser.parse_args(arguments).output))


if __name__ == "__main__":
    main()
