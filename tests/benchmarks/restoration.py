"""Measure what restorers cure and cost: the bundled model and set without restoration and with each restorer.

    python tests/benchmarks/restoration.py --restorers median nlm

Prints the table of docs/restoration.md, and for each restorer the sentence of `benchc compare`.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np

from benchc_metrics.findings.restoration import note_on_restoration
from benchc_metrics.runs import Run, read_run
from benchc_metrics.statistics.estimates import compare, estimate
from benchc_tasks.demonstration import DEMONSTRATION_MODEL
from benchc_tasks.restoration import RESTORERS, find_restorer
from benchc_tasks.stacks.lmms_eval.evaluation import evaluate


def evaluated(folder: Path, restorer: str | None, tasks: str, batch_size: int) -> Run:
    """Run the bundled model, or read the run that is there."""
    if found := list(folder.rglob("*_results.json")) if folder.exists() else []:
        return read_run(found[0].parent)
    arguments = {"pretrained": str(DEMONSTRATION_MODEL), **({"restore": restorer} if restorer else {})}
    return evaluate(folder, model_args=arguments, tasks=tasks, options={"batch_size": batch_size}, echo=False)


def milliseconds(restorer: str, repeats: int = 20) -> float:
    """Median time of one picture of 224 x 224 pixels."""
    pixels = np.random.default_rng(0).integers(0, 256, (224, 224, 3), dtype=np.uint8)
    function = find_restorer(restorer).function
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        function(pixels)
        times.append(time.perf_counter() - start)
    return 1000 * float(np.median(times))


def main() -> None:
    """Run, and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--restorers", nargs="+", default=["median", "nlm"], choices=list(RESTORERS))
    parser.add_argument("--tasks", default="benchc")
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--folder", type=Path, help="keep the runs here, and read those that are there")
    settings = parser.parse_args()
    folder = settings.folder or Path(tempfile.mkdtemp(prefix="benchc-restoration-"))
    plain = evaluated(folder / "none", None, settings.tasks, settings.batch_size)
    print("| restorer | clean accuracy | accuracy under corruption | RAS | ms a picture |")
    print("| --- | --- | --- | --- | --- |")
    notes = []
    for name in (None, *settings.restorers):
        run = plain if name is None else evaluated(folder / name, name, settings.tasks, settings.batch_size)
        whole = estimate(run)
        cells = [f"{100 * whole.of(metric).value:.1f} %" for metric in ("acc_clean", "acc_corrupted")]
        cost = "0" if name is None else f"{milliseconds(name):.1f}"
        print(f"| {name or 'none'} | {' | '.join(cells)} | {whole.of('ras').value:.4f} | {cost} |", flush=True)
        if name is not None:
            ras = compare(run, plain).of("ras")
            notes.append(f"{note_on_restoration(run, plain)} RAS: {ras.value:+.4f} [{ras.low:+.4f}, {ras.high:+.4f}].")
    print("\n".join(("", *notes)))


if __name__ == "__main__":
    main()
