"""`BenchCTask` inside lmms-eval's own evaluator, with answers that the test computes."""

from __future__ import annotations

import argparse
import functools
import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from lmms_eval.api.model import lmms
from lmms_eval.evaluator import simple_evaluate
from lmms_eval.tasks import TaskManager
from lmms_eval.utils import load_yaml_config
from scipy.special import softmax

from benchc_metrics.benchmark import STANDARD_PROMPT
from benchc_metrics.designs import lite_conditions
from benchc_metrics.metrics.calibration import expected_calibration_error
from benchc_metrics.metrics.ras import DEFAULT_READING, READINGS
from benchc_metrics.metrics.sums import metrics_of_run
from benchc_metrics.records import SampleRecord
from benchc_metrics.runs import read_run, run_of_records
from benchc_tasks.corruptions import CORRUPTIONS, ENGINE_VERSION, Picture, corruption, unregister
from benchc_tasks.datasets import DatasetError, decode_image, write_dataset
from benchc_tasks.stacks import common
from benchc_tasks.stacks.answer_store import Row
from benchc_tasks.stacks.common import AnsweringModel, conditions_of
from benchc_tasks.stacks.lmms_eval.documents import DocsOfModel
from benchc_tasks.stacks.lmms_eval.requests import task_configurations
from benchc_tasks.stacks.lmms_eval.task import LOST_ANSWERS, BenchCTask
from benchc_tasks.stacks.lmms_eval.task import _warn_of_lost_answers as lost_answers
from benchc_tasks.stacks.pictures import ConditionedPicture
from support import encoded, logged, rows_of_samples
from task_yamls import tasks_path

INSTRUCTION = "\nAnswer with the option's letter from the given choices directly."


@pytest.fixture
def dataset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "data" / "samples.parquet"
    write_dataset(path, rows_of_samples(5))
    monkeypatch.setenv("BENCHC_DATASET", str(path))
    return path


def make_task(corruption: str = "fog", **settings: Any) -> BenchCTask:
    config = load_yaml_config(str(tasks_path() / f"benchc_{corruption}.yaml"), mode="full")
    return BenchCTask(config={**config, **settings})


def built(task: BenchCTask) -> BenchCTask:
    task.build_all_requests(limit=None, rank=0, world_size=1)
    return task


class PixelBackend(lmms):
    """A backend whose answers are a simple function of the picture, so that a test can compute them too."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = 0

    def __repr__(self) -> str:
        # lmms-eval's response cache knows a model by its text
        return type(self).__name__

    @staticmethod
    def log_likelihoods(picture: Any, options: int) -> np.ndarray:
        scores = np.asarray(picture, dtype=np.float64).mean(axis=(0, 1)).repeat(9)[:: 27 // max(options, 1)][:options]
        scores = scores * np.arange(1, options + 1) / 64
        return scores - np.log(np.exp(scores).sum())

    def answer(self, log_likelihood: float) -> Any:
        return (float(log_likelihood), True)

    def loglikelihood(self, requests: list[Any]) -> list[Any]:
        self.asked += len(requests)
        answers = []
        for request in requests:
            _, letter, visual, doc_id, task, split = request.args
            doc = self.task_dict[task][split][doc_id]
            (picture,) = visual(doc)
            answers.append(self.answer(self.log_likelihoods(picture, len(doc["options"]))["ABCD".index(letter)]))
        return answers

    def generate_until(self, requests: list[Any]) -> list[str]:
        raise AssertionError("Bench-C asks for no generation")

    generate_until_multi_round = generate_until


class MeanLossBackend(PixelBackend):
    """Returns what lmms-eval's llava, qwen_vl and others return: the mean loss over the continuation, and a bool."""

    def answer(self, log_likelihood: float) -> Any:
        return (float(-log_likelihood), True)


class NanBackend(PixelBackend):
    """Fails on one request of a run, as a model in half precision may."""

    def loglikelihood(self, requests: list[Any]) -> list[Any]:
        answers = super().loglikelihood(requests)
        answers[2] = (float("nan"), False)
        return answers


