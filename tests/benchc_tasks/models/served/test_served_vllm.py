"""Served models against a real engine: vLLM's server with the bundled model, on loopback."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lmms_eval.evaluator import simple_evaluate
from lmms_eval.tasks import TaskManager
from vllm_server import OPTIONS, SERVED_NAME, vllm_server, why_no_vllm
from vllm_support import vllm_checkpoint

from benchc_metrics.benchmark import LETTERS
from benchc_metrics.responses import OptionResponse
from benchc_tasks.corruptions import corrupt
from benchc_tasks.datasets import decode_image, load_dataset
from benchc_tasks.models.costs import Limits, Prices, StoppedError
from benchc_tasks.models.generation.questions import TextQuestion, WritingSettings
from benchc_tasks.models.generation.served import ServedGenerator
from benchc_tasks.models.pipeline import score_ahead, within_limits
from benchc_tasks.models.questions import ChoiceScorer, EngineError, Outcome, Question
from benchc_tasks.models.served.backend import load_served_backend
from benchc_tasks.models.served.reading import Reading, ServedChat
from benchc_tasks.models.served.requests import ServedModel
from benchc_tasks.models.served.scoring import ServedChoiceScorer, load_served_model, load_served_scorer
from benchc_tasks.stacks.lmms_eval.model import BenchCModel
from benchc_tasks.stacks.prompting import question_with_options
from task_yamls import tasks_path

if reason := why_no_vllm():
    if os.environ.get("BENCHC_REQUIRE_VLLM") == "1":
        raise ModuleNotFoundError(reason)
    pytest.skip(reason, allow_module_level=True)

INSTRUCTION = "\nAnswer with the option's letter from the given choices directly."
NEAR_TIE = 0.01
"""Two most probable options whose probabilities differ by less may change places."""
MEAN_DIFFERENCE = 0.01
"""The largest mean absolute difference of option probabilities; what is found is a hundred thousand times smaller."""


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("served")
    checkpoint = vllm_checkpoint(folder / "model")
    with vllm_server(checkpoint, folder / "server.log") as address:
        yield address


@pytest.fixture(scope="module")
def questions() -> list[Question]:
    """The bundled set, every sample clean and under one corruption, severity by severity in turns."""
    asked = []
    for number, sample in enumerate(load_dataset(None, None)):
        clean = decode_image(sample["image"], sample=sample["id"])
        text = question_with_options(sample["question"], sample["options"]) + INSTRUCTION
        options = tuple(LETTERS[: len(sample["options"])])
        noisy = corrupt(clean, "gaussian_noise", 1 + number % 5, seed=number)
        asked += [
            Question(f"{sample['id']} {kind}", text, options, (image,))
            for kind, image in (("clean", clean), ("noisy", noisy))
        ]
    return asked


def answers(scorer: ChoiceScorer[Any], questions: Sequence[Question]) -> list[list[OptionResponse]]:
    """Score all; none may be invalid."""
    size = scorer.batch_size
    batches = [scorer.prepare(questions[start : start + size]) for start in range(0, len(questions), size)]
    outcomes = [outcome for batch in batches for outcome in scorer.score(batch)]
    assert all(isinstance(outcome, list) for outcome in outcomes), outcomes
    return outcomes


def probabilities(scores: Sequence[OptionResponse]) -> np.ndarray:
    weights = np.exp([score.value for score in scores])
    return weights / weights.sum()


@pytest.fixture(scope="module")
def expected(questions: list[Question]) -> list[np.ndarray]:
    """The option distributions by transformers in this process, in float32."""
    scorer = BenchCModel(batch_size=8, dtype="float32", device="cpu")._scorer
    assert scorer is not None
    return [probabilities(scores) for scores in answers(scorer, questions)]


@pytest.fixture
def served(url: str) -> Callable[..., ServedChoiceScorer]:
    def build(backend: str = "openai", *, exact: bool = True, **arguments: Any) -> ServedChoiceScorer:
        loaded = load_served_backend(backend, {"model": SERVED_NAME, "base_url": url, **arguments})
        return ServedChoiceScorer(ServedModel(loaded), ServedChat(), concurrency=loaded.concurrency, exact=exact)

    return build


@pytest.mark.parametrize(
    ("backend", "exact"), [("openai", True), ("openai", False), ("async_openai", True)], ids=["ids", "text", "async"]
)
def test_a_served_model_answers_as_the_model_in_this_process(
    backend: str,
    exact: bool,
    served: Callable[..., ServedChoiceScorer],
    questions: list[Question],
    expected: list[np.ndarray],
) -> None:
    scorer = served(backend, exact=exact)
    assert scorer._reading == (Reading(by_id=True, top=None) if exact else Reading(by_id=False, top=20))
    found = answers(scorer, questions)
    assert all((score.missing_mass is None) is exact for scores in found for score in scores)
    differences = [np.abs(probabilities(scores) - there) for scores, there in zip(found, expected, strict=True)]
    assert float(np.mean(np.concatenate(differences))) < MEAN_DIFFERENCE
    for question, scores, there in zip(questions, found, expected, strict=True):
        best, second = np.sort(there)[[-1, -2]]
        if best - second > NEAR_TIE:
            assert probabilities(scores).argmax() == there.argmax(), question.name
    assert len({int(there.argmax()) for there in expected}) == 4


def test_what_is_not_shown_is_the_mass_of_the_other_tokens(
    served: Callable[..., ServedChoiceScorer], questions: list[Question]
) -> None:
    """By text and by ids the options' probabilities are the same, and what the text path does not see is small."""
    some = questions[:12]
    by_ids, by_text = answers(served(), some), answers(served(exact=False), some)
    for exact, visible in zip(by_ids, by_text, strict=True):
        for one, other in zip(exact, visible, strict=True):
            assert one.value == pytest.approx(other.value, abs=1e-4)
            assert one.is_greedy is other.is_greedy
        shown = sum(math.exp(score.value) for score in visible)
        assert all(0 <= (score.missing_mass or 0) <= 1 - shown + 1e-6 for score in visible)


