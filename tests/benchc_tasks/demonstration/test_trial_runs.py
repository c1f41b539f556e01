"""The trial runs of the fixtures: honest, whole, small, and of use."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import pytest
from browser import Browser, browser, chromium  # noqa: F401 - fixtures

from benchc_metrics.benchmark import CORRUPTION_FAMILIES, SEVERITIES
from benchc_metrics.findings.analysis import check_all_comparable
from benchc_metrics.runs import Run, read_runs
from benchc_tasks.commands.cli import main
from benchc_tasks.corruptions import ENGINE_VERSION
from benchc_tasks.datasets import load_dataset
from benchc_tasks.demonstration.training.trial_runs import ABOUT, MODELS, keep_answers

FIXTURES = Path(__file__).resolve().parents[2] / "fixtures" / "trial_runs"


@pytest.fixture(scope="module")
def folders() -> list[Path]:
    return sorted(path for path in FIXTURES.iterdir() if path.is_dir())


@pytest.fixture(scope="module")
def runs(folders: list[Path]) -> list[Run]:
    return read_runs(folders)


def test_there_are_at_least_four_of_the_scripts_models(folders: list[Path], runs: list[Run]) -> None:
    assert len(folders) >= 4
    assert {folder.name for folder in folders} <= set(MODELS)
    assert [run.name for run in runs] == [f"trial/{folder.name}" for folder in folders]


def test_they_are_whole_and_can_be_compared(runs: list[Run]) -> None:
    assert check_all_comparable(runs) == ()
    for run in runs:
        assert run.corruptions == tuple(CORRUPTION_FAMILIES)
        assert run.severities == SEVERITIES
        assert not run.missing
        assert not run.invalid


def test_they_are_over_the_bundled_set_and_this_engine(runs: list[Run]) -> None:
    samples = load_dataset(None)
    answers = {sample["id"]: sample["answer"] for sample in samples.without_images()}
    for run in runs:
        assert run.metadata.dataset == samples.fingerprint
        assert run.metadata.engine == ENGINE_VERSION
        assert run.metadata.demonstration
        assert [answers[sample] for sample in run.sample_ids] == run.answers.tolist()


def test_they_differ(runs: list[Run]) -> None:
    for place, run in enumerate(runs):
        for other in runs[:place]:
            assert not np.allclose(run.clean, other.clean)


def test_they_are_small_and_name_no_machine(folders: list[Path]) -> None:
    files = [file for folder in folders for file in folder.iterdir()]
    assert sum(file.stat().st_size for file in files) < 3_000_000
    for file in files:
        content = gzip.decompress(file.read_bytes()) if file.suffix == ".gz" else file.read_bytes()
        assert not any(place in content for place in (b"/home", b"/root", b"/tmp", b"/work", b"/usr", b"\\Users"))


def test_a_report_shows_them_with_pictures_and_says_what_they_are(
    folders: list[Path],
    browser: Browser,  # noqa: F811
    tmp_path: Path,
) -> None:
    output = tmp_path / "report.html"
    assert main(["report", *map(str, folders), "-o", str(output), "--about", ABOUT]) == 0
    visit = browser.visit(output)
    assert visit.complaints == []
    assert ABOUT in visit.page.locator(".head").inner_text()
    assert "no Bench-C result" in visit.page.locator(".note").inner_text()
    assert visit.page.locator(".card").count() == 12
    assert visit.page.evaluate("[...document.images].every(image => image.naturalWidth > 50)")
    # The budget of claims leaves few sentences for 48 samples of models that are close to each other.
    assert visit.page.locator(".findings li").count() >= 1


def test_what_is_kept_is_read_as_the_run_that_it_was(folders: list[Path], runs: list[Run], tmp_path: Path) -> None:
    """Unpack a fixture, as lmms-eval would have written it, and keep it again."""
    written = tmp_path / "written"
    written.mkdir()
    for file in folders[0].iterdir():
        if file.suffix == ".gz":
            rows = [json.loads(line) for line in gzip.decompress(file.read_bytes()).splitlines()]
            full = [{**row, "target": "A", "filtered_resps": [], "ras": 0.0} for row in rows]
            (written / file.name.removesuffix(".gz")).write_text("".join(json.dumps(row) + "\n" for row in full))
        else:
            results = json.loads(file.read_text(encoding="utf-8"))
            results["config"]["somewhere"] = "/home/someone"
            (written / file.name).write_text(json.dumps({**results, "results": {}, "git_hash": "x"}))
    keep_answers(written, tmp_path / "kept")
    for file in folders[0].iterdir():
        assert (tmp_path / "kept" / file.name).read_bytes() == file.read_bytes()
    (again,) = read_runs([tmp_path / "kept"])
    assert np.array_equal(again.corrupted, runs[0].corrupted)
