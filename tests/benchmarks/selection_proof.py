"""Measure whether a subset that some models select tells other models apart, on 26 published models' logits on MMBench.

    python tests/benchmarks/selection_proof.py [FOLDER] [--weights]

FOLDER holds `mmbench_logits.npz` and `mmbench_items.jsonl`; by default `../shared/mmbench-logits` beside the checkout.

The option rotations of a question are its conditions, the original order the clean one. Twenty times the models are
split in halves; the first half selects 200 of the 1,176 questions, the second half judges. Separation is the standard
deviation of its models' accuracies over the mean standard error of an accuracy, divided by the same for random subsets;
tau is Kendall's, between its models' order on the subset and on all questions; and the last column is what a model that
always says one letter gets on the subset beyond what it gets on the pool.

`--weights` judges the weight of the inconsistency in the combined score within the selecting halves alone, which are
split once more for that; the judging halves are not looked at.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from benchc_tasks.selection.answers.arrays import ArrayAnswers
from benchc_tasks.selection.answers.tally import Tally, tally_answers
from benchc_tasks.selection.diversity import choose, cluster_count, cluster_texts
from benchc_tasks.selection.encoders import Encoders, embed
from benchc_tasks.selection.measures import accuracies_of, rank_agreement, separation
from benchc_tasks.selection.pool import Pool
from benchc_tasks.selection.scores import candidates_of, components_of, rank_of, score_of
from benchc_tasks.selection.selecting import DEFAULT_STRATA, select_samples

FOLDER = Path(__file__).parents[3] / "shared" / "mmbench-logits"
SIZE = 200
SPLITS = 20
RANDOM_SUBSETS = 500
OPTIONS = "ABCD"


@dataclass(frozen=True)
class Evidence:
    """The pool of questions, all models' answers, and what random subsets of it are."""

    pool: Pool
    tally: Tally
    random: list[Any]


@dataclass(frozen=True)
class Verdict:
    """What the judging halves say of a way to select, one value a split."""

    separations: list[float]
    agreements: list[float]
    chances: list[float]
    categories: list[int]
    letters: list[float]

    def row(self) -> str:
        """Write the numbers of the table."""
        return (
            f"{np.mean(self.separations):5.2f} ({min(self.separations):.2f})   {np.mean(self.agreements):.3f}   "
            f"{min(self.categories):2d} of 20     {max(self.letters):+.3f}"
        )


def original_order(items: list[dict[str, Any]]) -> list[list[int]]:
    """For each item the places at which the options of its question's original order stand.

    A question that had fewer than four options was padded with others' options, in each rotation with other ones: a
    padded option has no partner, and takes the place that is left.
    """
    originals = {item["index"]: item for item in items if item["index"] < 1_000_000}
    return [_places(item, originals[item["index"] % 1_000_000]) for item in items]


def _places(item: dict[str, Any], original: dict[str, Any]) -> list[int]:
    right, right_here = OPTIONS.index(original["answer"]), OPTIONS.index(item["answer"])
    places: list[int | None] = [None] * len(OPTIONS)
    places[right] = right_here
    free = [place for place in range(len(OPTIONS)) if place != right_here]
    for option, letter in enumerate(OPTIONS):
        partners = [place for place in free if item[OPTIONS[place]] == original[letter]]
        if option != right and partners:
            places[option] = partners[0]
            free.remove(partners[0])
    return [free.pop(0) if place is None else place for place in places]


