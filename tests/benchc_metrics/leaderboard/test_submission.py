from __future__ import annotations

import csv
import hashlib
import json
from dataclasses import replace
from datetime import datetime

import numpy as np
import pyarrow.parquet as pq
import pytest
import yaml
from huggingface_hub import EvalResultEntry, eval_result_entries_to_yaml, parse_eval_result_entries
from run_folders import made_run
from submissions import CREATED, DETAILS, QUICK

from benchc_metrics.benchmark import CORRUPTION_FAMILIES
from benchc_metrics.leaderboard.answers import CONDITIONS
from benchc_metrics.leaderboard.eval_results import eval_results_of, parse_eval_results
from benchc_metrics.leaderboard.every_eval_ever import EvaluationLog, InstanceLog
from benchc_metrics.leaderboard.schema import STANDARD_BOOTSTRAP, cell_metrics, parse_record
from benchc_metrics.leaderboard.submission import SubmissionDetails, what_is_missing, write_submission
from benchc_metrics.leaderboard.verification import read_submission, verify
from benchc_metrics.metrics.registry import METRICS
from benchc_metrics.metrics.views import condition_views
from benchc_metrics.statistics.estimates import estimate
from benchc_metrics.statistics.resampling import CONFIDENCE_LEVEL, RESAMPLES, SEED


@pytest.fixture
def record(pristine):
    return parse_record((pristine / "benchc.json").read_text(encoding="utf-8"))


def test_a_submission_has_these_files_and_no_other(pristine, record):
    present = {path.relative_to(pristine).as_posix() for path in pristine.rglob("*") if path.is_file()}
    evaluation = next(path for path in present if path.endswith(".json") and path != "benchc.json")
    assert evaluation.startswith("every_eval_ever/data/benchc/lab/model/")
    assert present == {
        "benchc.json",
        "samples.parquet",
        ".eval_results/benchc.yaml",
        "unaggregated_results.csv",
        evaluation,
        evaluation.replace(".json", "_samples.jsonl"),
    }
    assert {facts.path for facts in record.files} == present - {"benchc.json"}
    for facts in record.files:
        content = (pristine / facts.path).read_bytes()
        assert (facts.bytes, facts.sha256) == (len(content), hashlib.sha256(content).hexdigest())


def test_the_record_says_what_the_run_says(record, whole):
    found = estimate(whole, resamples=QUICK.resamples, seed=QUICK.seed)
    assert list(record.metrics) == list(METRICS)
    for name, metric in record.metrics.items():
        assert (metric.value, metric.low, metric.high) == pytest.approx(tuple(found.of(name)), abs=1e-12)
    cells = estimate(whole, condition_views(whole), resamples=QUICK.resamples, seed=QUICK.seed)
    assert [f"{cell.corruption}@{cell.severity}" for cell in record.table] == list(CONDITIONS[1:])
    assert len(record.table) == 19 * 5
    for cell in record.table:
        assert tuple(cell.metrics) == cell_metrics()
        expected = cells.of("acc_corrupted", f"{cell.corruption}@{cell.severity}")
        assert cell.metrics["acc_corrupted"].value == expected.value
    assert record.model.id == "lab/model"
    assert (record.engine, record.dataset.samples, record.dataset.revision) == ("1", 8, "0123abc")
    assert (record.versions.benchc, record.versions.lmms_eval) == ("0.1.0", "0.7.3")
    assert record.prompt == whole.metadata.prompt
    assert (record.created, record.evaluated) == ("2026-03-02T08:30:00Z", "2026-03-01T11:00:00Z")


def test_numbers_are_numbers(pristine):
    written = json.loads((pristine / "benchc.json").read_text(), parse_constant=lambda constant: pytest.fail(constant))
    assert written["schema"] == "benchc.submission/4"
    assert all(isinstance(metric["value"], (int, float)) for metric in written["metrics"].values())


def test_the_answers_make_the_run_again(pristine, whole):
    _, run = read_submission(pristine)
    for name in ("clean", "corrupted", "answers", "option_counts"):
        np.testing.assert_array_equal(getattr(run, name), getattr(whole, name))
    for name in ("sample_ids", "sources", "categories", "corruptions", "metadata"):
        assert getattr(run, name) == getattr(whole, name), name


def test_samples_parquet_says_what_it_is(pristine):
    table = pq.read_table(pristine / "samples.parquet")
    assert table.num_rows == 8 * 96
    assert table.schema.metadata[b"schema"] == b"benchc.answers/4"
    probabilities = table.column("probabilities").to_pylist()
    assert np.allclose([sum(each) for each in probabilities], 1)


