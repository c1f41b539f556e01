"""`benchc submit` and `benchc verify` of whole runs as other stacks leave them on disk."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from run_folders import made_run, write_run
from stack_folders import as_inspect, as_lm_eval

from benchc_metrics.benchmark import CORRUPTION_FAMILIES
from benchc_tasks.commands.cli import main


def of_inspect(lmms: Path, folder: Path) -> Path:
    folder.mkdir()
    for number in range(len(CORRUPTION_FAMILIES)):
        as_inspect(lmms, folder / f"{number}.eval", number=number)
    return folder


@pytest.mark.parametrize(("stack", "write"), [("lm-eval", as_lm_eval), ("inspect_ai", of_inspect)])
def test_a_whole_run_becomes_a_submission_that_is_verified(
    tmp_path: Path, stack: str, write: Callable[[Path, Path], Path]
) -> None:
    lmms = write_run(made_run(8, corruptions=tuple(CORRUPTION_FAMILIES)), tmp_path / "lmms")
    run = write(lmms, tmp_path / "run")
    submission = tmp_path / "submission"
    given = ["-o", str(submission), "--dataset-id", "lab/set", "--model-id", "lab/model"]
    assert main(["submit", str(run), *given]) == 0
    (file,) = [path for path in submission.glob("*.json") if "versions" in path.read_text(encoding="utf-8")]
    assert json.loads(file.read_text(encoding="utf-8"))["versions"]["stack"] == stack
    assert main(["verify", str(submission)]) == 0
