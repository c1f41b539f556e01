"""The numbers of the pages about reading and the control are those of the runs that are kept."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

from benchc_metrics.benchmark import CONTROL_CHANGES, SEVERITIES
from benchc_metrics.metrics.ras import Reading, robustness_alignment_score
from benchc_metrics.metrics.views import View
from benchc_metrics.runs import read_run
from benchc_metrics.statistics.estimates import estimate
from benchc_metrics.statistics.floor import estimate_floor

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs" / "how_to_read.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def script() -> ModuleType:
    specification = importlib.util.spec_from_file_location(
        "worked_examples", ROOT / "tests" / "benchmarks" / "worked_examples.py"
    )
    module = sys.modules["worked_examples"] = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def test_the_table_of_the_worked_examples_is_what_the_script_prints(script: ModuleType) -> None:
    assert script.table(script.KEPT) in PAGE


def test_every_number_of_the_text_stands_in_the_table(script: ModuleType) -> None:
    table = script.table(script.KEPT)
    text = PAGE[PAGE.index("### Robust") : PAGE.index("## What not to conclude")]
    numbers = re.findall(r"-?\d+\.\d+", text)
    assert len(numbers) > 10
    assert [number for number in numbers if number not in table] == []


@pytest.mark.parametrize(("reading", "place"), [("brier", "table"), ("confidence", "text")])
def test_the_floors_of_the_bundled_model_are_those_of_its_run(script: ModuleType, reading: Reading, place: str) -> None:
    page = (ROOT / "docs" / "corruptions.md").read_text(encoding="utf-8")
    floor = estimate_floor(read_run(script.KEPT / script.SEEING), reading=reading, resamples=100)
    assert floor is not None
    floors = [f"{floor.of_change('ras', change).value:.4f}" for change in range(1, 6)]
    if place == "text":
        assert re.findall(r"-0\.0\d+", page[page.index("By the reading `confidence`") :])[:5] == floors
        return
    accuracies = [f"{floor.of_change('acc_corrupted', change).value:.3f}" for change in range(1, 6)]
    rows = [re.search(rf"\| `{change}`: .*", page)[0].split(" | ") for change in CONTROL_CHANGES]
    assert [row[-2] for row in rows] == floors
    assert [row[-1].rstrip(" |") for row in rows] == accuracies
    assert f"| all five | | {floor.of('ras').value:.4f} | {floor.of('acc_corrupted').value:.3f} |" in page


def test_the_scale_of_ras_is_as_the_page_says() -> None:
    sure, wrong, guess = [1.0, 0, 0, 0], [0, 1.0, 0, 0], [0.25] * 4
    assert robustness_alignment_score([sure, sure], [wrong, guess], [0, 0]).tolist() == [-1.0, -1.375]
    assert "wrong one scores -1, and one that becomes a guess among four options -1.375" in PAGE


def test_a_model_that_hardly_sees_has_the_best_ras(script: ModuleType) -> None:
    """What the page says of the third example."""
    ras = {
        (model, corruption): estimate(
            read_run(script.KEPT / model), [View(corruption, (corruption,), SEVERITIES)], resamples=2
        ).of("ras")
        for _, model, corruption in script.EXAMPLES
    }
    assert max(ras, key=lambda example: ras[example].value) == (script.DIM, "fog")
    run = read_run(script.KEPT / script.DIM)
    assert (run.clean_predictions == run.answers).mean() < 0.25
    assert [caution.name for caution in run.cautions] == ["nearly blind", "temperature"]
