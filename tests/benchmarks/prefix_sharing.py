"""What sharing between questions would save: how often pictures are shared, and where the time of a question goes.

    python tests/benchmarks/prefix_sharing.py --sets path/to/photographs

The corrupted picture of a sample comes from a seed of its own. So two samples with one picture show a model the same
pixels only in the clean condition and under the corruptions that draw nothing, and only there can one pass take the
prefix of another: the picture and what stands before it. Measured are processor times on one core, in float32:
rendering, the model's processor, a pass over the prefix, one over the rest of the prompt from the prefix's cache, one
over the whole prompt, and options of several tokens read from the prompt's cache and as whole sequences. What is saved
counts one pass over a shared prefix and one over the rest of each prompt; at most, the rest would cost what the whole
prompt costs beyond its prefix. Copies of caches, and putting questions with one picture together, count as free.
"""

from __future__ import annotations

import argparse
import io
import os
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import cv2
import torch
from PIL import Image
from tiny_models import build_checkpoint
from transformers import logging as hf_logging

from benchc_metrics.benchmark import Condition
from benchc_tasks.corruptions import CORRUPTIONS, SEVERITIES
from benchc_tasks.datasets import SampleDataset, decode_image, load_dataset
from benchc_tasks.demonstration import DEMONSTRATION_MODEL
from benchc_tasks.models.chat import ChatFormat
from benchc_tasks.models.choice import TransformersChoiceScorer
from benchc_tasks.models.loading import LoadedModel, load_checkpoint
from benchc_tasks.models.questions import Question
from benchc_tasks.models.trial import Way
from benchc_tasks.stacks.pictures import ConditionedPicture
from benchc_tasks.stacks.prompting import Prompt

FAMILY = "qwen2_5_vl"
SEVERAL = ("a red square", "two blue circles", "a large green star", "three yellow rings")
SAME_PIXELS = [
    None,
    *((name, severity) for name, found in CORRUPTIONS.items() if not found.is_random for severity in SEVERITIES),
]
"""Conditions in which samples with one picture show the same pixels."""
CONDITIONS = 1 + len(CORRUPTIONS) * len(SEVERITIES)


@dataclass(frozen=True)
class Shape:
    """How a set shares its pictures.

    Attributes
    ----------
    name : str
        What is printed.
    questions : tuple of int
        How many samples each picture has.
    """

    name: str
    questions: tuple[int, ...]

    @property
    def sharing(self) -> float:
        """Share of the samples whose picture another sample has."""
        return sum(count for count in self.questions if count > 1) / sum(self.questions)

    @property
    def repeated(self) -> float:
        """Share of all passes that show pixels which an earlier pass has shown."""
        return (1 - len(self.questions) / sum(self.questions)) * len(SAME_PIXELS) / CONDITIONS

    def saved(self, asked: float, first: float, each: float) -> float:
        """Share of a run's time that is saved.

        Parameters
        ----------
        asked : float
            Time of a question as it is.
        first, each : float
            Time that a shared picture takes once, and for each of its questions.
        """
        gains = (count * asked - first - count * each for count in self.questions if count > 1)
        return sum(gain for gain in gains if gain > 0) / sum(self.questions) / asked * len(SAME_PIXELS) / CONDITIONS


def shape_of(name: str, samples: SampleDataset) -> Shape:
    """Count equal pixels."""
    rows = map(samples.__getitem__, range(len(samples)))
    seen = Counter(decode_image(row["image"], sample=row["id"]).tobytes() for row in rows)
    return Shape(name, tuple(seen.values()))


def seconds(work: Callable[[], Any], repeats: int) -> float:
    """Median processor time."""
    work()
    times = []
    for _ in range(repeats):
        start = time.process_time()
        work()
        times.append(time.process_time() - start)
    return statistics.median(times)


