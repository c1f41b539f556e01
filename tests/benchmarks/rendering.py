"""Compare the speed of rendering with that of a 7B model on a GPU.

Measured: pictures a second by 1, 2, ... threads, through the code that feeds the model, from the encoded image under
all 95 corrupted conditions and the clean one; and what the image processor of Qwen2.5-VL needs, which runs in a thread
of its own. Rates are by the wall clock, the best of some rounds, and mean something on a quiet machine only.

Computed, not measured: what the model takes. A condition is one forward pass over the picture's tokens and those of
the prompt, of 2 FLOP a parameter and token, at 40 % of the card's dense bf16 peak:

    conditions a second = 0.4 x peak / (2 x 7e9 x (tokens of the picture + 64))

A picture has a token for 28 x 28 pixels, as Qwen2.5-VL counts them. The vision tower, attention, and all that a program
does between two passes are left out, so that a real model takes fewer.

Exits with 1 if a card would need more threads than `render_threads` has at most by default.

    python tests/benchmarks/rendering.py
"""

from __future__ import annotations

import argparse
import io
import math
import os
import statistics
import sys
import time
from collections.abc import Callable
from functools import partial

os.environ["OMP_NUM_THREADS"] = "1"  # as torchrun and accelerate set it

import cv2
import torch
from corruptions_speed import photograph
from PIL import Image
from transformers import Qwen2VLImageProcessor

from benchc_metrics.benchmark import CLEAN, Condition
from benchc_tasks.corruptions import CORRUPTIONS, SEVERITIES
from benchc_tasks.datasets import decode_image
from benchc_tasks.models.devices import available_cores
from benchc_tasks.models.rendering import map_ahead
from benchc_tasks.stacks.pictures import ConditionedPicture

CONDITIONS = (CLEAN, *(Condition(name, severity) for name in CORRUPTIONS for severity in SEVERITIES))
PARAMETERS = 7e9
PROMPT_TOKENS = 64
EFFICIENCY = 0.4
PEAKS = {"A100 SXM": 312e12, "H100 SXM": 989e12, "B200 SXM": 2250e12}
"""Dense bf16 FLOP a second, from the data sheets."""
MOST_THREADS = 8
"""What `render_threads` is at most by default."""


def encoded(image: Image.Image, kind: str) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **({"quality": 95} if kind == "JPEG" else {}))
    return buffer.getvalue()


def milliseconds(work: Callable[[], object], repeats: int) -> float:
    """Processor time of this thread, the median of some repeats."""
    times = []
    for _ in range(repeats):
        start = time.thread_time()
        work()
        times.append((time.thread_time() - start) * 1000)
    return statistics.median(times)


def pictures_a_second(image: bytes, threads: int, number: int) -> float:
    pictures = [ConditionedPicture("", f"sample {number}", condition) for condition in CONDITIONS]
    start = time.perf_counter()
    rendered = map_ahead(lambda shown: shown({"image": image}), pictures, threads=threads, look_ahead=24)
    return sum(1 for _ in rendered) / (time.perf_counter() - start)


def best_rates(image: bytes, counts: list[int], rounds: int) -> dict[int, float]:
    """For each number of threads the best of some rounds in turns, since other work on the machine only slows."""
    pictures_a_second(image, 1, 0)
    measured = [{count: pictures_a_second(image, count, number) for count in counts} for number in range(rounds)]
    return {count: max(rates[count] for rates in measured) for count in counts}


def slowest(image: bytes, repeats: int) -> list[tuple[str, float]]:
    costs = {}
    for condition in CONDITIONS:
        shown = ConditionedPicture("", "a sample", condition)
        costs[str(condition)] = milliseconds(partial(shown, {"image": image}), repeats)
    return sorted(costs.items(), key=lambda cost: -cost[1])[:5]


def conditions_a_second(peak: float, size: int) -> float:
    """What the model takes, see above."""
    return EFFICIENCY * peak / (2 * PARAMETERS * (round(size / 28) ** 2 + PROMPT_TOKENS))


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[448, 512, 1024], metavar="PIXELS")
    parser.add_argument("--format", choices=("PNG", "JPEG"), default="PNG", help="how the dataset keeps its images")
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    torch.set_num_threads(1)

    cores = available_cores()
    counts = [count for count in (1, 2, 4, 8, 16) if count < cores] + [cores]
    processor = Qwen2VLImageProcessor()
    rates: dict[int, dict[int, float]] = {}
    processing: dict[int, float] = {}
    for size in arguments.sizes:
        image = Image.fromarray(photograph(size))
        data = encoded(image, arguments.format)
        rates[size] = best_rates(data, counts, arguments.rounds)
        processing[size] = milliseconds(partial(processor, images=[image], return_tensors="pt"), 9)
        decoding = {
            kind: milliseconds(partial(decode_image, encoded(image, kind), sample="a sample"), 9)
            for kind in ("PNG", "JPEG")
        }
        worst = ", ".join(f"{name} {cost:.0f}" for name, cost in slowest(data, arguments.rounds))
        print(f"{size} px: decoding takes {decoding['PNG']:.1f} ms from PNG, {decoding['JPEG']:.1f} ms from JPEG")
        print(f"{size} px: the slowest conditions with their decoding from {arguments.format}, ms: {worst}")

    print(f"\n| pictures a second from {arguments.format} | " + " | ".join(f"{size} px" for size in rates) + " |")
    print("| --- |" + " --- |" * len(rates))
    for count in counts:
        cells = [f"{rate[count]:.0f} ({rate[count] / rate[1]:.2f} x)" for rate in rates.values()]
        print(f"| {count} thread{'s' * (count > 1)} | " + " | ".join(cells) + " |")
    cells = [f"{1000 / cost:.0f} ({cost:.1f} ms each)" for cost in processing.values()]
    print("| image processor, one thread | " + " | ".join(cells) + " |")

    print("\n| a 7B model on | " + " | ".join(f"{size} px" for size in rates) + " |")
    print("| --- |" + " --- |" * len(rates))
    most = 0
    for card, peak in PEAKS.items():
        cells = []
        for size, rate in rates.items():
            need = conditions_a_second(peak, size)
            threads = math.ceil(need / rate[1])
            most = max(most, threads)
            cells.append(
                f"{need:.0f}/s: {threads} thread{'s' * (threads > 1)}, processor {need * processing[size] / 10:.0f} %"
            )
        print(f"| {card} | " + " | ".join(cells) + " |")
    print(f"\nthe most threads needed: {most}; render_threads has up to {MOST_THREADS} by default")
    return most > MOST_THREADS


if __name__ == "__main__":
    sys.exit(main())
