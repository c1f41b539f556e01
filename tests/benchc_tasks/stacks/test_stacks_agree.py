"""The bundled model over two corruptions, by the command line of each stack: the same records, the same metrics."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from served_demonstration import served_demonstration

from benchc_metrics.metrics.pairs import PairValues
from benchc_metrics.metrics.registry import METRICS
from benchc_metrics.metrics.sums import MetricSums
from benchc_metrics.runs import Run, read_run
from benchc_tasks.commands.cli import main
from benchc_tasks.demonstration import DEMONSTRATION_MODEL
from benchc_tasks.stacks.lm_eval.task_files import task_file

CORRUPTIONS = ("fog", "snow")
SAMPLES = 6
SAME_LOG_LIKELIHOOD = 1e-5
SAME_METRIC = 1e-6
BIN = Path(sys.executable).parent
COMMANDS = {
    "lm-eval": BIN / "lm-eval",
    "inspect_ai": BIN / "inspect",
    # It does not go with the others into one environment: this is the Python of its own.
    "VLMEvalKit": Path(os.environ.get("BENCHC_VLMEVALKIT_PYTHON", "no such file")),
}
"""What starts each stack beside lmms-eval."""

if not os.environ.get("BENCHC_REQUIRE_STACKS") and not any(command.exists() for command in COMMANDS.values()):
    pytest.skip("no other stack is installed; .ci/stacks makes an environment that has them", allow_module_level=True)


def need(stack: str) -> None:
    """Skip the test where a stack is not installed, or fail where all must be there."""
    if not COMMANDS[stack].exists() and not os.environ.get("BENCHC_REQUIRE_STACKS"):
        pytest.skip(f"{stack} is not installed; .ci/stacks makes an environment that has it")


def start(command: list[str], folder: Path, **environment: str) -> Callable[[], str]:
    """Start a command in a folder of its own; the result waits for its end and returns what it said."""
    folder.mkdir(exist_ok=True)
    log = (folder / "log.txt").open("w+")
    own = {**os.environ, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1", **environment}
    running = subprocess.Popen(command, cwd=folder, env=own, stdout=log, stderr=subprocess.STDOUT)

    def wait() -> str:
        running.wait(timeout=500)
        log.seek(0)
        return log.read()

    return wait


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("stacks")


@pytest.fixture(scope="module")
def runs(folder: Path) -> Iterator[dict[str, Callable[[], Path]]]:
    """Start all stacks at once, and give for each the folder of its run as it lies on disk."""
    model = ["--model", "benchc", "--model_args", f"pretrained={DEMONSTRATION_MODEL}", "--limit", str(SAMPLES)]
    output = ["--output_path", "runs", "--log_samples"]
    waiting = {
        "lmms-eval": start(
            [sys.executable, "-m", "lmms_eval", *model, "--tasks", "benchc_fog,benchc_snow", *output],
            folder / "lmms-eval",
        )
    }
    with served_demonstration() as server:
        tasks = ",".join(str(task_file(corruption)) for corruption in CORRUPTIONS)
        others: dict[str, list[str]] = {
            "lm-eval": ["run", *model, "--tasks", tasks, *output],
            "inspect_ai": [
                *("eval", "benchc/benchc", "-T", "corruption=fog,snow", "--model", "openai-api/local/demonstration"),
                *("--limit", str(SAMPLES), "--log-dir", "runs", "--display", "plain"),
            ],
            "VLMEvalKit": [
                *("-m", "benchc_tasks.commands.cli", "vlmevalkit", "--data", "BenchC_fog", "BenchC_snow"),
                *("--limit", str(SAMPLES), "--work-dir", "runs"),
            ],
        }
        for stack, words in others.items():
            if COMMANDS[stack].exists():
                waiting[stack] = start(
                    [str(COMMANDS[stack]), *words],
                    folder / stack,
                    LOCAL_API_KEY="none",
                    LOCAL_BASE_URL=server.url,
                    LMUData=str(folder / "data of VLMEvalKit"),
                )

        def of_stack(stack: str) -> Callable[[], Path]:
            def wait() -> Path:
                said = waiting[stack]()
                found = folder / stack / "runs"
                assert found.is_dir(), said[-3000:]
                if stack == "inspect_ai":
                    return found
                # The others name a folder after the model; VLMEvalKit puts its logs beside it.
                (of_model,) = (path for path in found.iterdir() if path.is_dir() and path.name != "logs")
                return of_model

            return wait

        yield {stack: of_stack(stack) for stack in ("lmms-eval", *others)}


def metrics_of(run: Run) -> dict[str, float]:
    sums = MetricSums(tuple(METRICS.values()))
    values = sums.metrics(sums.viewed_terms(PairValues.of_run(run).all_pairs()).sum(axis=0))
    return dict(zip(sums.names, np.asarray(values).tolist(), strict=True))


def assert_same(found: Run, expected: Run) -> None:
    """The same samples, the same log-likelihoods, the same metrics."""
    for name in ("sample_ids", "sources", "categories", "corruptions"):
        assert getattr(found, name) == getattr(expected, name), name
    np.testing.assert_array_equal(found.answers, expected.answers)
    for name in ("dataset", "engine", "prompt", "context", "demonstration", "dataset_size", "complete"):
        assert getattr(found.metadata, name) == getattr(expected.metadata, name), name
    np.testing.assert_allclose(found.clean, expected.clean, atol=SAME_LOG_LIKELIHOOD, rtol=0)
    np.testing.assert_allclose(found.corrupted, expected.corrupted, atol=SAME_LOG_LIKELIHOOD, rtol=0)
    assert found.cautions == expected.cautions
    metrics, reference = metrics_of(found), metrics_of(expected)
    assert metrics.keys() == reference.keys()
    for name, value in reference.items():
        assert metrics[name] == pytest.approx(value, abs=SAME_METRIC, nan_ok=True), name


def results_of(file: Path) -> dict[str, dict[str, Any]]:
    """Read the metrics of each task from a stack's file of results."""
    results: dict[str, dict[str, Any]] = json.loads(file.read_text(encoding="utf-8"))["results"]
    return results


