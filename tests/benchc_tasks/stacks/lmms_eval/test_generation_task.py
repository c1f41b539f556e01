"""`GenerationTask` inside lmms-eval's own evaluator, with models that generate: lmms-eval's own, and computed ones."""

from __future__ import annotations

import functools
import json
from argparse import Namespace
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from lmms_eval.api.instance import GenerationResult
from lmms_eval.api.model import lmms
from lmms_eval.evaluator import simple_evaluate
from lmms_eval.models import get_model
from lmms_eval.protocol import ChatMessages
from lmms_eval.tasks import TaskManager
from lmms_eval.utils import Collator, load_yaml_config, make_table
from openai_server import Asked, OpenAIServer, Reply, refusal

from benchc_metrics.records import SampleRecord
from benchc_tasks.corruptions import CORRUPTIONS, ENGINE_VERSION
from benchc_tasks.datasets import write_dataset
from benchc_tasks.demonstration import DEMONSTRATION_MODEL
from benchc_tasks.stacks import common
from benchc_tasks.stacks.common import RAS_NOTICE, conditions_of
from benchc_tasks.stacks.lmms_eval.backends import find_backend
from benchc_tasks.stacks.lmms_eval.generation_task import GenerationTask
from benchc_tasks.stacks.lmms_eval.model import BenchCModel
from benchc_tasks.stacks.pictures import ConditionedPicture
from support import logged, rows_of_samples
from task_yamls import tasks_path

LETTERS = "ABCD"
WEATHER = ["benchc-gen_fog", "benchc-gen_snow", "benchc-gen_brightness"]


@pytest.fixture
def dataset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "data" / "samples.parquet"
    write_dataset(path, rows_of_samples(5))
    monkeypatch.setenv("BENCHC_DATASET", str(path))
    return path


@functools.cache
def task_manager() -> TaskManager:
    return TaskManager(include_path=str(tasks_path()), include_defaults=False)


def make_task(corruption: str = "fog", **settings: Any) -> GenerationTask:
    config = load_yaml_config(str(tasks_path() / f"benchc-gen_{corruption}.yaml"), mode="full")
    return GenerationTask(config={**config, **settings})


def evaluated(model: lmms, tasks: list[Any] | str = "benchc-gen_fog", **settings: Any) -> dict[str, Any]:
    results = simple_evaluate(
        model=model,
        tasks=[tasks] if isinstance(tasks, str) else tasks,
        task_manager=task_manager(),
        bootstrap_iters=0,
        log_samples=True,
        **settings,
    )
    assert results is not None
    return results


def letters_of(record: SampleRecord) -> tuple[str | None, ...]:
    return tuple(None if option is None else LETTERS[option] for option in record.predictions)


def records(results: dict[str, Any], task: str = "benchc-gen_fog") -> list[SampleRecord]:
    return [SampleRecord.from_json_dict(row["benchc"]) for row in results["samples"][task]]


def letter_of(picture: Any, options: int) -> str:
    """What the computed models answer: it depends on every pixel."""
    return LETTERS[int(np.asarray(picture, dtype=np.int64).sum()) % options]


class SimpleModel(lmms):
    """Batches as lmms-eval's simple models do: the first request's function and task are taken for all of a batch."""

    is_simple = True
    batch = 4

    def __init__(self, write: Callable[[str], Any] = str) -> None:
        super().__init__()
        self.asked = 0
        self.write = write

    def __repr__(self) -> str:
        # the response cache knows a model by its text
        return type(self).__name__

    def pictures(self, chunk: list[Any]) -> tuple[list[Any], list[Any]]:
        contexts, settings, doc_to_visual, doc_id, task, split = zip(*chunk, strict=True)
        assert all("Answer with the option's letter" in context for context in contexts)
        settings[0].pop("max_new_tokens", None)
        docs = [self.task_dict[task[0]][split[0]][ids] for ids in doc_id]
        return docs, [doc_to_visual[0](doc)[0] for doc in docs]

    def generate_until(self, requests: list[Any]) -> list[Any]:
        self.asked += len(requests)
        collator = Collator([request.args for request in requests], lambda x: (-len(x[0]), x[0]), grouping=True)
        answers = []
        for chunk in collator.get_batched(n=self.batch):
            for doc, picture in zip(*self.pictures(chunk), strict=True):
                answers.append(self.write(letter_of(picture, len(doc["options"]))))
        return collator.get_original(answers)

    def loglikelihood(self, requests: list[Any]) -> list[Any]:
        raise AssertionError("this model gives no log-likelihoods")

    generate_until_multi_round = loglikelihood


