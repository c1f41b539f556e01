"""Compare the speed of the corruption engine with the reference, side by side.

Both sides run on one thread and take turns, call by call; what counts is the least of the thread's CPU times, since
other work on the machine can only add to them. It also measures what `corrupt_many` saves over single calls, what all
cores bring, and, with `--compile`, how long the first use on a fresh install takes.

    python -m venv reference
    reference/bin/pip install -r tests/benchmarks/corruptions_reference_requirements.txt
    reference/bin/pip install --no-deps imagecorruptions==1.1.2
    python tests/benchmarks/corruptions_speed.py reference/bin/python --compile

Without an interpreter, only what needs no reference is measured:

    python tests/benchmarks/corruptions_speed.py --sizes 224 512 --repeats 20
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"

import cv2
import numpy as np

from benchc_tasks.corruptions import CORRUPTIONS, SEVERITIES, corrupt, corrupt_many

HERE = Path(__file__).parent
GOLDEN = HERE.parent / "benchc_tasks" / "corruptions" / "golden"


class Reference:
    """The reference in a process of its own interpreter."""

    def __init__(self, interpreter: str) -> None:
        self.process = subprocess.Popen(
            [interpreter, str(HERE / "corruptions_reference.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def ask(self, **request: Any) -> dict[str, Any]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def close(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()


def photograph(size: int) -> np.ndarray:
    """A photograph enlarged to `size` pixels, with the grain that enlarging took from it."""
    with np.load(GOLDEN / "golden_astro96.npz") as golden:
        large = cv2.resize(golden["input"], (size, size), interpolation=cv2.INTER_CUBIC)
    grain = np.random.default_rng(0).normal(0, 4, large.shape)
    return np.clip(large + grain, 0, 255).astype(np.uint8)


def measure(image: np.ndarray, name: str, severity: int, seed: int) -> float:
    start = time.thread_time()
    corrupt(image, name, severity, seed)
    return time.thread_time() - start


def compare(reference: Reference, size: int, repeats: int, names: list[str]) -> list[tuple[str, float, float]]:
    """Return (name, reference, ours): milliseconds of the five severities, the least of the repeats of each."""
    image = photograph(size)
    with tempfile.NamedTemporaryFile(suffix=".npy") as file:
        np.save(file.name, image)
        reference.ask(image=file.name)
    rows = []
    for name in names:
        theirs, ours = 0.0, 0.0
        for severity in SEVERITIES:
            reference.ask(name=name, severity=severity)
            measure(image, name, severity, 0)
            pairs = [
                (reference.ask(name=name, severity=severity)["seconds"], measure(image, name, severity, repeat))
                for repeat in range(repeats)
            ]
            theirs += min(pair[0] for pair in pairs) * 1000
            ours += min(pair[1] for pair in pairs) * 1000
        rows.append((name, theirs, ours))
    return rows


def print_table(heading: str, digits: int, tables: dict[int, list[tuple[str, float, float]]]) -> None:
    """Print a table of docs/corruptions.md: two times of each corruption and size, and their ratio to some digits."""

    def cell(slow: float, fast: float, decimals: int = 1) -> str:
        return f"{slow:.{decimals}f} / {fast:.{decimals}f} = {slow / fast:.{digits}f} x"

    print(f"| {heading} | " + " | ".join(f"{size} px" for size in tables) + " |")
    print("| --- |" + " --- |" * len(tables))
    for i, (name, _, _) in enumerate(next(iter(tables.values()))):
        print(f"| {name} | " + " | ".join(cell(*rows[i][1:]) for rows in tables.values()) + " |")
    sums = [(sum(row[1] for row in rows), sum(row[2] for row in rows)) for rows in tables.values()]
    print("| **all** | " + " | ".join(f"**{cell(*both, decimals=0)}**" for both in sums) + " |")


def sharing(size: int, repeats: int, names: list[str]) -> list[tuple[str, float, float]]:
    """Return (name, alone, together): milliseconds of a call for each severity, and of one for all, with one seed.

    Both take turns, in either order, and keep their five pictures. What counts is the least of the repeats of each.
    """
    image = photograph(size)
    rows = []
    for name in names:
        conditions = [(name, severity) for severity in SEVERITIES]
        alone, together = [], []
        for seed in range(repeats):
            for one_by_one in (True, False) if seed % 2 else (False, True):
                start = time.thread_time()
                if one_by_one:
                    pictures = [corrupt(image, *condition, seed) for condition in conditions]
                    alone.append(time.thread_time() - start)
                else:
                    pictures = corrupt_many(image, conditions, seed=seed, workers=1)
                    together.append(time.thread_time() - start)
                del pictures
        rows.append((name, min(alone) * 1000, min(together) * 1000))
    return rows


def scaling(size: int, repeats: int) -> str:
    """Say what all cores bring to `corrupt_many`."""
    image = photograph(size)
    conditions = [(name, severity) for name in CORRUPTIONS for severity in SEVERITIES]
    cores = len(os.sched_getaffinity(0))
    times: dict[int, list[float]] = {1: [], cores: []}
    for _ in range(repeats):
        for workers, measured in times.items():
            start = time.perf_counter()
            corrupt_many(image, conditions, workers=workers)
            measured.append(time.perf_counter() - start)
    one, many = min(times[1]), min(times[cores])
    return (
        f"corrupt_many, {size} px: {one * 1000:.0f} ms on one core, {many * 1000:.0f} ms on {cores}: {one / many:.2f} x"
    )


def first_use() -> str:
    """Say how long the first and the second process take for one image of all 95 conditions."""
    script = (
        "import time; start = time.process_time(); import numpy as np\n"
        "from benchc_tasks.corruptions import CORRUPTIONS, SEVERITIES, corrupt\n"
        "image = np.zeros((64, 64, 3), np.uint8)\n"
        "for name in CORRUPTIONS:\n    for severity in SEVERITIES:\n        corrupt(image, name, severity)\n"
        "print(time.process_time() - start)"
    )
    with tempfile.TemporaryDirectory() as cache:
        runs = [
            subprocess.run(
                [sys.executable, "-c", script],
                env={**os.environ, "NUMBA_CACHE_DIR": cache},
                capture_output=True,
                text=True,
                check=True,
            )
            for _ in range(2)
        ]
    first, second = (float(run.stdout) for run in runs)
    return f"first use, with compilation: {first:.1f} s of CPU time; from then on {second:.1f} s"


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("interpreter", nargs="?", help="the Python that has the reference")
    parser.add_argument("--sizes", type=int, nargs="+", default=[224, 512, 1024], metavar="PIXELS")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--only", nargs="+", default=list(CORRUPTIONS), metavar="NAME")
    parser.add_argument("--compile", action="store_true", help="also measure the first use on a fresh install")
    arguments = parser.parse_args()
    cv2.setNumThreads(1)

    if arguments.interpreter is not None:
        reference = Reference(arguments.interpreter)
        for image in ("astro96", "coffee80x120"):
            verified = reference.ask(verify=str(GOLDEN / f"golden_{image}.npz"))
            print(
                f"the reference reproduces {verified['same']} of 90 golden arrays of {image}, not {verified['missed']}"
            )
        against = {size: compare(reference, size, arguments.repeats, arguments.only) for size in arguments.sizes}
        print_table("corruption, ms at all five severities", 1, against)
        reference.close()
    shared = {size: sharing(size, arguments.repeats, arguments.only) for size in arguments.sizes}
    print_table("five calls / one `corrupt_many`, ms", 2, shared)
    print(scaling(512, arguments.repeats))
    if arguments.compile:
        print(first_use())
    return 0


if __name__ == "__main__":
    sys.exit(main())
