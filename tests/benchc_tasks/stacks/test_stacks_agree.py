"""The bundled model over two corruptions, by the command line of each stack: the same records, the same metrics."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

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

if not os.environ.get("BENCHC_REQUIRE_STACKS") and not any(
    (BIN / command).exists() for command in ("lm-eval", "inspect")
):
    pytest.skip("no other stack is installed; .ci/stacks makes an environment that has them", allow_module_level=True)


def need(command: str) -> str:
    """Return where a stack's command stands; without it the test is skipped, or fails where all must be there."""
    found = BIN / command
    if not found.exists() and not os.environ.get("BENCHC_REQUIRE_STACKS"):
        pytest.skip(f"{command} is not installed; .ci/stacks makes an environment that has it")
    return str(found)


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
        if (BIN / "lm-eval").exists():
            tasks = ",".join(str(task_file(corruption)) for corruption in CORRUPTIONS)
            waiting["lm-eval"] = start(
                [str(BIN / "lm-eval"), "run", *model, "--tasks", tasks, *output], folder / "lm-eval"
            )
        if (BIN / "inspect").exists():
            waiting["inspect_ai"] = start(
                [
                    *(str(BIN / "inspect"), "eval", "benchc/benchc", "-T", "corruption=fog,snow"),
                    *("--model", "openai-api/local/demonstration", "--limit", str(SAMPLES)),
                    *("--log-dir", "runs", "--display", "plain"),
                ],
                folder / "inspect_ai",
                LOCAL_API_KEY="none",
                LOCAL_BASE_URL=server.url,
            )

        def of_stack(stack: str) -> Callable[[], Path]:
            def wait() -> Path:
                said = waiting[stack]()
                found = folder / stack / "runs"
                assert found.is_dir(), said[-3000:]
                return found if stack == "inspect_ai" else next(path for path in found.iterdir() if path.is_dir())

            return wait

        yield {stack: of_stack(stack) for stack in ("lmms-eval", "lm-eval", "inspect_ai")}


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


def test_lm_evaluation_harness_writes_the_same_run(runs: dict[str, Callable[[], Path]]) -> None:
    need("lm-eval")
    found, expected = runs["lm-eval"](), runs["lmms-eval"]()
    run, reference = read_run(found), read_run(expected)
    assert_same(run, reference)
    assert (run.metadata.stack, reference.metadata.stack) == ("lm-eval", "lmms-eval")
    (ours,) = found.glob("results_*.json")
    (theirs,) = expected.glob("*_results.json")
    table, its_table = (json.loads(file.read_text(encoding="utf-8"))["results"] for file in (ours, theirs))
    for corruption in CORRUPTIONS:
        row, its_row = table[f"benchc_{corruption}"], its_table[f"benchc_{corruption}"]
        for name in METRICS:
            assert row[f"{name},none"] == pytest.approx(its_row[f"{name},none"], abs=SAME_METRIC, nan_ok=True), name


def test_inspect_ai_writes_the_same_run(runs: dict[str, Callable[[], Path]]) -> None:
    need("inspect")
    found, expected = runs["inspect_ai"](), runs["lmms-eval"]()
    run, reference = read_run(found), read_run(expected)
    assert_same(run, reference)
    assert run.metadata.stack == "inspect_ai"
    from inspect_ai.log import read_eval_log

    (file,) = found.glob("*.eval")
    (score,) = read_eval_log(str(file), header_only=True).results.scores
    for name, value in metrics_of(reference).items():
        assert score.metrics[name].value == pytest.approx(value, abs=SAME_METRIC, nan_ok=True), name
    for name in ("ras", "flip", "acc_corrupted"):
        assert 0 < score.metrics[f"{name}_stderr"].value < 1


@pytest.mark.parametrize("stack", ["lm-eval", "inspect_ai"])
def test_summary_compare_and_report_take_a_run_as_it_lies_on_disk(
    runs: dict[str, Callable[[], Path]], stack: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    need("lm-eval" if stack == "lm-eval" else "inspect")
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
