"""`benchc doctor` on a sound installation and on planted faults."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import textwrap
from importlib.machinery import PathFinder
from pathlib import Path

import pytest

from benchc_tasks.commands import doctor
from benchc_tasks.stacks.lmms_eval import installation


def examined(first_on_path: Path | None = None) -> tuple[int, str]:
    environment = dict(os.environ, COLUMNS="200")
    if first_on_path is not None:
        environment["PYTHONPATH"] = os.pathsep.join([str(first_on_path), environment.get("PYTHONPATH", "")])
    finished = subprocess.run(
        [sys.executable, "-m", "benchc_tasks.commands.cli", "doctor"],
        capture_output=True,
        text=True,
        env=environment,
        timeout=550,
        check=False,
    )
    return finished.returncode, finished.stdout + finished.stderr


def plant_distribution(folder: Path, name: str, version: str) -> None:
    metadata = folder / f"{name.replace('-', '_')}-{version}.dist-info" / "METADATA"
    metadata.parent.mkdir(parents=True)
    metadata.write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n", encoding="utf-8")


def hidden(folder: Path, code: str) -> Path:
    """Break every Python process whose path begins with the folder."""
    folder.mkdir(exist_ok=True)
    (folder / "sitecustomize.py").write_text(textwrap.dedent(code), encoding="utf-8")
    return folder


def in_subprocesses(monkeypatch, folder: Path) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")]))


def test_a_sound_installation_passes():
    status, output = examined()
    assert status == 0, output
    for subject in doctor.CHECKS:
        assert f"ok   {subject}: " in output
    assert "lmms-eval evaluated demonstration-000, and the answer is the known one" in output


@pytest.mark.parametrize("is_sound", [True, False])
def test_the_plugin_is_imported_only_where_the_trial_failed(is_sound, monkeypatch):
    imported = []

    def check_plugin():
        imported.append(True)
        return False, "not there"

    monkeypatch.setattr(installation, "check_plugin", check_plugin)
    monkeypatch.setattr(installation, "check_evaluation", lambda: (is_sound, "as it went"))
    monkeypatch.setattr(doctor, "CHECKS", {"plugin": check_plugin, "evaluation": installation.check_evaluation})
    plugin, trial = doctor.examine()
    assert (plugin.is_sound, trial.is_sound) == (is_sound, is_sound)
    assert bool(imported) is not is_sound


# filelock 4.3 as lmms-eval 0.7.3 sees it: all there but filelock._api. lmms-eval then ends with exit status 0.
FILELOCK_WITHOUT_ITS_API = """
    import sys
    import filelock

    class Hidden:
        def find_spec(self, name, path=None, target=None):
            if name == "filelock._api":
                raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    for name in filelock.__all__:
        getattr(filelock, name)
    del sys.modules["filelock._api"], filelock._api
    sys.meta_path.insert(0, Hidden())
"""
WITHOUT_PYTZ = """
    import sys

    class Hidden:
        def find_spec(self, name, path=None, target=None):
            if name == "pytz":
                raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    sys.meta_path.insert(0, Hidden())
