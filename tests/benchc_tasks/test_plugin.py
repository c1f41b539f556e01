"""The plugin, through real `python -m lmms_eval` processes, and its guard by itself."""

from __future__ import annotations

import subprocess
import sys

import pytest
from loguru import logger

from benchc_tasks.plugin import add_task_folder

METRICS = {
    "acc_clean",
    "acc_corrupted",
    "acc_drop",
    "ras",
    "ras_destructive",
    "ras_corrective",
    "erroneous_confidence",
    "hesitation",
    "flip",
    "destroyed",
    "corrected",
    "brier_clean",
    "brier_corrupted",
    "nll_clean",
    "nll_corrupted",
    "ece_clean",
    "ece_corrupted",
    "invalid_pairs",
    "length_normalised",
}


def test_the_wildcard_runs_the_nineteen_tasks_once_each(lmms_eval):
    run = lmms_eval(["--model", "benchc", "--tasks", "benchc_*", "--limit", "1"])
    tasks = set(run.results["results"])
    assert len(tasks) == 19, run.output
    assert all(task.startswith("benchc_") for task in tasks)
    assert run.results["n-samples"]["benchc_fog"]["effective"] == 1
    assert run.output.count("demonstration") >= 1


def test_the_group_shows_every_figure_over_its_tasks(lmms_eval):
    run = lmms_eval(["--model", "benchc", "--tasks", "benchc-weather", "--limit", "3"])
    results = run.results["results"]
    group, tasks = (
        results["benchc-weather"],
        [results[f"benchc_{name}"] for name in ("snow", "frost", "fog", "brightness", "spatter")],
    )
    assert {name.split(",")[0] for name in group if name.endswith(",none") and "_stderr" not in name} == METRICS
    for name in ("acc_clean", "acc_corrupted", "ras", "flip", "nll_corrupted"):
        assert group[f"{name},none"] == pytest.approx(sum(task[f"{name},none"] for task in tasks) / len(tasks))
    assert len(run.samples("benchc_fog")) == 3
    assert "ece_corrupted" in run.output


CHANGED_LMMS_EVAL = """
import lmms_eval.tasks
original = lmms_eval.tasks.TaskManager.initialize_tasks
def initialize_tasks(self, include_path=None, include_defaults=True, something_new=None):
    return original(self, include_path=include_path, include_defaults=include_defaults)
lmms_eval.tasks.TaskManager.initialize_tasks = initialize_tasks
"""


def test_a_changed_lmms_eval_is_left_alone_and_the_path_still_works(lmms_eval):
    path = subprocess.run(
        [sys.executable, "-m", "benchc_tasks.cli", "tasks-path"], capture_output=True, text=True, check=True
    ).stdout.strip()
    arguments = ["--model", "benchc", "--tasks", "benchc_fog", "--limit", "1"]
    without = lmms_eval(arguments, preamble=CHANGED_LMMS_EVAL, folder="without")
    assert without.output.count("benchc leaves lmms-eval as it is") == 1
    assert not list(without.folder.rglob("*_results.json"))
    with_path = lmms_eval([*arguments, "--include_path", path], preamble=CHANGED_LMMS_EVAL, folder="with")
    assert set(with_path.results["results"]) == {"benchc_fog"}


class _Expected:
    def initialize_tasks(self, include_path=None, include_defaults=True):
        return {"paths": include_path}


def test_the_folder_is_added_once_and_after_what_the_user_named():
    class TaskManager(_Expected):
        initialize_tasks = _Expected.initialize_tasks

    assert add_task_folder(TaskManager)
    assert add_task_folder(TaskManager)
    for given in (None, "mine", ["mine"]):
        paths = TaskManager().initialize_tasks(include_path=given)["paths"]
        assert paths[:-1] == ([] if given is None else ["mine"])
        assert paths[-1].endswith("task_yamls")


@pytest.mark.parametrize("method", [None, lambda self: {}, "no method"])
def test_what_is_not_expected_is_left_untouched_with_one_sentence(method):
    class TaskManager:
        initialize_tasks = method

    lines: list[str] = []
    sink = logger.add(lines.append, level="WARNING", format="{message}")
    try:
        assert not add_task_folder(TaskManager)
    finally:
        logger.remove(sink)
    assert len(lines) == 1
    assert "--include_path" in lines[0]
    assert TaskManager.initialize_tasks is method
