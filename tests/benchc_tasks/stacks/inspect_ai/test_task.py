"""The task of inspect_ai, evaluated by inspect_ai in this process."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

if not os.environ.get("BENCHC_REQUIRE_STACKS"):
    pytest.importorskip("inspect_ai")

from inspect_ai import eval as inspect_eval
from inspect_ai.log import EvalLog
from inspect_ai.model import get_model
from openai_server import OpenAIServer, Reply

from benchc_metrics.records import SampleRecord
from benchc_metrics.runs import read_run
from benchc_tasks.corruptions import CORRUPTIONS
from benchc_tasks.datasets import write_dataset
from benchc_tasks.demonstration import DEMONSTRATION_MODEL
from benchc_tasks.stacks.inspect_ai.task import benchc, corruptions_of
from support import rows_of_samples


@pytest.fixture
def rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """The rows of the dataset that BENCHC_DATASET names; the second one has an image that cannot be decoded."""
    rows = rows_of_samples(2)
    rows[1]["image"] = rows[1]["image"][: len(rows[1]["image"]) // 2]
    write_dataset(tmp_path / "samples.parquet", rows)
    monkeypatch.setenv("BENCHC_DATASET", str(tmp_path / "samples.parquet"))
    return rows


@pytest.fixture(autouse=True)
def _server(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Serve a model that always says B, without log-probabilities."""
    message = {"role": "assistant", "content": "B"}
    choice = {"index": 0, "message": message, "finish_reason": "stop", "logprobs": None}
    server = OpenAIServer()
    server.behave = lambda asked: Reply(
        body={"id": "1", "object": "chat.completion", "created": 1, "model": "says-b", "choices": [choice]}
    )
    monkeypatch.setenv("LOCAL_API_KEY", "none")
    monkeypatch.setenv("LOCAL_BASE_URL", server.url)
    yield
    server.close()


def evaluate(folder: Path, **arguments: Any) -> EvalLog:
    model = get_model("openai-api/local/says-b", memoize=False)
    (log,) = inspect_eval(benchc(**arguments), model=model, log_dir=str(folder), display="none")
    assert log.status == "success", log.error
    return log


def test_a_provider_without_log_probabilities_gives_letters(rows: list[dict[str, Any]], tmp_path: Path) -> None:
    log = evaluate(tmp_path / "logs", corruption="fog", letters=True)
    metrics = log.results.scores[0].metrics
    assert metrics["acc_clean"].value == float(rows[0]["answer"] == 1)
    assert metrics["flip"].value == 0
    assert metrics["invalid_pairs"].value == 5
    assert "ras" not in metrics
    run = read_run(tmp_path / "logs")
    assert run.obtained == "generated letters"
    assert run.clean_predictions.tolist() == [1, -1]
    assert "decoded" in run.invalid[(rows[1]["id"], "clean")]


def test_without_log_probabilities_and_without_letters_each_condition_says_the_cure(
    rows: list[dict[str, Any]], tmp_path: Path
) -> None:
    log = evaluate(tmp_path / "logs", corruption="fog")
    record = SampleRecord.from_json_dict(log.samples[0].metadata["benchc"])
    assert len(record.invalid) == 6
    assert "ask for letters with -T letters=true" in record.invalid["clean"]


def test_votes_are_counted_in_inspect_ai_s_own_log(rows: list[dict[str, Any]], tmp_path: Path) -> None:
    log = evaluate(tmp_path / "logs", corruption="fog", votes=3)
    run = read_run(tmp_path / "logs")
    assert run.obtained == "votes"
    record = SampleRecord.from_json_dict(log.samples[0].metadata["benchc"])
    assert record.votes is not None
    assert all(counts[1] == 3 and sum(counts) == 3 for counts in record.votes)
    assert "ras_votes" in log.results.scores[0].metrics


def test_several_corruptions_ask_the_clean_picture_once(rows: list[dict[str, Any]], tmp_path: Path) -> None:
    log = evaluate(tmp_path / "logs", corruption=["fog", "snow"], letters=True)
    record = SampleRecord.from_json_dict(log.samples[0].metadata["benchc"])
    assert len(record.conditions) == 11
    assert read_run(tmp_path / "logs").corruptions == ("snow", "fog")


@pytest.mark.parametrize(
    ("named", "expected"),
    [
        ("all", tuple(CORRUPTIONS)),
        ("fog,snow", ("fog", "snow")),
        (["fog", "weather"], ("fog", "snow", "frost", "brightness", "spatter")),
    ],
)
def test_a_name_stands_for_corruptions(named: Any, expected: tuple[str, ...]) -> None:
    assert corruptions_of(named) == expected


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"corruption": "fogg"}, r"corruption is 'fogg', which is none of"),
        ({"corruption": "lite,fog"}, r"^corruption names lite and others"),
        ({"letters": True, "votes": 3}, r"^letters asks for one answer and votes for several"),
        ({"ras_reading": "x"}, r"ras_reading is 'x', which is none of"),
    ],
)
def test_a_wrong_argument_is_a_sentence(rows: list[dict[str, Any]], arguments: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        benchc(**arguments)


@pytest.mark.parametrize(("corruption", "conditions", "design"), [("lite", 1 + 19, "lite"), ("control", 1 + 5, None)])
def test_lite_and_the_control_ask_so_many_conditions(
    rows: list[dict[str, Any]], tmp_path: Path, corruption: str, conditions: int, design: str | None
) -> None:
    log = evaluate(tmp_path / "logs", corruption=corruption, letters=True)
    record = SampleRecord.from_json_dict(log.samples[0].metadata["benchc"])
    assert (len(record.conditions), record.design) == (conditions, design)


def test_a_provider_that_takes_no_pictures_is_told_with_the_cure(rows: list[dict[str, Any]], tmp_path: Path) -> None:
    """inspect_ai's own provider for checkpoints, with the bundled model."""
    model = get_model(
        "hf/demonstration",
        model_path=str(DEMONSTRATION_MODEL),
        auto_model_class="AutoModelForImageTextToText",
        device="cpu",
        memoize=False,
    )
    (log,) = inspect_eval(benchc(corruption="fog"), model=model, limit=1, log_dir=str(tmp_path), display="none")
    assert log.status == "error"
    assert "the provider of 'hf/demonstration' takes no pictures (" in log.error.message
    assert "--model openai-api/..., or score it in this process with `benchc run`" in log.error.message
