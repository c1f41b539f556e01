from __future__ import annotations

import gzip
import json
import os

import pytest

from benchc_metrics import json_lines
from benchc_metrics.json_lines import JsonLinesError, read_json_lines


def read(path, content: bytes) -> list[tuple]:
    path.write_bytes(content)
    return [(line.number, line.value, line.fault) for line in read_json_lines(path)]


GOOD = {
    "one line without an end": b'{"a": 1}',
    "line feeds": b'{"a": 1}\n{"a": 2}\n',
    "carriage returns": b'{"a": 1}\r\n{"a": 2}\r\n',
    "a byte-order mark": b'\xef\xbb\xbf{"a": 1}\n{"a": 2}\n',
    "blank lines at the end": b'{"a": 1}\n{"a": 2}\n\n \r\n\t\n',
    "separators in a text": '{"a": "one\u2028two\x85three"}\n{"a": 2}\n'.encode(),
    "another value": b"[1]\n3\nnull\n",
    "nothing": b"",
    "only a byte-order mark": b"\xef\xbb\xbf\n\n",
}


@pytest.mark.parametrize("suffix", ["jsonl", "jsonl.gz"])
@pytest.mark.parametrize("case", GOOD)
def test_lines_are_what_json_says(tmp_path, case, suffix):
    content = GOOD[case]
    text = content.decode("utf-8-sig").rstrip()
    expected = [(n, json.loads(line), None) for n, line in enumerate(text.split("\n") if text else [], start=1)]
    assert read(tmp_path / f"a.{suffix}", gzip.compress(content) if suffix.endswith("gz") else content) == expected


BAD_LINES = {
    "cut off": (b'{"id": "a', "is not JSON (Unterminated string starting at column 8)"),
    "two objects": (b'{"a": 1}{"a": 2}', "is not JSON (Extra data at column 9)"),
    "blank": (b"  ", "is blank"),
    "NUL bytes": (b"\0\0\0", "is not JSON (Expecting value at column 1)"),
    "NUL in a text": (b'{"a": "b\0"}', "is not JSON (Invalid control character at column 9)"),
    "nested beyond measure": (b"[" * 200_000, "cannot be read ("),
    "a number of 5,000 digits": (b'{"answer": ' + b"9" * 5000 + b"}", "cannot be read ("),
    "a key twice": (b'{"answer": 0, "answer": 1}', "has the key 'answer' twice in one object"),
    "a key twice inside": (b'{"image": {"path": "a", "x": 1, "path": "b"}}', "has the key 'path' twice in one object"),
}


@pytest.mark.parametrize("case", BAD_LINES)
def test_a_bad_line_is_a_fault_and_the_others_are_read(tmp_path, case):
    line, fault = BAD_LINES[case]
    first, bad, last = read(tmp_path / "a.jsonl", b'{"a": 1}\n' + line + b'\n{"a": 2}\n')
    assert (first, last) == ((1, {"a": 1}, None), (3, {"a": 2}, None))
    assert bad[:2] == (2, None)
    assert bad[2].startswith(fault)
    assert len(bad[2]) < 250


def test_a_surrogate_and_a_constant_are_left_to_those_who_use_them(tmp_path):
    ((_, value, fault),) = read(tmp_path / "a.jsonl", b'{"a": "\\ud83d", "b": -Infinity}\n')
    assert (value, fault) == ({"a": "\ud83d", "b": float("-inf")}, None)


BAD_FILES = {
    "a byte of Latin-1": (b'{"id": 1}\n{"a": "\xe9"}\n', "a.jsonl", 1, "is not UTF-8 (byte 17); write it again"),
    "one behind a byte-order mark": (b'\xef\xbb\xbf{"a": "\xe9"}', "a.jsonl", 0, "is not UTF-8 (byte 10); write it"),
    "UTF-16": ('{"a": 1}\n'.encode("utf-16"), "a.jsonl", 0, "is not UTF-8 (byte 0); write it again as UTF-8"),
    "compressed without saying so": (gzip.compress(b'{"a": 1}\n'), "a.jsonl", 0, "is not UTF-8 (byte 1); write it"),
    "cut off": (gzip.compress(b'{"a": 1}\n' * 9)[:-9], "a.jsonl.gz", 9, "is damaged (Compressed file ended before"),
    "not compressed": (b'{"a": 1}\n', "a.jsonl.gz", 0, "is damaged (Not a gzipped file"),
    "a broken stream": (
        gzip.compress(b'{"a": 1}\n')[:10] + b"\xff" * 40, "a.jsonl.gz", 0, "is damaged (Error -3 while decompressing"
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD_FILES)
def test_a_file_that_is_no_text_is_refused_with_its_last_line(tmp_path, case):
    content, name, line, message = BAD_FILES[case]
    with pytest.raises(JsonLinesError) as caught:
        read(tmp_path / name, content)
    assert str(caught.value).startswith(message)
    assert caught.value.line == line


@pytest.mark.parametrize("kind", ["folder", "pipe", "device"])
def test_nobody_waits_for_a_pipe(tmp_path, kind):
    path = tmp_path / "a.jsonl"
    {"folder": path.mkdir, "pipe": lambda: os.mkfifo(path), "device": lambda: path.symlink_to("/dev/zero")}[kind]()
    with pytest.raises(JsonLinesError, match=r"^is a folder, a pipe or a device; put a file in its place$"):
        list(read_json_lines(path))


def test_an_absent_file_is_the_systems_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        list(read_json_lines(tmp_path / "a.jsonl"))


def test_a_line_without_end_is_not_read_into_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(json_lines, "MOST_LINE_BYTES", 100)
    assert read(tmp_path / "a.jsonl", b'"' + b"x" * 97 + b'"\n') == [(1, "x" * 97, None)]
    with pytest.raises(JsonLinesError, match="has a line of more than 100 bytes; write one object a line"):
        read(tmp_path / "b.jsonl", b"1\n" + b" " * 101)
    with pytest.raises(JsonLinesError, match="has a line of more than 100 bytes"):
        read(tmp_path / "bomb.jsonl.gz", gzip.compress(b"1\n" + b"x" * 10_000_000))


def test_lines_are_read_one_after_the_other(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"1\n" * 10 + b"\xff\n")
    lines = read_json_lines(path)
    assert [next(lines).value for _ in range(10)] == [1] * 10
