"""Runs of votes: submitted, verified to the bit, and never in one column with RAS from log-likelihoods."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from run_folders import lite, made_run, with_control, without_distributions
from submissions import CREATED, DETAILS, QUICK
from vote_runs import vote

from benchc_metrics.leaderboard.downloads import LeaderboardData
from benchc_metrics.leaderboard.schema import SAMPLES_SCHEMA, SubmissionRecord, cell_metrics
from benchc_metrics.leaderboard.site import Submission, build_site
from benchc_metrics.leaderboard.submission import what_is_missing, write_submission
from benchc_metrics.leaderboard.verification import verify
from benchc_metrics.metrics.registry import METRICS, METRICS_OF_VOTES
from benchc_metrics.runs import Run, part_of_run, read_run
from benchc_metrics.statistics.estimates import estimate
from benchc_metrics.wording import number

TRIAL_RUNS = Path(__file__).parents[2] / "fixtures" / "trial_runs"
PLAIN = vote(made_run(8), 16, unparsed=0.1)


def submitted(run: Run, folder: Path, reading: str = "brier") -> Submission:
    details = replace(DETAILS, ras_reading=reading)
    write_submission(run, folder, details, bootstrap=QUICK, created=CREATED)
    found = verify(folder, engine=run.metadata.engine, bootstrap=QUICK)
    assert found.findings == ()
    assert found.record is not None
    assert found.run is not None
    return Submission(found.record, found.run)


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("votes") / "pristine"
    submitted(PLAIN, folder)
    return folder


def same_estimates(record: SubmissionRecord, run: Run, reading: str = "brier") -> None:
    """The record's metrics are those of the run as it was, to the bit."""
    found = estimate(run, reading=reading, resamples=QUICK.resamples, seed=QUICK.seed)
    assert list(record.metrics) == [*METRICS, *METRICS_OF_VOTES]
    for name, stated in record.metrics.items():
        said = (stated.value, stated.low, stated.high)
        expected = tuple(None if np.isnan(each) else each for each in found.of(name))
        assert said == expected, name


@pytest.mark.parametrize("reading", ["brier", "confidence"])
@pytest.mark.parametrize("kind", [lambda run: run, with_control, lite], ids=["full", "with control", "lite"])
def test_votes_come_back_as_they_were(tmp_path: Path, kind: Callable[[Run], Run], reading: str) -> None:
    run = vote(kind(made_run(6)), 16, unparsed=0.1)
    one = submitted(run, tmp_path / "one", reading)
    for read, written in ((one.run, run), (one.run.control, run.control)):
        assert (read is None) == (written is None)
        if read is None or written is None:
            continue
        for name, counts in vars(written.votes).items():
            np.testing.assert_array_equal(getattr(read.votes, name), counts, err_msg=name)
        np.testing.assert_array_equal(read.clean_predictions, written.clean_predictions)
        np.testing.assert_array_equal(read.corrupted_predictions, written.corrupted_predictions)
    same_estimates(one.record, one.run, reading)
    same_estimates(one.record, run, reading)
    assert one.record.ras is not None
    assert one.record.ras.reading == reading
    assert one.record.sampling == "number=16 temperature=1.0 seed=0"


@pytest.mark.parametrize("model", ["plain", "noise-augmented"])
def test_votes_of_a_real_model(tmp_path: Path, model: str) -> None:
    read = read_run(TRIAL_RUNS / model)
    # The trial runs are of 48 samples of the bundled set, and stand for a whole dataset here.
    scored = replace(read, metadata=replace(read.metadata, dataset_size=len(read.sample_ids)))
    run = vote(lite(scored), 16)
    assert what_is_missing(run) == []
    folder = tmp_path / "real"
    write_submission(run, folder, replace(DETAILS, model_id="trial/model"), bootstrap=QUICK, created=CREATED)
    found = verify(folder, engine=run.metadata.engine, bootstrap=QUICK)
    assert found.findings == ()
    assert found.record is not None
    same_estimates(found.record, run)
    assert found.record.metrics["votes"].value == 16
    assert "design lite (20 of 96 conditions a sample)" in (folder / ".eval_results/benchc.yaml").read_text()