@functools.cache
def task_manager() -> TaskManager:
    return TaskManager(include_path=str(tasks_path()), include_defaults=False)


def evaluated(backend: lmms, tasks: str = "benchc_fog", **settings: Any) -> dict[str, Any]:
    results = simple_evaluate(
        model=backend, tasks=[tasks], task_manager=task_manager(), bootstrap_iters=0, log_samples=True, **settings
    )
    assert results is not None
    return results


def test_a_doc_becomes_one_request_for_each_condition_and_option(dataset):
    task = built(make_task())
    of_first = [instance for instance in task.instances if instance.doc_id == 0]
    assert len(of_first) == 6 * 2
    assert [instance.idx for instance in of_first] == list(range(12))
    assert [instance.args[1] for instance in of_first] == ["A", "B"] * 6
    conditions = [str(instance.args[2].condition) for instance in of_first[::2]]
    assert conditions == ["clean", "fog@1", "fog@2", "fog@3", "fog@4", "fog@5"]
    assert of_first[0].args[0] == f"What colour is shape 0?\nA. red\nB. blue{INSTRUCTION}"


def test_the_picture_of_a_condition_is_the_corrupted_image_whoever_asks(dataset):
    task = built(make_task("gaussian_noise"))
    doc = task.dataset["test"][1]
    clean, *corrupted = [
        ConditionedPicture(task.samples.fingerprint, doc["id"], condition)(doc)[0]
        for condition in conditions_of("gaussian_noise")
    ]
    assert np.array_equal(clean, decode_image(doc["image"], sample=doc["id"]))
    strength = [np.abs(np.asarray(image, float) - np.asarray(clean, float)).mean() for image in corrupted]
    assert strength == sorted(strength)
    assert strength[0] > 1
    other = ConditionedPicture(task.samples.fingerprint, "another id", conditions_of("gaussian_noise")[1])(doc)[0]
    assert not np.array_equal(other, corrupted[0])


def test_figures_and_record_are_those_of_the_answers(dataset):
    results = evaluated(PixelBackend())
    samples = results["samples"]["benchc_fog"]
    assert [SampleRecord.from_json_dict(row["benchc"]).sample for row in samples] == [f"sample-{i}" for i in range(5)]
    task = make_task()
    for row, doc in zip(samples, task.dataset["test"], strict=True):
        record = SampleRecord.from_json_dict(row["benchc"])
        for condition, found in zip(task.asked.conditions, record.log_likelihoods, strict=True):
            (picture,) = ConditionedPicture(task.samples.fingerprint, doc["id"], condition)(doc)
            assert found == pytest.approx(PixelBackend.log_likelihoods(picture, len(doc["options"])))
        assert (record.engine, record.dataset) == (ENGINE_VERSION, task.samples.fingerprint)
        assert record.prompt == "{question}\nA. {option}" + INSTRUCTION
    figures = results["results"]["benchc_fog"]
    right = [np.argmax(row["benchc"]["log_likelihoods"][0]) == row["benchc"]["answer"] for row in samples]
    assert figures["acc_clean,none"] == pytest.approx(np.mean(right))
    accuracy = figures["acc_clean,none"]
    parts = [(accuracy, figures["ras_destructive,none"]), (1 - accuracy, figures["ras_corrective,none"])]
    assert figures["ras,none"] == pytest.approx(sum(share * part for share, part in parts if share > 0))
    assert figures["length_normalised,none"] == 0


def test_mean_losses_give_the_same_figures_and_are_marked(dataset):
    summed, losses = evaluated(PixelBackend()), evaluated(MeanLossBackend())
    for name, value in summed["results"]["benchc_fog"].items():
        if name.endswith(",none") and "stderr" not in name and name not in {"benchc,none", "length_normalised,none"}:
            assert losses["results"]["benchc_fog"][name] == pytest.approx(value, nan_ok=True), name
    assert losses["results"]["benchc_fog"]["length_normalised,none"] == 1.0
    assert all(row["benchc"]["obtained"] == "mean losses" for row in losses["samples"]["benchc_fog"])