def test_the_fingerprint_names_the_engine_and_stays_the_same(served: Callable[..., ServedChoiceScorer]) -> None:
    first = served().fingerprint
    assert '"version": "0.' in first
    assert '"system": "vllm-' in first
    assert served(num_concurrent=3).fingerprint == first
    assert served(exact=False).fingerprint != first


@dataclass(frozen=True)
class Rendered:
    """An inquiry whose picture is there already."""

    asked: Question

    @property
    def sample(self) -> str:
        return self.asked.name.split()[0]

    def question(self) -> Question:
        return self.asked


def test_limits_hold_by_the_tokens_that_the_server_counts_and_the_run_goes_on(
    served: Callable[..., ServedChoiceScorer], questions: list[Question], expected: list[np.ndarray]
) -> None:
    scorer = served(num_concurrent=4)
    here = BenchCModel(batch_size=1, dtype="float32", device="cpu")._scorer
    assert here is not None
    inquiries = [Rendered(question) for question in questions[:60]]
    tokens = [here.prepare([each.asked]).inputs["input_ids"].shape[1] for each in inquiries]
    assert len(set(tokens)) > 1
    prices = Prices(2.0, 6.0)
    found: list[Outcome] = []

    def ask(limits: Limits) -> None:
        def ahead(some: Sequence[Rendered]) -> Generator[list[tuple[Rendered, Outcome]], None, None]:
            return score_ahead(some, scorer, threads=1, look_ahead=2)

        for batch in within_limits(limits, inquiries[len(found) :], scorer, ahead, made=len(found)):
            found.extend(outcome for _, outcome in batch)

    budget = prices.of(sum(tokens[:30]), 30)
    with pytest.raises(StoppedError, match=rf"^stopped by budget={budget:g} after "):
        ask(Limits(budget=budget, prices=prices))
    paid = len(found)
    assert 20 <= paid <= 30
    assert (scorer.usage.passes, scorer.usage.read, scorer.usage.written) == (paid, sum(tokens[:paid]), paid)
    assert prices.spent(scorer.usage) <= budget
    with pytest.raises(StoppedError, match=r"^stopped by max_passes=50 after 50 forward passes"):
        ask(Limits(max_passes=50, prices=prices))
    assert len(found) == 50
    ask(Limits())
    assert scorer.usage.read == sum(tokens)
    for scores, there in zip(found, expected, strict=False):
        assert isinstance(scores, list)
        assert probabilities(scores) == pytest.approx(there, abs=1e-4)


