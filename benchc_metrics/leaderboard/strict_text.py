"""Parse small files of strangers strictly: no repeated keys, no aliases, no numbers that others read differently.

Every parser takes time and memory in proportion to the text, and raises nothing but ValueError.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

import yaml

from benchc_metrics.messages import quoted, reason_of

__all__ = ["parse_csv", "parse_json", "parse_yaml"]

Parsed = TypeVar("Parsed")

_NUMBER = re.compile(r"-?(0|[1-9]\d{0,30})(\.\d{1,60})?([eE][+-]?\d{1,4})?", re.ASCII)

# Written in C: the one in Python takes a minute for 90 KB of brackets.
_SAFE_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_LARGEST_SLOW_YAML = 10_000


def _refusing(parse: Callable[[str], Parsed]) -> Callable[[str], Parsed]:
    """Turn whatever a parser raises into a ValueError of one clause."""

    @wraps(parse)
    def refusing(text: str) -> Parsed:
        try:
            return parse(text)
        except RecursionError:
            raise ValueError("it is nested too deeply") from None
        except (ValueError, yaml.YAMLError, csv.Error, OverflowError, AttributeError, TypeError) as fault:
            raise ValueError(reason_of(fault)) from None

    return refusing


@_refusing
def parse_json(text: str) -> Any:
    """Read strict JSON.

    Raises
    ------
    ValueError
        If it is none, has a key twice in one object, `NaN` or `Infinity`, or is nested too deeply.
    """
    return json.loads(text, parse_constant=_refuse_constant, object_pairs_hook=_without_repeats)


@_refusing
def parse_yaml(text: str) -> Any:
    """Read YAML of plain values.

    Raises
    ------
    ValueError
        If it is none, has anchors or aliases, a key twice in one mapping, a tag that stands for code, or is nested
        too deeply.
    """
    if _SAFE_LOADER is yaml.SafeLoader and len(text) > _LARGEST_SLOW_YAML:
        raise ValueError("it is too long to be read without libyaml: install PyYAML's own wheel")
    # A few lines of aliases can stand for more than fits into any memory.
    if any(getattr(event, "anchor", None) for event in yaml.parse(text, Loader=_SAFE_LOADER)):
        raise ValueError("it has aliases or anchors, which no such file needs")
    return yaml.load(text, Loader=_StrictLoader)


@_refusing
def parse_csv(text: str) -> list[list[float | str]]:
    """Read CSV; cells that are numbers become numbers.

    Raises
    ------
    ValueError
        If it is none, or a cell is longer than 131,072 characters.
    """
    return [
        [float(cell) if _NUMBER.fullmatch(cell) else cell for cell in row]
        for row in csv.reader(text.splitlines(), strict=True)
    ]


def _refuse_constant(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"a key stands twice in it ({quoted(key)})")
        found[key] = value
    return found


class _StrictLoader(_SAFE_LOADER):  # type: ignore[misc]
    """Refuses a mapping that has a key twice: one program would read the first and another the last."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        keys: set[str] = set()
        for written, _ in node.value:
            key = self.construct_object(written, deep=True)
            if not isinstance(key, str):
                raise ValueError(f"a key is not text ({quoted(key)})")
            if key in keys:
                raise ValueError(f"a key stands twice in it ({quoted(key)})")
            keys.add(key)
        mapping: dict[Any, Any] = super().construct_mapping(node, deep=deep)
        return mapping
