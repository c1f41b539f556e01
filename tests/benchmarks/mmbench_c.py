"""Make `mmbench-c`, the manifest of MMBench questions that comes with the package; show how its size was chosen.

    python tests/benchmarks/mmbench_c.py [FOLDER] [--curve] [--write benchc_tasks/datasets/sets/mmbench-c.json]

FOLDER holds `mmbench_logits.npz` and `mmbench_items.jsonl`; by default `../shared/mmbench-logits` beside the checkout.
The manifest holds ids and hashes of texts, no text and no image.

`--curve` prints what subsets of several sizes are worth to models that did not select them, in twenty splits of the 26
models; without it, only the manifest is made, and compared with the bundled one where it is not written.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from selection_proof import FOLDER, OPTIONS, SPLITS, halves, read_items, write_answers

from benchc_tasks.datasets.pools import BENCHMARKS
from benchc_tasks.datasets.pools.mapping import NotASampleError
from benchc_tasks.selection import Settings, named_set, read_manifest
from benchc_tasks.selection.answers import ReadingCounts, Tally, tally_answers
from benchc_tasks.selection.answers.arrays import ArrayAnswers
from benchc_tasks.selection.building import choose_subset, manifest_of
from benchc_tasks.selection.manifest import Manifest, SelectedSample, text_digest
from benchc_tasks.selection.measures import accuracies_of, rank_agreement, separation
from benchc_tasks.selection.pool import Pool
from benchc_tasks.selection.selecting import choose_samples, score_samples

NAME = "mmbench-c"
SIZE = 400
SIZES = (50, 100, 150, 200, 250, 300, 350, 400, 450, 500, 600, 700)
RANDOM_SUBSETS = 100
SOURCE = "option logits of 26 models, EnSec-AI/VLM-Uncertainty-Bench@24c9226f (MIT)"
CAUTION = (
    "selected from answers under rotations of the options, not under corruptions of the images: what is inconsistent "
    "here is inconsistent under rotations"
)
POOL = "MMBench dev (en), as `benchc pool mmbench` brings it into samples"


@dataclass(frozen=True)
class Questions:
    """The questions as the models were asked them, and as `benchc pool mmbench` has them.

    Attributes
    ----------
    pool : Pool
        Four options each, of which some are padding.
    texts : list of str
        Digest of each question's text without padding.
    tally : Tally
    read : ReadingCounts
    """

    pool: Pool
    texts: list[str]
    tally: Tally
    read: ReadingCounts


def real_options(rotations: list[dict[str, Any]]) -> list[str]:
    """Return a question's own options: those that stand in every rotation, up to the first that does not.

    A question of fewer than four options was padded with options of others, in each rotation with other ones.
    """
    everywhere = set.intersection(*({str(item[letter]) for letter in OPTIONS} for item in rotations))
    options = [str(rotations[0][letter]) for letter in OPTIONS]
    return options[: next((place for place, text in enumerate(options) if text not in everywhere), len(options))]


def load(folder: Path) -> Questions:
    """Read the questions that `benchc pool mmbench` takes, and all models' answers to them."""
    items = read_items(folder)
    by_question: dict[int, list[dict[str, Any]]] = {}
    for item in sorted(items, key=lambda item: item["index"] // 1_000_000):
        by_question.setdefault(item["index"] % 1_000_000, []).append(item)
    rows, texts = [], []
    for item in items:
        if item["index"] >= 1_000_000:
            continue
        options = real_options(by_question[item["index"]])
        columns = dict(zip(OPTIONS, [*options, *[None] * len(OPTIONS)], strict=False))
        try:
            sample = BENCHMARKS["mmbench"].to_sample({**item, **columns, "image": b"not looked at"}, 0)
        except NotASampleError:
            continue
        texts.append(text_digest(sample["question"], sample["options"], sample["answer"]))
        rows.append({**sample, "options": [str(item[letter]) for letter in OPTIONS]})
    pool = Pool.from_rows(rows, "")
    with tempfile.TemporaryDirectory() as temporary:
        path = Path(temporary) / "answers.npz"
        write_answers(folder, items, path, prefix="mmbench_")
        tally, read = tally_answers(pool, [ArrayAnswers(path)])
    return Questions(pool, texts, tally, read)


def no_embeddings() -> Any:
    """Every question has a category, so that no topics are looked for."""
    raise AssertionError("topics are not needed")


def make(
    questions: Questions, stages: Callable[[str, int], Callable[[int], None]] = lambda *_: lambda _: None
) -> Manifest:
    """Select with all 26 models, and write down what was selected."""
    settings = Settings(SIZE)
    chosen = choose_subset(questions.tally, questions.pool, settings, no_embeddings, stages)
    samples = [
        SelectedSample(id=questions.pool.id_of(position), digest=None, text=questions.texts[position])
        for position in chosen.selection.positions.tolist()
    ]
    manifest = manifest_of(chosen, settings, [SOURCE], {}, questions.read, POOL, (None, None), samples)
    # The packages' versions are those of the machine, and say nothing about the set.
    return manifest.model_copy(update={"versions": {}, "cautions": [CAUTION]})


def print_curve(questions: Questions) -> None:
    """Print the measures of subsets of each size, mean over the splits, and the worst separation."""
    draw = np.random.default_rng(0)
    count = len(questions.pool)
    random = {size: [draw.choice(count, size, replace=False) for _ in range(RANDOM_SUBSETS)] for size in SIZES}
    found: dict[int, list[tuple[float, ...]]] = {size: [] for size in SIZES}
    whole = []
    for split in range(SPLITS):
        selecting, judging = halves(split)
        scored = score_samples(questions.tally.of_models(selecting), questions.pool)
        accuracies = accuracies_of(questions.tally.of_models(judging))
        whole.append(separation(accuracies))
        for size in SIZES:
            subset = choose_samples(scored, questions.pool, questions.pool.category_codes, size).positions
            own = separation(accuracies[:, subset])
            chance = np.mean([separation(accuracies[:, drawn]) for drawn in random[size]])
            order = np.mean([rank_agreement(accuracies, drawn) for drawn in random[size]])
            found[size].append((own, own / chance, rank_agreement(accuracies, subset), order))
    print(f"all {count:,} questions: separation {np.mean(whole):.2f}")
    print("size   separation   random = 1 (worst)   tau    random tau")
    for size, rows in found.items():
        own, relative, tau, order = np.array(rows).T
        print(
            f"{size:4d}   {own.mean():10.2f}   {relative.mean():8.2f} ({relative.min():.2f})    "
            f"{tau.mean():.3f}  {order.mean():.3f}"
        )


def main() -> None:
    """Print the curve, write the manifest, or compare it with the bundled one."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", type=Path, default=FOLDER)
    parser.add_argument("--curve", action="store_true", help="print what subsets of several sizes are worth")
    parser.add_argument("--write", type=Path, help="write the manifest there")
    arguments = parser.parse_args()
    questions = load(arguments.folder)
    if arguments.curve:
        print_curve(questions)
    manifest = make(questions)
    if arguments.write:
        manifest.write(arguments.write, indent=None)
        print(f"wrote {len(manifest.samples)} samples to {arguments.write}")
        return
    bundled = named_set(NAME)
    same = bundled is not None and read_manifest(bundled).samples == manifest.samples
    print(f"{len(manifest.samples)} samples, {'the' if same else 'NOT the'} bundled ones")


if __name__ == "__main__":
    main()
