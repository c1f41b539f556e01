"""Measure memory over a long run: 20,000 conditions through lmms-eval, in this process, with the bundled model.

The samples are the bundled ones, repeated under new ids until there are enough. Resident memory is read after every
hundred conditions. What grows by design is counted apart: the requests, which lmms-eval makes before anything is
scored, and the answers, which it keeps to the end. Every corruption is used before, so that what it loads and keeps is
no growth. Exits with 1 if the rest grows by more than 1 KiB a condition, by a straight line through what was read
after the first 2,000 conditions.

    python tests/benchmarks/memory.py
"""

from __future__ import annotations

import argparse
import gc
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from lmms_eval.evaluator import simple_evaluate
from lmms_eval.tasks import TaskManager
from PIL import Image

import benchc_tasks.stacks.choice_model as model_module
from benchc_tasks.corruptions import CORRUPTIONS, SEVERITIES, corrupt_many
from benchc_tasks.datasets import load_dataset, write_dataset
from benchc_tasks.stacks.lmms_eval.model import BenchCModel
from benchc_tasks.stacks.progress import Progress
from task_yamls import tasks_path

CONDITIONS_OF_A_SAMPLE = 1 + len(CORRUPTIONS) * len(SEVERITIES)
WARM = 2_000
EVERY = 100
MOST_BYTES = 1024
"""What a condition may cost beside its answers."""
MIB = 2**20


class Watch(Progress):
    """The progress of a run that also reads the memory of this process."""

    read: list[tuple[int, int]] = []  # noqa: RUF012  # of the one run of this script
    requests = 0

    def __init__(self, requests: Sequence[Any], *arguments: Any, **settings: Any) -> None:
        super().__init__(requests, *arguments, **settings)
        Watch.requests = len(requests)
        Watch.read.append((0, resident()))

    def update(self, batch: Sequence[Any]) -> None:
        super().update(batch)
        if self._done % EVERY == 0:
            Watch.read.append((self._done, resident()))


def resident() -> int:
    return psutil.Process().memory_info().rss


def repeated(samples: int, path: Path) -> None:
    """Write the bundled samples, again and again under new ids."""
    rows = enumerate(islice(cycle(load_dataset()), samples))
    write_dataset(path, ({**row, "id": f"{row['id']} again {number}"} for number, row in rows))


def use_all_corruptions() -> None:
    """Under several seeds, since frost chooses among its pictures by the seed and keeps what it has read."""
    conditions = [(name, severity) for name in CORRUPTIONS for severity in SEVERITIES]
    for seed in range(20):
        corrupt_many(Image.new("RGB", (112, 112)), conditions, seed=seed)


class Named(BenchCModel):
    """Says which model it is, without which its answers are not kept."""

    def __repr__(self) -> str:
        return "benchc"


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--conditions", type=int, default=20_000)
    parser.add_argument("--batch_size", default=1)
    parser.add_argument("--use_cache", action="store_true", help="also keep the answers on disk")
    arguments = parser.parse_args()
    samples = -(-arguments.conditions // CONDITIONS_OF_A_SAMPLE)
    model_module.Progress = Watch  # type: ignore[misc]  # the same, watched
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "samples.parquet"
        repeated(samples, data)
        os.environ["BENCHC_DATASET"] = str(data)
        model = Named(batch_size=arguments.batch_size)
        use_all_corruptions()
        gc.collect()
        loaded = resident()
        start = time.perf_counter()
        results = simple_evaluate(
            model=model,
            tasks=["benchc"],
            task_manager=TaskManager(include_path=str(tasks_path()), include_defaults=False),
            use_cache=str(Path(folder) / "cache") if arguments.use_cache else None,
        )
        seconds = time.perf_counter() - start
    assert results is not None
    return report(loaded, seconds, results)


def report(loaded: int, seconds: float, results: dict[str, Any]) -> int:
    done, memory = np.array(Watch.read, dtype=float).T
    conditions = int(done[-1])
    # A tuple with a float of its own (True and False are shared) and a place in a list.
    answer = sys.getsizeof((0.5, True)) + sys.getsizeof(0.5) + 8
    answers = answer * Watch.requests / conditions
    ras = results["results"]["benchc"]["ras,none"]
    print(f"{conditions:,} conditions, {Watch.requests:,} requests, {seconds:.0f} s, ras {ras:.4f}")
    print(f"with the model loaded: {loaded / MIB:.0f} MiB")
    print(
        f"requests, before anything is scored: {(memory[0] - loaded) / MIB:.0f} MiB, "
        f"{(memory[0] - loaded) / Watch.requests:.0f} bytes each"
    )
    print("\n| conditions scored | resident memory, MiB |")
    print("| --- | --- |")
    for mark in np.unique(np.linspace(0, conditions, 11).round(-2).clip(0, conditions)):
        place = int(np.abs(done - mark).argmin())
        print(f"| {done[place]:,.0f} | {memory[place] / MIB:.1f} |")
    warm = done >= min(WARM, conditions / 2)
    slope, _ = np.polyfit(done[warm], memory[warm], 1)
    rest = slope - answers
    print(f"\nhighest: {memory.max() / MIB:.1f} MiB; at the end of the evaluation: {resident() / MIB:.1f} MiB")
    print(f"growth by a straight line: {slope:.0f} bytes a condition, of which answers {answers:.0f}")
    total = rest * conditions / MIB
    print(f"the rest: {rest:.0f} bytes a condition, {total:.1f} MiB over the run; allowed: {MOST_BYTES} bytes")
    return int(rest > MOST_BYTES)


if __name__ == "__main__":
    sys.exit(main())
