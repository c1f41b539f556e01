"""The GPU kit runs with its toy on a CPU, so that it is ready when a card is at hand."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

KIT = Path(__file__).parent / "benchmarks" / "gpu"
MEASURE = KIT / "measure.py"
PAGE = Path(__file__).parents[1] / "docs" / "gpu.md"


@pytest.mark.timeout(600)
def test_the_toy_is_measured_and_nothing_fails(tmp_path: Path) -> None:
    parts = ["batches", "one_pass_an_option"]
    subprocess.run([sys.executable, MEASURE, "--toy", "--only", *parts, "--output", tmp_path], check=True)
    written = json.loads((tmp_path / "gpu.json").read_text(encoding="utf-8"))
    assert written["schema"] == "benchc.gpu/2"
    assert not [value for value in written.values() if str(value).startswith(("failed", "not measured"))]
    rows = written["toy_prepared_batches"]
    assert set(rows) == {"1", "4"}
    assert all(row["conditions_a_second"] > 0 for row in rows.values())
    compared = written["toy_against_one_pass_an_option"]
    assert set(compared) == {"4", "10"}
    assert all(times > 1 for row in compared.values() for times in row["ours_times_as_fast"].values())


def test_the_page_shows_what_was_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(KIT))
    from tables import table_of

    written = json.loads((KIT / "results" / "h200.json").read_text(encoding="utf-8"))
    tables = table_of(written).split("## Beside these")[0].partition("## ")[2]
    assert tables.count("\n## ") == 3
    assert tables.replace("\n## ", "\n### ").strip() in PAGE.read_text(encoding="utf-8")
    rate = written["8B_end_to_end"]["by_render_threads"]["16"]["conditions_a_second"]
    assert round(849 * 96 / rate / 60) == 22
    assert "takes 22 minutes on an H200" in PAGE.read_text(encoding="utf-8")
