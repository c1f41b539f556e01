"""`benchc select`: choose the samples of a pool that distinguish models."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from benchc_metrics.escaping import for_terminal

if TYPE_CHECKING:
    from benchc_tasks.selection import Manifest

__all__ = ["add_parser", "run"]

SCORE_NAMES = ("covariance", "combined", "discrimination", "inconsistency")
STRATUM_NAMES = ("letter", "category", "text")


def add_parser(subparsers: Any) -> None:
    """Add the subcommand to the `benchc` parser."""
    parser = subparsers.add_parser(
        "select",
        help="choose the samples of a pool that distinguish models",
        description=(
            "Choose the samples of a pool that distinguish models, based on the answers of several models. The pool's "
            "proportions of right letters and categories are kept. With --manifest, write an earlier subset again."
        ),
    )
    parser.add_argument("pool", help="the candidates: a folder, a parquet or JSONL file, or a hub id")
    parser.add_argument("--split", help="the split of the pool, if it has several")
    parser.add_argument("-o", "--output", type=Path, required=True, help="the folder to write; new, or empty")
    parser.add_argument(
        "--manifest", help="selection.json of an earlier selection, or the name of a set, to write its subset again"
    )
    parser.add_argument(
        "--leave-out-changed",
        action="store_true",
        help="with --manifest: leave out samples that are missing from the pool or have another text or image there",
    )
    parser.add_argument(
        "--answers",
        nargs="+",
        action="extend",
        metavar="[MODEL=]PATH",
        help="samples logs or a folder of them, a parquet or CSV table, an npz file",
    )
    parser.add_argument("--size", type=int, default=849, help="number of samples (default: 849)")
    parser.add_argument(
        "--score", choices=SCORE_NAMES, default="covariance", help="how samples are scored (default: covariance)"
    )
    parser.add_argument(
        "--strata",
        nargs="+",
        choices=STRATUM_NAMES,
        help=(
            "keep the pool's proportions of these: the right option's letter, its text, the category or topic "
            "(default: letter category with --score covariance, otherwise none)"
        ),
    )
    parser.add_argument(
        "--encoder",
        nargs="+",
        action="extend",
        metavar="NAME",
        help="for texts tfidf (the default) or a sentence-transformers model; for images clip:MODEL",
    )
    parser.add_argument(
        "--diversity", type=float, help="without strata: share of places that is spread over topics (default: 0.5)"
    )
    parser.add_argument(
        "--clusters",
        type=int,
        help="number of topics (default: one for every five places; with strata, one for every ten)",
    )
    parser.add_argument("--seed", type=int, default=0, help="seed of the clusters (default: 0)")
    parser.add_argument(
        "--leave-out-unseen", action="store_true", help="leave out samples that fewer than two models answered"
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Select a subset, or write one again."""
    from benchc_tasks.datasets import load_dataset
    from benchc_tasks.selection import named_set, read_manifest, rebuild_subset

    console = Console(soft_wrap=True, highlight=False)
    if (arguments.manifest is None) == (arguments.answers is None):
        raise ValueError("give either --answers, to select, or --manifest, to write an earlier subset again")
    if arguments.manifest is None:
        manifest = _select(arguments)
        console.print(_model_table(manifest))
        console.print(_count_table(manifest))
        console.print(_measure_table(manifest))
        console.print(for_terminal(_closing_lines(manifest, arguments.output), lines=True), markup=False)
        return 0
    manifest = read_manifest(named_set(arguments.manifest) or arguments.manifest)
    dataset = load_dataset(arguments.pool, split=arguments.split)
    with _stages() as stages:
        resolution = rebuild_subset(manifest, dataset, arguments.output, stages, arguments.leave_out_changed)
    lost = resolution.described()
    if lost:
        console.print(for_terminal(f"left out: {lost}"), markup=False)
    elif manifest.pool_fingerprint not in (None, dataset.fingerprint):
        console.print(
            f"the pool has changed since the selection (fingerprint {dataset.fingerprint[:16]}, "
            f"then {str(manifest.pool_fingerprint)[:16]}), but not the selected samples",
            markup=False,
        )
    for caution in manifest.cautions:
        console.print(for_terminal(caution), markup=False)
    count = len(resolution.positions)
    of_all = "" if count == len(manifest.samples) else f" of {len(manifest.samples)}"
    console.print(f"wrote the {count}{of_all} samples of the subset to {arguments.output}", markup=False)
    return 0