def test_one_bad_answer_is_an_invalid_pair_that_is_counted(dataset):
    results = evaluated(NanBackend())
    assert results["results"]["benchc_fog"]["invalid_pairs,none"] == 1
    (reason,) = results["samples"]["benchc_fog"][0]["benchc"]["invalid"].items()
    assert reason[0] == "fog@1"
    assert "nan" in reason[1]


def test_a_group_pools_its_answers_for_the_calibration_error(dataset):
    results = evaluated(PixelBackend(), "benchc-weather")["results"]
    names = ("snow", "frost", "fog", "brightness", "spatter")
    group, tasks = results["benchc-weather"], [results[f"benchc_{name}"] for name in names]
    records = [record for task in tasks for of_task in task["ece_corrupted,none"].tasks for record in of_task]
    distributions = [softmax(row) for record in records for row in record.log_likelihoods[1:]]
    right = [p.argmax() == record.answer for record in records for p in map(np.array, record.log_likelihoods[1:])]
    pooled = expected_calibration_error([p.max() for p in distributions], right)
    assert group["ece_corrupted,none"] == pytest.approx(pooled, abs=1e-12)
    assert len(distributions) == 5 * 5 * 5
    assert group["ras,none"] == pytest.approx(np.mean([task["ras,none"] for task in tasks]))
    assert group["ece_clean,none"] == pytest.approx(tasks[0]["ece_clean,none"])


def test_limit_counts_samples(dataset):
    assert len(evaluated(PixelBackend(), limit=2)["samples"]["benchc_fog"]) == 2


def cached_answers(cache: Path) -> int:
    lines = [line for log in cache.glob("answers-*/answers.log") for line in log.read_bytes().splitlines()]
    return sum(len(json.loads(row.responses)) for line in lines if (row := Row.from_line(line)) is not None)


def test_the_response_cache_serves_the_same_data_and_never_other_data(dataset, tmp_path):
    cache = tmp_path / "cache"
    first, again = PixelBackend(), PixelBackend()
    fresh = evaluated(first, use_cache=str(cache))["results"]["benchc_fog"]
    cached = evaluated(again, use_cache=str(cache))["results"]["benchc_fog"]
    number = first.asked
    assert number > 0
    assert again.asked == 0
    assert cached_answers(cache) == number
    for name in ("ras,none", "nll_corrupted,none", "ece_corrupted,none"):
        assert cached[name] == fresh[name]

    rows = rows_of_samples(5)
    pixels = np.array(decode_image(rows[3]["image"], sample="sample-3"))
    pixels[20, 20, 0] ^= 1
    rows[3]["image"] = encoded(pixels)
    write_dataset(dataset, rows)
    changed = PixelBackend()
    evaluated(changed, use_cache=str(cache))
    assert changed.asked == number
    assert cached_answers(cache) == 2 * number


def test_requests_that_lmms_eval_would_keep_without_their_pictures_are_refused(dataset):
    with pytest.raises(ValueError, match=r"^--cache_requests cannot store .* benchc_fog, .*: leave it out$"):
        make_task().build_all_requests(limit=None, rank=0, world_size=1, cache_requests=True)


def test_the_configuration_tells_what_answers_depend_on(dataset):
    metadata = make_task().dump_config()["metadata"]
    assert metadata["engine"] == ENGINE_VERSION
    assert metadata["demonstration"] is False
    assert metadata["dataset"] == make_task().samples.fingerprint
    assert metadata["corruption"] == "fog"


def test_dataset_path_wins_over_the_environment(dataset, tmp_path):
    write_dataset(tmp_path / "other.parquet", rows_of_samples(2, seed=1))
    assert len(make_task(dataset_path=str(tmp_path / "other.parquet")).samples) == 2
    assert len(make_task().samples) == 5