def test_evaluation_results_go_through_hugging_faces_own_functions(pristine, record):
    text = (pristine / ".eval_results/benchc.yaml").read_text()
    written = yaml.safe_load(text)
    entries = parse_eval_result_entries(written)
    assert all(isinstance(entry, EvalResultEntry) for entry in entries)
    assert entries == eval_results_of(record) == parse_eval_results(text)
    assert eval_result_entries_to_yaml(entries) == written
    assert [entry.task_id for entry in entries] == [
        n for n, metric in record.metrics.items() if metric.value is not None
    ]
    ras = next(entry for entry in written if entry["dataset"]["task_id"] == "ras")
    assert ras["dataset"] == {"id": "lab/bench-c", "task_id": "ras", "revision": "0123abc"}
    assert ras["value"] == record.metrics["ras"].value
    assert ras["date"] == "2026-03-01T11:00:00Z"
    assert ras["source"]["url"].startswith("https://")
    assert "95 % interval" in ras["notes"]


@pytest.mark.parametrize("text", ["{", "a: 1", "- 1", "- dataset: {id: a}\n  value: 1", "- value: 1", "- dataset: 3"])
def test_what_is_no_list_of_results_is_refused(text):
    with pytest.raises(ValueError, match=r"\.eval_results/benchc\.yaml"):
        parse_eval_results(text)


def test_every_eval_ever(pristine, record, whole):
    (file,) = pristine.rglob("every_eval_ever/data/*/*/*/*.json")
    log = EvaluationLog.model_validate_json(file.read_text())
    assert log.schema_version == "0.3.0"
    assert log.evaluation_id == f"benchc/lab_model/{int(CREATED.timestamp())}"
    assert (log.model_info.id, log.model_info.developer) == ("lab/model", "lab")
    ras = next(result for result in log.evaluation_results if result.evaluation_result_id == "ras")
    assert (ras.metric_config.min_score, ras.metric_config.max_score) == (-2, 1)
    assert (ras.metric_config.score_type, ras.metric_config.lower_is_better) == ("continuous", False)
    assert ras.score_details.score == record.metrics["ras"].value
    interval = ras.score_details.uncertainty.confidence_interval
    assert (interval.lower, interval.upper) == (record.metrics["ras"].low, record.metrics["ras"].high)
    drop = next(result for result in log.evaluation_results if result.evaluation_result_id == "acc_drop")
    assert (drop.metric_config.min_score, drop.metric_config.lower_is_better) == ("-Infinity", True)
    instances = file.with_name(f"{file.stem}_samples.jsonl")
    assert f"every_eval_ever/{log.detailed_evaluation_results.file_path}" == instances.relative_to(pristine).as_posix()
    assert log.detailed_evaluation_results.checksum == hashlib.sha256(instances.read_bytes()).hexdigest()
    rows = [InstanceLog.model_validate_json(line) for line in instances.read_text().splitlines()]
    assert len(rows) == log.detailed_evaluation_results.total_rows == 3 * len(whole.sample_ids)
    for metric in ("acc_clean", "acc_corrupted", "ras"):
        scores = [row.evaluation.score for row in rows if row.evaluation_result_id == metric]
        assert np.mean(scores) == pytest.approx(record.metrics[metric].value)
    corrupted = next(row for row in rows if row.evaluation_result_id == "acc_corrupted")
    right = [letter == corrupted.input.reference[0] for letter in corrupted.output.raw]
    assert (len(right), np.mean(right)) == (95, pytest.approx(corrupted.evaluation.score))


@pytest.mark.parametrize(
    ("path", "value", "reason"),
    [
        (("schema_version",), "0.2", "0.3.0"),
        (("evaluation_results", 3, "score_details", "score"), "-0.2", "valid number"),
        (("evaluation_results", 3, "score_details", "score"), -2.5, "outside"),
        (("evaluation_results", 3, "metric_config", "score_type"), "ordinal", "continuous"),
        (("retrieved_timestamp",), "yesterday", "pattern"),
        (("detailed_evaluation_results", "file_path"), "../x_samples.jsonl", "pattern"),
        (("more",), 1, "not permitted"),
    ],
)
def test_every_eval_ever_refuses_what_the_project_refuses(pristine, path, value, reason):
    (file,) = pristine.rglob("every_eval_ever/data/*/*/*/*.json")
    log = json.loads(file.read_text())
    target = log
    for key in path[:-1]:
        target = target[key]
    target[path[-1]] = value
    with pytest.raises(ValueError, match=reason):
        EvaluationLog.model_validate_json(json.dumps(log))


