"""Keep answers on disk, so that a killed run goes on where it was.

There is one format: a log, to which rows are only added. A row has a checksum, a key and the responses to a question.
Every log has a copy, so that either may be damaged.

```
answers.log, answers.copy         the answers of runs that ended
run-<id>.log, run-<id>.copy       the answers of one process; run-<id>.lock is held while it lives
damaged/                          what was found damaged, as it was found
```

A row is handed to the operating system as soon as it is there, so a killed process loses nothing that it kept. The
next process that finds its lock free merges its log into `answers.log`. Reading needs no lock. The order of rows means
nothing. No evaluation stack is imported here: what a key stands for is up to the caller (`answer_key`).
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
import uuid
from collections.abc import Collection, Sequence
from contextlib import ExitStack, suppress
from io import FileIO
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

from filelock import FileLock
from loguru import logger

__all__ = ["SYNC_INTERVAL", "AnswerStore", "Row", "answer_key"]

SYNC_INTERVAL = 256
"""The most answers that a loss of power can take; a killed process loses none that were written."""

_LOCK_SECONDS = 60.0
_DISAGREEMENT = ""


def answer_key(*identity: str) -> str:
    """Hash everything that an answer depends on; two different sequences of texts have different keys."""
    return hashlib.sha256(json.dumps(identity).encode()).hexdigest()


class Row(NamedTuple):
    """The responses to one question as a JSON list; of several rows with one key the highest `attempt` holds."""

    key: str
    attempt: int
    responses: str

    def to_line(self) -> bytes:
        """Write the row as a line of a log."""
        text = f"{self.key} {self.attempt} {self.responses}".encode()
        return _checksum(text) + b" " + text + b"\n"

    @classmethod
    def from_line(cls, line: bytes) -> Row | None:
        """Read a line, without its end; None if it is not, byte for byte, what `to_line` wrote."""
        checksum, _, text = line.partition(b" ")
        if checksum != _checksum(text):
            return None
        key, attempt, responses = text.decode().split(" ", 2)
        return cls(key, int(attempt), responses)


class AnswerStore:
    """The answers in one folder, which any number of processes may share.

    The methods raise `OSError` if a file cannot be read or written; nothing that was kept is lost then.

    Attributes
    ----------
    folder : Path
        The folder, which is made when the first answer is kept.
    written : int
        How many responses this process has kept.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.written = self._synced = 0
        self._merged = folder / "answers.log"
        self._log: _RunLog | None = None
        self._attempts: dict[str, int] = {}

    def find(self, keys: Collection[str]) -> dict[str, list[Any]]:
        """Return the responses that are kept under some of the keys; writes nothing.

        Rows of one key that disagree are not returned: a warning counts them, and what is kept next under their key
        replaces them.
        """
        settled: dict[str, Row] = {}
        # A run that is merged meanwhile is in the merged log by then, which is therefore read last.
        for log in (*self._runs(), self._merged):
            for row in _read_both(log, may_grow=log != self._merged)[0]:
                if row.key in keys:
                    settled[row.key] = _settle(settled.get(row.key), row)
        attempts = {key: row.attempt + 1 for key, row in settled.items() if row.responses == _DISAGREEMENT}
        if attempts:
            logger.warning(f"{len(attempts):,} questions are asked again: their answers in {self.folder} disagree")
            self._attempts.update(attempts)
        return {key: json.loads(row.responses) for key, row in settled.items() if key not in attempts}

    def open(self) -> _RunLog:
        """Make this process's log, unless it is there."""
        self._log = self._log or _RunLog(self.folder)
        return self._log

    def keep(self, key: str, responses: Sequence[Any]) -> None:
        """Hand the responses to a question, JSON types, to the operating system: no kill of the process takes them."""
        log = self.open()
        log.write(Row(key, self._attempts.get(key, 0), json.dumps(list(responses))))
        self.written += len(responses)
        if self.written - self._synced >= SYNC_INTERVAL:
            log.sync()
            self._synced = self.written

    def close(self) -> None:
        """Bring this process's answers to the disk and unlock them, so that they can be merged."""
        log, self._log = self._log, None
        if log is not None:
            log.close()

    def merge(self) -> None:
        """Merge the logs of processes that have ended into `answers.log`, and mend it from its copy.

        It is an `OSError` too if another process merges for over a minute.
        """
        if not (self._runs() or any(self.folder.glob("answers.*"))):
            return
        with _Lock(self.folder / "merge.lock", timeout=_LOCK_SECONDS):
            left = [run for run in self._runs() if _has_ended(run)]
            rows: dict[Row, None] = {}
            for log in (self._merged, *left):
                found, is_damaged = _read_both(log)
                rows.update(found)
                if is_damaged:
                    _set_aside(log)
            merged = b"".join(row.to_line() for row in rows)
            for path in _pair(self._merged):
                _write(path, merged)
            for run, suffix in product(left, (".lock", ".copy", ".log")):
                run.with_suffix(suffix).unlink(missing_ok=True)

    def _runs(self) -> list[Path]:
        return sorted({path.with_suffix(".log") for path in self.folder.glob("run-*") if path.suffix != ".lock"})


