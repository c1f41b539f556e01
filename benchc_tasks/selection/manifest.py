"""`selection.json`: how a subset was selected, and which samples it is made of."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from benchc_metrics.files import replace_file
from benchc_tasks.datasets import SampleDataset
from benchc_tasks.datasets.fingerprint import fingerprint, image_digest
from benchc_tasks.selection.scores import Score

__all__ = [
    "SCHEMA",
    "Counts",
    "CurveRecord",
    "Manifest",
    "ModelRecord",
    "SelectedSample",
    "read_manifest",
    "resolve_samples",
    "sample_digest",
]

SCHEMA: Literal["benchc.selection/1"] = "benchc.selection/1"
"""Name and version of the manifest; a change of its keys or their meaning is a new version."""


class _Record(BaseModel):
    """A part of the manifest: immutable, of exactly these keys and types."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class ModelRecord(_Record):
    """The responses read of one model.

    Attributes
    ----------
    name : str
    samples, conditions, answers : int
        How many samples it answered, under how many conditions, and how many answers that makes.
    has_probabilities : bool
        Whether each of its answers has a probability for every option.
    accuracy : float
        Mean over its samples of the rate of right answers over the conditions.
    notes : dict
        What its samples logs say beside: engine version, prompt, and whose the likelihood is, an option's or a token's.
    """

    name: str
    samples: int
    conditions: int
    answers: int
    has_probabilities: bool
    accuracy: float
    notes: dict[str, str]


class Counts(_Record):
    """The number of responses and samples left at every step.

    Attributes
    ----------
    answers_read, answers_used : int
        In the sources, and in the scores.
    answers_not_in_pool, answers_without_prediction, clean_answers_repeated, clean_answers_that_differ,
    answers_without_clean : int
        As in `ReadingCounts`.
    pool : int
        Samples of the pool.
    seen_by_fewer_than_two : int
        Samples left out because fewer than two models answered them.
    always_right, always_wrong : int
        Samples left out because every answer to them is right, or none.
    candidates : int
        Samples that could be selected.
    clusters, clusters_covered, categories, categories_covered : int
        Topics and categories that have candidates, and those that have a sample in the subset.
    chosen_by_topic, chosen_by_score : int
        Places dealt out over topics and categories, and places given by the score alone.
    selected : int
        Samples of the subset.
    """

    answers_read: int
    answers_used: int
    answers_not_in_pool: int
    answers_without_prediction: int
    clean_answers_repeated: int
    clean_answers_that_differ: int
    answers_without_clean: int
    pool: int
    seen_by_fewer_than_two: int
    always_right: int
    always_wrong: int
    candidates: int
    clusters: int
    clusters_covered: int
    categories: int
    categories_covered: int
    chosen_by_topic: int
    chosen_by_score: int
    selected: int


class CurveRecord(_Record):
    """The separation of models by subsets of some sizes, relative to random subsets (see `SeparationCurve`).

    Attributes
    ----------
    sizes : list of int
    selected : list of list of float
        One list a split of the models, one value a size; null where it cannot be computed.
    random : list of list of float
        5th and 95th percentile of random subsets, for each size.
    is_held_out : bool
        Whether other models judge than those that select.
    """

    sizes: list[int]
    selected: list[list[float | None]]
    random: list[list[float | None]]
    is_held_out: bool


class SelectedSample(_Record):
    """A sample of the subset.

    Attributes
    ----------
    id : str
    digest : str
        SHA-256 over its columns and its image, in hexadecimal digits.
    """

    id: str
    digest: str


