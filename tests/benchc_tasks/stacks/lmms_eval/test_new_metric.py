"""A metric that is registered in one place is in lmms-eval's table, in summary, report and submission."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lmms_eval.api.model import lmms
from lmms_eval.evaluator import simple_evaluate
from lmms_eval.tasks import TaskManager
from lmms_eval.utils import make_table
from run_folders import METADATA, write_run
from submissions import DETAILS, QUICK

from benchc_metrics.leaderboard.submission import write_submission
from benchc_metrics.metrics.registry import Metric, mean_over_pairs, register, unregister
from benchc_metrics.records import SampleRecord
from benchc_metrics.runs import Run, read_run, run_of_records
from benchc_tasks.commands.cli import main
from benchc_tasks.datasets import write_dataset
from support import rows_of_samples

SAMPLES = 3


@pytest.fixture
def toy() -> Iterator[str]:
    """The confidence under corruption, as a metric."""
    register(
        Metric(
            "toy",
            "toy confidence",
            "Confidence under corruption.",
            "mean of c(q) over pairs",
            True,
            0,
            1,
            mean_over_pairs("toy", lambda pairs: pairs.confidence),
            is_headline=True,
        )
    )
    yield "toy"
    unregister("toy")


class UnevenModel(lmms):
    """Prefers an option, the more the later in the sample's requests."""

    is_simple = True

    def loglikelihood(self, requests: list[Any]) -> list[tuple[float, bool]]:
        return [(-2.0 - 0.3 * ((request.idx * 7 + request.doc_id) % 5), False) for request in requests]

    def generate_until(self, requests: list[Any]) -> list[str]:
        raise NotImplementedError

    generate_until_multi_round = generate_until


def evaluated(folder: Path) -> dict[str, Any]:
    """Evaluate the group of all tasks, by the definitions that the command writes."""
    assert main(["task-files", str(folder)]) == 0
    manager = TaskManager(include_path=str(folder), include_defaults=False)
    results = simple_evaluate(
        model=UnevenModel(), tasks=["benchc"], task_manager=manager, bootstrap_iters=0, log_samples=True
    )
    assert results is not None
    return results


def run_of(results: dict[str, Any]) -> Run:
    logs = {
        task: [SampleRecord.from_json_dict(row["benchc"]) for row in rows] for task, rows in results["samples"].items()
    }
    run = run_of_records("lab/uneven", dict(sorted(logs.items())))
    return replace(run, metadata=replace(METADATA, dataset=run.metadata.dataset, dataset_size=SAMPLES))


def test_a_new_metric_is_seen_everywhere(
    toy: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_dataset(tmp_path / "samples.parquet", rows_of_samples(SAMPLES))
    monkeypatch.setenv("BENCHC_DATASET", str(tmp_path / "samples.parquet"))
    results = evaluated(tmp_path / "tasks")
    value = results["groups"]["benchc"]["toy,none"]
    run = run_of(results)
    assert value == pytest.approx(float(np.mean(run.corrupted_distributions().max(axis=-1))), abs=1e-12)
    lines = [line for line in make_table(results).splitlines() if "|toy" in line]
    assert len(lines) == 1 + 19
    assert f"{value:.4f}" in lines[0]

    folder = write_run(run, tmp_path / "run")
    capsys.readouterr()
    assert main(["summary", str(folder), "--resamples", "100", "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)["tables"][0]["rows"]
    assert row["toy"]["value"] == pytest.approx(value, abs=1e-12)
    assert row["toy"]["low"] <= value <= row["toy"]["high"]

    assert main(["report", str(folder), "-o", str(tmp_path / "report.html")]) == 0
    report = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "toy confidence" in report
    assert f'<span class="value">{value:.3f}</span>' in report

    record = write_submission(read_run(folder), tmp_path / "submission", DETAILS, bootstrap=QUICK)
    assert record.metrics["toy"].value == pytest.approx(value, abs=1e-12)
    entries = (tmp_path / "submission" / ".eval_results" / "benchc.yaml").read_text(encoding="utf-8")
    assert "task_id: toy" in entries


def test_a_definition_that_names_an_unknown_metric_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_dataset(tmp_path / "samples.parquet", rows_of_samples(SAMPLES))
    monkeypatch.setenv("BENCHC_DATASET", str(tmp_path / "samples.parquet"))
    main(["task-files", str(tmp_path / "tasks")])
    template = tmp_path / "tasks" / "_benchc_template_yaml"
    template.write_text(template.read_text().replace("- metric: flip", "- metric: flop"))
    manager = TaskManager(include_path=str(tmp_path / "tasks"), include_defaults=False)
    with pytest.raises(ValueError, match="metric_list names 'flop', which is not one of acc_clean,"):
        simple_evaluate(model=UnevenModel(), tasks=["benchc_fog"], task_manager=manager, bootstrap_iters=0)
