"""A run: one model's answers over one dataset, read from the folder that lmms-eval wrote, as dense arrays.

lmms-eval writes into `OUTPUT_PATH/MODEL/` one `DATE_results.json` an evaluation and, with `--log_samples`, one
`DATE_samples_TASK.jsonl` a task. Everything is taken from the samples logs; the results file only says what was run.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from os import PathLike
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np
from numpy.typing import NDArray

from benchc_metrics.benchmark import SEVERITIES, Condition, in_paper_order
from benchc_metrics.records import GENERATED_ANSWERS, SampleRecord, read_samples_log
from benchc_metrics.responses import option_distribution

__all__ = ["Run", "RunMetadata", "read_run", "read_runs"]

RESULTS_SUFFIX = "_results.json"
SAMPLES_INFIX = "_samples_benchc"
GENERATED_INFIX = "_samples_benchc-gen"

# Clean answers of one sample come once a task. Batching moves a probability in the third digit; another model, more.
SAME_PROBABILITY = 1e-6
TOLERATED_PROBABILITY = 0.1


@dataclass(frozen=True)
class RunMetadata:
    """What was run.

    Attributes
    ----------
    model : str
        The model's name, as its authors publish it where lmms-eval knew that (`pretrained=...`).
    backend : str
        The lmms-eval model that loaded it.
    model_args : str
        lmms-eval's `--model_args`.
    date : str or None
        Start of the evaluation, ISO 8601; in UTC where lmms-eval's time zone is known.
    benchc, lmms_eval : str
        Versions.
    engine : str
        Version of the corruption engine.
    dataset : str
        Fingerprint of the dataset.
    dataset_size : int or None
        How many samples the dataset has, where the results file says so.
    demonstration : bool
        Whether it is the bundled demonstration set.
    prompt : str
        The fixed part of the prompt.
    length_normalised : bool
        Whether the backend answered mean losses, which make flatter distributions than summed log-likelihoods.
    """

    model: str
    backend: str
    model_args: str
    date: str | None
    benchc: str
    lmms_eval: str
    engine: str
    dataset: str
    dataset_size: int | None
    demonstration: bool
    prompt: str
    length_normalised: bool


@dataclass(frozen=True, eq=False)
class Run:
    """One model over one dataset; samples stand in the order of their ids, corruptions in that of the papers.

    Attributes
    ----------
    name : str
        How tables and charts call it: the model's name, or the folder's where lmms-eval knew none.
    metadata : RunMetadata
    sample_ids : tuple of str
    answers : ndarray of int64, shape (samples,)
        Index of each sample's right option.
    option_counts : ndarray of int64, shape (samples,)
    sources, categories : tuple of (str or None)
        One a sample.
    corruptions : tuple of str
    clean : ndarray of float64, shape (samples, options)
        Log-likelihoods in nats, -inf beyond a sample's own options; nan throughout where the answer is invalid or
        missing.
    corrupted : ndarray of float64, shape (samples, corruptions, severities, options)
        The same under corruption; severities 1..5.
    invalid : mapping of (str, str) to str
        From (sample, condition) to why the answer cannot be used.
    missing : tuple of (str, str)
        The (sample, condition) that have no answer at all; conditions of corruptions that were not run are not listed.
    notes : tuple of str
        What a reader of the figures should be told, a sentence each.
    """

    name: str
    metadata: RunMetadata
    sample_ids: tuple[str, ...]
    answers: NDArray[np.int64]
    option_counts: NDArray[np.int64]
    sources: tuple[str | None, ...]
    categories: tuple[str | None, ...]
    corruptions: tuple[str, ...]
    clean: NDArray[np.float64]
    corrupted: NDArray[np.float64]
    invalid: Mapping[tuple[str, str], str] = field(default_factory=dict)
    missing: tuple[tuple[str, str], ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def severities(self) -> tuple[int, ...]:
        """The severities of the third axis of `corrupted`."""
        return SEVERITIES

    def clean_distributions(self) -> NDArray[np.float64]:
        """Option distributions on the clean images, shape (samples, options); nan where there is none."""
        return option_distribution(self.clean, self.option_counts)

    def corrupted_distributions(self) -> NDArray[np.float64]:
        """Option distributions under corruption, shape (samples, corruptions, severities, options)."""
        return option_distribution(self.corrupted, self.option_counts)


def read_runs(folders: Sequence[str | PathLike[str]], mapping: Callable[..., Iterable[Run]] = map) -> list[Run]:
    """Read several runs, and give each a name of its own.

    Parameters
    ----------
    folders : sequence of str or path-like
        A file stands for its folder, so that a shell's `runs/*` also finds a run that lmms-eval wrote without a folder
        for its model.
    mapping : callable
        Applies a function to each element, as `map` does; that of a pool of processes reads many runs at once.

    Returns
    -------
    list of Run
        In the order of the folders; of runs of one name, those from the second on get the folder's name behind it.

    Raises
    ------
    ValueError
        As in `read_run`.
    """
    places = _folders_of(folders)
    runs: list[Run] = []
    for folder, run in zip(places, mapping(read_run, places), strict=True):
        taken = {earlier.name for earlier in runs}
        if run.name in taken:
            numbers = range(2, len(runs) + 3)
            names = (f"{run.name} ({folder.name})", *(f"{run.name} ({number})" for number in numbers))
            run = replace(run, name=next(name for name in names if name not in taken))
        runs.append(run)
    return runs


def _folders_of(paths: Sequence[str | PathLike[str]]) -> list[Path]:
    folders: list[Path] = []
    for path in map(Path, paths):
        if not path.is_file():
            folders.append(path)
        elif path.parent not in folders:
            folders.append(path.parent)
    return folders


def read_run(folder: str | PathLike[str]) -> Run:
    """Read one run from the folder that lmms-eval wrote for a model.

    Parameters
    ----------
    folder : str or path-like
        Holds `*_results.json` and the samples logs of the same date, which may be compressed (`.gz`). With several
        results files the newest is read, and a note says so.

    Returns
    -------
    Run

    Raises
    ------
    FileNotFoundError
        If the folder, a results file, or a samples log is missing.
    ValueError
        If a file cannot be read, the logs do not belong together, or all are of `benchc-gen` tasks; one sentence that
        names the file or folder.
    """
    place = Path(folder)
    results_file, notes = _newest_results(place)
    results = _read_results(results_file)
    date = results_file.name.removesuffix(RESULTS_SUFFIX)
    logs = sorted(place.glob(f"{_literal(date)}{SAMPLES_INFIX}*.jsonl*"))
    if not logs:
        raise FileNotFoundError(f"{place} has no samples log of {date}: evaluate with --log_samples")
    generated = [log for log in logs if log.name.startswith(f"{date}{GENERATED_INFIX}")]
    if generated == logs:
        raise ValueError(f"{place} is a run of benchc-gen tasks, and {GENERATED_ANSWERS}")
    if generated:
        notes.append(f"Logs of benchc-gen tasks were left out ({len(generated)}): generated answers have no RAS.")
        logs = [log for log in logs if log not in generated]
    # In the order of the ids, since several processes leave one's rows behind another's.
    records = {log.name: sorted(read_samples_log(log), key=lambda record: record.sample) for log in logs}
    return _assemble(place, results, records, notes)


def _newest_results(place: Path) -> tuple[Path, list[str]]:
    if not place.is_dir():
        raise FileNotFoundError(f"there is no folder {place}: give the folder that lmms-eval wrote for a model")
    files = sorted(place.glob(f"*{RESULTS_SUFFIX}"))
    if not files:
        raise FileNotFoundError(
            f"{place} has no *{RESULTS_SUFFIX}: give the folder that lmms-eval wrote for a model, OUTPUT_PATH/MODEL"
        )
    if len(files) == 1:
        return files[0], []
    return files[-1], [f"{place} holds {len(files)} evaluations; the newest one, {files[-1].name}, was read."]


def _read_results(file: Path) -> Mapping[str, Any]:
    try:
        results = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as fault:
        raise ValueError(f"{file} is not JSON ({fault}): was the evaluation cut off?") from None
    if not isinstance(results, dict) or not isinstance(results.get("config"), dict):
        raise ValueError(f"{file} is no results file of lmms-eval: it has no `config`")
    return results


def _literal(text: str) -> str:
    """Write a text as a glob pattern that matches nothing but it."""
    return "".join(f"[{character}]" if character in "*?[" else character for character in text)


def _assemble(
    place: Path, results: Mapping[str, Any], records: Mapping[str, Sequence[SampleRecord]], notes: list[str]
) -> Run:
    everything = [record for of_log in records.values() for record in of_log]
    if not everything:
        raise ValueError(f"the samples logs of {place} are empty: was the evaluation cut off?")
    for name, of_log in records.items():
        _check_log(place / name, of_log)
    shared = {name: _shared(place, name, everything) for name in ("dataset", "engine", "benchc", "prompt")}
    samples = _SampleTable.of_records(place, everything)
    conditions = {text: Condition.parse(text) for of_log in _condition_lists(everything) for text in of_log[1:]}
    corruptions = in_paper_order({str(condition.corruption) for condition in conditions.values()})
    if not corruptions:
        raise ValueError(f"the samples logs of {place} hold clean answers only: evaluate a task with a corruption")
    cells = {
        text: (corruptions.index(str(condition.corruption)), condition.severity - 1)
        for text, condition in conditions.items()
    }
    clean, clean_spread = _clean_answers(place, samples, everything)
    corrupted = np.full((len(samples.ids), len(corruptions), len(SEVERITIES), samples.width), np.nan)
    answered = np.zeros(corrupted.shape[:-1], dtype=bool)
    for record in everything:
        for text, options in zip(record.conditions[1:], record.log_likelihoods[1:], strict=True):
            cell = samples.place[record.sample], *cells[text]
            if answered[cell]:
                raise ValueError(
                    f"{place} has two answers of sample {record.sample!r} under {text}: keep one task's log"
                )
            answered[cell] = True
            if options is not None:
                corrupted[cell] = _padded(options, samples.width)
    length_normalised = _length_normalised(place, everything)
    if clean_spread > SAME_PROBABILITY:
        notes.append(
            f"The clean answers of a sample differ between tasks by up to {clean_spread:.2g} in probability, "
            "as batching makes them; the first task's are used."
        )
    if length_normalised:
        notes.append(
            "The backend answered mean losses, not summed log-likelihoods: its distributions are flatter, and RAS and "
            "calibration are not comparable with those of other backends."
        )
    metadata = _metadata(results, shared, length_normalised)
    return Run(
        name=metadata.model or place.resolve().name,
        metadata=metadata,
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
            for sample, corruption, severity in np.argwhere(~answered).tolist()
        ),
        notes=tuple(notes),
    )


def _check_log(log: Path, records: Sequence[SampleRecord]) -> None:
    seen: set[str] = set()
    for record in records:
        if record.sample in seen:
            raise ValueError(f"{log} has sample {record.sample!r} twice: evaluate into an empty folder")
        seen.add(record.sample)


def _condition_lists(records: Iterable[SampleRecord]) -> set[tuple[str, ...]]:
    """Return the lists of conditions that occur; all samples of a task share one."""
    return {record.conditions for record in records}


def _shared(place: Path, name: str, records: Iterable[SampleRecord]) -> str:
    """Return what all records must agree on."""
    values = sorted({str(getattr(record, name)) for record in records})
    if len(values) > 1:
        raise ValueError(
            f"{place} mixes {len(values)} values of {name} ({', '.join(map(repr, values))}): evaluate again"
        )
    return values[0]


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
                    raise ValueError(f"{place}: sample {record.sample!r} has another {name} in another task's log")
            if record.option_count is not None:
                counts[record.sample].add(record.option_count)
        wrong = next((sample for sample, found in counts.items() if len(found) > 1), None)
        if wrong is not None:
            raise ValueError(f"{place}: sample {wrong!r} has {sorted(counts[wrong])} options in different tasks' logs")
        ids = tuple(sorted(facts))
        return cls(
            ids=ids,
            place={sample: number for number, sample in enumerate(ids)},
            answers=np.array([facts[sample].answer for sample in ids], dtype=np.int64),
            # A sample without any valid answer does not tell how many options it has: as few as its answer allows.
            option_counts=np.array(
                [max(counts[sample], default=max(2, facts[sample].answer + 1)) for sample in ids], dtype=np.int64
            ),
            sources=tuple(facts[sample].source for sample in ids),
            categories=tuple(facts[sample].category for sample in ids),
        )


def _clean_answers(
    place: Path, samples: _SampleTable, records: Iterable[SampleRecord]
) -> tuple[NDArray[np.float64], float]:
    """Each sample's first valid clean answer, and by how much the others' probabilities differ from it at most."""
    of_samples: dict[str, list[tuple[float, ...]]] = defaultdict(list)
    for record in records:
        if record.log_likelihoods[0] is not None:
            of_samples[record.sample].append(record.log_likelihoods[0])
    clean = np.full((len(samples.ids), samples.width), np.nan)
    largest = 0.0
    for sample, answers in of_samples.items():
        clean[samples.place[sample]] = _padded(answers[0], samples.width)
        distinct = sorted(set(answers), key=answers.index)
        if len(distinct) > 1:
            probabilities = option_distribution(distinct)
            spread = float(np.abs(probabilities - probabilities[0]).max())
            if spread > TOLERATED_PROBABILITY:
                raise ValueError(
                    f"{place}: the clean answers of sample {sample!r} differ between tasks by {spread:.2g} in "
                    "probability, more than batching explains: evaluate all tasks in one go"
                )
            largest = max(largest, spread)
    return clean, largest


def _padded(options: tuple[float, ...], width: int) -> tuple[float, ...]:
    return options + (-np.inf,) * (width - len(options))


def _length_normalised(place: Path, records: Iterable[SampleRecord]) -> bool:
    """Whether the answers are mean losses; a sample of zeros only fits both and is not asked."""
    kinds = {
        record.length_normalised
        for record in records
        if any(value < 0 for options in record.log_likelihoods if options is not None for value in options)
    }
    if len(kinds) > 1:
        raise ValueError(f"{place} mixes summed log-likelihoods and mean losses: evaluate all samples with one backend")
    return kinds == {True}


def _metadata(results: Mapping[str, Any], shared: Mapping[str, str], length_normalised: bool) -> RunMetadata:
    config = results["config"]
    arguments = _model_arguments(config.get("model_args"))
    model = results.get("model_name") or arguments.get("pretrained") or ""
    tasks = [value for value in _mapping(results.get("configs")).values() if isinstance(value, Mapping)]
    ours = [_mapping(task.get("metadata")) for task in tasks if "corruption" in _mapping(task.get("metadata"))]
    return RunMetadata(
        model=str(model),
        backend=str(arguments.get("backend") or config.get("model") or "unknown"),
        model_args=",".join(f"{key}={value}" for key, value in arguments.items()),
        date=_iso_date(results),
        benchc=shared["benchc"],
        lmms_eval=str(results.get("lmms_eval_version") or "unknown").partition("@")[0],
        engine=shared["engine"],
        dataset=shared["dataset"],
        dataset_size=_dataset_size(results),
        demonstration=any(bool(task.get("demonstration")) for task in ours),
        prompt=shared["prompt"],
        length_normalised=length_normalised,
    )


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _model_arguments(written: Any) -> dict[str, str]:
    """lmms-eval's `model_args`: `KEY=VALUE,KEY=VALUE`, or a mapping."""
    if isinstance(written, Mapping):
        return {str(key): str(value) for key, value in written.items()}
    pairs = (part.partition("=") for part in str(written or "").split(","))
    return {key.strip(): value for key, equals, value in pairs if equals}


def _dataset_size(results: Mapping[str, Any]) -> int | None:
    sizes = {
        _mapping(size).get("original")
        for task, size in _mapping(results.get("n-samples")).items()
        if task.startswith("benchc_")
    }
    known = [size for size in sizes if isinstance(size, int)]
    return max(known, default=None)


def _iso_date(results: Mapping[str, Any]) -> str | None:
    """lmms-eval's `YYYYMMDD_HHMMSS`, in the zone of its `--timezone`, as ISO 8601."""
    try:
        date = datetime.strptime(str(results.get("date")), "%Y%m%d_%H%M%S")
    except ValueError:
        return None
    zone = _mapping(results["config"].get("resolved_cli_args")).get("timezone")
    try:
        return date.replace(tzinfo=ZoneInfo(str(zone))).astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (ZoneInfoNotFoundError, ValueError):
        return date.isoformat()
