"""What the corruptions' tests share."""

import os
import subprocess
import sys
from collections.abc import Callable

import numpy as np
import pytest
from corruption_reference import GOLDEN, SHARED_GOLDEN

from benchc_tasks.corruptions import frost_textures_path


@pytest.fixture(scope="session")
def photograph() -> np.ndarray:
    """A photograph of 96 x 96 pixels."""
    with np.load(GOLDEN / "golden_astro96.npz") as golden:
        return golden["input"]


@pytest.fixture(scope="session")
def frost_textures() -> None:
    """Skip without the frost photographs."""
    try:
        frost_textures_path()
    except FileNotFoundError as missing:
        pytest.skip(str(missing))


@pytest.fixture(scope="session")
def frost_golden(frost_textures: None) -> None:
    """Skip without the golden arrays that show the frost photographs."""
    if not (SHARED_GOLDEN / "frost_astro96.npz").exists():
        pytest.skip(f"The golden frost arrays are not part of the repository, and not in {SHARED_GOLDEN.name}/ either.")


@pytest.fixture
def python() -> Callable[..., str]:
    """Run a script in a Python process of its own, and return what it prints."""

    def run(script: str, **environment: str) -> str:
        finished = subprocess.run(
            [sys.executable, "-c", script],
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            timeout=400,
            check=False,
        )
        assert finished.returncode == 0, finished.stderr
        return finished.stdout

    return run
