"""The bundled model behind a server on loopback, for stacks that know models by their address."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from openai_server import Asked, OpenAIServer, Reply, answer, completion
from PIL import Image

from benchc_metrics.benchmark import LETTERS
from benchc_tasks.models.engines import EngineSettings, transformers_scorer
from benchc_tasks.models.questions import Question

OPTION = re.compile(r"^([A-Z])\. ", re.MULTILINE)


@contextmanager
def served_demonstration() -> Iterator[OpenAIServer]:
    """Serve the bundled model; its top log-probabilities are those of the options' letters."""
    scorer = transformers_scorer(EngineSettings(None, None, {}, torch.device("cpu")))
    lock = threading.Lock()

    def behave(asked: Asked) -> Reply:
        if not asked.is_question:
            return answer(asked)
        letters = tuple(LETTERS[: len(OPTION.findall(asked.text))])
        question = Question("served", asked.text, letters, (Image.fromarray(asked.pixels),))
        with lock:
            (outcome,) = scorer.score(scorer.prepare([question]))
        values = sorted(zip(letters, outcome, strict=True), key=lambda pair: -pair[1].value)
        if not asked.body.get("logprobs"):
            choice = {"index": 0, "message": {"role": "assistant", "content": values[0][0]}, "finish_reason": "stop"}
            return Reply(
                body={"object": "chat.completion", "created": 1, "model": "demonstration", "choices": [choice]}
            )
        shown = [{"token": letter, "logprob": one.value, "bytes": list(letter.encode())} for letter, one in values]
        return completion(shown)

    server = OpenAIServer()
    server.behave = behave
    try:
        yield server
    finally:
        server.close()
