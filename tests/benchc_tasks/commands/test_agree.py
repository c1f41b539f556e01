"""Two backends that answer alike, and two that do not."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from openai_server import MODEL, OpenAIServer, answer, refusal
from served_support import answers_of

from benchc_metrics.responses import OptionResponse
from benchc_tasks.commands.agree import _questions
from benchc_tasks.commands.cli import main
from benchc_tasks.datasets import load_dataset
from benchc_tasks.models.agreement import compare_answers
from benchc_tasks.models.choice import TransformersChoiceScorer
from benchc_tasks.models.engines import EngineSettings, transformers_scorer
from benchc_tasks.models.questions import ScoringError

INSTRUCTION = "\nAnswer with the option's letter from the given choices directly."
BUNDLED = "batch_size=1,device=cpu"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[OpenAIServer]:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    running = OpenAIServer()
    yield running
    running.close()


def served(server: OpenAIServer) -> str:
    return f"backend=openai,model={MODEL},base_url={server.url},max_retries=1"


def test_the_bundled_model_agrees_with_itself_in_batches(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["agree", "--samples", "2", "--model_args", BUNDLED, "--model_args", "batch_size=4,device=cpu"]) == 0
    printed = capsys.readouterr().out
    for part in ("clean", "gaussian_noise@3", "fog@5", "pixelate@4", "all", f"A: {BUNDLED}", "A and B agree: option "):
        assert part in printed
    assert "and 0 of 8 predictions differ." in printed


def test_a_server_with_the_bundled_model_agrees_with_it(
    server: OpenAIServer, capsys: pytest.CaptureFixture[str]
) -> None:
    scorer = transformers_scorer(EngineSettings(None, None, {}, torch.device("cpu")))
    assert isinstance(scorer, TransformersChoiceScorer)
    server.behave = answers_of(scorer)
    assert main(["agree", "--samples", "3", "--model_args", BUNDLED, "--model_args", served(server)]) == 0
    assert "A and B agree: " in capsys.readouterr().out


def test_a_server_with_another_model_disagrees(server: OpenAIServer, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["agree", "--samples", "2", "--model_args", BUNDLED, "--model_args", served(server)]) == 1
    printed = capsys.readouterr().out
    assert "A and B disagree: option probabilities differ by 0." in printed
    assert "Do not compare or mix their runs before you find the reason" in printed


def test_questions_without_an_answer_are_no_agreement(server: OpenAIServer, capsys: pytest.CaptureFixture[str]) -> None:
    server.behave = lambda asked: (
        refusal(400, "too long") if asked.is_question and "colour is the pic" not in asked.text else answer(asked)
    )
    assert main(["agree", "--samples", "1", "--model_args", BUNDLED, "--model_args", served(server)]) == 1
    printed = capsys.readouterr().out
    assert "A and B cannot be compared: 4 of 4 questions were not answered by both" in printed
    assert "gave no answer (400: too long)" in printed


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--model_args", "x=1"], "agree compares two backends: give --model_args twice."),
        (["--model_args", "x=1", "--model_args", "y=1", "--samples", "0"], "--samples 0 asks nothing: give 1 or more"),
        (["--model_args", "x=1", "--model_args", "y=1", "--data", "nowhere.parquet"], "nowhere.parquet"),
    ],
)
def test_wrong_arguments_are_a_sentence(words: list[str], sentence: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["agree", *words]) == 1
    assert sentence in capsys.readouterr().err


def responses(*probabilities: float) -> list[OptionResponse]:
    return [OptionResponse(float(np.log(value)), False) for value in probabilities]


def test_a_near_tie_may_change_places_and_a_clear_answer_may_not() -> None:
    near = compare_answers([responses(0.501, 0.499)], [responses(0.499, 0.501)])
    assert (near.other_predictions, near.clear_predictions, near.holds) == (1, 0, True)
    clear = compare_answers([responses(0.53, 0.47)] + [responses(0.9, 0.1)] * 9, [responses(0.47, 0.53)] * 10)
    assert clear.clear_predictions == 10
    assert not clear.holds


def test_differences_are_of_option_probabilities() -> None:
    """Of all that is written, the options have a half in A and all of it in B."""
    found = compare_answers([responses(0.3, 0.2)], [responses(0.5, 0.5)])
    assert (found.mean, found.largest) == (pytest.approx(0.1), pytest.approx(0.1))
    assert found.mass == (pytest.approx(0.5), pytest.approx(1.0))
    assert not found.holds
    assert not compare_answers([ScoringError("x")], [responses(0.5, 0.5)]).holds


def test_samples_are_spread_over_the_dataset_and_each_is_shown_under_every_condition() -> None:
    samples = load_dataset()
    asked = _questions(samples, 3)
    assert all(question.context.endswith(INSTRUCTION) for _, question in asked)
    names = [question.name for _, question in asked]
    assert len(names) == len(set(names)) == 12
    assert [name.split("'")[1] for name in names[::4]] == [samples[0]["id"], samples[72]["id"], samples[143]["id"]]
