"""Anybody's own questions: a JSONL file, and a folder of images."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchc_metrics.benchmark import LETTERS
from benchc_tasks.datasets.pools.building import PoolReport
from benchc_tasks.datasets.pools.mapping import Sample
from benchc_tasks.datasets.pools.reading import local_rows, read_image
from benchc_tasks.datasets.schema import DatasetError

__all__ = ["own_samples"]

COLUMNS = ("id", "image", "question", "options", "answer")


def own_samples(jsonl: Path, images: Path, report: PoolReport) -> Iterator[Sample]:
    """Read one's own questions.

    Nothing is left out: these rows can be mended, and are not to get lost.

    Parameters
    ----------
    jsonl : Path
        One object a line: `id`, `image` (a path relative to `images`), `question`, `options`, `answer` (an index from
        0, a letter, or the right option's text), and perhaps `source` and `category`.
    images : Path
        The folder that the images' paths start from.
    report : PoolReport
        Counts the rows.

    Raises
    ------
    DatasetError
        If something is wrong with a row; one sentence that names it.
    """
    if not jsonl.is_file():
        raise DatasetError(f"{str(jsonl)!r} is no file; give the JSONL file of the questions")
    if not images.is_dir():
        raise DatasetError(f"{str(images)!r} is no folder; give the folder of the images with --images")
    for number, row in enumerate(local_rows(jsonl, COLUMNS, with_images=False), start=1):
        report.rows += 1
        name = f"{jsonl.name} row {number} (id {row['id']!r})"
        if not isinstance(row["image"], str):
            raise DatasetError(f"{name}: its `image` is {row['image']!r}, not a path; give the path of an image file")
        try:
            encoded = read_image(images, row["image"])
        except DatasetError as error:
            raise DatasetError(f"{name}: {error}") from error
        yield {
            **{column: row.get(column) for column in ("id", "question", "options", "source", "category")},
            "image": encoded,
            "answer": answer_index(row["answer"], row["options"], name),
        }


def answer_index(answer: Any, options: Any, name: str) -> Any:
    """Return the index of the right option, given as index, letter or text.

    A text that is an option wins over the letter that it might be. What is neither of these stays as it is, for the
    dataset's own check.

    Raises
    ------
    DatasetError
        If it is a text that is neither an option nor a letter of one.
    """
    if not isinstance(answer, str) or not isinstance(options, list):
        return answer
    if answer in options:
        return options.index(answer)
    letter = answer.strip().strip("().").upper()
    if len(letter) == 1 and letter in LETTERS[: len(options)]:
        return LETTERS.index(letter)
    if letter.isascii() and letter.isdigit():
        return int(letter)
    raise DatasetError(
        f"{name}: its `answer` {answer[:40]!r} is none of its options; "
        "give an index from 0, a letter, or an option's text"
    )
