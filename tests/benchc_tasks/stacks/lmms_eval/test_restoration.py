"""A model that is shown restored pictures."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from benchc_metrics.benchmark import CLEAN, Condition
from benchc_metrics.responses import NO_ANSWER
from benchc_tasks.stacks.lmms_eval.documents import DocsOfTask
from benchc_tasks.stacks.lmms_eval.model import BenchCModel
from benchc_tasks.stacks.pictures import ConditionedPicture

OWN = """
def negative(pixels):
    return 255 - pixels

def narrow(pixels):
    assert pixels.shape[1] < 100, "too wide"
    return pixels
"""


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A module of a user's, in a folder where Python finds it."""
    name = f"own_restorers_{tmp_path.name}"
    (tmp_path / f"{name}.py").write_text(OWN)
    monkeypatch.syspath_prepend(tmp_path)
    return name


def test_a_model_sees_every_picture_restored_clean_ones_too(
    own: str, checkpoint: Callable[[str], Path], make_picture: Callable[..., Any], make_request: Callable[..., Any]
) -> None:
    """As if the pictures themselves had been restored; the records say so, and answers are kept apart."""
    folder = str(checkpoint("llava"))
    plain, restoring = BenchCModel(pretrained=folder), BenchCModel(pretrained=folder, restore=f"{own}:negative")
    conditions = (CLEAN, Condition("fog", 3))

    def answers(model: BenchCModel, shown: Callable[[Condition], Any]) -> list[float]:
        model.task_dict["task"] = {"test": [{"image": make_picture(1)}]}
        requests = [
            make_request("What?", letter, shown(condition), 0) for condition in conditions for letter in ("A", "B")
        ]
        return [value for value, _ in model.loglikelihood(requests)]

    def as_it_is(condition: Condition) -> ConditionedPicture:
        return ConditionedPicture("set", "s", condition)

    def negative(condition: Condition) -> Callable[[Any], list[Image.Image]]:
        return lambda doc: [Image.fromarray(255 - np.asarray(each)) for each in as_it_is(condition)(doc)]

    restored = answers(restoring, as_it_is)
    assert restored == answers(plain, negative)
    assert min(abs(one - other) for one, other in zip(restored, answers(plain, as_it_is), strict=True)) > 1e-4
    assert restoring.fingerprint != plain.fingerprint
    restoring.task_dict["docs"] = docs = DocsOfTask()
    assert docs.model is not None
    assert docs.model.restoration == f"{own}:negative"


def test_a_picture_that_cannot_be_restored_costs_its_condition(
    own: str, checkpoint: Callable[[str], Path], make_picture: Callable[..., Any], make_request: Callable[..., Any]
) -> None:
    model = BenchCModel(pretrained=str(checkpoint("llava")), restore=f"{own}:narrow")
    model.task_dict["task"] = {"test": [{"image": make_picture(1)}, {"image": make_picture(1, width=200)}]}
    requests = [make_request("What?", "A", ConditionedPicture("set", f"s{doc}", CLEAN), doc) for doc in (0, 1)]
    first, second = model.loglikelihood(requests)
    assert first[0] < 0
    assert second == f"{NO_ANSWER}sample 's1' under clean: restore={own}:narrow failed (AssertionError: too wide)"
