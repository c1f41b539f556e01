"""`benchc doctor` in processes of its own, sound and with planted faults."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest


def examined(first_on_path: Path | None = None) -> tuple[int, str]:
    environment = dict(os.environ, COLUMNS="200")
    if first_on_path is not None:
        environment["PYTHONPATH"] = os.pathsep.join([str(first_on_path), environment.get("PYTHONPATH", "")])
    finished = subprocess.run(
        [sys.executable, "-m", "benchc_tasks.commands.cli", "doctor"],
        capture_output=True,
        text=True,
        env=environment,
        timeout=200,
        check=False,
    )
    return finished.returncode, finished.stdout + finished.stderr


def plant_distribution(folder: Path, name: str, version: str) -> None:
    metadata = folder / f"{name.replace('-', '_')}-{version}.dist-info" / "METADATA"
    metadata.parent.mkdir(parents=True)
    metadata.write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n", encoding="utf-8")


def test_a_sound_installation_passes():
    status, output = examined()
    assert status == 0, output
    for subject in ("lmms-eval", "plugin", "OpenCV", "frost textures", "demonstration set and model", "torch"):
        assert f"ok   {subject}: " in output


def test_two_builds_of_opencv_are_a_fault_with_the_cure(tmp_path):
    plant_distribution(tmp_path, "opencv-python", "4.11.0.86")
    status, output = examined(tmp_path)
    assert status == 1
    assert "fault OpenCV: opencv-python and opencv-python-headless are both installed" in output
    assert "pip install --no-deps imagecorruptions" in output


def test_an_opencv_without_its_libraries_is_a_fault_with_the_cure(tmp_path):
    (tmp_path / "cv2.py").write_text("raise ImportError('libGL.so.1: cannot open shared object file')\n")
    status, output = examined(tmp_path)
    assert status == 1
    assert "OpenCV does not import (libGL.so.1: cannot open shared object file)" in output
    assert "pip install opencv-python-headless" in output


@pytest.mark.parametrize("version", ["0.7.2", "0.8.0"])
def test_another_lmms_eval_is_a_fault(tmp_path, version):
    plant_distribution(tmp_path, "lmms-eval", version)
    status, output = examined(tmp_path)
    assert status == 1
    assert f"fault lmms-eval: {version} is not" in output
