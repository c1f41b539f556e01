"""Questions a second that a served model answers, and how far its answers are from those of the model in this process.

Two servers are asked, with different numbers of concurrent requests: vLLM's on loopback, which serves the bundled model
on the same cores, and one that does nothing but wait a fifth of a second, as a far one does; it shows what the client
can carry. Then vLLM's answers to the bundled samples, clean and noisy, are compared with those of transformers.

    PYTHONPATH=.:tests python tests/benchmarks/served_scoring.py --concurrency 1 4 16 32 64

Without vLLM in this environment only the far server is asked; `.ci/vllm-environment` makes one that has it.
"""

from __future__ import annotations

import argparse
import dataclasses
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from openai_server import MODEL, OpenAIServer, answer
from vllm_server import SERVED_NAME, vllm_server, why_no_vllm
from vllm_support import vllm_checkpoint

from benchc_metrics.benchmark import LETTERS
from benchc_tasks.corruptions import corrupt
from benchc_tasks.datasets import decode_image, load_dataset
from benchc_tasks.models.questions import ChoiceScorer, Outcome, Question, ScoringError
from benchc_tasks.models.served.backend import load_served_backend
from benchc_tasks.models.served.reading import ServedChat
from benchc_tasks.models.served.requests import ServedModel
from benchc_tasks.models.served.scoring import ServedChoiceScorer
from benchc_tasks.stacks.lmms_eval.model import BenchCModel
from benchc_tasks.stacks.prompting import question_with_options

FAR = 0.2
LOOK_AHEAD = 3
INSTRUCTION = "\nAnswer with the option's letter from the given choices directly."


def bundled_questions() -> list[Question]:
    """Return a question for each bundled sample, clean and under noise, severity by severity in turns."""
    questions = []
    for number, row in enumerate(load_dataset(None, None)):
        text = question_with_options(row["question"], row["options"]) + INSTRUCTION
        clean = decode_image(row["image"], sample=row["id"])
        for image in (clean, corrupt(clean, "gaussian_noise", 1 + number % 5, seed=number)):
            questions.append(Question(row["id"], text, tuple(LETTERS[: len(row["options"])]), (image,)))
    return questions


def served(url: str, model: str, concurrency: int, *, exact: bool = True) -> ServedChoiceScorer:
    """Build the scorer of a served model."""
    loaded = load_served_backend("openai", {"base_url": url, "model": model, "num_concurrent": concurrency})
    return ServedChoiceScorer(ServedModel(loaded), ServedChat(), concurrency=concurrency, exact=exact)


def score(scorer: ChoiceScorer[Any], questions: Sequence[Question]) -> list[Outcome]:
    """Score all questions, with as many batches prepared ahead as the benchc model has by default."""
    size = scorer.batch_size
    batches = [questions[start : start + size] for start in range(0, len(questions), size)]
    ahead, outcomes = [], []
    for place in range(len(batches) + LOOK_AHEAD - 1):
        if place < len(batches):
            ahead.append(scorer.prepare(batches[place]))
        if place >= LOOK_AHEAD - 1:
            outcomes += scorer.score(ahead.pop(0))
    assert not any(isinstance(outcome, ScoringError) for outcome in outcomes), outcomes
    return outcomes


def speed(scorer: ChoiceScorer[Any], questions: Sequence[Question]) -> float:
    """Return questions a second."""
    score(scorer, questions[: 2 * scorer.batch_size])
    start = time.perf_counter()
    score(scorer, questions)
    return len(questions) / (time.perf_counter() - start)


def probabilities(outcomes: Sequence[Any]) -> list[np.ndarray]:
    """Return the option distribution of each answer."""
    weights = [np.exp([option.value for option in outcome]) for outcome in outcomes]
    return [some / some.sum() for some in weights]


@contextmanager
def far_server() -> Iterator[str]:
    """Start a server whose every answer is late."""
    server = OpenAIServer()
    server.behave = lambda asked: dataclasses.replace(answer(asked), delay=FAR)
    try:
        yield server.url
    finally:
        server.close()


def print_agreement(url: str, questions: Sequence[Question]) -> None:
    """Compare the two ways of knowing options with the model in this process, in float32."""
    here = probabilities(score(in_process(8), questions))
    for name, exact in (("token ids", True), ("text among the top 20", False)):
        outcomes: Sequence[Any] = score(served(url, SERVED_NAME, 8, exact=exact), questions)
        there = probabilities(outcomes)
        differences = np.concatenate([np.abs(one - other) for one, other in zip(here, there, strict=True)])
        changed = sum(one.argmax() != other.argmax() for one, other in zip(here, there, strict=True))
        hidden = [option.missing_mass or 0.0 for outcome in outcomes for option in outcome]
        print(
            f"by {name}: {len(here)} questions, mean difference {differences.mean():.1e}, largest "
            f"{differences.max():.1e}, {changed} other predictions; largest missing mass {max(hidden):.4f}"
        )


def in_process(batch_size: int) -> ChoiceScorer[Any]:
    """Build the scorer of the bundled model in this process, on one thread: beside others more only get in the way."""
    torch.set_num_threads(1)
    scorer = BenchCModel(batch_size=batch_size, dtype="float32", device="cpu")._scorer
    assert scorer is not None
    return scorer


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--concurrency", type=int, nargs="+", default=[1, 4, 8, 16, 32, 64])
    parser.add_argument("--rounds", type=int, default=3, help="times the 288 questions are asked; the best one counts")
    arguments = parser.parse_args()
    questions = bundled_questions()
    with ExitStack() as stack:
        servers = {f"answers after {FAR:g} s": (stack.enter_context(far_server()), MODEL)}
        if why_no_vllm() is None:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            checkpoint = vllm_checkpoint(folder / "model")
            servers["vLLM, same cores"] = (
                stack.enter_context(vllm_server(checkpoint, folder / "server.log")),
                SERVED_NAME,
            )
        print("questions a second")
        for batch_size in (1, 8):
            speeds = [speed(in_process(batch_size), questions) for _ in range(arguments.rounds)]
            print(f"transformers in this process, one thread, batch {batch_size}: {max(speeds):.1f}", flush=True)
        print("| concurrent requests | " + " | ".join(servers) + " |")
        print("| --- |" + " --- |" * len(servers))
        for concurrency in arguments.concurrency:
            row = []
            for url, model in servers.values():
                some = questions[: 24 * concurrency]
                scorer = served(url, model, concurrency)
                row.append(max(speed(scorer, some) for _ in range(arguments.rounds)))
            print(f"| {concurrency} | " + " | ".join(f"{one:.1f}" for one in row) + " |", flush=True)
        if SERVED_NAME in (model for _, model in servers.values()):
            print_agreement(servers["vLLM, same cores"][0], questions)


if __name__ == "__main__":
    main()
