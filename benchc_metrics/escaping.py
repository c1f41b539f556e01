"""Escape untrusted text for the output that it is written to.

Names of models, samples, categories and folders are untrusted. Each output interprets some characters: a terminal obeys
control sequences, a spreadsheet computes formulas, Markdown and LaTeX run markup. The templates themselves escape HTML
(`benchc_metrics.pages.page`).
"""

from __future__ import annotations

import re

__all__ = ["for_csv", "for_latex", "for_markdown", "for_terminal"]

_NO_BREAK_SPACE = "\N{NO-BREAK SPACE}"

# Matches the beginning of a formula in a spreadsheet, also with full-width characters.
_BEGINS_FORMULA = re.compile(r"\s*[=+\-@\t\r\n\N{FULLWIDTH EQUALS SIGN}\N{FULLWIDTH PLUS SIGN}"
                             r"\N{FULLWIDTH HYPHEN-MINUS}\N{FULLWIDTH COMMERCIAL AT}]")  # fmt: skip

# Links and images, HTML, entities, code, emphasis, columns and mentions; a single underscore or bracket is text.
_MARKDOWN = re.compile(
    r"(?P<backslash>\\|[`*~|]|(?<!\w)_|_(?!\w)|\](?=[(\[:]))|(?P<html><(?=[\w/!?])|&(?=#|\w+;)|(?<!\w)@(?=\w))"
)

_LATEX = str.maketrans(
    {
        "\\": r"\textbackslash{}",
        "&": r"\&",
        "%": r"\%",
        "$": r"\$",
        "#": r"\#",
        "_": r"\_",
        "{": r"\{",
        "}": r"\}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "<": r"\textless{}",
        ">": r"\textgreater{}",
    }
)


def for_terminal(text: str, *, lines: bool = False) -> str:
    r"""Spell out every character that a terminal might obey, or that hides or reorders text.

    Parameters
    ----------
    text : str
    lines : bool, default False
        Keep line feeds.

    Returns
    -------
    str

    Examples
    --------
    >>> print(for_terminal("fog\x1b[2J"))
    fog\x1b[2J
    """
    kept = {_NO_BREAK_SPACE, *("\n" if lines else "")}
    return "".join(each if each.isprintable() or each in kept else ascii(each)[1:-1] for each in text)


def for_csv(text: str) -> str:
    """Add an apostrophe before a text that a spreadsheet would compute as a formula.

    Examples
    --------
    >>> for_csv("=1+1"), for_csv("lab/model")
    ("'=1+1", 'lab/model')
    """
    plain = for_terminal(text)
    return f"'{plain}" if _BEGINS_FORMULA.match(text) else plain


def for_markdown(text: str) -> str:
    r"""Escape markup of GitHub's Markdown.

    Examples
    --------
    >>> print(for_markdown("a_b|c ![d](https://e) <img>"))
    a_b\|c ![d\](https://e) &#60;img>
    """

    def escaped(found: re.Match[str]) -> str:
        return f"\\{found['backslash']}" if found["backslash"] else f"&#{ord(found['html'])};"

    return _MARKDOWN.sub(escaped, for_terminal(text))


def for_latex(text: str) -> str:
    r"""Escape the characters that are commands in LaTeX.

    Examples
    --------
    >>> print(for_latex("a_b"))
    a\_b
    """
    return for_terminal(text).translate(_LATEX)
