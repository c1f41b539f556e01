"""Split the seconds from `python -m lmms_eval --model benchc ...` to its table into lmms-eval's part and ours.

    python tests/benchmarks/start.py [--runs N]

One sample of `benchc_fog` by the bundled model. Prints the least of the runs for each part, in seconds of processor
time, which other programs of the machine change less than the clock's, and the packages whose import takes longest. A
first run, which is not counted, leaves the byte code of all modules and the compiled corruptions, as an installation by
pip and an earlier run do.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

COMMAND = ("--model", "benchc", "--tasks", "benchc_fog", "--limit", "1", "--log_samples", "--output_path")

RUN = """
import atexit, functools, json, os, sys, time
import lmms_eval.__main__ as program
spans = {"python and lmms-eval's imports": time.process_time()}

def timed(name, owner, method):
    original = getattr(owner, method)
    @functools.wraps(original)
    def call(*arguments, **settings):
        before = time.process_time()
        try:
            return original(*arguments, **settings)
        finally:
            spans[name] = spans.get(name, 0) + time.process_time() - before
    setattr(owner, method, call)

before = time.process_time()
from benchc_tasks.stacks.lmms_eval.model import BenchCModel
from benchc_tasks.stacks.lmms_eval.task import BenchCTask
from benchc_tasks.stacks import aggregators
spans["our imports"] = time.process_time() - before
timed("lmms-eval's index of its tasks", program.TaskManager, "__init__")
timed("our dataset", BenchCTask, "__init__")
timed("our model", BenchCModel, "__init__")
timed("our requests", BenchCTask, "build_all_requests")
timed("our answers: 6 pictures, 6 forward passes", BenchCModel, "loglikelihood")
timed("our record and metrics", BenchCTask, "process_results")
ending = lambda: (spans.update(whole=time.process_time()), json.dump(spans, open(os.environ["SPANS"], "w")))
atexit.register(ending)
program.cli_evaluate()
"""


def environment(folder: Path) -> dict[str, str]:
    """Return variables with which Python keeps byte code; where it may not write any, imports take twice as long."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {**kept, "PYTHONPYCACHEPREFIX": str(folder / "bytecode"), "SPANS": str(folder / "spans.json")}


def run(folder: Path) -> dict[str, float]:
    """Run the command once and return the seconds of each part."""
    command = [sys.executable, "-c", RUN, *COMMAND, str(folder / "runs")]
    subprocess.run(command, check=True, capture_output=True, env=environment(folder))
    seconds: dict[str, float] = json.loads((folder / "spans.json").read_text())
    if "our record and metrics" not in seconds:
        raise SystemExit("the run ended early: run the command itself and read its last error")
    whole = seconds.pop("whole")
    seconds["the rest of lmms-eval: its loop, table and files"] = whole - sum(seconds.values())
    return {**seconds, "whole": whole}


def import_seconds(folder: Path) -> Counter[str]:
    """Return the seconds that each package's own modules take to import, by `-X importtime`."""
    command = [sys.executable, "-X", "importtime", "-m", "lmms_eval", *COMMAND, str(folder / "runs")]
    told = subprocess.run(command, check=True, capture_output=True, text=True, env=environment(folder)).stderr
    seconds: Counter[str] = Counter()
    for own, name in re.findall(r"^import time:\s+(\d+) \|\s+\d+ \|\s*([\w.]+)", told, flags=re.MULTILINE):
        seconds[name.split(".")[0]] += int(own) / 1e6
    return seconds


def main() -> None:
    """Run, and print the two tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=3)
    count = parser.parse_args().runs
    with tempfile.TemporaryDirectory() as folder:
        run(Path(folder))
        runs = [run(Path(folder)) for _ in range(count)]
        packages = import_seconds(Path(folder))
    least = {name: min(each[name] for each in runs) for name in runs[0]}
    print("| part | processor seconds |\n| --- | ---: |")
    for name, seconds in least.items():
        print(f"| {name} | {seconds:.2f} |")
    ours = sum(seconds for name, seconds in least.items() if name.startswith("our "))
    print(f"| **ours** | **{ours:.2f}** |")
    print("\n| package | seconds to import |\n| --- | ---: |")
    for name, seconds in packages.most_common(12):
        print(f"| {name} | {seconds:.2f} |")


if __name__ == "__main__":
    main()
