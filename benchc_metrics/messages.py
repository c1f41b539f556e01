"""Write parts of one-sentence error messages: values and reasons, cut to a length that fits a terminal."""

from __future__ import annotations

import difflib
import re
import reprlib
import textwrap
from collections.abc import Iterable

__all__ = ["MOST_QUOTED", "close_to_it", "closest", "quoted", "reason_of", "shortened"]

MOST_QUOTED = 100
"""The most characters of a value in a message."""

_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = MOST_QUOTED
_SHORT.maxlong = 40


def quoted(value: object) -> str:
    """Quote a value for a message; the middle of a value longer than `MOST_QUOTED` characters is cut out.

    Examples
    --------
    >>> quoted("red")
    "'red'"
    >>> len(quoted("iVBORw0KGgo" * 10_000))
    100
    """
    try:
        text = _SHORT.repr(value)
    # A repr may raise any error; that of an integer with more than 4,300 digits does.
    except Exception:
        return f"a value of type {type(value).__name__}"
    return shortened(text)


def shortened(text: str, most: int = MOST_QUOTED) -> str:
    """Cut the middle out of a text that is longer than `most` characters."""
    if len(text) <= most:
        return text
    kept = most - 3
    return f"{text[: kept - kept // 3]}...{text[-(kept // 3) :]}"


def closest(word: object, known: Iterable[str], most: int = 3, likeness: float = 0.6) -> list[str]:
    """Return the known words that are closest to a mistyped word, the closest first.

    Parameters
    ----------
    word : object
    known : iterable of str
    most : int
        The largest number of words to return.
    likeness : float
        From 0 to 1, as `difflib.SequenceMatcher.ratio`.

    Examples
    --------
    >>> closest("sumary", ["summary", "submit", "report"])
    ['summary', 'submit']
    """
    words = {name.lower(): name for name in known}
    return [words[name] for name in difflib.get_close_matches(str(word).lower(), words, n=most, cutoff=likeness)]


def close_to_it(word: object, known: Iterable[str], otherwise: str = "", likeness: float = 0.6) -> str:
    """Return the end of a message: known words that are close to the given one, or else another cure.

    Examples
    --------
    >>> close_to_it("fogg", ["snow", "fog"])
    '; close to it: fog'
    >>> close_to_it("rain", ["snow", "fog"], "`benchc info` lists them")
    '; `benchc info` lists them'
    """
    found = closest(word, known, likeness=likeness)
    cure = f"close to it: {', '.join(found)}" if found else otherwise
    return f"; {cure}" if cure else ""


def reason_of(error: Exception) -> str:
    """Return the reason that a library or the operating system gives, as one clause for use in brackets.

    Examples
    --------
    >>> reason_of(ValueError("It is cut off. Perhaps it was not wholly written."))
    'It is cut off'
    """
    text = " ".join((getattr(error, "strerror", None) or str(error)).split()) or type(error).__name__
    first, *_ = re.split(r"\.\s+(?=[A-Z])", text, maxsplit=1)
    return textwrap.shorten(first, 300, placeholder=" ...").rstrip(".:")
