"""Runs that are noisy copies of published models' answers, with no effect of corruption or one of known size."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from run_folders import METADATA

from benchc_metrics.benchmark import CORRUPTION_FAMILIES
from benchc_metrics.findings.analysis import Contest, RunAnalysis
from benchc_metrics.findings.sentences import find_all
from benchc_metrics.metrics.calibration import CalibrationBins
from benchc_metrics.metrics.pairs import PairValues
from benchc_metrics.metrics.ras import Reading
from benchc_metrics.runs import Run
from benchc_metrics.statistics.estimates import estimate
from benchc_metrics.statistics.resampling import Intervals

FIXTURE = Path(__file__).parent / "fixtures" / "mmbench_logits" / "logits.npz"
BEST_MARK = "Best of a column"
CORRUPTIONS = tuple(CORRUPTION_FAMILIES)


@dataclass(frozen=True)
class Answers:
    """Answers of models to questions of four options: means over the options' orders, and what each order adds.

    Attributes
    ----------
    means : ndarray, shape (models, questions, 4)
    residuals : ndarray, shape (models, questions, orders, 4)
    answer : ndarray of int, shape (questions,)
    """

    means: np.ndarray
    residuals: np.ndarray
    answer: np.ndarray

    @classmethod
    def of_orders(cls, logits: np.ndarray, answer: np.ndarray) -> Answers:
        """From logits of shape (models, questions, orders, 4), the options always in the same order."""
        centred = logits - logits.mean(axis=-1, keepdims=True)
        means = centred.mean(axis=2)
        orders = logits.shape[2]
        residuals = (centred - means[:, :, np.newaxis]) * np.sqrt(orders / (orders - 1))
        return cls(means, residuals, answer.astype(np.int64))

    @classmethod
    def of_fixture(cls) -> Answers:
        """The 200 questions that stand beside the tests."""
        with np.load(FIXTURE) as kept:
            return cls.of_orders(kept["logits"].astype(float), kept["answer"])

    @classmethod
    def of_folder(cls, folder: Path) -> Answers:
        """All questions of `mmbench_logits.npz` with four different options that stand in four orders."""
        with (folder / "mmbench_items.jsonl").open(encoding="utf-8") as lines:
            items = [json.loads(line) for line in lines]
        with np.load(folder / "mmbench_logits.npz") as kept:
            logits, answer = kept["logits"][..., :4].astype(float), kept["answer"]
        orders: dict[int, list[int]] = {}
        for row, item in enumerate(items):
            orders.setdefault(item["index"] % 1_000_000, []).append(row)
        rows, places, right = [], [], []
        for of_question in orders.values():
            texts = [[items[row][letter] for letter in "ABCD"] for row in of_question]
            if len(of_question) == 4 and all(set(each) == set(texts[0]) and len(set(each)) == 4 for each in texts):
                rows.append(of_question)
                places.append([[each.index(text) for text in texts[0]] for each in texts])
                right.append(int(answer[of_question[0]]))
        ordered = np.take_along_axis(logits[:, np.array(rows)], np.array(places)[np.newaxis], axis=-1)
        return cls.of_orders(ordered, np.array(right))


def run_of_orders(answers: Answers, model: int, name: str = "lab/published") -> Run:
    """Make a run of a model's own answers: the first order of the options is clean, the others are three severities."""
    logits = answers.means[model][:, np.newaxis] + answers.residuals[model] * np.sqrt(3 / 4)
    samples = len(logits)
    corrupted = np.full((samples, 1, 5, 4), np.nan)
    corrupted[:, 0, :3] = logits[:, 1:]
    return Run(
        name=name,
        metadata=replace(METADATA, model=name, dataset_size=samples),
        sample_ids=tuple(f"sample-{number:05}" for number in range(samples)),
        answers=answers.answer,
        option_counts=np.full(samples, 4),
        sources=("test",) * samples,
        categories=(None,) * samples,
        corruptions=("fog",),
        clean=logits[:, 0],
        corrupted=corrupted,
        asked=np.broadcast_to(np.arange(5) < 3, (samples, 1, 5)).copy(),
    )


def noisy_run(
    answers: Answers,
    model: int,
    questions: np.ndarray,
    draw: np.random.Generator,
    *,
    name: str = "lab/copy",
    noise: float = 1.0,
    corruptions: Sequence[str] = CORRUPTIONS,
    plant: Callable[[np.ndarray, np.ndarray, np.random.Generator], np.ndarray] | None = None,
) -> Run:
    """Make a run whose conditions are independent noisy copies of one model's mean answers.

    `plant` changes the corrupted logits (samples, corruptions, severities, 4), given the right options.
    """
    samples = len(questions)
    shape = (samples, 1 + 5 * len(corruptions))
    drawn = answers.residuals[
        model,
        draw.integers(answers.residuals.shape[1], size=shape),
        draw.integers(answers.residuals.shape[2], size=shape),
    ]
    logits = answers.means[model, questions][:, np.newaxis] + noise * drawn
    right = answers.answer[questions]
    corrupted = logits[:, 1:].reshape(samples, len(corruptions), 5, 4)
    if plant is not None:
        corrupted = plant(corrupted, right, draw)
    return Run(
        name=name,
        metadata=replace(METADATA, model=name, dataset_size=samples),
        sample_ids=tuple(f"sample-{number:05}" for number in range(samples)),
        answers=right,
        option_counts=np.full(samples, 4),
        sources=("test",) * samples,
        categories=(None,) * samples,
        corruptions=tuple(corruptions),
        clean=logits[:, 0],
        corrupted=corrupted,
    )


