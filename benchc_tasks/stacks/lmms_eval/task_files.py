"""Write the YAML files of all lmms-eval tasks and groups, from the benchmark's names and the metrics.

`benchc task-files` writes them; a test compares them with the files of `task_yamls/`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable

from benchc_metrics.benchmark import CONTROL, CORRUPTION_FAMILIES, FAMILIES, INSTRUCTION
from benchc_metrics.designs import LITE, LITE_CONDITIONS, MOST_CONDITIONS
from benchc_metrics.metrics.registry import EVERY_METRIC, METRICS
from benchc_tasks.stacks.common import metrics_of_letters, metrics_of_votes

__all__ = ["task_files"]

_AGGREGATORS = "benchc_tasks.stacks.aggregators"

_TEMPLATE = f"""\
# Shared by all corruption tasks. A task's own YAML names the corruption, and may override anything here.
class: !function benchc_tasks.stacks.lmms_eval.task.BenchCTask
output_type: loglikelihood
test_split: test
num_fewshot: 0
# Without dataset_path, the dataset is that of BENCHC_DATASET, else the bundled demonstration set.
lmms_eval_specific_kwargs:
  default:
    pre_prompt: ""
    post_prompt: "\\n{INSTRUCTION}"
filter_list:
  - name: none
    filter:
      - function: !function benchc_tasks.stacks.lmms_eval.filters.OptionLogLikelihoodFilter
"""

_WRITING = f"""\
output_type: generate_until
test_split: test
num_fewshot: 0
# Without dataset_path, the dataset is that of BENCHC_DATASET, else the bundled demonstration set.
lmms_eval_specific_kwargs:
  default:
    pre_prompt: ""
    post_prompt: "\\n{INSTRUCTION}"
"""

_WRITTEN_ANSWER = """\
filter_list:
  - name: none
    filter:
      - function: !function benchc_tasks.stacks.lmms_eval.filters.GeneratedAnswerFilter
"""

_GENERATION_TEMPLATE = f"""\
# Shared by the corruption tasks for models without log-probabilities. They generate an answer, and its letter is read.
class: !function benchc_tasks.stacks.lmms_eval.generation_task.GenerationTask
{_WRITING}\
# A model that reasons needs more tokens: metadata.thinking_tokens, or --gen_kwargs max_new_tokens=4096.
generation_kwargs:
  max_new_tokens: 32
  temperature: 0
  do_sample: false
  until: []
{_WRITTEN_ANSWER}"""

_VOTES_TEMPLATE = f"""\
# Shared by the tasks of votes. They sample several answers for each condition and count the options that these name.
class: !function benchc_tasks.stacks.lmms_eval.generation_task.GenerationTask
{_WRITING}\
# A model that reasons needs more tokens: metadata.thinking_tokens, or --gen_kwargs max_new_tokens=4096.
generation_kwargs:
  max_new_tokens: 32
  temperature: 1.0
  do_sample: true
  until: []
{_WRITTEN_ANSWER}"""

VOTES = 16
"""Number of answers that the tasks of votes sample for each condition."""

_GROUP_HEAD = """\
# A group's metrics are those of all responses of its tasks together, not means over the tasks.
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
    files["_benchc-votes_template_yaml"] = _VOTES_TEMPLATE + "metric_list:\n" + _entries(metrics_of_votes())
    files["benchc-gen-lite.yaml"] = (
        _design_task("benchc-gen-lite", "Bench-C lite, votes", "_benchc-votes_template_yaml", what="conditions")
        + f"  votes: {VOTES}\n"
    )
    files["benchc-gen-votes.yaml"] = _group(
        "benchc-gen-votes", "Bench-C, votes", everything, metrics=_GROUP_HEAD + _group_entries(metrics_of_votes())
    )
    files.update((f"benchc-gen-votes_{name}.yaml", _votes_task(name)) for name in everything)
    files["benchc-lite.yaml"] = _design_task("benchc-lite", "Bench-C lite", "_benchc_template_yaml")
    for family in FAMILIES:
        members = [name for name, of_name in CORRUPTION_FAMILIES.items() if of_name == family]
        group = _group(f"benchc-{family}", f"Bench-C {family}", members, include="_benchc_group_yaml")
        files[f"benchc-{family}.yaml"] = group
    for prefix in ("benchc", "benchc-gen"):
        files.update((f"{prefix}_{name}.yaml", _task(prefix, f"{prefix}_{name}", name)) for name in everything)
        # A hyphen, so that `benchc_*` asks for the corruptions alone.
        files[f"{prefix}-{CONTROL}.yaml"] = _task(prefix, f"{prefix}-{CONTROL}", CONTROL)
    return files


def _task(prefix: str, name: str, corruption: str) -> str:
    return (
        f"include: _{prefix}_template_yaml\n"
        f"task: {name}\n"
        f"task_alias: {corruption}\n"
        f"metadata:\n  version: 1.0\n  corruption: {corruption}\n"
    )


def _votes_task(corruption: str) -> str:
    return (
        "include: _benchc-votes_template_yaml\n"
        f"task: benchc-gen-votes_{corruption}\n"
        f"task_alias: {corruption}\n"
        f"metadata:\n  version: 1.0\n  corruption: {corruption}\n  votes: {VOTES}\n"
    )


def _design_task(name: str, alias: str, template: str, what: str = "passes") -> str:
    return (
        f"# Each sample clean and under each corruption once: {1 + LITE_CONDITIONS} {what} instead of "
        f"{1 + MOST_CONDITIONS}.\n"
        f"include: {template}\n"
        f"task: {name}\n"
        f"task_alias: {alias}\n"
        f"metadata:\n  version: 1.0\n  design: {LITE}\n  conditions_per_sample: {LITE_CONDITIONS}\n"
    )


def _group(name: str, alias: str, corruptions: Iterable[str], include: str = "", metrics: str = "") -> str:
    prefix = name if name in ("benchc-gen", "benchc-gen-votes") else "benchc"
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
    others = _entry("length_normalised", f"!function {_AGGREGATORS}.mean", "higher_is_better: false")
    return "metric_list:\n" + _entries(METRICS) + others


def _generation_metric_list() -> str:
    return "metric_list:\n" + _entries(metrics_of_letters())


def _entries(names: Iterable[str]) -> str:
    return "".join(
        _entry(
            name,
            f"!function {_AGGREGATORS}.over_samples",
            f"higher_is_better: {json.dumps(EVERY_METRIC[name].higher_is_better)}",
        )
        for name in names
    )


def _entry(name: str, aggregation: str, more: str) -> str:
    return f"  - metric: {name}\n    aggregation: {aggregation}\n    {more}\n"


def _group_metric_list() -> str:
    return _group_entries(METRICS) + _entry("length_normalised", "mean", "weight_by_size: false")


def _generation_group_metric_list() -> str:
    return _GROUP_HEAD + _group_entries(metrics_of_letters())


def _group_entries(names: Iterable[str]) -> str:
    entries = (_entry(name, f"!function {_AGGREGATORS}.over_tasks", "weight_by_size: false") for name in names)
    return "aggregate_metric_list:\n" + "".join(entries)
