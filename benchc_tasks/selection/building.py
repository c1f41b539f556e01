"""From a pool and answers to a folder with the subset, its manifest, its scores and its picture; and back."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from math import isfinite
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from benchc_metrics.benchmark import LETTERS
from benchc_metrics.escaping import for_csv
from benchc_metrics.messages import quoted
from benchc_tasks.datasets import SampleDataset, load_dataset, write_dataset
from benchc_tasks.selection.answers import AnswerSource, ReadingCounts, Tally, bytes_to_read, tally_answers
from benchc_tasks.selection.encoders import Encoders, embed
from benchc_tasks.selection.kinds import Kinds, kinds_of, topics_of
from benchc_tasks.selection.manifest import (
    Counts,
    CurveRecord,
    LetterRecord,
    Manifest,
    MeasureRecord,
    ModelRecord,
    Resolution,
    SelectedSample,
    resolve_samples,
    sample_digest,
    text_digest,
)
from benchc_tasks.selection.measures import Measure, SubsetCurve, accuracies_of, subset_curve
from benchc_tasks.selection.picture import draw_selection
from benchc_tasks.selection.pool import Pool
from benchc_tasks.selection.quotas import Stratum
from benchc_tasks.selection.scores import COMBINED_WEIGHTS, INCONSISTENCY_WEIGHTS, Score
from benchc_tasks.selection.selecting import (
    DEFAULT_DIVERSITY,
    DEFAULT_STRATA,
    Selection,
    check_seen,
    choose_samples,
    score_samples,
    select_samples,
)

__all__ = [
    "DATASET_FILE",
    "MANIFEST_FILE",
    "SCORES_FILE",
    "Chosen",
    "Settings",
    "Stages",
    "build_subset",
    "choose_subset",
    "manifest_of",
    "rebuild_subset",
]

# The scores are not kept as parquet: a folder's parquet files are its dataset.
DATASET_FILE, MANIFEST_FILE, SCORES_FILE = "data.parquet", "selection.json", "scores.csv"

PACKAGES = ("benchc", "numpy", "scipy", "scikit-learn", "pyarrow", "sentence-transformers", "transformers")

CURVE_POINTS = 8

_WEIGHTS = {
    "combined": {"combined": dict(COMBINED_WEIGHTS), "inconsistency": dict(INCONSISTENCY_WEIGHTS)},
    "inconsistency": {"inconsistency": dict(INCONSISTENCY_WEIGHTS)},
}

Stages: TypeAlias = Callable[[str, int], Callable[[int], None]]
"""Start a progress stage of so many units; return its advance callback."""


@dataclass(frozen=True)
class Settings:
    """The settings of a selection.

    Attributes
    ----------
    size : int
        Samples of the subset.
    score : {"covariance", "inconsistency", "discrimination", "combined"}
    strata : tuple of {"letter", "category", "text"}, or None
        Quotas hold within these. None is letter and category for the covariance, and no quotas for other scores.
    diversity : float or None
        Without quotas: the share of the places that is dealt out over topics, in [0, 1]; None is one half.
    clusters : int or None
        Number of topics. By default one for every five places; with quotas, where they stand for missing categories,
        one for every ten.
    encoders : Encoders
    seed : int
    leave_out_unseen : bool
        Leave out samples that fewer than two models answered; otherwise they are an error.
    """

    size: int
    score: Score = "covariance"
    strata: tuple[Stratum, ...] | None = None
    diversity: float | None = None
    clusters: int | None = None
    encoders: Encoders = field(default_factory=Encoders)
    seed: int = 0
    leave_out_unseen: bool = False

    def __post_init__(self) -> None:
        """Check what can be checked without the pool."""
        if self.size < 1:
            raise ValueError(f"--size {self.size} is not a number of samples; give 1 or more")
        if self.diversity is not None and not 0 <= self.diversity <= 1:
            raise ValueError(f"--diversity {self.diversity} is not a share; give a number from 0 to 1")
        if self.diversity is not None and self.quotas:
            raise ValueError(
                f"--diversity deals places out over topics, and quotas for {' and '.join(self.quotas)} give out every "
                "place; leave it out, or give --score combined without --strata"
            )
        if self.clusters is not None and self.clusters < 1:
            raise ValueError(f"--clusters {self.clusters} is not a number of clusters; give 1 or more")
        if not 0 <= self.seed < 2**32:
            raise ValueError(f"--seed {self.seed} is not from 0 to 2**32 - 1")

    @property
    def quotas(self) -> tuple[Stratum, ...]:
        """The strata in which quotas hold."""
        if self.strata is None:
            return DEFAULT_STRATA if self.score == "covariance" else ()
        return self.strata

    @property
    def share(self) -> float:
        """The share of the places that is dealt out over topics where there are no quotas."""
        return DEFAULT_DIVERSITY if self.diversity is None else self.diversity


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
    tally, read = tally_answers(pool, sources, stages("reading answers", bytes_to_read(sources)))

    def embeddings() -> NDArray[np.float32]:
        report = stages("embedding samples", len(pool) * len(settings.encoders.names))
        return embed(settings.encoders, pool.texts, dataset, settings.seed, report)

    notes = {model: found for source in sources for model, found in source.notes().items()}
    chosen = choose_subset(tally, pool, settings, embeddings, stages)
    output.mkdir(parents=True, exist_ok=True)
    positions = chosen.selection.positions.tolist()
    digests = _write_samples(dataset, positions, output, stages)
    rows = dataset.without_images()
    manifest = manifest_of(
        chosen,
        settings,
        answers=[source.name for source in sources],
        notes=notes,
        read=read,
        source=dataset.source,
        fingerprints=(pool.fingerprint, load_dataset(output).fingerprint),
        samples=[
            SelectedSample(id=pool.id_of(position), digest=digest, text=_text_digest(rows[position]))
            for position, digest in zip(positions, digests, strict=True)
        ],
    )
    _write_scores(chosen, output / SCORES_FILE)
    title = f"{settings.size:,} of {len(pool):,} samples, selected by {len(tally.models)} models ({settings.score})"
    draw_selection(output, chosen.curve, settings.size, pool.answers, chosen.kinds, chosen.selection, title)
    manifest.write(output / MANIFEST_FILE)
    return manifest


@dataclass(frozen=True)
class Chosen:
    """A selection with what it was made from.

    Attributes
    ----------
    tally : Tally
    pool : Pool
    kinds : Kinds
    selection : Selection
    curve : SubsetCurve
    unseen : int
        Samples left out because fewer than two models answered them.
    """

    tally: Tally
    pool: Pool
    kinds: Kinds
    selection: Selection
    curve: SubsetCurve
    unseen: int


def choose_subset(
    tally: Tally, pool: Pool, settings: Settings, embeddings: Callable[[], NDArray[np.float32]], stages: Stages
) -> Chosen:
    """Select a subset and measure subsets of other sizes; write nothing.

    Parameters
    ----------
    tally : Tally
        The models' answers.
    pool : Pool of n samples
    settings : Settings
    embeddings : callable
        Returns the samples' embeddings, an ndarray of float32, shape (n, dimensions); called where topics are needed.
    stages : Stages
        Shows the progress.

    Raises
    ------
    ValueError
        If the answers or the settings do not allow it; one sentence.
    """
    unseen = check_seen(tally, pool)
    if len(unseen) and not settings.leave_out_unseen:
        raise ValueError(
            f"{len(unseen)} of the pool's {len(pool)} samples have answers of fewer than two models: "
            f"{pool.names(unseen.tolist())}; add answers, or leave such samples out with --leave-out-unseen"
        )
    sort = kinds_of if settings.quotas else topics_of
    kinds = sort(pool, embeddings, settings.clusters, settings.size, settings.seed)
    choice = (settings.quotas, settings.share)
    selection = select_samples(tally, pool, kinds.labels, settings.size, settings.score, *choice)
    report = stages("measuring subsets", 5 if len(tally.models) >= 4 else 1)

    def selector(some: Tally) -> Callable[[int], NDArray[np.int64]]:
        scored = score_samples(some, pool, settings.score)
        return lambda size: choose_samples(scored, pool, kinds.labels, min(size, scored.available), *choice).positions

    sizes = _sizes(settings.size, selection.available)
    curve = subset_curve(tally, pool.answers, selector, sizes, settings.seed, report=lambda: report(1))
    return Chosen(tally, pool, kinds, selection, curve, len(unseen))


def manifest_of(
    chosen: Chosen,
    settings: Settings,
    answers: list[str],
    notes: Mapping[str, dict[str, str]],
    read: ReadingCounts,
    source: str,
    fingerprints: tuple[str | None, str | None],
    samples: list[SelectedSample],
) -> Manifest:
    """Write down how a subset was selected.

    Parameters
    ----------
    chosen : Chosen
    settings : Settings
    answers : list of str
        Names of the sources.
    notes : mapping of str to dict
        What the sources say about each model.
    read : ReadingCounts
    source : str
        What the pool is called.
    fingerprints : (str or None, str or None)
        Of the pool and of the subset.
    samples : list of SelectedSample
    """
    pool, tally, positions = chosen.pool, chosen.tally, chosen.selection.positions
    in_pool = np.bincount(pool.answers, minlength=pool.width).tolist()
    in_subset = np.bincount(pool.answers[positions], minlength=pool.width).tolist()
    return Manifest(
        pool=source,
        pool_fingerprint=fingerprints[0],
        subset_fingerprint=fingerprints[1],
        answers=answers,
        models=_model_records(tally, notes),
        conditions=list(tally.conditions),
        score=settings.score,
        strata=list(settings.quotas),
        weights=_WEIGHTS.get(settings.score, {}),
        sample_score="probability" if tally.has_probabilities else "correctness",
        encoders=settings.encoders.names,
        clusters=chosen.kinds.clusters,
        diversity=None if settings.quotas else settings.share,
        size=settings.size,
        seed=settings.seed,
        versions=_versions(),
        counts=_counts(chosen, read),
        letters={
            LETTERS[number]: LetterRecord(pool=before, subset=after)
            for number, (before, after) in enumerate(zip(in_pool, in_subset, strict=True))
        },
        cautions=_cautions(chosen.selection, settings.score),
        curve=_curve_record(chosen.curve),
        samples=samples,
    )


def rebuild_subset(
    manifest: Manifest, dataset: SampleDataset, output: Path, stages: Stages, leave_out_changed: bool = False
) -> Resolution:
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

    leave_out_changed : bool
        Leave out samples that are missing in the pool or have changed; otherwise they are an error.

    Returns
    -------
    Resolution
        Which samples were written. Where none is missing or changed they are those of the manifest, also from a pool
        that is otherwise a different one.

    Raises
    ------
    ValueError
        If a sample is missing or has changed; nothing is written.
    """
    _check_output(output)
    resolution = resolve_samples(manifest, dataset, leave_out_changed)
    output.mkdir(parents=True, exist_ok=True)
    _write_samples(dataset, resolution.positions, output, stages)
    is_whole = len(resolution.positions) == len(manifest.samples)
    found = load_dataset(output).fingerprint
    if is_whole and manifest.subset_fingerprint not in (None, found):
        (output / DATASET_FILE).unlink()
        raise ValueError(
            f"the manifest contradicts itself: its samples make the subset {found[:16]}, and it says "
            f"{str(manifest.subset_fingerprint)[:16]}; take the file as benchc wrote it"
        )
    manifest.write(output / MANIFEST_FILE)
    return resolution