def _select(arguments: argparse.Namespace) -> Manifest:
    from benchc_tasks.datasets import load_dataset
    from benchc_tasks.selection import Encoders, Settings, build_subset, open_answers

    settings = Settings(
        size=arguments.size,
        score=arguments.score,
        strata=None if arguments.strata is None else tuple(dict.fromkeys(arguments.strata)),
        diversity=arguments.diversity,
        clusters=arguments.clusters,
        encoders=Encoders.of(arguments.encoder or ["tfidf"]),
        seed=arguments.seed,
        leave_out_unseen=arguments.leave_out_unseen,
    )
    sources = open_answers(arguments.answers)
    dataset = load_dataset(arguments.pool, split=arguments.split)
    with _stages() as stages:
        return build_subset(dataset, sources, settings, arguments.output, stages)


@contextmanager
def _stages() -> Iterator[Callable[[str, int], Callable[[int], None]]]:
    """Show a progress bar for each stage on standard error."""
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(elapsed_when_finished=True),
    )
    with Progress(*columns, console=Console(stderr=True)) as progress:

        def begin(stage: str, total: int) -> Callable[[int], None]:
            task = progress.add_task(stage, total=total)
            return lambda done: progress.advance(task, done)

        yield begin


def _model_table(manifest: Manifest) -> Table:
    table = Table("model", "samples", "conditions", "answers", "probabilities", "accuracy", title="Answers compared")
    for model in manifest.models:
        kind = "yes" if model.has_probabilities else "no"
        if model.notes.get("likelihood") == "a token's":
            kind = "yes, length-normalised"
        numbers = [f"{model.samples:,}", f"{model.conditions}", f"{model.answers:,}"]
        table.add_row(Text(for_terminal(model.name)), *numbers, kind, f"{model.accuracy:.3f}")
    return table


def _count_table(manifest: Manifest) -> Table:
    table = Table("step", "number", title="Counts at every step")
    for name, count in manifest.counts.model_dump().items():
        table.add_row(name.replace("_", " "), f"{count:,}")
    return table


def _measure_table(manifest: Manifest) -> Table:
    """Tabulate how good subsets of this size are for models that did not select them."""
    judges = "by models that did not select" if manifest.curve.is_held_out else "by the models that select"
    table = Table("", "subset", "worst", "random", title=f"{manifest.size:,} samples, judged {judges}")
    place = manifest.curve.sizes.index(manifest.size)
    rows = (
        ("separation, random = 1", manifest.curve.separation, min),
        ("order of the models (Kendall's tau)", manifest.curve.tau, min),
        ("accuracy of always saying one letter", manifest.curve.one_letter, max),
    )
    for name, measure, worst in rows:
        values = [] if measure is None else [split[place] for split in measure.selected]
        found = [value for value in values if value is not None]
        random = None if measure is None else measure.random[place][1]
        cells = (sum(found) / len(found), worst(found), random) if found else (None, None, random)
        table.add_row(name, *("" if cell is None else f"{cell:.2f}" for cell in cells))
    return table


def _closing_lines(manifest: Manifest, output: Path) -> str:
    widest = max((model.samples, model.conditions) for model in manifest.models)
    uneven = [model.name for model in manifest.models if (model.samples, model.conditions) != widest]
    lines = []
    if uneven:
        lines.append(
            f"fewer samples or conditions than others have: {', '.join(uneven)}; "
            "each sample is scored by the models that answered it"
        )
    if any(model.notes.get("likelihood") == "a token's" for model in manifest.models):
        lines.append("length-normalised likelihoods make flatter distributions than summed ones")
    if manifest.sample_score == "correctness":
        lines.append("not every answer has probabilities: samples are scored from right and wrong answers")
    lines += manifest.cautions
    lines.append(f"wrote {manifest.counts.selected} samples to {output}; evaluate on them with BENCHC_DATASET={output}")
    return "\n".join(lines)