def exchanged(corrupted: np.ndarray, right: np.ndarray, chosen: np.ndarray, *, to_right: bool) -> np.ndarray:
    """Let the right option and the best one change places in chosen pairs, so that answers turn right, or wrong."""
    own = np.broadcast_to(right[:, np.newaxis, np.newaxis], corrupted.shape[:3])
    own_logit = np.take_along_axis(corrupted, own[..., np.newaxis], axis=-1)
    others = np.where(np.arange(4) == own[..., np.newaxis], -np.inf, corrupted)
    best = others.argmax(axis=-1)
    best_logit = others.max(axis=-1, keepdims=True)
    is_right = own_logit > best_logit
    moved = chosen[..., np.newaxis] & (~is_right if to_right else is_right)
    options = np.arange(4)
    swapped = np.where(options == own[..., np.newaxis], best_logit, corrupted)
    swapped = np.where(options == best[..., np.newaxis], own_logit, swapped)
    return np.where(moved, swapped, corrupted)


def destroying(share: float, corruptions: Sequence[int] | None = None):
    """Turn a share of the right answers under corruption wrong, as sure as they were."""

    def plant(corrupted: np.ndarray, right: np.ndarray, draw: np.random.Generator) -> np.ndarray:
        chosen = draw.random(corrupted.shape[:3]) < share
        if corruptions is not None:
            chosen &= np.isin(np.arange(corrupted.shape[1]), corruptions)[:, np.newaxis]
        return exchanged(corrupted, right, chosen, to_right=False)

    return plant


def correcting(share: float):
    """Turn a share of the wrong answers under corruption right, as sure as they were."""
    return lambda corrupted, right, draw: exchanged(
        corrupted, right, draw.random(corrupted.shape[:3]) < share, to_right=True
    )


def flattening(share: float):
    """Take a share off all logits under corruption: the same letters, less sure."""
    return lambda corrupted, right, draw: corrupted * (1 - share)


def hiding(share: float):
    """Turn a share of the wrong answers right under mild corruption, and make all answers there half as sure."""

    def plant(corrupted: np.ndarray, right: np.ndarray, draw: np.random.Generator) -> np.ndarray:
        mild = np.broadcast_to(np.arange(5) < 2, corrupted.shape[:3])
        turned = exchanged(corrupted, right, mild & (draw.random(corrupted.shape[:3]) < share), to_right=True)
        return np.where(mild[..., np.newaxis], turned * 0.3, turned)

    return plant


def ignoring(run: Run) -> Run:
    """The same run by a model that does not look at the picture."""
    return replace(run, corrupted=np.broadcast_to(run.clean[:, np.newaxis, np.newaxis], run.corrupted.shape).copy())


def guessing(run: Run) -> Run:
    """The same run by a model that sees little: its own answers, shuffled over the samples, move a little."""
    draw = np.random.default_rng(2)
    order = draw.permutation(len(run.sample_ids))
    corrupted = run.clean[order][:, np.newaxis, np.newaxis] + 0.1 * draw.normal(size=run.corrupted.shape)
    return replace(run, name="lab/guessing", clean=run.clean[order], corrupted=corrupted)


def analysed(run: Run, *, resamples: int, reading: Reading = "brier") -> RunAnalysis:
    """All of an analysis that claims use."""
    pairs = PairValues.of_run(run, reading)
    cells = {}
    for metric in ("ras", "acc_corrupted"):
        means = pairs.values[metric].mean(axis=0)
        cells[metric] = Intervals(means, means, means)
    whole = estimate(pairs, resamples=resamples)
    none = CalibrationBins.from_answers([], [])
    return RunAnalysis(run, pairs, whole, whole, whole, cells, none, none)


def claims_about(runs: Sequence[Run], *, resamples: int = 10_000, reading: Reading = "brier") -> list[str]:
    """The title of each sentence and mark of a report on runs, as often as it stands there."""
    analyses = [analysed(run, resamples=resamples, reading=reading) for run in runs]
    contest = Contest(analyses)
    titles = [finding.title for finding in find_all(analyses, contest) for _ in finding.statements]
    return titles + [BEST_MARK for winner in contest.winners().values() if winner is not None]


def resampled(run: Run, drawn: np.ndarray) -> Run:
    """A run over samples drawn from another's."""
    return replace(
        run,
        sample_ids=tuple(f"draw-{number:05}" for number in range(len(drawn))),
        answers=run.answers[drawn],
        option_counts=run.option_counts[drawn],
        sources=tuple(run.sources[number] for number in drawn),
        categories=tuple(run.categories[number] for number in drawn),
        clean=run.clean[drawn],
        corrupted=run.corrupted[drawn],
        asked=run.asked[drawn],
        invalid={},
        missing=(),
    )
