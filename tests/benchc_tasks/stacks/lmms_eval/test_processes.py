"""Runs of several processes, started as a user starts them, against the same run of one process."""

from __future__ import annotations

import contextlib
import io
import json
import os
import random
import re
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from forked_evaluations import ForkedEvaluation, ForkingServer, forking_server
from lmms_eval.evaluator import simple_evaluate
from lmms_eval.tasks import TaskManager
from loguru import logger

from benchc_metrics.records import SampleRecord
from benchc_tasks.commands.cli import main
from benchc_tasks.datasets import write_dataset
from benchc_tasks.models.processes import (
    fail_together,
    is_one_in_place_of_several,
    processes,
    processes_on_this_machine,
)
from benchc_tasks.stacks.choice_model import ONE_PROCESS
from support import logged, rows_of_samples
from task_yamls import tasks_path

GROUP = "benchc-digital"
SAMPLES = 5
TORCHRUN = ("-m", "torch.distributed.run", "--nproc_per_node", "2")
ACCELERATE = ("-m", "accelerate.commands.launch", "--main_process_port", "0")

WITHOUT_DATASET = """
import os, runpy
if os.environ["RANK"] == "1":
    os.environ["BENCHC_DATASET"] = "away.parquet"
runpy.run_module("lmms_eval", run_name="__main__", alter_sys=True)
"""
"""lmms-eval where one of several machines lacks the dataset."""


@dataclass(frozen=True)
class Run:
    """What an evaluation said and left behind, in the words of its results file."""

    status: int
    output: str
    results: dict[str, Any]
    records: dict[tuple[str, str], SampleRecord]
    order: list[int]

    def figures(self) -> str:
        """All figures of tasks and groups with their standard errors, as JSON, which has a text for nan."""
        return json.dumps([self.results["results"], self.results["groups"]], indent=1, sort_keys=True)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    path = tmp_path_factory.mktemp("data") / "samples.parquet"
    write_dataset(path, rows_of_samples(SAMPLES))
    # Runs are compared under equal conditions: launchers give each process one thread of torch.
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BENCHC_DATASET", str(path))
        patch.setenv("OMP_NUM_THREADS", "1")
        patch.setenv("CUDA_VISIBLE_DEVICES", "")
        yield path
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


def launched(
    folder: Path, launcher: Sequence[str], *arguments: str, program: Sequence[str] = ("-m", "lmms_eval")
) -> Run:
    """Evaluate the group in processes of their own, outside the checkout."""
    ours = ("--model", "benchc", "--tasks", GROUP, "--output_path", str(folder), "--log_samples")
    finished = subprocess.run(
        [sys.executable, *launcher, *program, *ours, *arguments],
        cwd=folder.parent,
        env={**os.environ, "HF_HOME": str(folder.parent / "hf")},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
        check=False,
    )
    results = {}
    for path in folder.rglob("*_results.json"):
        results = json.loads(path.read_text(encoding="utf-8"))
    rows = {path.stem.split("_samples_")[1]: _rows(path) for path in folder.rglob("*_samples_*.jsonl")}
    return _run(finished.returncode, finished.stdout, results, rows)


def in_this_process(**settings: Any) -> Run:
    """Evaluate the group in this process, which is one."""
    results = simple_evaluate(
        model="benchc",
        model_args="",
        tasks=[GROUP],
        task_manager=TaskManager(include_path=str(tasks_path()), include_defaults=False),
        **settings,
    )
    assert results is not None
    return _run(0, "", results, results["samples"])


def _rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def _run(status: int, output: str, results: dict[str, Any], rows: dict[str, list[dict[str, Any]]]) -> Run:
    records = [(task, SampleRecord.from_json_dict(row["benchc"])) for task, of_task in rows.items() for row in of_task]
    order = [row["doc_id"] for row in next(iter(rows.values()), [])]
    return Run(status, output, results, {(task, record.sample): record for task, record in records}, order)


