"""Answers on disk: killed writers, cut files, full disks, and two processes at once."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from disks import disk
from lmms_eval.caching.response_cache import ResponseCache

from benchc_tasks.stacks import answer_store as answer_files
from benchc_tasks.stacks.answer_store import SYNC_INTERVAL, Answer, AnswerFolder, AnswerLog, is_answer
from support import logged

MANY = 3 * SYNC_INTERVAL + 100


def answers(count: int, *, first: int = 0) -> list[Answer]:
    return [
        Answer(f"key-{number:06d}", "loglikelihood", "fog", number // 4, number % 4, "{}", f"[-{number}.5, true]", 1.0)
        for number in range(first, first + count)
    ]


def responses(count: int, *, first: int = 0) -> dict[str, str]:
    return {answer.cache_key: answer.response for answer in answers(count, first=first)}


def write(log: AnswerLog, count: int, *, first: int = 0) -> None:
    written = answers(count, first=first)
    for start in range(0, count, 4):
        log.write(written[start : start + 4])


def in_killed_process(work: Callable[[], object]) -> None:
    """Do something in a forked process that is killed as `kill -9` does, at the end at the latest."""
    process = os.fork()
    if process == 0:
        try:
            work()
        finally:
            os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(process, 0)


def killed_run(root: Path, count: int = MANY, *, first: int = 0) -> Path:
    """Leave what a process leaves that is killed after so many answers."""
    known = set(root.glob("runs/benchc-*"))
    in_killed_process(lambda: write(AnswerLog(root), count, first=first))
    (folder,) = set(root.glob("runs/benchc-*")) - known
    return folder


def ended_run(root: Path, count: int = MANY, *, first: int = 0) -> Path:
    log = AnswerLog(root)
    write(log, count, first=first)
    log.close()
    return log.folder


@pytest.fixture
def tmp_path(tmp_path: Path) -> Iterator[Path]:
    """A folder in memory where there is such a place: what is tested here syncs files hundreds of times."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if os.access(memory, os.W_OK) else tmp_path) as folder:
        yield Path(folder)


@pytest.fixture
def warnings() -> Iterator[list[str]]:
    with logged() as lines:
        yield lines


def stored(folder: AnswerFolder) -> dict[str, str]:
    with sqlite3.connect(folder.database) as database:
        return dict(database.execute("SELECT cache_key, response FROM responses"))


def in_log(path: Path) -> list[str]:
    return [json.loads(line)["cache_key"] for line in path.read_bytes().splitlines()]


def test_an_answer_is_a_line_and_back():
    for answer in (*answers(3), Answer("k", "generate_until", "t", "id é", 0, '{"a": 1}', '"B\\nnext"', 2.5)):
        line = answer.to_line()
        assert line.endswith(b"\n")
        assert line.count(b"\n") == 1
        assert Answer.from_line(line) == answer


LINE = answers(1)[0].to_line()


@pytest.mark.parametrize(
    "line",
    [
        LINE[:-1],
        LINE[:40] + b"\n",
        b"\n",
        b"[]\n",
        b"\xff\n",
        LINE.replace(b": 3", b": 4"),
        LINE.replace(b'"idx"', b'"ix"'),
    ],
    ids=["cut at its end", "cut", "empty", "no object", "no text", "another version", "a name missing"],
)
def test_a_line_that_is_none_of_a_log_is_refused(line):
    with pytest.raises(ValueError):  # noqa: PT011  # JSON's own sentences
        Answer.from_line(line)


@pytest.mark.parametrize(
    "changed",
    [
        LINE.replace(b'"deterministic": true', b'"deterministic": false'),
        LINE.replace(b"key-000000", b""),
        answers(1)[0]._replace(response='"no answer: the image is broken"').to_line(),
        answers(1)[0]._replace(response="[NaN, false]").to_line(),
    ],
    ids=["drawn at random", "without a key", "a reason", "nan"],
)
def test_a_line_that_holds_no_answer_is_passed_over(changed):
    assert Answer.from_line(changed) is None