def test_unaggregated_results_are_as_robustbench_has_them(pristine, record):
    corruptions, severities, row = csv.reader((pristine / "unaggregated_results.csv").read_text().splitlines())
    assert corruptions[0] == severities[0] == ""
    assert row[0] == "lab/model"
    assert list(zip(corruptions[1:], map(int, severities[1:]), strict=True)) == [
        (name, severity) for name in CORRUPTION_FAMILIES for severity in range(1, 6)
    ]
    assert [float(value) for value in row[1:]] == [cell.metrics["acc_corrupted"].value for cell in record.table]


def test_everything_that_is_missing_is_listed(whole):
    part = made_run(
        8, corruptions=tuple(name for name in CORRUPTION_FAMILIES if name not in ("fog", "snow")), dataset_size=9
    )
    corrupted = part.corrupted.copy()
    corrupted[2, 0, 0] = np.nan
    part = replace(
        part,
        corrupted=corrupted,
        invalid={("sample-0002", "gaussian_noise@1"): "the backend returned nan"},
        missing=(("sample-0003", "saturate@5"), ("sample-0004", "saturate@5")),
    )
    assert what_is_missing(part) == [
        "1 of the 9 samples were not evaluated (was --limit given?)",
        "snow was not evaluated, at any severity",
        "fog was not evaluated, at any severity",
        "saturate@5 has no answer for 2 samples, 'sample-0003' the first",
        "gaussian_noise@1 has 1 invalid answers, the first for 'sample-0002': the backend returned nan",
    ]
    assert what_is_missing(whole) == []


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"dataset_size": None}, "does not say how many samples"),
        ({"dataset_size": 7}, "8 samples were evaluated of a dataset that has 7"),
        ({"corruptions": (*tuple(CORRUPTION_FAMILIES)[:-1], "rain")}, "rain is not a corruption of the benchmark"),
    ],
)
def test_a_run_that_is_not_whole_is_not_written(tmp_path, changes, reason):
    with pytest.raises(ValueError, match=reason):
        write_submission(made_run(8, **changes), tmp_path / "out", DETAILS, bootstrap=QUICK)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"model_id": None}, "--model-id"),
        ({"model_id": "../up"}, "is not an id of the form ORG/NAME"),
        ({"dataset_id": "local"}, "dataset.id|id 'local'"),
        ({"source_url": "file:///x"}, "url 'file:///x' is refused"),
        ({"dataset_revision": "main"}, "revision 'main' is refused"),
    ],
)
def test_a_detail_that_is_no_good_is_refused(whole, tmp_path, changes, reason):
    nameless = replace(whole, metadata=replace(whole.metadata, model="/checkpoints/7"))
    details = replace(DETAILS, **{"model_id": "lab/model", **changes})
    with pytest.raises(ValueError, match=reason):
        write_submission(nameless, tmp_path / "out", details, bootstrap=QUICK)


def test_a_place_on_the_evaluators_machine_is_not_written(whole, tmp_path):
    facts = replace(
        whole.metadata,
        model="/home/someone/checkpoint",
        model_args="pretrained=/home/someone/checkpoint,device=cpu,system_prompt=/home/someone/prompt.txt",
    )
    details = replace(DETAILS, model_id="lab/other")
    record = write_submission(replace(whole, metadata=facts), tmp_path, details, bootstrap=QUICK)
    assert record.model.arguments == "pretrained=lab/other,device=cpu,system_prompt=lab/other"
    assert not any(b"someone" in path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())


def test_what_is_there_is_not_written_over(whole, tmp_path):
    (tmp_path / "mine").write_text("mine")
    with pytest.raises(FileExistsError, match="give a folder that is empty"):
        write_submission(whole, tmp_path, DETAILS, bootstrap=QUICK)


def test_undefined_metrics_are_null(tmp_path):
    run = made_run(6)
    right = replace(run, answers=run.clean.argmax(axis=1))
    record = write_submission(right, tmp_path, DETAILS, bootstrap=QUICK)
    assert record.metrics["ras_corrective"].value is None
    text = (tmp_path / ".eval_results/benchc.yaml").read_text()
    assert "ras_corrective" not in text
    assert verify(tmp_path, engine="1", bootstrap=QUICK).findings == ()


def test_the_standard_is_that_of_the_statistics(tmp_path, whole):
    assert (STANDARD_BOOTSTRAP.resamples, STANDARD_BOOTSTRAP.seed) == (RESAMPLES, SEED)
    assert STANDARD_BOOTSTRAP.level == CONFIDENCE_LEVEL
    before = datetime.now(CREATED.tzinfo)
    record = write_submission(whole, tmp_path, SubmissionDetails(dataset_id="lab/bench-c"))
    assert record.bootstrap == STANDARD_BOOTSTRAP
    assert verify(tmp_path, engine="1").is_sound
    assert datetime.fromisoformat(record.created.replace("Z", "+00:00")) >= before.replace(microsecond=0)
