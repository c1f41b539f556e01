"""`selection.json`: how a subset was selected, and which samples it is made of."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from benchc_metrics.files import replace_file
from benchc_metrics.messages import quoted
from benchc_tasks.datasets import SampleDataset
from benchc_tasks.datasets.fingerprint import fingerprint, image_digest
from benchc_tasks.datasets.sets.members import SelectedSample, text_digest
from benchc_tasks.selection.quotas import Stratum
from benchc_tasks.selection.scores import Score

__all__ = [
    "SCHEMA",
    "Counts",
    "CurveRecord",
    "LetterRecord",
    "Manifest",
    "MeasureRecord",
    "ModelRecord",
    "Resolution",
    "SelectedSample",
    "read_manifest",
    "resolve_samples",
    "sample_digest",
    "text_digest",
]

SCHEMA: Literal["benchc.selection/2"] = "benchc.selection/2"
"""Name and version of the manifest; a change of its keys or their meaning is a new version."""

FIRST_SCHEMA = "benchc.selection/1"
"""Version without quotas, whose measure was the separation alone."""


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
        What its samples logs say beside: engine version, prompt, whose the likelihood is, an option's or a token's, and
        what was left out of them, the answers under the control.
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
    chosen_by_quota, chosen_by_topic, chosen_by_score : int
        Places given by quotas, dealt out over topics and categories, and given by the score alone.
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
    chosen_by_quota: int
    chosen_by_topic: int
    chosen_by_score: int
    selected: int


class MeasureRecord(_Record):
    """A measure of subsets of some sizes (see `Measure`); null where it is not defined.

    Attributes
    ----------
    selected : list of list of float
        One list a split of the models, one value a size.
    random : list of list of float
        For each size the 5th percentile of random subsets, their mean (in the first version absent) and their 95th
        percentile.
    """

    selected: list[list[float | None]]
    random: list[list[float | None]]


class CurveRecord(_Record):
    """Measures of subsets of some sizes (see `SubsetCurve`).

    Attributes
    ----------
    sizes : list of int
    separation : MeasureRecord
        Relative to random subsets.
    tau, one_letter : MeasureRecord or None
        None in a manifest of the first version.
    is_held_out : bool
        Whether other models judge than those that select.
    """

    sizes: list[int]
    separation: MeasureRecord
    tau: MeasureRecord | None
    one_letter: MeasureRecord | None
    is_held_out: bool


class LetterRecord(_Record):
    """Number of samples whose right option has a given letter.

    Attributes
    ----------
    pool, subset : int
    """

    pool: int
    subset: int


class Manifest(_Record):
    """All that was given to the selection, and what came out.

    Attributes
    ----------
    schema_ : str
        `benchc.selection/2`, under the key `schema`.
    pool : str
        What the pool was called when it was loaded.
    pool_fingerprint, subset_fingerprint : str or None
        Of the datasets; None where the subset was selected without the images.
    answers : list of str
        The sources.
    models : list of ModelRecord
    conditions : list of str
        All that were found.
    score : str
    strata : list of str
        Quotas hold within these, in the pool's proportions; empty where places were dealt out over topics.
    weights : dict of str to dict of str to float
        What each combined score is made of, and with which weights.
    sample_score : {"probability", "correctness"}
        What a model's score on a sample is: the right option's probability, or whether it is chosen.
    encoders : list of str
    clusters : int or None
        How many were asked of k-means; None where every sample has a category.
    diversity : float or None
        Share of the places that was dealt out over the topics; None where there are quotas.
    size, seed : int
    versions : dict of str to str
        Of the packages on which the result depends.
    counts : Counts
    letters : dict of str to LetterRecord
        Samples of each right option, in the pool and in the subset; empty in a manifest of the first version.
    cautions : list of str
        What was left out of the score, and why.
    curve : CurveRecord
    samples : list of SelectedSample
        The subset, in the pool's order.
    """

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, populate_by_name=True, serialize_by_alias=True)

    schema_: Literal["benchc.selection/2"] = Field(default=SCHEMA, alias="schema")
    pool: str
    pool_fingerprint: str | None
    subset_fingerprint: str | None
    answers: list[str]
    models: list[ModelRecord]
    conditions: list[str]
    score: Score
    strata: list[Stratum]
    weights: dict[str, dict[str, float]]
    sample_score: Literal["probability", "correctness"]
    encoders: list[str]
    clusters: int | None
    diversity: float | None
    size: int
    seed: int
    versions: dict[str, str]
    counts: Counts
    letters: dict[str, LetterRecord]
    cautions: list[str]
    curve: CurveRecord
    samples: list[SelectedSample]

    def write(self, path: Path, indent: int | None = 2) -> None:
        """Write the manifest as JSON, on one line where `indent` is None."""
        replace_file(path, json.dumps(self.model_dump(mode="json"), indent=indent, ensure_ascii=False) + "\n")


@dataclass(frozen=True)
class Resolution:
    """A manifest's samples in a pool.

    Attributes
    ----------
    positions : list of int
        Of the samples that are there as they were, in the manifest's order.
    missing, changed : list of str
        Ids of the samples that the pool does not have, and of those whose text or image differs.
    """

    positions: list[int]
    missing: list[str]
    changed: list[str]

    def described(self) -> str:
        """Count and name the samples that are missing or have changed."""
        found = ((self.missing, "missing"), (self.changed, "changed"))
        return " and ".join(
            f"{len(ids)} {what} ({', '.join(map(quoted, ids[:3]))}{', ...' if len(ids) > 3 else ''})"
            for ids, what in found
            if ids
        )


def read_manifest(path: str | Path) -> Manifest:
    """Read a manifest of this version or an older one.

    Raises
    ------
    ValueError
        If it is not JSON, of another version, or has a key or value that its version does not know; one sentence.
    """
    path = Path(path)
    try:
        written = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ValueError(f"{path} cannot be read as JSON ({error}); give the selection.json of a subset") from error
    schema = written.get("schema") if isinstance(written, dict) else None
    if schema not in (SCHEMA, FIRST_SCHEMA):
        raise ValueError(
            f"{path} has the schema {quoted(schema)}, and this version of benchc reads {SCHEMA!r} and {FIRST_SCHEMA!r}"
        )
    try:
        return Manifest.model_validate_json(json.dumps(_upgraded(written) if schema == FIRST_SCHEMA else written))
    except ValidationError as error:
        fault = error.errors()[0]
        place = ".".join(str(step) for step in fault["loc"])
        more = f" ({error.error_count() - 1} more faults)" if error.error_count() > 1 else ""
        raise ValueError(f"{path}: {place}: {fault['msg'].lower()}{more}; take the file as benchc wrote it") from error
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise ValueError(f"{path} is not a manifest of {quoted(schema)}; take the file as benchc wrote it") from error


def _upgraded(first: dict[str, Any]) -> dict[str, Any]:
    """Turn a manifest of the first version into one of the second; what the first did not know is empty or null."""
    separation = first["separation"]
    curve = {
        "sizes": separation["sizes"],
        "separation": {
            "selected": separation["selected"],
            "random": [[low, None, high] for low, high in separation["random"]],
        },
        "tau": None,
        "one_letter": None,
        "is_held_out": separation["is_held_out"],
    }
    kept = {name: value for name, value in first.items() if name != "separation"}
    return {
        **kept,
        "schema": SCHEMA,
        "strata": [],
        "letters": {},
        "cautions": [],
        "counts": {**first["counts"], "chosen_by_quota": 0},
        "curve": curve,
        "samples": [{**sample, "text": None} for sample in first["samples"]],
    }


def sample_digest(dataset: SampleDataset, position: int) -> str:
    """Hash one sample: its columns and the bytes of its image."""
    row = dataset[position]
    return fingerprint([(row, image_digest(row["image"]))])


def resolve_samples(manifest: Manifest, dataset: SampleDataset, leave_out_changed: bool = False) -> Resolution:
    """Find the manifest's samples in a pool, and check that they are the same.

    Parameters
    ----------
    manifest : Manifest
    dataset : SampleDataset
        The pool, perhaps a changed one.
    leave_out_changed : bool
        Return the samples that are missing or have changed, and do not refuse the pool for them.

    Raises
    ------
    ValueError
        If a sample is missing or has changed; one sentence that names the first few. Always if none is left.
    """
    wanted = {sample.id for sample in manifest.samples}
    rows = {row["id"]: (place, row) for place, row in enumerate(dataset.without_images()) if row["id"] in wanted}

    def is_same(sample: SelectedSample) -> bool:
        position, row = rows[sample.id]
        if sample.digest is not None:
            return sample_digest(dataset, position) == sample.digest
        return text_digest(row["question"], row["options"], row["answer"]) == sample.text

    missing = [sample.id for sample in manifest.samples if sample.id not in rows]
    changed = [sample.id for sample in manifest.samples if sample.id in rows and not is_same(sample)]
    lost = {*missing, *changed}
    positions = [rows[sample.id][0] for sample in manifest.samples if sample.id not in lost]
    found = Resolution(positions, missing, changed)
    if lost and not (leave_out_changed and positions):
        pool = f"whose fingerprint is {manifest.pool_fingerprint[:16]}" if manifest.pool_fingerprint else manifest.pool
        raise ValueError(
            f"the pool has changed: of the {len(manifest.samples)} selected samples there are {found.described()}; "
            f"give the pool {pool}, leave such samples out with --leave-out-changed, or select anew"
        )
    return found