def read_items(folder: Path) -> list[dict[str, Any]]:
    """Read the items: every question in its original order (an `index` below a million) and its rotations."""
    lines = (folder / "mmbench_items.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def write_answers(folder: Path, items: list[dict[str, Any]], path: Path, prefix: str = "") -> None:
    """Write all models' logits as `benchc select` reads them, the options of a rotation in their original order."""
    with np.load(folder / "mmbench_logits.npz") as stored:
        logits, models, ids = stored["logits"][:, :, :4], stored["models"], stored["ids"]
    assert [item["index"] for item in items] == ids.tolist()
    rotations = [index // 1_000_000 for index in ids.tolist()]
    np.savez(
        path,
        logits=np.take_along_axis(logits, np.array(original_order(items))[np.newaxis], axis=2),
        models=models,
        ids=[f"{prefix}{index % 1_000_000}" for index in ids.tolist()],
        conditions=["clean" if rotation == 0 else f"rotation@{rotation}" for rotation in rotations],
    )


@cache
def load(folder: Path) -> Evidence:
    """Bring the published logits into the form that the selection reads, and read them as any other answers."""
    items = read_items(folder)
    pool = Pool.from_rows(
        (
            {
                "id": str(item["index"]),
                "question": item["question"],
                "options": [str(item[letter]) for letter in OPTIONS],
                "answer": OPTIONS.index(item["answer"]),
                "category": item["category"],
            }
            for item in items
            if item["index"] < 1_000_000
        ),
        fingerprint="",
    )
    with tempfile.TemporaryDirectory() as temporary:
        path = Path(temporary) / "answers.npz"
        write_answers(folder, items, path)
        tally, _ = tally_answers(pool, [ArrayAnswers(path)])
    generator = np.random.default_rng(26)
    random = [generator.choice(len(pool), SIZE, replace=False) for _ in range(RANDOM_SUBSETS)]
    return Evidence(pool, tally, random)


def halves(split: int) -> tuple[Any, Any]:
    """Split the models: who selects, who judges."""
    order = np.random.default_rng(split).permutation(26)
    return order[:13], order[13:]


def judge(evidence: Evidence, select: Callable[[Tally], Any], splits: Iterable[int] = range(SPLITS)) -> Verdict:
    """Let the first half of the models select and the other half judge, split by split."""
    categories = np.array(evidence.pool.categories)
    verdict = Verdict([], [], [], [], [])
    for split in splits:
        selecting, judging = halves(split)
        subset = select(evidence.tally.of_models(selecting))
        accuracies = accuracies_of(evidence.tally.of_models(judging))
        chance = np.mean([separation(accuracies[:, drawn]) for drawn in evidence.random])
        verdict.separations.append(separation(accuracies[:, subset]) / chance)
        verdict.agreements.append(rank_agreement(accuracies, subset))
        verdict.chances.append(float(np.mean([rank_agreement(accuracies, drawn) for drawn in evidence.random[:100]])))
        verdict.categories.append(len(set(categories[subset])))
        verdict.letters.append(one_letter_gain(evidence.pool, subset))
    return verdict


def one_letter_gain(pool: Pool, subset: Any) -> float:
    """Compute how much the accuracy of a model that always says one letter rises from pool to subset, at most."""
    on_subset, on_pool = (
        np.bincount(answers, minlength=4) / len(answers) for answers in (pool.answers[subset], pool.answers)
    )
    return float((on_subset - on_pool).max())


@cache
def clusters_of(folder: Path, seed: int = 0) -> Any:
    """Topics of the questions as `benchc select` makes them."""
    pool = load(folder).pool
    return cluster_texts(embed(Encoders(), pool.texts, None, seed), cluster_count(SIZE, len(pool)), seed)


def ours(folder: Path, score: Any, **settings: Any) -> Callable[[Tally], Any]:
    """Select as `benchc select --score SCORE` does."""
    evidence = load(folder)
    has_quotas = score == "covariance" or bool(settings.get("strata"))
    kinds = evidence.pool.category_codes if has_quotas and settings.pop("categories", True) else clusters_of(folder)
    settings.setdefault("strata", DEFAULT_STRATA if score == "covariance" else ())
    return lambda tally: select_samples(tally, evidence.pool, kinds, SIZE, score, **settings).positions


def sketched(folder: Path, parts: Callable[[Tally, Any], list[Any]], diversity: float = 0.0) -> Callable[[Tally], Any]:
    """Select by the sum of ranks, as the sketch did."""
    evidence = load(folder)

    def select(tally: Tally) -> Any:
        components = components_of(tally, evidence.pool)
        everything = np.ones(len(evidence.pool), dtype=bool)
        score = sum(rank_of(part, everything) for part in parts(tally, components))
        return np.concatenate(choose(score, clusters_of(folder), SIZE, diversity))

    return select


def covariance_of_correctness(tally: Tally) -> Any:
    """Covariance over the models of their accuracy on a question with their accuracy on all."""
    accuracies = accuracies_of(tally)
    ability = accuracies.mean(axis=1)
    return (accuracies - accuracies.mean(axis=0)).T @ (ability - ability.mean()) / (len(ability) - 1)


def table(folder: Path) -> list[tuple[str, str, Verdict]]:
    """Judge the sketch's ways to select, and ours."""
    evidence = load(folder)

    def chance(tally: Tally) -> Any:
        return np.random.default_rng(sum(map(ord, tally.models[0]))).choice(len(evidence.pool), SIZE, replace=False)

    def cheat(split: int) -> Callable[[Tally], Any]:
        return lambda tally: np.argsort(-covariance_of_correctness(evidence.tally.of_models(halves(split)[1])))[:SIZE]

    cheats = [judge(evidence, cheat(split), [split]) for split in range(SPLITS)]
    all_three = lambda tally, found: [found.discrimination, covariance_of_correctness(tally), found.flip_rate]  # noqa: E731
    variance = lambda tally, found: [accuracies_of(tally).var(axis=0), found.flip_rate]  # noqa: E731
    rows: list[tuple[str, str, Callable[[Tally], Any]]] = [
        ("random", "1", chance),
        ("sketch: variance + inconsistency", "1.63 (1.13)", sketched(folder, variance)),
        ("sketch: inconsistency", "1.79 (1.34)", sketched(folder, lambda tally, found: [found.divergence])),
        ("sketch: covariance of probability", "2.70 (1.75)", sketched(folder, lambda _, found: [found.discrimination])),
        ("sketch: both covariances + inconsistency", "2.73 (1.66)", sketched(folder, all_three)),
        ("sketch: the same, 40 % over clusters", "2.69 (1.63)", sketched(folder, all_three, 0.4)),
        ("inconsistency, no topics", "", ours(folder, "inconsistency", diversity=0.0)),
        ("inconsistency", "", ours(folder, "inconsistency")),
        ("discrimination", "", ours(folder, "discrimination")),
        ("combined, no topics", "", ours(folder, "combined", diversity=0.0)),
        ("combined (the default of 0.1.0)", "", ours(folder, "combined")),
        ("combined, quotas for letters", "", ours(folder, "combined", strata=("letter",))),
        ("combined, quotas for letter x category", "", ours(folder, "combined", strata=DEFAULT_STRATA)),
        ("discrimination, the same quotas", "", ours(folder, "discrimination", strata=DEFAULT_STRATA)),
        ("covariance, quotas for letters", "", ours(folder, "covariance", strata=("letter",))),
        ("covariance, letter x topic", "", ours(folder, "covariance", categories=False)),
        ("covariance, letter x category (the default)", "", ours(folder, "covariance")),
        ("covariance, letter x category x text", "", ours(folder, "covariance", strata=(*DEFAULT_STRATA, "text"))),
    ]
    verdicts = [(name, quoted, judge(evidence, select)) for name, quoted, select in rows]
    peeking = Verdict(*([value for found in cheats for value in getattr(found, part.name)] for part in fields(Verdict)))
    return [*verdicts, ("sketch: the judging half selects for itself", "4.8", peeking)]


def weigh(folder: Path, weights: Iterable[float] = (0.0, 0.25, 0.5, 1.0, 2.0), repeats: int = 5) -> None:
    """Print how the combined score does for weights of the inconsistency, within the selecting halves alone."""
    evidence, clusters = load(folder), clusters_of(folder)
    for weight in weights:
        found = []
        for split in range(SPLITS):
            for repeat in range(repeats):
                inner = halves(split)[0][np.random.default_rng([split, repeat]).permutation(13)]
                tally = evidence.tally.of_models(inner[:7])
                components = components_of(tally, evidence.pool)
                candidates = candidates_of(components)
                inconsistency = score_of(components, "inconsistency", candidates)["inconsistency"]
                score = rank_of(components.discrimination, candidates) + weight * rank_of(inconsistency, candidates)
                subset = np.concatenate(choose(score, clusters, SIZE, 0.5))
                accuracies = accuracies_of(evidence.tally.of_models(inner[7:]))
                chance = np.mean([separation(accuracies[:, drawn]) for drawn in evidence.random[:100]])
                found.append(separation(accuracies[:, subset]) / chance)
        error = np.std(found, ddof=1) / np.sqrt(len(found))
        print(
            f"weight {weight:4.2f} beside 1 for the discrimination: {np.mean(found):.3f} (standard error {error:.3f})"
        )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", type=Path, default=FOLDER)
    parser.add_argument("--weights", action="store_true", help="judge the combination's weight within the first halves")
    arguments = parser.parse_args()
    if arguments.weights:
        weigh(arguments.folder)
        return
    rows = table(arguments.folder)
    print(f"order of random subsets: tau {np.mean(rows[0][2].chances):.3f}")
    print(f"{'separation: mean (worst) of 20 splits':44s} quoted        here          tau     categories   one letter")
    for name, quoted, verdict in rows:
        print(f"{name:44s} {quoted:13s} {verdict.row()}")


if __name__ == "__main__":
    main()
