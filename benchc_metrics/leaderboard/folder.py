"""Read a folder that a stranger sent: regular files only, within our own limits."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from benchc_metrics.escaping import for_terminal
from benchc_metrics.messages import reason_of

__all__ = ["MOST_DEPTH", "MOST_ENTRIES", "Finding", "RefusedError", "SubmissionFolder"]

MOST_ENTRIES = 100
"""Most files and folders; a submission has 15."""

MOST_DEPTH = 8
"""Most levels of folders; a submission has 5."""

_LONGEST_LINE = 2_000

_OPEN_SAFELY = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)


class Finding(NamedTuple):
    """A fault of a submission.

    Attributes
    ----------
    file : str
        Path in the submission.
    text : str
        The fault, in a sentence.
    """

    file: str
    text: str

    def __str__(self) -> str:
        """Write file and sentence in one short line, without control characters."""
        line = for_terminal(f"{self.file}: {self.text}")
        return line if len(line) <= _LONGEST_LINE else f"{line[:_LONGEST_LINE]}..."


class RefusedError(Exception):
    """Raised to end the checks of a submission; users see its findings instead."""

    def __init__(self, findings: Sequence[Finding]) -> None:
        super().__init__("; ".join(map(str, findings)))
        self.findings = tuple(findings)


@dataclass(frozen=True)
class SubmissionFolder:
    """The files of a folder, by path, with their sizes; none was opened.

    Attributes
    ----------
    place : Path
    sizes : mapping of str to int
        In bytes, by the path relative to the folder.
    """

    place: Path
    sizes: Mapping[str, int]

    @classmethod
    def scan(cls, place: Path) -> SubmissionFolder:
        """List a folder's files.

        Raises
        ------
        RefusedError
            If it holds a link, pipe, socket or device, cannot be listed, or is larger or deeper than a submission.
        """
        sizes: dict[str, int] = {}
        findings: list[Finding] = []
        waiting = [("", 0)]
        seen = 0
        while waiting:
            folder, depth = waiting.pop()
            try:
                with os.scandir(place / folder) as entries:
                    # Not more than may be there are ever held: a folder can have millions of entries.
                    listed = [entry for entry, _ in zip(entries, range(MOST_ENTRIES + 1), strict=False)]
                    seen += len(listed)
                    if seen > MOST_ENTRIES:
                        too_many = f"it holds more than {MOST_ENTRIES} files and folders, and no submission does"
                        raise RefusedError([Finding(folder or ".", too_many)])
                    for entry in sorted(listed, key=lambda entry: entry.name):
                        path = f"{folder}/{entry.name}" if folder else entry.name
                        mode = entry.stat(follow_symlinks=False)
                        if fault := _fault_of_entry(place, path, mode.st_mode, depth):
                            findings.append(Finding(path, fault))
                        elif stat.S_ISDIR(mode.st_mode):
                            waiting.append((path, depth + 1))
                        else:
                            sizes[path] = mode.st_size
            except OSError as fault:
                findings.append(Finding(folder or ".", f"it cannot be listed ({reason_of(fault)})"))
        if findings:
            raise RefusedError(findings)
        return cls(place, sizes)

    def read(self, path: str, limit: int) -> bytes:
        """Read a file whole, once: what is hashed is what is parsed.

        Parameters
        ----------
        path : str
            As in `sizes`.
        limit : int
            In bytes.

        Raises
        ------
        RefusedError
            If the file is missing, too large, changed since it was listed, or cannot be read.
        """
        if path not in self.sizes:
            raise RefusedError([Finding(path, "it is missing")])
        if self.sizes[path] > limit:
            raise RefusedError([too_large(path, self.sizes[path], limit)])
        try:
            descriptor = os.open(self.place / path, _OPEN_SAFELY)
            with open(descriptor, "rb") as opened:
                if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                    raise RefusedError([Finding(path, "it is neither a file nor a folder")])
                content = opened.read(limit + 1)
        except (OSError, ValueError) as fault:
            raise RefusedError([Finding(path, f"it cannot be read ({reason_of(fault)})")]) from None
        if len(content) != self.sizes[path]:
            raise RefusedError([Finding(path, "it changed while it was checked")])
        return content


def too_large(path: str, size: int, limit: int) -> Finding:
    """Say that a file is larger than it may be."""
    return Finding(path, f"it has {size} bytes where at most {limit} are allowed")


def _fault_of_entry(place: Path, path: str, mode: int, depth: int) -> str | None:
    if stat.S_ISLNK(mode):
        leaves = not _resolves_within(place, path)
        return "it is a link that leaves the folder" if leaves else "it is a link; give the file itself"
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        return "it is neither a file nor a folder"
    if stat.S_ISDIR(mode) and depth + 1 > MOST_DEPTH:
        return f"it lies more than {MOST_DEPTH} folders deep, and no submission does"
    return None


def _resolves_within(place: Path, path: str) -> bool:
    try:
        return (place / path).resolve().is_relative_to(place.resolve())
    # A circle of links has no end.
    except (OSError, RuntimeError):
        return False