def test_letters_taken_off_the_options_are_told(dataset, tmp_path):
    rows = [{**row, "options": [f"{letter}. {text}" for letter, text in zip("ABCD", row["options"], strict=False)]}
            for row in rows_of_samples(3)]  # fmt: skip
    write_dataset(tmp_path / "lettered.parquet", rows)
    with logged() as lines:
        task = make_task(dataset_path=str(tmp_path / "lettered.parquet"))
    assert task.samples[0]["options"] == ["red", "blue"]
    assert [line for line in lines if "already had letters" in line] == [
        f"{tmp_path}/lettered.parquet: the options of 3 samples already had letters; they were removed, "
        "because the prompt adds them"
    ]


def test_without_a_name_it_is_the_bundled_set(monkeypatch):
    monkeypatch.delenv("BENCHC_DATASET", raising=False)
    task = make_task()
    assert task.samples.is_demonstration
    assert task.dump_config()["metadata"]["demonstration"] is True


def test_faults_are_told_at_once_in_one_sentence(dataset, monkeypatch):
    with pytest.raises(ValueError, match=r"metadata\.corruption is 'rain', which is none of gaussian_noise"):
        make_task(metadata={"corruption": "rain"})
    with pytest.raises(ValueError, match="benchc takes only split"):
        make_task(dataset_kwargs={"token": True})
    monkeypatch.setenv("BENCHC_DATASET", str(dataset.parent / "missing.parquet"))
    with pytest.raises(DatasetError, match="does not exist"):
        make_task()


def test_a_missing_answer_is_an_error_that_names_the_sample(dataset):
    task = make_task()
    doc = task.dataset["test"][0]
    with pytest.raises(ValueError, match="sample-0"):
        task.process_results(doc, [[-0.5, True]] * 11)


def test_prompt_settings_of_a_yaml_reach_the_requests(dataset):
    task = built(
        make_task(lmms_eval_specific_kwargs={"default": {"pre_prompt": "Look.\n", "post_prompt": "\nLetter:"}})
    )
    assert task.instances[0].args[0] == "Look.\nWhat colour is shape 0?\nA. red\nB. blue\nLetter:"


def test_every_definition_names_a_corruption_and_the_groups_are_the_categories():
    matched = task_manager().match_tasks(["benchc_*"])
    assert len(matched) == len(set(matched)) == 19
    groups = {
        path.stem: yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.BaseLoader)["task"]
        for path in tasks_path().glob("benchc*.yaml")
        if not path.stem.startswith(("benchc_", "benchc-gen", "benchc-control", "benchc-lite"))
    }
    assert groups.pop("benchc") == [f"benchc_{name}" for name in CORRUPTIONS]
    categories = {corruption.category for corruption in CORRUPTIONS.values()}
    assert groups == {
        f"benchc-{category}": [
            f"benchc_{name}" for name, corruption in CORRUPTIONS.items() if corruption.category == category
        ]
        for category in categories
    }


@pytest.fixture
def posterize():
    @corruption("digital", levels=(32, 16, 8, 4, 2))
    def posterize(picture: Picture, levels: int) -> np.ndarray:
        step = 256 // levels
        return picture.pixels // step * step

    yield posterize
    unregister("posterize")


def test_a_twentieth_corruption_runs_through_a_task(dataset, posterize):
    backend = PixelBackend()
    task = make_task(task="benchc_posterize", metadata={"version": 1.0, "corruption": "posterize"})
    results = simple_evaluate(model=backend, tasks=[task], bootstrap_iters=0, log_samples=True)
    assert results is not None
    record = SampleRecord.from_json_dict(results["samples"]["benchc_posterize"][0]["benchc"])
    assert record.conditions == ("clean", *(f"posterize@{severity}" for severity in range(1, 6)))
    assert record.log_likelihoods[0] != record.log_likelihoods[5]


def contexts_of(results):
    records = [SampleRecord.from_json_dict(row["benchc"]) for row in results["samples"]["benchc_fog"]]
    return {(record.prompt, record.context) for record in records}


