"""Read options and answers as people write them; only this module defines an absent option."""

from __future__ import annotations

import numbers
import re
from collections.abc import Sequence

from benchc_metrics.benchmark import LETTERS

__all__ = [
    "ABSENT_TEXTS",
    "ANSWER_CURE",
    "answer_index",
    "is_absent",
    "label_index",
    "letter_index",
    "number_of",
    "unlettered",
]

ABSENT_TEXTS = ("", "nan")
"""Texts that mean an absent option, without the white space around them.

`nan` is what pandas writes for an empty cell. `None`, `NA`, `null` and `NaN` are texts that
benchmarks offer as options.
"""

ANSWER_CURE = "give the right option's index, an integer counted from 0 (A is 0, B is 1)"

_MOST_DIGITS = 18

_MARK = re.compile(
    r"\s*(?:(?P<open>[(\[])(?P<inner>[A-Za-z])(?P<close>[)\]])|(?P<bare>[A-Za-z])(?P<end>\)|[.:](?=\s)))\s*"
)


def is_absent(value: object) -> bool:
    """Check if a value of a row is absent: null, nan, or a text in `ABSENT_TEXTS`.

    Examples
    --------
    >>> [is_absent(value) for value in (None, float("nan"), " ", "nan", "None", "NaN", 0, False)]
    [True, True, True, True, False, False, False, False]
    """
    if isinstance(value, str):
        return value.strip() in ABSENT_TEXTS
    # nan of any float type is not equal to itself.
    return value is None or (isinstance(value, numbers.Real) and bool(value != value))


def unlettered(options: Sequence[str]) -> list[str] | None:
    """Remove letters that options already have, because the prompt adds them again.

    Parameters
    ----------
    options : sequence of str
        Texts such as `A. red`, `(B) blue` or `c: green`.

    Returns
    -------
    list of str or None
        The texts without letters; None unless every option begins with its own letter, all letters are marked in the
        same way, and the texts are different, not empty, and contain no such mark.

    Examples
    --------
    >>> unlettered(["A. red", "B. blue"])
    ['red', 'blue']
    >>> unlettered(["A. red", "C. blue"]) is None
    True
    """
    found = [mark for option in options if (mark := _MARK.match(option))]
    marks = {_form(mark) for mark in found}
    letters = "".join((mark["inner"] or mark["bare"]).upper() for mark in found)
    if len(found) < max(2, len(options)) or len(marks) > 1 or letters != LETTERS[: len(options)]:
        return None
    texts = [mark.string[mark.end() :].strip() for mark in found]
    holds_mark = any(
        _form(mark) in marks for text in texts for mark in re.finditer(rf"(?:^|(?<=\s)){_MARK.pattern}", text)
    )
    return None if "" in texts or len(set(texts)) < len(texts) or holds_mark else texts


def _form(mark: re.Match[str]) -> tuple[str | None, ...]:
    """Return the form of a mark without its letter, to compare marks."""
    letter = mark["inner"] or mark["bare"]
    return mark["open"], mark["close"], mark["end"], "a" if letter.islower() else "A"


def letter_index(text: str) -> int | None:
    """Return the index that a letter stands for: 1 for `B`, `b`, `(B)` and `B.`; None for any other text."""
    letter = text.strip().strip("().").strip()
    return (
        LETTERS.index(letter.upper()) if len(letter) == 1 and letter.upper() in LETTERS and letter.isascii() else None
    )


def number_of(value: object) -> int | None:
    """Return a whole number written as an integer, as a float, or in digits; None for anything else.

    Examples
    --------
    >>> [number_of(value) for value in (7, 7.0, " 7", 7.5, True, "seven", None)]
    [7, 7, 7, None, None, None, None]
    """
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value
    if isinstance(value, float):
        return int(value) if value.is_integer() else None
    digits = value.strip() if isinstance(value, str) else ""
    return int(digits) if digits.isascii() and digits.isdigit() and len(digits) <= _MOST_DIGITS else None


def answer_index(answer: str, options: Sequence[str]) -> int:
    """Return the index of the right option, given as its text, its letter or the digits of its index.

    If the answer is an option's text and also a letter, the text counts.

    Parameters
    ----------
    answer : str
        As a person wrote it.
    options : sequence of str

    Returns
    -------
    int
        Counted from 0; digits may give one that is out of range.

    Raises
    ------
    ValueError
        If the answer is none of these, or is one option's text and the index of another. The message is a clause.
    """
    text, letter, number = _as_text(answer, options), _as_letter(answer, options), _as_number(answer)
    if text is not None:
        if number is not None and number != text and number < len(options):
            raise ValueError(
                f"is the text of the option {LETTERS[text]} and the index of the option {LETTERS[number]}; "
                "give the right option's letter"
            )
        return text
    if letter is not None:
        return letter
    if number is not None:
        return number
    raise ValueError("is not one of its options; give an index from 0, a letter, or an option's text")


def label_index(name: str, options: Sequence[str], names: Sequence[str]) -> int:
    """Return the index of the right option, given as the name of a class.

    Parameters
    ----------
    name : str
        A letter of an option, or the text of one. Digits are read as an index if the names show that they count from 0.
    options : sequence of str
    names : sequence of str
        All names of the classes.

    Returns
    -------
    int
        Counted from 0; digits may give one that is out of range.

    Raises
    ------
    ValueError
        If the name is none of these, or could mean two options. The message is a clause.
    """
    number = _as_number(name)
    in_range = number is not None and number < len(options)
    counts_from_0 = "0" in names and all(_as_number(other) is not None for other in names)
    readings = {_as_text(name, options), _as_letter(name, options)} - {None}
    if counts_from_0 and number is not None and not readings:
        return number
    # Names such as 1, 2, 3 may count from 0 or from 1; they are certain only if an option's text agrees.
    if in_range and (counts_from_0 or readings):
        readings.add(number)
    if len(readings) > 1:
        letters = " or ".join(sorted(LETTERS[reading] for reading in readings if reading is not None))
        raise ValueError(f"could mean the option {letters}; {ANSWER_CURE}")
    for reading in readings:
        if reading is not None:
            return reading
    raise ValueError(f"is neither a letter nor the text of an option; {ANSWER_CURE}")


def _as_text(answer: str, options: Sequence[str]) -> int | None:
    given = answer.strip()
    for texts in (options, unlettered(options) or ()):
        for index, option in enumerate(texts):
            if option.strip() == given:
                return index
    return None


def _as_letter(answer: str, options: Sequence[str]) -> int | None:
    letter = letter_index(answer)
    return letter if letter is not None and letter < len(options) else None


def _as_number(answer: str) -> int | None:
    return number_of(answer.strip().strip("().").strip())