"""


@pytest.mark.parametrize(
    ("broken", "module", "requirement"),
    [(FILELOCK_WITHOUT_ITS_API, "filelock._api", "filelock"), (WITHOUT_PYTZ, "pytz", "pytz")],
)
def test_a_module_that_lmms_eval_misses_is_a_fault_with_the_cure(tmp_path, broken, module, requirement, monkeypatch):
    in_subprocesses(monkeypatch, hidden(tmp_path, broken))
    monkeypatch.setattr(doctor, "CHECKS", {"evaluation": installation.check_evaluation})
    monkeypatch.setattr(doctor, "requires", lambda _: ["numpy>=2", "filelock<4.3", "pytz>=2024.1"])
    (finding,) = doctor.examine()
    assert not finding.is_sound
    assert finding.message.startswith("lmms-eval evaluated no sample: ")
    assert f"No module named '{module}'" in finding.message
    assert f"run `pip install --force-reinstall '{requirement}" in finding.message


def test_a_model_that_transformers_loads_wrongly_is_a_fault(tmp_path, monkeypatch):
    broken = """
        import sys

        if "lmms_eval" in sys.orig_argv:
            import torch
            import transformers.modeling_utils as modeling

            loaded = modeling.PreTrainedModel.from_pretrained.__func__

            @classmethod
            def without_a_weight(cls, *arguments, **settings):
                answer = loaded(cls, *arguments, **settings)
                model = answer[0] if isinstance(answer, tuple) else answer
                with torch.no_grad():
                    next(weight for name, weight in model.named_parameters() if "mlp.down_proj" in name).zero_()
                return answer

            modeling.PreTrainedModel.from_pretrained = without_a_weight
    """
    in_subprocesses(monkeypatch, hidden(tmp_path, broken))
    is_sound, message = installation.check_evaluation()
    assert not is_sound
    assert message.startswith("the bundled model answers ")
    assert "but its known answer is -0.001, -8.601, -8.193, -9.124" in message


def test_a_folder_that_an_earlier_installation_left_is_a_fault(tmp_path, monkeypatch):
    left = tmp_path / "benchc_tasks"
    (left / "corruptions" / "__pycache__").mkdir(parents=True)
    find = importlib.util.find_spec

    def find_left(name):
        # setuptools' editable finder is asked after Python's own path, where the folder without code is found.
        return PathFinder.find_spec(name, [str(left)]) if name == "benchc_tasks.corruptions" else find(name)

    monkeypatch.setattr("importlib.util.find_spec", find_left)
    is_sound, message = doctor.check_files()
    assert not is_sound
    assert message.startswith(
        "benchc_tasks.corruptions is a folder without code that hides the installed package: "
        f"delete {left}, then install"
    )


@pytest.mark.parametrize(
    ("package", "found"), [("pydantic", "2.10.6"), ("transformers", "5.5.0"), ("pyarrow", "17.0.0")]
)
def test_a_package_that_is_too_old_is_a_fault_with_the_cure(tmp_path, package, found, monkeypatch):
    monkeypatch.setattr(doctor, "requires", lambda _: ["pydantic>=2.11", "transformers>=5.7", "pyarrow>=18"])
    monkeypatch.syspath_prepend(tmp_path)
    plant_distribution(tmp_path, package, found)
    is_sound, message = doctor.check_requirements()
    assert not is_sound
    assert message.startswith(f"{package} {found} does not work with benchc: run `pip install '{package}>=")


def test_a_missing_package_is_a_fault_with_the_cure(monkeypatch):
    monkeypatch.setattr(
        doctor, "requires", lambda _: ["filelock<4.3", "a-package-of-nobody>=2", "ruff; extra == 'dev'"]
    )
    is_sound, message = doctor.check_requirements()
    assert not is_sound
    assert message == "a-package-of-nobody is not installed: run `pip install 'a-package-of-nobody>=2'`"


def test_two_builds_of_opencv_are_a_fault_with_the_cure(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    plant_distribution(tmp_path, "opencv-python", "4.11.0.86")
    is_sound, message = doctor.check_opencv()
    assert not is_sound
    assert "opencv-python and opencv-python-headless are both installed" in message
    assert "pip install --no-deps imagecorruptions" in message


def test_an_opencv_without_its_libraries_is_a_fault_with_the_cure(tmp_path):
    (tmp_path / "cv2.py").write_text("raise ImportError('libGL.so.1: cannot open shared object file')\n")
    status, output = examined(tmp_path)
    assert status == 1
    assert "OpenCV does not import (libGL.so.1: cannot open shared object file)" in output
    assert "pip install opencv-python-headless" in output


@pytest.mark.parametrize("found", ["0.7.2", "0.8.0"])
def test_another_lmms_eval_is_a_fault(tmp_path, found, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    plant_distribution(tmp_path, "lmms-eval", found)
    is_sound, message = installation.check_version()
    assert not is_sound
    assert message.startswith(f"{found} is not ")
