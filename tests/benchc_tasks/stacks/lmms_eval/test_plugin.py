"""The plugin, through real `python -m lmms_eval` processes, and its guard by itself."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
import yaml
from lmms_eval import utils
from lmms_eval.api.model import lmms
from lmms_eval.evaluator import simple_evaluate
from lmms_eval.tasks import TaskManager

from benchc_tasks.stacks.lmms_eval.answer_cache import AnswerCache
from benchc_tasks.stacks.lmms_eval.plugin import add_answer_cache, add_task_folder, fast_yaml
from benchc_tasks.stacks.lmms_eval.task import BenchCTask
from support import logged
from task_yamls import tasks_path

METRICS = {
    "acc_clean",
    "acc_corrupted",
    "acc_drop",
    "ras",
    "ras_destructive",
    "ras_corrective",
    "ras_tempered",
    "temperature",
    "erroneous_confidence",
    "hesitation",
    "flip",
    "destroyed",
    "corrected",
    "brier_clean",
    "brier_corrupted",
    "nll_clean",
    "nll_corrupted",
    "ece_clean",
    "ece_corrupted",
    "invalid_pairs",
    "length_normalised",
}


def test_the_wildcard_runs_the_nineteen_tasks_once_each(lmms_eval):
    run = lmms_eval(["--model", "benchc", "--tasks", "benchc_*", "--limit", "1"])
    tasks = set(run.results["results"])
    assert len(tasks) == 19, run.output
    assert all(task.startswith("benchc_") for task in tasks)
    assert run.results["n-samples"]["benchc_fog"]["effective"] == 1
    assert run.output.count("demonstration") >= 1


def test_the_group_shows_every_figure_over_its_tasks(lmms_eval):
    run = lmms_eval(["--model", "benchc", "--tasks", "benchc-weather", "--limit", "3"])
    results = run.results["results"]
    group, tasks = (
        results["benchc-weather"],
        [results[f"benchc_{name}"] for name in ("snow", "frost", "fog", "brightness", "spatter")],
    )
    assert {name.split(",")[0] for name in group if name.endswith(",none") and "_stderr" not in name} == METRICS
    for name in ("acc_clean", "acc_corrupted", "ras", "flip", "nll_corrupted"):
        assert group[f"{name},none"] == pytest.approx(sum(task[f"{name},none"] for task in tasks) / len(tasks))
    assert len(run.samples("benchc_fog")) == 3
    assert "ece_corrupted" in run.output


CHANGED_LMMS_EVAL = """
import lmms_eval.tasks
original = lmms_eval.tasks.TaskManager.initialize_tasks
def initialize_tasks(self, include_path=None, include_defaults=True, something_new=None):
    return original(self, include_path=include_path, include_defaults=include_defaults)
