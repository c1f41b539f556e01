"""Measure time and size of a report on thirteen models: `python tests/benchmarks/report.py`.

Writes thirteen runs of 849 samples under all conditions as lmms-eval does, then runs `benchc report` on them in a
process of its own: reading, intervals, charts, and a gallery of 640 x 480 pictures. Wall time depends on what else the
machine does; processor time is printed beside it.
"""

from __future__ import annotations

import argparse
import io
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from benchc_tasks.corruptions import ENGINE_VERSION
from benchc_tasks.datasets import load_dataset, write_dataset

# Behind the packages: the folders of their tests have the same names.
sys.path.append(str(Path(__file__).resolve().parents[1]))

from run_folders import made_run, write_run

MODELS, SAMPLES = 13, 849
LONGEST_SECONDS, LARGEST_MEGABYTES = 60.0, 25.0


def picture(number: int) -> bytes:
    """A photograph's worth of detail: smooth colour and noise, as JPEG."""
    draw = np.random.default_rng(number)
    smooth = Image.fromarray(draw.integers(0, 256, (12, 16, 3), dtype=np.uint8)).resize(
        (640, 480), Image.Resampling.BICUBIC
    )
    pixels = np.clip(np.asarray(smooth, dtype=np.int16) + draw.normal(0, 8, (480, 640, 3)), 0, 255)
    buffer = io.BytesIO()
    Image.fromarray(pixels.astype(np.uint8)).save(buffer, format="JPEG", quality=85)
    return buffer.getvalue()


def write_everything(folder: Path, models: int, samples: int) -> None:
    """Write a dataset, and runs over it."""
    base = made_run(samples, seed=1)
    rows = [
        {
            "id": sample,
            "image": picture(place),
            "question": f"What is shown in picture {place}, and where does it stand?",
            "options": [f"the thing number {option}" for option in range(count)],
            "answer": answer,
        }
        for place, (sample, count, answer) in enumerate(
            zip(base.sample_ids, base.option_counts.tolist(), base.answers.tolist(), strict=True)
        )
    ]
    write_dataset(folder / "dataset.parquet", rows)
    fingerprint = load_dataset(folder / "dataset.parquet").fingerprint
    for place in range(models):
        run = made_run(samples, seed=1, noise=0.1 + 0.05 * place, model=f"lab/model-{place}b")
        metadata = replace(run.metadata, dataset=fingerprint, engine=ENGINE_VERSION)
        write_run(replace(run, metadata=metadata), folder / "runs" / f"model-{place}")


def main() -> int:
    """Measure; the exit status is 1 if a limit is passed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", type=int, default=MODELS)
    parser.add_argument("--samples", type=int, default=SAMPLES)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_everything(folder, chosen.models, chosen.samples)
        report = folder / "report.html"
        runs = sorted(str(path) for path in (folder / "runs").iterdir())
        before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        subprocess.run(
            [
                sys.executable,
                "-m",
                "benchc_tasks.commands.cli",
                "report",
                *runs,
                "-o",
                str(report),
                "--dataset",
                str(folder / "dataset.parquet"),
            ],
            check=True,
        )
        seconds, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
        megabytes = report.stat().st_size / 1e6
    processor = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    print(f"{chosen.models} models x {chosen.samples} samples: {seconds:.1f} s ({processor:.1f} s of processor time)")
    print(f"{megabytes:.1f} MB; at most {after.ru_maxrss / 1e6:.2f} GB of memory")
    return 0 if seconds < LONGEST_SECONDS and megabytes < LARGEST_MEGABYTES else 1


if __name__ == "__main__":
    sys.exit(main())
