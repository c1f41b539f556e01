"""Read runs from the folders and files of any stack, or make one from records or arrays.

lmms-eval writes into `OUTPUT_PATH/MODEL/`: one `DATE_results.json` for each evaluation and, with `--log_samples`, one
`DATE_samples_TASK.jsonl` for each task. All data come from the samples logs; the results file only names what was run.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from benchc_metrics.benchmark import RAS_VERSION, SEVERITIES
from benchc_metrics.messages import quoted
from benchc_metrics.records import SampleRecord
from benchc_metrics.responses import answer_indices
from benchc_metrics.responses import option_counts as as_option_counts
from benchc_metrics.runs.arrays import RunArrays, arrays_of_records
from benchc_metrics.runs.files import (
    RunFiles,
    files_of_folder,
    files_of_inspect_logs,
    files_of_logs,
    is_results_file,
)
from benchc_metrics.runs.inspect_logs import is_inspect_log, model_of_inspect_log
from benchc_metrics.runs.layouts import is_samples_log
from benchc_metrics.runs.metadata import RunMetadata, is_bundled_model, mapping_of, metadata_of_results
from benchc_metrics.runs.run import GivenPredictions, Run, with_control_apart

__all__ = ["read_run", "read_runs", "run_of_log_likelihoods", "run_of_records"]

BUNDLED_MODEL = "benchc-demo"
"""The name of the bundled demonstration model in tables."""

_WITH_DISTRIBUTIONS = ("log-likelihoods", "mean losses")


def read_runs(paths: Sequence[str | PathLike[str]], mapping: Callable[..., Iterable[Run]] = map) -> list[Run]:
    """Read several runs, and give each a different name.

    Parameters
    ----------
    paths : sequence of str or path-like
        Folders of runs. A results file means its folder with all logs beside it, so that a shell's `runs/*` also finds
        a run that lmms-eval wrote without a folder for its model. Samples logs without their results file are read
        alone. Other files are left out, and a note of the first run names them.
    mapping : callable
        Applies a function to each element, as `map` does. Use that of a pool of processes to read many runs at once.

    Returns
    -------
    list of Run
        In the order of the paths. If several runs have one name, the second and later ones get their folder's name
        appended.

    Raises
    ------
    ValueError
        As in `read_run`, or if no path is a run.
    """
    places, strangers = _places_of(paths)
    runs: list[Run] = []
    for place, run in zip(places, mapping(_read_place, places), strict=True):
        taken = {earlier.name for earlier in runs}
        if run.name in taken:
            numbers = range(2, len(runs) + 3)
            folder = place[0] if place[0].is_dir() else place[0].parent
            names = (f"{run.name} ({folder.name})", *(f"{run.name} ({number})" for number in numbers))
            run = replace(run, name=next(name for name in names if name not in taken))
        runs.append(run)
    if strangers and runs:
        named = ", ".join(quoted(str(path)) for path in strangers)
        note = f"Files that are neither results nor samples logs were left out ({len(strangers)}): {named}."
        runs[0] = replace(runs[0], notes=(*runs[0].notes, note))
    return runs


def read_run(path: str | PathLike[str]) -> Run:
    """Read one run from the folder that lmms-eval wrote for a model.

    Parameters
    ----------
    path : str or path-like
        A folder with `*_results.json` and the samples logs of the same date, which may be compressed (`.gz`). If there
        are several results files, the newest is read, and a note says so. A results file means its folder; a samples
        log is read alone.

    Returns
    -------
    Run
        A part of a run is marked in `metadata.complete` and `metadata.gaps`, and by a caution.

    Raises
    ------
    FileNotFoundError
        If the folder, a results file, or every samples log is missing.
    ValueError
        If a file cannot be read or the logs do not belong together; one sentence that names the file or folder.
    """
    places, _ = _places_of([path])
    if len(places) > 1:
        raise ValueError(f"{path} has the logs of {len(places)} models: give the files of one")
    return _read_place(places[0])


def _places_of(paths: Sequence[str | PathLike[str]]) -> tuple[list[tuple[Path, ...]], list[Path]]:
    """Sort paths into runs (a folder, or some of its logs) and other files."""
    given = [log for path in map(Path, paths) for log in _inspect_logs_of(path) or (path,)]
    files = [path for path in given if path.is_file()]
    with_results = {path.parent for path in files if is_results_file(path)}
    places: dict[object, list[Path]] = {}
    strangers: list[Path] = []
    for path in given:
        whole = path.parent in with_results and (is_results_file(path) or is_samples_log(path))
        if is_inspect_log(path):
            places.setdefault((path.parent, model_of_inspect_log(path)), []).append(path)
        elif not path.is_file() or whole:
            folder = path.parent if whole else path
            places[folder] = [folder]
        elif is_samples_log(path):
            places.setdefault(path.parent, []).append(path)
        else:
            strangers.append(path)
    if strangers and not places:
        raise ValueError(
            f"{quoted(str(strangers[0]))} is neither a results file nor a samples log: "
            "give the folder that the stack wrote for a model"
        )
    return [tuple(place) for place in places.values()], strangers


def _inspect_logs_of(path: Path) -> list[Path]:
    """List the logs of inspect_ai in a folder, which may hold several models."""
    if not path.is_dir() or any(map(is_results_file, path.iterdir())):
        return []
    return sorted(file for file in path.iterdir() if is_inspect_log(file))


def _read_place(place: tuple[Path, ...]) -> Run:
    if is_inspect_log(place[0]):
        return _assemble(files_of_inspect_logs(place))
    return _assemble(files_of_logs(place) if place[0].is_file() else files_of_folder(place[0]))


def _assemble(files: RunFiles) -> Run:
    arrays = arrays_of_records(files.place, files.records)
    metadata = replace(
        metadata_of_results(files.results, arrays.shared, length_normalised=arrays.obtained == "mean losses"),
        complete=not files.gaps,
        gaps=files.gaps,
        answered_by=arrays.models,
        design=arrays.design,
    )
    restored = f" with restoration {metadata.restoration}" if metadata.restoration else ""
    notes = (*files.notes, *_notes_on_ras(files.results)) if arrays.obtained in _WITH_DISTRIBUTIONS else files.notes
    return _run_of_arrays(f"{metadata.model or _unnamed(files)}{restored}", metadata, arrays, notes)


def _notes_on_ras(results: Mapping[str, Any]) -> Iterator[str]:
    """Note the version of RAS in a results file of an older or newer benchc."""
    of_tasks = [mapping_of(mapping_of(task).get("metadata")) for task in mapping_of(results.get("configs")).values()]
    versions = {str(task.get("ras_version", 1)) for task in of_tasks if {"dataset", "engine"} <= task.keys()}
    for version in sorted(versions - {str(RAS_VERSION)}):
        yield (
            f"The results file has RAS of version {version[:20]}, which cannot be compared with version {RAS_VERSION}; "
            "here RAS is computed from the records, which have the data for every reading."
        )


def _unnamed(files: RunFiles) -> str:
    """Name a run whose model has no name; the model `benchc` without arguments is the bundled one."""
    return BUNDLED_MODEL if is_bundled_model(files.results) else files.place.resolve().name


def run_of_records(name: str, logs: Mapping[str, Sequence[SampleRecord]]) -> Run:
    """Make a run from records alone, before a stack has written anything.

    Parameters
    ----------
    name : str
        The name used in errors.
    logs : mapping of str to sequence of SampleRecord
        The records of each task.

    Returns
    -------
    Run
        Model and backend are unknown.

    Raises
    ------
    ValueError
        If the records do not belong together.
    """
    arrays = arrays_of_records(Path(name), logs)
    metadata = metadata_of_results({"config": {}}, arrays.shared, length_normalised=arrays.obtained == "mean losses")
    return _run_of_arrays(name, replace(metadata, design=arrays.design), arrays)


def run_of_log_likelihoods(
    log_likelihoods: ArrayLike, answers: ArrayLike, option_counts: ArrayLike | None = None, name: str = "run"
) -> Run:
    """Make a run from an array of log-likelihoods.

    Parameters
    ----------
    log_likelihoods : array_like of float, shape (samples, conditions, options)
        In nats; the first condition is the clean one. nan marks an invalid condition, -inf pads samples with fewer
        options.
    answers : array_like of int, shape (samples,)
        Index of the right option.
    option_counts : array_like of int, shape (samples,), optional
        Each sample's own number of options; by default the width of the options axis.
    name : str

    Returns
    -------
    Run
        The corrupted conditions have invented names; model and backend are unknown.

    Raises
    ------
    ValueError
        If the array does not have three axes or has no condition, if an answer is not one of its sample's options, or
        if an option count is impossible.
    """
    given = np.asarray(log_likelihoods, dtype=np.float64)
    if given.ndim != 3 or given.shape[1] < 1:
        raise ValueError(f"log-likelihoods of shape {given.shape} are not (samples, conditions, options), clean first")
    samples, conditions, width = given.shape
    counts = np.broadcast_to(as_option_counts(given.shape, option_counts), (samples, 1))[:, 0]
    right = np.broadcast_to(answer_indices(given.shape, answers, option_counts), (samples, 1))[:, 0]
    corruptions = -(-(conditions - 1) // len(SEVERITIES))
    corrupted = np.full((samples, corruptions * len(SEVERITIES), width), np.nan)
    corrupted[:, : conditions - 1] = given[:, 1:]
    asked = np.zeros(corrupted.shape[:2], dtype=bool)
    asked[:, : conditions - 1] = True
    shape = (samples, corruptions, len(SEVERITIES))
    return Run(
        name=name,
        metadata=metadata_of_results({"config": {}}, defaultdict(str), length_normalised=False),
        sample_ids=tuple(f"sample {place}" for place in range(samples)),
        answers=right,
        option_counts=counts,
        sources=(None,) * samples,
        categories=(None,) * samples,
        corruptions=tuple(f"conditions {place}" for place in range(corruptions)),
        clean=given[:, 0],
        corrupted=corrupted.reshape(*shape, width),
        asked=asked.reshape(shape),
    )


def _run_of_arrays(name: str, metadata: RunMetadata, arrays: RunArrays, notes: Sequence[str] = ()) -> Run:
    given = GivenPredictions(arrays.obtained, arrays.clean_predictions, arrays.corrupted_predictions)
    run = Run(
        name=name,
        metadata=metadata,
        sample_ids=arrays.sample_ids,
        answers=arrays.answers,
        option_counts=arrays.option_counts,
        sources=arrays.sources,
        categories=arrays.categories,
        corruptions=arrays.corruptions,
        clean=arrays.clean,
        corrupted=arrays.corrupted,
        invalid=arrays.invalid,
        missing=arrays.missing,
        notes=(*notes, *arrays.notes),
        asked=arrays.asked,
        given=None if arrays.obtained in _WITH_DISTRIBUTIONS else given,
        votes=arrays.votes,
    )
    return with_control_apart(run)
