"""Runs as each stack leaves them on disk."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from run_folders import made_run, write_run
from stack_folders import DATE, as_inspect, as_lm_eval

from benchc_metrics.runs.layouts import date_of_results, order_of_date, split_log_name
from benchc_metrics.runs import Run, read_run, read_runs

RUN = made_run(12, corruptions=("gaussian_noise", "fog"))


@pytest.fixture
def lmms(tmp_path: Path) -> Path:
    folder = tmp_path / "lmms"
    write_run(RUN, folder)
    return folder


def assert_same(found: Run, expected: Run) -> None:
    assert found.sample_ids == expected.sample_ids
    np.testing.assert_array_equal(found.clean, expected.clean)
    np.testing.assert_array_equal(found.corrupted, expected.corrupted)
    assert found.metadata.dataset == expected.metadata.dataset


def test_a_run_of_lm_evaluation_harness_is_read_as_one_of_lmms_eval(lmms, tmp_path):
    found, expected = read_run(as_lm_eval(lmms, tmp_path / "lm")), read_run(lmms)
    assert_same(found, expected)
    assert (found.metadata.stack, found.metadata.lmms_eval) == ("lm-eval", "0.4.13")
    assert found.metadata.date == "2026-11-26T17:00:17Z"
    assert found.metadata.model not in {"41pjso2k", "benchc"}
    assert found.complete == expected.complete


def test_the_bundled_model_has_its_name_in_the_harness_too(lmms, tmp_path):
    folder = as_lm_eval(lmms, tmp_path / "lm")
    (written,) = folder.glob("results_*.json")
    results = json.loads(written.read_text(encoding="utf-8"))
    results["config"] |= {"model": "benchc", "model_args": {}}
    written.write_text(json.dumps(results), encoding="utf-8")
    assert read_run(folder).name == "benchc-demo"


@pytest.mark.parametrize("suffix", [".eval", ".json"])
def test_a_log_of_inspect_ai_is_a_run(lmms, tmp_path, suffix):
    logs = tmp_path / "logs"
    logs.mkdir()
    as_inspect(lmms, logs / f"log{suffix}")
    expected = read_run(sorted(lmms.glob("*_samples_*.jsonl"))[0])
    found = read_run(logs)
    assert_same(found, expected)
    assert found.metadata.evaluated_with == "inspect_ai 0.3.285"
    assert found.metadata.date == "2026-11-26T17:07:15Z"
    assert found.metadata.complete
    assert_same(read_run(logs / f"log{suffix}"), expected)


def test_logs_of_two_models_in_one_folder_are_two_runs(lmms, tmp_path):
    logs = tmp_path / "logs"
    logs.mkdir()
    as_inspect(lmms, logs / "a.eval", "openai/one")
    as_inspect(lmms, logs / "b.eval", "openai/two")
    assert [run.name for run in read_runs([logs])] == ["openai/one", "openai/two"]
    with pytest.raises(ValueError, match="has the logs of 2 models: give the files of one"):
        read_run(logs)


def test_of_several_epochs_and_of_equal_evaluations_one_is_read_and_it_is_said(lmms, tmp_path):
    logs = tmp_path / "logs"
    logs.mkdir()
    as_inspect(lmms, logs / "a.eval")
    as_inspect(lmms, logs / "b.eval", epochs=2)
    run = read_run(logs)
    assert any("has 2 evaluations" in note for note in run.notes)
    assert any("several epochs" in note for note in run.notes)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 cut off", b"{}"])
def test_a_damaged_log_is_a_sentence(tmp_path, content):
    (tmp_path / "log.eval").write_bytes(content)
    with pytest.raises(ValueError, match=r"log\.eval is not a complete log of inspect_ai"):
        read_run(tmp_path / "log.eval")


def test_a_missing_sample_is_a_gap(lmms, tmp_path):
    file = as_inspect(lmms, tmp_path / "log.json")
    log = json.loads(file.read_text(encoding="utf-8"))
    log["samples"].pop()
    file.write_text(json.dumps(log), encoding="utf-8")
    run = read_run(file)
    assert not run.metadata.complete
    assert any("of its" in gap for gap in run.metadata.gaps)


@pytest.mark.parametrize(
    ("name", "date"),
    [
        ("20261126_170045_results.json", "20261126_170045"),
        (f"results_{DATE}.json", DATE),
        (f"mine_{DATE}.json", DATE),
        ("report.json", None),
    ],
)
def test_a_results_file_is_known_by_its_name(name, date):
    assert date_of_results(Path(name)) == date


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("20261126_170045_samples_benchc_fog.jsonl", ("20261126_170045", "benchc_fog")),
        (f"samples_benchc_fog_{DATE}.jsonl.gz", (DATE, "benchc_fog")),
        ("mine.jsonl", ("", "mine")),
    ],
)
def test_a_samples_log_is_known_by_its_name(name, expected):
    assert split_log_name(Path(name)) == expected


def test_dates_of_all_stacks_have_one_order():
    assert order_of_date("20261126_170045") == order_of_date(DATE) == "20261126170045"
