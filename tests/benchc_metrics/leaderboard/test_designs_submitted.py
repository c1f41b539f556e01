"""Runs of few conditions a sample: submitted, verified against their design, and ranked apart."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from run_folders import lite, made_run, without_distributions
from submissions import CREATED, DETAILS, QUICK

from benchc_metrics.designs import asked_by_design
from benchc_metrics.leaderboard.site import Submission, build_site
from benchc_metrics.leaderboard.submission import what_is_missing, write_submission
from benchc_metrics.leaderboard.verification import verify
from benchc_metrics.runs import Run, part_of_run


def submitted(run: Run, folder: Path) -> Submission:
    write_submission(run, folder, DETAILS, bootstrap=QUICK, created=CREATED)
    found = verify(folder, engine="1", bootstrap=QUICK)
    assert found.findings == ()
    return Submission(found.record, found.run)


@pytest.fixture(scope="module")
def whole() -> Run:
    return made_run(8)


@pytest.fixture(scope="module")
def folder(whole: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("lite") / "pristine"
    submitted(lite(whole), place)
    return place


def test_a_submission_has_the_answers_of_its_design_and_no_other(whole: Run, folder: Path) -> None:
    assert json.loads((folder / "benchc.json").read_text())["design"] == "lite"
    assert pq.read_metadata(folder / "samples.parquet").num_rows == 8 * 20
    read = verify(folder, engine="1", bootstrap=QUICK).run
    assert read is not None
    run = lite(whole)
    np.testing.assert_array_equal(read.asked, run.asked)
    np.testing.assert_array_equal(read.corrupted, run.corrupted)
    np.testing.assert_array_equal(read.clean, run.clean)
    assert "design lite (20 of 96 conditions a sample)" in (folder / ".eval_results/benchc.yaml").read_text()
    (instances,) = folder.rglob("*_samples.jsonl")
    first = [json.loads(line) for line in instances.read_text().splitlines()[:3]]
    assert [len(row["output"]["raw"]) for row in first] == [1, 19, 20]
    assert first[1]["metadata"]["conditions"].startswith("those of lite (20 of 96 conditions a sample) within")


@pytest.mark.parametrize(("design", "kind"), [("lite-10", lambda run: run), ("lite", without_distributions)])
def test_other_designs_and_letters_are_submitted(whole: Run, tmp_path: Path, design: str, kind) -> None:
    submission = submitted(lite(kind(whole), design), tmp_path / "other")
    assert submission.record.design == design


def test_a_run_of_other_conditions_than_its_design_is_not_whole(whole: Run) -> None:
    asked = asked_by_design("lite", whole.sample_ids)
    asked[:, :, 4] = False
    assert any(
        "not all samples were asked under" in said for said in what_is_missing(part_of_run(whole, asked, "lite"))
    )
    assert what_is_missing(part_of_run(whole, asked_by_design("lite", whole.sample_ids))) != []
    more = replace(whole, metadata=replace(whole.metadata, design="lite"))
    assert what_is_missing(more) == ["there are answers that the design 'lite' does not ask"]


def tampered(folder: Path, design: str | None = None, keep: object = None) -> None:
    """Change the design that a submission states, or leave answers out, and set its hashes right."""
    record = json.loads((folder / "benchc.json").read_text())
    if design is not None:
        record["design"] = design
    if keep is not None:
        path = folder / "samples.parquet"
        table = pq.read_table(path)
        pq.write_table(table.filter(keep), path)
        for facts in record["files"]:
            if facts["path"] == "samples.parquet":
                content = path.read_bytes()
                facts |= {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    (folder / "benchc.json").write_text(json.dumps(record, indent=1) + "\n")


@pytest.mark.parametrize(
    ("design", "severe", "fault"),
    [
        ("full", False, "608 missing answers"),
        ("lite-10", False, "72 answers that the design 'lite-10' does not ask"),
        ("mine", False, "design 'mine' is not 'full', 'lite'"),
        (None, True, "missing answers"),
    ],
)
def test_answers_that_are_not_those_of_the_design_are_found(
    folder: Path, tmp_path: Path, design: str | None, severe: bool, fault: str
) -> None:
    import shutil

    import pyarrow.compute as pc

    copy = shutil.copytree(folder, tmp_path / "copy")
    # To leave the hardest conditions out is what a design must not allow.
    tampered(copy, design, pc.invert(pc.ends_with(pc.field("condition"), "@5")) if severe else None)
    found = verify(copy, engine="1", bootstrap=QUICK)
    assert any(fault in str(finding) for finding in found.findings), found.findings


def test_a_site_ranks_designs_apart_and_names_them(whole: Run, folder: Path, tmp_path: Path) -> None:
    other = made_run(8, noise=0.1, model="lab/steady")
    submissions = [submitted(whole, tmp_path / "a"), submitted(lite(other), tmp_path / "b")]
    found = verify(folder, engine="1", bootstrap=QUICK)
    submissions.append(Submission(found.record, found.run))
    pages = build_site(submissions)
    index = pages["index.html"]
    titles = re.findall(r"<h3>(.*?)</h3>", index)
    assert titles == [
        "Models with option probabilities",
        "Models with option probabilities: design lite (20 of 96 conditions a sample)",
    ]
    full, of_lite = re.findall(r"<tbody>(.*?)</tbody>", index, flags=re.S)
    assert full.count("<tr ") == 1
    assert of_lite.count("<tr ") == 2
    assert "lab/model (lite)" in re.sub("<.*?>", "", of_lite)
    assert len(set(re.findall(r'id="(leaderboard-data[^"]*)"', index))) == 2
    page = next(content for name, content in pages.items() if "steady" in name)
    assert "lite (20 of 96 conditions a sample)" in page
    assert "Design lite (20 of 96 conditions a sample): it is good for RAS" in re.sub("<.*?>", "", page)


def test_a_site_of_one_design_says_which(folder: Path) -> None:
    found = verify(folder, engine="1", bootstrap=QUICK)
    index = build_site([Submission(found.record, found.run)])["index.html"]
    assert "design lite (20 of 96 conditions a sample)" in index
