"""Whole runs of lmms-eval with `share_prefix=True`: the same results, and answers that are kept as they come."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from lmms_eval.evaluator import simple_evaluate
from lmms_eval.tasks import TaskManager

from benchc_tasks.datasets import write_dataset
from benchc_tasks.models.costs import StoppedError
from benchc_tasks.models.prefixes import PrefixSharingScorer, PreparedBatch
from benchc_tasks.stacks.lmms_eval.model import BenchCModel
from support import rows_of_samples
from task_yamls import tasks_path

SHARE = "share_prefix=True"
TASKS = ["benchc_pixelate", "benchc_fog"]
QUESTIONS = 8 * (1 + 5 + 5)
"""Six questions on two pictures and two on others, under the conditions of `TASKS`."""


@functools.cache
def task_manager() -> TaskManager:
    return TaskManager(include_path=str(tasks_path()), include_defaults=False)


class Runs:
    """Runs of one command, and what the sharing scorer was asked in each."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.batches: list[list[str]] = []
        self.shared = 0
        rows = rows_of_samples(8)
        for number in range(6):  # neither side by side nor in one batch
            rows[number]["image"] = rows[number % 2]["image"]
        write_dataset(folder / "samples.parquet", rows)
        monkeypatch.setenv("BENCHC_DATASET", str(folder / "samples.parquet"))
        score = PrefixSharingScorer.score

        def noted(scorer: PrefixSharingScorer, prepared: PreparedBatch) -> Any:
            groups = prepared.shared.groups if prepared.shared is not None else ()
            asked = [question.name for group in groups for question in group.questions]
            self.shared += len(asked)
            asked += [question.name for _, some in prepared.plain for question in some.questions]
            self.batches.append(asked)
            return score(scorer, prepared)

        monkeypatch.setattr(PrefixSharingScorer, "score", noted)

    @property
    def asked(self) -> list[str]:
        return [name for batch in self.batches for name in batch]

    def __call__(self, model_args: str = "", cache: str | None = None, batch_size: int = 1) -> dict[str, Any]:
        self.batches, self.shared = [], 0
        results = simple_evaluate(
            model="benchc",
            model_args=model_args,
            tasks=list(TASKS),
            task_manager=task_manager(),
            bootstrap_iters=0,
            batch_size=batch_size,
            use_cache=None if cache is None else str(self.folder / cache),
        )
        assert results is not None
        return results["results"]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Runs:
    return Runs(tmp_path, monkeypatch)


def numbers(results: dict[str, Any]) -> dict[str, float]:
    return {
        f"{task} {name}": value
        for task, metrics in results.items()
        for name, value in metrics.items()
        if isinstance(value, float)
    }


@pytest.mark.parametrize("batch_size", [1, 4])
def test_a_run_has_the_same_results_and_reads_shared_pictures_once(run: Runs, batch_size: int) -> None:
    expected = numbers(run(batch_size=batch_size))
    assert not run.batches
    found = numbers(run(SHARE, batch_size=batch_size))
    assert len(expected) > 20
    # The temperatures that fit noise are above 10.
    assert found == pytest.approx(expected, abs=1e-6, rel=1e-6)
    assert sorted(run.asked) == sorted(set(run.asked))
    assert len(run.asked) == QUESTIONS
    # Six questions share their pictures, clean and under pixelate, which draws nothing.
    assert run.shared == 6 * 6


def test_a_run_that_stops_at_a_limit_loses_no_answer_and_goes_on(run: Runs) -> None:
    expected = numbers(run(SHARE))
    seen: list[str] = []
    for left in (QUESTIONS - 30, QUESTIONS - 60):
        with pytest.raises(StoppedError, match=f"stopped by max_passes=30 after 30 forward passes, {left} are left"):
            run(f"{SHARE},max_passes=30", cache="kept")
        assert len(run.asked) == 30
        seen += run.asked
    assert numbers(run(SHARE, cache="kept")) == pytest.approx(expected, abs=1e-6, rel=1e-6)
    seen += run.asked
    assert sorted(seen) == sorted(set(seen))
    assert len(seen) == QUESTIONS
    run(SHARE, cache="kept")
    assert not run.batches


def test_a_run_that_dies_has_kept_all_that_it_has_asked(run: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    """But the batch under way: no answer waits unkept for those of other samples."""
    noted = PrefixSharingScorer.score
    before: list[str] = []

    def dies(scorer: PrefixSharingScorer, prepared: PreparedBatch) -> Any:
        if len(before) >= 24:
            raise KeyboardInterrupt
        outcomes = noted(scorer, prepared)
        before.extend(run.batches[-1])
        return outcomes

    monkeypatch.setattr(PrefixSharingScorer, "score", dies)
    with pytest.raises(KeyboardInterrupt):
        run(SHARE, cache="kept")
    monkeypatch.setattr(PrefixSharingScorer, "score", noted)
    run(SHARE, cache="kept")
    assert len(before) >= 24
    assert not set(before) & set(run.asked)
    assert len(before) + len(run.asked) == QUESTIONS


def test_answers_of_whole_prompts_are_not_used(run: Runs) -> None:
    run(cache="kept")
    run(SHARE, cache="kept")
    assert len(run.asked) == QUESTIONS


@pytest.mark.parametrize("given", ["yes", 1])
def test_what_is_neither_true_nor_false_is_refused(given: Any, checkpoint: Callable[[str], Path]) -> None:
    with pytest.raises(ValueError, match=rf"^share_prefix is {given!r}: give True or False$"):
        BenchCModel(pretrained=str(checkpoint("llava")), share_prefix=given)