@pytest.fixture(scope="module")
def one(dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return launched(tmp_path_factory.mktemp("one") / "runs", (*ACCELERATE, "--num_processes", "2", "--cpu"))


@pytest.fixture(scope="module")
def first_of_the_cache(dataset: Path, cache: Path) -> Run:
    return in_this_process(use_cache=str(cache), limit=1)


@pytest.fixture(scope="module")
def two(first_of_the_cache: Run, cache: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, Path]:
    folder = tmp_path_factory.mktemp("two") / "runs"
    return launched(folder, TORCHRUN, "--use_cache", str(cache)), folder


def test_accelerate_on_a_cpu_starts_one_process_and_the_log_says_so(one: Run) -> None:
    assert one.status == 0
    assert ONE_PROCESS in one.output
    assert one.order == list(range(SAMPLES))


def test_two_processes_give_the_records_and_figures_of_one(one: Run, two: tuple[Run, Path]) -> None:
    run, _ = two
    assert run.status == 0
    assert run.order == [0, 2, 4, 1, 3]
    assert len(run.records) == 5 * SAMPLES
    assert run.records == one.records
    assert run.figures() == one.figures()


def test_the_order_of_rows_changes_nothing_that_is_made_of_them(two: tuple[Run, Path]) -> None:
    _, folder = two
    before = _summary(folder)
    assert "acc_clean" in before
    for path in folder.rglob("*_samples_*.jsonl"):
        lines = path.read_text(encoding="utf-8").splitlines()
        random.Random(0).shuffle(lines)
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    assert _summary(folder) == before


def _summary(folder: Path) -> str:
    with contextlib.redirect_stdout(io.StringIO()) as written:
        assert main(["summary", str(folder), "--json"]) == 0
    return written.getvalue()


def test_two_processes_go_on_from_what_one_has_answered_and_the_other_way_round(
    one: Run, first_of_the_cache: Run, two: tuple[Run, Path], cache: Path
) -> None:
    assert len(first_of_the_cache.records) == 5
    run, _ = two
    # Rank 0 has samples 0, 2 and 4, of which 0 was answered before; lmms-eval fills rank 1 up to as many requests.
    assert sorted(re.findall(r"(?<!\d)(\d+ of \d+) answers were found", run.output)) == ["0 of 270", "60 of 270"]
    with logged("INFO") as lines:
        again = in_this_process(use_cache=str(cache))
    assert any("420 of 420 answers were found" in line for line in lines)
    assert again.records == one.records
    assert again.figures() == one.figures()


@pytest.fixture(scope="module")
def server(dataset: Path) -> Iterator[ForkingServer]:
    with forking_server() as started:
        yield started


def ranks(server: ForkingServer, folder: Path, number: int, *arguments: str) -> list[ForkedEvaluation]:
    """Begin the processes of a run, each with the environment that torchrun gives it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    run = {
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "WORLD_SIZE": str(number),
        "LOCAL_WORLD_SIZE": str(number),
    }
    return [
        server.start(
            folder / f"rank-{rank}",
            ["--model", "benchc", "--tasks", GROUP, *arguments],
            environment={**run, "RANK": str(rank), "LOCAL_RANK": str(rank)},
        )
        for rank in range(number)
    ]


def test_more_processes_than_samples_give_the_figures_of_one(server: ForkingServer, tmp_path: Path) -> None:
    first, *others = ranks(server, tmp_path, 3, "--limit", "2")
    for rank in (first, *others):
        rank.wait()
    assert first.has_results, first.output
    assert not any(rank.has_results for rank in others)
    three = _run(0, first.output, first.results, first.samples)
    assert three.order == [0, 1]
    expected = in_this_process(limit=2)
    assert three.records == expected.records
    assert three.figures() == expected.figures()


def test_a_rank_that_is_killed_leaves_no_other_waiting(server: ForkingServer, tmp_path: Path) -> None:
    first, second = ranks(server, tmp_path, 2)
    second.wait_until(lambda: second.scored >= 3)
    second.kill()
    first.wait()
    assert "Error during evaluation" in first.output
    assert not first.has_results


def test_a_rank_that_fails_ends_the_run(dataset: Path, tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(WITHOUT_DATASET)
    run = launched(tmp_path / "runs", TORCHRUN, program=[str(program)])
    assert run.status == 1
    assert "rank 1 of 2 ends, and the run with it: dataset 'away.parquet' does not exist" in run.output
    assert not run.results


def test_a_failure_ends_one_of_several_processes_and_is_raised_in_a_single_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    @fail_together()
    def fails() -> None:
        raise ValueError("no such column: name another")

    monkeypatch.delenv("WORLD_SIZE", raising=False)
    with pytest.raises(ValueError, match="no such column"):
        fails()
    monkeypatch.setenv("WORLD_SIZE", "4")
    monkeypatch.setenv("RANK", "3")
    lines: list[str] = []
    sink = logger.add(lines.append, level="ERROR", format="{message}")
    with pytest.raises(SystemExit) as end:
        fails()
    logger.remove(sink)
    assert end.value.code == 1
    assert lines == ["rank 3 of 4 ends, and the run with it: no such column: name another\n"]


@pytest.mark.parametrize(("written", "number"), [(None, 1), ("", 1), ("8", 8), ("0", 1), ("two", 1)])
def test_processes_are_counted_as_launchers_say(
    monkeypatch: pytest.MonkeyPatch, written: str | None, number: int
) -> None:
    for variable, count in (("WORLD_SIZE", processes), ("LOCAL_WORLD_SIZE", processes_on_this_machine)):
        monkeypatch.delenv(variable, raising=False)
        if written is not None:
            monkeypatch.setenv(variable, written)
        assert count() == number


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"ACCELERATE_USE_CPU": "True", "MASTER_ADDR": "127.0.0.1"}, True),
        ({"ACCELERATE_USE_CPU": "True"}, False),
        ({"ACCELERATE_USE_CPU": "False", "MASTER_ADDR": "127.0.0.1"}, False),
        ({"ACCELERATE_USE_CPU": "true", "MASTER_ADDR": "127.0.0.1", "RANK": "0", "WORLD_SIZE": "2"}, False),
        ({}, False),
    ],
)
def test_one_process_in_place_of_several_is_known(environment: dict[str, str], expected: bool) -> None:
    assert is_one_in_place_of_several(environment) is expected
