"""`benchc report`: from folders of runs and their dataset to one file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from disks import disk
from run_folders import made_run, write_run

from benchc_metrics.benchmark import CLEAN, Condition
from benchc_metrics.runs import read_run
from benchc_tasks.commands.cli import main
from benchc_tasks.commands.report import sample_viewer
from benchc_tasks.corruptions import ENGINE_VERSION, condition_seed, corrupt
from benchc_tasks.datasets import decode_image, load_dataset, write_dataset
from support import encoded

NOISES = (0.1, 0.3, 0.5, 0.7)
CORRUPTIONS = ("fog", "contrast")


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("dataset") / "samples.parquet"
    run = made_run(16, seed=8)
    draw = np.random.default_rng(0)
    rows = [
        {
            "id": sample,
            "image": encoded(draw.integers(0, 256, (40, 48, 3), dtype=np.uint8)),
            "question": f"Question <b>{place}</b>?",
            "options": [f"<i>option</i> {option}" for option in range(count)],
            "answer": answer,
        }
        for place, (sample, count, answer) in enumerate(
            zip(run.sample_ids, run.option_counts.tolist(), run.answers.tolist(), strict=True)
        )
    ]
    write_dataset(path, rows)
    return path


@pytest.fixture(scope="module")
def folders(dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    place = tmp_path_factory.mktemp("runs")
    fingerprint = load_dataset(dataset).fingerprint
    for noise in NOISES:
        run = made_run(16, seed=8, noise=noise, corruptions=CORRUPTIONS, model=f"lab/{noise}")
        metadata = replace(run.metadata, dataset=fingerprint, engine=ENGINE_VERSION)
        write_run(replace(run, metadata=metadata), place / str(noise), compressed=True)
    return sorted(str(folder) for folder in place.iterdir())


def test_a_report_with_pictures(
    folders: list[str], dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "new" / "report.html"
    assert (
        main(
            [
                "report",
                *folders[:2],
                "-o",
                str(output),
                "--dataset",
                str(dataset),
                "--title",
                "A & B",
                "--about",
                "Made up.",
            ]
        )
        == 0
    )
    page = output.read_text(encoding="utf-8")
    assert "<h1>A &amp; B</h1>" in page
    assert "Made up." in page
    assert "Question &lt;b&gt;" in page
    assert "&lt;i&gt;option&lt;/i&gt;" in page
    assert page.count("data:image/webp") >= 4
    said = capsys.readouterr()
    assert str(output) in said.out
    assert "written" in said.err or "gallery" in said.err


def test_a_pool_of_processes_writes_the_same_file(
    folders: list[str], dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pages = []
    for processors in (1, 2):
        monkeypatch.setattr("os.cpu_count", lambda count=processors: count)
        output = tmp_path / f"{processors}.html"
        assert main(["report", *folders, "-o", str(output), "--dataset", str(dataset)]) == 0
        pages.append(output.read_bytes())
    assert pages[0] == pages[1]


def test_another_dataset_is_named_with_the_cure(
    folders: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "report.html"
    assert main(["report", folders[0], "-o", str(output)]) == 0
    assert "name it with --dataset" in capsys.readouterr().err
    page = output.read_text(encoding="utf-8")
    assert "name it with --dataset" in page
    assert "data:image/webp" not in page


def test_another_engine_shows_no_pictures(dataset: Path) -> None:
    run = made_run(2)
    show, reason = sample_viewer(replace(run, metadata=replace(run.metadata, engine="0")), str(dataset))
    assert show is None
    assert "corruption engine 0" in reason


def test_the_pictures_are_those_that_the_models_saw(dataset: Path) -> None:
    samples = load_dataset(dataset)
    run = made_run(2)
    metadata = replace(run.metadata, dataset=samples.fingerprint, engine=ENGINE_VERSION)
    show, reason = sample_viewer(replace(run, metadata=metadata), str(dataset))
    assert reason == ""
    assert show is not None
    shown = show("sample-0003", Condition("contrast", 4))
    row = samples[3]
    clean = decode_image(row["image"], sample=row["id"])
    seed = condition_seed("sample-0003", "contrast", 4)
    assert np.array_equal(np.asarray(shown.clean), np.asarray(clean))
    assert np.array_equal(np.asarray(shown.corrupted), np.asarray(corrupt(clean, "contrast", 4, seed=seed)))
    assert shown.question == row["question"]
    assert list(shown.options) == row["options"]
    assert np.array_equal(np.asarray(show("sample-0003", CLEAN).corrupted), np.asarray(clean))


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["nowhere"], "there is no folder nowhere"),
        (["RUN", "--dataset", "nowhere.parquet"], "nowhere.parquet"),
    ],
)
def test_faults_are_one_sentence(
    arguments: list[str], reason: str, folders: list[str], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    named = [folders[0] if argument == "RUN" else argument for argument in arguments]
    assert main(["report", *named, "-o", str(tmp_path / "report.html")]) == 1
    assert reason in capsys.readouterr().err
    assert not (tmp_path / "report.html").exists()


def test_runs_with_different_prompts_are_refused(
    folders: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = made_run(16, seed=8, corruptions=CORRUPTIONS, model="lab/other", prompt="Another: {question}")
    metadata = replace(other.metadata, dataset=read_run(folders[0]).metadata.dataset, engine=ENGINE_VERSION)
    write_run(replace(other, metadata=metadata), tmp_path / "other")
    assert main(["report", folders[0], str(tmp_path / "other"), "-o", str(tmp_path / "report.html")]) == 1
    assert "their prompts differ" in capsys.readouterr().err


def test_a_full_disk_leaves_the_old_report(
    folders: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with disk(tmp_path / "small", size=1 << 20) as small:
        output = small.path / "report.html"
        output.write_text("an older report")
        small.fill(but=8192)
        assert main(["report", folders[0], "-o", str(output)]) == 1
        assert "No space left on device, nothing was changed" in capsys.readouterr().err
        assert output.read_text() == "an older report"
        assert sorted(path.name for path in small.path.iterdir()) == ["ballast", "report.html"]
