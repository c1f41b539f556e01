"""Votes inside lmms-eval's own evaluator: with the model benchc, with any other model, and with a server."""

from __future__ import annotations

import functools
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from lmms_eval.api.model import lmms
from lmms_eval.evaluator import simple_evaluate
from lmms_eval.tasks import TaskManager
from lmms_eval.utils import load_yaml_config
from openai_server import MODEL, Asked, OpenAIServer, Reply, answer, refusal

from benchc_metrics.records import SampleRecord
from benchc_metrics.runs import run_of_records
from benchc_tasks.datasets import write_dataset
from benchc_tasks.stacks.lmms_eval.answer_cache import AnswerCache
from benchc_tasks.stacks.lmms_eval.generation_task import GenerationTask
from benchc_tasks.stacks.lmms_eval.model import BenchCModel
from support import rows_of_samples
from task_yamls import tasks_path

VOTES = 4


@functools.cache
def task_manager() -> TaskManager:
    return TaskManager(include_path=str(tasks_path()), include_defaults=False)


def make_task(name: str = "benchc-gen-votes_fog", metadata: dict[str, Any] | None = None, **settings: Any) -> Any:
    config = load_yaml_config(str(tasks_path() / f"{name}.yaml"), mode="full")
    config["metadata"] = config["metadata"] | {"votes": VOTES} | (metadata or {})
    return GenerationTask(config={**config, **settings})


def evaluated(model: lmms, tasks: list[Any], **settings: Any) -> dict[str, Any]:
    results = simple_evaluate(
        model=model, tasks=tasks, task_manager=task_manager(), bootstrap_iters=0, log_samples=True, **settings
    )
    assert results is not None
    return results


def records(results: dict[str, Any], task: str = "benchc-gen-votes_fog") -> list[SampleRecord]:
    return [SampleRecord.from_json_dict(row["benchc"]) for row in results["samples"][task]]


@pytest.fixture
def dataset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "data" / "samples.parquet"
    write_dataset(path, rows_of_samples(3))
    monkeypatch.setenv("BENCHC_DATASET", str(path))
    return path


class Voter(lmms):
    """A model that answers A to every third request, nonsense to every seventh, else B; counts its requests."""

    is_simple = True

    def __init__(self) -> None:
        super().__init__()
        self.asked: Counter[Any] = Counter()
        self.settings: list[dict[str, Any]] = []

    def generate_until(self, requests: list[Any]) -> list[str]:
        answers = []
        for request in requests:
            _, settings, doc_to_visual, doc_id, task, split = request.args
            (picture,) = doc_to_visual(self.task_dict[task][split][doc_id])
            self.asked[(int(doc_id), str(doc_id.condition), picture.size)] += 1
            self.settings.append(dict(settings))
            number = self.asked.total()
            answers.append("A" if number % 3 == 0 else "I cannot tell." if number % 7 == 0 else "B")
        return answers

    def loglikelihood(self, requests: list[Any]) -> list[Any]:
        raise NotImplementedError

    def generate_until_multi_round(self, requests: list[Any]) -> list[Any]:
        raise NotImplementedError


def test_any_model_of_lmms_eval_votes_and_what_it_cannot_say_is_counted(dataset: Path) -> None:
    model = Voter()
    results = evaluated(model, [make_task()])
    assert set(model.asked.values()) == {VOTES}
    assert len(model.asked) == 3 * 6
    assert all(settings["temperature"] == 1.0 and settings["do_sample"] for settings in model.settings)
    found = records(results)
    assert {record.obtained for record in found} == {"votes"}
    assert found[0].sampling is not None
    assert (found[0].sampling.number, found[0].sampling.temperature, found[0].sampling.seed) == (VOTES, 1.0, None)
    assert all(
        sum(votes or ()) + unparsed == VOTES for r in found for votes, unparsed in zip(r.votes, r.unparsed, strict=True)
    )
    row = results["results"]["benchc-gen-votes_fog"]
    assert row["votes,none"] == VOTES
    assert 0 < row["unparsed_votes,none"] < 0.3
    assert -2 <= row["ras_votes,none"] <= 1
    assert "ras,none" not in row


def test_a_group_has_the_votes_of_all_its_tasks(dataset: Path) -> None:
    results = evaluated(Voter(), ["benchc-gen-votes"], limit=1)
    row = results["groups"]["benchc-gen-votes"]
    assert row["votes,none"] == 16
    assert -2 <= row["ras_votes,none"] <= 1


def test_the_lite_task_asks_its_design_with_votes(dataset: Path) -> None:
    model = Voter()
    results = evaluated(model, ["benchc-gen-lite"], limit=2)
    assert set(model.asked.values()) == {16}
    assert len(model.asked) == 2 * 20
    found = records(results, "benchc-gen-lite")
    assert {record.design for record in found} != {None}
    assert run_of_records("run", {"lite": found}).votes is not None


def test_the_bundled_model_writes_what_its_log_likelihoods_prefer_and_votes_come_again_with_their_seed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("BENCHC_DATASET", raising=False)

    def run(*tasks: Any, limit: int) -> list[list[SampleRecord]]:
        results = evaluated(BenchCModel(batch_size=6, device="cpu"), list(tasks), limit=limit)
        return [records(results, task if isinstance(task, str) else task.task_name) for task in tasks]

    scored, written = run("benchc_fog", "benchc-gen_fog", limit=6)
    assert [record.predictions for record in written] == [record.predictions for record in scored]
    assert {text for record in written for text in record.texts or ()} <= set("ABCD")
    ((first,), (again,)) = (run(make_task(metadata={"votes": 24}), limit=2) for _ in range(2))
    assert [record.texts_of_votes for record in first] == [record.texts_of_votes for record in again]
    ((other,),) = [run(make_task(metadata={"votes": 24, "seed": 1}), limit=2)]
    assert [record.texts_of_votes for record in other] != [record.texts_of_votes for record in first]
    assert first[0].sampling is not None
    assert first[0].sampling.seed == 0
    assert [record.predictions[0] for record in first] == [record.predictions[0] for record in scored[:2]]


