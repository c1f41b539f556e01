"""The version and the reading of RAS stand in a submission, and none are mixed."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from run_folders import made_run
from submissions import CREATED, DETAILS, QUICK

from benchc_metrics.leaderboard.schema import RECORD_FILE, STANDARD_RAS, RasFacts, SubmissionRecord, parse_record
from benchc_metrics.leaderboard.site import SiteFacts, Submission, build_site
from benchc_metrics.leaderboard.submission import write_submission
from benchc_metrics.leaderboard.verification import Verification, verify
from benchc_metrics.metrics.ras import READINGS, Reading
from benchc_metrics.metrics.sums import metrics_of_run
from benchc_metrics.runs import Run


@pytest.fixture(scope="module")
def whole() -> Run:
    return made_run(8, seed=1)


def written(run: Run, folder: Path, reading: Reading) -> SubmissionRecord:
    return write_submission(run, folder, replace(DETAILS, ras_reading=reading), bootstrap=QUICK, created=CREATED)


def checked(folder: Path, reading: Reading | None = None) -> Verification:
    return verify(folder, engine="1", ras_reading=reading, bootstrap=QUICK)


@pytest.fixture(scope="module")
def folders(whole: Run, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    place = tmp_path_factory.mktemp("readings")
    for reading in ("brier", "confidence"):
        written(whole, place / reading, reading)
    return {reading: place / reading for reading in ("brier", "confidence")}


@pytest.mark.parametrize("reading", ["brier", "confidence"])
def test_a_submission_says_its_reading_and_is_checked_by_it(
    folders: dict[str, Path], whole: Run, reading: Reading
) -> None:
    found = checked(folders[reading])
    assert found.is_sound, found.findings
    assert found.record is not None
    assert found.record.ras == RasFacts(version=2, reading=reading)
    for name, expected in metrics_of_run(whole, reading).items():
        assert found.record.metrics[name].value == pytest.approx(expected, abs=1e-12), name
    for text in (path.read_text() for path in folders[reading].rglob("*.json") if "every_eval_ever" in str(path)):
        assert f"RAS version 2 ({reading})." in text
    assert f"RAS version 2 ({reading})" in (folders[reading] / ".eval_results" / "benchc.yaml").read_text()


def test_only_the_wanted_reading_is_accepted(folders: dict[str, Path]) -> None:
    assert checked(folders["confidence"], "confidence").is_sound
    (finding,) = checked(folders["confidence"], "brier").findings
    assert "its RAS is read as confidence, not as brier" in str(finding)
    assert "benchc submit --ras-reading brier" in str(finding)


def changed(folders: dict[str, Path], **fields: object) -> str:
    record = json.loads((folders["brier"] / RECORD_FILE).read_text())
    return json.dumps(record | fields)


def test_a_reading_that_is_not_that_of_the_metrics_is_found(
    folders: dict[str, Path], tmp_path: Path, whole: Run
) -> None:
    written(whole, tmp_path / "lie", "brier")
    record = tmp_path / "lie" / RECORD_FILE
    record.write_text(changed(folders, ras={"version": 2, "reading": "probability"}))
    assert any("ras is " in str(finding) for finding in checked(tmp_path / "lie").findings)


def test_another_version_is_refused_and_says_what_it_is(folders: dict[str, Path], tmp_path: Path, whole: Run) -> None:
    written(whole, tmp_path / "newer", "brier")
    (tmp_path / "newer" / RECORD_FILE).write_text(changed(folders, ras={"version": 3, "reading": "brier"}))
    (finding,) = checked(tmp_path / "newer").findings
    assert "its RAS is version 3 (brier), and this benchc computes version 2" in str(finding)


def test_a_submission_of_version_1_says_what_it_is(folders: dict[str, Path]) -> None:
    with pytest.raises(ValueError, match=r"submission/2', whose RAS is version 1 and is not compared with version 2"):
        parse_record(changed(folders, schema="benchc.submission/2"))


@pytest.mark.parametrize("ras", [None, {"version": 2, "reading": "luck"}, {"reading": "brier"}])
def test_a_record_without_it_is_refused(folders: dict[str, Path], ras: object) -> None:
    with pytest.raises(ValueError, match="ras"):
        parse_record(changed(folders, ras=ras))


def test_a_site_has_one_reading(folders: dict[str, Path]) -> None:
    found = [checked(folder) for folder in folders.values()]
    one, other = (Submission(each.record, each.run) for each in found if each.record and each.run)
    with pytest.raises(ValueError, match=r"have RAS version 2 \(brier\) and version 2 \(confidence\), which are not"):
        SiteFacts.shared_by([one, other])
    facts = SiteFacts.shared_by([one])
    assert facts.ras == STANDARD_RAS
    assert not list(facts.differences_of(one.record))
    assert list(facts.differences_of(other.record)) == [
        "its RAS is version 2 (confidence) and the site's is version 2 (brier), which are not compared"
    ]
    page = build_site([other])["index.html"]
    assert "version 2 (confidence)" in page


def test_six_forgers_stand_beside_the_honest_model(whole: Run, tmp_path: Path) -> None:
    """Log-likelihoods times a constant: the same tempered RAS, the same letters, ranked with the model they copy."""
    submissions = []
    runs = {
        "lab/steady": made_run(8, seed=1, noise=0.1),
        "lab/shaky": made_run(8, seed=1, noise=0.9),
        "lab/honest": whole,
    }
    for factor in (0.01, 0.1, 0.5, 2, 10, 100):
        runs[f"fake/times-{factor}"] = replace(whole, clean=whole.clean * factor, corrupted=whole.corrupted * factor)
    for place, (model, run) in enumerate(runs.items()):
        named = replace(run, name=model, metadata=replace(run.metadata, model=model, model_args=f"pretrained={model}"))
        written(named, tmp_path / str(place), "brier")
        found = checked(tmp_path / str(place))
        assert found.record is not None, found.findings
        assert found.run is not None
        submissions.append(Submission(found.record, found.run))
    values = [one.record.metrics["ras_tempered"].value for one in submissions]
    assert values[3:] == pytest.approx([values[2]] * 6, abs=1e-6)
    assert values[0] > values[2] > values[1]
    page = build_site(submissions)["index.html"]
    places = [page.index(f'href="models/{model.replace("/", "--")}.html"') for model in runs]
    assert min(places) == places[0]
    assert max(places) == places[1]


def test_every_reading_can_be_submitted() -> None:
    assert {RasFacts.read_as(reading).reading for reading in READINGS} == set(READINGS)