lmms_eval.tasks.TaskManager.initialize_tasks = initialize_tasks
"""


def test_a_changed_lmms_eval_is_left_alone_and_the_path_still_works(lmms_eval):
    path = subprocess.run(
        [sys.executable, "-m", "benchc_tasks.commands.cli", "tasks-path"], capture_output=True, text=True, check=True
    ).stdout.strip()
    arguments = ["--model", "benchc", "--tasks", "benchc_fog", "--limit", "1"]
    without = lmms_eval(arguments, preamble=CHANGED_LMMS_EVAL, folder="without")
    assert without.output.count("benchc does not change lmms-eval") == 1
    assert not list(without.folder.rglob("*_results.json"))
    with_path = lmms_eval([*arguments, "--include_path", path], preamble=CHANGED_LMMS_EVAL, folder="with")
    assert set(with_path.results["results"]) == {"benchc_fog"}


class _Expected:
    def initialize_tasks(self, include_path=None, include_defaults=True):
        return {"paths": include_path}


def test_the_folder_is_added_once_and_after_what_the_user_named():
    class TaskManager(_Expected):
        initialize_tasks = _Expected.initialize_tasks

    assert add_task_folder(TaskManager)
    assert add_task_folder(TaskManager)
    for given in (None, "mine", ["mine"]):
        paths = TaskManager().initialize_tasks(include_path=given)["paths"]
        assert paths[:-1] == ([] if given is None else ["mine"])
        assert paths[-1].endswith("task_yamls")


@pytest.mark.parametrize("method", [None, lambda self: {}, "no method"])
def test_what_is_not_expected_is_left_untouched_with_one_sentence(method):
    class TaskManager:
        initialize_tasks = method

    with logged() as lines:
        assert not add_task_folder(TaskManager)
    assert len(lines) == 1
    assert "--include_path" in lines[0]
    assert TaskManager.initialize_tasks is method


# The response cache.


class _ExpectedCache:
    @classmethod
    def create(cls, cache_root, *, model="", model_args="", task_dict=None, world_size=1, global_rank=0):
        return f"lmms-eval's own in {cache_root} for {model}"

    def execute(self, lm, reqtype, requests):
        return []

    def finalize(self, *, success, dist_backend="accelerate", accelerator=None):
        pass


def test_runs_of_our_tasks_have_the_answer_cache_and_others_lmms_evals_own(tmp_path):
    class ResponseCache(_ExpectedCache):
        create = _ExpectedCache.__dict__["create"]

    class OfAUser(BenchCTask):
        def __init__(self):
            self.conditions = ()

        def dump_config(self):
            return {}

    assert add_answer_cache(ResponseCache)
    assert add_answer_cache(ResponseCache)
    settings = {"model": "benchc", "model_args": "", "world_size": 1, "global_rank": 0}
    for tasks in ({"benchc_fog": OfAUser()}, {"group": {"mmmu": object(), "benchc_fog": OfAUser()}}):
        assert isinstance(ResponseCache.create(cache_root=str(tmp_path), task_dict=tasks, **settings), AnswerCache)
    for tasks in ({}, {"mmmu": object()}, {"group": {"mmmu": object()}}, None):
        created = ResponseCache.create(cache_root=str(tmp_path), task_dict=tasks, **settings)
        assert created == f"lmms-eval's own in {tmp_path} for benchc"


@pytest.mark.parametrize("changed", ["create", "execute", "finalize"])
@pytest.mark.parametrize("method", [None, lambda self, something_new: None])
def test_a_changed_response_cache_is_left_untouched_with_one_sentence(changed, method):
    class ResponseCache(_ExpectedCache):
        pass

    setattr(ResponseCache, changed, method)
    before = dict(vars(ResponseCache))
    with logged() as lines:
        assert not add_answer_cache(ResponseCache)
    assert len(lines) == 1
    assert f"ResponseCache.{changed}" in lines[0]
    assert dict(vars(ResponseCache)) == before


OTHER_TASK = """
task: colours
dataset_path: json
dataset_kwargs: {data_files: {test: DATA}}
test_split: test
output_type: generate_until
doc_to_visual: ""
doc_to_text: "{{question}}"
doc_to_target: "{{answer}}"
generation_kwargs: {max_new_tokens: 4}
metric_list:
  - metric: exact_match
    aggregation: mean
    higher_is_better: true
"""


class _Repeating(lmms):
    asked = 0

    def __repr__(self):
        return "repeating"

    def generate_until(self, requests):
        self.asked += len(requests)
        return [request.args[0] for request in requests]

    loglikelihood = generate_until_multi_round = generate_until


def test_a_run_of_other_tasks_is_lmms_evals_own_throughout(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    (tmp_path / "tasks").mkdir()
    rows = [{"question": colour, "answer": colour} for colour in ("red", "blue")]
    (tmp_path / "data.jsonl").write_text("\n".join(map(json.dumps, rows)))
    (tmp_path / "tasks" / "colours.yaml").write_text(OTHER_TASK.replace("DATA", str(tmp_path / "data.jsonl")))
    manager = TaskManager(include_path=str(tmp_path / "tasks"), include_defaults=False)
    for asked in (2, 0):
        model = _Repeating()
        simple_evaluate(
            model=model, tasks=["colours"], task_manager=manager, use_cache=str(tmp_path / "cache"), bootstrap_iters=0
        )
        assert model.asked == asked
    assert sorted(path.name for path in (tmp_path / "cache").iterdir()) == ["cache.audit.jsonl", "cache.db", "runs"]
    for run in (tmp_path / "cache" / "runs").iterdir():
        assert not run.name.startswith((".benchc", "benchc"))
        assert (run / ".merged").exists()


def test_tasks_are_indexed_by_libyaml_as_by_pyyaml():
    folder = str(tasks_path())
    by_pyyaml = TaskManager.initialize_tasks.__wrapped__(TaskManager(include_defaults=False), include_path=folder)
    with fast_yaml():
        assert utils.yaml is not yaml
        by_libyaml = TaskManager._get_task_and_group(TaskManager(include_defaults=False), folder)
    assert utils.yaml is yaml
    assert len(by_pyyaml) > 38
    assert by_libyaml.items() <= by_pyyaml.items()
    assert by_libyaml["benchc_fog"]["yaml_path"].endswith("benchc_fog.yaml")


def test_yaml_is_read_as_before_where_lmms_eval_reads_it_another_way(monkeypatch):
    monkeypatch.setattr(utils, "yaml", None)
    with fast_yaml():
        assert utils.yaml is None
