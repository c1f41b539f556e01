"""The files in which answers outlive a run: lmms-eval's own formats, written so that nothing is lost.

```
cache.db                         the answers of runs that ended
cache.audit.jsonl                the same again, line by line: what cache.db is built anew from
runs/benchc-<id>/                one process that has not ended, or was killed
    rank_<r>.audit.jsonl         its answers; locked while the process lives
    rank_<r>.db                  the same again, in transactions
```

A line is handed to the operating system as soon as its question is answered, so a killed process loses nothing that
was answered before. What it left is merged into `cache.db` by the next process that finds its lock free. Reading
disturbs nobody and needs no lock.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import sqlite3
import time
import uuid
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from itertools import count, islice
from pathlib import Path
from typing import NamedTuple, TypeVar

from loguru import logger

from benchc_metrics.responses import NO_ANSWER, OptionResponse, checked_response, checked_text

try:
    import fcntl
except ImportError:
    # Windows has none; only the answer store needs it.
    fcntl = None  # type: ignore[assignment]

__all__ = ["SYNC_INTERVAL", "Answer", "AnswerFolder", "AnswerLog", "is_answer"]

SYNC_INTERVAL = 256
"""The most answers that a loss of power can take; a killed process takes none with it that was written."""

LOG_VERSION = 3
"""The version of lmms-eval's audit log and database that is read and written."""

_LOCK_SECONDS = 60.0
_BUSY_SECONDS = 30.0
_CHUNK = 500
_MERGED = ".merged-"
_COLUMNS = "cache_key, request_type, task_name, doc_id, idx, gen_kwargs, response, created_at"
_INSERT = f"INSERT OR IGNORE INTO responses ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
_SCHEMA = """
CREATE TABLE responses (
    cache_key     TEXT PRIMARY KEY,
    request_type  TEXT NOT NULL,
    task_name     TEXT NOT NULL,
    doc_id        INTEGER NOT NULL,
    idx           INTEGER NOT NULL DEFAULT 0,
    gen_kwargs    TEXT,
    response      TEXT NOT NULL,
    created_at    REAL NOT NULL
);
CREATE INDEX idx_task_doc ON responses(task_name, doc_id);
CREATE TABLE meta (
    key   TEXT PRIMARY KEY,
    value TEXT NOT NULL
);
"""

Item = TypeVar("Item")


class Answer(NamedTuple):
    """One answer of a model, as a row of lmms-eval's table `responses`.

    Attributes
    ----------
    cache_key : str
        What it is found by.
    request_type : str
        `loglikelihood`, `generate_until`, ...
    task_name : str
        The task that asked for it.
    doc_id : int or str
        The sample's place in the dataset.
    idx : int
        The request's number within the sample.
    gen_kwargs : str
        Settings of the generation, JSON.
    response : str
        The answer, JSON.
    created_at : float
        Seconds since 1970.
    """

    cache_key: str
    request_type: str
    task_name: str
    doc_id: int | str
    idx: int
    gen_kwargs: str
    response: str
    created_at: float

    def to_line(self) -> bytes:
        """Write it as a line of lmms-eval's audit log."""
        written = {"fingerprint_schema_version": LOG_VERSION, **self._asdict(), "deterministic": True}
        return json.dumps(written).encode() + b"\n"

    @classmethod
    def from_line(cls, line: bytes) -> Answer | None:
        """Read a line of an audit log.

        Parameters
        ----------
        line : bytes
            With its end.

        Returns
        -------
        Answer or None
            None for a line that lmms-eval wrote for the eye only, and for what is no answer (`is_answer`).

        Raises
        ------
        ValueError
            If the line is cut, or is none of such a log.
        """
        if not line.endswith(b"\n"):
            raise ValueError("the line is cut")
        written = json.loads(line)
        if not isinstance(written, dict) or written.get("fingerprint_schema_version") != LOG_VERSION:
            raise ValueError(f"the line is none of an audit log of version {LOG_VERSION}")
        if not written.get("cache_key") or written.get("deterministic") is not True:
            return None
        if not written.keys() >= set(cls._fields):
            raise ValueError("the line has not all that an answer has")
        answer = cls(**{name: written[name] for name in cls._fields})
        return answer if is_written_answer(answer.request_type, answer.response) else None


def is_answer(request_type: str, response: object) -> bool:
    """Tell whether a response is worth keeping; what is none is asked for again by the next run.

    Parameters
    ----------
    request_type : str
        `loglikelihood`, `generate_until`, ...
    response : object
        What the model returned.

    Returns
    -------
    bool
        False for what `benchc_metrics.responses.checked_response` finds invalid (a nan, a reason in place of a
        log-likelihood), for an empty text, and for lmms-eval's own sentence about a request that it gave up.
    """
    if request_type == "loglikelihood":
        return isinstance(checked_response(response), OptionResponse)
    if isinstance(response, str):
        return bool(response.strip()) and not response.startswith(NO_ANSWER) and "text" in checked_text(response)
    return response is not None


