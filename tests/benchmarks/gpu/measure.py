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
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
sys.path.extend(str(Path(__file__).resolve().parents[level]) for level in (0, 2, 3))

import cv2
import numpy as np
import torch
import transformers
from families import FAMILY_NAMES, compare_family
from inquiries import CONDITIONS, Sample, ShownSample, bundled_inquiries, inquiries, make_samples
from kernels import compile_in_background
from shapes import build_model, build_processor
from tables import table_of
from waiting import idle_share, run_through

from benchc_metrics.metrics import ras
from benchc_metrics.responses import option_distribution
from benchc_tasks.demonstration import DEMONSTRATION_MODEL
from benchc_tasks.models.chat import ChatFormat
from benchc_tasks.models.choice import TransformersChoiceScorer
from benchc_tasks.models.prefixes import PrefixSharingScorer
from benchc_tasks.models.questions import Question
from benchc_tasks.models.rendering import map_ahead

SAMPLES = 849
PASSES = {"full": 96, "lite": 20}
WITHIN = 0.97
"""A batch size that reaches this share of the best speed is as good."""


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
    traced : int
        Batches of a trace.
    repeats : int
        Passes over a prepared batch.
    options : tuple of int
        Numbers of options at which ours is compared with one pass an option.
    compared : int
        Conditions of that comparison, one pass an option.
    large : int
        The batch size that is compared with 1.
    demonstration : int
        Samples of the bundled set at which precisions are compared.
    families : tuple of str
        Tiny models that are compared with the CPU.
    """

    sizes: tuple[str, ...]
    device: torch.device
    dtype: torch.dtype
    side: int
    batches: tuple[int, ...]
    threads: tuple[int, ...]
    conditions: int
    traced: int
    repeats: int
    options: tuple[int, ...]
    compared: int
    large: int
    demonstration: int
    families: tuple[str, ...]


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
        traced=4,
        repeats=5,
        options=(4, 10),
        compared=12,
        large=32,
        demonstration=144,
        families=FAMILY_NAMES,
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
        traced=4,
        repeats=2,
        options=(4, 10),
        compared=8,
        large=4,
        demonstration=6,
        families=FAMILY_NAMES[2:3],
    )


@dataclass
class Results:
    """The measurements so far, written after each part."""

    folder: Path
    facts: dict[str, Any]
    parts: dict[str, Any] = field(default_factory=dict)
    started: float = field(default_factory=time.perf_counter)

    @property
    def seconds(self) -> float:
        """Since the start."""
        return time.perf_counter() - self.started

    def add(self, name: str, value: object) -> None:
        """Keep a part and write all of them."""
        self.parts[name] = value
        written = {"schema": "benchc.gpu/2", **self.facts, "seconds": round(self.seconds, 1), **self.parts}
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "gpu.json").write_text(json.dumps(written, indent=1) + "\n", encoding="utf-8", newline="\n")
        (self.folder / "gpu.md").write_text(table_of(written), encoding="utf-8", newline="\n")
        print(f"[{self.seconds:6.1f} s] {name}: {json.dumps(value)}", flush=True)


@dataclass
class Bench:
    """What all parts share: the plan, the questions, the results, and the model that was built last."""

    plan: Plan
    results: Results
    samples: Sequence[Sample]
    more_options: Sequence[Sample]
    _built: dict[tuple[str, torch.dtype], Any] = field(default_factory=dict)

    @cached_property
    def processor(self) -> Any:
        """The family's processor; its tokenizer knows the words of all questions."""
        return build_processor([sample.context for sample in (*self.samples, *self.more_options)])

    @property
    def shown(self) -> list[ShownSample]:
        """All conditions of an end-to-end measurement."""
        return list(inquiries(self.samples, CONDITIONS))[: self.plan.conditions]

    def scorer(self, size: str, batch_size: int, dtype: torch.dtype | None = None) -> Any:
        """Make a scorer that has tried out the model, and is at its fast way or says otherwise in the results."""
        dtype = dtype or self.plan.dtype
        key = (size, dtype)
        if key not in self._built:
            self.release()
            started = time.perf_counter()
            self._built[key] = build_model(size, self.processor.tokenizer, self.plan.device, dtype)
            self.results.add(f"{size}_{name_of(dtype)}_seconds_to_build", round(time.perf_counter() - started, 1))
        chat = ChatFormat(self.processor, self.processor.tokenizer)
        scorer = TransformersChoiceScorer(self._built[key], chat, batch_size)
        run_through(scorer, self.shown[: 2 * batch_size], max(self.plan.threads))
        if scorer._way.name != "FAST":
            self.results.add(f"{size}_{name_of(dtype)}_batch_{batch_size}_way", scorer._way.name)
        return scorer

    def release(self) -> None:
        """Give the memory of the model back."""
        self._built.clear()
        gc.collect()
        if self.plan.device.type == "cuda":
            torch.cuda.empty_cache()

    def best_batch(self, size: str) -> int:
        """Return the smallest batch size that is as good as the best."""
        rows = self.results.parts.get(f"{size}_prepared_batches")
        if not rows:
            return min(16, max(self.plan.batches))
        best = max(row["conditions_a_second"] for row in rows.values())
        return int(min(batch for batch, row in rows.items() if row["conditions_a_second"] >= WITHIN * best))


