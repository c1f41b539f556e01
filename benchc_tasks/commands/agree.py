"""`benchc agree`: check that two backends give the same answers, before one of them does a run."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Console

from benchc_metrics.benchmark import CLEAN, LETTERS, Condition
from benchc_metrics.escaping import for_terminal
from benchc_metrics.messages import quoted

if TYPE_CHECKING:
    from benchc_metrics.pages.tables import Table
    from benchc_tasks.datasets import SampleDataset
    from benchc_tasks.models.agreement import Agreement
    from benchc_tasks.models.questions import Outcome, Question

__all__ = ["add_parser", "run"]

SAMPLES = 6
CONDITIONS = (CLEAN, Condition("gaussian_noise", 3), Condition("fog", 5), Condition("pixelate", 4))
"""Noise, weather and a digital corruption; resizing, encoding and half precision affect each differently."""


def add_parser(subparsers: Any) -> None:
    """Add the subcommand to the `benchc` parser."""
    parser = subparsers.add_parser("agree", help="check that two backends give the same answers to the same questions")
    parser.add_argument(
        "--model_args",
        action="append",
        required=True,
        metavar="ARGUMENTS",
        help="arguments of lmms-eval's --model benchc; give the option twice, once for each backend",
    )
    parser.add_argument("--data", metavar="DATASET", help="folder, file or hub id; the bundled set by default")
    parser.add_argument("--split", metavar="NAME", help="the dataset's split, if it has several")
    parser.add_argument("--samples", type=int, default=SAMPLES, metavar="N", help="samples to ask (%(default)s)")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print the differences and a verdict; the exit status is 1 if the two disagree."""
    from benchc_metrics.pages.tables import print_tables
    from benchc_tasks.datasets import load_dataset
    from benchc_tasks.models.agreement import compare_answers

    if len(arguments.model_args) != 2:
        raise ValueError("agree compares two backends: give --model_args twice.")
    if arguments.samples < 1:
        raise ValueError(f"--samples {arguments.samples} asks nothing: give 1 or more.")
    asked = _questions(load_dataset(arguments.data, arguments.split), arguments.samples)
    first, second = (_answers(words, [question for _, question in asked]) for words in arguments.model_args)
    by_condition = {
        str(condition): compare_answers(
            *([each[place] for place, (shown, _) in enumerate(asked) if shown == condition] for each in (first, second))
        )
        for condition in CONDITIONS
    }
    whole = compare_answers(first, second)
    table = _table({**by_condition, "all": whole})
    notes = [f"{name}: {words}" for name, words in zip("AB", arguments.model_args, strict=True)]
    notes += [str(outcome) for outcome in (*first, *second) if isinstance(outcome, Exception)][:3]
    print_tables([table], list(map(for_terminal, [*notes, _verdict(whole)])), Console(soft_wrap=True))
    return 0 if whole.holds else 1


def _questions(samples: SampleDataset, count: int) -> list[tuple[Condition, Question]]:
    """Return questions about samples that are spread over the dataset, under every condition."""
    import numpy as np

    from benchc_tasks.models.questions import Question
    from benchc_tasks.stacks.pictures import ConditionedPicture
    from benchc_tasks.stacks.prompting import task_prompt

    places = np.unique(np.linspace(0, len(samples) - 1, min(count, len(samples))).round().astype(int))
    questions = []
    for sample in (samples[int(place)] for place in places):
        text = task_prompt().text(sample["question"], sample["options"])
        letters = tuple(LETTERS[: len(sample["options"])])
        for condition in CONDITIONS:
            picture = ConditionedPicture(samples.fingerprint, sample["id"], condition)(sample)
            name = f"sample {quoted(sample['id'])} under {condition}"
            questions.append((condition, Question(name, text, letters, tuple(picture))))
    return questions


def _answers(model_args: str, questions: Sequence[Question]) -> list[Outcome]:
    """Ask one backend, and free its memory afterwards."""
    from benchc_tasks.models.agreement import answer_all
    from benchc_tasks.stacks.lmms_eval.model import BenchCModel

    model = BenchCModel.create_from_arg_string(model_args)
    try:
        return answer_all(model.scorer, questions)
    finally:
        model.clean()


def _table(found: dict[str, Agreement]) -> Table:
    from benchc_metrics.pages.tables import Column, Table

    columns = (
        Column("condition", "condition"),
        Column("questions", "questions"),
        Column("answered", "answered"),
        Column("mean", "mean"),
        Column("largest", "largest"),
        Column("other_predictions", "other predictions"),
        Column("mass_a", "letters A"),
        Column("mass_b", "letters B"),
    )
    rows = tuple(
        (
            condition,
            each.questions,
            each.answered,
            f"{each.mean:.2g}",
            f"{each.largest:.2g}",
            each.other_predictions,
            f"{each.mass[0]:.3f}",
            f"{each.mass[1]:.3f}",
        )
        for condition, each in found.items()
    )
    title = "Differences of option probabilities between A and B, and the probability that all letters have together"
    return Table(title, columns, rows)


def _verdict(found: Agreement) -> str:
    differences = (
        f"option probabilities differ by {found.mean:.2g} on average and {found.largest:.2g} at most, and "
        f"{found.other_predictions} of {found.answered} predictions differ"
    )
    if found.holds:
        return f"A and B agree: {differences}."
    if found.answered < found.questions:
        return (
            f"A and B cannot be compared: {found.questions - found.answered} of {found.questions} questions were not "
            "answered by both; correct the backend, then ask again."
        )
    return (
        f"A and B disagree: {differences}. Do not compare or mix their runs before you find the reason: the chat "
        "template, the image processor, or the precision of one of them."
    )
