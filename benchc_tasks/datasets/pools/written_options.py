r"""Separate a question's text from the options written in it.

A text is used only if its options are certainly complete. For example, the option `right\nC ahead` contains another
option with a different mark.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from benchc_metrics.benchmark import LETTERS
from benchc_tasks.datasets.pools.mapping import NotASampleError, option_texts

__all__ = ["split_options"]

_OPENERS = r"[\s\-*\u2022\u00b7(\[{<\uff08\u3010]*"
_CLOSERS = r")\]}>:.\uff09\u3011\uff1a\uff0e\u3001"


@dataclass(frozen=True)
class _Split:
    question: str
    options: list[str]
    separators: list[str]


def split_options(text: str, marks: Sequence[str], *, in_lines: bool) -> tuple[str, list[str]]:
    r"""Separate a text from the options written in it.

    Parameters
    ----------
    text : str
        The question, followed by the options, each after its letter: A, B, C, ...
    marks : sequence of str
        The possible marks of a letter: regular expressions in which `LETTER` stands for the letter. Only one of them
        may match.
    in_lines : bool
        True if each option is on a separate line, so that a letter within a line is not a mark.

    Returns
    -------
    question : str
        The text before the options.
    options : list of str
        The texts of the options; absent ones at the end are ignored.

    Raises
    ------
    NotASampleError
        If A or B is missing, if the options occur twice, or if one contains the mark of another.

    Examples
    --------
    >>> split_options("How many?\nA. one\nB. two", [r"\nLETTER\.\s+"], in_lines=True)
    ('How many?', ['one', 'two'])
    """
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    fitting = [(split, mark) for mark in marks if (split := _split(text, mark)) is not None]
    if not fitting:
        raise NotASampleError("the question's text has no options")
    split, mark = fitting[0]
    if len(fitting) > 1 or _split(f" {split.question}", mark) is not None:
        raise NotASampleError("options occur twice in the question's text")
    for index, option in enumerate(split.options):
        if any(re.search(pattern, f" {option}") for pattern in _other_marks(split, index, mark, in_lines)):
            raise NotASampleError("an option contains the mark of another one")
        if "\n" in option:
            raise NotASampleError("an option has several lines")
    return split.question, option_texts(split.options)


def _split(text: str, mark: str) -> _Split | None:
    # The last A that is followed by a B, because an earlier A may be a word of the question.
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
            return _Split(text[: first.start()].strip(), options, [found[0] for found in marks[1:]])
    return None


def _other_marks(split: _Split, index: int, mark: str, in_lines: bool) -> list[str]:
    """List patterns for the mark of a later option in any form, beginning with the options' own form."""
    later = LETTERS[index + 1 :]
    if not later:
        return []
    upper, lower, either = f"[{later}]", f"[{later.lower()}]", f"[{later}{later.lower()}]"
    patterns = [
        mark.replace("LETTER", upper),
        # A single letter at the beginning of a line is a mark.
        rf"\n{_OPENERS}{upper}(?![\w'\u2019])",
        rf"\n{_OPENERS}{lower}[{_CLOSERS}]",
        rf"[\s,;][(\[\uff08\u3010]{either}[)\]\uff09\u3011]",
        rf"[\s,;]{either}[):\uff1a](?=\s|$)",
    ]
    if in_lines or index < len(split.options) - 1:
        return patterns
    patterns.append(rf"[,;]\s*[{later[:2]}](?=[\s.])")
    # Without commas between options, a bare letter may be the next mark.
    return patterns if any("," in mark for mark in split.separators) else [*patterns, rf"\s{later[0]}\s+\S"]