def test_kept_votes_are_not_drawn_again_and_more_votes_ask_for_the_rest(dataset: Path, tmp_path: Path) -> None:
    model = Voter()
    task = make_task()
    task.build_all_requests(limit=None, rank=0, world_size=1)
    model.task_dict[task.task_name] = task.dataset
    cache = AnswerCache(tmp_path / "answers", "voter", {})
    answers = cache.execute(model, "generate_until", task.instances)
    assert model.asked.total() == len(answers) == 3 * 6 * VOTES
    assert cache.execute(model, "generate_until", task.instances) == answers
    assert model.asked.total() == 3 * 6 * VOTES
    more = make_task(metadata={"votes": VOTES + 2})
    more.build_all_requests(limit=None, rank=0, world_size=1)
    cache.execute(model, "generate_until", more.instances)
    assert model.asked.total() == 3 * 6 * (VOTES + 2)


def test_votes_at_temperature_zero_are_refused(dataset: Path) -> None:
    task = make_task(generation_kwargs={"temperature": 0, "until": []})
    with pytest.raises(ValueError, match=r"are all the same at temperature 0: set temperature"):
        task.build_all_requests(limit=1, rank=0, world_size=1)


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        ({"votes": 1}, "metadata.votes is 1: write a whole number of 2 or more"),
        ({"votes": "many"}, "metadata.votes is 'many'"),
        ({"thinking_tokens": 0}, "metadata.thinking_tokens is 0"),
        ({"thinking": "on"}, "metadata.thinking of .+ is 'on': write opened"),
    ],
)
def test_metadata_without_sense_is_refused(dataset: Path, metadata: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make_task(metadata=metadata)


def test_a_budget_for_thinking_is_added_and_its_end_is_an_outcome(dataset: Path) -> None:
    class Thinker(Voter):
        def generate_until(self, requests: list[Any]) -> list[str]:
            super().generate_until(requests)
            return ["<think>so</think>B" if number % 4 else "hm, A or" for number, _ in enumerate(requests)]

    model = Thinker()
    task = make_task(metadata={"thinking_tokens": 100, "thinking": "opened"})
    results = evaluated(model, [task])
    assert {settings["max_new_tokens"] for settings in model.settings} == {132}
    found = records(results)
    assert {record.thinking for record in found} == {"up to 100 tokens"}
    assert {record.unfinished for record in found} == {(1,) * 6}
    assert results["results"]["benchc-gen-votes_fog"]["unfinished_thinking,none"] == pytest.approx(0.25)


def texts(asked: Asked, *, takes_n: bool) -> Reply:
    """A server that writes B, A, B, A, ...; or that knows no log-probabilities and no `n`."""
    if not asked.is_question:
        return answer(asked)
    if "logprobs" in asked.body:
        return refusal(400, "logprobs are not supported by this model")
    number = asked.body.get("n", 1)
    if number > 1 and not takes_n:
        return refusal(400, "n must be 1")
    letters = ["B", "A", "B", "nothing"]
    choices = [
        {"index": place, "finish_reason": "stop", "message": {"role": "assistant", "content": letters[place % 4]}}
        for place in range(number)
    ]
    usage = {"prompt_tokens": 20, "completion_tokens": number}
    return Reply(body={"object": "chat.completion", "model": MODEL, "choices": choices, "usage": usage})


@pytest.mark.parametrize("takes_n", [True, False])
def test_a_server_without_log_probabilities_votes_by_n_or_by_requests(dataset: Path, takes_n: bool) -> None:
    with closing(OpenAIServer()) as server:
        server.behave = functools.partial(texts, takes_n=takes_n)
        model = BenchCModel(backend="openai", base_url=server.url, model=MODEL, max_retries=1)
        before = len(server.asked)
        found = records(evaluated(model, [make_task()], limit=2))
        asked = [each for each in server.asked[before:] if each.is_question]
    assert all("seed" not in each.body for each in asked)
    assert all(each.body["temperature"] == 1.0 for each in asked)
    if takes_n:
        assert [each.body["n"] for each in asked] == [VOTES] * 12
        assert {record.votes for record in found} == {((1, 2),) * 6} or all(
            votes is not None and votes[1] == 2 for record in found for votes in record.votes or ()
        )
        assert {record.unparsed for record in found} == {(1,) * 6}
    else:
        single = [each for each in asked if "n" not in each.body]
        assert len(single) == 12 * VOTES
        assert {record.unparsed for record in found} == {(0,) * 6}
    assert found[0].sampling is not None
    assert found[0].sampling.seed is None
    assert found[0].model == MODEL


def test_a_server_without_log_probabilities_still_says_so_where_options_are_scored(dataset: Path) -> None:
    with closing(OpenAIServer()) as server:
        server.behave = functools.partial(texts, takes_n=True)
        model = BenchCModel(backend="openai", base_url=server.url, model=MODEL, max_retries=1)
        with pytest.raises(Exception, match="gives no log-probabilities"):
            model.scorer  # noqa: B018
