"""Read your own questions: a JSONL file, and a folder of images."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchc_metrics.messages import quoted
from benchc_tasks.datasets.options import answer_index
from benchc_tasks.datasets.pools.building import PoolReport
from benchc_tasks.datasets.pools.mapping import Sample
from benchc_tasks.datasets.pools.reading import local_rows, read_image
from benchc_tasks.datasets.schema import DatasetError

__all__ = ["own_samples"]

COLUMNS = ("id", "image", "question", "options", "answer")


def own_samples(jsonl: Path, images: Path, report: PoolReport) -> Iterator[Sample]:
    """Read your own questions.

    A faulty row is refused, not left out, because you can correct it.

    Parameters
    ----------
    jsonl : Path
        One object a line: `id`, `image` (a path relative to `images`), `question`, `options`, `answer` (an index from
        0, a letter, or the right option's text), and optionally `source` and `category`.
    images : Path
        The folder that image paths are relative to.
    report : PoolReport
        Counts the rows.

    Raises
    ------
    DatasetError
        If a row is faulty; one sentence that names it.
    """
    if not jsonl.is_file():
        raise DatasetError(f"{quoted(str(jsonl))} is not a file; give the JSONL file of the questions")
    if not images.is_dir():
        raise DatasetError(f"{quoted(str(images))} is not a folder; give the folder of the images with --images")
    for number, row in enumerate(local_rows(jsonl, (), with_images=False), start=1):
        report.rows += 1
        missing = [column for column in COLUMNS if column not in row]
        if missing:
            raise DatasetError(
                f"{jsonl.name} has no column {', '.join(map(repr, missing))} in row {number}; "
                f"give each row {', '.join(COLUMNS)}"
            )
        name = f"{jsonl.name} row {number} (id {quoted(row['id'])})"
        yield {
            **{column: row.get(column) for column in ("id", "question", "options", "source", "category")},
            "image": _image(images, row["image"], name),
            "answer": _answer(row["answer"], row["options"], name),
        }


def _image(folder: Path, path: Any, name: str) -> bytes:
    if not isinstance(path, str):
        raise DatasetError(f"{name}: its `image` is {quoted(path)}, not a path; give the path of an image file")
    try:
        return read_image(folder, path)
    except DatasetError as error:
        raise DatasetError(f"{name}: {error}") from error


def _answer(answer: Any, options: Any, name: str) -> Any:
    """Return the index of the right option; the dataset's own check handles values that are not text."""
    if not isinstance(answer, str) or not isinstance(options, list) or not all(isinstance(o, str) for o in options):
        return answer
    try:
        return answer_index(answer, options)
    except ValueError as error:
        raise DatasetError(f"{name}: its `answer` {quoted(answer)} {error}") from error
