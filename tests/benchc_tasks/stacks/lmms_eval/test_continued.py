"""Runs of lmms-eval that are killed, or whose disks fail, and the same command again.

The processes are real, and so are the model and the kills; see `forked_evaluations`.
"""

from __future__ import annotations

import functools
import json
import random
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from disks import disk
from forked_evaluations import ForkedEvaluation, ForkingServer, forking_server

from benchc_tasks.datasets import write_dataset
from benchc_tasks.stacks.answer_store import SYNC_INTERVAL, Row
from support import rows_of_samples

SEED = 20
KILLS_WHILE_LOADING = 2
KILLS_WHILE_SCORING = 6
KILLS_WHILE_MERGING = 2
SAMPLES = 16
CONDITIONS = SAMPLES * (1 + 2 * 5)
TASKS = ["--model", "benchc", "--tasks", "benchc_contrast,benchc_brightness", "--batch_size", "1"]
TIMES = ("date", "start_time", "end_time", "total_evaluation_time_seconds")


@pytest.fixture(scope="module")
def server() -> Iterator[ForkingServer]:
    with forking_server() as running:
        yield running


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    path = tmp_path_factory.mktemp("data") / "samples.parquet"
    write_dataset(path, rows_of_samples(SAMPLES))
    return {"BENCHC_DATASET": str(path)}