def _check_output(output: Path) -> None:
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise ValueError(
            f"the output {quoted(str(output))} is there already and not empty; name another folder with -o"
        )


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


def _text_digest(row: Mapping[str, Any]) -> str:
    return text_digest(row["question"], row["options"], row["answer"])


def _model_records(tally: Tally, notes: Mapping[str, dict[str, str]]) -> list[ModelRecord]:
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


def _counts(chosen: Chosen, read: ReadingCounts) -> Counts:
    selection, kinds = chosen.selection, chosen.kinds.labels
    components, positions = selection.components, selection.positions
    seen = components.models >= 2
    categories = chosen.pool.category_codes
    return Counts(
        answers_read=read.read,
        answers_used=read.used,
        answers_not_in_pool=read.not_in_pool,
        answers_without_prediction=read.without_prediction,
        clean_answers_repeated=read.repeated_clean,
        clean_answers_that_differ=read.repeated_clean_differs,
        answers_without_clean=read.without_clean,
        pool=len(chosen.pool),
        seen_by_fewer_than_two=chosen.unseen,
        always_right=int((components.is_always_right & seen).sum()),
        always_wrong=int((components.is_always_wrong & seen).sum()),
        candidates=int(selection.candidates.sum()),
        clusters=len(np.unique(kinds[selection.candidates])),
        clusters_covered=len(np.unique(kinds[positions])),
        categories=len(_named(categories[selection.candidates])),
        categories_covered=len(_named(categories[positions])),
        chosen_by_quota=len(selection.by_quota),
        chosen_by_topic=len(selection.dealt),
        chosen_by_score=len(selection.others),
        selected=len(positions),
    )