def is_written_answer(request_type: str, response: str) -> bool:
    """Tell whether a text from a file is such a response, as JSON."""
    try:
        return is_answer(request_type, json.loads(response))
    except ValueError:
        return False


class AnswerLog:
    """The answers of one process, while it lives.

    Parameters
    ----------
    root : Path
        The cache's folder.
    rank : int
        Number of the process.

    Attributes
    ----------
    folder : Path
        Where its files lie.
    written : int
        How many answers it has.

    Raises
    ------
    OSError, sqlite3.Error
        If the files cannot be made; the methods raise the same if they cannot be written.
    """

    def __init__(self, root: Path, rank: int = 0) -> None:
        name = f"benchc-{uuid.uuid4().hex}"
        self.folder = root / "runs" / name
        self.written = 0
        self._size = 0
        self._unsafe = 0
        # Nobody looks into the folder before its log is locked.
        hidden = self.folder.with_name(f".{name}")
        hidden.mkdir(parents=True)
        self._file = os.open(hidden / f"rank_{rank}.audit.jsonl", os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            # A file system without locks has runs that are found and never merged.
            with suppress(OSError):
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            hidden.rename(self.folder)
            self._database = sqlite3.connect(self.folder / f"rank_{rank}.db", timeout=_BUSY_SECONDS)
            _create_tables(self._database)
        except BaseException:
            os.close(self._file)
            raise

    def write(self, answers: Sequence[Answer]) -> None:
        """Hand answers to the operating system, after which a killed process does not lose them.

        Parameters
        ----------
        answers : sequence of Answer
            Those of one question.
        """
        if not answers:
            return
        lines = b"".join(answer.to_line() for answer in answers)
        _append(self._file, lines, self._size)
        self._size += len(lines)
        self.written += len(answers)
        self._database.executemany(_INSERT, answers)
        self._unsafe += len(answers)
        if self._unsafe >= SYNC_INTERVAL:
            self.sync()

    def find(self, keys: Collection[str]) -> dict[str, str]:
        """Return the responses of this process by their keys."""
        return _select(self._database, keys)

    def sync(self) -> None:
        """Bring log and database to the disk."""
        os.fsync(self._file)
        self._database.commit()
        self._unsafe = 0

    def close(self) -> None:
        """Sync, and unlock the files."""
        try:
            self.sync()
        finally:
            self._database.close()
            os.close(self._file)


@dataclass(frozen=True)
class AnswerFolder:
    """All answers below one folder.

    Attributes
    ----------
    root : Path
        The folder; it need not exist.

    Raises
    ------
    ValueError
        Where the system has no file locks (Windows).
    """

    root: Path

    def __post_init__(self) -> None:
        """Refuse a system without file locks."""
        if fcntl is None:
            raise ValueError(
                f"--use_cache {self.root} needs file locks, which this system does not have (no module fcntl): leave "
                "--use_cache out, or run on Linux, macOS or the Windows subsystem for Linux"
            )

    @property
    def database(self) -> Path:
        """The merged answers."""
        return self.root / "cache.db"

    @property
    def log(self) -> Path:
        """The merged answers, line by line."""
        return self.root / "cache.audit.jsonl"

    def find(self, keys: Collection[str], *, own: Path | None = None) -> dict[str, str]:
        """Find answers, wherever they lie; writes nothing.

        Parameters
        ----------
        keys : collection of str
            The wanted ones' keys.
        own : Path, optional
            The folder of this process, which is left out.

        Returns
        -------
        dict of str to str
            Keys of those found and their responses, JSON.
        """
        found: dict[str, str] = {}
        # The runs come first: one that is merged meanwhile is in the database by then.
        for folder in self._runs():
            if folder != own:
                with _claimed(folder, fcntl.LOCK_SH) as is_left:
                    run = _Run(folder, is_left)
                    found.update(_wanted(run, keys))
                    run.complain()
        try:
            with closing(_open(self.database)) as database:
                found.update(_select(database, keys))
        except (sqlite3.Error, FileNotFoundError) as fault:
            if self.database.exists() or self.log.exists():
                logger.warning(f"{self.database} cannot be read ({fault}): its answers are taken from {self.log.name}")
                found.update(_wanted(_LogReader(self.log), keys))
        return found

    def merge(self) -> None:
        """Merge the runs that no process writes any more into `cache.db`, and build that anew if it is damaged.

        A run's folder goes when its answers are safe; a damaged file is moved aside.

        Raises
        ------
        OSError, sqlite3.Error
            If the files cannot be written, or another process merges for over a minute; nothing is lost then.
        """
        if not self._runs() and not self.database.exists() and not self.log.exists():
            return
        with _locked(self.root / "runs" / ".benchc-merge.lock"):
            for folder in self.root.glob(f"runs/{_MERGED}*"):
                shutil.rmtree(folder)
            if not self.database.exists():
                self._build_database()
            try:
                self._merge_runs()
            except sqlite3.DatabaseError as fault:
                if not _is_damage(fault):
                    raise
                self._build_database(fault)
                self._merge_runs()

    def _runs(self) -> list[Path]:
        return sorted(self.root.glob("runs/benchc-*"))

    def _merge_runs(self) -> None:
        with closing(_open(self.database)) as database:
            for folder in self._runs():
                with _claimed(folder, fcntl.LOCK_EX) as is_left:
                    if is_left:
                        self._merge_run(database, folder)

    def _merge_run(self, database: sqlite3.Connection, folder: Path) -> None:
        run = _Run(folder, with_database=True)
        with closing(_LogWriter(self.log)) as log:
            for chunk in _chunks(run, _CHUNK):
                known = _select(database, [answer.cache_key for answer in chunk])
                added = [answer for answer in chunk if answer.cache_key not in known]
                log.write(added)
                database.executemany(_INSERT, added)
        database.commit()
        if run.complain():
            folder.rename(folder.with_name(f"damaged-{folder.name}"))
        else:
            # Out of sight first: a process that is killed here leaves no folder that lacks a file.
            shutil.rmtree(folder.rename(folder.with_name(f"{_MERGED}{folder.name}")))

    def _build_database(self, damage: sqlite3.Error | None = None) -> None:
        built = self.database.with_name(f".{self.database.name}.{uuid.uuid4().hex}")
        reader = _LogReader(self.log)
        try:
            with closing(sqlite3.connect(built)) as database:
                _create_tables(database)
                for chunk in _chunks(reader, _CHUNK):
                    database.executemany(_INSERT, chunk)
                database.commit()
            aside = _move_aside(self.database)
            if damage is not None:
                logger.warning(
                    f"{self.database} is damaged ({damage}) and was moved to {aside.name}: "
                    f"{reader.read:,} answers were taken from {self.log.name}{reader.remark()}"
                )
            built.replace(self.database)
        except BaseException:
            built.unlink(missing_ok=True)
            raise


class _LogReader:
    """The answers of a log, and how many of its lines cannot be read; none if there is no such file."""

    def __init__(self, path: Path) -> None:
        self.read = 0
        self.unreadable = 0
        self._path = path

    def __iter__(self) -> Iterator[Answer]:
        with suppress(FileNotFoundError), self._path.open("rb") as lines:
            for line in lines:
                try:
                    answer = Answer.from_line(line)
                except ValueError:
                    self.unreadable += 1
                    continue
                if answer is not None:
                    self.read += 1
                    yield answer

    def remark(self) -> str:
        return f", which is cut or unreadable in {self.unreadable:,} lines" if self.unreadable else ""


class _LogWriter:
    """Adds to a log, all or nothing."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644)
        self._size = os.fstat(self._file).st_size
        if self._size and os.pread(self._file, 1, self._size - 1) != b"\n":
            self._append(b"\n")

    def write(self, answers: Iterable[Answer]) -> None:
        self._append(b"".join(answer.to_line() for answer in answers))

    def close(self) -> None:
        os.fsync(self._file)
        os.close(self._file)

    def _append(self, data: bytes) -> None:
        _append(self._file, data, self._size)
        self._size += len(data)


class _Run:
    """The answers in a run's folder, each once, and what is wrong with its files.

    Of a run that lives only the log is read.
    """

    def __init__(self, folder: Path, with_database: bool) -> None:
        self._folder = folder
        self._log = _LogReader(_only(folder, "rank_*.audit.jsonl"))
        self._database = _only(folder, "rank_*.db") if with_database else None
        self._complaints: list[str] = []

    def __iter__(self) -> Iterator[Answer]:
        seen = set()
        for answer in self._log:
            seen.add(answer.cache_key)
            yield answer
        if self._database is None:
            return
        rescued = 0
        try:
            with closing(_open(self._database)) as database:
                for row in database.execute(f"SELECT {_COLUMNS} FROM responses"):
                    answer = Answer(*row)
                    if answer.cache_key not in seen and is_written_answer(answer.request_type, answer.response):
                        rescued += 1
                        yield answer
        except (sqlite3.Error, FileNotFoundError) as fault:
            # A process that is killed at its start leaves two empty files.
            if seen or (self._database.exists() and self._database.stat().st_size > 0):
                self._complaints.append(f"its database cannot be read ({fault})")
        if self._log.unreadable or rescued:
            self._complaints.append(
                f"its log is cut or unreadable in {self._log.unreadable:,} lines, and {rescued:,} answers that it "
                "lacks were taken from its database"
            )

    def complain(self) -> bool:
        """Say what is wrong with the files, and tell whether anything is."""
        if self._complaints:
            logger.warning(
                f"the answers of a run that did not end are damaged in {self._folder}: {'; '.join(self._complaints)}"
            )
        return bool(self._complaints)


def _only(folder: Path, pattern: str) -> Path:
    return next(folder.glob(pattern), folder / pattern)


def _wanted(answers: Iterable[Answer], keys: Collection[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for answer in answers:
        if answer.cache_key in keys:
            found.setdefault(answer.cache_key, answer.response)
    return found


def _create_tables(database: sqlite3.Connection) -> None:
    database.executescript(_SCHEMA)
    database.execute("INSERT INTO meta VALUES ('schema_version', ?)", (str(LOG_VERSION),))
    database.commit()


def _select(database: sqlite3.Connection, keys: Iterable[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for chunk in _chunks(keys, _CHUNK):
        places = ", ".join("?" * len(chunk))
        rows = database.execute(
            f"SELECT cache_key, request_type, response FROM responses WHERE cache_key IN ({places})", chunk
        )
        found.update(
            (key, response) for key, request_type, response in rows if is_written_answer(request_type, response)
        )
    return found


def _open(path: Path) -> sqlite3.Connection:
    """Open a database that must exist; a transaction that was cut off is rolled back where the disk can be written.

    Raises
    ------
    FileNotFoundError, sqlite3.Error
        If it is missing, is none, or is cut.
    """
    if not path.exists():
        raise FileNotFoundError(errno.ENOENT, "it is missing", str(path))
    database = sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True, timeout=_BUSY_SECONDS)
    try:
        database.execute("SELECT 1 FROM responses LIMIT 1")
        ((pages,),) = database.execute("PRAGMA page_count")
        ((page_size,),) = database.execute("PRAGMA page_size")
        missing = pages * page_size - path.stat().st_size
        # SQLite reads zeros where the last page is cut. What lmms-eval itself writes may wait in a file of its own.
        if missing > 0 and not path.with_name(f"{path.name}-wal").exists():
            raise sqlite3.DatabaseError(f"{missing:,} bytes are missing at its end")
    except BaseException:
        database.close()
        raise
    return database


def _is_damage(fault: sqlite3.Error) -> bool:
    """Tell a damaged database from one that cannot be used at this moment."""
    return type(fault) is sqlite3.DatabaseError or "no such table" in str(fault)


def _move_aside(path: Path) -> Path:
    aside = next(
        place for number in count(1) if not (place := path.with_name(f"{path.name}.damaged-{number}")).exists()
    )
    # A journal of the old database would be played into the new one.
    for suffix in ("-journal", "-wal", "-shm", ""):
        with suppress(FileNotFoundError):
            path.with_name(path.name + suffix).replace(aside.with_name(aside.name + suffix))
    return aside


@contextmanager
def _claimed(folder: Path, kind: int) -> Iterator[bool]:
    """Hold the lock of a run's log, and tell whether it could be had: whether no process writes it any more."""
    try:
        file = os.open(_only(folder, "rank_*.audit.jsonl"), os.O_RDWR if kind == fcntl.LOCK_EX else os.O_RDONLY)
    except FileNotFoundError:
        yield True
        return
    try:
        is_left = True
        try:
            fcntl.flock(file, kind | fcntl.LOCK_NB)
        except OSError:
            is_left = False
        yield is_left
    finally:
        os.close(file)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    path.parent.mkdir(parents=True, exist_ok=True)
    file = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        deadline = time.monotonic() + _LOCK_SECONDS
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise TimeoutError(f"another process has held {path} for {_LOCK_SECONDS:.0f} s") from None
                time.sleep(0.05)
        yield
    finally:
        os.close(file)


def _append(file: int, data: bytes, size: int) -> None:
    """Append to a file of `size` bytes, which are all it has if that fails."""
    try:
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(file, rest) :]
    except OSError:
        os.ftruncate(file, size)
        raise


def _chunks(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    iterator = iter(items)
    while chunk := list(islice(iterator, size)):
        yield chunk
