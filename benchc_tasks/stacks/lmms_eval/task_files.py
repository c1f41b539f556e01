"""Write the YAML files of all lmms-eval tasks and groups, from the benchmark's names and the metrics.

`benchc task-files` writes them; a test holds the files of `task_yamls/` against them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from benchc_metrics.benchmark import CORRUPTION_FAMILIES, FAMILIES
from benchc_metrics.metrics.registry import METRICS

__all__ = ["task_files"]

_AGGREGATORS = "benchc_tasks.stacks.lmms_eval.aggregators"
_GENERATION_AGGREGATORS = "benchc_tasks.stacks.lmms_eval.generation_aggregators"

_OWN_AGGREGATORS = ("acc_drop", "ras_destructive", "ras_corrective", "ece_clean", "ece_corrupted", "invalid_pairs")

_GENERATION = {
    "acc_clean": ("share", "group_share"),
    "acc_corrupted": ("share", "group_share"),
    "acc_drop": ("relative_accuracy_drop", "group_relative_drop"),
    "flip": ("share", "group_share"),
    "destroyed": ("share", "group_share"),
    "corrected": ("share", "group_share"),
    "invalid_pairs": (f"{_AGGREGATORS}.invalid_pairs", f"{_AGGREGATORS}.group_sum"),
    "ras": ("ras_not_defined", "group_ras_not_defined"),
}
_GROUP_AGGREGATORS = {"ece_clean": "group_ece", "ece_corrupted": "group_ece", "invalid_pairs": "group_sum"}

_TEMPLATE = """\
# What every corruption task shares. A task's own YAML says which corruption, and may override anything here.
class: !function benchc_tasks.stacks.lmms_eval.task.BenchCTask
output_type: loglikelihood
test_split: test
num_fewshot: 0
# Without dataset_path the dataset is that of BENCHC_DATASET, else the bundled demonstration set.
lmms_eval_specific_kwargs:
  default:
    pre_prompt: ""
    post_prompt: "\\nAnswer with the option's letter from the given choices directly."
filter_list:
  - name: none
    filter:
      - function: !function benchc_tasks.stacks.lmms_eval.filters.OptionLogLikelihoodFilter
"""

_GENERATION_TEMPLATE = """\
# What the corruption tasks for models without log-probabilities share: they generate an answer, and its letter is read.
class: !function benchc_tasks.stacks.lmms_eval.generation_task.GenerationTask
output_type: generate_until
test_split: test
num_fewshot: 0
# Without dataset_path the dataset is that of BENCHC_DATASET, else the bundled demonstration set.
lmms_eval_specific_kwargs:
  default:
    pre_prompt: ""
    post_prompt: "\\nAnswer with the option's letter from the given choices directly."
# --gen_kwargs max_new_tokens=4096 leaves a model that reasons room for it.
generation_kwargs:
  max_new_tokens: 32
  temperature: 0
  do_sample: false
  until: []
filter_list:
  - name: none
    filter:
      - function: !function benchc_tasks.stacks.lmms_eval.generation_filter.GeneratedAnswerFilter
"""

_GROUP_HEAD = """\
# How a group's figures come from its tasks'. lmms-eval matches these names by substring and the last match wins,
# so a name stands before every longer name that contains it, and the figures that are no mean stand last.
"""


def task_files() -> dict[str, str]:
    """Write all task and group definitions.

    Returns
    -------
    dict of str to str
        From file name to content.
    """
    everything = tuple(CORRUPTION_FAMILIES)
    files = {
        "_benchc_template_yaml": _TEMPLATE + _metric_list(),
        "_benchc-gen_template_yaml": _GENERATION_TEMPLATE + _generation_metric_list(),
        "_benchc_group_yaml": _GROUP_HEAD + _group_metric_list(),
        "benchc.yaml": _group("benchc", "Bench-C", everything, include="_benchc_group_yaml"),
        "benchc-gen.yaml": _group(
            "benchc-gen", "Bench-C, generated answers", everything, metrics=_generation_group_metric_list()
        ),
    }
    for family in FAMILIES:
        members = [name for name, of_name in CORRUPTION_FAMILIES.items() if of_name == family]
        group = _group(f"benchc-{family}", f"Bench-C {family}", members, include="_benchc_group_yaml")
        files[f"benchc-{family}.yaml"] = group
    for prefix in ("benchc", "benchc-gen"):
        files.update((f"{prefix}_{name}.yaml", _task(prefix, name)) for name in everything)
    return files


def _task(prefix: str, corruption: str) -> str:
    return (
        f"include: _{prefix}_template_yaml\n"
        f"task: {prefix}_{corruption}\n"
        f"task_alias: {corruption}\n"
        f"metadata:\n  version: 1.0\n  corruption: {corruption}\n"
    )


def _group(name: str, alias: str, corruptions: Iterable[str], include: str = "", metrics: str = "") -> str:
    prefix = "benchc-gen" if name == "benchc-gen" else "benchc"
    return "".join(
        [
            f"include: {include}\n" if include else "",
            f"group: {name}\ngroup_alias: {alias}\ntask:\n",
            *(f"  - {prefix}_{corruption}\n" for corruption in corruptions),
            metrics,
            "metadata:\n  version: 1.0\n",
        ]
    )


def _metric_list() -> str:
    names = {name: name if name in _OWN_AGGREGATORS else "mean" for name in (*METRICS, "length_normalised")}
    return _entries({name: f"{_AGGREGATORS}.{function}" for name, function in names.items()})


def _generation_metric_list() -> str:
    return _entries({name: _generation_path(of_task) for name, (of_task, _) in _GENERATION.items()})


def _entries(functions: Mapping[str, str]) -> str:
    lines = ["metric_list:"]
    for name, function in functions.items():
        better = "true" if name in METRICS and METRICS[name].higher_is_better else "false"
        lines += [f"  - metric: {name}", f"    aggregation: !function {function}", f"    higher_is_better: {better}"]
    return "\n".join(lines) + "\n"


def _group_metric_list() -> str:
    functions = {
        name: f"!function {_AGGREGATORS}.{_GROUP_AGGREGATORS[name]}" if name in _GROUP_AGGREGATORS else "mean"
        for name in (*METRICS, "length_normalised")
    }
    return _group_entries(functions)


def _generation_group_metric_list() -> str:
    functions = {name: f"!function {_generation_path(of_group)}" for name, (_, of_group) in _GENERATION.items()}
    return "# lmms-eval matches these names by substring: none here stands within another.\n" + _group_entries(
        functions
    )


def _group_entries(functions: Mapping[str, str]) -> str:
    lines: Sequence[str] = [
        f"  - metric: {name}\n    aggregation: {function}\n    weight_by_size: false\n"
        for name, function in functions.items()
    ]
    return "aggregate_metric_list:\n" + "".join(lines)


def _generation_path(function: str) -> str:
    return function if "." in function else f"{_GENERATION_AGGREGATORS}.{function}"