class _Lock(FileLock):
    """A lock of its own for each holder; lmms-eval makes all `FileLock`s of a path one object, which excludes none."""


class _RunLog:
    """The log of one process, and its copy, which is brought up to date at every sync."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        log, copy = _pair(folder / f"run-{uuid.uuid4().hex}.log")
        self._lock = _Lock(log.with_suffix(".lock"), timeout=0)
        # On a file system without locks a run is read and never merged.
        with suppress(OSError, NotImplementedError):
            self._lock.acquire()
        self._files = FileIO(log, "x"), FileIO(copy, "x")
        self._unsafe: list[Row] = []

    def write(self, row: Row) -> None:
        _append(self._files[0], row.to_line())
        self._unsafe.append(row)

    def sync(self) -> None:
        _append(self._files[1], b"".join(row.to_line() for row in self._unsafe))
        for file in self._files:
            os.fsync(file.fileno())
        self._unsafe = []

    def close(self) -> None:
        with ExitStack() as last:
            last.callback(self._lock.release)
            for file in self._files:
                last.callback(file.close)
            self.sync()


def _read_both(log: Path, *, may_grow: bool = False) -> tuple[dict[Row, None], bool]:
    """Return the rows of a log and its copy, each once, and whether there is damage, of which a warning tells.

    A log that may grow may end within a row, or be merged and gone.
    """
    path, copy = _pair(log)
    # The copy first: a log that grows is ahead of it at any time.
    copied, unreadable_copied = _read(copy, may_grow)
    written, unreadable = _read(path, may_grow)
    unreadable += unreadable_copied
    rows = dict.fromkeys([*written, *copied])
    rescued = 0 if may_grow and not path.exists() else len(rows) - len(set(written))
    if unreadable or rescued:
        logger.warning(
            f"{path} or its copy is damaged: {unreadable:,} rows are unreadable, {rescued:,} of {len(rows):,} were "
            "taken from the copy alone, and answers that neither has are asked again"
        )
    return rows, bool(unreadable or rescued)


def _read(path: Path, may_grow: bool) -> tuple[list[Row], int]:
    """Return the rows of a file, none if it is missing, and how many are unreadable."""
    try:
        *lines, rest = path.read_bytes().split(b"\n")
    except (FileNotFoundError, NotADirectoryError):
        return [], 0
    read = [Row.from_line(line) for line in (*lines, b"" if may_grow else rest) if line]
    rows = [row for row in read if row is not None]
    return rows, len(read) - len(rows)


def _settle(known: Row | None, row: Row) -> Row:
    """Combine two rows of a key, in any order: the higher attempt holds, and of one attempt only what agrees."""
    if known is None or row.attempt > known.attempt:
        return row
    if row.attempt < known.attempt or row.responses == known.responses:
        return known
    return row._replace(responses=_DISAGREEMENT)


def _pair(log: Path) -> tuple[Path, Path]:
    """Return the paths of a log and of its copy."""
    return log, log.with_suffix(".copy")


def _has_ended(run: Path) -> bool:
    """Tell whether the process of a log has ended, which nothing brings back to life."""
    try:
        with _Lock(run.with_suffix(".lock"), timeout=0):
            return True
    except OSError:
        return False


def _set_aside(log: Path) -> None:
    """Keep a log and its copy as they are in the folder `damaged`."""
    folder = log.with_name("damaged")
    folder.mkdir(exist_ok=True)
    for path in _pair(log):
        if path.exists():
            shutil.copy2(path, folder / f"{time.time_ns()}-{path.name}")


def _write(path: Path, data: bytes) -> None:
    """Replace a file at once, unless it has these data."""
    if path.exists() and path.read_bytes() == data:
        return
    new = path.with_suffix(".new")
    try:
        with FileIO(new, "w") as file:
            _append(file, data)
            os.fsync(file.fileno())
        new.replace(path)
    except BaseException:
        new.unlink(missing_ok=True)
        raise


def _append(file: FileIO, data: bytes) -> None:
    """Append all of the data, or nothing if that fails."""
    size = file.tell()
    try:
        while data:
            data = data[file.write(data) :]
    except OSError:
        file.truncate(size)
        file.seek(size)
        raise


def _checksum(text: bytes) -> bytes:
    return hashlib.sha256(text).hexdigest()[:16].encode()
