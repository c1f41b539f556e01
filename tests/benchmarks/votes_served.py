"""Compare the speed of votes by the API's `n` with one request each, behind vLLM's server with the bundled model.

PYTHONPATH=. $(.ci/vllm-environment)/bin/python tests/benchmarks/votes_served.py
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from vllm_server import SERVED_NAME, vllm_server
from vllm_support import vllm_checkpoint

from benchc_metrics.benchmark import INSTRUCTION
from benchc_tasks.datasets import decode_image, load_dataset
from benchc_tasks.models.generation.questions import TextQuestion, WritingSettings
from benchc_tasks.models.generation.served import ServedGenerator
from benchc_tasks.models.served.scoring import load_served_model
from benchc_tasks.stacks.prompting import question_with_options

QUESTIONS, VOTES, ROUNDS = 12, 16, 3


def main() -> None:
    """Print seconds of each way, round by round."""
    settings = WritingSettings(max_new_tokens=2, temperature=1.0)
    samples = load_dataset(None, None)
    questions = [
        TextQuestion(
            sample["id"],
            f"{question_with_options(sample['question'], sample['options'])}\n{INSTRUCTION}",
            (decode_image(sample["image"], sample=sample["id"]),),
            settings,
            tuple(range(VOTES)),
        )
        for sample in map(samples.__getitem__, range(QUESTIONS))
    ]
    with tempfile.TemporaryDirectory() as folder:
        checkpoint = vllm_checkpoint(Path(folder) / "model")
        with vllm_server(checkpoint, Path(folder) / "server.log") as url:
            model, chat, concurrency = load_served_model("openai", {"base_url": url, "model": SERVED_NAME})
            for _ in range(ROUNDS):
                for takes_n in (True, False):
                    generator = ServedGenerator(model, chat, concurrency=concurrency)
                    generator._takes_n = takes_n
                    started = time.perf_counter()
                    outcomes = generator.generate(generator.prepare(questions))
                    seconds = time.perf_counter() - started
                    assert all(isinstance(outcome, list) for outcome in outcomes)
                    print(f"{'n' if takes_n else 'requests'}: {seconds:.2f} s", flush=True)


if __name__ == "__main__":
    main()