@pytest.fixture(scope="module")
def undisturbed(
    server: ForkingServer, dataset: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> ForkedEvaluation:
    """A run without a cache."""
    run = server.run(tmp_path_factory.mktemp("undisturbed") / "run", TASKS, environment=dataset)
    assert run.scored == CONDITIONS, run.output
    return run


def figures(run: ForkedEvaluation) -> str:
    """Everything that the results file says but when the run was, what its command was and where its functions lay."""
    said = {name: value for name, value in run.results.items() if name not in TIMES and name != "config"}
    return re.sub(" at 0x[0-9a-f]+", "", json.dumps(said, sort_keys=True))


def rows_in(cache: Path, pattern: str) -> list[Row]:
    """The rows of logs below a cache's folder."""
    lines = [line for log in cache.glob(f"answers-*/{pattern}") for line in log.read_bytes().splitlines()]
    return [row for row in map(Row.from_line, lines) if row is not None]


def stored(cache: Path) -> set[str]:
    """The keys of all conditions whose answers lie anywhere below a cache's folder."""
    return {row.key for row in rows_in(cache, "*.log")}


def merged(cache: Path) -> list[str]:
    """The keys of those that were merged."""
    return [row.key for row in rows_in(cache, "answers.log")]


def left_in(cache: Path) -> set[str]:
    """The names of the files in a cache's folder."""
    return {path.name for path in cache.glob("answers-*/*")}


def has_come(run: ForkedEvaluation, phase: str, moment: float) -> bool:
    if phase == "loading":
        return len(run.output) > 300 + 2000 * moment
    return phase == "scoring" and run.scored >= moment


def test_ten_kills_lose_little_and_change_no_figure(server, dataset, undisturbed, tmp_path):
    draw = random.Random(SEED)
    cache = tmp_path / "cache"
    arguments = [*TASKS, "--use_cache", str(cache)]
    moments = [("loading", draw.uniform(0, 1)) for _ in range(KILLS_WHILE_LOADING)]
    moments += [("scoring", draw.randint(1, CONDITIONS // 8)) for _ in range(KILLS_WHILE_SCORING)]
    draw.shuffle(moments)
    # The last ones are killed when all is scored and nothing is saved.
    moments += [("merging", draw.randint(2, 12)) for _ in range(KILLS_WHILE_MERGING)]
    before = 0
    for number, (phase, moment) in enumerate(moments):
        dies_at = int(moment) if phase == "merging" else None
        run = server.start(tmp_path / f"killed-{number}", arguments, environment=dataset, die_at=dies_at)
        run.wait_until(functools.partial(has_come, run, phase, moment))
        run.kill()
        assert not run.has_results, (phase, run.output)
        after = len(stored(cache))
        # The model had scored so many, and so many of them are there: what it scored last may be lost.
        assert run.scored - (after - before) in {0, 1}, (phase, moment)
        before = after
        if phase == "scoring":
            assert run.scored >= moment, run.output
    assert before == CONDITIONS
    last = server.run(tmp_path / "last", arguments, environment=dataset)
    assert last.scored == 0, last.output
    assert last.samples == undisturbed.samples
    assert figures(last) == figures(undisturbed)
    assert len(merged(cache)) == len(stored(cache)) == CONDITIONS
    answers = [answer for row in rows_in(cache, "answers.log") for answer in json.loads(row.responses)]
    assert len(answers) == sum(len(row["options"]) * 11 for row in rows_of_samples(SAMPLES))
    assert "WARNING" not in last.output.replace("benchc runs on its bundled", "")


def test_two_live_runs_of_one_folder_leave_each_other_alone(server, dataset, undisturbed, tmp_path):
    cache = tmp_path / "cache"
    arguments = [*TASKS, "--use_cache", str(cache)]
    first = server.start(tmp_path / "first", arguments, environment=dataset)
    first.wait_until(lambda: first.scored > CONDITIONS // 4)
    second = server.start(tmp_path / "second", arguments, environment=dataset)
    second.wait_until(lambda: second.scored > 0 or "answers were found" in second.output)
    second.wait()
    first.wait()
    for run in (first, second):
        assert run.samples == undisturbed.samples, run.output
        assert figures(run) == figures(undisturbed)
    assert first.scored == CONDITIONS
    assert 0 < second.scored < CONDITIONS
    assert len(merged(cache)) == len(stored(cache)) == CONDITIONS
    assert left_in(cache) == {"answers.log", "answers.copy", "merge.lock"}


def sentence(run: ForkedEvaluation, names: str) -> str:
    """The one sentence of lmms-eval's report of a failure."""
    (line,) = [line for line in run.output.splitlines() if "Error during evaluation" in line]
    assert names in line
    return line


def test_a_full_disk_of_the_cache_ends_the_run_and_the_same_command_goes_on(server, dataset, undisturbed, tmp_path):
    with disk(tmp_path / "disk", size=1 << 20) as small:
        arguments = [*TASKS, "--use_cache", str(small.path / "cache")]
        small.fill(but=17_000)
        stopped = server.run(tmp_path / "stopped", arguments, environment=dataset)
        told = sentence(stopped, str(small.path / "cache"))
        assert "No space left on device" in told or "disk is full" in told
        assert "the same command goes on from them" in told
        kept = len(stored(small.path / "cache"))
        assert 0 < kept < CONDITIONS
        assert stopped.scored - kept <= SYNC_INTERVAL
        small.make_room()
        again = server.run(tmp_path / "again", arguments, environment=dataset)
        assert again.scored == CONDITIONS - kept
        assert again.samples == undisturbed.samples
        assert figures(again) == figures(undisturbed)


@pytest.mark.parametrize("fault", ["full", "read only"])
def test_an_output_folder_that_cannot_be_written_is_told_before_anything_is_scored(server, dataset, tmp_path, fault):
    with disk(tmp_path / "disk", size=1 << 20) as other:
        if fault == "full":
            other.fill(but=20_000)
        else:
            other.set_writable(False)
        run = server.run(
            tmp_path / "run", [*TASKS, "--limit", "6"], environment=dataset, output_path=other.path / "runs"
        )
        told = sentence(run, str(other.path / "runs"))
        assert "nothing was scored yet" in told
        assert "name a folder that can be written" in told
        assert run.scored == 0


@pytest.fixture(scope="module")
def cache_without_results(
    server: ForkingServer, dataset: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The cache of a run whose output folder had no room for the results when it ended."""
    folder = tmp_path_factory.mktemp("no_room")
    arguments = [*TASKS, "--use_cache", str(folder / "cache")]
    with disk(folder / "disk", size=1 << 20) as small:
        run = server.start(folder / "run", arguments, environment=dataset, output_path=small.path / "runs")
        run.wait_until(lambda: run.scored > 0)
        small.fill()
        run.wait()
    assert run.scored == CONDITIONS
    assert "Could not save results" in run.output
    return folder / "cache"


@pytest.mark.parametrize("is_cut", [False, True], ids=["whole", "cut"])
def test_results_that_found_no_room_are_there_after_the_same_command(
    server, dataset, undisturbed, cache_without_results, tmp_path, is_cut
):
    cache = tmp_path / "cache"
    shutil.copytree(cache_without_results, cache)
    (log,) = cache.glob("answers-*/answers.log")
    content = log.read_bytes()
    if is_cut:
        log.write_bytes(content[: len(content) // 2])
    run = server.run(tmp_path / "again", [*TASKS, "--use_cache", str(cache)], environment=dataset)
    assert run.scored == 0
    assert run.samples == undisturbed.samples
    assert figures(run) == figures(undisturbed)
    told = [line for line in run.output.splitlines() if "WARNING" in line]
    assert len(told) == (1 if is_cut else 0)
    if is_cut:
        assert "answers.log or its copy is damaged" in told[0]
        assert content[: len(content) // 2] in {path.read_bytes() for path in cache.glob("answers-*/damaged/*")}
        assert log.read_bytes() == content
