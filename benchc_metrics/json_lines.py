"""Read JSON lines; datasets, pools and samples logs all use this reader."""

from __future__ import annotations

import gzip
import json
import os
import stat
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

from benchc_metrics.messages import quoted, reason_of

__all__ = ["MOST_LINE_BYTES", "JsonLine", "JsonLinesError", "read_json_lines"]

MOST_LINE_BYTES = 2**28
"""A longer line is refused: the file is not JSONL, or its compression is an attack."""

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class JsonLinesError(ValueError):
    """Raised when a file cannot be read as lines of text; the message is a clause that follows the file's name.

    Attributes
    ----------
    line : int
        The number of the last line that was read, counted from 1.
    """

    def __init__(self, message: str, line: int) -> None:
        super().__init__(message)
        self.line = line


@dataclass(frozen=True)
class JsonLine:
    """One line of a file.

    Attributes
    ----------
    number : int
        Counted from 1, as in editors.
    value : Any
        The parsed value; None if there is a fault.
    fault : str or None
        A clause that follows "the line", such as `is blank`.
    """

    number: int
    value: Any
    fault: str | None = None


class _RepeatedKeyError(ValueError):
    """Raised when a JSON object has a key twice; the message is the key."""


def read_json_lines(path: str | os.PathLike[str]) -> Iterator[JsonLine]:
    r"""Parse a file line by line; a name that ends in `.gz` is decompressed.

    Parameters
    ----------
    path : path-like
        UTF-8, with or without a byte-order mark, with line ends `\n` or `\r\n`.

    Yields
    ------
    JsonLine
        One for each line. Blank lines at the end are ignored. These lines have a fault: a blank line before another
        line, a line that is not JSON, is nested too deeply, is longer than `MOST_LINE_BYTES`, or has a key twice in one
        object.

    Raises
    ------
    OSError
        If the file is absent or the system refuses to read it.
    JsonLinesError
        If it is a folder, pipe or device, is not UTF-8, or is damaged.
    """
    path = Path(path)
    # Reading a pipe could block forever, and a device may never end.
    if not stat.S_ISREG(path.stat().st_mode):
        raise JsonLinesError("is a folder, a pipe or a device; put a file in its place", 0)
    number, start = 0, 0
    blank: list[int] = []
    with cast(IO[bytes], gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb")) as lines:
        while raw := _next_line(lines, number):
            number += 1
            # The length is kept, so that byte positions stay those of the file.
            content = (
                raw.replace(_BYTE_ORDER_MARK, b"   ", 1) if raw.startswith(_BYTE_ORDER_MARK) and not start else raw
            )
            if content.strip():
                yield from (JsonLine(line, None, "is blank") for line in blank)
                blank.clear()
                yield _parse(content.rstrip(b"\r\n"), number, start)
            else:
                blank.append(number)
            start += len(raw)


def _next_line(lines: IO[bytes], number: int) -> bytes:
    # Only a line feed ends a line; str.splitlines would also split at separators that JSON allows in its strings.
    try:
        raw = lines.readline(MOST_LINE_BYTES + 1)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise JsonLinesError(f"is damaged ({reason_of(error)}); copy it again", number) from error
    if len(raw) > MOST_LINE_BYTES:
        raise JsonLinesError(f"has a line of more than {MOST_LINE_BYTES:,} bytes; write one object a line", number)
    return raw


def _parse(line: bytes, number: int, start: int) -> JsonLine:
    try:
        return JsonLine(number, json.loads(line.decode(), object_pairs_hook=_without_repeats))
    except UnicodeDecodeError as error:
        raise JsonLinesError(
            f"is not UTF-8 (byte {start + error.start}); write it again as UTF-8", number - 1
        ) from error
    except json.JSONDecodeError as error:
        return JsonLine(number, None, f"is not JSON ({error.msg.removesuffix(' at')} at column {error.colno})")
    except _RepeatedKeyError as error:
        return JsonLine(number, None, f"has the key {error} twice in one object")
    except (ValueError, RecursionError) as error:
        return JsonLine(number, None, f"cannot be read ({reason_of(error)})")


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        seen: set[str] = set()
        repeated = next(name for name, _ in pairs if name in seen or seen.add(name))  # type: ignore[func-returns-value]
        raise _RepeatedKeyError(quoted(repeated))
    return found
