"""Text of strangers is text in every output."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from benchc_metrics.escaping import for_csv, for_latex, for_markdown, for_terminal
from benchc_metrics.pages.tables import Column, Table, print_tables, to_csv, to_latex, to_markdown

CLEARS_SCREEN = "lab/\x1b[2J\x9b2Jmodel\u202ekcab\x00\x07\r\udc80"


def table_of(name: str) -> Table:
    return Table(f"Metrics of {name}", (Column("run", "model"), Column("n", "n")), ((name, 3),))


def test_a_terminal_obeys_nothing():
    console = Console(file=io.StringIO(), width=200, force_terminal=True, no_color=True)
    print_tables([table_of(CLEARS_SCREEN)], [f"{CLEARS_SCREEN}: a note"], console)
    written = console.file.getvalue()
    spelled_out = "lab/\\x1b[2J\\x9b2Jmodel\\u202ekcab\\x00\\x07\\r\\udc80"
    assert written.count(spelled_out) == 2
    # In the table the name is cut into lines of 24 characters.
    assert spelled_out[:24] in written
    assert spelled_out[24:] in written
    for each in "\x9b\u202e\x00\x07\r\udc80":
        assert each not in written
    # rich's own styles are the only sequences.
    assert "\x1b[2J" not in written


@given(st.text(st.characters(exclude_categories=())))
def test_nothing_unprintable_passes(text):
    assert all(each.isprintable() or each == "\xa0" for each in for_terminal(text))
    assert all(each.isprintable() or each in "\xa0\n" for each in for_terminal(text, lines=True))
    assert for_terminal(text, lines=True).count("\n") == text.count("\n")


def test_plain_text_stays_as_it_is():
    for text in ("lab/model-7b", "Zürich 95 % [0.1, 0.2]", "模型", "a_b", "c & d", "x - y"):
        assert for_terminal(text) == for_csv(text) == for_markdown(text) == text


@pytest.mark.parametrize(
    "first", ["=", "+", "-", "@", "\t", "\r", "\n", " =", *map(chr, (0xFF1D, 0xFF0B, 0xFF0D, 0xFF20))]
)
def test_a_spreadsheet_computes_nothing(first):
    name = f'{first}HYPERLINK("https://evil.example")'
    _, row = csv.reader(io.StringIO(to_csv([table_of(name)])))
    assert row[0].startswith("'")
    assert row[1] == "3"


def test_markdown_stays_one_cell_without_markup():
    name = "![x](https://evil.example/p.png)|<img src=x>`a`**b**&lt;\nnext @someone"
    lines = to_markdown([table_of(name)]).splitlines()
    assert len(lines) == 5
    assert lines[4] == (
        r"| ![x\](https://evil.example/p.png)\|&#60;img src=x>\`a\`\*\*b\*\*&#38;lt;\\nnext &#64;someone | 3 |"
    )


def test_latex_has_no_commands():
    name = r"\input{/etc/passwd}$x^2$%~<>"
    text = to_latex([table_of(name)])
    assert r"\input" not in text
    assert r"\textbackslash{}input\{/etc/passwd\}\$x\textasciicircum{}2\$\%\textasciitilde{}\textless{}" in text
    assert for_latex("a\nb\x1b") == r"a\textbackslash{}nb\textbackslash{}x1b"
