"""Answers on disk: killed writers, cut and damaged files, full disks, and two processes at once."""

from __future__ import annotations

import itertools
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import filelock
import pytest
from disks import disk

from benchc_tasks.stacks import answer_store
from benchc_tasks.stacks.answer_store import SYNC_INTERVAL, AnswerStore, Row, answer_key
from support import logged

MANY = (3 * SYNC_INTERVAL + 100) // 4
"""Questions of four options each; the last of them were not synced."""


def key(number: int) -> str:
    return answer_key(f"question {number}")


def responses(count: int, *, first: int = 0) -> dict[str, list[Any]]:
    return {key(n): [[-n - option / 4, option == 0] for option in range(4)] for n in range(first, first + count)}


def keep(store: AnswerStore, count: int, *, first: int = 0) -> None:
    for name, answers in responses(count, first=first).items():
        store.keep(name, answers)


def in_killed_process(work: Callable[[], object]) -> None:
    """Do something in a forked process that is killed as `kill -9` does, at the end at the latest."""
    process = os.fork()
    if process == 0:
        try:
            work()
        finally:
            os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(process, 0)


def killed_run(folder: Path, count: int = MANY, *, first: int = 0) -> Path:
    """Leave what a process leaves that is killed after so many questions."""
    known = set(folder.glob("run-*.log"))

    def work() -> None:
        store = AnswerStore(folder)
        store.open()
        keep(store, count, first=first)

    in_killed_process(work)
    (log,) = set(folder.glob("run-*.log")) - known
    return log


def ended_run(folder: Path, count: int = MANY, *, first: int = 0) -> Path:
    known = set(folder.glob("run-*.log"))
    store = AnswerStore(folder)
    keep(store, count, first=first)
    store.close()
    (log,) = set(folder.glob("run-*.log")) - known
    return log


def merged(folder: Path) -> AnswerStore:
    store = AnswerStore(folder)
    store.merge()
    return store


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


def in_file(path: Path) -> dict[str, list[Any]]:
    rows = [Row.from_line(line) for line in path.read_bytes().split(b"\n")[:-1]]
    assert None not in rows
    return {row.key: json.loads(row.responses) for row in sorted(row for row in rows if row is not None)}


def stored(folder: Path) -> dict[str, list[Any]]:
    """What the merged log has, and so its copy."""
    assert (folder / "answers.log").read_bytes() == (folder / "answers.copy").read_bytes()
    return in_file(folder / "answers.log")


def set_aside(folder: Path) -> set[bytes]:
    return {path.read_bytes() for path in folder.glob("damaged/*")}


ROW = Row(key(0), 0, '[[-0.5, true], "é B\\nnext"]')


def test_a_row_is_a_line_and_back():
    for row in (ROW, Row(key(1), 3, "[]"), Row(key(2), 0, '["a b  c"]')):
        line = row.to_line()
        assert line.endswith(b"\n")
        assert line.count(b"\n") == 1
        assert Row.from_line(line[:-1]) == row


LINE = ROW.to_line()[:-1]


@pytest.mark.parametrize(
    "line",
    [LINE[:-1], LINE[:40], LINE[:16], b"", b"[]", b"\xff", LINE.upper(), LINE + b" ", b" " + LINE, LINE + b"\r"],
)
def test_a_line_that_is_no_row_is_refused(line):
    assert Row.from_line(line) is None


def test_every_changed_byte_of_a_line_is_seen():
    for place, value in itertools.product(range(len(LINE)), (1, 2, 4, 8, 16, 32, 64, 128)):
        assert Row.from_line(LINE[:place] + bytes([LINE[place] ^ value]) + LINE[place + 1 :]) is None


def test_different_identities_have_different_keys():
    identities = [("a", "b"), ("ab",), ("a", "", "b"), ("a", "b", ""), ('a", "b',), ("b", "a"), ("a b",), ("\ud800",)]
    assert len({answer_key(*identity) for identity in identities}) == len(identities)