class ChatModel(SimpleModel):
    """The same for chat models, with lmms-eval's own reading of messages."""

    is_simple = False

    def pictures(self, chunk: list[Any]) -> tuple[list[Any], list[Any]]:
        contexts, doc_to_messages, settings, doc_id, task, split = zip(*chunk, strict=True)
        settings[0].pop("max_new_tokens", None)
        docs = [self.task_dict[task[0]][split[0]][ids] for ids in doc_id]
        pictures = []
        for context, doc in zip(contexts, docs, strict=True):
            messages = ChatMessages(messages=doc_to_messages[0](doc))
            (picture,), _, _ = messages.extract_media()
            (turn,) = messages.model_dump()["messages"]
            assert [part["type"] for part in turn["content"]] == ["image", "text"]
            assert turn["content"][1]["text"] == context
            pictures.append(picture)
        return docs, pictures

    def generate_until(self, requests: list[Any]) -> list[Any]:
        self.asked += len(requests)
        arguments = [request.args for request in requests]
        collator = Collator(arguments, lambda x: (x[0], x[0]), group_fn=lambda x: x[2], grouping=True)
        answers = []
        for chunk in collator.get_batched(n=self.batch):
            for doc, picture in zip(*self.pictures(chunk), strict=True):
                answers.append(GenerationResult(self.write(letter_of(picture, len(doc["options"])))))
        return collator.get_original(answers)


@pytest.mark.parametrize("model", [SimpleModel, ChatModel])
def test_a_model_that_batches_sees_each_sample_under_its_own_condition(dataset, model):
    results = evaluated(model(), WEATHER)
    for name in WEATHER:
        task = make_task(name.removeprefix("benchc-gen_"))
        for record, doc in zip(records(results, name), task.samples, strict=True):
            expected = [
                letter_of(ConditionedPicture("", doc["id"], condition)(doc)[0], len(doc["options"]))
                for condition in task.asked.conditions
            ]
            assert letters_of(record) == tuple(expected)
            assert (record.sample, record.option_count) == (doc["id"], len(doc["options"]))
            assert (record.engine, record.dataset) == (ENGINE_VERSION, task.samples.fingerprint)


def test_a_batch_over_two_datasets_is_refused_and_not_answered_wrongly(dataset, tmp_path):
    write_dataset(tmp_path / "other.parquet", rows_of_samples(5, seed=1))
    tasks = [make_task(), make_task("snow", dataset_path=str(tmp_path / "other.parquet"))]
    with pytest.raises(ValueError, match=r"two datasets into one batch: run their tasks one after the other"):
        evaluated(SimpleModel(), tasks)


def test_figures_are_those_of_the_predictions(dataset):
    results = evaluated(SimpleModel())
    found = records(results)
    predictions = np.array([[-1 if option is None else option for option in record.predictions] for record in found])
    right = np.array([record.answer for record in found])[:, np.newaxis] == predictions
    clean, corrupted = right[:, :1], right[:, 1:]
    expected = {
        "acc_clean": clean.mean(),
        "acc_corrupted": corrupted.mean(),
        "acc_drop": (clean.mean() - corrupted.mean()) / clean.mean(),
        "flip": (predictions[:, :1] != predictions[:, 1:]).mean(),
        "destroyed": (clean & ~corrupted).mean(),
        "corrected": (~clean & corrupted).mean(),
        "invalid_pairs": 0,
    }
    figures = results["results"]["benchc-gen_fog"]
    for name, value in expected.items():
        assert figures[f"{name},none"] == pytest.approx(value), name
    shares = [row["flip"] for row in results["samples"]["benchc-gen_fog"]]
    assert figures["flip_stderr_clt,none"] == pytest.approx(np.std(shares, ddof=1) / np.sqrt(len(shares)))


class UnsureModel(SimpleModel):
    """Names no option for some pictures of each task."""

    def generate_until(self, requests: list[Any]) -> list[Any]:
        answers = super().generate_until(requests)
        return [
            "I cannot tell." if (request.doc_id + request.idx) % 4 == 3 else answer
            for request, answer in zip(requests, answers, strict=True)
        ]