@pytest.mark.parametrize(
    ("request_type", "response", "expected"),
    [
        ("loglikelihood", (-0.5, True), True),
        ("loglikelihood", [-0.5, True, 0.25], True),
        ("loglikelihood", (float("-inf"), False), True),
        ("loglikelihood", (float("nan"), False), False),
        ("loglikelihood", "no answer: sample 'a' under fog@3: too large", False),
        ("loglikelihood", None, False),
        ("generate_until", "B", True),
        ("generate_until", " \n", False),
        ("generate_until", "no answer: the server is gone", False),
        ("generate_until", "[LMMS_EVAL_REQUEST_FAILED after 3 retries] Connection error.", False),
        ("generate_until_multi_round", ["A", "B"], True),
    ],
)
def test_what_is_an_answer(request_type, response, expected):
    assert is_answer(request_type, response) is expected


def test_a_killed_process_loses_nothing_that_was_written(tmp_path, warnings):
    killed_run(tmp_path)
    folder = AnswerFolder(tmp_path)
    assert folder.find(responses(MANY)) == responses(MANY)
    assert folder.find({"key-000007", "another"}) == {"key-000007": "[-7.5, true]"}
    folder.merge()
    assert stored(folder) == responses(MANY)
    assert sorted(in_log(folder.log)) == sorted(responses(MANY))
    assert not list(tmp_path.glob("runs/benchc-*"))
    assert folder.find(responses(MANY)) == responses(MANY)
    assert warnings == []


def test_merging_again_adds_only_what_is_new(tmp_path):
    folder = AnswerFolder(tmp_path)
    for first in (0, 100, 100):
        killed_run(tmp_path, 200, first=first)
        folder.merge()
    assert stored(folder) == responses(300)
    assert len(in_log(folder.log)) == 300


def test_what_is_kept_first_stays(tmp_path):
    folder = AnswerFolder(tmp_path)
    ended_run(tmp_path, 4)
    folder.merge()
    log = AnswerLog(tmp_path)
    log.write([answer._replace(response="[-1.0, false]") for answer in answers(4)])
    log.close()
    assert folder.find(responses(4)) == responses(4)
    folder.merge()
    assert stored(folder) == responses(4)


def test_nothing_to_merge_writes_nothing(tmp_path):
    AnswerFolder(tmp_path / "not there").merge()
    assert not (tmp_path / "not there").exists()


def cuts(size: int, seed: int) -> list[int]:
    draw = random.Random(seed)
    return [0, 1, size - 1, *(draw.randrange(2, size - 1) for _ in range(6))]


def cut(path: Path, size: int) -> None:
    os.truncate(path, size)


def test_a_cut_database_is_built_anew_from_the_log(tmp_path, warnings):
    ended_run(tmp_path / "whole")
    AnswerFolder(tmp_path / "whole").merge()
    for number, size in enumerate(cuts((tmp_path / "whole" / "cache.db").stat().st_size, seed=1)):
        root = tmp_path / f"cut-{number}"
        shutil.copytree(tmp_path / "whole", root)
        folder = AnswerFolder(root)
        cut(folder.database, size)
        left = folder.database.read_bytes()
        warnings.clear()
        assert folder.find(responses(MANY)) == responses(MANY), size
        assert len(warnings) == 1, (size, warnings)
        assert folder.database.read_bytes() == left
        warnings.clear()
        folder.merge()
        assert len(warnings) == 1, (size, warnings)
        assert f"{MANY:,} answers were taken from cache.audit.jsonl" in warnings[0]
        assert (root / "cache.db.damaged-1").read_bytes() == left
        assert stored(folder) == responses(MANY)
        folder.merge()
        assert len(warnings) == 1, size


