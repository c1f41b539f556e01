"""From a benchmark's row to a sample, or to the reason why it is none."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchc_metrics.benchmark import LETTERS

__all__ = [
    "Benchmark",
    "NotASampleError",
    "Row",
    "Sample",
    "encoded_image",
    "lettered_index",
    "sample_of",
    "split_options",
    "text_of",
]

Row = Mapping[str, Any]
"""A row in the benchmark's columns; an image is `{"bytes", "path"}` or encoded bytes, never decoded."""

Sample = dict[str, Any]
"""`id`, `image` (encoded bytes), `question`, `options`, `answer`, `source`, `category`."""


class NotASampleError(ValueError):
    """Why a row is no sample, in a few words that are the same for all rows of that kind."""


@dataclass(frozen=True)
class Benchmark:
    """A source of pools.

    Attributes
    ----------
    name : str
        What `benchc pool` calls it.
    title : str
        For people, and the samples' `source`.
    hub_id : str
        The dataset that lmms-eval's task reads.
    configurations : tuple of str
        Of that dataset, one behind the other; empty where it has none.
    split : str
        The one that lmms-eval's task evaluates.
    columns : tuple of str
        Columns that the mapping cannot do without.
    to_sample : callable
        From a row and its number to a sample; raises NotASampleError where it is none.
    reference : str
        lmms-eval's task, whose YAML and utils say what the columns mean.
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
    question: str,
    options: Sequence[object],
    answer: int,
    source: str,
    category: object = None,
) -> Sample:
    """Put a sample together.

    Raises
    ------
    NotASampleError
        If it is not a question with one image, two to 26 different options and a right one among them.
    """
    texts = ["" if option is None else str(option).strip() for option in options]
    if len(texts) < 2:
        raise NotASampleError("fewer than two options")
    if len(texts) > len(LETTERS):
        raise NotASampleError("more than 26 options")
    if "" in texts:
        raise NotASampleError("an option is empty")
    if len(set(texts)) < len(texts):
        raise NotASampleError("an option is repeated")
    if not 0 <= answer < len(texts):
        raise NotASampleError("the answer is none of the options")
    if not question.strip():
        raise NotASampleError("the question is empty")
    return {
        "id": f"{benchmark}_{_identifier(identifier)}",
        "image": encoded_image(image),
        "question": question.strip(),
        "options": texts,
        "answer": answer,
        "source": source,
        "category": text_of(category),
    }


def text_of(value: object) -> str | None:
    """Return a value's text without the white space around it; None for null, nan, `nan` as text, and no text."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    text = str(value).strip()
    return None if text in {"", "nan"} else text


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
    raise NotASampleError("no image")


def lettered_index(answer: object) -> int:
    """Return the index that a letter stands for: `B`, `b`, `(B)` and `B.` are 1.

    Raises
    ------
    NotASampleError
        If it is not a letter.
    """
    letter = str(answer).strip().strip("().").strip().upper()
    if len(letter) != 1 or letter not in LETTERS:
        raise NotASampleError("the answer is not an option's letter")
    return LETTERS.index(letter)


def split_options(text: str, mark: str) -> tuple[str, list[str]]:
    r"""Split a text whose options are written out in it.

    Parameters
    ----------
    text : str
        The question, and behind it the options, each after its letter: A, B, C, ...
    mark : str
        Regular expression of what stands around a letter, with `LETTER` in the letter's place.

    Returns
    -------
    question : str
        What stands before the options.
    options : list of str
        Empty where the text has not at least A and B.

    Examples
    --------
    >>> split_options("How many?\nA. one\nB. two", r"\nLETTER\.\s+")
    ('How many?', ['one', 'two'])
    """
    # The last A from which a B follows: an earlier one may belong to the question's own words.
    for first in reversed(list(re.finditer(mark.replace("LETTER", "A"), text))):
        marks = [first]
        for letter in LETTERS[1:]:
            following = re.compile(mark.replace("LETTER", letter)).search(text, marks[-1].end())
            if following is None:
                break
            marks.append(following)
        if len(marks) > 1:
            ends = [found.start() for found in marks[1:]] + [len(text)]
            options = [text[found.end() : end].strip() for found, end in zip(marks, ends, strict=True)]
            return text[: first.start()].strip(), options
    return text.strip(), []


def _identifier(value: object) -> str:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value)