def _cautions(selection: Selection, score: Score) -> list[str]:
    """Say what is missing in the score."""
    lacking = int((np.isnan(selection.components.flip_rate) & selection.candidates).sum())
    if score not in ("combined", "inconsistency") or not lacking:
        return []
    all_of_them = lacking == int(selection.candidates.sum())
    return [
        f"inconsistency is left out for {'all' if all_of_them else f'{lacking:,}'} samples: no model answered them "
        "both clean and corrupted"
    ]


def _named(categories: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.unique(categories[categories >= 0])


def _curve_record(curve: SubsetCurve) -> CurveRecord:
    def record(measure: Measure) -> MeasureRecord:
        return MeasureRecord(
            selected=[_finite(split) for split in measure.selected], random=[_finite(band) for band in measure.random]
        )

    return CurveRecord(
        sizes=list(curve.sizes),
        separation=record(curve.separation),
        tau=record(curve.tau),
        one_letter=record(curve.one_letter),
        is_held_out=curve.is_held_out,
    )


def _finite(values: Sequence[float]) -> list[float | None]:
    return [value if isfinite(value) else None for value in values]


def _versions() -> dict[str, str]:
    found = {}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def _write_scores(chosen: Chosen, path: Path) -> None:
    """Write one row a sample, in the pool's order; a field is empty where a sample does not have that value."""
    pool, selection = chosen.pool, chosen.selection
    components = {name: values for name, values in asdict(selection.components).items() if not name.startswith("is_")}
    seen = selection.components.models >= 2
    outcome = np.full(len(pool), "not selected", dtype=object)
    outcome[selection.by_quota] = "selected by quota"
    outcome[selection.dealt], outcome[selection.others] = "selected by topic", "selected by score"
    outcome[~seen] = "seen by fewer than two models"
    outcome[seen & selection.components.is_always_right] = "always right"
    outcome[seen & selection.components.is_always_wrong] = "always wrong"
    columns: dict[str, Sequence[Any]] = {
        "id": [for_csv(name) for name in pool.ids.to_pylist()],
        "category": ["" if name is None else for_csv(name) for name in pool.categories],
        "letter": [LETTERS[answer] for answer in pool.answers.tolist()],
        **{name: _cells(values) for name, values in components.items()},
        "inconsistency": _cells(selection.inconsistency),
        "score": _cells(selection.score),
        "cluster": selection.kinds.tolist(),
        "outcome": outcome.tolist(),
    }
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))


def _cells(values: NDArray[Any]) -> list[Any]:
    return ["" if isinstance(value, float) and not isfinite(value) else value for value in values.tolist()]
