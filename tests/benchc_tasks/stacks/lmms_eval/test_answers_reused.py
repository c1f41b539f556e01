"""When the answers of an earlier run are used again, and when never: the bundled model in lmms-eval's own evaluator."""

from __future__ import annotations

import functools
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lmms_eval.evaluator import simple_evaluate
from lmms_eval.tasks import TaskManager
from lmms_eval.utils import load_yaml_config
from safetensors.torch import load_file, save_file

from benchc_metrics.designs import lite_conditions
from benchc_tasks.datasets import decode_image, write_dataset
from benchc_tasks.demonstration import DEMONSTRATION_MODEL
from benchc_tasks.models import checkpoints, engines
from benchc_tasks.models.choice import TransformersChoiceScorer
from benchc_tasks.models.costs import StoppedError
from benchc_tasks.stacks import pictures
from benchc_tasks.stacks.lmms_eval.generation_task import GenerationTask
from benchc_tasks.stacks.lmms_eval.task import BenchCTask
from support import encoded, rows_of_samples
from task_yamls import tasks_path

CONDITIONS = 2 * 6


class Runs:
    """Runs of one command, and how many conditions each of them scored."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.rows = rows_of_samples(2)
        self.scored = 0
        score = TransformersChoiceScorer.score

        def counted(scorer: Any, prepared: Any) -> Any:
            outcomes = score(scorer, prepared)
            self.scored += len(outcomes)
            return outcomes

        monkeypatch.setattr(TransformersChoiceScorer, "score", counted)
        monkeypatch.setenv("BENCHC_DATASET", str(folder / "data" / "samples.parquet"))

    def __call__(
        self, model_args: str = "", task: type[BenchCTask] = BenchCTask, name: str = "benchc_fog", **prompts: str
    ) -> int:
        write_dataset(self.folder / "data" / "samples.parquet", self.rows)
        self.scored = 0
        config = load_yaml_config(str(tasks_path() / f"{name}.yaml"), mode="full")
        if prompts:
            config["lmms_eval_specific_kwargs"] = {"default": prompts}
        if task is not BenchCTask:
            config |= {"task": "a_part_of_it", "description": "", "tag": "mine"}
        results = simple_evaluate(
            model="benchc",
            model_args=model_args,
            tasks=[task(config=config)],
            task_manager=task_manager(),
            bootstrap_iters=0,
            use_cache=str(self.folder / "cache"),
        )
        assert results is not None
        return self.scored


@functools.cache
def task_manager() -> TaskManager:
    return TaskManager(include_path=str(tasks_path()), include_defaults=False)


@pytest.fixture(scope="module")
def first_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a run without any argument leaves."""
    folder = tmp_path_factory.mktemp("first")
    with pytest.MonkeyPatch.context() as patch:
        assert Runs(folder, patch)() == CONDITIONS
    return folder / "cache"


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Runs:
    """Runs that have no cache yet."""
    return Runs(tmp_path, monkeypatch)


@pytest.fixture
def second_run(run: Runs, first_cache: Path) -> Runs:
    """Runs behind the first one."""
    shutil.copytree(first_cache, run.folder / "cache")
    return run


def one_pixel(row: dict[str, Any]) -> None:
    pixels = np.array(decode_image(row["image"], sample=row["id"]))
    pixels[20, 20, 0] ^= 1
    row["image"] = encoded(pixels)


def one_option(row: dict[str, Any]) -> None:
    row["options"] = [*row["options"][:-1], "black"]


def the_answer(row: dict[str, Any]) -> None:
    row["answer"] = 1 - row["answer"]


def test_the_same_command_uses_every_answer(second_run):
    assert second_run() == 0


class Part(BenchCTask):
    """Another task, which asks for clean pictures and for fog at two of its severities."""

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        kept = tuple(condition for condition in self.asked.conditions if condition.severity in (0, 1, 4))
        self.asked = replace(self.asked, conditions=kept)


def test_a_run_of_a_part_is_completed_by_a_run_of_all(run):
    assert run(task=Part) == 2 * 3
    assert run() == 2 * 3
    assert run(task=Part) == run() == 0