def test_a_killed_process_loses_nothing_that_was_written(tmp_path, warnings):
    killed_run(tmp_path)
    store = AnswerStore(tmp_path)
    assert store.find(responses(MANY)) == responses(MANY)
    assert store.find({key(7), "another"}) == responses(1, first=7)
    store.merge()
    assert stored(tmp_path) == responses(MANY)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["answers.copy", "answers.log", "merge.lock"]
    assert store.find(responses(MANY)) == responses(MANY)
    assert warnings == []


def test_merging_again_adds_only_what_is_new(tmp_path):
    for first in (0, 100, 100):
        killed_run(tmp_path, 200, first=first)
        merged(tmp_path)
    assert stored(tmp_path) == responses(300)
    assert len((tmp_path / "answers.log").read_bytes().splitlines()) == 300


@pytest.mark.parametrize("are_merged", [False, True])
def test_rows_that_disagree_are_asked_again_and_replaced(tmp_path, warnings, are_merged):
    ended_run(tmp_path, 4)
    other = AnswerStore(tmp_path)
    for name in responses(2):
        other.keep(name, [[-1.0, False]] * 4)
    other.close()
    if are_merged:
        merged(tmp_path)
    store = AnswerStore(tmp_path)
    assert store.find(responses(4)) == responses(2, first=2)
    assert len(warnings) == 1
    assert "2 questions are asked again" in warnings[0]
    keep(store, 2)
    for _ in range(2):
        assert AnswerStore(tmp_path).find(responses(4)) == responses(4)
        store.close()
        store.merge()
    assert stored(tmp_path) == responses(4)
    assert len(warnings) == 1


def test_rows_that_disagree_again_are_asked_once_more(tmp_path, warnings):
    for attempt in range(2):
        stores = [AnswerStore(tmp_path) for _ in range(2)]
        assert [store.find([key(0)]) for store in stores] == [{}, {}]
        for number, store in enumerate(stores):
            store.keep(key(0), [attempt, number])
            store.close()
    store = merged(tmp_path)
    assert store.find([key(0)]) == {}
    store.keep(key(0), ["at last"])
    assert store.find([key(0)]) == {key(0): ["at last"]}


def test_nothing_to_merge_writes_nothing(tmp_path):
    merged(tmp_path / "not there")
    assert not (tmp_path / "not there").exists()


def cuts(size: int, seed: int) -> list[int]:
    draw = random.Random(seed)
    return [0, 1, size - 1, *(draw.randrange(2, size - 1) for _ in range(6))]


def cut(path: Path, size: int) -> None:
    os.truncate(path, size)


def test_a_cut_log_is_mended_from_its_copy(tmp_path, warnings):
    ended_run(tmp_path / "whole")
    merged(tmp_path / "whole")
    for number, size in enumerate(cuts((tmp_path / "whole" / "answers.log").stat().st_size, seed=1)):
        folder = tmp_path / f"cut-{number}"
        shutil.copytree(tmp_path / "whole", folder)
        cut(folder / "answers.log", size)
        left = (folder / "answers.log").read_bytes()
        warnings.clear()
        store = AnswerStore(folder)
        assert store.find(responses(MANY)) == responses(MANY), size
        # A log that lacks nothing but its last line's end is whole.
        damage = 0 if left + b"\n" == (folder / "answers.copy").read_bytes() else 1
        assert len(warnings) == damage, (size, warnings)
        assert (folder / "answers.log").read_bytes() == left
        warnings.clear()
        store.merge()
        assert len(warnings) == damage, (size, warnings)
        if damage:
            assert f"of {MANY:,} were taken from the copy" in warnings[0]
            assert left in set_aside(folder)
        assert stored(folder) == responses(MANY)
        store.merge()
        assert len(warnings) == damage, size


