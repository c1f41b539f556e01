"""Questions to a served model, for tests that ask one on loopback."""

from __future__ import annotations

from typing import Any

import numpy as np
from PIL import Image

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
