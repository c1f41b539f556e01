"""Write numbers for people."""

from __future__ import annotations

import re
from collections.abc import Sequence
from math import isfinite
from typing import Protocol

__all__ = ["MISSING", "breakable", "joined", "number", "percent", "signed", "with_interval"]

_MINUS = "\N{MINUS SIGN}"
MISSING = "\N{EN DASH}"
"""Written in place of a missing number."""


class _Measured(Protocol):
    @property
    def value(self) -> float: ...
    @property
    def low(self) -> float: ...
    @property
    def high(self) -> float: ...


def number(value: float, digits: int = 3) -> str:
    """Write a number with a true minus sign; a dash stands for nan.

    Parameters
    ----------
    value : float
    digits : int, default 3
        Digits after the point.

    Returns
    -------
    str

    Examples
    --------
    >>> number(-0.0001), number(-0.25)
    ('0.000', '−0.250')
    """
    if not isfinite(value):
        return MISSING
    written = f"{value:.{digits}f}"
    return written.lstrip("-") if float(written) == 0 else written.replace("-", _MINUS)


def signed(value: float, digits: int = 3) -> str:
    """Write a number as `number` does, with a plus sign if it is above zero."""
    written = number(value, digits)
    return written if written.startswith(_MINUS) or not isfinite(value) or float(written) == 0 else f"+{written}"


def percent(value: float, digits: int = 1) -> str:
    """Write a share as a percentage.

    Examples
    --------
    >>> percent(0.125)
    '12.5 %'
    """
    return f"{number(100 * value, digits)}\N{NO-BREAK SPACE}%" if isfinite(value) else MISSING


def with_interval(estimate: _Measured, digits: int = 3) -> str:
    """Write a metric and its interval, `0.512 [0.470, 0.553]`."""
    if not isfinite(estimate.value):
        return MISSING
    return f"{number(estimate.value, digits)} [{number(estimate.low, digits)}, {number(estimate.high, digits)}]"


def joined(words: Sequence[str]) -> str:
    """Join words as in a sentence.

    Examples
    --------
    >>> joined(["fog", "snow", "frost"])
    'fog, snow and frost'
    """
    return " and ".join(filter(None, (", ".join(words[:-1]), *words[-1:])))


def breakable(name: str) -> list[str]:
    """Cut a name after each character where a line may break.

    Examples
    --------
    >>> breakable("org/model-7b")
    ['org/', 'model-', '7b']
    """
    return re.findall(r"[^/_-]*[/_-]|[^/_-]+$", name)
