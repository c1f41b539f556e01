"""Tiny models of many families, on the card against the CPU: options of one and of several tokens, and texts."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from tiny_models import FAMILIES, build_checkpoint

from benchc_tasks.batching import in_batches
from benchc_tasks.models.chat import ChatFormat
from benchc_tasks.models.choice import TransformersChoiceScorer
from benchc_tasks.models.generation.questions import TextQuestion, WritingSettings
from benchc_tasks.models.generation.transformers import TransformersGenerator
from benchc_tasks.models.loading import load_checkpoint
from benchc_tasks.models.questions import Question

__all__ = ["FAMILY_NAMES", "compare_family"]

FAMILY_NAMES = tuple(FAMILIES)
LETTERS = ("A", "B", "C", "D")
PHRASES = ("zebra crossing", "zebra", "A", " quick brown fox", "zebu")
CONTEXTS = (
    "What is this?",
    "What colour is the big square? A red B green C blue D yellow. Answer with the option's letter.",
    "Where is the star, and how many are there of it?",
    "one two three four",
)
SIZES = ((40, 40), (70, 40), (40, 90), (64, 64))
BATCHES = (1, 4)


def compare_family(family: str, device: torch.device) -> dict[str, Any]:
    """Compare one family's answers on a device with those on the CPU in float32 at batch size 1.

    Returns
    -------
    dict
        For each precision the largest difference in nats over options and batch sizes, and the way that was taken if it
        is not the fast one; the share of texts that are the same in float32.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = build_checkpoint(family, Path(folder) / family)
        expected, texts = answers(path, torch.device("cpu"), torch.float32, 1)
        found: dict[str, Any] = {}
        for dtype in (torch.float32, torch.bfloat16):
            name = str(dtype).removeprefix("torch.")
            for batch_size in BATCHES:
                values, written = answers(path, device, dtype, batch_size, ways := [])
                largest = float(np.abs(values - expected).max())
                found[name] = max(found.get(name, 0.0), largest)
                if set(ways) != {"FAST"}:
                    found[f"{name}_batch_{batch_size}_way"] = ways[-1]
                if dtype == torch.float32:
                    same = np.mean([one == other for one, other in zip(written, texts, strict=True)])
                    found["same_texts"] = min(found.get("same_texts", 1.0), float(same))
    return found


def answers(
    path: Path, device: torch.device, dtype: torch.dtype, batch_size: int, ways: list[str] | None = None
) -> tuple[np.ndarray, list[str]]:
    """Score letters and phrases, and write texts, one greedy and four drawn, to four questions."""
    loaded = load_checkpoint(str(path), {}, device=device, dtype=dtype)
    scorer = TransformersChoiceScorer(loaded.model, ChatFormat(loaded.processor, loaded.tokenizer), batch_size)
    values = [value for options in (LETTERS, PHRASES) for value in log_likelihoods(scorer, options)]
    if ways is not None:
        ways.append(scorer._way.name)
    return np.array(values), [
        text for temperature, count in ((0.0, 1), (0.7, 4)) for text in texts_of(scorer, temperature, count)
    ]


def log_likelihoods(scorer: TransformersChoiceScorer, options: Sequence[str]) -> list[float]:
    """Score the options of all questions."""
    questions = [
        Question(f"question {number}", context, tuple(options), (picture(number),))
        for number, context in enumerate(CONTEXTS)
    ]
    outcomes = answered(scorer.batch_size, scorer.prepare, scorer.score, questions)
    return [response.value for responses in outcomes for response in responses]


def texts_of(scorer: TransformersChoiceScorer, temperature: float, count: int) -> list[str]:
    """Write texts of six tokens."""
    generator = TransformersGenerator(scorer)
    settings = WritingSettings(max_new_tokens=6, temperature=temperature)
    questions = [
        TextQuestion(f"question {number}", context, (picture(number),), settings, tuple(range(count)))
        for number, context in enumerate(CONTEXTS)
    ]
    written = answered(generator.batch_size, generator.prepare, generator.generate, questions)
    return [text for texts in written for text in texts]


def answered(
    batch_size: int, prepare: Callable[[Any], Any], answer: Callable[[Any], list[Any]], questions: Sequence[Any]
) -> Iterator[Any]:
    """Ask batch by batch; raise what could not be answered."""
    for batch in in_batches(questions, batch_size):
        for outcome in answer(prepare(batch)):
            if isinstance(outcome, Exception):
                raise outcome
            yield outcome


def picture(seed: int) -> Image.Image:
    """Draw coloured blocks."""
    blocks = np.random.default_rng(seed).integers(0, 256, (4, 4, 3), dtype=np.uint8)
    return Image.fromarray(blocks).resize(SIZES[seed], Image.Resampling.NEAREST)
