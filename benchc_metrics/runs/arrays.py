"""Convert the records of a run's tasks to dense arrays."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchc_metrics.benchmark import CORRUPTION_FAMILIES, SEVERITIES, Condition, are_of_control, in_paper_order
from benchc_metrics.designs import FULL, describe_design
from benchc_metrics.messages import quoted
from benchc_metrics.records import Obtained, SampleRecord
from benchc_metrics.responses import option_distribution
from benchc_metrics.runs.vote_counts import VoteCounts

__all__ = ["RunArrays", "arrays_of_records"]

# Each task has its own clean response of a sample. Batching changes a probability in the third digit; another model
# changes it more.
SAME_PROBABILITY = 1e-6
TOLERATED_PROBABILITY = 0.1

_SHARED = ("dataset", "engine", "benchc", "prompt", "context", "sampling", "thinking", "restoration")

MEAN_LOSSES = (
    "The backend returned mean losses, not summed log-likelihoods: its distributions are flatter, and RAS and "
    "calibration are not comparable with those of other backends."
)


@dataclass(frozen=True, eq=False)
class RunArrays:
    """The contents of a run's records as arrays; see `benchc_metrics.runs.Run` for the fields of the same names.

    Attributes
    ----------
    obtained : str
        As in `SampleRecord`.
    clean_predictions, corrupted_predictions : ndarray of int64
        Indices of options, -1 where invalid or missing.
    shared : mapping of str to str
        The values that all records share: dataset, engine, benchc, prompt, context, sampling, thinking, restoration.
    models : tuple of str
        The model names in the records.
    design : str
        The conditions that each sample was asked, see `benchc_metrics.designs`.
    votes : VoteCounts or None
        The votes, if predictions come from votes.
    """

    sample_ids: tuple[str, ...]
    answers: NDArray[np.int64]
    option_counts: NDArray[np.int64]
    sources: tuple[str | None, ...]
    categories: tuple[str | None, ...]
    corruptions: tuple[str, ...]
    clean: NDArray[np.float64]
    corrupted: NDArray[np.float64]
    invalid: Mapping[tuple[str, str], str]
    missing: tuple[tuple[str, str], ...]
    asked: NDArray[np.bool_]
    obtained: Obtained
    clean_predictions: NDArray[np.int64]
    corrupted_predictions: NDArray[np.int64]
    shared: Mapping[str, str | None]
    models: tuple[str, ...]
    notes: tuple[str, ...]
    design: str = FULL
    votes: VoteCounts | None = None


def arrays_of_records(place: Path, logs: Mapping[str, Sequence[SampleRecord]]) -> RunArrays:
    """Combine the records of all tasks of a run.

    Parameters
    ----------
    place : Path
        Named in errors.
    logs : mapping of str to sequence of SampleRecord
        The records of each task's log, by its file name.

    Returns
    -------
    RunArrays

    Raises
    ------
    ValueError
        If there are no records, or the records do not belong together; one sentence that names the file or folder.
    """
    everything = [record for of_log in logs.values() for record in of_log]
    if not everything:
        raise ValueError(f"the samples logs of {place} are empty: was the evaluation interrupted?")
    for name, of_log in logs.items():
        _check_log(place / name, of_log)
    logs, design, left_out = _of_one_design(place, logs)
    # The control comes last, so that another task decides if clean responses differ between tasks.
    everything = sorted((record for of_log in logs.values() for record in of_log), key=_is_of_control)
    shared = {name: _shared(place, name, everything) for name in _SHARED}
    obtained = _obtained(place, everything)
    samples = _SampleTable.of_records(place, everything)
    corruptions = _corruptions(place, everything, design)
    cells = _cells(everything, corruptions)
    clean, clean_predictions, note = _clean_responses(place, samples, everything)
    shape = (len(samples.ids), len(corruptions), len(SEVERITIES))
    corrupted = np.full((*shape, samples.width), np.nan)
    predictions = np.full(shape, -1, dtype=np.int64)
    answered = np.zeros(shape, dtype=bool)
    for record in everything:
        row = samples.place[record.sample]
        for number, condition in enumerate(record.conditions[1:], start=1):
            cell = row, *cells[condition]
            if answered[cell]:
                raise ValueError(
                    f"{place} has two answers of sample {quoted(record.sample)} under {condition}: keep one task's log"
                )
            answered[cell] = True
            prediction = record.predictions[number]
            predictions[cell] = -1 if prediction is None else prediction
            if record.log_likelihoods is not None and (options := record.log_likelihoods[number]) is not None:
                corrupted[cell] = _padded(options, samples.width)
    asked = answered | _asked_of_all(logs, cells, shape)
    return RunArrays(
        sample_ids=samples.ids,
        answers=samples.answers,
        option_counts=samples.option_counts,
        sources=samples.sources,
        categories=samples.categories,
        corruptions=corruptions,
        clean=clean,
        corrupted=corrupted,
        invalid={
            (record.sample, condition): reason for record in everything for condition, reason in record.invalid.items()
        },
        missing=tuple(
            (samples.ids[sample], str(Condition(corruptions[corruption], SEVERITIES[severity])))
            for sample, corruption, severity in np.argwhere(asked & ~answered).tolist()
        ),
        asked=asked,
        obtained=obtained,
        clean_predictions=clean_predictions,
        corrupted_predictions=predictions,
        shared=shared,
        models=tuple(sorted({record.model for record in everything if record.model is not None})),
        notes=tuple(each for each in (left_out, note, MEAN_LOSSES if obtained == "mean losses" else None) if each),
        design=design,
        votes=VoteCounts.of_records(everything, samples.place, cells, shape, samples.width)
        if obtained == "votes"
        else None,
    )


def _is_of_control(record: SampleRecord) -> bool:
    return are_of_control(record.conditions)


def _check_log(log: Path, records: Sequence[SampleRecord]) -> None:
    seen: set[str] = set()
    for record in records:
        if record.sample in seen:
            raise ValueError(f"{log} has sample {quoted(record.sample)} twice: evaluate into an empty folder")
        seen.add(record.sample)


def _of_one_design(
    place: Path, logs: Mapping[str, Sequence[SampleRecord]]
) -> tuple[Mapping[str, Sequence[SampleRecord]], str, str | None]:
    """Return the logs of the design with the most answers, its name, and a note on logs of other designs."""
    designs: dict[str, str] = {}
    answers: Counter[str] = Counter()
    for name, records in logs.items():
        of_log = {record.design or FULL for record in records}
        if len(of_log) > 1:
            raise ValueError(f"{place / name} mixes the designs {' and '.join(sorted(of_log))}: evaluate again")
        # The control is asked beside any design.
        if records and not _is_of_control(records[0]):
            designs[name] = of_log.pop()
            answers[designs[name]] += sum(len(record.conditions) - 1 for record in records)
    chosen = max(answers, key=lambda design: (answers[design], design), default=FULL)
    other = sorted(name for name, design in designs.items() if design != chosen)
    if not other:
        return logs, chosen, None
    note = (
        f"The samples logs of another design ({', '.join(quoted(name) for name in other)}) were left out, because those "
        f"of the design {describe_design(chosen)} have more answers: name a log to read it alone."
    )
    return {name: records for name, records in logs.items() if name not in other}, chosen, note


def _corruptions(place: Path, records: Iterable[SampleRecord], design: str) -> tuple[str, ...]:
    """List the corruptions that were asked; a design of few conditions may ask some only of samples that were not run."""
    lists = {record.conditions for record in records}
    found = {str(Condition.parse(text).corruption) for conditions in lists for text in conditions[1:]}
    if not found:
        raise ValueError(f"the samples logs of {place} have only clean answers: evaluate a task with a corruption")
    return in_paper_order(found if design == FULL else found | set(CORRUPTION_FAMILIES))


def _cells(records: Iterable[SampleRecord], corruptions: Sequence[str]) -> dict[str, tuple[int, int]]:
    """Map each condition to its place on the axes of corruptions and severities."""
    lists = {record.conditions for record in records}
    conditions = {text: Condition.parse(text) for conditions in lists for text in conditions[1:]}
    return {
        text: (corruptions.index(str(condition.corruption)), condition.severity - 1)
        for text, condition in conditions.items()
    }


def _asked_of_all(
    logs: Mapping[str, Sequence[SampleRecord]], cells: Mapping[str, tuple[int, int]], shape: tuple[int, ...]
) -> NDArray[np.bool_]:
    """Mark the conditions of tasks that ask all samples the same; a sample that is not in their log is missing."""
    asked = np.zeros(shape, dtype=bool)
    for records in logs.values():
        lists = {record.conditions for record in records if record.design is None}
        if len(lists) == 1:
            for condition in next(iter(lists))[1:]:
                corruption, severity = cells[condition]
                asked[:, corruption, severity] = True
    return asked


def _shared(place: Path, name: str, records: Iterable[SampleRecord]) -> str | None:
    """Return the value that all records must share."""
    records = list(records)
    values = sorted({str(value) for record in records if (value := getattr(record, name)) is not None})
    if name == "restoration" and values and any(record.restoration is None for record in records):
        values.append("none")
    if len(values) > 1:
        raise ValueError(
            f"{place} mixes {len(values)} values of {name} ({', '.join(map(repr, values))}): evaluate again"
        )
    return values[0] if values else None


def _obtained(place: Path, records: Sequence[SampleRecord]) -> Obtained:
    """Return how the responses were obtained; a sample with only zeros fits both quantities and does not decide."""
    kinds = {record.obtained for record in records if not _fits_both_quantities(record)}
    if kinds == {"log-likelihoods", "mean losses"}:
        raise ValueError(f"{place} mixes summed log-likelihoods and mean losses: evaluate all samples with one backend")
    if len(kinds) > 1:
        raise ValueError(f"{place} mixes {' and '.join(sorted(kinds))}: put each kind into a separate folder")
    return next(iter(kinds)) if kinds else "log-likelihoods"


def _fits_both_quantities(record: SampleRecord) -> bool:
    return record.log_likelihoods is not None and not any(
        value < 0 for options in record.log_likelihoods if options is not None for value in options
    )


@dataclass(frozen=True, eq=False)
class _SampleTable:
    ids: tuple[str, ...]
    place: Mapping[str, int]
    answers: NDArray[np.int64]
    option_counts: NDArray[np.int64]
    sources: tuple[str | None, ...]
    categories: tuple[str | None, ...]

    @property
    def width(self) -> int:
        return int(self.option_counts.max())

    @classmethod
    def of_records(cls, place: Path, records: Iterable[SampleRecord]) -> _SampleTable:
        facts: dict[str, SampleRecord] = {}
        counts: dict[str, set[int]] = defaultdict(set)
        for record in records:
            first = facts.setdefault(record.sample, record)
            for name in ("answer", "source", "category"):
                if getattr(first, name) != getattr(record, name):
                    raise ValueError(
                        f"{place}: sample {quoted(record.sample)} has another {name} in another task's log"
                    )
            if record.option_count is not None:
                counts[record.sample].add(record.option_count)
        wrong = next((sample for sample, found in counts.items() if len(found) > 1), None)
        if wrong is not None:
            raise ValueError(
                f"{place}: sample {quoted(wrong)} has {sorted(counts[wrong])} options in different tasks' logs"
            )
        ids = tuple(sorted(facts))
        return cls(
            ids=ids,
            place={sample: number for number, sample in enumerate(ids)},
            answers=np.array([facts[sample].answer for sample in ids], dtype=np.int64),
            # A record of an older version without a valid condition has no count: use the fewest that its answer allows.
            option_counts=np.array(
                [max(counts[sample], default=max(2, facts[sample].answer + 1)) for sample in ids], dtype=np.int64
            ),
            sources=tuple(facts[sample].source for sample in ids),
            categories=tuple(facts[sample].category for sample in ids),
        )


def _clean_responses(
    place: Path, samples: _SampleTable, records: Sequence[SampleRecord]
) -> tuple[NDArray[np.float64], NDArray[np.int64], str | None]:
    """Return each sample's first valid clean response, and a note if other tasks' responses differ from it."""
    clean = np.full((len(samples.ids), samples.width), np.nan)
    predictions = np.full(len(samples.ids), -1, dtype=np.int64)
    distributions: dict[str, list[tuple[float, ...]]] = defaultdict(list)
    letters: dict[str, list[int]] = defaultdict(list)
    for record in records:
        if record.predictions[0] is not None:
            letters[record.sample].append(record.predictions[0])
        if record.log_likelihoods is not None and record.log_likelihoods[0] is not None:
            distributions[record.sample].append(record.log_likelihoods[0])
    for sample, predicted in letters.items():
        predictions[samples.place[sample]] = predicted[0]
    for sample, given in distributions.items():
        clean[samples.place[sample]] = _padded(given[0], samples.width)
    if not distributions:
        differing = sum(len(set(predicted)) > 1 for predicted in letters.values())
        return clean, predictions, _differing_letters(differing) if differing else None
    spread = max(_spread(place, sample, given) for sample, given in distributions.items())
    return clean, predictions, _differing_probabilities(spread) if spread > SAME_PROBABILITY else None


def _spread(place: Path, sample: str, given: Sequence[tuple[float, ...]]) -> float:
    """Return the largest difference between the clean probabilities of the first task and those of the others."""
    distinct = sorted(set(given), key=given.index)
    if len(distinct) == 1:
        return 0.0
    probabilities = option_distribution(distinct)
    spread = float(np.abs(probabilities - probabilities[0]).max())
    if spread > TOLERATED_PROBABILITY:
        raise ValueError(
            f"{place}: the clean answers of sample {quoted(sample)} differ between tasks by {spread:.2g} in "
            "probability, more than batching explains: evaluate all tasks in one run"
        )
    return spread


def _differing_probabilities(spread: float) -> str:
    return (
        f"The clean answers of a sample differ between tasks by up to {spread:.2g} in probability, "
        "which batching can cause; those of the first task are used."
    )


def _differing_letters(samples: int) -> str:
    return f"The clean answers of {samples} samples differ between tasks; those of the first task are used."


def _padded(options: tuple[float, ...], width: int) -> tuple[float, ...]:
    return options + (-np.inf,) * (width - len(options))