def test_a_group_s_figures_are_those_of_all_its_answers(dataset):
    results = evaluated(UnsureModel(), "benchc-gen")
    group = results["groups"]["benchc-gen"]
    found = [records(results, f"benchc-gen_{name}") for name in CORRUPTIONS]
    assert [record.predictions[0] for record in found[0]] == [record.predictions[0] for record in found[7]]
    accuracies, invalid = [], 0
    for of_sample in zip(*found, strict=True):
        clean = of_sample[0].predictions[0]
        corrupted = [prediction for record in of_sample for prediction in record.predictions[1:]]
        valid = [prediction for prediction in corrupted if None not in (clean, prediction)]
        invalid += len(corrupted) - len(valid)
        if valid:
            accuracies.append(np.mean([prediction == of_sample[0].answer for prediction in valid]))
    assert group["acc_corrupted,none"] == pytest.approx(np.mean(accuracies))
    assert group["invalid_pairs,none"] == invalid > 0
    assert group["ras,none"] == "not defined"


def test_what_names_no_option_is_counted_with_its_reason_and_not_guessed(dataset):
    failed = "[LMMS_EVAL_REQUEST_FAILED after 3 retries] Error code: 500 - Answer: A"
    written = {"A": "Answer: A or B", "B": failed, "C": "<think>It is C", "D": None}
    results = evaluated(ChatModel(written.get))
    assert results["results"]["benchc-gen_fog"]["invalid_pairs,none"] == 25
    assert np.isnan(results["results"]["benchc-gen_fog"]["acc_clean,none"])
    reasons = {reason for record in records(results) for reason in record.invalid.values()}
    assert reasons <= {
        "the answer names A and B",
        "the backend gave up on the request, lmms-eval's log says why: [LMMS_EVAL_REQUEST_FAILED after 3 retries]",
        "the answer ends within its reasoning: allow it more tokens",
        "the backend returned no text",
    }
    assert len(reasons) >= 3


