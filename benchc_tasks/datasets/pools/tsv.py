"""Read a benchmark in the tab-separated form of VLMEvalKit: one row a question, its picture in base64 or in a file."""

from __future__ import annotations

import base64
import binascii
import csv
import os
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from benchc_metrics.benchmark import LETTERS
from benchc_metrics.messages import quoted, reason_of
from benchc_tasks.datasets.options import is_absent, number_of
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
from benchc_tasks.datasets.pools.mmbench import FIRST_COPY
from benchc_tasks.datasets.pools.reading import read_image
from benchc_tasks.datasets.schema import DatasetError

__all__ = ["DATA_VARIABLE", "tsv_benchmark", "tsv_images", "tsv_rows"]

DATA_VARIABLE = "LMUData"
"""Environment variable of VLMEvalKit's data folder; `~/LMUData` if it is unset."""

LONGEST_INDEX = 64
"""An `image` of at most this many characters is the index of another row with the same picture."""

_COLUMNS = ("index", "question", "A", "B")


def tsv_images(path: Path) -> Path:
    """Return the folder where VLMEvalKit keeps the picture files of a TSV file."""
    return Path(os.environ.get(DATA_VARIABLE) or "~/LMUData").expanduser() / "images" / path.stem


def tsv_rows(path: Path) -> Iterator[Row]:
    """Read the rows of a TSV file; every field is text, and only an empty field is absent.

    Parameters
    ----------
    path : Path
        The file. It is read twice, so that rows can name an earlier or later row's picture.

    Yields
    ------
    dict of str to str
        A row. If its `image` was another row's index, it is replaced by that row's picture.

    Raises
    ------
    DatasetError
        If it is not a TSV file with the columns `index`, `question`, `A`, `B`, and `image` or `image_path`.
    """
    shared = {row["image"].strip() for row in _raw_rows(path) if _is_index(row.get("image"))}
    pictures = {
        row["index"].strip(): row["image"]
        for row in (_raw_rows(path) if shared else ())
        if row["index"].strip() in shared and not _is_index(row.get("image"))
    }
    for row in _raw_rows(path):
        image = row.get("image")
        yield {**row, "image": pictures.get(image.strip(), "")} if image is not None and _is_index(image) else row


def tsv_benchmark(path: Path, images: Path) -> Benchmark:
    """Return the mapping of a TSV file's rows into samples.

    Parameters
    ----------
    path : Path
        The file; its stem is the benchmark's name in ids and sources.
    images : Path
        The folder that `image_path` is relative to.
    """
    return Benchmark(
        name=path.stem,
        title=path.stem,
        hub_id="",
        configurations=(),
        split="",
        columns=_COLUMNS,
        to_sample=partial(_to_sample, path.stem, images),
        reference="",
    )


def _to_sample(name: str, images: Path, row: Row, number: int) -> Sample:
    index = number_of(row["index"])
    group = number_of(row.get("g_index") or "")
    if (index is not None and index >= FIRST_COPY) or (group is not None and group != index):
        raise NotASampleError("a copy of a question with its options rotated")
    hint, question = text_of(row.get("hint")), text_of(row["question"])
    split = text_of(row.get("split"))
    return sample_of(
        name,
        row["index"],
        _picture(row, images),
        f"{hint} {question}" if hint and question else question,
        option_texts([row.get(letter) for letter in LETTERS]),
        lettered_index(row.get("answer")),
        f"{name}, split {split}" if split else name,
        row.get("category"),
    )


def _picture(row: Row, images: Path) -> bytes:
    written, path = row.get("image") or "", row.get("image_path") or ""
    if _is_list(written) or (not written.strip() and _is_list(path)):
        raise NotASampleError("several images")
    if written.strip():
        try:
            return base64.b64decode("".join(written.split()), validate=True)
        except (binascii.Error, ValueError):
            raise NotASampleError("the image cannot be decoded") from None
    if is_absent(path):
        raise NotASampleError("no image")
    try:
        return read_image(images, path)
    except DatasetError:
        raise NotASampleError("the image file cannot be read") from None


def _is_list(text: str) -> bool:
    return text.lstrip().startswith("[")


def _is_index(image: str | None) -> bool:
    return image is not None and 0 < len(image.strip()) <= LONGEST_INDEX and not _is_list(image)


def _raw_rows(path: Path) -> Iterator[dict[str, str]]:
    # Fields hold pictures, so use the largest limit that every platform accepts.
    csv.field_size_limit(min(sys.maxsize, 2**31 - 1))
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, delimiter="\t", restkey="", restval="", strict=True)
            missing = [name for name in _COLUMNS if name not in (reader.fieldnames or ())]
            if not {"image", "image_path"} & set(reader.fieldnames or ()):
                missing.append("image")
            if missing:
                raise DatasetError(
                    f"{path.name} has no column {', '.join(map(repr, missing))}; give a TSV file of VLMEvalKit"
                )
            for row in reader:
                if "" in row:
                    raise DatasetError(
                        f"{path.name} line {reader.line_num} has more fields than the first line; write the file again"
                    )
                yield row
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DatasetError(
            f"{quoted(path.name)} cannot be read as a TSV file ({reason_of(error)}); copy or write it again"
        ) from error