def main() -> None:
    """Measure all parts."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--output", type=Path, default=Path("gpu-results"))
    parser.add_argument("--toy", action="store_true", help="a toy model on the CPU: try the script")
    parser.add_argument("--only", nargs="+", choices=list(PARTS), default=list(PARTS))
    parser.add_argument("--seconds", type=float, default=440.0, help="begin no further part after so long")
    chosen = parser.parse_args()
    plan = toy_plan() if chosen.toy else gpu_plan()
    cv2.setNumThreads(1)
    results = Results(chosen.output, facts_of(plan))
    compiling = compile_in_background(results.facts["cores"])
    samples = make_samples(-(-plan.conditions // len(CONDITIONS)), plan.side, plan.options[0])
    bench = Bench(plan, results, samples, make_samples(1, plan.side, plan.options[-1]))
    for process in compiling:
        process.wait()
    results.add("seconds_to_compile_the_corruptions", round(results.seconds, 1))
    for name, size in steps(plan, chosen.only):
        measure(bench, name, size, chosen.seconds)
    print((chosen.output / "gpu.md").read_text(encoding="utf-8"))


def measure(bench: Bench, name: str, size: str, seconds: float) -> None:
    """Measure one part for one size, unless the time is over."""
    if bench.results.seconds > seconds:
        bench.results.add(f"{size}_{name}", "not measured: the time was over")
        return
    try:
        PARTS[name](bench, size)
    except Exception as fault:
        # One part that fails must not cost the others on a machine that is lent for minutes.
        bench.results.add(f"{size}_{name}", f"failed: {type(fault).__name__}: {fault}")


def facts_of(plan: Plan) -> dict[str, Any]:
    """Name the machine and what runs on it."""
    on_gpu = plan.device.type == "cuda"
    memory = round(torch.cuda.get_device_properties(0).total_memory / 2**30, 1) if on_gpu else None
    return {
        "card": torch.cuda.get_device_name() if on_gpu else "none",
        "card_gib": memory,
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        "machine": platform.machine(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "dtype": name_of(plan.dtype),
        "side": plan.side,
        "vllm": "not on this machine, so not measured",
    }


def batches(bench: Bench, size: str) -> None:
    """Score prepared batches of each size: what the card does when nothing keeps it waiting."""
    plan, results = bench.plan, bench.results
    questions = [inquiry.question() for inquiry in bench.shown[: max(plan.batches)]]
    scorer = bench.scorer(size, 1)
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
    if plan.device.type == "cuda":
        best = bench.best_batch(size)
        rate = two_at_once(plan, scorer, questions[:best])
        results.add(f"{size}_two_prepared_batches_of_{best}_at_once", {"conditions_a_second": round(rate, 2)})


def two_at_once(plan: Plan, scorer: Any, questions: Sequence[Question]) -> float:
    """Score batches in two threads: what the card could do if it never had to wait for Python."""
    scorer.batch_size = len(questions)
    prepared = scorer.prepare(questions)

    def again_and_again(_: int) -> None:
        with torch.cuda.stream(torch.cuda.Stream()):
            for _ in range(plan.repeats):
                scorer._score(prepared)

    def both() -> None:
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(again_and_again, range(2)))

    both()
    return 2 * plan.repeats * len(questions) / timed(plan.device, both)


def prepared_batch(plan: Plan, scorer: Any, questions: Sequence[Question]) -> dict[str, float | None]:
    """Score one prepared batch again and again."""
    if plan.device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
    scorer.batch_size = len(questions)
    started = time.perf_counter()
    prepared = scorer.prepare(questions)
    preparing = time.perf_counter() - started
    scorer._score(prepared)
    seconds = [timed(plan.device, partial(scorer._score, prepared)) for _ in range(plan.repeats)]
    return {
        "conditions_a_second": round(len(questions) / statistics.median(seconds), 2),
        "peak_gib": round(torch.cuda.max_memory_allocated() / 2**30, 2) if plan.device.type == "cuda" else None,
        "prepare_ms_a_condition": round(1000 * preparing / len(questions), 2),
    }


def end_to_end(bench: Bench, size: str) -> None:
    """Render, prepare and score as a run does: conditions a second, the card's waiting, hours of a whole run.

    Waiting is what a run takes longer than the same passes over batches that lie ready.
    """
    plan, results = bench.plan, bench.results
    if f"{size}_prepared_batches" not in results.parts:
        batches(bench, size)
    best = bench.best_batch(size)
    scorer = bench.scorer(size, best)
    threads = plan.threads if size == plan.sizes[0] else plan.threads[-2:]
    ready = results.parts[f"{size}_prepared_batches"][best]["conditions_a_second"]
    rows = {count: with_threads(bench, scorer, count, ready) for count in threads}
    results.add(
        f"{size}_end_to_end",
        {"batch_size": best, "prepare_threads": scorer.prepare_threads, "by_render_threads": rows},
    )
    last = rows[max(rows)]
    hours = {name: round(SAMPLES * passes / last["conditions_a_second"] / 3600, 2) for name, passes in PASSES.items()}
    results.add(f"{size}_hours_for_{SAMPLES}_samples", {**hours, "from_conditions": last["conditions"]})


def with_threads(bench: Bench, scorer: Any, threads: int, ready: float) -> dict[str, Any]:
    """Run through all conditions with the most threads, and through a third of them with fewer."""
    shown = bench.shown
    counted = shown if threads == max(bench.plan.threads) else shown[: max(len(shown) // 3, 4 * scorer.batch_size)]
    done = run_through(scorer, counted, threads)
    return {
        "conditions": len(counted),
        "conditions_a_second": round(done.conditions_a_second, 2),
        "waiting": round(1 - done.conditions_a_second / ready, 3),
        "between_batches": round(done.between_batches, 3),
    }


def one_pass_an_option(bench: Bench, size: str) -> None:
    """Compare with lmms-eval's way: for every option the picture rendered and processed anew, and a pass of its own."""
    rows = {
        len(samples[0].options): against_passes(bench, size, samples) for samples in (bench.samples, bench.more_options)
    }
    bench.results.add(f"{size}_against_one_pass_an_option", rows)