class Manifest(_Record):
    """All that was given to the selection, and what came out.

    Attributes
    ----------
    schema_ : str
        `benchc.selection/1`, under the key `schema`.
    pool : str
        What the pool was called when it was loaded.
    pool_fingerprint, subset_fingerprint : str
        Of the datasets.
    answers : list of str
        The sources.
    models : list of ModelRecord
    conditions : list of str
        All that were found.
    score : str
    weights : dict of str to dict of str to float
        What each combined score is made of, and with which weights.
    sample_score : {"probability", "correctness"}
        What a model's score on a sample is: the right option's probability, or whether it is chosen.
    encoders : list of str
    clusters : int
        How many were asked of k-means.
    diversity : float
        Share of the places that was dealt out over the topics.
    size, seed : int
    versions : dict of str to str
        Of the packages on which the result depends.
    counts : Counts
    separation : CurveRecord
    samples : list of SelectedSample
        The subset, in the pool's order.
    """

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, populate_by_name=True, serialize_by_alias=True)

    schema_: Literal["benchc.selection/1"] = Field(default=SCHEMA, alias="schema")
    pool: str
    pool_fingerprint: str
    subset_fingerprint: str
    answers: list[str]
    models: list[ModelRecord]
    conditions: list[str]
    score: Score
    weights: dict[str, dict[str, float]]
    sample_score: Literal["probability", "correctness"]
    encoders: list[str]
    clusters: int
    diversity: float
    size: int
    seed: int
    versions: dict[str, str]
    counts: Counts
    separation: CurveRecord
    samples: list[SelectedSample]

    def write(self, path: Path) -> None:
        """Write the manifest as JSON."""
        replace_file(path, json.dumps(self.model_dump(mode="json"), indent=2, ensure_ascii=False) + "\n")


def read_manifest(path: str | Path) -> Manifest:
    """Read a manifest.

    Raises
    ------
    ValueError
        If it is not JSON, of another version, or has a key or value that this version does not know; one sentence.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
        written = json.loads(text)
    except (OSError, ValueError) as error:
        raise ValueError(f"{path} cannot be read as JSON ({error}); give the selection.json of a subset") from error
    schema = written.get("schema") if isinstance(written, dict) else None
    if schema != SCHEMA:
        raise ValueError(f"{path} has the schema {schema!r}, and this version of benchc reads {SCHEMA!r} only")
    try:
        return Manifest.model_validate_json(text)
    except ValidationError as error:
        fault = error.errors()[0]
        place = ".".join(str(step) for step in fault["loc"])
        more = f" ({error.error_count() - 1} more faults)" if error.error_count() > 1 else ""
        raise ValueError(f"{path}: {place}: {fault['msg'].lower()}{more}; take the file as benchc wrote it") from error


def sample_digest(dataset: SampleDataset, position: int) -> str:
    """Hash one sample: its columns and the bytes of its image."""
    row = dataset[position]
    return fingerprint([(row, image_digest(row["image"]))])


def resolve_samples(manifest: Manifest, dataset: SampleDataset) -> list[int]:
    """Find the manifest's samples in a pool, and make sure that they are the same.

    Parameters
    ----------
    manifest : Manifest
    dataset : SampleDataset
        The pool, perhaps a changed one.

    Returns
    -------
    list of int
        Positions of the samples in the manifest's order.

    Raises
    ------
    ValueError
        If a sample is missing or has changed; one sentence that names the first few, and says that the pool has
        changed.
    """
    wanted = {sample.id for sample in manifest.samples}
    positions = {row["id"]: position for position, row in enumerate(dataset.without_images()) if row["id"] in wanted}
    missing = [sample.id for sample in manifest.samples if sample.id not in positions]
    changed = [
        sample.id
        for sample in manifest.samples
        if sample.id in positions and sample_digest(dataset, positions[sample.id]) != sample.digest
    ]
    if missing or changed:
        parts = [
            f"{len(ids)} {what} ({', '.join(map(repr, ids[:3]))}{', ...' if len(ids) > 3 else ''})"
            for ids, what in ((missing, "missing"), (changed, "changed"))
            if ids
        ]
        raise ValueError(
            f"the pool has changed: of the {len(manifest.samples)} selected samples there are {' and '.join(parts)}; "
            f"give the pool whose fingerprint is {manifest.pool_fingerprint[:16]}, or select anew"
        )
    return [positions[sample.id] for sample in manifest.samples]
