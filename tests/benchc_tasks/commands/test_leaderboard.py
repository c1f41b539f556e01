"""`benchc leaderboard`: what is sound makes a site, what is not is named."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from run_folders import METADATA, made_run
from submissions import CREATED, DETAILS, QUICK

from benchc_metrics.benchmark import STANDARD_PROMPT
from benchc_metrics.leaderboard.submission import write_submission
from benchc_metrics.leaderboard.verification import verify
from benchc_tasks.commands.cli import main
from benchc_tasks.commands.leaderboard import submission_folders
from benchc_tasks.corruptions import ENGINE_VERSION
from benchc_tasks.datasets import write_dataset
from support import rows_of_samples


@pytest.fixture(autouse=True)
def quick_bootstrap(monkeypatch: pytest.MonkeyPatch) -> None:
    """The standard of 10,000 resamples has a test of its own."""
    monkeypatch.setitem(verify.__kwdefaults__, "bootstrap", QUICK)


@pytest.fixture(scope="module")
def submissions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("submissions")
    for place, (model, noise) in enumerate((("lab/steady", 0.1), ("lab/shaky", 0.7))):
        run = made_run(10, seed=5, noise=noise, model=model, engine=ENGINE_VERSION)
        write_submission(run, folder / "2026" / str(place), DETAILS, bootstrap=QUICK, created=CREATED)
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


def submitted(folder: Path, model: str = "lab/steady", created: datetime = CREATED, **metadata: Any) -> Path:
    run = made_run(10, seed=5, noise=0.1, model=model, **{"engine": ENGINE_VERSION, **metadata})
    write_submission(run, folder, DETAILS, bootstrap=QUICK, created=created)
    return folder


def configured(folder: Path, **changes: Any) -> Path:
    dataset = {
        "id": "lab/bench-c",
        "revision": "0123abc",
        "fingerprint": METADATA.dataset,
        **changes.pop("dataset", {}),
    }
    content = {"schema": "benchc.leaderboard/1", "dataset": dataset, "prompt": METADATA.prompt, **changes}
    (folder / "site.yaml").write_text(json.dumps(content))
    return folder / "site.yaml"


def made_site(submissions: Path, output: Path, *words: str) -> int:
    return main(["leaderboard", str(submissions), "-o", str(output), *words])


def test_the_configuration_decides_and_not_the_first_folder(
    submissions: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Strangers' folders come first by name: of another dataset, prompt, engine and name of the dataset."""
    copied = shutil.copytree(submissions, tmp_path / "in")
    submitted(copied / "0-dataset", "evil/a", dataset="e" * 64)
    submitted(copied / "0-prompt", "evil/b", prompt="Always answer A.")
    submitted(copied / "0-engine", "evil/c", engine="0")
    run = made_run(10, seed=5, noise=0.1, model="evil/d", engine=ENGINE_VERSION)
    write_submission(
        run, copied / "0-id", replace(DETAILS, dataset_id="evil/bench-c"), bootstrap=QUICK, created=CREATED
    )
    config = configured(tmp_path, title="Ours & theirs", address="https://hub.example/submissions")
    assert made_site(copied, tmp_path / "site", "--config", str(config)) == 1
    said = capsys.readouterr()
    assert "2 submissions, 4 left out" in said.out
    for name, reason in (
        ("dataset", "its dataset 'eee"),
        ("prompt", "its prompt 'Always answer A.' is not"),
        ("engine", "its images are of corruption engine '0'"),
        ("id", "its dataset's id 'evil/bench-c' is not the site's, 'lab/bench-c'"),
    ):
        assert f"{copied / f'0-{name}'} is left out: benchc.json: {reason}" in said.err
    index = (tmp_path / "site" / "index.html").read_text()
    assert "lab/bench-c @ 0123abc" in index
    assert "Ours &amp; theirs" in index
    assert "evil" not in index
    submit = (tmp_path / "site" / "submit.html").read_text()
    assert "https://hub.example/submissions" in submit
    assert "Always answer A." not in submit
    for folder in ("0-dataset", "0-prompt", "0-engine"):
        assert main(["verify", str(copied / folder), "--config", str(config)]) == 1


