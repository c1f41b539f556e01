"""`benchc plan`: counts that are those of the run itself, limits, and designs for a width."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from run_folders import lite, made_run, write_run

from benchc_tasks.commands.cli import main
from benchc_tasks.datasets import load_dataset, write_dataset
from benchc_tasks.models.costs import Prices
from benchc_tasks.stacks.planning import TokensPerPass, estimated_tokens, plan_of, planned_tasks, typical_questions
from support import rows_of_samples


def planned(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[dict[str, Any], str]:
    """What the command prints as JSON: the numbers of its first table, and its notes."""
    assert main(["plan", "--json", *words]) == 0
    said = json.loads(capsys.readouterr().out)
    return {row["what"]: row["number"] for row in said["tables"][0]["rows"]}, " ".join(said["notes"])


def test_the_bundled_set_by_the_bundled_model(capsys):
    numbers, notes = planned(capsys)
    assert numbers["samples"] == 144
    assert numbers["forward passes"] == numbers["pictures"] == 144 * 20
    # What the model counts on all samples is within a percent of what it counts on eight.
    assert numbers["tokens to read"] / numbers["forward passes"] == pytest.approx(88, rel=0.02)
    assert numbers["tokens to write"] == 144 * 20
    assert "counted on 8 samples by the processor of the bundled model" in notes
    assert "Run it: benchc run --no-control --tasks benchc-lite" in notes


@pytest.mark.parametrize(
    ("tasks", "conditions"),
    [
        ("benchc", 96),
        ("benchc_*", 96),
        ("benchc-lite", 20),
        ("benchc_fog,benchc_snow", 11),
        ("benchc-blur", 26),
        ("benchc-lite,benchc-control", 25),
        ("benchc,benchc-lite", 96),
    ],
)
def test_a_condition_that_several_tasks_ask_counts_once(tasks, conditions):
    plan = plan_of(planned_tasks(tasks), load_dataset(None), TokensPerPass(1, 1, ""), limit=7)
    assert (plan.samples, plan.passes) == (7, 7 * conditions)


def test_tasks_that_generate_are_counted_by_themselves(tmp_path):
    tasks = planned_tasks("benchc_fog,benchc-gen_fog")
    assert plan_of(tasks, load_dataset(None), TokensPerPass(1, 1, ""), limit=2).passes == 2 * 12
    assert [task.most_written for task in tasks] == [1, 32]


def test_a_task_of_ones_own_is_read_with_what_it_includes(tmp_path):
    (tmp_path / "mine.yaml").write_text(
        "include: _benchc_template_yaml\ntask: mine\nmetadata: {design: lite, conditions_per_sample: 10}\n"
    )
    (task,) = planned_tasks("mine", [tmp_path])
    assert (task.asked.design, task.scores) == ("lite-10", True)


def test_an_unknown_task_is_refused_with_the_one_that_was_meant(capsys):
    assert main(["plan", "--tasks", "benchc-light"]) == 1
    assert "there is no task 'benchc-light'; close to it: benchc-lite" in capsys.readouterr().err


def test_tokens_are_estimated_where_there_is_no_tokenizer(tmp_path):
    write_dataset(tmp_path / "samples.parquet", rows_of_samples(3))
    questions = typical_questions(load_dataset(tmp_path / "samples.parquet"))
    characters = sum(len(question.context) for question in questions) / 3
    tasks = planned_tasks("benchc-gen_fog")
    found = estimated_tokens(questions, tasks, 100)
    assert (found.read, found.written) == (characters / 4 + 100, 32)
    pixels = questions[0].images[0].width * questions[0].images[0].height
    assert estimated_tokens(questions, tasks).read == pytest.approx(characters / 4 + pixels / 784)


def test_prices_hours_and_limits(tmp_path, capsys):
    write_dataset(tmp_path / "samples.parquet", rows_of_samples(10))
    words = ["--dataset", str(tmp_path / "samples.parquet"), "--model_args", "backend=openai,model=m"]
    words += ["--tokens-per-picture", "985", "--price-input", "5", "--price-output", "20", "--passes-per-second", "0.5"]
    numbers, notes = planned(capsys, *words, "--max-passes", "60")
    read = numbers["tokens to read"]
    assert numbers["price"] == f"{Prices(5, 20).of(read, 200):,.2f}"
    assert numbers["hours"] == f"{200 / 0.5 / 3600:.2f}"
    assert "stops after about 60 of 200 passes, and the same command continues it; 4 starts complete it." in notes
    assert "--model_args backend=openai,model=m,max_passes=60" in notes
    _, notes = planned(capsys, *words, "--budget", "0.5")
    assert "budget=0.5,price_input=5,price_output=20" in notes
    assert f"about {int(0.5 / (read / 200 * 5e-6 + 20e-6))} of 200 passes" in notes
    _, notes = planned(capsys, *words, "--max-passes", "500")
    assert "The run needs less than the limits" in notes


def test_a_budget_without_prices_is_refused(capsys):
    assert main(["plan", "--budget", "3"]) == 1
    assert "--budget needs prices: give --price-input" in capsys.readouterr().err


def test_designs_for_a_width_from_trial_runs_and_from_a_run(tmp_path, capsys):
    assert main(["plan", "--json", "--limit", "100", "--width", "0.08"]) == 0
    said = json.loads(capsys.readouterr().out)
    rows = {row["design"]: row for row in said["tables"][1]["rows"]}
    assert list(rows) == ["full", "lite", "lite-10", "lite-5"]
    assert [row["passes"] for row in rows.values()] == [
        row["samples"] * passes for row, passes in zip(rows.values(), (96, 20, 11, 6), strict=True)
    ]
    assert rows["full"]["samples"] < rows["lite"]["samples"] < rows["lite-5"]["samples"]
    assert any(note.startswith("Fewest passes for a width of 0.08:") for note in said["notes"])
    folder = write_run(lite(made_run(30, noise=0.2)), tmp_path / "run")
    assert main(["plan", "--width", "0.0001", "--from", str(folder)]) == 0
    printed = capsys.readouterr().out
    assert "Planned from 30 samples of lab/model" in printed
    assert "No design reaches a width of 0.0001 with 144 samples: take more samples." in printed
    assert main(["plan", "--from", str(folder)]) == 1


def test_a_folder_without_a_run_is_refused(tmp_path: Path, capsys):
    assert main(["plan", "--width", "0.1", "--from", str(tmp_path / "none")]) == 1
    assert "none" in capsys.readouterr().err
