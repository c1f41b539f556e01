"""`evaluate`, the page docs/python.md and the notebook, run as a reader would."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

import benchc_metrics
from benchc_metrics.runs import Run
from benchc_tasks import evaluate
from benchc_tasks.stacks.lmms_eval.evaluation import EvaluationError

ROOT = Path(__file__).parents[4]


def executed(pieces: list[str], where: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Run pieces of code one after the other in one namespace, in a folder."""
    monkeypatch.chdir(where)
    names: dict[str, Any] = {}
    for piece in pieces:
        exec(compile(piece, "<page>", "exec"), names)
    return names


def test_the_page_runs_as_it_stands(tmp_path, monkeypatch):
    page = (ROOT / "docs" / "python.md").read_text(encoding="utf-8")
    names = executed(re.findall(r"```python\n(.*?)```", page, re.DOTALL), tmp_path, monkeypatch)
    run = names["run"]
    assert isinstance(run, Run)
    assert (run.corruptions, len(run.sample_ids), run.complete) == (("fog",), 4, True)
    assert names["difference"].of("acc_corrupted").value == 0


def test_the_notebook_is_valid_and_its_cells_run(tmp_path, monkeypatch):
    notebook = json.loads((ROOT / "examples" / "first_run.ipynb").read_text(encoding="utf-8"))
    assert (notebook["nbformat"], notebook["nbformat_minor"]) == (4, 5)
    assert {cell["cell_type"] for cell in notebook["cells"]} == {"markdown", "code"}
    assert len({cell["id"] for cell in notebook["cells"]}) == len(notebook["cells"])
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in cells)
    names = executed(["".join(cell["source"]) for cell in cells], tmp_path, monkeypatch)
    assert names["run"].metadata.demonstration


def test_an_evaluation_that_fails_says_why(tmp_path):
    with pytest.raises(EvaluationError, match=r"lmms-eval left no results in .*: .*no_such_argument"):
        evaluate(tmp_path, tasks="benchc_fog", limit=1, model_args={"no_such_argument": 1}, echo=False)


def test_the_front_door_of_the_metrics_offers_what_it_names():
    for name in benchc_metrics.__all__:
        assert getattr(benchc_metrics, name) is not None
    assert set(benchc_metrics.__all__) <= set(dir(benchc_metrics))
    with pytest.raises(AttributeError, match="module 'benchc_metrics' has no attribute 'nothing'"):
        _ = benchc_metrics.nothing