@pytest.mark.parametrize("takes_n", [True, False])
def test_a_server_votes_by_n_and_by_requests_and_writes_what_it_prefers(
    url: str, questions: list[Question], expected: list[np.ndarray], takes_n: bool
) -> None:
    model, chat, concurrency = load_served_model("openai", {"base_url": url, "model": SERVED_NAME})
    generator = ServedGenerator(model, chat, concurrency=concurrency)
    generator._takes_n = takes_n

    def written(settings: WritingSettings, numbers: tuple[int, ...], some: Sequence[Question]) -> list[Any]:
        asked = [TextQuestion(each.name, each.context, each.images, settings, numbers) for each in some]
        return generator.generate(generator.prepare(asked))

    chosen = [place for place, each in enumerate(expected) if np.diff(np.sort(each))[-1] > NEAR_TIE][:12]
    greedy = written(WritingSettings(max_new_tokens=2), (0,), [questions[place] for place in chosen])
    assert greedy == [[questions[place].options[int(expected[place].argmax())]] for place in chosen]
    place = min(chosen, key=lambda place: expected[place].max())
    ((*votes,),) = written(WritingSettings(max_new_tokens=2, temperature=1.0), tuple(range(48)), [questions[place]])
    shares = np.array([votes.count(option) for option in questions[place].options]) / len(votes)
    assert len(votes) == 48
    assert np.abs(shares - expected[place]).max() < 0.35


def test_votes_of_lmms_eval_with_a_served_model(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BENCHC_DATASET", raising=False)
    results = simple_evaluate(
        model=BenchCModel(backend="openai", base_url=url, model=SERVED_NAME),
        tasks=["benchc-gen-votes_fog"],
        task_manager=TaskManager(include_path=str(tasks_path()), include_defaults=False),
        bootstrap_iters=0,
        limit=2,
        log_samples=True,
    )
    assert results is not None
    row = results["results"]["benchc-gen-votes_fog"]
    assert row["votes,none"] == 16
    assert -2 <= row["ras_votes,none"] <= 1
    record = results["samples"]["benchc-gen-votes_fog"][0]["benchc"]
    assert record["sampling"] == {"number": 16, "temperature": 1.0, "seed": None}


def test_a_wrong_name_of_the_model(url: str) -> None:
    with pytest.raises(EngineError, match=rf"has no model 'bundle' \(404: .*\): give model= one of {SERVED_NAME}$"):
        load_served_scorer("openai", {"model": "bundle", "base_url": url})


def test_a_wrong_address_of_the_server(url: str) -> None:
    with pytest.raises(
        EngineError, match=r"answers chats \(404: Not Found\): correct base_url, which mostly ends in /v1"
    ):
        load_served_scorer("openai", {"model": SERVED_NAME, "base_url": url.removesuffix("/v1") + "/v2"})


def test_lmms_eval_with_a_served_model(
    url: str, lmms_eval: Callable[..., Any], questions: list[Question], expected: list[np.ndarray]
) -> None:
    served = f"backend=openai,base_url={url},model={SERVED_NAME}"
    evaluation = lmms_eval(
        ["--model", "benchc", "--model_args", served, "--tasks", "benchc_gaussian_noise", "--limit", "2"]
    )
    figures = evaluation.results["results"]["benchc_gaussian_noise"]
    assert figures["invalid_pairs,none"] == 0
    assert figures["length_normalised,none"] == 0
    records = [row["benchc"] for row in evaluation.samples("benchc_gaussian_noise")]
    assert [record["sample"] for record in records] == [questions[0].name.split()[0], questions[2].name.split()[0]]
    for record, there in zip(records, expected[::2], strict=False):
        clean = np.exp(record["log_likelihoods"][0])
        assert clean / clean.sum() == pytest.approx(there, abs=1e-4)


@pytest.mark.parametrize(
    ("mode", "sentence"),
    [
        ("raw_logits", "shows numbers that are not log-probabilities"),
        ("processed_logprobs", "shows log-probabilities behind a repetition penalty or another default setting"),
    ],
)
def test_another_logprobs_mode_is_refused_with_the_option_to_change(mode: str, sentence: str, tmp_path: Path) -> None:
    """With a repetition penalty in the checkpoint's generation_config.json, which vLLM applies by default."""
    checkpoint = vllm_checkpoint(tmp_path / "model")
    config = checkpoint / "generation_config.json"
    settings = json.loads(config.read_text(encoding="utf-8")) if config.exists() else {}
    config.write_text(json.dumps({**settings, "repetition_penalty": 1.3}), encoding="utf-8")
    with (
        vllm_server(checkpoint, tmp_path / "server.log", options=(*OPTIONS, "--logprobs-mode", mode)) as address,
        pytest.raises(EngineError) as caught,
    ):
        load_served_scorer("openai", {"model": SERVED_NAME, "base_url": address})
    assert sentence in str(caught.value)
    assert "--logprobs-mode raw_logprobs" in str(caught.value)