def test_the_context_that_was_sent_is_recorded(dataset):
    ((plain, fingerprint),) = contexts_of(evaluated(PixelBackend()))
    assert plain == STANDARD_PROMPT
    described = make_task(description="Look closely. ")
    backend = PixelBackend()
    results = simple_evaluate(model=backend, tasks=[described], bootstrap_iters=0, log_samples=True)
    ((prompt, other),) = contexts_of(results)
    assert prompt == f"Look closely. {STANDARD_PROMPT}"
    assert other != fingerprint
    assert all(request.args[0].startswith("Look closely. What colour") for request in described.instances)


def test_what_a_subclass_asks_is_recorded_not_what_we_would_have_asked(dataset):
    class Shouting(BenchCTask):
        def doc_to_text(self, doc):
            return super().doc_to_text(doc).upper()

    task = Shouting(config=load_yaml_config(str(tasks_path() / "benchc_fog.yaml"), mode="full"))
    results = simple_evaluate(model=PixelBackend(), tasks=[task], bootstrap_iters=0, log_samples=True, limit=1)
    ((prompt, _),) = contexts_of(results)
    assert prompt.startswith("WHAT COLOUR IS SHAPE 0?")


def test_a_long_prompt_is_recorded_by_its_hash(dataset):
    results = simple_evaluate(
        model=PixelBackend(), tasks=[make_task(description="very " * 300)], bootstrap_iters=0, log_samples=True
    )
    ((prompt, _),) = contexts_of(results)
    assert re.fullmatch("sha256:[0-9a-f]{64}", prompt)


def test_the_system_text_and_chat_settings_of_the_model_are_recorded(dataset):
    found = {}
    for system, settings in [(None, None), ("Always answer D.", None), (None, {"enable_thinking": False})]:
        backend = PixelBackend()
        backend.task_dict = DocsOfModel(AnsweringModel("lab/served", system, settings))
        results = evaluated(backend)
        (found[system, str(settings)],) = contexts_of(results)
        assert {row["benchc"]["model"] for row in results["samples"]["benchc_fog"]} == {"lab/served"}
    prompts = [prompt for prompt, _ in found.values()]
    assert prompts == [STANDARD_PROMPT, f"[system] Always answer D.\n{STANDARD_PROMPT}", STANDARD_PROMPT]
    assert len({fingerprint for _, fingerprint in found.values()}) == 3


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"system_instruction": "Always answer D."}, "--system_instruction would be added .* system_prompt=..., or as"),
        ({"apply_chat_template": True}, "--apply_chat_template is not for benchc_fog: .*; leave it out"),
    ],
)
def test_texts_that_lmms_eval_would_glue_on_are_refused_with_the_cure(dataset, settings, sentence):
    with pytest.raises(ValueError, match=sentence):
        make_task().build_all_requests(limit=1, rank=0, world_size=1, **settings)


def test_examples_and_templates_are_refused_in_one_sentence(dataset):
    with pytest.raises(ValueError, match=r"^num_fewshot is 1, but benchc_fog is asked without examples: set it to 0$"):
        make_task(num_fewshot=1)
    with pytest.raises(ValueError, match="description is a template, but benchc takes plain text"):
        make_task(description="{{question}}").build_all_requests(limit=1, rank=0, world_size=1)


def test_cautions_are_logged_once_at_the_end_and_named_in_the_results(dataset):
    class Blind(PixelBackend):
        def loglikelihood(self, requests):
            return [(-1.0 - 0.5 * "ABCD".index(request.args[1]), False) for request in requests]

    tasks = [make_task(), make_task(task="benchc_snow", metadata={"version": 1.0, "corruption": "snow"})]
    with logged() as lines:
        results = simple_evaluate(model=Blind(), tasks=tasks, bootstrap_iters=0, log_samples=True)
    cautions = [line for line in lines if "CAUTION" in line]
    assert [line.split("): ")[0] for line in cautions] == ["benchc: CAUTION, doubt this run (blind"]
    for task in ("benchc_fog", "benchc_snow"):
        assert results["results"][task]["benchc,none"] == ["blind"]
    with logged() as lines:
        honest = evaluated(PixelBackend())
    assert not [line for line in lines if "CAUTION" in line]
    assert honest["results"]["benchc_fog"]["benchc,none"] == []


