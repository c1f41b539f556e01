"""`benchc doctor`: check that the installation works, and name the cure if it does not."""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distributions, requires, version
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from rich.console import Console

from benchc_tasks.stacks.lmms_eval import installation as lmms_eval

__all__ = ["Finding", "add_parser", "examine", "run"]

AGAIN = "install benchc again with the versions of constraints.txt"
MISSING_MODULE = re.compile(r"No module named '(?P<name>[\w.]+)'")
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
    """The outcome of one check.

    Attributes
    ----------
    subject : str
        The checked part.
    is_sound : bool
        True if it works.
    message : str
        The result, and the cure if it does not work.
    """

    subject: str
    is_sound: bool
    message: str


def add_parser(subparsers: Any) -> None:
    """Add the subcommand to the `benchc` parser."""
    parser = subparsers.add_parser("doctor", help="check the installation, and name the cure for each problem")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print every finding at once; the exit status is 1 if one is not sound."""
    console = Console(soft_wrap=True, highlight=False)
    is_sound = True
    for finding in examine():
        mark = "[green]ok[/green]  " if finding.is_sound else "[red]fault[/red]"
        console.print(f"{mark} {finding.subject}: ", end="")
        console.print(finding.message, markup=False)
        is_sound = is_sound and finding.is_sound
    return 0 if is_sound else 1


def examine() -> Iterator[Finding]:
    """Check everything; a check that raises an error is a finding too. The trial evaluation runs beside the others.

    A successful trial shows that lmms-eval accepted the plugin, so lmms-eval is not imported again to check that.
    """
    with ThreadPoolExecutor() as pool:
        begun = {
            subject: pool.submit(_guarded, subject, check)
            for subject, check in CHECKS.items()
            if check is lmms_eval.check_evaluation
        }
        for subject, check in CHECKS.items():
            if subject in begun:
                yield begun[subject].result()
            elif check is lmms_eval.check_plugin and all(trial.result().is_sound for trial in begun.values()) and begun:
                yield Finding(subject, True, lmms_eval.REGISTERED)
            else:
                yield _guarded(subject, check)


def _guarded(subject: str, check: Callable[[], tuple[bool, str]]) -> Finding:
    try:
        is_sound, message = check()
    except Exception as fault:
        return Finding(subject, False, _with_cure(f"{type(fault).__name__}: {fault}"))
    return Finding(subject, is_sound, message if is_sound else _with_cure(message))


def check_files() -> tuple[bool, str]:
    """Check that Python finds this installation's own code, and no folder left by an earlier one."""
    root = Path(__file__).parents[1]
    names = [root.name, *(f"{root.name}.{path.parent.name}" for path in sorted(root.glob("*/__init__.py")))]
    for name in [*names, "benchc_metrics", "task_yamls"]:
        spec = importlib.util.find_spec(name)
        if spec is None:
            return False, f"{name} is missing; {AGAIN}"
        if spec.origin is None:
            (folder, *_) = spec.submodule_search_locations or ["?"]
            left_behind = Path(folder).parent if "." in name else Path(folder)
            return (
                False,
                f"{name} is a folder without code that hides the installed package: delete {left_behind}, then {AGAIN}",
            )
    return True, f"{version('benchc')} in {root.parent}"


def check_requirements() -> tuple[bool, str]:
    """Check the version of every package that benchc requires."""
    wanted = _requirements()
    wrong = [fault for requirement in wanted if (fault := _fault_of(requirement)) is not None]
    if wrong:
        return False, "; ".join(wrong)
    return True, f"{len(wanted)} packages in versions that benchc works with"


def _requirements() -> list[Requirement]:
    wanted = map(Requirement, requires("benchc") or [])
    return [
        requirement
        for requirement in wanted
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""})
    ]


def _fault_of(requirement: Requirement) -> str | None:
    cure = f"run `pip install '{requirement.name}{requirement.specifier}'`"
    try:
        found = version(requirement.name)
    except PackageNotFoundError:
        return f"{requirement.name} is not installed: {cure}"
    if requirement.specifier.contains(found, prereleases=True):
        return None
    return f"{requirement.name} {found} does not work with benchc: {cure}"


def _with_cure(message: str) -> str:
    missing = MISSING_MODULE.search(message)
    if missing is None:
        return message
    package = missing["name"].partition(".")[0]
    for requirement in _requirements():
        if canonicalize_name(requirement.name) == canonicalize_name(package):
            return f"{message}; run `pip install --force-reinstall '{requirement.name}{requirement.specifier}'`"
    return f"{message}; {AGAIN}"


def check_frost_textures() -> tuple[bool, str]:
    """Check that imagecorruptions has the pictures of frost, which the corruption `frost` needs."""
    from benchc_tasks.corruptions import frost_textures_path

    return True, str(frost_textures_path())


def check_opencv() -> tuple[bool, str]:
    """Check that OpenCV imports, and that only one build is installed; two builds overwrite each other's files."""
    builds = sorted(
        {name for found in distributions() if (name := (found.metadata["Name"] or "").lower()) in OPENCV_PACKAGES}
    )
    try:
        opencv = importlib.import_module("cv2")
    except ImportError as fault:
        return False, f"OpenCV does not import ({fault}); {OPENCV_CURE}"
    if len(builds) > 1:
        return False, f"{' and '.join(builds)} are both installed and overwrite each other's files; {OPENCV_CURE}"
    return True, f"{opencv.__version__} ({', '.join(builds) or 'not from PyPI'})"


def check_bundled() -> tuple[bool, str]:
    """Check that the package contains the demonstration set and model."""
    from benchc_tasks.datasets import load_dataset
    from benchc_tasks.demonstration import DEMONSTRATION_MODEL, DEMONSTRATION_SET

    samples = load_dataset(DEMONSTRATION_SET)
    if not (DEMONSTRATION_MODEL / "config.json").is_file():
        return False, "the demonstration model is missing; install benchc again"
    return True, f"{len(samples)} samples and a model"


def check_kernels() -> tuple[bool, str]:
    """Report where compiled corruptions are kept; without a place, they only start more slowly."""
    from benchc_tasks.corruptions.compiled import kernel_cache

    folder = kernel_cache()
    if folder is None:
        return True, "compiled again in every process; set NUMBA_CACHE_DIR to a writable folder"
    return True, f"compiled ones are kept in {folder}"


def check_torch() -> tuple[bool, str]:
    """Check that torch imports, and report the device that it computes on."""
    import torch
    from accelerate import Accelerator

    from benchc_tasks.models.devices import choose_device

    return True, f"{torch.__version__} on {choose_device(None, Accelerator())}"


# The evaluation comes last, because an earlier check may show the cause of its failure.
CHECKS: dict[str, Callable[[], tuple[bool, str]]] = {
    "benchc": check_files,
    "requirements": check_requirements,
    "OpenCV": check_opencv,
    "frost textures": check_frost_textures,
    "kernels": check_kernels,
    "demonstration set and model": check_bundled,
    "torch": check_torch,
    **lmms_eval.CHECKS,
}
