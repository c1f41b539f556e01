"""lmms-eval's own evaluator, replaying the responses of version 0.1, gives its records, results and group rows.

Version 0.1 read RAS as `confidence`, and so do these tests.
"""

from __future__ import annotations

from typing import Any

import pytest
from golden_files import TOLERANCE, golden
from lmms_eval.api.instance import Instance
from lmms_eval.api.model import lmms
from lmms_eval.evaluator import simple_evaluate
from lmms_eval.tasks import TaskManager

from benchc_metrics.records import SampleRecord
from benchc_tasks.stacks.lmms_eval import task as task_module
from benchc_tasks.stacks.lmms_eval.plugin import add_task_folder

LIMIT = 12


class Replay(lmms):
    """A model that gives the responses of a golden file again."""

    is_simple = True

    def __init__(self, samples: dict[str, list[dict[str, Any]]]) -> None:
        super().__init__()
        self._responses = {
            (task, row["doc_id"]): row["benchc"].get("answers", row["resps"])
            for task, rows in samples.items()
            for row in rows
        }

    def loglikelihood(self, requests: list[Instance]) -> list[tuple[float, bool]]:
        return [
            (float(value), is_greedy == "True")
            for request in requests
            for value, is_greedy in [self._responses[request.task_name, request.doc_id][request.idx]]
        ]

    def generate_until(self, requests: list[Instance]) -> list[str]:
        return [self._responses[request.task_name, request.doc_id][request.idx] for request in requests]

    def generate_until_multi_round(self, requests: list[Instance]) -> list[str]:
        raise NotImplementedError


def replayed(before: dict[str, Any], tasks: list[str]) -> dict[str, Any]:
    add_task_folder(TaskManager)
    return simple_evaluate(Replay(before["samples"]), tasks=tasks, limit=LIMIT, log_samples=True, bootstrap_iters=0)


@pytest.fixture(scope="module", params=["choice", "generation"])
def golden_and_today(request: pytest.FixtureRequest) -> tuple[dict[str, Any], dict[str, Any]]:
    before = golden(request.param)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(task_module, "DEFAULT_READING", "confidence")
        return before, replayed(before, ["benchc"] if request.param == "choice" else list(before["samples"]))


def test_records(golden_and_today: tuple[dict[str, Any], dict[str, Any]]) -> None:
    before, today = golden_and_today
    assert set(today["samples"]) == set(before["samples"])
    added = {"context": None, "model": None}
    for task, rows in before["samples"].items():
        for row, now in zip(rows, today["samples"][task], strict=True):
            found = SampleRecord.from_json_dict(now["benchc"]).model_copy(update=added)
            assert found == SampleRecord.from_json_dict(row["benchc"]), (task, row["doc_id"])


@pytest.mark.parametrize("kind", ["results", "groups"])
def test_numbers(golden_and_today: tuple[dict[str, Any], dict[str, Any]], kind: str) -> None:
    before, today = golden_and_today
    for name, numbers in before[kind].items():
        for metric, value in numbers.items():
            if "benchc" in metric or metric == "alias" or isinstance(value, str):
                continue
            found = today[kind][name][metric]
            assert found == pytest.approx(value, rel=0, abs=TOLERANCE, nan_ok=True), (name, metric)
