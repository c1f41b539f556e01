"""Time the README's main command from start to table, lmms-eval's own start apart.

    python tests/benchmarks/main_command.py [--limit N] [--batch-size N]

Without `--limit` it is the whole command: the bundled model on the bundled set under all 19 corruptions and the
control. Exits with 1 if that takes ten minutes or more, or leaves no results.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

LIMIT_SECONDS = 600
MILESTONES = {
    "Selected Tasks": "lmms-eval's own start: imports, index of its tasks",
    "Running loglikelihood requests": "model and dataset loaded, requests built",
    "Postprocessed": "answers: pictures rendered, conditions scored",
    "Bench-C|": "figures, files and table",
}


def run(arguments: list[str]) -> dict[str, float]:
    """Run the command and return the seconds from its start to each milestone and to its end."""
    start = time.perf_counter()
    reached: dict[str, float] = {}
    process = subprocess.Popen(
        [sys.executable, "-m", "lmms_eval", *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert process.stdout is not None
    for line in process.stdout:
        for milestone in MILESTONES:
            if milestone in line:
                reached.setdefault(milestone, time.perf_counter() - start)
    process.wait()
    reached["end"] = time.perf_counter() - start
    return reached


def main() -> int:
    """Time the command and print a row for each of its parts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--limit", type=int)
    parser.add_argument("--batch-size", default="1")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        arguments = ["--model", "benchc", "--tasks", "benchc,benchc-control", "--output_path", folder, "--log_samples"]
        arguments += ["--batch_size", chosen.batch_size]
        arguments += ["--limit", str(chosen.limit)] if chosen.limit else []
        reached = run(arguments)
        has_results = any(Path(folder).rglob("*_results.json"))
    before = 0.0
    for milestone, part in MILESTONES.items():
        until = reached.get(milestone, float("nan"))
        print(f"{until - before:8.1f} s  {part}")
        before = until
    print(f"{reached['end']:8.1f} s  in all, from start to end of the process")
    return 0 if has_results and reached["end"] < LIMIT_SECONDS else 1


if __name__ == "__main__":
    sys.exit(main())