@pytest.mark.parametrize("model", [SimpleModel, ChatModel])
def test_a_picture_that_cannot_be_decoded_is_an_invalid_sample_and_leaves_the_others_alone(tmp_path, dataset, model):
    expected = records(evaluated(model()))
    rows = rows_of_samples(5)
    rows[2]["image"] = rows[2]["image"][: len(rows[2]["image"]) // 2]
    write_dataset(tmp_path / "broken.parquet", rows)
    task = make_task(dataset_path=str(tmp_path / "broken.parquet"))
    with logged() as lines:
        results = evaluated(model(), [task])
    found = records(results)
    (broken,) = [record for record in found if record.invalid]
    assert broken.sample == rows[2]["id"]
    assert set(broken.invalid) == set(broken.conditions)
    assert len(set(broken.invalid.values())) == 1
    assert f"sample {broken.sample!r}: its image" in broken.invalid["clean"]
    assert sum("its answers count as invalid" in line for line in lines) == 1
    letters = {record.sample: record.predictions for record in expected}
    assert all(record.predictions == letters[record.sample] for record in found if record is not broken)
    assert results["results"]["benchc-gen_fog"]["invalid_pairs,none"] == 5


def test_the_results_say_that_ras_is_not_defined(dataset, tmp_path):
    common.say_that_ras_is_not_defined.cache_clear()
    with logged() as lines:
        results = evaluated(SimpleModel(), WEATHER)
    assert [line.strip() for line in lines].count(RAS_NOTICE) == 1
    for name in WEATHER:
        assert results["results"][name]["ras,none"] == "not defined"
        assert {row["ras"] for row in results["samples"][name]} == {"not defined"}
        assert {record.obtained for record in records(results, name)} == {"generated letters"}
    assert json.loads(json.dumps(results["results"]["benchc-gen_fog"]["ras,none"])) == "not defined"
    rows = [line for line in make_table(results).splitlines() if "|ras " in line]
    assert len(rows) == 3
    assert all("|not defined|" in row for row in rows)


def test_the_notice_is_that_of_rank_0_only(dataset, monkeypatch):
    common.say_that_ras_is_not_defined.cache_clear()
    monkeypatch.setenv("RANK", "1")
    try:
        with logged() as lines:
            make_task()
    finally:
        common.say_that_ras_is_not_defined.cache_clear()
    assert RAS_NOTICE not in [line.strip() for line in lines]


@pytest.mark.parametrize("model", [SimpleModel, ChatModel])
def test_the_response_cache_serves_the_same_answers_and_never_those_of_other_settings(dataset, tmp_path, model):
    cache = str(tmp_path / "cache")
    first, again, other = model(), model(), model()
    fresh = evaluated(first, use_cache=cache)
    cached = evaluated(again, use_cache=cache)
    evaluated(other, use_cache=cache, gen_kwargs="max_new_tokens=64")
    assert (first.asked, other.asked) == (30, 30)
    assert records(cached) == records(fresh)
    # lmms-eval's own cache finds nothing of a simple model that changes its settings; ours does.
    assert again.asked == 0 or not hasattr(TaskManager.initialize_tasks, "_benchc_task_folder")


def test_limit_counts_samples(dataset):
    results = evaluated(SimpleModel(), limit=2)
    assert [record.sample for record in records(results)] == ["sample-0", "sample-1"]


def test_requests_are_one_a_condition_with_settings_of_their_own(dataset):
    task = make_task()
    task.build_all_requests(limit=2, rank=0, world_size=1)
    assert [instance.idx for instance in task.instances] == [0, 1, 2, 3, 4, 5] * 2
    assert [instance.doc_id for instance in task.instances] == [0] * 6 + [1] * 6
    expected = {"max_new_tokens": 32, "temperature": 0.0, "do_sample": False}
    for instance in task.instances:
        context, for_chat, for_simple, doc_id, name, split = instance.args
        assert for_chat == for_simple == expected
        assert (int(doc_id), name, split) == (instance.doc_id, "benchc-gen_fog", "test")
        assert doc_id.condition == conditions_of("fog")[instance.idx]
        assert context.endswith("\nAnswer with the option's letter from the given choices directly.")
        for_chat["image_sizes"] = for_simple["top_p"] = None


def test_settings_of_a_run_reach_the_requests(dataset):
    task = make_task(generation_kwargs={"max_new_tokens": 4096, "temperature": 0, "until": ["\n\n"]})
    task.build_all_requests(limit=1, rank=0, world_size=1)
    assert task.instances[0].args[1] == {"max_new_tokens": 4096, "temperature": 0, "until": ["\n\n"]}
    task.instances[0].args[1]["until"].clear()
    assert task.instances[0].args[2]["until"] == task.instances[1].args[1]["until"] == ["\n\n"]


def test_tags_of_reasoning_come_from_the_command_line_too(dataset):
    task = make_task()
    doc = task.samples[0]
    answers = [{"text": "<plan>The answer is A.</plan>The answer is B."}] * 6
    assert task.process_results(doc, answers)["benchc"]["predictions"] == [None] * 6
    task.args = Namespace(model="openai", reasoning_tags='[["<plan>", "</plan>"]]')
    assert task.process_results(doc, answers)["benchc"]["predictions"] == [1] * 6


def test_what_cannot_be_asked_is_refused_in_one_sentence(dataset):
    with pytest.raises(ValueError, match=r"^benchc-gen_fog asks each question once: leave --repeats out$"):
        evaluated(SimpleModel(), repeats=6)
    with pytest.raises(ValueError, match=r"^--cache_requests cannot store .*benchc-gen_fog.*: leave it out$"):
        make_task().build_all_requests(limit=None, rank=0, world_size=1, cache_requests=True)
    with pytest.raises(ValueError, match=r"^sample 'sample-0' has 5 answers for its 6 conditions$"):
        make_task().process_results(make_task().samples[0], [{"text": "A"}] * 5)


def test_the_configuration_tells_what_answers_depend_on(dataset):
    configuration = make_task().dump_config()
    assert configuration["metadata"] == {
        **configuration["metadata"],
        "corruption": "fog",
        "dataset": make_task().samples.fingerprint,
        "demonstration": False,
        "engine": ENGINE_VERSION,
    }
    assert configuration["generation_kwargs"]["max_new_tokens"] == 32


def test_names_are_matched_as_the_docs_say():
    alone = sorted(f"benchc-gen_{name}" for name in CORRUPTIONS)
    assert task_manager().match_tasks(["benchc-gen_*"]) == alone
    votes = ["benchc-gen-votes", *sorted(f"benchc-gen-votes_{name}" for name in CORRUPTIONS)]
    others = {"benchc-gen", "benchc-gen-control", "benchc-gen-lite", *votes}
    assert set(task_manager().match_tasks(["benchc-gen*"])) == {*alone, *others}
    assert task_manager().match_tasks(["benchc_*"]) == sorted(f"benchc_{name}" for name in CORRUPTIONS)
    for group in ("benchc", "benchc-noise", "benchc-blur", "benchc-weather", "benchc-digital", "benchc-gen"):
        assert task_manager().match_tasks([group]) == [group]


def test_the_group_is_all_corruptions_and_each_task_asks_in_the_words_of_choice_scoring():
    def definition(name: str) -> dict[str, Any]:
        return yaml.load((tasks_path() / name).read_text(encoding="utf-8"), Loader=yaml.BaseLoader)

    assert definition("benchc-gen.yaml")["task"] == [f"benchc-gen_{name}" for name in CORRUPTIONS]
    for name in CORRUPTIONS:
        chosen, generated = definition(f"benchc_{name}.yaml"), definition(f"benchc-gen_{name}.yaml")
        assert (generated["metadata"], generated["task_alias"]) == (chosen["metadata"], chosen["task_alias"])
        assert generated["task"] == f"benchc-gen_{name}"
    words = "lmms_eval_specific_kwargs"
    assert definition("_benchc-gen_template_yaml")[words] == definition("_benchc_template_yaml")[words]


def test_lmms_eval_s_own_api_model_sends_the_prompt_and_the_picture_of_each_condition(dataset):
    """`--model openai` against a server on loopback, which answers by the pixels that reach it and fails once."""
    task = make_task()
    failing = "What colour is shape 4?"

    def behave(asked: Asked) -> Reply:
        if failing in asked.text:
            return refusal(500, "a key that the server says aloud: sk-secret")
        options = sum(line[1:3] == ". " for line in asked.text.splitlines())
        message = {"role": "assistant", "content": f"The answer is ({letter_of(asked.pixels, options)})."}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        return Reply(body={"id": "1", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice]})

    with closing(OpenAIServer()) as server:
        server.behave = behave
        model = get_model("openai")(
            model="m", base_url=server.url, api_key="sk-secret", max_retries=1, httpx_trust_env=False, num_concurrent=4
        )
        # httpx's own retries would wait between them
        model.client = model.client.with_options(max_retries=0)
        results = evaluated(model)
    found = records(results)
    for record, doc in zip(found[:4], task.samples, strict=False):
        pictures = [ConditionedPicture("", doc["id"], condition)(doc)[0] for condition in task.asked.conditions]
        assert letters_of(record) == tuple(letter_of(picture, len(doc["options"])) for picture in pictures)
    assert found[4].predictions == (None,) * 6
    assert results["results"]["benchc-gen_fog"]["invalid_pairs,none"] == 5
    assert "sk-secret" not in json.dumps([record.to_json_dict() for record in found])
    for asked in server.questions:
        assert {name: asked.body[name] for name in ("max_tokens", "temperature", "model")} == {
            "max_tokens": 32,
            "temperature": 0,
            "model": "m",
        }


