"""Questions to a served model, for tests that ask one on loopback."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from openai_server import Asked, Reply, answer, completion
from PIL import Image

from benchc_tasks.models.choice import TransformersChoiceScorer
from benchc_tasks.models.questions import Question
from benchc_tasks.models.served.scoring import ServedChoiceScorer

LETTERS = ("A", "B", "C", "D")
PATIENCE = {"timeout": 30, "max_retries": 3, "retry_backoff_s": 0.01}


def question(number: int = 0, *, options: tuple[str, ...] = LETTERS) -> Question:
    """Return a question with a picture of noise."""
    pixels = np.random.default_rng(number).integers(0, 256, (30, 40, 3), dtype=np.uint8)
    return Question(f"sample '{number}' under clean", f"What is it? ({number})", options, (Image.fromarray(pixels),))


def score(scorer: ServedChoiceScorer, *questions: Question) -> Any:
    """Ask all questions at once."""
    return scorer.score(scorer.prepare(questions))


def answers_of(scorer: TransformersChoiceScorer, most: int = 20) -> Callable[[Asked], Reply]:
    """Return what a server does that has the model of a scorer: its `most` most probable tokens."""
    turn = threading.Lock()
    tokenizer = scorer._chat._tokenizer

    def behave(asked: Asked) -> Reply:
        if not asked.is_question:
            return answer(asked)
        images = (Image.fromarray(asked.pixels),) if asked.picture else ()
        with turn, torch.inference_mode():
            prepared = scorer.prepare([Question("served", asked.text, ("A",), images)])
            shown = scorer._reader.read_prompts(prepared.inputs, keep_cache=False).log_probabilities[0]
        best = shown.topk(min(most, asked.body["top_logprobs"]))
        return completion(
            [
                {"token": text, "logprob": value, "bytes": list(text.encode())}
                for token, value in zip(best.indices.tolist(), best.values.tolist(), strict=True)
                if (text := tokenizer.decode([token]))
            ]
        )

    return behave
