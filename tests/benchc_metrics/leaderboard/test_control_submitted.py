"""Submissions of runs with the control: they carry the floor, and it is computed again from the answers."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from run_folders import made_run, with_control, without_distributions
from submissions import CREATED, DETAILS, QUICK

from benchc_metrics.benchmark import CONTROL_CONDITIONS
from benchc_metrics.leaderboard.schema import SAMPLES_SCHEMA
from benchc_metrics.leaderboard.site import Submission, build_site
from benchc_metrics.leaderboard.submission import what_is_missing, write_submission
from benchc_metrics.leaderboard.verification import verify
from benchc_metrics.runs import Run
from benchc_metrics.statistics.floor import estimate_floor

WHOLE = with_control(made_run(8))


def submitted(run: Run, folder: Path) -> Path:
    write_submission(run, folder, DETAILS, bootstrap=QUICK, created=CREATED)
    return folder


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return submitted(WHOLE, tmp_path_factory.mktemp("control") / "pristine")


def record_of(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "benchc.json").read_text())


def test_a_run_with_the_control_is_whole_and_its_submission_carries_the_floor(pristine: Path) -> None:
    assert what_is_missing(WHOLE) == []
    record = record_of(pristine)
    expected = estimate_floor(WHOLE, resamples=QUICK.resamples, seed=QUICK.seed)
    assert expected is not None
    for metric in ("ras", "acc_corrupted"):
        assert record["floor"]["metrics"][metric] == pytest.approx(expected.of(metric)._asdict(), abs=1e-12)
        distance = expected.distance(metric)._asdict()
        for part, value in record["floor"]["distances"][metric].items():
            assert value == pytest.approx(distance[part], abs=1e-12)
    assert len(record["table"]) == 95


def test_the_metrics_are_those_of_the_run_without_the_control(pristine: Path, tmp_path: Path) -> None:
    without = record_of(submitted(replace(WHOLE, control=None), tmp_path / "without"))
    with_it = record_of(pristine)
    assert without["floor"] is None
    assert (with_it["metrics"], with_it["table"]) == (without["metrics"], without["table"])


@pytest.mark.parametrize("letters", [False, True])
def test_it_is_verified_and_read_as_the_run_that_it_was(tmp_path: Path, letters: bool) -> None:
    run = without_distributions(WHOLE) if letters else WHOLE
    found = verify(submitted(run, tmp_path / "one"), engine="1", bootstrap=QUICK)
    assert found.findings == ()
    assert found.run is not None
    assert found.run.control is not None
    assert found.run.corruptions == run.corruptions
    for read, written in ((found.run, run), (found.run.control, run.control)):
        np.testing.assert_array_equal(read.corrupted_predictions, written.corrupted_predictions)
        np.testing.assert_array_equal(read.corrupted, written.corrupted)


def tampered(
    pristine: Path,
    folder: Path,
    rows: Callable[[list[dict[str, Any]]], list[dict[str, Any]]] = lambda rows: rows,
    record: Callable[[dict[str, Any]], object] = lambda record: None,
) -> list[str]:
    """Change answers and record, mend the hashes, and verify."""
    shutil.copytree(pristine, folder)
    answers = folder / "samples.parquet"
    changed = rows(pq.read_table(answers).to_pylist())
    pq.write_table(pa.Table.from_pylist(changed, schema=SAMPLES_SCHEMA), answers)
    written = record_of(folder)
    record(written)
    for facts in written["files"]:
        content = (folder / facts["path"]).read_bytes()
        facts.update(bytes=len(content), sha256=hashlib.sha256(content).hexdigest())
    (folder / "benchc.json").write_text(json.dumps(written))
    return [str(finding) for finding in verify(folder, engine="1", bootstrap=QUICK).findings]


def test_a_floor_that_is_not_that_of_the_answers_is_found(pristine: Path, tmp_path: Path) -> None:
    def lower(record: dict[str, Any]) -> None:
        record["floor"]["metrics"]["ras"]["value"] = -0.3
        record["floor"]["distances"]["acc_corrupted"]["high"] = 0.5

    found = tampered(pristine, tmp_path / "lower", record=lower)
    assert len(found) == 2
    assert "benchc.json: floor: ras is -0.3 where the answers give -0.0" in found[0]
    assert "distance from the floor: high bound of acc_corrupted is 0.5 where the answers give" in found[1]


def test_a_floor_without_a_control_and_a_control_without_a_floor_are_found(pristine: Path, tmp_path: Path) -> None:
    hidden = tampered(pristine, tmp_path / "hidden", record=lambda record: record.update(floor=None))
    assert hidden == ["benchc.json: it lacks the floor that its answers have"]

    def without_control(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [row for row in rows if row["condition"] not in CONTROL_CONDITIONS]

    made_up = tampered(pristine, tmp_path / "made_up", rows=without_control)
    assert made_up == ["benchc.json: it has a floor, and its answers no control"]


def test_a_part_of_the_control_is_not_enough(pristine: Path, tmp_path: Path) -> None:
    found = tampered(pristine, tmp_path / "part", rows=lambda rows: rows[:-1])
    assert found == ["samples.parquet: 1 missing answers: sample-0007 under control@5"]


def test_a_run_whose_control_lacks_answers_is_not_whole() -> None:
    moved = WHOLE.control.corrupted.copy()
    moved[2, 0, 3] = np.nan
    control = replace(
        WHOLE.control,
        corrupted=moved,
        invalid={("sample-0002", "control@4"): "the server is gone"},
        missing=(("sample-0005", "control@1"),),
    )
    assert what_is_missing(replace(WHOLE, control=control)) == [
        "control@1 has no answer for 1 samples, 'sample-0005' the first",
        "control@4 has 1 invalid answers, the first for 'sample-0002': the server is gone",
    ]


def test_a_site_ranks_runs_with_and_without_it_and_shows_the_floor(pristine: Path, tmp_path: Path) -> None:
    other = submitted(made_run(8, noise=0.7, model="lab/other"), tmp_path / "other")
    found = [verify(folder, engine="1", bootstrap=QUICK) for folder in (pristine, other)]
    pages = build_site([Submission(each.record, each.run) for each in found])
    page = pages["models/lab--model.html"]
    assert 'id="floor"' in page
    assert "Distance from the floor" in page
    assert "its floor, RAS under changes that no person sees, is not known" in pages["models/lab--other.html"]
    assert pages["index.html"].count('<th scope="row"') == 2
