r"""Split a question's text from the options that are written out in it.

A text is taken only if it is certain that its options are complete: an option such as `right\nC ahead` holds another
one whose mark is written in another way.
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
    r"""Split a text whose options are written out in it.

    Parameters
    ----------
    text : str
        The question, and behind it the options, each after its letter: A, B, C, ...
    marks : sequence of str
        The ways in which a letter may be marked: regular expressions of what stands around it, with `LETTER` in its
        place. Only one of them may fit.
    in_lines : bool
        True where each option stands on a line of its own, so that a letter within a line marks nothing.

    Returns
    -------
    question : str
        The text before the options.
    options : list of str
        Absent ones at the end do not count.

    Raises
    ------
    NotASampleError
        If there are not at least A and B, the options stand there twice, or one holds the mark of another.

    Examples
    --------
    >>> split_options("How many?\nA. one\nB. two", [r"\nLETTER\.\s+"], in_lines=True)
    ('How many?', ['one', 'two'])
    """
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    fitting = [(split, mark) for mark in marks if (split := _split(text, mark)) is not None]
    if not fitting:
        raise NotASampleError("no options are found in the question's text")
    split, mark = fitting[0]
    if len(fitting) > 1 or _split(f" {split.question}", mark) is not None:
        raise NotASampleError("options stand twice in the question's text")
    for index, option in enumerate(split.options):
        if any(re.search(pattern, f" {option}") for pattern in _other_marks(split, index, mark, in_lines)):
            raise NotASampleError("an option holds the mark of another one")
        if "\n" in option:
            raise NotASampleError("an option runs over several lines")
    return split.question, option_texts(split.options)


def _split(text: str, mark: str) -> _Split | None:
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
            return _Split(text[: first.start()].strip(), options, [found[0] for found in marks[1:]])
    return None


def _other_marks(split: _Split, index: int, mark: str, in_lines: bool) -> list[str]:
    """List patterns of a later option's mark, in whatever form; the options' own form first."""
    later = LETTERS[index + 1 :]
    if not later:
        return []
    upper, lower, either = f"[{later}]", f"[{later.lower()}]", f"[{later}{later.lower()}]"
    patterns = [
        mark.replace("LETTER", upper),
        # At the beginning of a line any letter by itself is a mark.
        rf"\n{_OPENERS}{upper}(?![\w'\u2019])",
        rf"\n{_OPENERS}{lower}[{_CLOSERS}]",
        rf"[\s,;][(\[\uff08\u3010]{either}[)\]\uff09\u3011]",
        rf"[\s,;]{either}[):\uff1a](?=\s|$)",
    ]
    if in_lines or index < len(split.options) - 1:
        return patterns
    patterns.append(rf"[,;]\s*[{later[:2]}](?=[\s.])")
    # Where no comma stands between options, the next letter may stand there just as bare.
    return patterns if any("," in mark for mark in split.separators) else [*patterns, rf"\s{later[0]}\s+\S"]
