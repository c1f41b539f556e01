"""Runs without probabilities, as `benchc-gen` tasks make them: submitted, verified, and ranked apart."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from run_folders import made_run, without_distributions
from submissions import CREATED, DETAILS, QUICK

from benchc_metrics.leaderboard.schema import SAMPLES_SCHEMA
from benchc_metrics.leaderboard.site import Submission, build_site
from benchc_metrics.leaderboard.submission import write_submission
from benchc_metrics.leaderboard.verification import verify
from benchc_metrics.metrics.registry import METRICS
from benchc_metrics.runs import GivenPredictions, Run


def submitted(run: Run, folder: Path) -> Submission:
    write_submission(run, folder, DETAILS, bootstrap=QUICK, created=CREATED)
    found = verify(folder, engine="1", bootstrap=QUICK)
    assert found.findings == ()
    return Submission(found.record, found.run)


@pytest.fixture(scope="module")
def whole() -> Run:
    return made_run(8, model="lab/writer")


@pytest.fixture(scope="module")
def submission(whole: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("letters") / "pristine"
    submitted(without_distributions(whole), folder)
    return folder


def test_what_needs_no_probability_is_that_of_the_same_predictions(
    whole: Run, submission: Path, tmp_path: Path
) -> None:
    of_letters = json.loads((submission / "benchc.json").read_text())
    submitted(whole, tmp_path / "scored")
    of_scores = json.loads((tmp_path / "scored" / "benchc.json").read_text())
    assert of_letters["obtained"] == "generated letters"
    for name, metric in METRICS.items():
        if metric.needs_distribution:
            assert of_letters["metrics"][name] == {"value": None, "low": None, "high": None}
        else:
            assert of_letters["metrics"][name] == pytest.approx(of_scores["metrics"][name], abs=1e-12)
    assert [cell["metrics"]["flip"] for cell in of_letters["table"]] == [
        cell["metrics"]["flip"] for cell in of_scores["table"]
    ]
    assert "ras" not in (submission / ".eval_results/benchc.yaml").read_text().replace("generated letters", "")
    (instances,) = submission.rglob("*_samples.jsonl")
    assert {json.loads(line)["evaluation_result_id"] for line in instances.read_text().splitlines()} == {
        "acc_clean",
        "acc_corrupted",
    }


def tampered(submission: Path, folder: Path, edit) -> list[str]:
    for file in submission.rglob("*"):
        if file.is_file():
            target = folder / file.relative_to(submission)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(file.read_bytes())
    rows = pq.read_table(folder / "samples.parquet").to_pylist()
    edit(rows)
    pq.write_table(pa.Table.from_pylist(rows, schema=SAMPLES_SCHEMA), folder / "samples.parquet")
    record = json.loads((folder / "benchc.json").read_text())
    for facts in record["files"]:
        content = (folder / facts["path"]).read_bytes()
        facts.update(bytes=len(content), sha256=hashlib.sha256(content).hexdigest())
    (folder / "benchc.json").write_text(json.dumps(record))
    return [str(finding) for finding in verify(folder, engine="1", bootstrap=QUICK).findings]


def all_right(rows):
    for row in rows:
        row["prediction"] = row["answer"]


TAMPERS = {
    "all right": (all_right, "acc_corrupted is"),
    "no prediction": (lambda rows: rows[7].update(prediction=None), "it has nulls where each answer needs a value"),
    "an option that is none": (
        lambda rows: rows[7].update(prediction=9),
        "1 chosen options that the sample does not have: sample-0000 under shot_noise@2",
    ),
    "a negative option": (lambda rows: rows[7].update(prediction=-1), "1 chosen options that the sample does not have"),
    "probabilities beside": (
        lambda rows: rows[7].update(log_likelihoods=[-1.0, -2.0], probabilities=[0.7, 0.3]),
        "it has values of another kind beside",
    ),
    "another number of options": (lambda rows: rows[7].update(options=26), "options change between conditions"),
    "no option": (lambda rows: rows[7].update(options=0), "not of the same 2 to 26 options"),
}


@pytest.mark.parametrize("name", TAMPERS)
def test_changed_letters_are_caught(submission: Path, tmp_path: Path, name: str) -> None:
    edit, expected = TAMPERS[name]
    found = tampered(submission, tmp_path, edit)
    assert any(expected in text for text in found), found


def tables_of(page: str) -> list[list[str]]:
    return [
        re.findall(r'href="models/([^"]*)\.html"', table) for table in re.findall(r"<table.*?</table>", page, re.DOTALL)
    ]


def test_the_two_kinds_are_ranked_apart(tmp_path: Path) -> None:
    submissions = [
        submitted(wrap(made_run(12, seed=5, noise=noise, model=model)), tmp_path / model)
        for model, noise, wrap in (
            ("lab/scored", 0.1, lambda run: run),
            ("lab/shaky", 0.8, lambda run: run),
            ("lab/writer", 0.1, without_distributions),
            ("lab/scribbler", 0.9, without_distributions),
        )
    ]
    pages = build_site(submissions)
    assert tables_of(pages["index.html"]) == [["lab--scored", "lab--shaky"], ["lab--writer", "lab--scribbler"]]
    scored, letters = re.findall(r"<thead>.*?</thead>", pages["index.html"], re.DOTALL)
    assert re.search(r">ras(<wbr>)?</button>", scored)
    assert ">ras" not in letters
    assert ">ece" not in letters
    page = pages["models/lab--writer.html"]
    assert '<th scope="row">ras</th><td>not defined</td>' in page
    assert "lab/writer" not in pages["charts.html"]
    assert build_site(submissions[::-1]) == pages


def test_a_site_of_letters_only(submission: Path) -> None:
    found = verify(submission, engine="1", bootstrap=QUICK)
    pages = build_site([Submission(found.record, found.run)])
    assert set(pages) == {
        "index.html",
        "submit.html",
        "leaderboard.csv",
        "leaderboard.json",
        "models/lab--writer.html",
    }
    assert all("charts.html" not in page for page in pages.values())


def test_cautions_stand_on_the_site(tmp_path: Path) -> None:
    run = made_run(40, model="lab/stuck")
    stuck = np.zeros_like(run.clean_predictions)
    given = GivenPredictions("generated letters", stuck, np.zeros_like(run.corrupted_predictions))
    one = submitted(replace(without_distributions(run), given=given), tmp_path / "stuck")
    assert "one letter" in one.record.cautions
    pages = build_site([one])
    assert '<td class="text">blind, one letter</td>' in pages["index.html"]
    assert "Caution: one letter." in pages["models/lab--stuck.html"]
    record = json.loads((tmp_path / "stuck" / "benchc.json").read_text())
    (tmp_path / "stuck" / "benchc.json").write_text(json.dumps({**record, "cautions": []}))
    found = verify(tmp_path / "stuck", engine="1", bootstrap=QUICK).findings
    assert any("it hides the caution 'one letter'" in str(finding) for finding in found)
