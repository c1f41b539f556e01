"""Measure option scoring on a GPU, with models of random weights: speed, waiting, memory, precision, determinism.

    python tests/benchmarks/gpu/measure.py --output results            # on a GPU: Qwen3-VL 8B and 2B, bf16
    python tests/benchmarks/gpu/measure.py --toy --output results      # on a CPU, to try the script

Writes `gpu.json` and `gpu.md` into the output folder after each part, so that a run that is cut short leaves what it
has. See README.md beside this file for the parts and what the machine has to have.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
sys.path.extend(str(Path(__file__).resolve().parents[level]) for level in (0, 2, 3))

import cv2
import numpy as np
import torch
import transformers
from inquiries import CONDITIONS, Sample, ShownSample, inquiries, make_samples
from shapes import build_model, build_processor

from benchc_metrics.metrics import ras
from benchc_tasks.datasets import decode_image, load_dataset
from benchc_tasks.demonstration import DEMONSTRATION_MODEL, DEMONSTRATION_SET
from benchc_tasks.models.chat import ChatFormat
from benchc_tasks.models.choice import TransformersChoiceScorer
from benchc_tasks.models.pipeline import score_ahead
from benchc_tasks.models.questions import Question
from benchc_tasks.models.rendering import map_ahead
from benchc_tasks.stacks.prompting import LETTERS, Prompt

SAMPLES = 849
FULL_PASSES, LITE_PASSES = 96, 20
LOOK_AHEAD = 3


@dataclass(frozen=True)
class Plan:
    """Sizes of the measurements.

    Attributes
    ----------
    sizes : tuple of str
        Models, the first of which is measured in full.
    device : torch.device
    dtype : torch.dtype
    side : int
        Pixels of a picture's side.
    batches : tuple of int
        Batch sizes.
    threads : tuple of int
        Numbers of render threads.
    conditions : int
        Conditions of an end-to-end measurement; at least 500 on a GPU.
    repeats : int
        Passes over a prepared batch.
    options : tuple of int
        Numbers of options at which ours is compared with one pass an option.
    compared : int
        Conditions of that comparison.
    demonstration : int
        Samples of the bundled set at which precisions are compared.
    """

    sizes: tuple[str, ...]
    device: torch.device
    dtype: torch.dtype
    side: int
    batches: tuple[int, ...]
    threads: tuple[int, ...]
    conditions: int
    repeats: int
    options: tuple[int, ...]
    compared: int
    demonstration: int


@dataclass
class Results:
    """The measurements so far, written after each part."""

    folder: Path
    facts: dict[str, Any]
    parts: dict[str, Any] = field(default_factory=dict)
    started: float = field(default_factory=time.perf_counter)

    def add(self, name: str, value: object) -> None:
        """Keep a part and write all of them."""
        self.parts[name] = value
        self.facts["seconds"] = round(time.perf_counter() - self.started, 1)
        self.folder.mkdir(parents=True, exist_ok=True)
        written = {"schema": "benchc.gpu/1", **self.facts, **self.parts}
        (self.folder / "gpu.json").write_text(json.dumps(written, indent=1) + "\n", encoding="utf-8", newline="\n")
        (self.folder / "gpu.md").write_text(table_of(written), encoding="utf-8", newline="\n")
        print(f"[{self.facts['seconds']:7.1f} s] {name}: {json.dumps(value)}", flush=True)


def main() -> None:
    """Measure all parts."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--output", type=Path, default=Path("gpu-results"))
    parser.add_argument("--toy", action="store_true", help="a toy model on the CPU: try the script")
    parser.add_argument("--only", nargs="+", choices=list(PARTS), default=list(PARTS))
    parser.add_argument("--seconds", type=float, default=470.0, help="begin no further part after so long")
    chosen = parser.parse_args()
    plan = toy_plan() if chosen.toy else gpu_plan()
    cv2.setNumThreads(1)
    results = Results(chosen.output, facts_of(plan))
    samples = make_samples(-(-plan.conditions // len(CONDITIONS)), plan.side, max(plan.options[0], 4))
    results.add("seconds_to_compile_the_corruptions", round(timed(plan.device, partial(compile_kernels, samples)), 1))
    for name in chosen.only:
        if time.perf_counter() - results.started > chosen.seconds:
            results.add(name, "not measured: the time was over")
            continue
        try:
            PARTS[name](plan, samples, results)
        except Exception as fault:
            # One part that fails must not cost the others on a machine that is lent for minutes.
            results.add(name, f"failed: {type(fault).__name__}: {fault}")
        release_memory()
    print((chosen.output / "gpu.md").read_text(encoding="utf-8"))


def gpu_plan() -> Plan:
    """Sizes for a GPU with 80 GB."""
    if not torch.cuda.is_available():
        raise SystemExit("torch sees no CUDA device: give --toy to try the script on the CPU")
    return Plan(
        sizes=("8B", "2B"),
        device=torch.device("cuda"),
        dtype=torch.bfloat16,
        side=512,
        batches=(1, 2, 4, 8, 16, 32, 64),
        threads=(1, 4, 8, 16),
        conditions=576,
        repeats=5,
        options=(4, 10),
        compared=48,
        demonstration=144,
    )


def toy_plan() -> Plan:
    """Sizes for about a minute on a CPU."""
    return Plan(
        sizes=("toy",),
        device=torch.device("cpu"),
        dtype=torch.float32,
        side=128,
        batches=(1, 4),
        threads=(1, 2),
        conditions=48,
        repeats=2,
        options=(4, 10),
        compared=8,
        demonstration=6,
    )


def facts_of(plan: Plan) -> dict[str, Any]:
    """Name the machine and what runs on it."""
    card = torch.cuda.get_device_name() if plan.device.type == "cuda" else "none"
    return {
        "card": card,
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "machine": platform.machine(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "dtype": str(plan.dtype).removeprefix("torch."),
        "side": plan.side,
        "vllm": "not on this machine, so not measured",
    }


def scorer_of(
    plan: Plan, size: str, samples: Sequence[Sample], batch_size: int, dtype: torch.dtype | None = None
) -> Any:
    """Build a scorer around a model of random weights."""
    processor = build_processor([sample.context for sample in samples])
    model = build_model(size, processor.tokenizer, plan.device, dtype or plan.dtype)
    return TransformersChoiceScorer(model, ChatFormat(processor, processor.tokenizer), batch_size)


def with_batch_size(scorer: Any, batch_size: int) -> Any:
    """Set the batch size of a scorer that is in use for several."""
    scorer.batch_size = batch_size
    return scorer


def compile_kernels(samples: Sequence[Sample]) -> None:
    """Render one sample under every condition, so that no measurement compiles."""
    for inquiry in inquiries(samples[:1], CONDITIONS):
        inquiry.question()


def rendering(plan: Plan, samples: Sequence[Sample], results: Results) -> None:
    """Count pictures a second by threads, decoding included."""
    shown = list(inquiries(samples[:1], CONDITIONS))
    rates = {}
    for threads in plan.threads:
        many = shown * (1 if plan.device.type == "cpu" else 4)
        started = time.perf_counter()
        done = sum(1 for _ in map_ahead(ShownSample.question, many, threads=threads, look_ahead=64))
        rates[threads] = round(done / (time.perf_counter() - started), 1)
    results.add("pictures_a_second_by_threads", rates)


def batches(plan: Plan, samples: Sequence[Sample], results: Results) -> None:
    """Score prepared batches of each size: what the card does when nothing keeps it waiting."""
    questions = [inquiry.question() for inquiry in list(inquiries(samples, CONDITIONS))[: max(plan.batches)]]
    for size in plan.sizes:
        started = time.perf_counter()
        scorer = scorer_of(plan, size, samples, 1)
        results.add(f"{size}_seconds_to_build", round(time.perf_counter() - started, 1))
        if size == plan.sizes[0]:
            results.add("tokens_of_a_prompt", scorer.prepare(questions[:1]).inputs["input_ids"].shape[1])
        rows: dict[int, dict[str, float | None]] = {}
        for batch_size in plan.batches:
            try:
                rows[batch_size] = prepared_batch(plan, scorer, questions[:batch_size])
            except torch.OutOfMemoryError:
                results.add(f"{size}_largest_batch", f"{batch_size} does not fit into the card's memory")
                break
        results.add(f"{size}_prepared_batches", rows)
        del scorer
        release_memory()


def prepared_batch(plan: Plan, scorer: Any, questions: Sequence[Question]) -> dict[str, float | None]:
    """Score one prepared batch again and again."""
    reset_peak(plan.device)
    prepared = with_batch_size(scorer, len(questions)).prepare(questions)
    scorer.score(prepared)
    seconds = [timed(plan.device, partial(scorer.score, prepared)) for _ in range(plan.repeats)]
    rate = len(questions) / statistics.median(seconds)
    return {"conditions_a_second": round(rate, 2), "peak_gib": peak_gib(plan.device)}


def end_to_end(plan: Plan, samples: Sequence[Sample], results: Results) -> None:
    """Render, prepare and score as a run does: conditions a second, the card's waiting, hours of a whole run."""
    shown = list(inquiries(samples, CONDITIONS))[: plan.conditions]
    for size in plan.sizes:
        best = best_batch(results, size, plan)
        scorer = scorer_of(plan, size, samples, best)
        run_through(scorer, shown[: 2 * best], max(plan.threads))
        threads = plan.threads if size == plan.sizes[0] else plan.threads[-2:]
        rows = {count: with_threads(plan, scorer, shown, count) for count in threads}
        rate = rows[max(rows)]["conditions_a_second"]
        results.add(f"{size}_end_to_end", {"batch_size": best, "by_render_threads": rows})
        results.add(
            f"{size}_hours_for_{SAMPLES}_samples",
            {
                "full": round(SAMPLES * FULL_PASSES / rate / 3600, 2),
                "lite": round(SAMPLES * LITE_PASSES / rate / 3600, 2),
                "from_conditions": rows[max(rows)]["conditions"],
            },
        )
        release_memory()


def with_threads(plan: Plan, scorer: Any, shown: Sequence[ShownSample], threads: int) -> dict[str, float]:
    """Run through all conditions with the most threads, and through a quarter of them with fewer."""
    counted = shown if threads == max(plan.threads) else shown[: max(len(shown) // 4, 4 * scorer.batch_size)]
    seconds = timed(plan.device, partial(run_through, scorer, counted, threads))
    return {
        "conditions": len(counted),
        "conditions_a_second": round(len(counted) / seconds, 2),
        "waiting": waiting_share(plan.device, scorer, shown[: 8 * scorer.batch_size], threads),
    }


def one_pass_an_option(plan: Plan, samples: Sequence[Sample], results: Results) -> None:
    """Compare with lmms-eval's way: for every option the picture rendered and processed anew, and a pass of its own."""
    for size in plan.sizes:
        rows = {
            options: against_passes(plan, size, options, best_batch(results, size, plan)) for options in plan.options
        }
        results.add(f"{size}_against_one_pass_an_option", rows)


def against_passes(plan: Plan, size: str, options: int, best: int) -> dict[str, Any]:
    """Score the same conditions both ways; ours at batch size 1 and at the best one."""
    asked = make_samples(1, plan.side, options)
    shown = list(inquiries(asked, CONDITIONS))[: plan.compared]
    scorer = scorer_of(plan, size, asked, 1)
    scores_by_passes(scorer, shown[:1])
    theirs = timed(plan.device, partial(scores_by_passes, scorer, shown))
    ours = {}
    for batch_size in dict.fromkeys((1, best)):
        with_batch_size(scorer, batch_size)
        run_through(scorer, shown[:batch_size], max(plan.threads))
        seconds = timed(plan.device, partial(run_through, scorer, shown, max(plan.threads)))
        ours[batch_size] = round(theirs / seconds, 2)
    release_memory()
    return {"one_pass_an_option_a_second": round(len(shown) / theirs, 2), "ours_times_as_fast": ours}


def scores_by_passes(scorer: Any, shown: Sequence[ShownSample]) -> list[list[float]]:
    """Score options one by one, each by a whole pass with its loss, as lmms-eval's backends do."""
    return [[loss_of(scorer, one.question(), option) for option in one.shown.options] for one in shown]


@torch.inference_mode()
def loss_of(scorer: Any, question: Question, option: str) -> float:
    """Return the mean loss of an option behind its question, and process the picture for each of two prompts."""
    prompt = scorer._chat.prompt(question.context, 1)
    before = scorer._chat.model_input([prompt], [question.images])["input_ids"].shape[1]
    inputs = scorer._chat.model_input([prompt + option], [question.images])
    inputs = inputs.to(scorer._model.device, dtype=scorer._model.dtype)
    labels = inputs["input_ids"].clone()
    labels[:, :before] = -100
    return float(scorer._model(**inputs, labels=labels, use_cache=False).loss)


def precision(plan: Plan, samples: Sequence[Sample], results: Results) -> None:
    """Compare bf16 with float32 and batch 1 with 32, on random weights and on the bundled model with its answers."""
    size = plan.sizes[-1]
    shown = list(inquiries(samples, CONDITIONS))[: min(96, plan.conditions)]
    large = 4 if plan.device.type == "cpu" else 32
    scores = {}
    for dtype in (torch.float32, torch.bfloat16):
        scorer = scorer_of(plan, size, samples, 1, dtype)
        for batch_size in (1, large):
            with_batch_size(scorer, batch_size)
            scores[f"{str(dtype).removeprefix('torch.')}, batch {batch_size}"] = scored(scorer, shown, plan)
        if dtype == plan.dtype:
            again = scored(scorer, shown, plan)
            same = bool(np.array_equal(again, scores[f"{str(dtype).removeprefix('torch.')}, batch {large}"]))
            results.add("two_runs_have_the_same_bits", same)
        release_memory()
    reference = scores["float32, batch 1"]
    results.add(
        f"{size}_random_weights_against_float32_batch_1",
        {
            name: {
                "largest_difference_nats": float(np.abs(values - reference).max()),
                "same_predictions": float((values.argmax(1) == reference.argmax(1)).mean()),
            }
            for name, values in scores.items()
        },
    )
    results.add("bundled_model_by_precision", bundled_metrics(plan, large))


def bundled_metrics(plan: Plan, large: int) -> dict[str, Any]:
    """Evaluate the bundled model on the bundled set under three corruptions in each precision and batch size."""
    from transformers import AutoModelForImageTextToText, AutoProcessor

    dataset = load_dataset(DEMONSTRATION_SET)
    rows = [dataset[number] for number in range(min(plan.demonstration, len(dataset)))]
    prompt = Prompt.for_model(None, None)
    conditions = [(None, 0), ("gaussian_noise", 3), ("fog", 3), ("jpeg_compression", 5)]
    shown = [
        BundledSample(row, prompt.text(row["question"], row["options"]), *which) for row in rows for which in conditions
    ]
    answers = np.array([row["answer"] for row in rows])
    found = {}
    for dtype in (torch.float32, torch.bfloat16):
        processor = AutoProcessor.from_pretrained(DEMONSTRATION_MODEL)
        model = AutoModelForImageTextToText.from_pretrained(DEMONSTRATION_MODEL, dtype=dtype).to(plan.device).eval()
        for batch_size in (1, large):
            scorer = TransformersChoiceScorer(model, ChatFormat(processor, processor.tokenizer), batch_size)
            logits = scored(scorer, shown, plan).reshape(len(rows), len(conditions), -1)
            found[f"{str(dtype).removeprefix('torch.')}, batch {batch_size}"] = logits
    reference = found["float32, batch 1"]
    return {name: metrics_of(logits, reference, answers) for name, logits in found.items()}


def metrics_of(logits: np.ndarray, reference: np.ndarray, answers: np.ndarray) -> dict[str, float]:
    """Accuracy, RAS, and the distance from the reference."""
    from benchc_metrics.responses import option_distribution

    distributions = option_distribution(logits)
    clean, corrupted = distributions[:, :1], distributions[:, 1:]
    return {
        "acc_clean": float(ras.correctness(clean, answers).mean()),
        "acc_corrupted": float(ras.correctness(corrupted, answers).mean()),
        "ras": float(ras.robustness_alignment_score(clean, corrupted, answers).mean()),
        "largest_difference_nats": float(np.abs(logits - reference).max()),
        "same_predictions": float((logits.argmax(-1) == reference.argmax(-1)).mean()),
    }


@dataclass(frozen=True)
class BundledSample:
    """A sample of the bundled set under a condition."""

    row: Any
    context: str
    corruption: str | None
    severity: int

    @property
    def sample(self) -> str:
        """The sample's id."""
        return str(self.row["id"])

    def question(self) -> Question:
        """Decode and corrupt the picture."""
        from benchc_tasks.corruptions import condition_seed, corrupt

        image = decode_image(self.row["image"], sample=self.sample)
        if self.corruption is not None:
            seed = condition_seed(self.sample, self.corruption, self.severity)
            image = corrupt(image, self.corruption, self.severity, seed=seed)
        letters = tuple(LETTERS[: len(self.row["options"])])
        return Question(f"{self.sample} under {self.corruption}", self.context, letters, (image,))


def run_through(scorer: Any, shown: Sequence[Any], threads: int) -> list[list[float]]:
    """Score inquiries as a run does; raise what could not be scored."""
    rows = []
    for batch in score_ahead(shown, scorer, threads=threads, look_ahead=LOOK_AHEAD):
        for _, outcome in batch:
            if isinstance(outcome, Exception):
                raise outcome
            rows.append([option[0] for option in outcome])
    return rows


def scored(scorer: Any, shown: Sequence[Any], plan: Plan) -> np.ndarray:
    """Return the options' log-likelihoods, -inf where a sample has fewer options than another."""
    rows = run_through(scorer, shown, max(plan.threads))
    values = np.full((len(rows), max(map(len, rows))), -1e4)
    for row, options in zip(values, rows, strict=True):
        row[: len(options)] = options
    return values


def waiting_share(device: torch.device, scorer: Any, shown: Sequence[Any], threads: int) -> float:
    """Share of wall time in which the card computes nothing, over some batches after the first.

    On a GPU from the union of all kernels' and copies' intervals in a trace; on a CPU from the time outside the model.
    """
    if device.type != "cuda":
        with model_seconds(scorer._model) as inside:
            started = time.perf_counter()
            run_through(scorer, shown, threads)
            wall = time.perf_counter() - started
        return round(max(0.0, 1 - sum(inside) / wall), 3)
    from torch.autograd import DeviceType
    from torch.profiler import ProfilerActivity, profile

    with profile(activities=[ProfilerActivity.CUDA]) as trace:
        run_through(scorer, shown, threads)
        torch.cuda.synchronize()
    spans = sorted(
        (event.time_range.start, event.time_range.end)
        for event in trace.events()
        if event.device_type == DeviceType.CUDA and event.time_range.end > event.time_range.start
    )
    return waiting_of(spans)


def waiting_of(spans: Sequence[tuple[float, float]]) -> float:
    """Return the share between the first start and the last end that no span covers.

    Parameters
    ----------
    spans : sequence of (float, float)
        Starts and ends, sorted.
    """
    if not spans:
        return float("nan")
    covered, reached = 0.0, spans[0][0]
    for start, end in spans:
        covered += max(0.0, end - max(start, reached))
        reached = max(reached, end)
    return round(1 - covered / (reached - spans[0][0]), 3)


@contextmanager
def model_seconds(model: Any) -> Iterator[list[float]]:
    """Collect the seconds of each forward pass."""
    seconds: list[float] = []
    began: list[float] = []
    before = model.register_forward_pre_hook(lambda *_: began.append(time.perf_counter()))
    after = model.register_forward_hook(lambda *_: seconds.append(time.perf_counter() - began.pop()))
    try:
        yield seconds
    finally:
        before.remove()
        after.remove()


def timed(device: torch.device, work: Callable[[], object]) -> float:
    """Wall seconds of `work`, with all that it started on the card."""
    if device.type == "cuda":
        torch.cuda.synchronize()
    started = time.perf_counter()
    work()
    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - started


def best_batch(results: Results, size: str, plan: Plan) -> int:
    """Return the smallest batch size within 3 % of the best rate."""
    rows = results.parts.get(f"{size}_prepared_batches")
    if not isinstance(rows, dict):
        return min(16, max(plan.batches))
    best = max(row["conditions_a_second"] for row in rows.values())
    return int(min(batch for batch, row in rows.items() if row["conditions_a_second"] >= 0.97 * best))


def reset_peak(device: torch.device) -> None:
    """Forget the memory peak so far."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()


def peak_gib(device: torch.device) -> float | None:
    """Return the memory peak in GiB; None on a CPU."""
    return round(torch.cuda.max_memory_allocated() / 2**30, 2) if device.type == "cuda" else None


def release_memory() -> None:
    """Give the memory of models that are gone back."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def table_of(written: dict[str, Any]) -> str:
    """Write what was measured as Markdown."""
    facts = ", ".join(f"{name} {written[name]}" for name in ("card", "cores", "torch", "transformers", "dtype", "side"))
    lines = [f"# Option scoring: {facts}", "", "| what | measured |", "| --- | --- |"]
    lines += [
        f"| {name.replace('_', ' ')} | {json.dumps(value)} |"
        for name, value in written.items()
        if name not in {"schema", "card", "cores", "torch", "transformers", "dtype", "side"}
    ]
    return "\n".join(lines) + "\n"


PARTS: dict[str, Callable[[Plan, Sequence[Sample], Results], None]] = {
    "batches": batches,
    "end_to_end": end_to_end,
    "one_pass_an_option": one_pass_an_option,
    "precision": precision,
    "rendering": rendering,
}
"""In the order in which they are measured: what matters most comes first."""


if __name__ == "__main__":
    main()