def test_a_cut_copy_of_merged_answers_harms_nothing(tmp_path, warnings):
    ended_run(tmp_path, 100)
    store = merged(tmp_path)
    cut(tmp_path / "answers.copy", (tmp_path / "answers.copy").stat().st_size - 7)
    assert store.find(responses(100)) == responses(100)
    ended_run(tmp_path, 10, first=100)
    store.merge()
    assert stored(tmp_path) == responses(110)
    # Both are cut now, and the rows that either has are there.
    cut(tmp_path / "answers.copy", (tmp_path / "answers.copy").stat().st_size - 7)
    cut(tmp_path / "answers.log", 7)
    assert store.find(responses(110)) == responses(109)
    warnings.clear()
    store.merge()
    assert "2 rows are unreadable" in warnings[-1]
    assert stored(tmp_path) == responses(109)


@pytest.mark.parametrize("leave", [ended_run, killed_run])
def test_a_cut_file_of_a_run_is_made_up_for_by_the_other(tmp_path, warnings, leave):
    log = leave(tmp_path / "whole")
    # A killed run's copy ends with the last sync.
    in_copy = MANY if leave is ended_run else MANY * 4 // SYNC_INTERVAL * SYNC_INTERVAL // 4
    assert len(in_file(log)) == MANY
    assert len(in_file(log.with_suffix(".copy"))) == in_copy
    for suffix in (".copy", ".log"):
        whole = log.with_suffix(suffix).read_bytes()
        for number, size in enumerate(cuts(len(whole), seed=2)):
            folder = tmp_path / f"{suffix}-{number}"
            shutil.copytree(tmp_path / "whole", folder)
            path = folder / log.with_suffix(suffix).name
            cut(path, size)
            left = path.read_bytes()
            *_, rest = left.split(b"\n")
            # A row that lacks nothing but its end is whole.
            rows = left.count(b"\n") + (Row.from_line(rest) is not None)
            kept = MANY if suffix == ".copy" else max(in_copy, rows)
            warnings.clear()
            store = AnswerStore(folder)
            assert store.find(responses(MANY)).keys() >= responses(kept - 1).keys(), (suffix, size)
            # What is missing at the end of a log may be on its way, unless the copy has it.
            assert len(warnings) == (suffix == ".log" and left.count(b"\n") < in_copy), (suffix, size, warnings)
            warnings.clear()
            store.merge()
            is_row_cut = bool(rest) and Row.from_line(rest) is None
            assert len(warnings) == (is_row_cut or (suffix == ".log" and rows < in_copy)), (suffix, size, warnings)
            assert all(str(folder / log.name) in line for line in warnings)
            assert stored(folder) == responses(kept), (suffix, size)
            assert left in set_aside(folder) or not warnings
            warnings.clear()
            store.merge()
            assert store.find(responses(MANY)) == responses(kept)
            assert not warnings


def test_what_a_process_leaves_that_is_killed_at_its_start_is_no_damage(tmp_path, warnings):
    log = killed_run(tmp_path, 0)
    store = AnswerStore(tmp_path)
    assert store.find(responses(8)) == {}
    store.merge()
    assert warnings == []
    assert not log.exists()
    assert not log.with_suffix(".lock").exists()


def test_two_damaged_files_are_kept_aside(tmp_path, warnings):
    log = ended_run(tmp_path)
    cut(log, 0)
    cut(log.with_suffix(".copy"), 5000)
    left = log.with_suffix(".copy").read_bytes()
    merged(tmp_path)
    assert len(warnings) == 1
    assert {b"", left} <= set_aside(tmp_path)
    assert stored(tmp_path) == responses(left.count(b"\n"))


