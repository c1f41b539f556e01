"""A run says what it waits for before its first answer; see docs/upstream.md."""

import time
from typing import Any

import pytest

from benchc_tasks.models.engines import EngineSettings
from benchc_tasks.models.questions import ChoiceScorer, EngineError, NoProbabilitiesError
from benchc_tasks.stacks import common, waiting
from benchc_tasks.stacks.choice_model import ChoiceModel
from benchc_tasks.stacks.progress import Progress
from support import logged

EVERY_SECONDS = waiting.EVERY_SECONDS


@pytest.fixture(autouse=True)
def _hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "EVERY_SECONDS", 0.02)


def test_a_line_whenever_the_time_has_passed() -> None:
    with logged("INFO") as lines, waiting.waiting_for("loading the model"):
        time.sleep(0.15)
    assert len(lines) >= 2
    assert lines[0] == "benchc: loading the model, 0 s so far"


def test_silence_where_it_is_over_before(monkeypatch: pytest.MonkeyPatch) -> None:
    assert EVERY_SECONDS == 5.0  # docs/upstream.md
    monkeypatch.setattr(waiting, "EVERY_SECONDS", EVERY_SECONDS)
    with logged("INFO") as lines, waiting.waiting_for("loading the model"):
        pass
    assert not lines


def test_only_the_first_process_speaks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "1")
    with logged("INFO") as lines, waiting.waiting_for("loading the model"):
        time.sleep(0.06)
    assert not lines


def test_no_line_after_a_fault() -> None:
    with logged("INFO") as lines:
        with pytest.raises(ValueError, match="broken"), waiting.waiting_for("loading the model"):
            raise ValueError("broken")
        told = len(lines)
        time.sleep(0.06)
        assert len(lines) == told


def test_a_dataset_that_takes_long_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = common.load_dataset(None)

    def slow(source: str | None, split: str | None) -> object:
        time.sleep(0.08)
        return loaded

    monkeypatch.setattr(common, "load_dataset", slow)
    with logged("INFO") as lines:
        common._load_samples_of.__wrapped__("a/b", None, ())
    assert lines[0].startswith("benchc: reading the dataset 'a/b', ")


def test_a_model_that_takes_long_is_named() -> None:
    def slow(settings: EngineSettings) -> ChoiceScorer[Any]:
        time.sleep(0.08)
        raise EngineError("no model here")

    with logged("INFO") as lines, pytest.raises(EngineError):
        ChoiceModel(slow, pretrained="a/b", backend="x", device="cpu")
    assert lines[0].startswith("benchc: loading 'a/b' by backend 'x', ")


def test_a_model_that_only_writes_is_named_too() -> None:
    def without_probabilities(settings: EngineSettings) -> ChoiceScorer[Any]:
        raise NoProbabilitiesError("it only writes")

    def slow(settings: EngineSettings) -> Any:
        time.sleep(0.08)
        raise EngineError("no model here")

    with logged("INFO") as lines, pytest.raises(EngineError, match="no model here"):
        ChoiceModel(without_probabilities, slow, pretrained="a/b", backend="x", device="cpu")
    assert lines[0].startswith("benchc: loading 'a/b' by backend 'x', ")

    scores: Any = object()
    model = ChoiceModel(lambda settings: scores, slow, pretrained="a/b", device="cpu")
    with logged("INFO") as lines, pytest.raises(EngineError, match="no model here"):
        model.generator  # noqa: B018  # building it is what takes long
    assert lines[0].startswith("benchc: loading 'a/b', ")


def test_the_first_answers_are_waited_for_and_no_others() -> None:
    progress = Progress(["benchc_fog"], 1)
    with logged("INFO") as lines, progress.waiting_for_the_first():
        time.sleep(0.08)
    assert lines[0].startswith("benchc: rendering the first pictures and asking the model ")
    progress._done = 1
    with logged("INFO") as lines, progress.waiting_for_the_first():
        time.sleep(0.08)
    assert not lines
