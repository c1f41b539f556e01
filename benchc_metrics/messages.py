"""Parts of one-sentence error messages: values and reasons, cut to a length that a terminal bears."""

from __future__ import annotations

import re
import reprlib
import textwrap

__all__ = ["MOST_QUOTED", "quoted", "reason_of", "shortened"]

MOST_QUOTED = 100
"""Characters that a message shows of a value."""

_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = MOST_QUOTED
_SHORT.maxlong = 40


def quoted(value: object) -> str:
    """Quote a value for a message; at most `MOST_QUOTED` characters, the middle cut out of what is longer.

    Examples
    --------
    >>> quoted("red")
    "'red'"
    >>> len(quoted("iVBORw0KGgo" * 10_000))
    100
    """
    try:
        text = _SHORT.repr(value)
    # A repr may fail in any way; an integer of more than 4,300 digits has none.
    except Exception:
        return f"a value of type {type(value).__name__}"
    return shortened(text)


def shortened(text: str, most: int = MOST_QUOTED) -> str:
    """Cut the middle out of a text that is longer than `most` characters."""
    if len(text) <= most:
        return text
    kept = most - 3
    return f"{text[: kept - kept // 3]}...{text[-(kept // 3) :]}"


def reason_of(error: Exception) -> str:
    """Return the reason that a library or the operating system gives, as one clause to stand in brackets.

    Examples
    --------
    >>> reason_of(ValueError("It is cut off. Perhaps it was not wholly written."))
    'It is cut off'
    """
    text = " ".join((getattr(error, "strerror", None) or str(error)).split()) or type(error).__name__
    first, *_ = re.split(r"\.\s+(?=[A-Z])", text, maxsplit=1)
    return textwrap.shorten(first, 300, placeholder=" ...").rstrip(".:")
