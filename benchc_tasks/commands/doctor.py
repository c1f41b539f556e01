"""`benchc doctor`: whether the installation can run, and the cure where it cannot."""

from __future__ import annotations

import argparse
import importlib
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distributions, entry_points, version
from typing import Any

from packaging.specifiers import SpecifierSet
from rich.console import Console

from task_yamls import tasks_path

__all__ = ["Finding", "add_parser", "examine", "run"]

LMMS_EVAL_VERSIONS = SpecifierSet(">=0.7.3,<0.8")
OPENCV_PACKAGES = {
    "opencv-python",
    "opencv-python-headless",
    "opencv-contrib-python",
    "opencv-contrib-python-headless",
}
OPENCV_CURE = (
    "run `pip uninstall -y opencv-python opencv-contrib-python opencv-python-headless`, then "
    "`pip install opencv-python-headless`; install imagecorruptions with `pip install --no-deps imagecorruptions`"
)


@dataclass(frozen=True)
class Finding:
    """What one check found.

    Attributes
    ----------
    subject : str
        What was looked at.
    is_sound : bool
        Whether it can be used as it is.
    message : str
        What was found, and the cure where it is not sound.
    """

    subject: str
    is_sound: bool
    message: str


def add_parser(subparsers: Any) -> None:
    """Add the subcommand to the `benchc` parser."""
    parser = subparsers.add_parser("doctor", help="check the installation, and name the cure for what is wrong")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print every finding; the exit status is 1 if one is not sound."""
    console = Console(soft_wrap=True, highlight=False)
    findings = examine()
    for finding in findings:
        mark = "[green]ok[/green]  " if finding.is_sound else "[red]fault[/red]"
        console.print(f"{mark} {finding.subject}: ", end="")
        console.print(finding.message, markup=False)
    return 0 if all(finding.is_sound for finding in findings) else 1


def examine() -> list[Finding]:
    """Check everything; a check that itself fails is a finding too."""
    return [_guarded(subject, check) for subject, check in CHECKS.items()]


def _guarded(subject: str, check: Callable[[], tuple[bool, str]]) -> Finding:
    try:
        is_sound, message = check()
    except Exception as fault:
        return Finding(subject, False, f"{type(fault).__name__}: {fault}")
    return Finding(subject, is_sound, message)


def check_lmms_eval() -> tuple[bool, str]:
    """Check that lmms-eval is there in a version that the plugin was written for."""
    try:
        found = version("lmms-eval")
    except PackageNotFoundError:
        return False, f"not installed; run `pip install 'lmms-eval{LMMS_EVAL_VERSIONS}'`"
    if found in LMMS_EVAL_VERSIONS:
        return True, found
    return False, f"{found} is not {LMMS_EVAL_VERSIONS}; run `pip install 'lmms-eval{LMMS_EVAL_VERSIONS}'`"


def check_plugin() -> tuple[bool, str]:
    """Check that lmms-eval finds the model `benchc`, and that it indexes the tasks by itself."""
    if not any(point.name == "benchc" for point in entry_points(group="lmms_eval.models")):
        return (
            False,
            "the entry point `benchc` is not registered; install benchc again with `pip install --force benchc`",
        )
    import lmms_eval.models

    from benchc_tasks.stacks.lmms_eval.plugin import tasks_are_registered

    if "benchc" not in lmms_eval.models.list_available_models():
        return False, "lmms-eval did not take the model `benchc`; install benchc again"
    if not tasks_are_registered():
        return False, f"lmms-eval does not index the tasks by itself; add --include_path {tasks_path()}"
    return True, "lmms-eval knows the model `benchc` and indexes its tasks"


def check_frost_textures() -> tuple[bool, str]:
    """Check that the pictures of frost are there; the corruption `frost` reads them from imagecorruptions."""
    from benchc_tasks.corruptions import frost_textures_path

    return True, str(frost_textures_path())


def check_opencv() -> tuple[bool, str]:
    """Check that OpenCV imports, and that only one build of it is installed; two write over each other's files."""
    builds = sorted(
        {name for found in distributions() if (name := (found.metadata["Name"] or "").lower()) in OPENCV_PACKAGES}
    )
    try:
        opencv = importlib.import_module("cv2")
    except ImportError as fault:
        return False, f"OpenCV does not import ({fault}); {OPENCV_CURE}"
    if len(builds) > 1:
        return False, f"{' and '.join(builds)} are both installed and write over each other's files; {OPENCV_CURE}"
    return True, f"{opencv.__version__} ({', '.join(builds) or 'not from PyPI'})"


def check_bundled() -> tuple[bool, str]:
    """Check that the demonstration set and model came with the package."""
    from benchc_tasks.datasets import load_dataset
    from benchc_tasks.demonstration import DEMONSTRATION_MODEL, DEMONSTRATION_SET

    samples = load_dataset(DEMONSTRATION_SET)
    if not (DEMONSTRATION_MODEL / "config.json").is_file():
        return False, "the demonstration model is missing; install benchc again"
    return True, f"{len(samples)} samples and a model"


def check_torch() -> tuple[bool, str]:
    """Check that torch imports, and say what it will compute on."""
    import torch

    return True, f"{torch.__version__} on {'CUDA' if torch.cuda.is_available() else 'the CPU'}"


CHECKS: dict[str, Callable[[], tuple[bool, str]]] = {
    "lmms-eval": check_lmms_eval,
    "plugin": check_plugin,
    "OpenCV": check_opencv,
    "frost textures": check_frost_textures,
    "demonstration set and model": check_bundled,
    "torch": check_torch,
}