def test_a_run_without_a_usable_response_says_so_at_the_end(dataset):
    class Mute(PixelBackend):
        def loglikelihood(self, requests):
            return [(float("nan"), False)] * len(requests)

    with logged("ERROR") as lines:
        results = simple_evaluate(model=Mute(), tasks=[make_task()], bootstrap_iters=0, log_samples=True)
    (line,) = [line for line in lines if "CAUTION" in line]
    assert "does not count as complete (invalid): Only 0 of 30 responses can be used; the first reason is: " in line
    assert results["results"]["benchc_fog"]["benchc,none"] == ["invalid"]


def test_a_corruption_of_another_module_runs_through_a_task_as_the_page_says(dataset, tmp_path):
    """The page's own lines: its function in a file, and its commands as a user runs them."""
    page = (Path(__file__).parents[4] / "docs" / "corruptions.md").read_text(encoding="utf-8")
    section = page[page.index("## Adding a corruption") :].split("\n### ")[0]
    (function,) = re.findall(r"```python\n(.*?)```", section, re.DOTALL)
    (commands,) = re.findall(r"```bash\n(.*?)\n```", section, re.DOTALL)
    (tmp_path / "my_corruptions.py").write_text(function)
    folders = [Path(__file__).parents[4], *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
    done = subprocess.run(
        ["bash", "-c", f"{commands} --limit 2 --output_path runs --log_samples"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, folders))},
        capture_output=True,
        text=True,
        timeout=300,
    )
    (log,) = (tmp_path / "runs").rglob("*_samples_my_posterize.jsonl")
    record = SampleRecord.from_json_dict(json.loads(log.read_text().splitlines()[0])["benchc"])
    assert record.conditions == ("clean", *(f"posterize@{severity}" for severity in range(1, 6))), done.stderr
    assert not record.invalid
    assert read_run(log.parent).corruptions == ("posterize",)


def test_a_module_that_cannot_be_imported_and_a_corruption_of_no_module_are_told():
    with pytest.raises(ValueError, match=r"metadata.module 'no_such_module' cannot be imported .*: name a module that"):
        conditions_of("posterize", "no_such_module")
    with pytest.raises(ValueError, match=r"or name the module that registers it with metadata\.module"):
        conditions_of("posterize")


def test_entry_points_bring_corruptions(monkeypatch):
    class Entry:
        def load(self):
            @corruption("digital", levels=(32, 16, 8, 4, 2))
            def posterize(picture: Picture, levels: int) -> np.ndarray:
                return picture.pixels // (256 // levels) * (256 // levels)

    monkeypatch.setattr(common, "entry_points", lambda group: [Entry()] if group == "benchc.corruptions" else [])
    try:
        assert [str(condition) for condition in conditions_of("posterize")][:2] == ["clean", "posterize@1"]
    finally:
        unregister("posterize")


def test_the_reading_of_ras_is_taken_from_the_metadata(dataset):
    def evaluated_with(reading):
        metadata = {"corruption": "fog"} | ({"ras_reading": reading} if reading else {})
        results = simple_evaluate(
            model=PixelBackend(), tasks=[make_task(metadata=metadata)], bootstrap_iters=0, log_samples=True
        )
        records = [SampleRecord.from_json_dict(row["benchc"]) for row in results["samples"]["benchc_fog"]]
        said = results["configs"]["benchc_fog"]["metadata"]
        assert (said["ras_version"], said["ras_reading"]) == (2, reading or "brier")
        return results["results"]["benchc_fog"]["ras,none"], run_of_records("fog", {"benchc_fog": records})

    found = {reading: evaluated_with(reading) for reading in (None, *READINGS)}
    for reading, (value, run) in found.items():
        assert value == pytest.approx(metrics_of_run(run, reading or DEFAULT_READING)["ras"], abs=1e-12)
    assert len({value for value, _ in found.values()}) == len(READINGS)
    with pytest.raises(ValueError, match=r"metadata\.ras_reading is 'luck', which is none of brier, probability"):
        make_task(metadata={"corruption": "fog", "ras_reading": "luck"})


