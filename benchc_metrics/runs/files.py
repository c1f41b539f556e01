"""Find the files of a run: the results file and the samples logs that belong together, and the missing ones.

lmms-eval and lm-evaluation-harness write into `OUTPUT_PATH/MODEL/`: one results file for each evaluation and, with
`--log_samples`, one samples log for each task. inspect_ai writes both into one log. `benchc_metrics.runs.layouts` has
their names. Our logs are recognised by their content, because a task may have any name.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchc_metrics.runs.inspect_logs import InspectLog, read_inspect_log
from benchc_metrics.json_lines import JsonLinesError, read_json_lines
from benchc_metrics.records import RECORD_KEY, SampleRecord, read_samples_log
from benchc_metrics.runs.layouts import date_of_results, is_samples_log, order_of_date, split_log_name

__all__ = ["RunFiles", "files_of_folder", "files_of_inspect_logs", "files_of_logs", "is_results_file"]


@dataclass(frozen=True)
class RunFiles:
    """The files of a run, and what is missing.

    Attributes
    ----------
    place : Path
        The folder.
    results : mapping
        The results file's content; empty without one.
    records : mapping of str to sequence of SampleRecord
        The records of each samples log by its file's name, in the order of the samples' ids.
    notes : tuple of str
        Choices made and logs left out, one sentence each.
    gaps : tuple of str
        Missing parts, one sentence each; empty for a complete run.
    """

    place: Path
    results: Mapping[str, Any]
    records: Mapping[str, Sequence[SampleRecord]]
    notes: tuple[str, ...]
    gaps: tuple[str, ...]


def is_results_file(path: Path) -> bool:
    """Check by its name if a file is a results file of a stack."""
    return date_of_results(path) is not None


def files_of_folder(place: Path) -> RunFiles:
    """Read the newest evaluation in a folder.

    Raises
    ------
    FileNotFoundError
        If the folder, a results file, or every samples log is missing.
    ValueError
        If a file cannot be read, or a task has two logs; one sentence that names the file or folder.
    """
    results_file, notes = _newest_results(place)
    results = _read_results(results_file)
    date = str(date_of_results(results_file))
    known = _tasks_of_ours(results)
    logs = [log for log in _logs_of(place, date) if _task_of(log) in known or _holds_records(log)]
    if not logs:
        raise FileNotFoundError(f"{place} has no samples log of {date}: evaluate with --log_samples")
    _check_one_log_a_task(place, logs)
    records, left_out = _records_of_one_kind(logs)
    counts = {_task_of(log): len(records[log.name]) for log in logs if log.name in records}
    kept = {task: expected for task, expected in known.items() if task not in left_out}
    if left_out:
        notes.append(f"Logs of benchc-gen tasks were left out ({len(left_out)}): generated answers have no RAS.")
    return RunFiles(place, results, records, tuple(notes), tuple(_gaps(kept, counts)))


def files_of_logs(logs: Sequence[Path]) -> RunFiles:
    """Read only the given samples logs of one folder, with their results file if there is one.

    Raises
    ------
    FileNotFoundError
        If a log is missing.
    ValueError
        As in `files_of_folder`.
    """
    place = logs[0].parent
    dates = {split_log_name(log).date for log in logs}
    results_files = [file for file in _results_files(place) if date_of_results(file) in dates]
    results = _read_results(results_files[-1]) if results_files else {}
    _check_one_log_a_task(place, logs)
    names = ", ".join(log.name for log in logs[:3]) + (f" and {len(logs) - 3} more" if len(logs) > 3 else "")
    records = {log.name: _sorted_records(log) for log in logs}
    expected = _tasks_of_ours(results)
    counts = {_task_of(log): len(records[log.name]) for log in logs}
    gaps = list(_gaps({task: expected[task] for task in counts if task in expected}, counts))
    if not results:
        gaps.insert(0, "The results file is missing, so it is unknown what was asked.")
    elif absent := expected.keys() - counts.keys():
        gaps.insert(0, f"{len(absent)} other tasks of the run were not given.")
    return RunFiles(place, results, records, (f"Only {names} was read, as given.",), tuple(gaps))


def files_of_inspect_logs(paths: Sequence[Path]) -> RunFiles:
    """Read logs of inspect_ai that belong to one model.

    Raises
    ------
    FileNotFoundError
        If a log is missing.
    ValueError
        If a log cannot be read, or the logs belong to several models.
    """
    place = paths[0].parent
    logs = sorted(map(read_inspect_log, paths), key=lambda log: (log.date, log.path.name))
    models = sorted({log.model for log in logs})
    if len(models) > 1:
        raise ValueError(f"{place} has logs of {len(models)} models, {', '.join(models)}: give the files of one")
    newest: dict[frozenset[str], InspectLog] = {}
    for log in logs:
        newest[frozenset(condition for record in log.records[:1] for condition in record.conditions)] = log
    kept = list(newest.values())
    notes = [note for log in kept for note in log.notes]
    if len(kept) < len(logs):
        notes.append(f"{place} has {len(logs)} evaluations; the newest of those that ask the same was read.")
    empty = [log.path.name for log in kept if not log.records]
    if len(empty) == len(kept):
        raise FileNotFoundError(f"{place} has no record of a sample: did the evaluation fail?")
    facts = dict(kept[-1].facts)
    facts["n-samples"] = {f"benchc in {log.path.name}": next(iter(log.facts["n-samples"].values())) for log in kept}
    records = {log.path.name: log.records for log in kept if log.records}
    return RunFiles(place, facts, records, tuple(notes), tuple(gap for log in kept for gap in log.gaps))


def _results_files(place: Path) -> list[Path]:
    """List the results files in a folder, the newest last."""
    files = [path for path in place.iterdir() if is_results_file(path)]
    return sorted(files, key=lambda path: (order_of_date(str(date_of_results(path))), path.name))


def _newest_results(place: Path) -> tuple[Path, list[str]]:
    if not place.is_dir():
        raise FileNotFoundError(f"there is no folder {place}: give the folder that the stack wrote for a model")
    files = _results_files(place)
    if not files:
        raise FileNotFoundError(
            f"{place} has no *_results.json and no results of another stack: give the folder that the stack wrote "
            "for a model, OUTPUT_PATH/MODEL"
        )
    if len(files) == 1:
        return files[0], []
    return files[-1], [f"{place} has {len(files)} evaluations; the newest one, {files[-1].name}, was read."]


def _read_results(file: Path) -> Mapping[str, Any]:
    try:
        results = json.loads(file.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as fault:
        raise ValueError(f"{file} is not JSON ({fault}): was the evaluation interrupted?") from None
    if not isinstance(results, dict) or not isinstance(results.get("config"), dict):
        raise ValueError(f"{file} is not a results file of a stack: it has no `config`")
    return results


def _logs_of(place: Path, date: str) -> list[Path]:
    """List the samples logs of one evaluation."""
    return sorted(path for path in place.iterdir() if is_samples_log(path) and split_log_name(path).date == date)


def _task_of(log: Path) -> str:
    return split_log_name(log).task


def _tasks_of_ours(results: Mapping[str, Any]) -> dict[str, int | None]:
    """Return the Bench-C tasks of a results file, each with its number of samples if known."""
    config = results.get("config", {})
    offset = config.get("offset") if isinstance(config.get("offset"), int) else 0
    found: dict[str, int | None] = {}
    for task, settings in _mapping(results.get("configs")).items():
        metadata = _mapping(_mapping(settings).get("metadata"))
        if {"dataset", "engine"} <= metadata.keys():
            sizes = _mapping(_mapping(results.get("n-samples")).get(task))
            effective, original = sizes.get("effective"), sizes.get("original")
            if isinstance(effective, int) and isinstance(original, int):
                effective = max(0, min(effective, original - offset))
            found[task] = effective if isinstance(effective, int) else None
    return found


def _holds_records(log: Path) -> bool:
    """Check if the first row of a log has one of our records; unreadable logs are refused later, by the reader."""
    try:
        first = next(read_json_lines(log), None)
    except (OSError, JsonLinesError):
        first = None
    if first is None or first.fault is not None:
        return _task_of(log).startswith("benchc")
    return isinstance(first.value, dict) and RECORD_KEY in first.value


def _check_one_log_a_task(place: Path, logs: Sequence[Path]) -> None:
    seen: dict[str, Path] = {}
    for log in logs:
        other = seen.setdefault(_task_of(log), log)
        if other is not log:
            raise ValueError(f"{place} has two logs of one task, {other.name} and {log.name}: keep one of them")


def _sorted_records(log: Path) -> list[SampleRecord]:
    """Read a log in the order of the ids, because several processes write their rows one after the other."""
    return sorted(read_samples_log(log), key=lambda record: record.sample)


def _records_of_one_kind(logs: Sequence[Path]) -> tuple[dict[str, list[SampleRecord]], set[str]]:
    """Read all logs. If some have distributions, leave out those without, and also return the tasks left out."""
    records = {log.name: _sorted_records(log) for log in logs}
    kinds = {log: {record.has_distribution for record in records[log.name]} for log in logs}
    if not any(True in kind for kind in kinds.values()):
        return records, set()
    left_out = {log for log, kind in kinds.items() if kind == {False}}
    kept = {log.name: records[log.name] for log in logs if log not in left_out}
    return kept, {_task_of(log) for log in left_out}


def _gaps(expected: Mapping[str, int | None], counts: Mapping[str, int]) -> list[str]:
    gaps = []
    for task, number in expected.items():
        found = counts.get(task)
        if found is None:
            gaps.append(f"The samples log of {task} is missing.")
        elif found == 0:
            gaps.append(f"The samples log of {task} is empty.")
        elif number is not None and found < number:
            gaps.append(f"The samples log of {task} has {found} of its {number} samples.")
    return gaps


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
