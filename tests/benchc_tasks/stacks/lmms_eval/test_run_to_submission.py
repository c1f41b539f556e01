"""From lmms-eval's own files to a verified submission: what a user does, end to end."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from submissions import DETAILS, QUICK

from benchc_metrics.leaderboard.submission import write_submission
from benchc_metrics.leaderboard.verification import verify
from benchc_metrics.metrics.registry import METRICS
from benchc_metrics.metrics.views import corruption_views, whole_run
from benchc_metrics.runs import read_run
from benchc_metrics.statistics.estimates import estimate
from benchc_tasks.commands.verify import sample_facts
from benchc_tasks.corruptions import ENGINE_VERSION
from benchc_tasks.datasets import load_dataset, write_dataset
from support import rows_of_samples


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    path = tmp_path / "samples.parquet"
    write_dataset(path, rows_of_samples(3))
    return path


def test_an_evaluation_is_read_submitted_and_verified(
    tmp_path: Path, dataset: Path, lmms_eval: Callable[..., Any]
) -> None:
    evaluation = lmms_eval(
        ["--model", "benchc", "--tasks", "benchc", "--batch_size", "16"], environment={"BENCHC_DATASET": str(dataset)}
    )
    results_file = next(evaluation.folder.rglob("*_results.json"), None)
    assert results_file is not None, evaluation.output
    run = read_run(results_file.parent)
    assert (len(run.sample_ids), len(run.corruptions), run.missing, dict(run.invalid)) == (3, 19, (), {})
    assert (run.metadata.engine, run.metadata.backend) == (ENGINE_VERSION, "benchc")
    assert run.metadata.date is not None

    found = estimate(run, (whole_run(run), *corruption_views(run)), resamples=QUICK.resamples, seed=QUICK.seed)
    results = evaluation.results
    for view, shown in (("all", results["groups"]["benchc"]), ("fog", results["results"]["benchc_fog"])):
        for metric in METRICS:
            value = found.of(metric, view).value
            reported = shown[f"{metric},none"]
            assert value == pytest.approx(reported, abs=1e-9) or (math.isnan(value) and math.isnan(reported)), metric

    samples = load_dataset(dataset)
    record = write_submission(
        run, tmp_path / "submission", replace(DETAILS, model_id="lab/demonstration"), bootstrap=QUICK
    )
    assert record.dataset.fingerprint == samples.fingerprint
    verification = verify(
        tmp_path / "submission",
        engine=ENGINE_VERSION,
        dataset=samples.fingerprint,
        samples=sample_facts(samples),
        bootstrap=QUICK,
    )
    assert verification.findings == ()


def test_votes_are_submitted_and_verified(tmp_path: Path, dataset: Path, lmms_eval: Callable[..., Any]) -> None:
    evaluation = lmms_eval(
        ["--model", "benchc", "--tasks", "benchc-gen-lite", "--batch_size", "16"],
        environment={"BENCHC_DATASET": str(dataset)},
    )
    run = read_run(next(evaluation.folder.rglob("*_results.json")).parent)
    assert run.votes is not None
    assert run.metadata.design == "lite"
    details = replace(DETAILS, model_id="lab/demonstration")
    record = write_submission(run, tmp_path / "submission", details, bootstrap=QUICK)
    shown = evaluation.results["results"]["benchc-gen-lite"]
    for name in ("ras_votes", "votes", "unparsed_votes", "acc_clean", "acc_corrupted"):
        assert record.metrics[name].value == pytest.approx(shown[f"{name},none"], abs=1e-12), name
    assert record.metrics["votes"].value == 16
    assert record.sampling is not None
    samples = load_dataset(dataset)
    found = verify(
        tmp_path / "submission",
        engine=ENGINE_VERSION,
        dataset=samples.fingerprint,
        samples=sample_facts(samples),
        bootstrap=QUICK,
    )
    assert found.findings == ()
    assert found.run is not None
    np.testing.assert_array_equal(found.run.votes.corrupted, run.votes.corrupted)