def times_of(loaded: LoadedModel, samples: SampleDataset, repeats: int, side: int | None) -> Mapping[str, float]:
    """Measure each part of one question, on average over three samples and three conditions."""
    scorer = TransformersChoiceScorer(loaded.model, ChatFormat(loaded.processor, loaded.tokenizer), 1)
    found: dict[str, list[float]] = {}
    for number in (0, len(samples) // 2, len(samples) - 1):
        row = samples[number] if side is None else resized(samples[number], side)
        for condition in (Condition(None, 0), Condition("pixelate", 3), Condition("jpeg_compression", 3)):
            picture = ConditionedPicture(samples.fingerprint, row["id"], condition)
            for part, value in times_of_question(scorer, row, picture, repeats).items():
                found.setdefault(part, []).append(value)
    return {part: statistics.mean(some) for part, some in found.items()}


def times_of_question(
    scorer: TransformersChoiceScorer, row: Mapping[str, Any], picture: ConditionedPicture, repeats: int
) -> Mapping[str, float]:
    """Measure each part of one question about one picture, in seconds; and count its tokens."""
    question = question_of(Prompt.for_model(None, None), row, picture(row)[0])
    several = Question("several", question.context, SEVERAL, question.images)
    letters, sentences = scorer.prepare([question]), scorer.prepare([several])
    scorer.score(letters)  # the trial of the first question is no part of it
    inputs = letters.inputs
    tokens = inputs["input_ids"]
    end = int((tokens[0] == scorer.model.config.image_token_id).nonzero()[-1]) + 1
    prefix = type(inputs)(
        {key: value[:, :end] if value.shape == tokens.shape else value for key, value in inputs.items()}
    )

    with torch.inference_mode():
        kept = scorer.reader.read_prompts(prefix, keep_cache=True)
        whole = scorer.reader.read_prompts(inputs, keep_cache=False).log_probabilities[0]
    # The last token is only there to be read behind the prompt.
    rest = (*tokens[0, end:].tolist(), int(whole.argmax()))

    def read(some: Any) -> Any:
        with torch.inference_mode():
            return scorer.reader.read_prompts(some, keep_cache=False)

    def whole_sequences() -> None:
        scorer._way = Way.WHOLE_REST
        scorer.score(sentences)
        scorer._way = Way.FAST

    def read_rest() -> None:
        with torch.inference_mode():
            scorer.reader.read_tails(kept, [0], [rest])

    parts: Mapping[str, Callable[[], Any]] = {
        "render": lambda: picture(row),
        "processor": lambda: scorer.prepare([question]),
        "prefix": lambda: read(prefix),
        "rest from the prefix's cache": read_rest,
        "prompt": lambda: read(inputs),
        "letters": lambda: scorer.score(letters),
        "several tokens": lambda: scorer.score(sentences),
        "whole sequences": whole_sequences,
    }
    return {
        **{part: seconds(work, repeats) for part, work in parts.items()},
        "tokens of the prefix": end,
        "tokens of the prompt": tokens.shape[1],
    }


def resized(row: Mapping[str, Any], side: int) -> Mapping[str, Any]:
    """Give a sample a square picture."""
    file = io.BytesIO()
    decode_image(row["image"], sample=row["id"]).resize((side, side)).save(file, "PNG")
    return {**row, "image": file.getvalue()}


def question_of(prompt: Prompt, row: Mapping[str, Any], image: Image.Image) -> Question:
    """Ask a sample's question about a picture."""
    letters = tuple("ABCDEFGHIJ"[: len(row["options"])])
    return Question(row["id"], prompt.text(row["question"], row["options"]), letters, (image,))


PARTS = ("render", "processor", "prefix", "rest from the prefix's cache", "prompt")
WAYS = ("letters", "several tokens", "whole sequences")


def print_times(name: str, times: Mapping[str, float], shapes: Sequence[Shape]) -> None:
    """Print where the time goes, and what sharing would save of it."""
    picture, rest = times["render"] + times["processor"], times["rest from the prefix's cache"]
    asked = picture + times["letters"]
    print(f"\n{name}: {times['tokens of the prefix']:.0f} of {times['tokens of the prompt']:.0f} tokens are the prefix")
    print("| part of a question | ms of processor time |\n| --- | --- |")
    for part in (*PARTS, *WAYS):
        print(f"| {part} | {1000 * times[part]:.2f} |")
    print(
        "\n| set | samples | pictures | samples that share theirs | passes that repeat pixels | saved | saved at most |"
    )
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for shape in shapes:
        saved = shape.saved(asked, picture + times["prefix"], rest)
        most = shape.saved(asked, picture + times["prefix"], asked - picture - times["prefix"])
        print(
            f"| {shape.name} | {sum(shape.questions)} | {len(shape.questions)} | {shape.sharing:.0%} "
            f"| {shape.repeated:.1%} | {saved:.1%} | {most:.1%} |"
        )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sets", type=Path, nargs="*", default=[], help="other datasets")
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--side", type=int, default=448, help="side of the pictures of the tiny model, in pixels")
    settings = parser.parse_args()
    hf_logging.set_verbosity_error()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:1])
    torch.set_num_threads(1)
    cv2.setNumThreads(1)

    bundled = load_dataset()
    shapes = [
        shape_of("bundled", bundled),
        *(shape_of(path.name, load_dataset(path)) for path in settings.sets),
        *(Shape(f"each picture has {count} questions", (count,) * 300) for count in (2, 3, 4)),
    ]
    cpu: dict[str, Any] = {"device": torch.device("cpu"), "dtype": torch.float32}
    print(f"Same pixels in {len(SAME_PIXELS)} of {CONDITIONS} conditions.")
    demonstration = load_checkpoint(str(DEMONSTRATION_MODEL), {}, **cpu)
    print_times("bundled model", times_of(demonstration, bundled, settings.repeats, None), shapes)
    with tempfile.TemporaryDirectory() as temporary:
        tiny = load_checkpoint(str(build_checkpoint(FAMILY, Path(temporary) / FAMILY)), {}, **cpu)
        name = f"tiny {FAMILY}, {settings.side} px"
        print_times(name, times_of(tiny, bundled, settings.repeats, settings.side), shapes)


if __name__ == "__main__":
    main()