@pytest.mark.parametrize("stack", COMMANDS)
def test_each_stack_writes_the_same_run(runs: dict[str, Callable[[], Path]], stack: str) -> None:
    need(stack)
    run, reference = read_run(runs[stack]()), read_run(runs["lmms-eval"]())
    assert_same(run, reference)
    assert (run.metadata.stack, reference.metadata.stack) == (stack, "lmms-eval")


@pytest.mark.parametrize(
    ("stack", "results", "suffix"), [("lm-eval", "results_*.json", ",none"), ("VLMEvalKit", "*_results.json", "")]
)
def test_the_stack_s_own_table_has_the_same_metrics(
    runs: dict[str, Callable[[], Path]], stack: str, results: str, suffix: str
) -> None:
    need(stack)
    (ours,) = runs[stack]().glob(results)
    (theirs,) = runs["lmms-eval"]().glob("*_results.json")
    table, its_table = results_of(ours), results_of(theirs)
    for corruption in CORRUPTIONS:
        row, its_row = table[f"benchc_{corruption}"], its_table[f"benchc_{corruption}"]
        for name in METRICS:
            value = its_row[f"{name},none"]
            assert row[f"{name}{suffix}"] == pytest.approx(value, abs=SAME_METRIC, nan_ok=True), name


def test_inspect_ai_s_own_log_has_the_same_metrics(runs: dict[str, Callable[[], Path]]) -> None:
    need("inspect_ai")
    from inspect_ai.log import read_eval_log

    (file,) = runs["inspect_ai"]().glob("*.eval")
    (score,) = read_eval_log(str(file), header_only=True).results.scores
    for name, value in metrics_of(read_run(runs["lmms-eval"]())).items():
        assert score.metrics[name].value == pytest.approx(value, abs=SAME_METRIC, nan_ok=True), name
    for name in ("ras", "flip", "acc_corrupted"):
        assert 0 < score.metrics[f"{name}_stderr"].value < 1


@pytest.mark.parametrize("stack", COMMANDS)
def test_summary_compare_and_report_take_a_run_as_it_lies_on_disk(
    runs: dict[str, Callable[[], Path]], stack: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    need(stack)
    found, expected = runs[stack](), runs["lmms-eval"]()
    copy = tmp_path / "copy"
    shutil.copytree(found, copy)
    few = ["--resamples", "200"]
    assert main(["summary", str(copy), str(expected), *few]) == 0
    assert main(["compare", str(copy), str(expected), *few]) == 0
    assert main(["report", str(copy), "-o", str(tmp_path / "report.html")]) == 0
    # Two corruptions are no submission, which is what it says, and not that it could not read the run.
    submission = ["-o", str(tmp_path / "submission"), "--dataset-id", "lab/set", "--model-id", "lab/demonstration"]
    capsys.readouterr()
    assert main(["submit", str(copy), *submission]) != 0
    assert "spatter was not evaluated" in capsys.readouterr().err
    assert stack in (tmp_path / "report.html").read_text(encoding="utf-8")
