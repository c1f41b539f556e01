"""The GPU kit runs with its toy on a CPU, so that it is ready when a card is at hand."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

MEASURE = Path(__file__).parent / "benchmarks" / "gpu" / "measure.py"


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