SAMPLES = 6


@pytest.fixture(scope="module")
def chosen() -> list[tuple[int, ...]]:
    """Return what choice scoring predicts for the bundled samples and model."""
    results = evaluated(BenchCModel(device="cpu"), "benchc_fog", limit=SAMPLES)
    found = [SampleRecord.from_json_dict(row["benchc"]) for row in results["samples"]["benchc_fog"]]
    return [tuple(int(np.argmax(options)) for options in record.log_likelihoods) for record in found]


@pytest.mark.parametrize("force_simple", [False, True], ids=["chat", "simple"])
def test_lmms_eval_s_own_model_generates_the_letters_that_choice_scoring_prefers(chosen, monkeypatch, force_simple):
    """The bundled checkpoint, in `--model llava_hf`, answers with a letter: both ways must agree."""
    monkeypatch.delenv("BENCHC_DATASET", raising=False)
    backend = find_backend("llava_hf")
    model = get_model("llava_hf", force_simple)(pretrained=str(DEMONSTRATION_MODEL), device="cpu", device_map="cpu")
    assert (model.is_simple, isinstance(model, backend)) == (force_simple, not force_simple)
    found = records(evaluated(model, limit=SAMPLES))
    assert [record.predictions for record in found] == chosen
    assert {answer for record in found for answer in record.texts} <= set(LETTERS)