@pytest.mark.parametrize("state", ["merged", "ended"])
@pytest.mark.parametrize("suffix", [".log", ".copy"])
def test_a_file_that_is_gone_is_made_anew(tmp_path, warnings, state, suffix):
    log = ended_run(tmp_path)
    if state == "merged":
        merged(tmp_path)
        log = tmp_path / "answers.log"
    log.with_suffix(suffix).unlink()
    store = AnswerStore(tmp_path)
    assert store.find(responses(MANY)) == responses(MANY)
    warnings.clear()
    store.merge()
    assert len(warnings) == (suffix == ".log")
    assert stored(tmp_path) == responses(MANY)
    assert not list(tmp_path.glob("run-*"))


def damaged(content: bytes, draw: random.Random) -> Iterator[tuple[str, bytes]]:
    """Damage a file in every way: a byte, the end, a row twice, rows in another order, a piece lost or filled."""
    place = draw.randrange(len(content))
    yield f"byte {place}", content[:place] + bytes([content[place] ^ (1 << draw.randrange(8))]) + content[place + 1 :]
    yield f"cut at {place}", content[:place]
    rows = content.splitlines(keepends=True)
    yield "a row twice", b"".join([*rows, draw.choice(rows)])
    yield "another order", b"".join(draw.sample(rows, len(rows)))
    end = draw.randrange(place, len(content))
    yield f"lost from {place} to {end}", content[:place] + content[end:]
    yield f"zeros from {place} to {end}", content[:place] + bytes(end - place) + content[end:]
    yield "empty", b""


@pytest.mark.parametrize("state", ["merged", "ended", "killed", "all"])
def test_no_damage_ever_gives_a_wrong_answer_and_every_answer_can_be_kept_again(tmp_path, state, warnings):
    """A damaged answer is missing, is asked for once, and is there from then on."""
    draw = random.Random(state)
    whole, count = tmp_path / "whole", 6
    if state in {"merged", "all"}:
        ended_run(whole, count)
        merged(whole)
    if state in {"ended", "all"}:
        ended_run(whole, count)
    if state in {"killed", "all"}:
        killed_run(whole, count)
    files = [path.name for path in whole.iterdir() if path.stat().st_size > 0]
    for repetition, name in itertools.product(range(5), files):
        for what, content in damaged((whole / name).read_bytes(), draw):
            folder = tmp_path / "damaged"
            shutil.copytree(whole, folder)
            (folder / name).write_bytes(content)
            for merges_first in (False, True):
                store = AnswerStore(folder)
                if merges_first:
                    store.merge()
                found = store.find(responses(count))
                assert found.items() <= responses(count).items(), (name, what, repetition)
                # Only of a process that was killed before its first sync there is a single copy.
                assert found == responses(count) or state == "killed", (name, what)
            for missing in responses(count).keys() - found.keys():
                store.keep(missing, responses(count)[missing])
            assert store.find(responses(count)) == responses(count), (name, what)
            store.close()
            store.merge()
            assert stored(folder) == responses(count), (name, what)
            warnings.clear()
            assert merged(folder).find(responses(count)) == responses(count)
            assert warnings == []
            shutil.rmtree(folder)


def test_damage_is_counted_once_and_then_mended(tmp_path, warnings):
    log = killed_run(tmp_path, 10)
    content = bytearray(log.read_bytes())
    content[100] ^= 1
    log.write_bytes(content)
    for number in range(3):
        store = merged(tmp_path)
        assert store.find(responses(10)) == responses(9, first=1)
        assert len(warnings) == 1, number
    assert "1 rows are unreadable" in warnings[0]
    assert str(log) in warnings[0]
    assert set_aside(tmp_path) >= {bytes(content)}


