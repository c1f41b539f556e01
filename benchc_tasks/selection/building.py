"""From a pool and answers to a folder with the subset, its manifest, its scores and its picture; and back."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from math import isfinite
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from benchc_metrics.escaping import for_csv
from benchc_tasks.datasets import SampleDataset, load_dataset, write_dataset
from benchc_tasks.selection.answers import AnswerSource, ReadingCounts, Tally, bytes_to_read, tally_answers
from benchc_tasks.selection.diversity import cluster_count, cluster_texts
from benchc_tasks.selection.encoders import Encoders, embed
from benchc_tasks.selection.manifest import (
    Counts,
    CurveRecord,
    Manifest,
    ModelRecord,
    SelectedSample,
    resolve_samples,
    sample_digest,
)
from benchc_tasks.selection.picture import draw_selection
from benchc_tasks.selection.pool import Pool
from benchc_tasks.selection.scores import COMBINED_WEIGHTS, INCONSISTENCY_WEIGHTS, Score
from benchc_tasks.selection.selecting import (
    DEFAULT_DIVERSITY,
    Selection,
    check_seen,
    choose_samples,
    score_samples,
    select_samples,
)
from benchc_tasks.selection.separation import SeparationCurve, accuracies_of, separation_curve

__all__ = [
    "DATASET_FILE",
    "MANIFEST_FILE",
    "PICTURE_FILE",
    "SCORES_FILE",
    "Settings",
    "Stages",
    "build_subset",
    "rebuild_subset",
]

# The scores are not kept as parquet: a folder's parquet files are its dataset.
DATASET_FILE, MANIFEST_FILE, SCORES_FILE, PICTURE_FILE = "data.parquet", "selection.json", "scores.csv", "selection.png"

PACKAGES = ("benchc", "numpy", "scipy", "scikit-learn", "pyarrow", "sentence-transformers", "transformers")

CURVE_POINTS = 8

Stages: TypeAlias = Callable[[str, int], Callable[[int], None]]
"""Start a progress stage of so many units; return its advance callback."""


@dataclass(frozen=True)
class Settings:
    """The settings of a selection.

    Attributes
    ----------
    size : int
        Samples of the subset.
    score : {"inconsistency", "discrimination", "combined"}
    diversity : float
        Share of the places that is dealt out over topics, in [0, 1].
    clusters : int or None
        Number of topics; by default one for every five places.
    encoders : Encoders
    seed : int
    leave_out_unseen : bool
        Whether samples that fewer than two models answered are left out, rather than an error.
    """

    size: int
    score: Score = "combined"
    diversity: float = DEFAULT_DIVERSITY
    clusters: int | None = None
    encoders: Encoders = field(default_factory=Encoders)
    seed: int = 0
    leave_out_unseen: bool = False

    def __post_init__(self) -> None:
        """Check what can be checked without the pool."""
        if self.size < 1:
            raise ValueError(f"--size {self.size} is not a number of samples; give 1 or more")
        if not 0 <= self.diversity <= 1:
            raise ValueError(f"--diversity {self.diversity} is not a share; give a number from 0 to 1")
        if self.clusters is not None and self.clusters < 1:
            raise ValueError(f"--clusters {self.clusters} is not a number of clusters; give 1 or more")
        if not 0 <= self.seed < 2**32:
            raise ValueError(f"--seed {self.seed} is not from 0 to 2**32 - 1")


def build_subset(
    dataset: SampleDataset, sources: Sequence[AnswerSource], settings: Settings, output: Path, stages: Stages
) -> Manifest:
    """Select a subset and write it.

    Parameters
    ----------
    dataset : SampleDataset
        The pool.
    sources : sequence of AnswerSource
    settings : Settings
    output : Path
        A folder, new or without a dataset.
    stages : Stages
        Shows the progress.

    Returns
    -------
    Manifest
        As it stands in `selection.json`.

    Raises
    ------
    ValueError
        If the answers or the settings do not allow it; one sentence, and nothing is written.
    """
    _check_output(output)
    pool = Pool.from_dataset(dataset)
    tally, counts = tally_answers(pool, sources, stages("reading answers", bytes_to_read(sources)))
    unseen = check_seen(tally, pool)
    if len(unseen) and not settings.leave_out_unseen:
        raise ValueError(
            f"{len(unseen)} of the pool's {len(pool)} samples have answers of fewer than two models: "
            f"{pool.names(unseen.tolist())}; add answers, or leave such samples out with --leave-out-unseen"
        )
    clusters = _clusters(dataset, pool, settings, stages)
    selection = select_samples(tally, pool, clusters, settings.size, settings.score, settings.diversity)
    curve = _curve(tally, pool, selection, settings, stages)
    output.mkdir(parents=True, exist_ok=True)
    digests = _write_samples(dataset, selection.positions.tolist(), output, stages)
    manifest = Manifest(
        pool=dataset.source,
        pool_fingerprint=pool.fingerprint,
        subset_fingerprint=load_dataset(output).fingerprint,
        answers=[source.name for source in sources],
        models=_model_records(tally, sources),
        conditions=list(tally.conditions),
        score=settings.score,
        weights={"combined": dict(COMBINED_WEIGHTS), "inconsistency": dict(INCONSISTENCY_WEIGHTS)},
        sample_score="probability" if tally.has_probabilities else "correctness",
        encoders=settings.encoders.names,
        clusters=_cluster_number(settings, len(pool)),
        diversity=float(settings.diversity),
        size=settings.size,
        seed=settings.seed,
        versions=_versions(),
        counts=_counts(pool, selection, counts, len(unseen)),
        separation=_curve_record(curve),
        samples=[
            SelectedSample(id=pool.id_of(position), digest=digest)
            for position, digest in zip(selection.positions.tolist(), digests, strict=True)
        ],
    )
    _write_scores(pool, selection, output / SCORES_FILE)
    title = f"{settings.size:,} of {len(pool):,} samples, selected by {len(tally.models)} models ({settings.score})"
    draw_selection(
        output / PICTURE_FILE, curve, settings.size, clusters, selection.candidates, selection.positions, title
    )
    manifest.write(output / MANIFEST_FILE)
    return manifest


def rebuild_subset(manifest: Manifest, dataset: SampleDataset, output: Path, stages: Stages) -> bool:
    """Write the subset of a manifest again.

    Parameters
    ----------
    manifest : Manifest
    dataset : SampleDataset
        The pool.
    output : Path
        A folder, new or without a dataset.
    stages : Stages
        Shows the progress.

    Returns
    -------
    bool
        Whether the pool is still the one that was selected from. Where it is not, the subset's samples are the same
        all the same.

    Raises
    ------
    ValueError
        If a sample is missing or has changed; nothing is written.
    """
    _check_output(output)
    positions = resolve_samples(manifest, dataset)
    output.mkdir(parents=True, exist_ok=True)
    _write_samples(dataset, positions, output, stages)
    found = load_dataset(output).fingerprint
    if found != manifest.subset_fingerprint:
        (output / DATASET_FILE).unlink()
        raise ValueError(
            f"the manifest does not fit itself: its samples make the subset {found[:16]}, and it says "
            f"{manifest.subset_fingerprint[:16]}; take the file as benchc wrote it"
        )
    manifest.write(output / MANIFEST_FILE)
    return dataset.fingerprint == manifest.pool_fingerprint


def _check_output(output: Path) -> None:
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise ValueError(f"the output {str(output)!r} is there already and not empty; name another folder with -o")


def _cluster_number(settings: Settings, samples: int) -> int:
    return settings.clusters or cluster_count(settings.size, samples)


def _clusters(dataset: SampleDataset, pool: Pool, settings: Settings, stages: Stages) -> NDArray[np.int64]:
    report = stages("embedding samples", len(pool) * len(settings.encoders.names))
    embeddings = embed(settings.encoders, pool.texts, dataset, settings.seed, report)
    report = stages("clustering", 1)
    clusters = cluster_texts(embeddings, _cluster_number(settings, len(pool)), settings.seed)
    report(1)
    return clusters


def _curve(tally: Tally, pool: Pool, selection: Selection, settings: Settings, stages: Stages) -> SeparationCurve:
    report = stages("measuring separation", 5 if len(tally.models) >= 4 else 1)

    def selector(some: Tally) -> Callable[[int], NDArray[np.int64]]:
        scored = score_samples(some, pool, settings.score)
        return lambda size: (
            choose_samples(scored, pool, selection.clusters, min(size, scored.available), settings.diversity).positions
        )

    sizes = _sizes(settings.size, int(selection.candidates.sum()))
    return separation_curve(tally, selector, sizes, settings.seed, report=lambda: report(1))


def _sizes(size: int, candidates: int) -> list[int]:
    """Choose sizes at equal ratios between a tenth of the subset's and all candidates, the subset's among them."""
    low = min(max(10, size // 10), candidates)
    spread = np.geomspace(low, candidates, CURVE_POINTS - 1).round().astype(int).tolist()
    # One that lies next to the subset's own size would write its label over that one's.
    return sorted({size, *(value for value in spread if not 0.7 < value / size < 1.4)})


def _write_samples(dataset: SampleDataset, positions: Sequence[int], output: Path, stages: Stages) -> list[str]:
    report = stages("writing samples", len(positions))
    digests = []

    def rows() -> Iterator[dict[str, Any]]:
        for position in positions:
            digests.append(sample_digest(dataset, position))
            yield dataset[position]
            report(1)

    write_dataset(output / DATASET_FILE, rows())
    return digests


def _model_records(tally: Tally, sources: Sequence[AnswerSource]) -> list[ModelRecord]:
    notes = {model: found for source in sources for model, found in source.notes().items()}
    accuracies = np.nanmean(accuracies_of(tally), axis=1)
    return [
        ModelRecord(
            name=name,
            samples=int((tally.answers[row] > 0).sum()),
            conditions=int(tally.seen[row].any(axis=1).sum()),
            answers=int(tally.answers[row].sum()),
            has_probabilities=bool(np.array_equal(tally.distributions[row], tally.answers[row])),
            accuracy=float(accuracies[row]),
            notes=notes.get(name, {}),
        )
        for row, name in enumerate(tally.models)
    ]


def _counts(pool: Pool, selection: Selection, read: ReadingCounts, unseen: int) -> Counts:
    components, positions = selection.components, selection.positions
    seen = components.models >= 2
    topics = np.unique(selection.clusters[selection.candidates])
    categories = pool.category_codes
    return Counts(
        answers_read=read.read,
        answers_used=read.used,
        answers_not_in_pool=read.not_in_pool,
        answers_without_prediction=read.without_prediction,
        clean_answers_repeated=read.repeated_clean,
        clean_answers_that_differ=read.repeated_clean_differs,
        answers_without_clean=read.without_clean,
        pool=len(pool),
        seen_by_fewer_than_two=unseen,
        always_right=int((components.is_always_right & seen).sum()),
        always_wrong=int((components.is_always_wrong & seen).sum()),
        candidates=int(selection.candidates.sum()),
        clusters=len(topics),
        clusters_covered=len(np.unique(selection.clusters[positions])),
        categories=len(_named(categories[selection.candidates])),
        categories_covered=len(_named(categories[positions])),
        chosen_by_topic=len(selection.dealt),
        chosen_by_score=len(selection.others),
        selected=len(positions),
    )


def _named(categories: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.unique(categories[categories >= 0])


def _curve_record(curve: SeparationCurve) -> CurveRecord:
    def finite(values: Sequence[float]) -> list[float | None]:
        return [value if isfinite(value) else None for value in values]

    return CurveRecord(
        sizes=list(curve.sizes),
        selected=[finite(split) for split in curve.selected],
        random=[finite(band) for band in curve.random],
        is_held_out=curve.is_held_out,
    )


def _versions() -> dict[str, str]:
    found = {}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def _write_scores(pool: Pool, selection: Selection, path: Path) -> None:
    """Write one row a sample, in the pool's order; an empty field is what a sample does not have."""
    components = {name: values for name, values in asdict(selection.components).items() if not name.startswith("is_")}
    fate = np.full(len(pool), "not selected", dtype=object)
    fate[selection.dealt], fate[selection.others] = "selected by topic", "selected by score"
    fate[selection.components.models < 2] = "seen by fewer than two models"
    fate[(selection.components.models >= 2) & selection.components.is_always_right] = "always right"
    fate[(selection.components.models >= 2) & selection.components.is_always_wrong] = "always wrong"
    columns: dict[str, Sequence[Any]] = {
        "id": [for_csv(name) for name in pool.ids.to_pylist()],
        "category": ["" if name is None else for_csv(name) for name in pool.categories],
        **{name: _cells(values) for name, values in components.items()},
        "inconsistency": _cells(selection.inconsistency),
        "score": _cells(selection.score),
        "cluster": selection.clusters.tolist(),
        "outcome": fate.tolist(),
    }
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))


def _cells(values: NDArray[Any]) -> list[Any]:
    return ["" if isinstance(value, float) and not isfinite(value) else value for value in values.tolist()]
