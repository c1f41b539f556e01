"""Turn a benchmark's row into a sample, or into the counted reason for leaving it out.

All conversions of fields are here. They raise `NotASampleError` for any value that they cannot read, of any type, so
one bad row never ends the build.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from benchc_metrics.benchmark import LETTERS
from benchc_tasks.datasets.options import is_absent, letter_index, number_of

__all__ = [
    "Benchmark",
    "NotASampleError",
    "Row",
    "Sample",
    "encoded_image",
    "lettered_index",
    "numbered_index",
    "option_texts",
    "sample_of",
    "single_image",
    "text_of",
]

Row = Mapping[str, Any]
"""A row in the benchmark's columns; an image is `{"bytes", "path"}` or encoded bytes, never decoded."""

Sample = dict[str, Any]
"""`id`, `image` (encoded bytes), `question`, `options`, `answer`, `source`, `category`."""


class NotASampleError(ValueError):
    """Raised when a row is left out; the message is the reason's category, the same for all rows of that kind."""


@dataclass(frozen=True)
class Benchmark:
    """A source of pools.

    Attributes
    ----------
    name : str
        The name in `benchc pool`.
    title : str
        The name shown to users, and the samples' `source`.
    hub_id : str
        The dataset that lmms-eval's task reads.
    configurations : tuple of str
        The configurations of that dataset, in this order; empty if it has none.
    split : str
        The split that lmms-eval's task evaluates.
    columns : tuple of str
        Columns that the mapping needs.
    to_sample : callable
        From a row and its number to a sample; raises NotASampleError to leave the row out.
    reference : str
        lmms-eval's task, whose YAML and utils define the columns.
    """

    name: str
    title: str
    hub_id: str
    configurations: tuple[str, ...]
    split: str
    columns: tuple[str, ...]
    to_sample: Callable[[Row, int], Sample]
    reference: str


def sample_of(
    benchmark: str,
    identifier: object,
    image: object,
    question: str | None,
    options: list[str],
    answer: int,
    source: str,
    category: object = None,
) -> Sample:
    """Put a sample together.

    Raises
    ------
    NotASampleError
        If it is not a question with one image, two to 26 different options, and one of them right.
    """
    if len(options) < 2:
        raise NotASampleError("fewer than two options")
    if len(options) > len(LETTERS):
        raise NotASampleError("more than 26 options")
    if len(set(options)) < len(options):
        raise NotASampleError("an option is repeated")
    if not 0 <= answer < len(options):
        raise NotASampleError("the answer is not one of the options")
    if question is None:
        raise NotASampleError("the question is empty")
    return {
        "id": f"{benchmark}_{_identifier(identifier)}",
        "image": encoded_image(image),
        "question": question,
        "options": options,
        "answer": answer,
        "source": source,
        "category": text_of(category),
    }


def text_of(value: object) -> str | None:
    """Return a value's text without the white space around it; None if it is absent.

    Raises
    ------
    NotASampleError
        If it is neither text nor a number, or holds half a surrogate pair.
    """
    if is_absent(value):
        return None
    if not isinstance(value, (str, int, float)):
        raise NotASampleError("a text has the wrong type")
    text = str(value).strip()
    try:
        text.encode()
    except UnicodeEncodeError:
        raise NotASampleError("a text holds half a surrogate pair") from None
    return text


def option_texts(values: object) -> list[str]:
    """Return the texts of options; absent ones at the end are ignored.

    Parameters
    ----------
    values : list or tuple
        One text for each option, in the order of the letters.

    Raises
    ------
    NotASampleError
        If it is not a list, holds something other than text and numbers, or has an absent option before another.
    """
    if not isinstance(values, (list, tuple)):
        raise NotASampleError("the options are not a list")
    texts = [text_of(value) for value in values]
    while texts and texts[-1] is None:
        texts.pop()
    found = [text for text in texts if text is not None]
    if len(found) < len(texts):
        raise NotASampleError("an option is empty")
    return found


def encoded_image(image: object) -> bytes:
    """Return an image's encoded bytes.

    Raises
    ------
    NotASampleError
        If there is none.
    """
    found = image.get("bytes") if isinstance(image, Mapping) else image
    if isinstance(found, (bytes, bytearray, memoryview)) and len(found):
        return bytes(found)
    if isinstance(image, Mapping) and found is None and isinstance(image.get("path"), str):
        raise NotASampleError("the image file cannot be read")
    raise NotASampleError("no image")


def single_image(images: object) -> object:
    """Return the image of a column that holds one image, or a list of one.

    Raises
    ------
    NotASampleError
        If there are several.
    """
    if not isinstance(images, (list, tuple)):
        return images
    if len(images) > 1:
        raise NotASampleError("several images")
    return images[0] if images else None


def lettered_index(answer: object) -> int:
    """Return the index that a letter stands for: `B`, `b`, `(B)` and `B.` are 1.

    Raises
    ------
    NotASampleError
        If it is absent, or not a letter.
    """
    if is_absent(answer):
        raise NotASampleError("no answer")
    index = letter_index(answer) if isinstance(answer, str) else None
    if index is None:
        raise NotASampleError("the answer is not an option's letter")
    return index


def numbered_index(answer: object) -> int:
    """Return an answer's index, given as a whole number or its digits.

    Raises
    ------
    NotASampleError
        If it is absent, or not a whole number.
    """
    if is_absent(answer):
        raise NotASampleError("no answer")
    index = number_of(answer)
    if index is None:
        raise NotASampleError("the answer is not an option's index")
    return index


def _identifier(value: object) -> str:
    if is_absent(value):
        raise NotASampleError("the row has no id")
    number = number_of(value) if not isinstance(value, str) else None
    text = str(number) if number is not None else value
    if not isinstance(text, str) or not text.strip().isprintable():
        raise NotASampleError("the id is not printable text")
    return text.strip()
