"""The tasks, groups and the model `benchc` in lm-evaluation-harness itself."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

if not os.environ.get("BENCHC_REQUIRE_STACKS"):
    pytest.importorskip("lm_eval")

from lm_eval import evaluator
from lm_eval.tasks import TaskManager
from lm_eval.tasks._yaml_loader import load_yaml

from benchc_metrics.metrics.pairs import PairValues
from benchc_metrics.metrics.registry import METRICS
from benchc_metrics.metrics.sums import MetricSums
from benchc_metrics.records import SampleRecord
from benchc_metrics.runs import run_of_records
from benchc_tasks.datasets import write_dataset
from benchc_tasks.demonstration import DEMONSTRATION_MODEL
from benchc_tasks.models.choice import TransformersChoiceScorer
from benchc_tasks.models.prefixes import PrefixSharingScorer
from benchc_tasks.stacks import pictures
from benchc_tasks.stacks.lm_eval.task_files import task_file, task_files, tasks_folder
from support import rows_of_samples

MODEL = {"pretrained": str(DEMONSTRATION_MODEL)}


@pytest.fixture(autouse=True)
def _without_description_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """The harness asks the machine for seconds what it is."""
    monkeypatch.setattr(evaluator, "add_env_info", lambda results: None)


@pytest.fixture
def dataset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "samples.parquet"
    write_dataset(path, rows_of_samples(2))
    monkeypatch.setenv("BENCHC_DATASET", str(path))
    return path


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of all questions that reach the bundled model."""
    names: list[str] = []
    prepare = TransformersChoiceScorer.prepare

    def noted(self: Any, questions: Any) -> Any:
        names.extend(question.name for question in questions)
        return prepare(self, questions)

    monkeypatch.setattr(TransformersChoiceScorer, "prepare", noted)
    return names


def config(task: str, **changes: Any) -> dict[str, Any]:
    """A task's YAML as the command line hands it on."""
    return {**load_yaml(task_file(task), resolve_func=True), **changes}


def evaluate(
    *tasks: dict[str, Any], model: str = "benchc", share_prefix: bool = False, **settings: Any
) -> dict[str, Any]:
    arguments = {**MODEL, "share_prefix": True} if share_prefix else {**MODEL}
    return evaluator.simple_evaluate(
        model=model, model_args=arguments, tasks=list(tasks), task_manager=manager(), bootstrap_iters=0, **settings
    )


def manager() -> TaskManager:
    return TaskManager(include_defaults=False, metadata=MODEL)


def records(results: dict[str, Any], task: str) -> list[SampleRecord]:
    return [SampleRecord.from_json_dict(row["benchc"]) for row in results["samples"][task]]


def test_naming_the_folder_runs_the_group_of_all_corruptions(dataset: Path) -> None:
    (file,) = tasks_folder().glob("*.yaml")
    loaded = manager().load([load_yaml(file, resolve_func=True)])
    assert list(loaded["groups"]) == ["benchc"]
    assert len(loaded["tasks"]) == 19
    assert loaded["group_map"]["benchc"] == list(loaded["tasks"])


def test_every_definition_loads(dataset: Path) -> None:
    for name in task_files():
        if name.endswith(".yaml"):
            loaded = manager().load([load_yaml(tasks_folder() / name, resolve_func=True)])
            assert Path(name).stem in {*loaded["tasks"], *loaded["groups"]}