def test_a_process_killed_at_any_moment_of_a_merge_loses_nothing(tmp_path, warnings):
    ended_run(tmp_path / "whole", 75)
    merged(tmp_path / "whole")
    killed_run(tmp_path / "whole", 50, first=50)
    ended_run(tmp_path / "whole", 25, first=100)
    number = 0

    def merge_and_die(folder: Path, moment: int) -> None:
        passed = 0

        def watched(event: str, _: object) -> None:
            nonlocal passed
            if event in {"open", "os.rename", "os.remove", "os.rmdir"}:
                passed += 1
                if passed == moment:
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(watched)
        AnswerStore(folder).merge()
        (folder / "merged").touch()

    while number == 0 or not (tmp_path / f"killed-{number}" / "merged").exists():
        number += 1
        assert number < 100
        folder = tmp_path / f"killed-{number}"
        shutil.copytree(tmp_path / "whole", folder)
        in_killed_process(lambda folder=folder, moment=number: merge_and_die(folder, moment))
        store = AnswerStore(folder)
        assert store.find(responses(125)) == responses(125), number
        store.merge()
        assert stored(folder) == responses(125), number
        store.merge()
        left = {path.name for path in folder.iterdir() if path.suffix != ".lock"}
        assert left - {"merged"} == {"answers.log", "answers.copy"}
        assert not list(folder.glob("run-*"))
    assert number > 10
    assert warnings == []


LIVE = """
import sys, time
from pathlib import Path
from benchc_tasks.stacks.answer_store import AnswerStore, answer_key
store = AnswerStore(Path(sys.argv[1]))
for n in range(10):
    store.keep(answer_key(f"question {n}"), [[-n - option / 4, option == 0] for option in range(4)])
print("written", flush=True)
sys.stdin.readline()
store.keep("late", [[-9.0, True]])
print("written", flush=True)
time.sleep(600)
"""


