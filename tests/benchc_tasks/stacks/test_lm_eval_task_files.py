"""lm-evaluation-harness's YAML files, which need no harness to be read."""

from __future__ import annotations

import pytest

from benchc_tasks.commands.cli import main
from benchc_tasks.stacks.lm_eval.task_files import task_file, task_files, tasks_folder


def test_the_files_are_those_that_the_benchmark_s_names_make():
    found = {
        file.relative_to(tasks_folder()).as_posix(): file.read_text(encoding="utf-8")
        for file in tasks_folder().rglob("*yaml*")
        if file.is_file()
    }
    assert found == task_files()


def test_the_folder_itself_holds_the_whole_benchmark_alone():
    assert [file.name for file in tasks_folder().glob("*.yaml")] == ["benchc.yaml"]


@pytest.mark.parametrize("named", ["fog", "benchc_fog"])
def test_a_corruption_stands_for_its_task(named):
    assert task_file(named).name == "benchc_fog.yaml"


def test_tasks_path_prints_what_the_harness_takes(capsys):
    assert main(["tasks-path", "--stack", "lm-eval"]) == 0
    assert capsys.readouterr().out.strip() == str(tasks_folder())
    assert main(["tasks-path", "--stack", "lm-eval", "fog", "benchc-gen"]) == 0
    assert capsys.readouterr().out.strip() == f"{task_file('fog')},{task_file('benchc-gen')}"


def test_tasks_path_names_what_there_is(capsys):
    assert main(["tasks-path", "--stack", "lm-eval", "fogg"]) != 0
    assert "there is no task 'fogg': name one of benchc," in capsys.readouterr().err