def test_its_files_say_what_votes_are(pristine: Path) -> None:
    record = json.loads((pristine / "benchc.json").read_text())
    assert tuple(record["table"][0]["metrics"]) == cell_metrics("votes")
    assert record["metrics"]["ras"]["value"] is None
    assert 0.05 < record["metrics"]["unparsed_votes"]["value"] < 0.15
    entries = (pristine / ".eval_results/benchc.yaml").read_text()
    assert "task_id: ras_votes" in entries.replace("\n", " ").replace("  ", " ")
    assert "predictions from votes" in entries
    (log,) = (path for path in pristine.rglob("*.json") if "every_eval_ever" in path.parts)
    by_id = {one["evaluation_result_id"]: one for one in json.loads(log.read_text())["evaluation_results"]}
    assert by_id["ras_votes"]["score_details"]["score"] == record["metrics"]["ras_votes"]["value"]
    assert by_id["ras_votes"]["metric_config"]["metric_name"] == "ras_votes"
    rows = [json.loads(line) for line in next(pristine.rglob("*_samples.jsonl")).read_text().splitlines()]
    scores = [row["evaluation"]["score"] for row in rows if row["evaluation_result_id"] == "ras_votes"]
    assert np.mean(scores) == pytest.approx(record["metrics"]["ras_votes"]["value"])
    assert {row["answer_attribution"][0]["extraction_method"] for row in rows} == {"option with the most votes"}


def tampered(
    pristine: Path,
    folder: Path,
    rows: Callable[[list[dict[str, Any]]], object] = lambda rows: None,
    record: Callable[[dict[str, Any]], object] = lambda record: None,
) -> list[str]:
    """Change answers and record, mend the hashes, and verify."""
    shutil.copytree(pristine, folder)
    answers = folder / "samples.parquet"
    changed = pq.read_table(answers).to_pylist()
    rows(changed)
    pq.write_table(pa.Table.from_pylist(changed, schema=SAMPLES_SCHEMA), answers)
    written = json.loads((folder / "benchc.json").read_text())
    record(written)
    for facts in written["files"]:
        content = (folder / facts["path"]).read_bytes()
        facts.update(bytes=len(content), sha256=hashlib.sha256(content).hexdigest())
    (folder / "benchc.json").write_text(json.dumps(written))
    return [str(finding) for finding in verify(folder, engine="1", bootstrap=QUICK).findings]


def test_untouched_it_stays_sound(pristine: Path, tmp_path: Path) -> None:
    assert tampered(pristine, tmp_path / "same") == []


def moved_vote(rows: list[dict[str, Any]]) -> None:
    row = next(row for row in rows if row["votes"][0] and row["condition"] != "clean")
    row["votes"][0] -= 1
    row["votes"][1] += 1


TAMPERS: dict[str, tuple[Callable[[list[dict[str, Any]]], object], str]] = {
    "one vote": (moved_vote, "ras_votes is"),
    "fewer unparsed": (lambda rows: [row.update(unparsed=0) for row in rows], "unparsed_votes is"),
    "more unfinished": (lambda rows: rows[3].update(unparsed=1, unfinished=2), "1 numbers of votes that cannot be"),
    "a negative number": (lambda rows: rows[3]["votes"].__setitem__(0, -1), "1 numbers of votes that cannot be"),
    "too many": (lambda rows: rows[3]["votes"].__setitem__(0, 2**62), "1 numbers of votes that cannot be"),
    "more than are allowed": (lambda rows: rows[3].update(unparsed=1000), "1 numbers of votes that cannot be"),
    "no vote": (lambda rows: rows[3].update(votes=[0] * rows[3]["options"]), "1 conditions without a vote for an"),
    "a vote more": (lambda rows: rows[3]["votes"].append(0), "its votes are not of the same 2 to 26 options"),
    "a null": (lambda rows: rows[3].update(unparsed=None), "it has nulls where each answer needs a value"),
    "a null within": (lambda rows: rows[3]["votes"].__setitem__(0, None), "it has nulls where each answer needs"),
    "a chosen option": (lambda rows: rows[3].update(prediction=0), "it has values of another kind beside votes"),
    "a condition less": (lambda rows: rows.pop(3), "1 missing answers"),
}


