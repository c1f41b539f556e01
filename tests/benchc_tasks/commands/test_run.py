"""`benchc run`: its checks before lmms-eval starts, one real evaluation, and one that is stopped."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from benchc_metrics.runs import read_run
from benchc_tasks.commands import cli
from benchc_tasks.commands import run as command
from benchc_tasks.datasets import SampleDataset, load_dataset
from benchc_tasks.demonstration import DEMONSTRATION_SET
from benchc_tasks.stacks import waiting
from benchc_tasks.stacks.lmms_eval.launching import Launch, last_error, outcome_of

WORDS = [sys.executable, "-m", "benchc_tasks.commands.cli", "run"]


def refused(words: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """Run a command line that must be refused before anything is started, and return its sentence."""
    try:
        status = cli.main(words)
    except SystemExit as end:
        status = end.code
    assert status in (1, 2)
    said = capsys.readouterr().err.strip().splitlines()
    assert "Traceback" not in "\n".join(said)
    return said[-1]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (
            ["--model_args", "backend=qwen2_5_vll"],
            "backend 'qwen2_5_vll' is not one of lmms-eval's models; close to it",
        ),
        (
            ["--model", "openay", "--tasks", "benchc-gen"],
            "model 'openay' is not one of lmms-eval's models; close to it",
        ),
        (["--model_args", "pretraind=x"], "argument 'pretraind' is unknown to benchc; close to it: pretrained"),
        (
            ["--model_args", "backend=qwen2_5_vl,pretrained=lab/x,max_pixel=9"],
            "argument 'max_pixel' is unknown to the backend 'qwen2_5_vl'; close to it: max_pixels",
        ),
        (["--model_args", "batch_size=8"], "batch_size=8 stands in --model_args: give --batch_size as an option"),
        (["--model_args", "pretrained"], "--model_args has 'pretrained', which is not NAME=VALUE"),
        (["--model_args", "pretrained=a,pretrained=b"], "--model_args gives pretrained twice"),
        (["--model_args", "pretrained=./no/where"], "pretrained=./no/where is neither a folder nor a hub id"),
        (["--model_args", "pretrained=lab/no-such-model"], "pretrained=lab/no-such-model is not in the hub's cache"),
        (["--model_args", "backend=openai,model=x,base_url=nowhere"], "base_url 'nowhere' is not an address"),
        (["--model_args", "backend=openai,base_url=http://localhost:1/v1,tiemout=3"], "argument 'tiemout' is unknown"),
        (["--dataset", "mmstr"], "dataset 'mmstr' does not exist; "),
        (["--dataset", "mmstr"], "; close to it: mmstar"),
        (["--tasks", "benchc_fogg"], "there is no task 'benchc_fogg'; close to it: benchc_fog"),
        (
            ["--wandb_arg", "project=x"],
            "neither benchc run nor lmms-eval has the option --wandb_arg; close to it: --",
        ),
        (["--limit", "0"], "benchc run: error: argument --limit: '0' is not a whole number from 1"),
        (["-o", "/proc/nothing", "--limit", "1"], "the results could not be written to --output_path /proc/nothing"),
    ],
)
def test_what_does_not_exist_is_refused_before_lmms_eval_starts(words, sentence, capsys, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr(command, "start", lambda launch: pytest.fail("it was started"))
    assert sentence in refused(["run", *words], capsys)


def test_a_folder_without_a_checkpoint_is_refused(tmp_path, capsys):
    sentence = refused(["run", "--model_args", f"pretrained={tmp_path}"], capsys)
    assert sentence.endswith(f"pretrained={tmp_path} is a folder without a config.json: name one with a checkpoint")


def test_a_dataset_that_takes_long_is_named_before_lmms_eval_starts(tmp_path, capsys, monkeypatch):
    def slow(source: str) -> SampleDataset:
        time.sleep(0.08)
        return load_dataset(DEMONSTRATION_SET)

    monkeypatch.setattr(waiting, "EVERY_SECONDS", 0.02)
    monkeypatch.setattr(command, "load_dataset", slow)
    launch = Launch(output=str(tmp_path), dataset="a/b", tasks="benchc")
    assert command.check(launch)[0].startswith("144 samples of ")
    assert capsys.readouterr().out.startswith("benchc: reading the dataset 'a/b', 0 s so far\n")


def test_nothing_heavy_is_imported_by_the_checks():
    code = (
        "import sys; from benchc_tasks.commands import cli; cli.main(['run', '--model_args', 'backend=qwen'])\n"
        "assert not {'torch', 'lmms_eval', 'transformers'} & set(sys.modules), sorted(sys.modules)"
    )
    finished = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (finished.returncode, "is not one of lmms-eval's models" in finished.stderr) == (0, True), finished.stderr


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (
            [],
            "python -m lmms_eval --model benchc --tasks benchc,benchc-control --output_path runs --log_samples "
            "--use_cache runs/.answers",
        ),
        (
            ["--lite", "--no-control", "--dataset", "my set.parquet", "--batch_size", "8", "-o", "there"],
            "BENCHC_DATASET='my set.parquet' python -m lmms_eval --model benchc --tasks benchc-lite "
            "--output_path there --log_samples --use_cache there/.answers --batch_size 8",
        ),
        (
            ["--model_args", "backend=x,pretrained=lab/y", "--tasks", "benchc_fog", "--no-control", "--limit", "2"],
            "python -m lmms_eval --model benchc --model_args backend=x,pretrained=lab/y --tasks benchc_fog "
            "--output_path runs --log_samples --use_cache runs/.answers --limit 2",
        ),
    ],
)
def test_the_command_of_lmms_eval_is_printed(words, line, capsys):
    assert cli.main(["run", "--print-command", *words]) == 0
    assert capsys.readouterr().out == f"{line}\n"


@pytest.mark.parametrize(
    ("tasks", "conditions"),
    [
        (["benchc"], 96),
        (["benchc", "benchc-control"], 101),
        (["benchc-lite"], 20),
        (["benchc_fog"], 6),
        (["benchc_*"], 96),
        (["mmmu"], 0),
    ],
)
def test_conditions_are_counted_with_the_clean_one_once(tasks, conditions):
    plan = command.plan_of_tasks(tasks, load_dataset(DEMONSTRATION_SET), 2)
    assert (plan.samples, plan.passes) == (2, 2 * conditions)


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    output = tmp_path_factory.mktemp("evaluated") / "runs"
    words = [*WORDS, "--tasks", "benchc_fog", "--no-control", "--limit", "2", "-o", str(output)]
    return output, subprocess.run(words, capture_output=True, text=True, timeout=500, check=False)


def test_a_run_keeps_its_answers_and_ends_with_0(evaluated):
    output, finished = evaluated
    assert finished.returncode == 0, finished.stderr
    assert (
        "benchc: 2 samples of the bundled demonstration set under 6 conditions are 12 forward passes" in finished.stdout
    )
    assert f"benchc summary {output}" in finished.stdout
    assert "|benchc_fog" in finished.stdout or "fog" in finished.stdout
    assert list((output / ".answers").glob("answers-*/answers.log"))
    run = read_run(output)
    assert (run.name, run.complete, len(run.sample_ids)) == ("benchc-demo", True, 2)


def test_a_part_of_a_run_ends_with_1(evaluated, tmp_path, capsys):
    output, _ = evaluated
    for path in output.glob("*.json*"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (log,) = tmp_path.glob("*_samples_*.jsonl")
    log.write_text(log.read_text(encoding="utf-8").splitlines(keepends=True)[0], encoding="utf-8")
    assert command.tell(outcome_of(tmp_path, frozenset())) == 1
    assert "A part of the run is missing" in capsys.readouterr().err
    results = json.loads(next(tmp_path.glob("*_results.json")).read_text(encoding="utf-8"))
    assert results["n-samples"]["benchc_fog"]["effective"] == 2


def test_a_run_without_results_ends_with_1_and_names_the_error(tmp_path, capsys):
    error = last_error(["fine", "Error during evaluation: no such thing. Please set `--verbosity=DEBUG` to get more"])
    assert command.tell(outcome_of(tmp_path, frozenset(), error)) == 1
    assert capsys.readouterr().err == f"benchc: the run left no results in {tmp_path}: no such thing\n"


@pytest.mark.skipif(not hasattr(os, "killpg"), reason="processes are stopped by their group")
def test_a_stopped_run_says_how_to_continue_in_two_lines(tmp_path):
    words = [*WORDS, "--tasks", "benchc_fog", "--no-control", "--limit", "1", "-o", str(tmp_path / "runs")]
    # A shell starts what runs in its background with SIGINT ignored, and processes inherit that.
    python = "import os, signal, sys; signal.signal(signal.SIGINT, signal.SIG_DFL); os.execv(sys.argv[1], sys.argv[1:])"
    running = subprocess.Popen(
        [sys.executable, "-c", python, *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert running.stdout is not None
    running.stdout.readline()
    time.sleep(0.5)
    os.killpg(running.pid, signal.SIGINT)
    _, said = running.communicate(timeout=60)
    assert running.returncode == command.INTERRUPTED
    assert said.strip().splitlines() == [
        f"Stopped. The answers so far are kept in {tmp_path / 'runs' / '.answers'}.",
        f"Continue with: benchc run --tasks benchc_fog --no-control --limit 1 -o {tmp_path / 'runs'}",
    ]


def test_a_launch_hands_its_dataset_to_the_process():
    assert Launch("runs", dataset="x").environment()["BENCHC_DATASET"] == "x"