def test_a_group_s_row_is_that_of_all_records_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With an image that cannot be decoded, so that a mean over tasks would be another number."""
    rows = rows_of_samples(3)
    rows[1]["image"] = rows[1]["image"][: len(rows[1]["image"]) // 2]
    write_dataset(tmp_path / "samples.parquet", rows)
    monkeypatch.setenv("BENCHC_DATASET", str(tmp_path / "samples.parquet"))
    group = config("benchc-blur", metadata={"version": 1.0, "corruptions": ["fog", "pixelate"]})
    results = evaluate(group, batch_size=8)
    row = results["groups"]["benchc-blur"]
    tasks = ("benchc_fog", "benchc_pixelate")
    run = run_of_records("both", {task: records(results, task) for task in tasks})
    sums = MetricSums(tuple(METRICS.values()))
    expected = sums.metrics(sums.viewed_terms(PairValues.of_run(run).all_pairs()).sum(axis=0))
    for name, value in zip(sums.names, expected, strict=True):
        assert row[f"{name},none"] == pytest.approx(float(value), abs=1e-12, nan_ok=True), name
    assert row["invalid_pairs,none"] == 10
    assert results["results"]["benchc_fog"]["benchc,none"] != "no caution"


def test_kept_answers_are_used_again_and_never_for_other_pictures(
    dataset: Path, tmp_path: Path, asked: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(task: str, limit: int = 2) -> tuple[int, Any]:
        asked.clear()
        results = evaluate(config(task), use_cache=str(tmp_path / "cache"), limit=limit)
        return len(asked), results["results"][f"benchc_{task}"]["nll_corrupted,none"]

    first = run("fog")
    assert first[0] == 2 * 6
    assert run("fog") == (0, first[1])
    # The clean pictures are those of the other task.
    assert run("snow")[0] == 2 * 5
    monkeypatch.setattr(pictures, "ENGINE_VERSION", "another")
    assert run("fog")[0] == 2 * 6


def test_other_data_under_the_same_ids_are_asked(
    dataset: Path, tmp_path: Path, asked: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = {"use_cache": str(tmp_path / "cache"), "limit": 1}
    evaluate(config("fog"), **settings)
    asked.clear()
    write_dataset(tmp_path / "other.parquet", rows_of_samples(2, seed=1))
    monkeypatch.setenv("BENCHC_DATASET", str(tmp_path / "other.parquet"))
    evaluate(config("fog"), **settings)
    assert len(asked) == 6


def test_a_model_of_the_harness_writes_letters(dataset: Path, tmp_path: Path) -> None:
    settings = {"limit": 1, "apply_chat_template": True, "gen_kwargs": "max_gen_toks=2", "device": "cpu"}
    cache = {"use_cache": str(tmp_path / "cache")}
    results = evaluate(config("benchc-gen_fog"), model="hf-multimodal", **settings, **cache)
    (record,) = records(results, "benchc-gen_fog")
    (scored,) = records(evaluate(config("fog"), limit=1), "benchc_fog")
    assert record.obtained == "generated letters"
    assert (record.prompt, record.context, record.dataset) == (scored.prompt, scored.context, scored.dataset)
    assert record.predictions == scored.predictions
    assert results["results"]["benchc-gen_fog"]["ras,none"] == "not defined"
    shown = [arguments[2]["visual"] for arguments in results["samples"]["benchc-gen_fog"][0]["arguments"]]
    assert len(set(shown)) == 6
    assert all(record.dataset in one for one in shown)
    again = evaluate(config("benchc-gen_fog"), model="hf-multimodal", **settings, **cache)
    assert records(again, "benchc-gen_fog") == [record]


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"system_instruction": "Be brief."}, r"^--system_instruction is not for benchc_fog: give the text with"),
        ({"apply_chat_template": True}, r"^--apply_chat_template is not for benchc_fog, whose model puts"),
        ({"cache_requests": True}, r"^--cache_requests cannot keep the requests of benchc_fog"),
    ],
)
def test_what_would_change_the_prompt_behind_the_record_s_back_is_refused(
    dataset: Path, settings: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(ValueError, match=sentence):
        evaluate(config("fog"), limit=1, **settings)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"metadata": {"corruption": "fogg"}}, r"^metadata\.corruption is 'fogg', which is none of"),
        ({"metric_list": [{"metric": "acc"}]}, r"^metric_list names 'acc', which is none of"),
        ({"dataset_kwargs": {"name": "x"}}, r"^dataset_kwargs has name, but benchc takes only split"),
    ],
)
def test_a_wrong_yaml_is_a_sentence(dataset: Path, changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        manager().load([config("fog", **changes)])


@pytest.mark.parametrize(
    ("task", "changes", "conditions"),
    [
        ("benchc-lite", {}, 1 + 19),
        ("benchc-lite", {"conditions_per_sample": 10}, 1 + 10),
        ("benchc-control", {}, 1 + 5),
        ("benchc-gen-control", {}, 1 + 5),
    ],
)
def test_lite_and_the_control_ask_so_many_conditions(
    dataset: Path, task: str, changes: dict[str, Any], conditions: int
) -> None:
    given = config(task)
    loaded = manager().load([{**given, "metadata": {**given["metadata"], **changes}}])["tasks"][task]
    loaded.build_all_requests(limit=1)
    requests = 1 if task.startswith("benchc-gen") else len(loaded.samples[0]["options"])
    assert len(loaded.instances) == conditions * requests


def test_several_processes_are_refused(monkeypatch: pytest.MonkeyPatch, dataset: Path) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(ValueError, match=r"^this run has 2 processes, and benchc scores in one"):
        evaluate(config("fog"), limit=1)


def test_a_killed_run_goes_on_from_its_answers(
    dataset: Path, tmp_path: Path, asked: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    score: Callable[..., Any] = TransformersChoiceScorer.score
    passes: list[int] = []

    def dies(self: Any, prepared: Any) -> Any:
        passes.append(1)
        if len(passes) > 4:
            raise KeyboardInterrupt
        return score(self, prepared)

    monkeypatch.setattr(TransformersChoiceScorer, "score", dies)
    with pytest.raises(KeyboardInterrupt):
        evaluate(config("fog"), use_cache=str(tmp_path / "cache"))
    monkeypatch.setattr(TransformersChoiceScorer, "score", score)
    asked.clear()
    evaluate(config("fog"), use_cache=str(tmp_path / "cache"))
    assert len(asked) == 12 - 4


def test_shared_pictures_are_read_once_and_a_killed_run_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = rows_of_samples(4)
    rows[2]["image"] = rows[0]["image"]
    write_dataset(tmp_path / "samples.parquet", rows)
    monkeypatch.setenv("BENCHC_DATASET", str(tmp_path / "samples.parquet"))
    expected = evaluate(config("pixelate"))["results"]["benchc_pixelate"]
    score: Callable[..., Any] = PrefixSharingScorer.score
    batches: list[int] = []

    def noted(scorer: Any, prepared: Any, most: int) -> Any:
        if len(batches) == most:
            raise KeyboardInterrupt
        batches.append(sum(len(group.questions) for group in prepared.shared.groups) if prepared.shared else 0)
        return score(scorer, prepared)

    monkeypatch.setattr(PrefixSharingScorer, "score", lambda *asked: noted(*asked, most=5))
    with pytest.raises(KeyboardInterrupt):
        evaluate(config("pixelate"), share_prefix=True, use_cache=str(tmp_path / "cache"))
    monkeypatch.setattr(PrefixSharingScorer, "score", lambda *asked: noted(*asked, most=-1))
    found = evaluate(config("pixelate"), share_prefix=True, use_cache=str(tmp_path / "cache"))["results"]
    # Two questions on one picture and two on others, clean and under five severities: 18 batches of one picture.
    assert sorted(batches) == [0] * 12 + [2] * 6
    for name, value in expected.items():
        if isinstance(value, float):
            assert found["benchc_pixelate"][name] == pytest.approx(value, abs=1e-6, rel=1e-6, nan_ok=True), name
