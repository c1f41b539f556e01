"""Measure time and memory of `benchc select` on a pool of 100,000 samples and on one of twice as many.

    python tests/benchmarks/selection_scale.py [--samples 100000] [--folder FOLDER]

Answers of 13 models under 20 conditions to every sample, logits of 4 options each, are generated as one parquet table
(26 million rows), and so is the pool, with a small image a sample. They are removed afterwards, unless a folder is
named. Wanted on two cores: under 90 s and under 4 GiB, and for twice the samples at most 2.3 times the time.
"""

from __future__ import annotations

import argparse
import io
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from benchc_tasks.datasets import write_dataset

MODELS, CONDITIONS, OPTIONS = 13, 20, 4
TOPICS, WORDS_OF_TOPIC, COMMON_WORDS = 400, 40, 2000
SIZE = 849


def write_pool(path: Path, samples: int) -> None:
    """Write a pool whose questions are about one of 400 topics each, in words that no one knows."""
    draw = np.random.default_rng(0)

    def rows() -> Iterator[dict[str, Any]]:
        for number in range(samples):
            topic = int(draw.integers(TOPICS))
            own = [f"t{topic}w{word}" for word in draw.integers(WORDS_OF_TOPIC, size=6)]
            common = [f"w{word}" for word in draw.zipf(1.3, size=8) % COMMON_WORDS]
            stream = io.BytesIO()
            Image.fromarray(draw.integers(0, 256, (2, 2, 3), dtype=np.uint8)).save(stream, "PNG")
            yield {
                "id": f"sample-{number:06d}",
                "image": stream.getvalue(),
                "question": " ".join([*own, *common]),
                "options": [f"t{topic}w{word} {place}" for place, word in enumerate(draw.integers(40, size=OPTIONS))],
                "answer": int(draw.integers(OPTIONS)),
                "source": "generated",
                "category": f"topic {topic % 20}",
            }

    write_dataset(path, rows())


def write_answers(path: Path, pool: Path, samples: int) -> int:
    """Write the logits of models of different strength, which corruptions pull down; return the number of rows."""
    draw = np.random.default_rng(1)
    answers = pq.read_table(pool, columns=["answer"])["answer"].to_numpy()
    hardness, slope = draw.normal(size=samples), draw.gamma(2.0, size=samples)
    ids = pa.array([f"sample-{number:06d}" for number in range(samples)])
    positions = pa.array(np.arange(samples, dtype=np.int32))
    # The clean answers come last, behind those that are compared with them.
    conditions = [*(f"corruption{number // 5}@{number % 5 + 1}" for number in range(CONDITIONS - 1)), "clean"]
    schema = pa.schema(
        [
            ("model", pa.dictionary(pa.int32(), pa.string())),
            ("sample", pa.dictionary(pa.int32(), pa.string())),
            ("condition", pa.dictionary(pa.int32(), pa.string())),
            ("logits", pa.list_(pa.float32())),
        ]
    )
    with pq.ParquetWriter(path, schema) as writer:
        for model in range(MODELS):
            for place, condition in enumerate(conditions):
                severity = (place % 5 + 1) / 5 if condition != "clean" else 0.0
                logits = draw.standard_normal((samples, OPTIONS), dtype=np.float32)
                logits[np.arange(samples), answers] += 1 + model / 6 - hardness - severity * slope
                columns = [
                    pa.DictionaryArray.from_arrays(pa.array(np.zeros(samples, dtype=np.int32)), [f"model-{model:02d}"]),
                    pa.DictionaryArray.from_arrays(positions, ids),
                    pa.DictionaryArray.from_arrays(pa.array(np.zeros(samples, dtype=np.int32)), [condition]),
                    pa.ListArray.from_arrays(
                        pa.array(np.arange(samples + 1, dtype=np.int32) * OPTIONS), pa.array(logits.reshape(-1))
                    ),
                ]
                writer.write_table(pa.table(columns, schema=schema))
    return MODELS * CONDITIONS * samples


def measure(folder: Path, samples: int) -> tuple[float, float, float]:
    """Generate a pool and answers, select from them in a process of its own; return seconds, processor seconds, GiB."""
    pool, answers = folder / f"pool-{samples}.parquet", folder / f"answers-{samples}.parquet"
    if not answers.exists():
        write_pool(pool, samples)
        write_answers(answers, pool, samples)
    output = tempfile.mkdtemp(dir=folder)
    command = [sys.executable, "-c", "import sys; from benchc_tasks.commands.cli import main; sys.exit(main())"]
    command += ["select", str(pool), "--answers", str(answers)]
    start = time.perf_counter()
    process = subprocess.Popen([*command, "--size", str(SIZE), "-o", output])
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"the selection failed with exit status {process.returncode}")
    return seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 2**20


def main() -> None:
    """Measure both sizes and print what is wanted beside them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=100_000)
    parser.add_argument("--folder", type=Path, help="keep the generated data there")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        found = {samples: measure(folder, samples) for samples in (arguments.samples, 2 * arguments.samples)}
    for samples, (seconds, processor, gibibytes) in found.items():
        answers = samples * MODELS * CONDITIONS / 1e6
        print(
            f"{samples:,} samples, {answers:.1f} million answers: {seconds:.1f} s ({processor:.1f} s of processor time)"
        )
        print(f"    {gibibytes:.2f} GiB at the peak")
    once, twice = found.values()
    ratios = [after / before for before, after in zip(once[:2], twice[:2], strict=True)]
    print(f"twice the samples take {ratios[0]:.2f} times the time ({ratios[1]:.2f} times the processor's)")
    print("wanted: under 90 s and under 4 GiB on two cores, and at most 2.3 times the time")


if __name__ == "__main__":
    main()
