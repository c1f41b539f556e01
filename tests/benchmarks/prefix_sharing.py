"""What `share_prefix=True` saves: whole scoring runs with and without it, in turns.

    python tests/benchmarks/prefix_sharing.py --set path/to/photographs

A run asks samples under all conditions, through `ChoiceModel`: rendering, the model's processor, forward passes. Its
time is the processor time of all threads. The two ways take turns corruption by corruption, and of several rounds the
shortest time of each corruption counts; what is tried out and compiled at first does not. The sets are the bundled one,
which shares no picture, the set that is named, and pools of its pictures with two and three of its questions each. Of
every set the questions on a few pictures are asked, spread over it.

At the end, what options of several tokens share: they are read from the prompt's cache, or as whole sequences.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import cv2
import torch
from loguru import logger
from tiny_models import build_checkpoint
from transformers import logging as hf_logging

from benchc_metrics.benchmark import CORRUPTION_FAMILIES, LETTERS, Condition, conditions_under
from benchc_tasks.corruptions import CORRUPTIONS
from benchc_tasks.datasets import SampleDataset, load_dataset
from benchc_tasks.demonstration import DEMONSTRATION_MODEL
from benchc_tasks.models.chat import ChatFormat
from benchc_tasks.models.choice import TransformersChoiceScorer
from benchc_tasks.models.loading import load_checkpoint
from benchc_tasks.models.questions import Question
from benchc_tasks.models.trial import Way
from benchc_tasks.stacks.choice_model import Answer, ChoiceModel
from benchc_tasks.stacks.inquiries import Inquiry
from benchc_tasks.stacks.lmms_eval.backends import build_scorer
from benchc_tasks.stacks.pictures import ConditionedPicture
from benchc_tasks.stacks.prompting import task_prompt

FAMILY = "qwen2_5_vl"
BUNDLED = "the bundled model"
SEVERAL = ("a red square", "two blue circles", "a large green star", "three yellow rings")
CONDITIONS = conditions_under(*CORRUPTION_FAMILIES)
SAME_PIXELS = [each for each in CONDITIONS if each.corruption is None or not CORRUPTIONS[each.corruption].is_random]
"""Conditions in which samples with one picture show the same pixels."""


@dataclass(frozen=True)
class Asked:
    """Some samples of a set.

    Attributes
    ----------
    name : str
        What is printed.
    samples : SampleDataset
        All of their pictures' questions.
    pictures : int
        How many pictures they have.
    """

    name: str
    samples: SampleDataset
    pictures: int

    @property
    def repeated(self) -> float:
        """Share of all passes that show pixels which another pass shows."""
        return (1 - self.pictures / len(self.samples)) * len(SAME_PIXELS) / len(CONDITIONS)


def asked_of(name: str, samples: SampleDataset, pictures: int) -> Asked:
    """Choose the questions on some pictures of a set, spread over it."""
    questions: dict[bytes, list[int]] = {}
    for place in range(len(samples)):
        questions.setdefault(samples[place]["image"], []).append(place)
    places = list(questions.values())
    chosen = places[:: max(1, len(places) // pictures)][:pictures]
    return Asked(name, samples.select([place for some in chosen for place in some]), len(chosen))


def pool_of(samples: SampleDataset, questions: int, pictures: int, folder: Path) -> Asked:
    """Give some pictures of a set several of its questions each."""
    images = list(dict.fromkeys(samples[place]["image"] for place in range(len(samples))))
    folder.mkdir()
    lines = []
    for number, image in enumerate(images[:: max(1, len(images) // pictures)][:pictures]):
        (folder / f"{number}.image").write_bytes(image)
        for which in range(questions):
            row = samples[(number * questions + which) % len(samples)]
            said = {key: row[key] for key in ("question", "options", "answer")}
            lines.append(json.dumps({"id": f"{number}-{which}", "image": f"{number}.image", **said}))
    (folder / "data.jsonl").write_text("\n".join(lines))
    return Asked(f"{questions} questions a picture", load_dataset(folder), pictures)


def inquiries_of(samples: SampleDataset, conditions: Sequence[Condition]) -> Iterator[tuple[Inquiry, int]]:
    """Ask samples under some conditions; with the number of options."""
    rows = samples.without_images()
    for place in range(len(samples)):
        row = rows[place]
        text = task_prompt().text(row["question"], row["options"])
        for condition in conditions:
            picture = ConditionedPicture(samples.fingerprint, row["id"], condition)
            yield Inquiry.of_picture(text, picture, partial(samples.__getitem__, place)), len(row["options"])


def run(model: ChoiceModel, samples: SampleDataset, conditions: Sequence[Condition]) -> tuple[float, list[Answer]]:
    """Score samples under some conditions; return the processor time in seconds, and the answers."""
    inquiries, places = [], 0
    for inquiry, options in inquiries_of(samples, conditions):
        for letter in LETTERS[:options]:
            inquiry.add(places, letter)
            places += 1
        inquiries.append(inquiry)
    start = time.process_time()
    answers = list(model.stream_answers(inquiries, ["benchc"] * places))
    return time.process_time() - start, answers


def compare(models: Mapping[bool, ChoiceModel], samples: SampleDataset, rounds: int) -> tuple[float, float, float]:
    """Return the seconds of a run without and with sharing, and the largest difference of its answers.

    The runs take turns corruption by corruption, and the shortest time of each corruption counts.
    """
    seconds = {False: 0.0, True: 0.0}
    difference = 0.0
    for number, name in enumerate(CORRUPTION_FAMILIES):
        # The clean pictures are asked with the first corruption.
        conditions = conditions_under(name)[number > 0 :]
        times: dict[bool, list[float]] = {False: [], True: []}
        answers: dict[bool, list[Answer]] = {}
        for _ in range(rounds):
            for shares, model in models.items():
                spent, answers[shares] = run(model, samples, conditions)
                times[shares].append(spent)
        seconds = {shares: seconds[shares] + min(times[shares]) for shares in seconds}
        pairs = zip(answers[False], answers[True], strict=True)
        difference = max(difference, *(abs(float(one[0]) - float(other[0])) for one, other in pairs))
    return seconds[False], seconds[True], difference


def print_runs(name: str, pretrained: str, batch_size: int, sets: Sequence[Asked], rounds: int) -> None:
    """Measure runs with and without sharing."""
    models = {
        shares: ChoiceModel(
            build_scorer, pretrained=pretrained, batch_size=batch_size, share_prefix=shares, render_threads=1
        )
        for shares in (False, True)
    }
    for model in models.values():  # what is tried and compiled once is no part of a run
        run(model, sets[-1].samples[:3], CONDITIONS)
    print(f"\n{name}, batch size {batch_size}\n")
    print("| set | samples | pictures | passes that repeat pixels | s without | s with | saved | nats apart |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for asked in sets:
        without, shared, difference = compare(models, asked.samples, rounds)
        print(
            f"| {asked.name} | {len(asked.samples)} | {asked.pictures} | {asked.repeated:.1%} | {without:.1f} "
            f"| {shared:.1f} | {1 - shared / without:.1%} | {difference:.1g} |",
            flush=True,
        )


def seconds(work: Callable[[], Any], repeats: int) -> float:
    """Median processor time."""
    work()
    times = []
    for _ in range(repeats):
        start = time.process_time()
        work()
        times.append(time.process_time() - start)
    return statistics.median(times)


def print_options(pretrained: str, samples: SampleDataset, repeats: int) -> None:
    """Measure options of one and of several tokens."""
    loaded = load_checkpoint(pretrained, {}, device=torch.device("cpu"), dtype=torch.float32)
    scorer = TransformersChoiceScorer(loaded.model, ChatFormat(loaded.processor, loaded.tokenizer), 1)
    row = samples[0]
    images = tuple(ConditionedPicture(samples.fingerprint, row["id"], Condition(None, 0))(row))
    text = task_prompt().text(row["question"], row["options"])
    letters, sentences = (
        scorer.prepare([Question("it", text, options, images)]) for options in (tuple("ABCD"), SEVERAL)
    )
    times = {
        "four letters": seconds(lambda: scorer.score(letters), repeats),
        "four options of several tokens": seconds(lambda: scorer.score(sentences), repeats),
    }
    scorer._way = Way.WHOLE_REST
    times["four whole sequences"] = seconds(lambda: scorer.score(sentences), repeats)
    print("\n| options of a question | ms of processor time |\n| --- | --- |")
    for part, value in times.items():
        print(f"| {part} | {1000 * value:.1f} |")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--set", type=Path, help="a dataset whose pictures have several questions")
    parser.add_argument("--pictures", type=int, default=4, help="of each set")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=7, help="of the options of several tokens")
    parser.add_argument("--batch-sizes", type=int, nargs="*", default=[1, 4])
    settings = parser.parse_args()
    hf_logging.set_verbosity_error()
    hf_logging.disable_progress_bar()
    logger.remove()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:1])
    torch.set_num_threads(1)
    cv2.setNumThreads(1)

    bundled = load_dataset()
    named = load_dataset(settings.set) if settings.set else bundled
    print(f"Same pixels in {len(SAME_PIXELS)} of {len(CONDITIONS)} conditions.")
    temporary = Path(tempfile.mkdtemp())
    try:
        pools = [pool_of(named, count, settings.pictures, temporary / str(count)) for count in (2, 3)]
        own = [asked_of("bundled", bundled, settings.pictures)]
        others = [asked_of(settings.set.name, named, settings.pictures)] if settings.set else []
        checkpoints = {
            f"tiny {FAMILY}": str(build_checkpoint(FAMILY, temporary / FAMILY)),
            BUNDLED: str(DEMONSTRATION_MODEL),
        }
        for name, pretrained in checkpoints.items():
            for batch_size in settings.batch_sizes:
                print_runs(name, pretrained, batch_size, [*own, *others, *pools], settings.rounds)
        print_options(str(DEMONSTRATION_MODEL), bundled, settings.repeats)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


if __name__ == "__main__":
    main()