def against_passes(bench: Bench, size: str, samples: Sequence[Sample]) -> dict[str, Any]:
    """Score the same conditions both ways; ours at batch size 1 and at the best one, for which it gets more of them."""
    plan = bench.plan
    shown = list(inquiries(samples[:1], CONDITIONS))
    some = shown[:: len(shown) // plan.compared][: plan.compared]
    scorer = bench.scorer(size, 1)
    scores_by_passes(scorer, some[:1])
    theirs = len(some) / timed(plan.device, partial(scores_by_passes, scorer, some))
    ours = {1: len(some) / timed(plan.device, partial(run_through, scorer, some, max(plan.threads)))}
    best = bench.best_batch(size)
    ours[best] = run_through(
        bench.scorer(size, best), (shown * best)[: 6 * best], max(plan.threads)
    ).conditions_a_second
    return {
        "one_pass_an_option_a_second": round(theirs, 2),
        "ours_a_second": {batch: round(rate, 2) for batch, rate in ours.items()},
        "ours_times_as_fast": {batch: round(rate / theirs, 2) for batch, rate in ours.items()},
    }


def scores_by_passes(scorer: Any, shown: Sequence[ShownSample]) -> list[list[float]]:
    """Score options one by one, each by a whole pass with its loss, as lmms-eval's backends do."""
    return [[loss_of(scorer, one.question(), option) for option in one.shown.options] for one in shown]


@torch.inference_mode()
def loss_of(scorer: Any, question: Question, option: str) -> float:
    """Return the mean loss of an option behind its question, and process the picture for each of two prompts."""
    prompt = scorer.chat.prompt(question.context, 1)
    before = scorer.chat.model_input([prompt], [question.images])["input_ids"].shape[1]
    inputs = scorer.chat.model_input([prompt + option], [question.images])
    inputs = inputs.to(scorer.model.device, dtype=scorer.model.dtype)
    labels = inputs["input_ids"].clone()
    labels[:, :before] = -100
    return float(scorer.model(**inputs, labels=labels, use_cache=False).loss)


def precision(bench: Bench, size: str) -> None:
    """Compare the precisions, and batch 1 with a large one, by the same weights; and two runs, bit by bit."""
    plan, results = bench.plan, bench.results
    shown = bench.shown[: 3 * plan.large]
    scores = {}
    for dtype in (torch.float32, torch.bfloat16):
        if dtype == torch.bfloat16:
            # The same numbers, rounded; drawn anew in this precision they would be others.
            model = bench._built.pop((size, torch.float32))
            bench._built[size, torch.bfloat16] = model.to(torch.bfloat16)
        for batch_size in (1, plan.large):
            scorer = bench.scorer(size, batch_size, dtype)
            scores[f"{name_of(dtype)}, batch {batch_size}"] = scored(bench, scorer, shown)
        again = scored(bench, scorer, shown)
        same = bool(np.array_equal(again, scores[f"{name_of(dtype)}, batch {plan.large}"]))
        results.add(f"two_runs_in_{name_of(dtype)}_have_the_same_bits", same)
    bench.release()
    reference = scores["float32, batch 1"]
    results.add(f"{size}_random_weights_by_precision", {name: apart(some, reference) for name, some in scores.items()})


def bundled(bench: Bench, size: str) -> None:
    """Evaluate the bundled model on the bundled set under three corruptions in each precision and batch size."""
    plan = bench.plan
    conditions = [(None, 0), ("gaussian_noise", 3), ("fog", 3), ("jpeg_compression", 5)]
    shown, answers = bundled_inquiries(plan.demonstration, conditions)
    processor = transformers.AutoProcessor.from_pretrained(DEMONSTRATION_MODEL)
    chat = ChatFormat(processor, processor.tokenizer)
    scores = {}
    for dtype in (torch.float32, torch.bfloat16):
        model = transformers.AutoModelForImageTextToText.from_pretrained(DEMONSTRATION_MODEL, dtype=dtype)
        model = model.to(plan.device).eval()
        for batch_size in (1, plan.large):
            scorer = TransformersChoiceScorer(model, chat, batch_size)
            scores[f"{name_of(dtype)}, batch {batch_size}"] = scored(bench, scorer, shown)
    reference = scores["float32, batch 1"]
    bench.results.add(
        "bundled_model_by_precision",
        {
            name: {**metrics_of(some.reshape(len(answers), len(conditions), -1), answers), **apart(some, reference)}
            for name, some in scores.items()
        },
    )


def scored(bench: Bench, scorer: Any, shown: Sequence[Any]) -> np.ndarray:
    """Return the options' log-likelihoods."""
    return run_through(scorer, shown, max(bench.plan.threads)).array()


def apart(values: np.ndarray, reference: np.ndarray) -> dict[str, float]:
    """How far log-likelihoods are from others."""
    return {
        "largest_difference_nats": float(np.abs(values - reference).max()),
        "mean_difference_nats": float(np.abs(values - reference).mean()),
        "same_predictions": float((values.argmax(-1) == reference.argmax(-1)).mean()),
    }


def metrics_of(log_likelihoods: np.ndarray, answers: np.ndarray) -> dict[str, float]:
    """Accuracy and RAS, the clean condition first."""
    distributions = option_distribution(log_likelihoods)
    clean, corrupted = distributions[:, :1], distributions[:, 1:]
    return {
        "acc_clean": float(ras.correctness(clean, answers).mean()),
        "acc_corrupted": float(ras.correctness(corrupted, answers).mean()),
        "ras": float(ras.robustness_alignment_score(clean, corrupted, answers).mean()),
    }


def out_of_memory(bench: Bench, size: str) -> None:
    """Give the largest batch less memory than it needs: it is halved until it works, and its answers are the same."""
    if f"{size}_prepared_batches" not in bench.results.parts:
        batches(bench, size)
    rows = bench.results.parts[f"{size}_prepared_batches"]
    largest = max(rows)
    small = max(batch for batch in rows if batch <= largest // 4)
    shown = bench.shown[: 2 * largest]
    expected = scored(bench, bench.scorer(size, largest), shown)
    scorer = bench.scorer(size, largest)
    allowed = (rows[small]["peak_gib"] + rows[largest]["peak_gib"]) / 2
    torch.cuda.empty_cache()
    torch.cuda.set_per_process_memory_fraction(allowed / bench.results.facts["card_gib"])
    try:
        found = run_through(scorer, shown, max(bench.plan.threads))
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    bench.results.add(
        f"{size}_batch_{largest}_within_{allowed:.1f}_gib", {"conditions": len(shown), **apart(found.array(), expected)}
    )


def families(bench: Bench, size: str) -> None:
    """Compare tiny models of many families on the card with the CPU."""
    bench.release()
    rows = {}
    for family in bench.plan.families:
        try:
            rows[family] = compare_family(family, bench.plan.device)
        except Exception as fault:
            # One family that fails must not cost the others on a machine that is lent for minutes.
            rows[family] = {"failed": f"{type(fault).__name__}: {fault}"}
    bench.results.add("tiny_families_against_the_cpu", rows)


def trace(bench: Bench, size: str) -> None:
    """Trace passes over batches that lie ready, and a run."""
    plan = bench.plan
    best = bench.best_batch(size)
    scorer = bench.scorer(size, best)
    shown = bench.shown[: plan.traced * best]
    prepared = scorer.prepare([inquiry.question() for inquiry in shown[:best]])

    def ready() -> None:
        for _ in range(plan.traced):
            scorer._score(prepared)

    bench.results.add(
        f"{size}_traced",
        {"batches_that_lie_ready": idle_share(ready), "run": idle_share(lambda: run_through(scorer, shown, 4))},
    )


def sharing(bench: Bench, size: str) -> None:
    """Run questions, three about each picture, without and with share_prefix."""
    plan = bench.plan
    best = bench.best_batch(size)
    samples = make_samples(2, plan.side, plan.options[0], questions=3)
    shown = list(inquiries(samples, CONDITIONS[: max(1, plan.conditions // len(samples))]))
    plain = bench.scorer(size, best)
    sharing_scorer = PrefixSharingScorer(bench.scorer(size, best))
    run_through(sharing_scorer, shown, max(plan.threads))  # the first batches are compared
    runs = [run_through(scorer, shown, max(plan.threads)) for scorer in (plain, sharing_scorer)]
    without, shared = (len(shown) / run.whole for run in runs)
    bench.results.add(
        f"{size}_three_questions_a_picture",
        {
            "conditions": len(shown),
            "conditions_a_second": round(without, 2),
            "with_share_prefix": round(shared, 2),
            "saved": round(1 - without / shared, 3),
            "still_shares": sharing_scorer._is_sharing,
        },
    )


def rendering(bench: Bench, size: str) -> None:
    """Count pictures a second by threads, decoding included."""
    shown = list(inquiries(bench.samples[:1], CONDITIONS))
    rates = {}
    for threads in bench.plan.threads:
        many = shown * threads * (1 if bench.plan.device.type == "cpu" else 4)
        started = time.perf_counter()
        done = sum(1 for _ in map_ahead(ShownSample.question, many, threads=threads, look_ahead=64))
        rates[threads] = round(done / (time.perf_counter() - started), 1)
    bench.results.add("pictures_a_second_by_threads", rates)


def timed(device: torch.device, work: Callable[[], object]) -> float:
    """Wall seconds of `work`, with all that it started on the card."""
    if device.type == "cuda":
        torch.cuda.synchronize()
    started = time.perf_counter()
    work()
    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - started


def name_of(dtype: torch.dtype) -> str:
    """Name a precision."""
    return str(dtype).removeprefix("torch.")


PARTS: dict[str, Callable[[Bench, str], None]] = {
    "batches": batches,
    "end_to_end": end_to_end,
    "one_pass_an_option": one_pass_an_option,
    "rendering": rendering,
    "out_of_memory": out_of_memory,
    "precision": precision,
    "bundled": bundled,
    "families": families,
    "sharing": sharing,
    "trace": trace,
}
OF_EACH_MODEL = ("batches", "end_to_end", "one_pass_an_option")
OF_THE_LARGEST_AT_THE_END = ("sharing", "trace")
ON_A_GPU = ("out_of_memory", "trace")


def steps(plan: Plan, chosen: Sequence[str]) -> list[tuple[str, str]]:
    """List parts and models: the largest model first, then what is measured once, so that a stop costs little."""
    largest, *others = plan.sizes
    once = [name for name in PARTS if name not in (*OF_EACH_MODEL, *OF_THE_LARGEST_AT_THE_END)]
    ordered = [
        *((name, largest) for name in OF_EACH_MODEL),
        *((name, plan.sizes[-1]) for name in once),
        *((name, size) for size in others for name in OF_EACH_MODEL),
        *((name, largest) for name in OF_THE_LARGEST_AT_THE_END),
    ]
    return [
        (name, size)
        for name, size in ordered
        if name in chosen and (name not in ON_A_GPU or plan.device.type == "cuda")
    ]


if __name__ == "__main__":
    main()
