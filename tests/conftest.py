"""What tests of several rooms share: lmms-eval as a user runs it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")


@dataclass(frozen=True)
class Evaluation:
    """What a run of lmms-eval left behind."""

    output: str
    folder: Path

    @property
    def results(self) -> dict[str, Any]:
        """The results file, of which there is one."""
        (path,) = self.folder.rglob("*_results.json")
        return json.loads(path.read_text(encoding="utf-8"))

    def samples(self, task: str) -> list[dict[str, Any]]:
        """The rows of a task's samples log."""
        (path,) = self.folder.rglob(f"*_samples_{task}.jsonl")
        return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.fixture
def lmms_eval(tmp_path: Path) -> Callable[..., Evaluation]:
    """Run lmms-eval in a process of its own, outside the checkout, and collect its output and files."""

    def run(
        arguments: Sequence[str], *, preamble: str = "", environment: dict[str, str] | None = None, folder: str = "runs"
    ) -> Evaluation:
        output_path = tmp_path / folder
        command = [sys.executable, "-m", "lmms_eval"]
        if preamble:
            # lmms-eval as __main__, after something of its own was changed: what a later version might look like
            script = (
                f"import runpy, sys\n{preamble}\nrunpy.run_module('lmms_eval', run_name='__main__', alter_sys=True)"
            )
            command = [sys.executable, "-c", script]
        finished = subprocess.run(
            [*command, *arguments, "--output_path", str(output_path), "--log_samples"],
            cwd=tmp_path,
            env={**os.environ, "HF_HOME": str(tmp_path / "hf"), **(environment or {})},
            capture_output=True,
            text=True,
            timeout=500,
            check=False,
        )
        return Evaluation(output=finished.stdout + finished.stderr, folder=output_path)

    return run
