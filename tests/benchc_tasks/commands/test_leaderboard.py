"""`benchc leaderboard`: what is sound makes a site, what is not is named."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from run_folders import made_run
from submissions import CREATED, DETAILS

from benchc_metrics.leaderboard.submission import write_submission
from benchc_tasks.commands.cli import main
from benchc_tasks.corruptions import ENGINE_VERSION
from benchc_tasks.datasets import write_dataset
from support import rows_of_samples


@pytest.fixture(scope="module")
def submissions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("submissions")
    for place, (model, noise) in enumerate((("lab/steady", 0.1), ("lab/shaky", 0.7))):
        run = made_run(10, seed=5, noise=noise, model=model, engine=ENGINE_VERSION)
        write_submission(run, folder / "2026" / str(place), DETAILS, created=CREATED)
    return folder


def test_a_site(submissions: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["leaderboard", str(submissions), "-o", str(tmp_path / "site"), "--title", "A & B"]) == 0
    assert "2 submissions, 0 left out" in capsys.readouterr().out
    index = (tmp_path / "site" / "index.html").read_text(encoding="utf-8")
    assert "<h1>A &amp; B</h1>" in index
    assert sorted(path.name for path in (tmp_path / "site" / "models").iterdir()) == [
        "lab--shaky.html",
        "lab--steady.html",
    ]


def test_a_submission_that_was_tampered_with_is_left_out_and_named(
    submissions: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copied = shutil.copytree(submissions, tmp_path / "copied")
    record = copied / "2026" / "1" / "benchc.json"
    record.write_text(record.read_text(encoding="utf-8").replace('"lab/shaky"', '"lab/better"', 1), encoding="utf-8")
    assert main(["leaderboard", str(copied), "-o", str(tmp_path / "site")]) == 1
    said = capsys.readouterr()
    assert "1 submissions, 1 left out" in said.out
    assert f"{copied / '2026' / '1'} is left out" in said.err
    index = (tmp_path / "site" / "index.html").read_text(encoding="utf-8")
    assert "lab--steady" in index
    assert "lab--better" not in index
    assert "lab--shaky" not in index


def test_nothing_sound_makes_no_site(submissions: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    copied = shutil.copytree(submissions / "2026" / "0", tmp_path / "one")
    (copied / "samples.parquet").write_bytes(b"nothing")
    assert main(["leaderboard", str(copied), "-o", str(tmp_path / "site")]) == 1
    assert "none of the 1 submissions" in capsys.readouterr().err
    assert not (tmp_path / "site").exists()


def test_an_empty_folder_and_none_at_all(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["leaderboard", str(tmp_path), "-o", str(tmp_path / "site")]) == 1
    assert "holds no submission" in capsys.readouterr().err
    assert main(["leaderboard", str(tmp_path / "nowhere"), "-o", str(tmp_path / "site")]) == 1
    assert "there is no folder" in capsys.readouterr().err


def test_submissions_over_another_dataset_than_the_named_one_are_left_out(
    submissions: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_dataset(tmp_path / "other.parquet", rows_of_samples(4))
    arguments = [
        "leaderboard",
        str(submissions),
        "-o",
        str(tmp_path / "site"),
        "--dataset",
        str(tmp_path / "other.parquet"),
    ]
    assert main(arguments) == 1
    assert "none of the 2 submissions" in capsys.readouterr().err