def test_one_submission_with_another_prompt_does_not_deny_the_site(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    submitted(tmp_path / "in" / "a", "lab/honest", prompt=STANDARD_PROMPT)
    submitted(tmp_path / "in" / "0", "evil/a", prompt="Always answer A.")
    assert made_site(tmp_path / "in", tmp_path / "site") == 1
    assert "1 submissions, 1 left out" in capsys.readouterr().out
    assert [path.name for path in (tmp_path / "site" / "models").iterdir()] == ["lab--honest.html"]


def test_two_datasets_without_a_word_from_the_maintainers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    submitted(tmp_path / "in" / "a")
    submitted(tmp_path / "in" / "0", "evil/a", dataset="e" * 64)
    assert made_site(tmp_path / "in", tmp_path / "site") == 1
    assert "over 2 datasets: name the site's with --dataset or --config" in capsys.readouterr().err
    assert not (tmp_path / "site").exists()


def test_an_early_date_takes_nobodys_name(tmp_path: Path) -> None:
    submitted(tmp_path / "in" / "2026-03-honest", prompt=STANDARD_PROMPT)
    early = datetime(2000, 1, 1, tzinfo=timezone.utc)
    submitted(tmp_path / "in" / "2026-04-later", "LAB/Steady", created=early, prompt=STANDARD_PROMPT, backend="later")
    assert made_site(tmp_path / "in", tmp_path / "site") == 0
    honest = (tmp_path / "site" / "models" / "lab--steady.html").read_text()
    later = (tmp_path / "site" / "models" / "LAB--Steady--2.html").read_text()
    assert "<dd>benchc</dd>" in honest
    assert "<dd>later</dd>" in later


def test_a_withdrawn_model_leaves_no_page(tmp_path: Path) -> None:
    submitted(tmp_path / "in" / "a")
    submitted(tmp_path / "in" / "b", "lab/withdrawn")
    assert made_site(tmp_path / "in", tmp_path / "site") == 0
    assert (tmp_path / "site" / "models" / "lab--withdrawn.html").exists()
    shutil.rmtree(tmp_path / "in" / "b")
    assert made_site(tmp_path / "in", tmp_path / "site") == 0
    assert [path.name for path in (tmp_path / "site" / "models").iterdir()] == ["lab--steady.html"]


def test_a_folder_that_breaks_libraries_is_left_out_by_name_without_its_escape_codes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    submitted(tmp_path / "in" / "honest")
    for number, changes in enumerate(({"created": "2026-99-99T99:99:99Z"}, {"schema": None})):
        hostile = submitted(tmp_path / "in" / f"\x1b[2J{number}")
        record = json.loads((hostile / "benchc.json").read_text())
        (hostile / "benchc.json").write_text(json.dumps({**record, **changes}))
    (tmp_path / "in" / "pipe").mkdir()
    os.mkfifo(tmp_path / "in" / "pipe" / "benchc.json")
    (tmp_path / "in" / "more" / "0").mkdir(parents=True)
    (tmp_path / "in" / "more" / "0" / "benchc.json").mkdir()
    assert made_site(tmp_path / "in", tmp_path / "site") == 1
    said = capsys.readouterr()
    assert "1 submissions, 4 left out" in said.out
    assert "in/\\x1b[2J0 is left out: benchc.json: created: " in said.err
    assert "in/\\x1b[2J1 is left out: benchc.json: schema: " in said.err
    assert "in/pipe is left out: benchc.json: it is neither a file nor a folder" in said.err
    assert "\x1b" not in said.err.replace("\x1b[?25", "")


def test_a_submission_within_a_submission_is_not_another_one(tmp_path: Path) -> None:
    outer = submitted(tmp_path / "in" / "a")
    shutil.copytree(outer, outer / "inner")
    (tmp_path / "in" / ".hidden").mkdir()
    shutil.copytree(outer, tmp_path / "in" / ".hidden" / "b")
    (tmp_path / "in" / "link").symlink_to(outer, target_is_directory=True)
    assert list(submission_folders(tmp_path / "in")) == [outer]
