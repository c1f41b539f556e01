"""The files of `task_yamls/` are those that the benchmark's names and the metrics give."""

from __future__ import annotations

import pytest
from lmms_eval.tasks import TaskManager
from lmms_eval.utils import load_yaml_config

from benchc_metrics.benchmark import CONTROL, CONTROL_CONDITIONS, CORRUPTION_FAMILIES
from benchc_tasks.commands.cli import main
from benchc_tasks.stacks.lmms_eval.generation_task import GenerationTask
from benchc_tasks.stacks.lmms_eval.task import BenchCTask
from benchc_tasks.stacks.lmms_eval.task_files import task_files
from task_yamls import tasks_path


def test_the_definitions_are_up_to_date():
    found = {file.name: file.read_text(encoding="utf-8") for file in tasks_path().glob("*yaml*")}
    assert found == task_files()


def test_the_command_writes_only_what_changed(tmp_path, capsys):
    assert main(["task-files", str(tmp_path / "tasks")]) == 0
    assert f"wrote {len(task_files())} of {len(task_files())} files" in capsys.readouterr().out
    file = tmp_path / "tasks" / "benchc_fog.yaml"
    file.write_text("task: another\n")
    assert main(["task-files", str(tmp_path / "tasks")]) == 0
    assert "1 of" in capsys.readouterr().out
    assert file.read_text() == task_files()["benchc_fog.yaml"]


@pytest.mark.parametrize(("name", "kind"), [("benchc-control", BenchCTask), ("benchc-gen-control", GenerationTask)])
def test_a_task_of_the_control_asks_clean_and_its_five_changes(name, kind, monkeypatch):
    monkeypatch.delenv("BENCHC_DATASET", raising=False)
    config = load_yaml_config(str(tasks_path() / f"{name}.yaml"), mode="full")
    assert config["class"] is kind
    task = kind(config=config)
    assert tuple(map(str, task.asked.conditions)) == ("clean", *CONTROL_CONDITIONS)


def test_no_pattern_and_no_group_of_the_corruptions_asks_for_the_control():
    manager = TaskManager(include_path=str(tasks_path()), include_defaults=False)
    assert len(manager.match_tasks(["benchc_*"])) == len(CORRUPTION_FAMILIES)
    assert len(manager.match_tasks(["benchc-gen_*"])) == len(CORRUPTION_FAMILIES)
    assert manager.match_tasks(["benchc_f*", "benchc-control"]) == ["benchc-control", "benchc_fog", "benchc_frost"]
    groups = [content for content in task_files().values() if "\ngroup: " in f"\n{content}"]
    assert len(groups) >= 6
    assert not any(f"-{CONTROL}\n" in group for group in groups)
