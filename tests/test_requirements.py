"""pyproject.toml names what the packages import, and nothing else."""

from __future__ import annotations

import ast
import re
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
OURS = {"benchc_tasks", "benchc_metrics", "task_yamls"}
# Imported only where the user has it.
# inspect_ai runs on anyio, VLMEvalKit on pandas.
OPTIONAL = {"vllm", "lm_eval", "inspect_ai", "vlmeval", "anyio", "pandas", "skimage"}
# Not imported here; lmms-eval imports them without asking for them.
FOR_LMMS_EVAL = {"pytz"}


def wanted() -> list[Requirement]:
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    (dependencies,) = re.findall(r"^dependencies = \[\n(.*?)^\]", text, re.DOTALL | re.MULTILINE)
    return [Requirement(line) for line in re.findall(r'^ *"(.*)",$', dependencies, re.MULTILINE)]


def imported() -> set[str]:
    modules: set[str] = set()
    for package in OURS:
        for path in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Import):
                    modules.update(name.name.partition(".")[0] for name in node.names)
                elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                    modules.add(node.module.partition(".")[0])
    return modules - OURS - OPTIONAL - set(sys.stdlib_module_names)


def test_every_import_is_a_requirement_and_every_requirement_an_import() -> None:
    providers = packages_distributions()
    named = {canonicalize_name(requirement.name) for requirement in wanted()}
    needed = {canonicalize_name(providers.get(module, [module])[0]) for module in imported()}
    assert needed - named == set()
    assert named - needed == FOR_LMMS_EVAL


def test_every_requirement_is_bounded() -> None:
    assert [str(requirement) for requirement in wanted() if not requirement.specifier] == []


def test_lmms_eval_never_meets_a_filelock_without_its_api() -> None:
    (filelock,) = [requirement for requirement in wanted() if requirement.name == "filelock"]
    assert "3.10.0" not in filelock.specifier
    assert "4.2.12" in filelock.specifier
    assert "4.3.0" not in filelock.specifier
    assert "4.3.1" not in filelock.specifier


def test_constraints_hold_every_requirement_and_name_no_registry() -> None:
    text = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    pinned = [Requirement(line) for line in lines]
    assert all(re.fullmatch(r"==[\w.+!]+", str(one.specifier)) for one in pinned)
    assert "://" not in text
    versions = {canonicalize_name(one.name): str(one.specifier).removeprefix("==") for one in pinned}
    for requirement in wanted():
        assert requirement.specifier.contains(versions[canonicalize_name(requirement.name)], prereleases=True), (
            requirement
        )
    assert {"hatchling", "setuptools", "wheel", "imagecorruptions", "pytest", "ruff", "mypy"} <= set(versions)
