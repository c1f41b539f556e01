"""Write the YAML files of lm-evaluation-harness's tasks and groups, from the benchmark's names.

`benchc task-files` writes them; a test holds the files in `tasks/` against them. The harness runs everything in a
folder that is named as a task, so what is not the whole benchmark stands in folders of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from benchc_metrics.benchmark import CONTROL, CORRUPTION_FAMILIES, FAMILIES
from benchc_metrics.designs import LITE, LITE_CONDITIONS, MOST_CONDITIONS
from benchc_metrics.messages import quoted

__all__ = ["task_file", "task_files", "tasks_folder"]

_STACK = "benchc_tasks.stacks.lm_eval"

_TEMPLATE = """\
# What every corruption task shares. A task's own YAML says which corruption, and may override anything here.
output_type: loglikelihood
test_split: test
num_fewshot: 0
# Without dataset_path the dataset is that of BENCHC_DATASET, else the bundled demonstration set.
"""

_GENERATION_TEMPLATE = """\
# What the corruption tasks for models without log-probabilities share: they generate an answer, and its letter is read.
output_type: generate_until
test_split: test
num_fewshot: 0
# Without dataset_path the dataset is that of BENCHC_DATASET, else the bundled demonstration set.
# --gen_kwargs max_gen_toks=4096 leaves a model that reasons room for it.
generation_kwargs:
  max_gen_toks: 32
  temperature: 0
  do_sample: false
  until: []
"""

_GROUP_HEAD = "# A group's metrics are those of all responses of its tasks together, not means over the tasks.\n"


def tasks_folder() -> Path:
    """Return the folder whose name as `--tasks` runs the whole benchmark."""
    return Path(__file__).resolve().parent / "tasks"


def task_file(task: str) -> Path:
    """Return the YAML of a task or group, which `--tasks` takes.

    Raises
    ------
    ValueError
        If there is none.
    """
    files = {Path(name).stem: tasks_folder() / name for name in task_files() if name.endswith(".yaml")}
    # A corruption alone stands for its task.
    file = files.get(task) or files.get(f"benchc_{task}") or files.get(f"benchc-{task}")
    if file is None:
        raise ValueError(f"there is no task {quoted(task)}: name one of {', '.join(files)}")
    return file


def task_files() -> dict[str, str]:
    """Write all task and group definitions.

    Returns
    -------
    dict of str to str
        From the file's place in `tasks_folder` to its content.
    """
    everything = tuple(CORRUPTION_FAMILIES)
    files = {
        "_benchc_template_yaml": _TEMPLATE,
        "_benchc-gen_template_yaml": _GENERATION_TEMPLATE,
        "benchc.yaml": _group("benchc", "Bench-C", everything, ""),
        "generation/benchc-gen.yaml": _group("benchc-gen", "Bench-C, generated answers", everything, "../"),
    }
    for family in FAMILIES:
        members = [name for name, of_name in CORRUPTION_FAMILIES.items() if of_name == family]
        files[f"families/benchc-{family}.yaml"] = _group(f"benchc-{family}", f"Bench-C {family}", members, "../")
    for name in everything:
        files[f"corruptions/benchc_{name}.yaml"] = _task("benchc", "task.BenchCTask", name, "../")
        files[f"generation/corruptions/benchc-gen_{name}.yaml"] = _task(
            "benchc-gen", "task.GenerationTask", name, "../../"
        )
    files["corruptions/benchc-lite.yaml"] = (
        f"# Each sample clean and under each corruption once: {1 + LITE_CONDITIONS} passes instead of "
        f"{1 + MOST_CONDITIONS}.\n"
        "include: ../_benchc_template_yaml\n"
        f"class: !function {_STACK}.task.BenchCTask\n"
        "task: benchc-lite\n"
        "task_alias: Bench-C lite\n"
        f"metadata:\n  version: 1.0\n  design: {LITE}\n  conditions_per_sample: {LITE_CONDITIONS}\n"
    )
    # A hyphen, as in lmms-eval, where `benchc_*` asks for the corruptions alone.
    files[f"corruptions/benchc-{CONTROL}.yaml"] = _task("benchc", "task.BenchCTask", CONTROL, "../", joint="-")
    files[f"generation/corruptions/benchc-gen-{CONTROL}.yaml"] = _task(
        "benchc-gen", "task.GenerationTask", CONTROL, "../../", joint="-"
    )
    return files


def _task(prefix: str, kind: str, corruption: str, up: str, joint: str = "_") -> str:
    return (
        f"include: {up}_{prefix}_template_yaml\n"
        f"class: !function {_STACK}.{kind}\n"
        f"task: {prefix}{joint}{corruption}\n"
        f"task_alias: {corruption}\n"
        f"metadata:\n  version: 1.0\n  corruption: {corruption}\n"
    )


def _group(name: str, alias: str, corruptions: Sequence[str], up: str) -> str:
    prefix, kind = ("benchc-gen", "GenerationGroup") if name == "benchc-gen" else ("benchc", "BenchCGroup")
    members = "".join(f"    - {corruption}\n" for corruption in corruptions)
    return (
        f"{_GROUP_HEAD}include: {up}_{prefix}_template_yaml\n"
        f"class: !function {_STACK}.group.{kind}\n"
        f"task: {name}\n"
        f"task_alias: {alias}\n"
        f"metadata:\n  version: 1.0\n  corruptions:\n{members}"
    )
