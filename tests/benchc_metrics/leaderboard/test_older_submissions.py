"""Submissions of version 3 are read, verified and shown beside those of today."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from run_folders import made_run
from submissions import CREATED, DETAILS, QUICK

from benchc_metrics.leaderboard.schema import RECORD_FILE, SUBMISSION_SCHEMA, parse_record
from benchc_metrics.leaderboard.site import Submission, build_site
from benchc_metrics.leaderboard.submission import write_submission
from benchc_metrics.leaderboard.verification import verify

FIXTURE = Path(__file__).parents[2] / "fixtures" / "submissions" / "version_3.zip"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    shutil.unpack_archive(FIXTURE, tmp_path / "older")
    return tmp_path / "older"


def written(folder: Path) -> dict[str, Any]:
    return json.loads((folder / RECORD_FILE).read_text())


def leaves(value: Any, place: str = "") -> Iterator[tuple[str, Any]]:
    """Yield all values in nested mappings and sequences, with their places."""
    if isinstance(value, dict):
        inner = value.items()
    elif isinstance(value, (list, tuple)):
        inner = dict(enumerate(value)).items()
    else:
        yield place, value
        return
    for name, some in inner:
        yield from leaves(some, f"{place}/{name}")


def test_it_is_sound_and_says_the_same_as_one_of_today(folder: Path, tmp_path: Path) -> None:
    assert written(folder)["schema"] == "benchc.submission/3"
    older = verify(folder, engine="1", bootstrap=QUICK)
    assert older.findings == ()
    assert older.record is not None
    assert older.run is not None
    assert older.record.schema_version == SUBMISSION_SCHEMA
    today = write_submission(made_run(2), tmp_path / "today", DETAILS, bootstrap=QUICK, created=CREATED)
    apart = {"versions", "files"}
    expected, found = (dict(leaves(record.model_dump(exclude=apart))) for record in (today, older.record))
    assert found.keys() == expected.keys()
    # numpy's exponential function has other last bits on processors with AVX-512, where the fixture was written.
    for place, value in expected.items():
        close = pytest.approx(value, rel=1e-12, abs=1e-12) if isinstance(value, float) else value
        assert found[place] == close, place
    other = write_submission(
        made_run(2, noise=0.9, model="lab/other"), tmp_path / "other", DETAILS, bootstrap=QUICK, created=CREATED
    )
    newer = verify(tmp_path / "other", engine="1", bootstrap=QUICK)
    assert newer.run is not None
    pages = build_site([Submission(older.record, older.run), Submission(other, newer.run)])
    assert pages["index.html"].count('<th scope="row"') == 2


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (lambda record: record["figures"]["ras"].update(value=0.5), "ras is 0.5 where the answers give"),
        (lambda record: record["table"][3]["figures"]["flip"].update(value=0.5), "flip is 0.5 where the answers give"),
        (lambda record: record.update(metrics=record["figures"]), "figures: extra inputs are not permitted"),
        (lambda record: record.update(table=7), "table: input should be a valid"),
        (lambda record: record.pop("floor"), "floor: field required"),
    ],
)
def test_what_it_states_is_not_believed(folder: Path, change: Any, fault: str) -> None:
    record = written(folder)
    change(record)
    (folder / RECORD_FILE).write_text(json.dumps(record))
    found = verify(folder, engine="1", bootstrap=QUICK).findings
    assert any(fault in str(finding) for finding in found), found


def test_a_record_of_today_has_no_figures(folder: Path) -> None:
    record = {**written(folder), "schema": SUBMISSION_SCHEMA}
    with pytest.raises(ValueError, match=r"metrics: field required|figures: extra inputs"):
        parse_record(json.dumps(record))