@pytest.mark.parametrize("name", TAMPERS)
def test_changed_votes_are_caught(pristine: Path, tmp_path: Path, name: str) -> None:
    change, expected = TAMPERS[name]
    found = tampered(pristine, tmp_path / "changed", rows=change)
    assert any(expected in finding for finding in found), found


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda record: record["metrics"]["ras_votes"].update(value=0.0), "ras_votes is 0.0 where the answers give"),
        (lambda record: record["metrics"]["votes"].update(value=32.0), "votes is 32.0 where the answers give 16.0"),
        (
            lambda record: record.update(obtained="generated letters", ras=None, sampling=None),
            "it has votes, and the record says",
        ),
        (lambda record: record.update(obtained="log-likelihoods", sampling=None), "it has votes, and the record says"),
        (lambda record: record["dataset"].update(samples=2001), "can be checked for up to 2000 samples"),
        (lambda record: record.update(ras=None), "ras does not go together with predictions from votes"),
    ],
)
def test_what_a_record_of_votes_says_is_not_believed(
    pristine: Path, tmp_path: Path, change: Callable[[dict[str, Any]], object], expected: str
) -> None:
    found = tampered(pristine, tmp_path / "changed", record=change)
    assert any(expected in finding for finding in found), found


def test_votes_have_a_table_of_their_own(tmp_path: Path) -> None:
    runs = {
        "lab/scored": made_run(8),
        "lab/voter": vote(made_run(8, noise=0.1), 16, unparsed=0.1),
        "lab/shaky-voter": vote(made_run(8, noise=0.9), 32),
        "lab/writer": without_distributions(made_run(8, noise=0.2)),
        "lab/lite-voter": lite(vote(made_run(8, noise=0.3), 16)),
        "lab/lite-10": lite(made_run(8, noise=0.3), "lite-10"),
    }
    submissions = [
        submitted(replace(run, metadata=replace(run.metadata, model=model)), tmp_path / model)
        for model, run in runs.items()
    ]
    pages = build_site(submissions)
    index = pages["index.html"]
    titles = re.findall(r"<h3>(.*?)</h3>", index)
    assert titles == [
        "Models with option probabilities",
        "Models that voted",
        "Models that only write an answer",
        "Models that voted: design lite (20 of 96 conditions a sample)",
        "Models with option probabilities: design lite-10 (11 of 96 conditions a sample)",
    ]
    found = re.findall(r"<thead>.*?</thead>", index, re.DOTALL)
    buttons = [re.findall("<button.*?</button>", head) for head in found]
    heads = [[re.sub("<.*?>", "", button).strip() for button in of_table] for of_table in buttons]
    for title, columns in zip(titles, heads, strict=True):
        assert ("ras_votes" in columns) == ("voted" in title)
        assert bool({"ras", "ras_tempered"} & set(columns)) == ("probabilities" in title)
        assert ({"votes", "unparsed_votes"} <= set(columns)) == ("voted" in title)
    of_votes = re.findall(r"<tbody>(.*?)</tbody>", index, re.DOTALL)[1]
    assert re.findall(r'href="models/([^"]*)\.html"', of_votes) == ["lab--voter", "lab--shaky-voter"]
    assert f'<span class="value">{number(16)}</span>' in of_votes
    page = pages["models/lab--voter.html"]
    assert '<th scope="row">ras</th><td>not defined</td>' in page
    assert '<th scope="row">ras_votes</th><td>' in page
    assert "number=16 temperature=1.0 seed=0" in page
    assert "Their votes were drawn in different ways" in index
    data = LeaderboardData.model_validate_json(pages["leaderboard.json"])
    of_kind = {model.name: set(model.views[0].metrics) for model in data.models}
    assert all("ras" not in names for name, names in of_kind.items() if "voter" in name)
    assert build_site(submissions[::-1]) == pages


def test_a_site_of_votes_only(tmp_path: Path) -> None:
    pages = build_site([submitted(PLAIN, tmp_path / "one")])
    assert "charts.html" not in pages
    assert "Models that voted" in pages["index.html"]


def test_votes_that_were_not_asked_for_go_with_their_condition() -> None:
    asked = np.zeros_like(PLAIN.asked)
    asked[:, 0, 0] = True
    part = part_of_run(PLAIN, asked)
    assert part.votes.corrupted[~asked].sum() == 0
    np.testing.assert_array_equal(part.votes.corrupted[asked], PLAIN.votes.corrupted[asked])
    assert estimate(part, resamples=10).of("votes").value == 16
