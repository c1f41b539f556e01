"""Choice scoring against lmms-eval's own way, on the bundled model and samples.

lmms-eval's own way is the `loglikelihood` of its backend `llava_hf`, run as it stands: for every option one forward
pass over prompt and option, and the image rendered and processed anew. transformers refuses one of its calls, which
counts the prompt's tokens by the processor without an image; here the tokenizer alone answers it, which is quicker.
Its loss counts the end of the turn behind the option too, so that its predictions are compared with those of benchc for
option and end of turn, in a pass that is not timed.

Both sides run in one process on the same cores with the same number of torch threads, in float32, in turns.

    python tests/benchmarks/choice_scoring.py --samples 12 --corruptions gaussian_noise fog jpeg_compression
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import cv2
import torch
from accelerate import Accelerator
from lmms_eval.api.instance import Instance
from lmms_eval.api.model import lmms

from benchc_metrics.benchmark import CLEAN, LETTERS, Condition
from benchc_tasks.corruptions import SEVERITIES
from benchc_tasks.datasets import SampleDataset, load_dataset
from benchc_tasks.demonstration import DEMONSTRATION_MODEL
from benchc_tasks.stacks.lmms_eval.backends import find_backend
from benchc_tasks.stacks.lmms_eval.model import BenchCModel
from benchc_tasks.stacks.pictures import ConditionedPicture
from benchc_tasks.stacks.prompting import Prompt

OWN, OURS = "lmms-eval's own way", "benchc"
OPTIONS = 4
WANTED = 3.5


class TextOnly:
    """A processor that tokenises a text without images by its tokenizer, and is otherwise the processor."""

    def __init__(self, processor: Any) -> None:
        self._processor = processor

    def __call__(self, text: list[str], images: Any = None, **settings: Any) -> Any:
        if images is None:
            return self._processor.tokenizer(text, **settings)
        return self._processor(text=text, images=images, **settings)


def lmms_evals_own_way() -> lmms:
    """Build lmms-eval's llava_hf on the bundled model."""
    own_class = find_backend("llava_hf")
    model = own_class(pretrained=str(DEMONSTRATION_MODEL), device="cpu", device_map="cpu", dtype="float32")
    model.accelerator = Accelerator()
    model.chat_template = model._image_processor.chat_template
    model._image_processor = TextOnly(model._image_processor)
    return model


def make_requests(samples: SampleDataset, count: int, corruptions: Sequence[str], end: str = "") -> list[Instance]:
    """Ask for every option of `count` samples of four options, clean and under each corruption and severity.

    `end` is written behind every option.
    """
    prompt = Prompt.for_model(None, None)
    conditions = [CLEAN, *(Condition(name, severity) for name in corruptions for severity in SEVERITIES)]
    chosen = [number for number in range(len(samples)) if len(samples[number]["options"]) == OPTIONS][:count]
    return [
        Instance(
            request_type="loglikelihood",
            arguments=(
                prompt.text(samples[number]["question"], samples[number]["options"]),
                letter + end,
                ConditionedPicture(samples.fingerprint, samples[number]["id"], condition),
                number,
                "benchmark",
                "test",
            ),
            idx=idx,
            metadata={"task": "benchmark", "doc_id": number, "repeats": 1},
        )
        for number in chosen
        for condition in conditions
        for idx, letter in enumerate(LETTERS[:OPTIONS])
    ]


def rate(model: lmms, requests: list[Instance]) -> tuple[float, list[int]]:
    """Return conditions a second, and the option that scores best in each condition."""
    start = time.perf_counter()
    scores = [score for score, _ in model.loglikelihood(requests)]
    seconds = time.perf_counter() - start
    # lmms-eval's backends return losses, which are positive; benchc returns log-likelihoods.
    likelihoods = [-score if score > 0 else score for score in scores]
    of_conditions = [likelihoods[start : start + OPTIONS] for start in range(0, len(likelihoods), OPTIONS)]
    return len(of_conditions) / seconds, [max(range(OPTIONS), key=some.__getitem__) for some in of_conditions]


def limit_cores(cores: int) -> None:
    """Keep this process on `cores` cores, and torch and OpenCV to as many threads."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:cores])
    torch.set_num_threads(cores)
    cv2.setNumThreads(cores)


def main() -> None:
    """Measure both ways in turns and print conditions a second and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--samples", type=int, default=12)
    parser.add_argument("--corruptions", nargs="+", default=["gaussian_noise", "fog", "jpeg_compression"])
    parser.add_argument("--batch-size", type=int, default=1)
    parser.add_argument("--cores", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=3)
    settings = parser.parse_args()
    limit_cores(settings.cores)

    samples = load_dataset()
    requests = make_requests(samples, settings.samples, settings.corruptions)
    ways: dict[str, Callable[[], lmms]] = {
        OWN: lmms_evals_own_way,
        OURS: lambda: BenchCModel(batch_size=settings.batch_size, device="cpu"),
    }
    models = {name: build() for name, build in ways.items()}
    rates: dict[str, list[float]] = {name: [] for name in models}
    answers: dict[str, list[int]] = {}
    for model in models.values():
        model.task_dict = {"benchmark": {"test": samples}}
        model.loglikelihood(requests[: 16 * OPTIONS])
    for _ in range(settings.rounds):
        for name, model in models.items():
            measured, answers[name] = rate(model, requests)
            rates[name].append(measured)

    own, ours = (statistics.median(some) for some in rates.values())
    ended = make_requests(samples, settings.samples, settings.corruptions, end=models[OWN].tokenizer.eos_token)
    _, same_work = rate(models[OURS], ended)
    same = sum(one == other for one, other in zip(answers[OWN], same_work, strict=True))
    print(
        f"{platform.machine()}, {settings.cores} core(s), torch {torch.__version__}, batch size {settings.batch_size}: "
        f"{settings.samples} samples x {len(requests) // OPTIONS // settings.samples} conditions x {OPTIONS} options, "
        f"median of {settings.rounds}"
    )
    for name, some in rates.items():
        print(f"{name:>20}: {statistics.median(some):7.1f} conditions/s  ({', '.join(f'{one:.1f}' for one in some)})")
    print(f"{'ratio':>20}: {ours / own:7.2f}  (wanted: {WANTED})")
    print(f"{'same prediction':>20}: {same} of {len(requests) // OPTIONS} (end of turn counted)")


if __name__ == "__main__":
    main()