def test_the_reading_of_ras_asks_no_question_again(dataset):
    first, second = (
        make_task(metadata={"corruption": "fog", "ras_reading": reading}) for reading in ("brier", "certainty")
    )
    assert task_configurations({"fog": first}) == task_configurations({"fog": second})
    assert task_configurations({"fog": first}) != task_configurations({"fog": make_task("snow")})


def make_lite_task(**metadata: Any) -> BenchCTask:
    config = load_yaml_config(str(tasks_path() / "benchc-lite.yaml"), mode="full")
    return BenchCTask(config={**config, "metadata": {**config["metadata"], **metadata}})


def test_a_lite_task_asks_each_sample_by_its_id(dataset):
    task = built(make_lite_task())
    asked: dict[str, list[Any]] = {}
    for instance in task.instances:
        if instance.args[1] == "A":
            asked.setdefault(instance.args[2].sample, []).append(instance.args[2].condition)
    assert {sample: tuple(conditions) for sample, conditions in asked.items()} == {
        doc["id"]: lite_conditions(doc["id"]) for doc in task.samples
    }
    assert len(set(map(tuple, asked.values()))) == 5


def test_the_record_of_a_lite_task_says_its_design(dataset):
    results = evaluated(PixelBackend(), "benchc-lite")
    logged_records = [SampleRecord.from_json_dict(row["benchc"]) for row in results["samples"]["benchc-lite"]]
    assert {record.design for record in logged_records} == {"lite"}
    assert {len(record.conditions) for record in logged_records} == {20}
    run = run_of_records("lite", {"benchc-lite": logged_records})
    assert run.metadata.design == "lite"
    assert results["results"]["benchc-lite"]["ras,none"] == metrics_of_run(run)["ras"]
    assert results["results"]["benchc-lite"]["invalid_pairs,none"] == 0


@pytest.mark.parametrize(
    ("metadata", "conditions", "design"),
    [({"conditions_per_sample": 10}, 11, "lite-10"), ({"conditions_per_sample": 95}, 96, None)],
)
def test_a_lite_task_takes_a_number_of_conditions(dataset, metadata, conditions, design):
    task = make_lite_task(**metadata)
    assert (len(task.conditions_of(task.samples[0])), task.asked.design) == (conditions, design)


@pytest.mark.parametrize(
    ("metadata", "fault"),
    [
        ({"conditions_per_sample": 0}, "metadata.conditions_per_sample is 0: give a number from 1 to 95"),
        ({"design": "light"}, "metadata.design is 'light': write lite"),
        ({"corruption": "fog"}, "metadata has a corruption and a design: leave one of them out"),
    ],
)
def test_a_wrong_design_is_refused(dataset, metadata, fault):
    with pytest.raises(ValueError, match=re.escape(fault)):
        make_lite_task(**metadata)


def test_a_number_of_conditions_without_a_design_is_refused(dataset):
    with pytest.raises(ValueError, match=r"conditions_per_sample needs a design: write metadata\.design: lite"):
        make_task(metadata={"corruption": "fog", "conditions_per_sample": 10})


def test_a_misspelt_option_of_a_task_is_refused_and_a_note_is_not():
    with pytest.raises(
        ValueError, match=r"^metadata of benchc_fog has 'ras_readng': write ras_reading, or use another"
    ):
        make_task(metadata={"corruption": "fog", "ras_readng": "brier"})
    assert make_task(metadata={"corruption": "fog", "author": "me"}).config.metadata["author"] == "me"


def test_answers_that_would_be_lost_are_warned_of_before_the_model_is_asked(dataset):
    lost_answers.cache_clear()
    for log_samples in (True, False):
        task = make_task()
        task.args = argparse.Namespace(log_samples=log_samples, output_path=None)
        with logged() as lines:
            built(task)
        assert any(LOST_ANSWERS in line for line in lines) is not log_samples
