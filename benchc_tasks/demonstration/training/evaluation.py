"""Measure how well a model answers: option probabilities for pictures and questions, in batches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from benchc_metrics.benchmark import LETTERS
from benchc_tasks.demonstration.training.vocabulary import prompt_text

__all__ = ["letter_probabilities"]


def letter_probabilities(
    model: Any,
    processor: Any,
    pictures: Sequence[Image.Image],
    prompts: Sequence[tuple[str, Sequence[str]]],
    batch: int = 48,
) -> NDArray[np.float64]:
    """Ask a model multiple-choice questions with the benchmark's own prompt.

    Parameters
    ----------
    model, processor
        Loaded by AutoModelForImageTextToText and AutoProcessor.
    pictures
        One for each question.
    prompts
        Questions with their options; all have the same number of options.
    batch
        The number of questions in a batch.

    Returns
    -------
    ndarray of shape (questions, options)
        Each letter's probability as the next token, over the whole vocabulary.
    """
    letters = [processor.tokenizer.convert_tokens_to_ids(letter) for letter in LETTERS[: len(prompts[0][1])]]
    results = []
    for start in range(0, len(prompts), batch):
        texts = [_chat(processor, *prompt) for prompt in prompts[start : start + batch]]
        images = [[picture] for picture in pictures[start : start + batch]]
        inputs = processor(images=images, text=texts, padding=True, return_tensors="pt")
        with torch.inference_mode():
            logits = model(**inputs).logits[:, -1]
        results.append(logits.double().softmax(-1)[:, letters].numpy())
    return np.asarray(np.concatenate(results))


def _chat(processor: Any, question: str, options: Sequence[str]) -> str:
    content = [{"type": "image"}, {"type": "text", "text": prompt_text(question, options)}]
    return str(processor.apply_chat_template([{"role": "user", "content": content}], add_generation_prompt=True))