def test_a_run_that_lives_is_read_and_not_merged(tmp_path, warnings):
    store = AnswerStore(tmp_path)
    live = subprocess.Popen(
        [sys.executable, "-c", LIVE, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert live.stdout.readline() == "written\n"
        killed_run(tmp_path, 10, first=10)
        store.merge()
        assert stored(tmp_path) == responses(10, first=10)
        assert len(list(tmp_path.glob("run-*.log"))) == 1
        assert store.find(responses(20)) == responses(20)
        live.stdin.write("go on\n")
        live.stdin.flush()
        assert live.stdout.readline() == "written\n"
        assert store.find({"late"}) == {"late": [[-9.0, True]]}
    finally:
        live.kill()
        live.wait()
        live.stdin.close()
        live.stdout.close()
    store.merge()
    assert stored(tmp_path) == {**responses(20), "late": [[-9.0, True]]}
    assert warnings == []


def test_a_run_of_this_process_is_not_merged_where_lmms_eval_has_made_locks_one_object(tmp_path, monkeypatch):
    from filelock._api import FileLockMeta
    from lmms_eval import evaluator

    # What an evaluation does to the whole process, taken back after the test.
    monkeypatch.setattr(FileLockMeta, "__call__", FileLockMeta.__call__)
    monkeypatch.setattr(evaluator._enable_reentrant_filelocks, "_patched", False, raising=False)
    evaluator._enable_reentrant_filelocks()
    live = AnswerStore(tmp_path)
    keep(live, 2)
    store = merged(tmp_path)
    assert len(list(tmp_path.glob("run-*.log"))) == 1
    keep(live, 2, first=2)
    live.close()
    store.merge()
    assert stored(tmp_path) == responses(4)


def test_a_row_that_is_being_written_is_no_damage(tmp_path, warnings):
    store = AnswerStore(tmp_path)
    keep(store, 2)
    (log,) = tmp_path.glob("run-*.log")
    with log.open("ab") as file:
        file.write(LINE[:50])
    other = merged(tmp_path)
    assert other.find(responses(2)) == responses(2)
    assert warnings == []
    store.close()


def test_a_log_ends_with_a_whole_row_where_the_disk_gets_full(tmp_path):
    with disk(tmp_path / "disk", size=1 << 20) as small:
        store = AnswerStore(small.path)
        keep(store, 1)
        small.fill()
        with pytest.raises(OSError, match="No space left"):
            keep(store, SYNC_INTERVAL // 4 - 2, first=1)
        (log,) = small.path.glob("run-*.log")
        assert 4 < store.written < SYNC_INTERVAL
        assert in_file(log) == responses(store.written // 4)
        assert log.read_bytes().endswith(b"\n")
        small.make_room()
        store.close()
        assert in_file(log.with_suffix(".copy")) == responses(store.written // 4)


def test_a_process_finds_what_it_has_kept(tmp_path):
    store = AnswerStore(tmp_path)
    keep(store, 2)
    assert store.find(responses(2)) == responses(2)
    assert store.written == 8
    store.close()


@pytest.mark.parametrize("fault", [95, 37], ids=["not supported", "no locks available"])
def test_without_locks_runs_are_read_and_never_merged(tmp_path, monkeypatch, fault):
    def refuse(*_: object) -> None:
        raise OSError(fault, "locks are not supported")

    monkeypatch.setattr(filelock.FileLock, "_acquire", refuse)
    ended_run(tmp_path, 8)
    store = AnswerStore(tmp_path)
    with pytest.raises(OSError, match="not supported"):
        store.merge()
    assert store.find(responses(8)) == responses(8)
    assert len(list(tmp_path.glob("run-*.log"))) == 1


def test_lock_files_stand_in_where_the_system_has_no_locks(tmp_path, monkeypatch, warnings):
    """What filelock falls back to, as it does on a Python without `fcntl`."""
    monkeypatch.setattr(answer_store, "_Lock", filelock.SoftFileLock)
    live = AnswerStore(tmp_path)
    keep(live, 2)
    ended_run(tmp_path, 2, first=2)
    store = merged(tmp_path)
    assert stored(tmp_path) == responses(2, first=2)
    assert store.find(responses(4)) == responses(4)
    live.close()
    store.merge()
    assert stored(tmp_path) == responses(4)
    assert warnings == []


def test_the_store_works_without_fcntl(tmp_path):
    script = (
        "import sys; sys.modules['fcntl'] = None; from pathlib import Path; "
        "from benchc_tasks.stacks.answer_store import AnswerStore; store = AnswerStore(Path(sys.argv[1])); "
        "store.keep('key', [1]); store.close(); store.merge(); assert store.find(['key']) == {'key': [1]}"
    )
    subprocess.run([sys.executable, "-W", "ignore", "-c", script, str(tmp_path)], check=True, timeout=60)
    assert AnswerStore(tmp_path).find(["key"]) == {"key": [1]}


def test_who_waits_for_another_merge_too_long_says_so(tmp_path, monkeypatch):
    killed_run(tmp_path, 8)
    monkeypatch.setattr(answer_store, "_LOCK_SECONDS", 0.1)
    with filelock.FileLock(tmp_path / "merge.lock"):
        assert AnswerStore(tmp_path).find(responses(8)) == responses(8)
        with pytest.raises(TimeoutError, match=r"merge\.lock"):
            merged(tmp_path)
    merged(tmp_path)
    assert stored(tmp_path) == responses(8)


def test_two_processes_may_merge_at_once(tmp_path):
    for first in range(0, 250, 25):
        killed_run(tmp_path, 25, first=first)
    script = (
        "import sys; from pathlib import Path; from benchc_tasks.stacks.answer_store import AnswerStore; "
        "AnswerStore(Path(sys.argv[1])).merge()"
    )
    merging = [subprocess.Popen([sys.executable, "-c", script, str(tmp_path)]) for _ in range(2)]
    assert [process.wait(timeout=60) for process in merging] == [0, 0]
    assert stored(tmp_path) == responses(250)
    assert len((tmp_path / "answers.log").read_bytes().splitlines()) == 250


def test_keeping_an_answer_takes_little_time(tmp_path):
    store = AnswerStore(tmp_path)
    started = time.process_time()
    keep(store, 1000)
    spent = time.process_time() - started
    store.close()
    assert spent / 1000 < 0.001
