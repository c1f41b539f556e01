"""Compile the corruptions in several processes, while a model is built.

python tests/benchmarks/gpu/kernels.py gaussian_noise fog       # those two, in this process
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.extend(str(Path(__file__).resolve().parents[level]) for level in (2, 3))

import numpy as np

from benchc_metrics.benchmark import CORRUPTION_FAMILIES, SEVERITIES
from benchc_tasks.corruptions import corrupt

__all__ = ["compile_in_background"]

CORES_LEFT = 2
MOST_PROCESSES = 8


def compile_in_background(cores: int) -> list[subprocess.Popen[bytes]]:
    """Start processes that compile all corruptions into numba's cache.

    Returns
    -------
    list of subprocess.Popen
        To be waited for before anything is rendered.
    """
    names = list(CORRUPTION_FAMILIES)
    processes = max(1, min(MOST_PROCESSES, cores - CORES_LEFT))
    return [
        subprocess.Popen([sys.executable, __file__, *names[first::processes]], env={**os.environ})
        for first in range(processes)
    ]


def compile_here(names: Sequence[str]) -> None:
    """Render a small picture under each of the corruptions."""
    picture = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    for name in names:
        for severity in SEVERITIES:
            corrupt(picture, name, severity, seed=0)


if __name__ == "__main__":
    compile_here(sys.argv[1:])