def test_a_cut_log_of_merged_answers_harms_nothing(tmp_path, warnings):
    ended_run(tmp_path, 100)
    folder = AnswerFolder(tmp_path)
    folder.merge()
    cut(folder.log, folder.log.stat().st_size - 7)
    assert folder.find(responses(100)) == responses(100)
    ended_run(tmp_path, 10, first=100)
    folder.merge()
    assert stored(folder) == responses(110)
    # The line that was cut has an end of its own, so that those behind it can be read.
    cut(folder.database, 0)
    assert folder.find(responses(110)) == {**responses(99), **responses(10, first=100)}
    folder.merge()
    assert "which is cut or unreadable in 1 lines" in warnings[-1]


@pytest.mark.parametrize("leave", [ended_run, killed_run])
def test_a_cut_file_of_a_run_is_made_up_for_by_the_other(tmp_path, warnings, leave):
    whole = leave(tmp_path / "whole")
    # A killed run's database ends with the last full transaction.
    in_database = MANY if leave is ended_run else MANY // SYNC_INTERVAL * SYNC_INTERVAL
    for name in ("rank_0.db", "rank_0.audit.jsonl"):
        for number, size in enumerate(cuts((whole / name).stat().st_size, seed=2)):
            root = tmp_path / f"{name}-{number}"
            shutil.copytree(tmp_path / "whole", root)
            folder = AnswerFolder(root)
            (run,) = root.glob("runs/benchc-*")
            cut(run / name, size)
            left = (run / name).read_bytes()
            kept = MANY if name == "rank_0.db" else max(in_database, left.count(b"\n"))
            warnings.clear()
            assert folder.find(responses(MANY)) == responses(kept), (name, size)
            assert len(warnings) == 1, (name, size, warnings)
            assert str(run) in warnings[0]
            folder.merge()
            assert len(warnings) == 2, (name, size, warnings)
            assert stored(folder) == responses(kept), (name, size)
            assert (run.with_name(f"damaged-{run.name}") / name).read_bytes() == left
            folder.merge()
            assert folder.find(responses(MANY)) == responses(kept)
            assert len(warnings) == 2


def test_what_a_process_leaves_that_is_killed_at_its_start_is_no_damage(tmp_path, warnings):
    killed_run(tmp_path, 0)
    folder = AnswerFolder(tmp_path)
    (run,) = tmp_path.glob("runs/benchc-*")
    cut(run / "rank_0.db", 0)
    assert folder.find(responses(8)) == {}
    folder.merge()
    assert warnings == []
    assert not run.exists()


def test_two_damaged_files_are_moved_aside(tmp_path, warnings):
    run = ended_run(tmp_path)
    cut(run / "rank_0.audit.jsonl", 0)
    cut(run / "rank_0.db", 5000)
    AnswerFolder(tmp_path).merge()
    assert len(warnings) == 1
    assert (run.with_name(f"damaged-{run.name}") / "rank_0.db").stat().st_size == 5000


def test_a_database_that_lmms_eval_wrote_is_read_and_added_to(tmp_path, warnings):
    folder = AnswerFolder(tmp_path)
    ended_run(tmp_path / "theirs", 8, first=100)
    (theirs,) = tmp_path.glob("theirs/runs/benchc-*/rank_0.db")
    assert ResponseCache.merge_shards([str(theirs)], str(folder.database)) == 8
    with sqlite3.connect(folder.database) as database:
        assert database.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    killed_run(tmp_path, 8)
    assert len(folder.find(responses(8) | responses(8, first=100))) == 16
    folder.merge()
    assert stored(folder) == responses(8) | responses(8, first=100)
    assert warnings == []


