"""The files of `task_yamls/` are those that the benchmark's names and the metrics give."""

from __future__ import annotations

from benchc_tasks.commands.cli import main
from benchc_tasks.stacks.lmms_eval.task_files import task_files
from task_yamls import tasks_path


def test_the_definitions_are_up_to_date():
    found = {file.name: file.read_text(encoding="utf-8") for file in tasks_path().glob("*yaml*")}
    assert found == task_files()


def test_the_command_writes_only_what_changed(tmp_path, capsys):
    assert main(["task-files", str(tmp_path / "tasks")]) == 0
    assert f"{len(task_files())} of {len(task_files())} files written" in capsys.readouterr().out
    file = tmp_path / "tasks" / "benchc_fog.yaml"
    file.write_text("task: another\n")
    assert main(["task-files", str(tmp_path / "tasks")]) == 0
    assert "1 of" in capsys.readouterr().out
    assert file.read_text() == task_files()["benchc_fog.yaml"]
