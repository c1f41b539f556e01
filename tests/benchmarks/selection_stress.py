"""Try ways to select on sets that are hard for them: strong letter preferences, guessing, few models, broken models.

    python tests/benchmarks/selection_stress.py [FOLDER] [--splits 12] [--only NAME]

The first sets are made from the logits of 26 published models on MMBench (FOLDER, by default `../shared/mmbench-logits`
beside the checkout; left out where it is not there): one option order only, pools with most answers A, models with a
letter preference added to their logits, models that are broken. The others are simulated: every option's logit is the
model's ability against the sample's difficulty on the right option, a letter preference that counts where the sample
is not understood, and noise.

In each split half of the models select and the others judge. Printed for each way: separation relative to random
subsets of the size, mean (worst split); and Kendall's tau between the judges' order on subset and pool, less the mean
of random subsets. A way that ranks models no worse than random subsets shows no number below zero beyond chance, which
is about 0.02 here.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.special import softmax
from selection_proof import FOLDER

from benchc_tasks.selection.answers import Tally
from benchc_tasks.selection.diversity import cluster_count, cluster_texts
from benchc_tasks.selection.encoders import Encoders, embed
from benchc_tasks.selection.kinds import kinds_of
from benchc_tasks.selection.measures import accuracies_of, one_letter_accuracy, rank_agreement, separation
from benchc_tasks.selection.pool import Pool
from benchc_tasks.selection.selecting import DEFAULT_STRATA, select_samples

RANDOM_SUBSETS = 60
MODELS = 26
LETTERS = "ABCDEFGHIJ"

WAYS: dict[str, dict[str, Any]] = {
    "0.1.0": {"score": "combined", "strata": ()},
    "letters": {"score": "discrimination", "strata": ("letter",)},
    "letter x kind": {"score": "discrimination", "strata": DEFAULT_STRATA},
    "default": {"score": "covariance", "strata": DEFAULT_STRATA},
}


@dataclass(frozen=True)
class Case:
    """A pool with all models' answers: logits of shape (models, samples, options), -inf beyond a sample's options."""

    name: str
    pool: Pool
    logits: Any
    size: int = 200
    selecting: int | None = None


def pool_of(questions: list[str], options: list[list[str]], answers: Any, categories: Any = None) -> Pool:
    """Build a pool."""
    return Pool.from_rows(
        (
            {
                "id": str(number),
                "question": question,
                "options": options[number],
                "answer": int(answers[number]),
                "category": None if categories is None else str(categories[number]),
            }
            for number, question in enumerate(questions)
        ),
        "",
    )


def tally_of(case: Case) -> Tally:
    """Count the answers as `benchc select` does, under the one condition that there is."""
    models, samples, width = case.logits.shape
    chosen, right = case.logits.argmax(axis=2), case.pool.answers
    probability = softmax(case.logits, axis=2)[:, np.arange(samples), right]
    ones, zeros = np.ones((models, samples), dtype=np.int64), np.zeros((models, samples), dtype=np.int64)
    correct = (chosen == right).astype(np.int64)
    return Tally(
        models=tuple(f"model {number:02d}" for number in range(models)),
        conditions=("clean",),
        answers=ones,
        correct=correct,
        votes=(chosen[..., np.newaxis] == np.arange(width)).astype(np.int64),
        right_probability=probability,
        distributions=ones,
        pairs=zeros,
        flips=zeros,
        divergence=zeros.astype(np.float64),
        divergences=zeros,
        seen=np.ones((models, 1, samples), dtype=bool),
        condition_correct=correct.sum(axis=1, keepdims=True).astype(np.float64),
        condition_probability=probability.sum(axis=1, keepdims=True),
    )


def from_mmbench(folder: Path) -> Iterator[Case]:
    """Make sets of the published logits, each question in one order of its options."""
    items = [json.loads(line) for line in (folder / "mmbench_items.jsonl").read_text(encoding="utf-8").splitlines()]
    with np.load(folder / "mmbench_logits.npz") as stored:
        logits, answers = stored["logits"][:, :, :4].astype(np.float64), stored["answer"]
    question = np.array([item["index"] % 1_000_000 for item in items])
    original = np.array([item["index"] < 1_000_000 for item in items])
    strength = np.abs(logits).std()

    def case(name: str, rows: Any, changed: Any = 0.0, categories: bool = True, **settings: Any) -> Case:
        names = [items[row]["category"] for row in rows] if categories else None
        texts = [[str(items[row][letter]) for letter in "ABCD"] for row in rows]
        pool = pool_of([items[row]["question"] for row in rows], texts, answers[rows], names)
        return Case(name, pool, (logits + changed)[:, rows], **settings)

    def in_one_order(seed: int, weights: tuple[float, ...]) -> Any:
        """Draw one order of each question, by the letter that is right in it."""
        draw = np.random.default_rng(seed)
        value = np.log(np.array(weights)[answers]) + draw.gumbel(size=len(answers))
        order = np.lexsort((-value, question))
        return np.sort(order[np.r_[True, np.diff(question[order]) != 0]])

    def preference(seed: int, scale: float, models: int = MODELS) -> Any:
        """Let some models prefer letters, a normal logit each."""
        draw = np.random.default_rng(seed)
        found = np.zeros((MODELS, 1, 4))
        found[draw.permutation(MODELS)[:models]] = draw.normal(size=(models, 1, 4)) * scale
        return found

    def broken(seed: int, models: int, one_letter: bool) -> Any:
        """Let some models say one letter always, or guess."""
        draw = np.random.default_rng(seed)
        found = np.zeros(logits.shape) if not one_letter else np.zeros((MODELS, 1, 4))
        for model in draw.permutation(MODELS)[:models]:
            if one_letter:
                found[model, 0, draw.integers(4)] = 100.0
            else:
                found[model] = draw.normal(size=logits.shape[1:]) * 10 * strength
        return found

    first = np.flatnonzero(original)
    yield case("one order", first)
    yield case("one order, no categories", first, categories=False)
    yield case("one order, 100 of them", first, size=100)
    yield case("one order, 400 of them", first, size=400)
    for count in (5, 3):
        yield case(f"{count} models select", first, selecting=count)
    yield case("another order", in_one_order(1, (1, 1, 1, 1)))
    yield case("45 % A, 30 % B", in_one_order(40, (4, 3, 1.5, 1)))
    yield case("73 % A", in_one_order(10, (8, 1, 1, 1)))
    yield case("73 % A, no categories", in_one_order(13, (8, 1, 1, 1)), categories=False)
    yield case("68 % C", in_one_order(43, (1, 1, 8, 1)))
    yield case("letter preferences", first, preference(0, 1.0))
    yield case("strong preferences", first, preference(30, 3.0))
    yield case("the same, no categories", first, preference(33, 3.0), categories=False)
    yield case("the same, 5 models select", first, preference(34, 3.0), selecting=5)
    for count in (1, 3):
        yield case(f"{count} say one letter", first, broken(90 + count, count, True))
        yield case(f"{count} guess", first, broken(70 + count, count, False))
    yield case("6 prefer a letter", first, preference(9, 6.0, models=6))
    for number, name in enumerate(sorted({item["l2-category"] for item in items})):
        if number in (2, 5):
            rows = np.array([row for row in first if items[row]["l2-category"] == name])
            yield case(f"{len(rows)} questions", rows, size=len(rows) // 4)


def simulated(
    name: str,
    seed: int,
    samples: int = 1000,
    models: int = MODELS,
    options: tuple[int, ...] = (4,),
    letters: tuple[float, ...] = (),
    preference: float = 1.0,
    guessing: float = 0.2,
    spread: float = 0.7,
    ease: float = 0.8,
    categories: int = 1,
    named: bool = True,
    texts: int = 0,
    **settings: Any,
) -> Case:
    """Simulate a set.

    Parameters
    ----------
    options : tuple of int
        Numbers of options that occur.
    letters : tuple of float
        How often each letter is right; equally often by default.
    preference : float
        Standard deviation of the models' letter preferences, in logits.
    guessing : float
        Share of the samples that no model understands.
    spread, ease : float
        Standard deviation of the models' abilities, and how much easier than average ability samples are.
    categories : int
        Number of categories in which models differ by themselves.
    named : bool
        Let the pool say the categories.
    texts : int
        Preferences are for so many texts that stand at any letter; 0 is for letters.
    """
    draw = np.random.default_rng(seed)
    counts = draw.choice(options, samples)
    width = max(options)
    weights = np.array(letters or (1.0,) * width)
    right = np.array([draw.choice(count, p=weights[:count] / weights[:count].sum()) for count in counts])
    ability = draw.normal(size=models) * spread
    category = draw.integers(categories, size=samples)
    own = draw.normal(size=(models, categories)) * (0.5 if categories > 1 else 0.0)
    difficulty, slope = draw.normal(size=samples) * 1.2 - ease, np.exp(draw.normal(size=samples) * 0.4)
    slope[draw.random(samples) < guessing] = 0
    shown = np.tile(np.arange(width), (samples, 1))
    if texts:
        shown = np.array([draw.permutation(texts)[:width] for _ in range(samples)])
    liked = draw.normal(size=(models, max(texts, width))) * preference
    logits = draw.normal(size=(models, samples, width)) + draw.gumbel(size=(models, samples, width))
    logits += 2 * liked[:, shown] * np.exp(-slope)[:, np.newaxis]
    logits[:, np.arange(samples), right] += 1.5 * slope * (ability[:, np.newaxis] + own[:, category] - difficulty)
    logits[:, np.arange(width) >= counts[:, np.newaxis]] = -np.inf
    pool = pool_of(
        [f"What is it about kind{number}?" for number in category],
        [[f"text{text}" for text in row[:count]] for row, count in zip(shown, counts, strict=True)],
        right,
        category if named else None,
    )
    return Case(name, pool, logits, **settings)


def simulations() -> Iterator[Case]:
    """Simulate the sets."""
    yield simulated("no preferences", 1, preference=0.0)
    yield simulated("preferences", 3, preference=2.0)
    yield simulated("60 % guessing", 4, guessing=0.6, preference=1.5)
    yield simulated("10 models", 5, models=10)
    yield simulated("4 models", 20, models=4)
    yield simulated("two options", 6, options=(2,))
    yield simulated("2 to 5 options", 7, options=(2, 3, 4, 5), preference=1.5)
    yield simulated("60 % A", 8, letters=(6, 2, 1, 1), preference=1.5)
    yield simulated("2 to 4 options, 45 % A", 62, options=(2, 3, 4), letters=(4, 3, 2, 1), samples=2000, categories=5)
    yield simulated("the same, preferences", 63, options=(2, 3, 4), letters=(4, 3, 2, 1), samples=2000, preference=3.0)
    yield simulated("tiny", 9, samples=120, size=30)
    yield simulated("20 categories", 11, categories=20)
    yield simulated("20 categories, not named", 12, categories=20, named=False)
    yield simulated("easy", 13, ease=2.2)
    yield simulated("models alike", 18, spread=0.2, preference=1.5)
    yield simulated("5,000 samples", 19, samples=5000, preference=1.5, size=300)
    yield simulated("texts preferred", 50, texts=6, categories=10, preference=1.5, guessing=0.3)
    yield simulated("10 options", 21, options=(10,), preference=1.5)


def kinds_for(case: Case, strata: tuple[str, ...]) -> Any:
    """Sort samples into categories or topics as `benchc select` does."""

    def embeddings() -> Any:
        return embed(Encoders(), case.pool.texts, None, 0)

    if strata:
        return kinds_of(case.pool, embeddings, None, case.size, 0).labels
    return cluster_texts(embeddings(), cluster_count(case.size, len(case.pool)), 0)


def judged(case: Case, splits: int) -> dict[str, Any]:
    """Let some models select and others judge; return separation, tau gained and letter gained, one row a split."""
    tally, count = tally_of(case), len(case.pool)
    draw = np.random.default_rng(99)
    random = [draw.choice(count, case.size, replace=False) for _ in range(RANDOM_SUBSETS)]
    kinds: dict[bool, Any] = {bool(way["strata"]): kinds_for(case, way["strata"]) for way in WAYS.values()}
    found: dict[str, list[tuple[float, ...]]] = {name: [] for name in WAYS}
    models = len(tally.models)
    for split in range(splits):
        order = np.random.default_rng([0, split]).permutation(models)
        half = case.selecting or models // 2
        selecting, accuracies = tally.of_models(order[:half]), accuracies_of(tally.of_models(order[half:]))
        level = np.mean([separation(accuracies[:, drawn]) for drawn in random])
        chance = np.nanmean([rank_agreement(accuracies, drawn) for drawn in random])
        for name, way in WAYS.items():
            subset = select_samples(selecting, case.pool, kinds[bool(way["strata"])], case.size, **way).positions
            letters = one_letter_accuracy(case.pool.answers[subset]) - one_letter_accuracy(case.pool.answers)
            own = separation(accuracies[:, subset]) / level, rank_agreement(accuracies, subset) - chance, letters
            found[name].append(own)
    return {name: np.array(rows) for name, rows in found.items()}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", type=Path, default=FOLDER)
    parser.add_argument("--splits", type=int, default=12)
    parser.add_argument("--only", help="only sets whose name holds this")
    arguments = parser.parse_args()
    sources: list[Callable[[], Iterator[Case]]] = [simulations]
    if arguments.folder.is_dir():
        sources.insert(0, lambda: from_mmbench(arguments.folder))
    print(f"{'separation (worst), tau gained':26s}" + "".join(f"{name:>22s}" for name in WAYS))
    totals: dict[str, list[Any]] = {name: [] for name in WAYS}
    for source in sources:
        for case in source():
            if arguments.only and arguments.only not in case.name:
                continue
            found = judged(case, arguments.splits)
            cells = []
            for name, rows in found.items():
                separations, tau, _ = rows.T
                totals[name].append((separations.mean(), separations.min(), np.nanmean(tau), rows[:, 2].max()))
                cells.append(f"{separations.mean():9.2f} ({separations.min():.2f}) {np.nanmean(tau):+.3f}")
            print(f"{case.name:26s}" + "".join(f"{cell:>22s}" for cell in cells), flush=True)
    print()
    for name, rows in totals.items():
        means, worst, tau, letters = np.array(rows).T
        print(
            f"{name:14s} separation {means.mean():.2f}, worst split {worst.min():.2f} ({int((worst < 0.9).sum())} sets "
            f"below 0.9); tau {tau.mean():+.3f}, worst set {tau.min():+.3f} ({int((tau < -0.02).sum())} sets below "
            f"-0.02); always one letter {letters.max():+.3f}"
        )


if __name__ == "__main__":
    main()