def test_a_process_killed_at_any_moment_of_a_merge_loses_nothing(tmp_path, warnings):
    ended_run(tmp_path / "whole", 300)
    AnswerFolder(tmp_path / "whole").merge()
    killed_run(tmp_path / "whole", 200, first=200)
    ended_run(tmp_path / "whole", 100, first=400)
    number = 0

    def merge_and_die(root: Path, moment: int) -> None:
        passed = 0

        def watched(event: str, _: object) -> None:
            nonlocal passed
            if event in {"open", "os.rename", "os.remove", "os.rmdir", "sqlite3.connect", "sqlite3.connect/handle"}:
                passed += 1
                if passed == moment:
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(watched)
        AnswerFolder(root).merge()
        (root / "merged").touch()

    while number == 0 or not (tmp_path / f"killed-{number}" / "merged").exists():
        number += 1
        assert number < 100
        root = tmp_path / f"killed-{number}"
        shutil.copytree(tmp_path / "whole", root)
        in_killed_process(lambda root=root, moment=number: merge_and_die(root, moment))
        folder = AnswerFolder(root)
        assert folder.find(responses(500)) == responses(500), number
        folder.merge()
        assert stored(folder) == responses(500), number
        assert set(in_log(folder.log)) == set(responses(500)), number
        folder.merge()
        assert [path.name for path in root.glob("runs/*")] == [".benchc-merge.lock"]
    assert number > 10
    assert warnings == []


def test_a_database_that_is_damaged_within_is_built_anew_when_it_is_met(tmp_path, warnings):
    ended_run(tmp_path)
    folder = AnswerFolder(tmp_path)
    folder.merge()
    damaged = bytearray(folder.database.read_bytes())
    damaged[8192:40960] = bytes(40960 - 8192)
    folder.database.write_bytes(damaged)
    ended_run(tmp_path, 100, first=MANY)
    assert folder.find(responses(MANY + 100)) == responses(MANY + 100)
    folder.merge()
    assert stored(folder) == responses(MANY + 100)
    assert len(warnings) == 2
    assert (tmp_path / "cache.db.damaged-1").read_bytes() == bytes(damaged)


def test_a_journal_of_a_lost_database_is_not_played_into_the_new_one(tmp_path, warnings):
    ended_run(tmp_path)
    folder = AnswerFolder(tmp_path)
    folder.merge()

    def change_all_answers() -> None:
        database = sqlite3.connect(folder.database)
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("UPDATE responses SET response = '[-0.1, true]'")
        database.commit()
        os.kill(os.getpid(), signal.SIGKILL)

    in_killed_process(change_all_answers)
    assert (tmp_path / "cache.db-wal").stat().st_size > 0
    folder.database.unlink()
    assert folder.find(responses(MANY)) == responses(MANY)
    assert len(warnings) == 1
    folder.merge()
    assert stored(folder) == responses(MANY)
    assert (tmp_path / "cache.db.damaged-1-wal").exists()


def test_a_database_that_another_process_writes_is_no_damaged_one(tmp_path, monkeypatch, warnings):
    monkeypatch.setattr(answer_files, "_BUSY_SECONDS", 0.1)
    folder = AnswerFolder(tmp_path)
    ended_run(tmp_path, 8)
    folder.merge()
    killed_run(tmp_path, 8, first=8)
    with closing(sqlite3.connect(folder.database)) as database:
        database.execute("BEGIN EXCLUSIVE")
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            folder.merge()
        assert folder.find(responses(16)) == responses(16)
        assert len(warnings) == 1
    folder.merge()
    assert stored(folder) == responses(16)
    assert len(warnings) == 1
    assert not list(tmp_path.glob("*damaged*"))


LIVE = """
import sys, time
from pathlib import Path
from benchc_tasks.stacks.answer_store import Answer, AnswerLog
log = AnswerLog(Path(sys.argv[1]))
for n in range(10):
    log.write([Answer(f"key-{n:06d}", "loglikelihood", "fog", n // 4, n % 4, "{}", f"[-{n}.5, true]", 1.0)])
print("written", flush=True)
sys.stdin.readline()
log.write([Answer("late", "loglikelihood", "fog", 9, 0, "{}", "[-9.0, true]", 1.0)])
print("written", flush=True)
time.sleep(600)
"""