def test_a_lite_run_is_completed_by_a_full_one(run):
    asked = [{str(condition) for condition in lite_conditions(row["id"])} for row in run.rows]
    assert run(name="benchc-lite") == 2 * 20
    assert run(name="benchc-lite") == 0
    fog = sum(len({f"fog@{severity}" for severity in range(1, 6)} - of_sample) for of_sample in asked)
    assert run() == fog == 2 * 4
    # The other corruptions of the full set: 4 severities each, and no clean picture.
    assert run(name="benchc_snow") == 2 * 4


def test_a_run_that_stops_at_a_limit_goes_on_from_there(run):
    stopped = r"stopped by max_passes=15 after 15 forward passes, 25 are left: the answers are kept"
    with pytest.raises(StoppedError, match=stopped):
        run("max_passes=15", name="benchc-lite")
    assert run.scored == 15
    with pytest.raises(StoppedError, match=stopped.replace("25", "10")):
        run("max_passes=15", name="benchc-lite")
    assert run("max_passes=15", name="benchc-lite") == 10
    assert run(name="benchc-lite") == 0


def test_answers_under_the_control_are_kept_like_any(second_run):
    # The clean answers are those of the first run.
    assert second_run(name="benchc-control") == 2 * 5
    assert second_run(name="benchc-control") == second_run() == 0


def test_a_run_that_writes_stops_at_a_limit_and_goes_on(run):
    for left in (7, 2):
        with pytest.raises(StoppedError, match=f"stopped by max_passes=5 after 5 forward passes, {left} are left"):
            run("max_passes=5", task=GenerationTask, name="benchc-gen_fog")
    run("max_passes=5", task=GenerationTask, name="benchc-gen_fog")


@pytest.mark.parametrize("change", [one_pixel, one_option, the_answer])
def test_a_changed_dataset_uses_none(second_run, change: Callable[[dict[str, Any]], None]):
    change(second_run.rows[1])
    assert second_run() == CONDITIONS


@pytest.mark.parametrize("prompts", [{"pre_prompt": "Look.\n"}, {"post_prompt": "\nThe letter:"}], ids=["pre", "post"])
def test_a_changed_prompt_uses_none(second_run, prompts: dict[str, str]):
    assert second_run(**prompts) == CONDITIONS


def test_a_changed_engine_uses_none(second_run, monkeypatch):
    monkeypatch.setattr(pictures, "ENGINE_VERSION", "another")
    assert second_run() == CONDITIONS


@pytest.mark.parametrize(
    "model_args", ["attn_implementation=eager", "dtype=bfloat16", "system_prompt=Be brief.", "do_normalize=False"]
)
def test_a_changed_argument_of_the_model_uses_none(second_run, model_args: str):
    assert second_run(model_args) == CONDITIONS


def test_another_precision_in_force_uses_none(second_run, monkeypatch):
    # What holds without an argument on CUDA, where a checkpoint is loaded as it was saved.
    monkeypatch.setattr(engines, "choose_dtype", lambda *_: torch.bfloat16)
    assert second_run() == CONDITIONS
    assert second_run() == 0


def test_another_text_in_the_file_of_the_system_prompt_uses_none(run, tmp_path):
    path = tmp_path / "system.txt"
    path.write_text("Be brief.")
    assert run(f"system_prompt={path}") == CONDITIONS
    assert run(f"system_prompt={path}") == 0
    path.write_text("Be exact.")
    assert run(f"system_prompt={path}") == CONDITIONS


def test_other_weights_in_the_same_folder_use_none(run, tmp_path):
    checkpoint = tmp_path / "checkpoint"
    shutil.copytree(DEMONSTRATION_MODEL, checkpoint)
    model_args = f"pretrained={checkpoint}"
    assert run(model_args) == CONDITIONS
    assert run(model_args) == 0
    path = checkpoint / "model.safetensors"
    before = path.stat()
    weights = load_file(path)
    first = next(iter(weights))
    weights[first] = weights[first] + 0.5
    save_file(weights, path, metadata={"format": "pt"})
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_size == before.st_size
    # As in a new process.
    checkpoints._state_of_files.cache_clear()
    assert run(model_args) == CONDITIONS
