from __future__ import annotations

import re
from pathlib import Path

import pytest

from benchc_metrics.messages import MOST_QUOTED, quoted, reason_of


class Unprintable:
    def __repr__(self) -> str:
        raise RuntimeError("no")


@pytest.mark.parametrize("value", ["red", 7, None, [], 1.5, True, "é" * 50, b"ab", ["a", 2], {"a": None}])
def test_a_short_value_is_quoted_whole(value):
    assert quoted(value) == repr(value)


def nested(depth: int) -> list:
    value: list = []
    for _ in range(depth):
        value = [value]
    return value


LONG = {
    "text": "A" * 150_000,
    "bytes": b"\0" * 150_000,
    "lists of texts": ["A" * 9000] * 9000,
    "mapping": {"bytes": "A" * 150_000},
    "nested lists": nested(900),
    "number": 7**4000,
    "range": range(10**150),
}


@pytest.mark.parametrize("name", LONG)
def test_a_long_value_is_cut(name):
    text = quoted(LONG[name])
    assert len(text) <= MOST_QUOTED
    assert "\n" not in text


def test_a_cut_text_shows_both_its_ends():
    text = quoted("/data/" + "deep/" * 40 + "photo.png")
    assert len(text) == MOST_QUOTED
    assert text.startswith("'/data/deep/")
    assert text.endswith("/photo.png'")


def test_a_value_that_cannot_be_shown_is_named_by_its_type():
    assert quoted(Unprintable()).startswith(("a value of type Unprintable", "<Unprintable instance at"))
    assert quoted(10**5000).startswith("a value of type int") or len(quoted(10**5000)) <= MOST_QUOTED


def test_a_reason_is_one_clause():
    assert reason_of(ValueError("It is cut off. Perhaps it was not wholly written.")) == "It is cut off"
    assert reason_of(OSError(2, "No such file or directory", "x")) == "No such file or directory"
    assert reason_of(ValueError()) == "ValueError"
    assert len(reason_of(ValueError("word " * 9000))) <= 300


def test_messages_quote_what_they_did_not_write_with_a_limit():
    """`!r` shows a value whole: a picture in base64 as a sample's id would flood the screen."""
    checkout = Path(__file__).parents[2]
    unlimited = re.compile(r"\{(?![A-Z_]+!)[^{}]*!r\}")
    product = [*checkout.glob("benchc_metrics/**/*.py"), *checkout.glob("benchc_tasks/**/*.py")]
    assert len(product) > 100
    found = [
        f"{path.relative_to(checkout)}: {line.strip()}"
        for path in product
        for line in path.read_text(encoding="utf-8").splitlines()
        if unlimited.search(line) and "has no attribute" not in line
    ]
    assert found == []