def test_a_run_that_lives_is_read_and_not_merged(tmp_path, warnings):
    folder = AnswerFolder(tmp_path)
    live = subprocess.Popen(
        [sys.executable, "-c", LIVE, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert live.stdout.readline() == "written\n"
        killed_run(tmp_path, 10, first=10)
        folder.merge()
        assert stored(folder) == responses(10, first=10)
        assert len(list(tmp_path.glob("runs/benchc-*"))) == 1
        assert folder.find(responses(20)) == responses(20)
        live.stdin.write("go on\n")
        live.stdin.flush()
        assert live.stdout.readline() == "written\n"
        assert folder.find({"late"}) == {"late": "[-9.0, true]"}
    finally:
        live.kill()
        live.wait()
        live.stdin.close()
        live.stdout.close()
    folder.merge()
    assert stored(folder) == {**responses(20), "late": "[-9.0, true]"}
    assert warnings == []


def test_a_log_ends_with_a_whole_line_where_the_disk_gets_full(tmp_path):
    with disk(tmp_path / "disk", size=1 << 20) as small:
        log = AnswerLog(small.path)
        write(log, 4)
        small.fill()
        with pytest.raises(OSError, match="No space left"):
            write(log, SYNC_INTERVAL - 8, first=4)
        (path,) = log.folder.glob("*.jsonl")
        assert 4 < log.written < SYNC_INTERVAL
        assert in_log(path) == list(responses(log.written))
        assert path.read_bytes().endswith(b"\n")
        small.make_room()
        log.close()


def test_a_process_leaves_its_own_run_out(tmp_path):
    log = AnswerLog(tmp_path)
    write(log, 8)
    assert AnswerFolder(tmp_path).find(responses(8), own=log.folder) == {}
    assert log.find(responses(8)) == responses(8)
    assert log.written == 8
    log.close()


def test_without_locks_runs_are_read_and_never_merged(tmp_path, monkeypatch):
    def refuse(*_: object) -> None:
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr(answer_files.fcntl, "flock", refuse)
    ended_run(tmp_path, 8)
    folder = AnswerFolder(tmp_path)
    with pytest.raises(OSError, match="not implemented"):
        folder.merge()
    assert folder.find(responses(8)) == responses(8)
    assert len(list(tmp_path.glob("runs/benchc-*"))) == 1


def test_who_waits_for_another_merge_too_long_says_so(tmp_path, monkeypatch):
    killed_run(tmp_path, 8)
    monkeypatch.setattr(answer_files, "_LOCK_SECONDS", 0.1)
    with (
        answer_files._locked(tmp_path / "runs" / ".benchc-merge.lock"),
        pytest.raises(TimeoutError, match=r"merge\.lock"),
    ):
        AnswerFolder(tmp_path).merge()
    AnswerFolder(tmp_path).merge()
    assert stored(AnswerFolder(tmp_path)) == responses(8)


def test_two_processes_may_merge_at_once(tmp_path):
    for first in range(0, 1000, 100):
        killed_run(tmp_path, 100, first=first)
    script = (
        "import sys; from pathlib import Path; from benchc_tasks.stacks.answer_store import AnswerFolder; "
        "AnswerFolder(Path(sys.argv[1])).merge()"
    )
    merging = [subprocess.Popen([sys.executable, "-c", script, str(tmp_path)]) for _ in range(2)]
    assert [process.wait(timeout=60) for process in merging] == [0, 0]
    assert stored(AnswerFolder(tmp_path)) == responses(1000)
    assert len(in_log(tmp_path / "cache.audit.jsonl")) == 1000


def test_keeping_an_answer_takes_little_time(tmp_path):
    log = AnswerLog(tmp_path)
    started = time.process_time()
    write(log, 4000)
    spent = time.process_time() - started
    log.close()
    assert spent / 1000 < 0.001
