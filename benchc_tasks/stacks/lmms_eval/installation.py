"""Check that lmms-eval is installed, finds the plugin and evaluates a sample."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from importlib.metadata import PackageNotFoundError, entry_points, version
from pathlib import Path

from packaging.specifiers import SpecifierSet

from benchc_tasks.demonstration import KNOWN_LOG_LIKELIHOODS
from task_yamls import tasks_path

__all__ = ["CHECKS", "REGISTERED", "backends", "check_evaluation", "check_plugin", "check_version"]

VERSIONS = SpecifierSet(">=0.7.3,<0.8")
TRIAL_TASK = "benchc_brightness"
TRIAL_SECONDS = 600

# Engines and devices differ by less; a model with missing weights differs by more.
TOLERATED_DIFFERENCE = 0.05

REGISTERED = "lmms-eval knows the model `benchc` and indexes its tasks"

ERROR = re.compile(r"^(?:[\w.]+(?:Error|Exception)\b|.*Error during evaluation).*$", re.MULTILINE)
COLOURS = re.compile(r"\x1b\[[0-9;]*m")
NOT_FOR_THE_TRIAL = ("BENCHC_DATASET",)


def backends() -> list[str]:
    """Return the possible names for ``backend=...``: lmms-eval's models without `benchc`."""
    from lmms_eval.models import list_available_models

    return [name for name in list_available_models() if name != "benchc"]


def check_version() -> tuple[bool, str]:
    """Check that lmms-eval is installed in a version that the plugin supports."""
    try:
        found = version("lmms-eval")
    except PackageNotFoundError:
        return False, f"not installed; run `pip install 'lmms-eval{VERSIONS}'`"
    if found in VERSIONS:
        return True, found
    return False, f"{found} is not {VERSIONS}; run `pip install 'lmms-eval{VERSIONS}'`"


def check_plugin() -> tuple[bool, str]:
    """Check that lmms-eval finds the model `benchc` and indexes the tasks by itself."""
    if not any(point.name == "benchc" for point in entry_points(group="lmms_eval.models")):
        return (
            False,
            "the entry point `benchc` is not registered; install benchc again with `pip install --force benchc`",
        )
    return check_registration()


def check_registration() -> tuple[bool, str]:
    """Check that lmms-eval accepted the model and the tasks, by importing it."""
    import lmms_eval.models

    from benchc_tasks.stacks.lmms_eval.plugin import tasks_are_registered

    if "benchc" not in lmms_eval.models.list_available_models():
        return False, "lmms-eval did not accept the model `benchc`; install benchc again"
    if not tasks_are_registered():
        return False, f"lmms-eval does not index the tasks by itself; add --include_path {tasks_path()}"
    return True, REGISTERED


def check_evaluation() -> tuple[bool, str]:
    """Evaluate one bundled sample with the bundled model as a user does, and compare the answer with the known one.

    The exit status of lmms-eval is not used, because it is 0 after most failures.
    """
    environment = {name: value for name, value in os.environ.items() if name not in NOT_FOR_THE_TRIAL}
    command = [sys.executable, "-m", "lmms_eval", "--model", "benchc", "--tasks", TRIAL_TASK, "--limit", "1"]
    with tempfile.TemporaryDirectory() as folder:
        finished = subprocess.run(
            [*command, "--log_samples", "--output_path", folder],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            errors="replace",
            timeout=TRIAL_SECONDS,
            check=False,
        )
        results = list(Path(folder).rglob("*_results.json"))
        if not results:
            return False, f"lmms-eval evaluated no sample: {last_error(finished.stdout)}"
        return judge_answer(results[0].parent)


def judge_answer(folder: Path) -> tuple[bool, str]:
    """Compare the clean answer in the trial's folder with the known one."""
    from benchc_metrics.runs import read_run

    run = read_run(folder)
    found = tuple(float(value) for value in run.clean[0])
    if run.invalid:
        return False, f"the answer to {run.sample_ids[0]} is invalid: {next(iter(run.invalid.values()))}"
    differences = [abs(ours - known) for ours, known in zip(found, KNOWN_LOG_LIKELIHOODS, strict=True)]
    if not max(differences) <= TOLERATED_DIFFERENCE:
        return False, (
            f"the bundled model answers {_rounded(found)} to {run.sample_ids[0]}, but its known answer is "
            f"{_rounded(KNOWN_LOG_LIKELIHOODS)}: transformers {version('transformers')} or torch {version('torch')} "
            "computes something else; install benchc again with the versions of constraints.txt"
        )
    return True, f"lmms-eval evaluated {run.sample_ids[0]}, and the answer is the known one"


def _rounded(values: Sequence[float]) -> str:
    return ", ".join(f"{value:.3f}" for value in values)


def last_error(output: str) -> str:
    """Return the last line of a program's output that names an error, or else its last line."""
    plain = COLOURS.sub("", output).strip()
    errors = ERROR.findall(plain)
    return errors[-1] if errors else plain.rpartition("\n")[2]


CHECKS: dict[str, Callable[[], tuple[bool, str]]] = {
    "lmms-eval": check_version,
    "plugin": check_plugin,
    "evaluation": check_evaluation,
}
