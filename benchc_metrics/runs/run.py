"""A run: one model's answers over one dataset, read from the folder that lmms-eval wrote, as dense arrays.

lmms-eval writes into `OUTPUT_PATH/MODEL/` one `DATE_results.json` an evaluation and, with `--log_samples`, one
`DATE_samples_TASK.jsonl` a task. Everything is taken from the samples logs; the results file only says what was run.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from functools import cached_property
from os import PathLike
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np
from numpy.typing import ArrayLike, NDArray

from benchc_metrics.benchmark import CONTROL, RAS_VERSION, SEVERITIES, Condition
from benchc_metrics.runs.cautions import Caution, cautions_of
from benchc_metrics.designs import FULL
from benchc_metrics.runs.inspect_logs import is_inspect_log, model_of_inspect_log
from benchc_metrics.messages import quoted
from benchc_metrics.records import Obtained, SampleRecord
from benchc_metrics.responses import answer_indices, option_distribution
from benchc_metrics.responses import option_counts as as_option_counts
from benchc_metrics.runs.arrays import RunArrays, arrays_of_records
from benchc_metrics.runs.files import (
    RunFiles,
    files_of_folder,
    files_of_inspect_logs,
    files_of_logs,
    is_results_file,
)
from benchc_metrics.runs.layouts import is_samples_log
from benchc_metrics.responses.tempering import Temperature, fit_temperature
from benchc_metrics.runs.vote_counts import VoteCounts

__all__ = [
    "GivenPredictions",
    "Run",
    "RunMetadata",
    "part_of_run",
    "read_run",
    "read_runs",
    "run_of_log_likelihoods",
    "run_of_records",
    "with_control_apart",
]


BUNDLED_MODEL = "benchc-demo"
"""How tables call the bundled demonstration model, whose folder has no name of its own."""


@dataclass(frozen=True)
class RunMetadata:
    """Facts about a run.

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
        Versions, of benchc and of the stack.
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
    context : str or None
        Fingerprint of everything that was sent around the questions; None where the records do not say.
    complete : bool
        Whether every sample and condition that the run was asked for is there; False for a part of a run.
    gaps : tuple of str
        What is missing of a part of a run, a sentence each.
    answered_by : tuple of str
        The names that the model's server or checkpoint gave with its responses, where known.
    design : str
        Which conditions each sample was asked, see `benchc_metrics.designs`.
    stack : str
        The evaluation framework.
    sampling : str or None
        Number, temperature and seed of votes.
    thinking : str or None
        What was done about the thinking of a model that thinks before it answers.
    restoration : str or None
        What was done to every picture, clean ones too, before the model saw it.
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
    context: str | None = None
    complete: bool = True
    gaps: tuple[str, ...] = ()
    answered_by: tuple[str, ...] = ()
    design: str = FULL
    stack: str = "lmms-eval"
    restoration: str | None = None

    @property
    def evaluated_with(self) -> str:
        """The stack and its version."""
        return f"{self.stack} {self.lmms_eval}"

    sampling: str | None = None
    thinking: str | None = None


_WITH_DISTRIBUTIONS = ("log-likelihoods", "mean losses")
_ALL_ASKED: NDArray[np.bool_] = np.ones(0, dtype=bool)


@dataclass(frozen=True, eq=False)
class GivenPredictions:
    """Predictions that do not follow from a distribution.

    Attributes
    ----------
    obtained : str
        As in `SampleRecord`.
    clean : ndarray of int64, shape (samples,)
        Indices of options, -1 where invalid or missing.
    corrupted : ndarray of int64, shape (samples, corruptions, severities)
    """

    obtained: Obtained
    clean: NDArray[np.int64]
    corrupted: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Run:
    """One model over one dataset; samples stand in the order of their ids, corruptions in that of the papers.

    A run has distributions over the options (`clean`, `corrupted`), or only predictions (`given`), as from generated
    letters. `clean_predictions` and `corrupted_predictions` are there for both kinds.

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
        Log-likelihoods in nats, -inf beyond a sample's own options; nan throughout where the response is invalid or
        missing, and in a run without distributions.
    corrupted : ndarray of float64, shape (samples, corruptions, severities, options)
        The same under corruption; severities 1..5.
    invalid : mapping of (str, str) to str
        From (sample, condition) to why the answer cannot be used.
    missing : tuple of (str, str)
        The (sample, condition) that were asked and have no response at all.
    notes : tuple of str
        What a reader of the metrics should know, a sentence each.
    asked : ndarray of bool, shape (samples, corruptions, severities)
        Which conditions were asked; the others are absent by design, neither invalid nor missing. All by default.
    given : GivenPredictions or None
        The predictions of a run without distributions.
    votes : VoteCounts or None
        The sampled answers of a run whose predictions are from votes.
    control : Run or None
        The same samples, clean and under the control, whose `corruptions` are `("control",)`; None where the control
        was not run. So no metric of the corruptions mixes it in. A run of the control alone has it in `corruptions`.
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
    asked: NDArray[np.bool_] = field(default_factory=lambda: _ALL_ASKED)
    given: GivenPredictions | None = None
    votes: VoteCounts | None = None
    control: Run | None = None

    def __post_init__(self) -> None:
        """Ask all conditions by default, and check the shape of what is given."""
        shape = self.corrupted.shape[:-1]
        if self.asked is _ALL_ASKED:
            object.__setattr__(self, "asked", np.ones(shape, dtype=bool))
        if self.asked.shape != shape:
            raise ValueError(f"{self.name}: `asked` has the shape {self.asked.shape} where the run has {shape}")

    @property
    def obtained(self) -> Obtained:
        """How the predictions were obtained: log-likelihoods, mean losses, votes or generated letters."""
        if self.given is not None:
            return self.given.obtained
        return "mean losses" if self.metadata.length_normalised else "log-likelihoods"

    @property
    def has_distributions(self) -> bool:
        """Whether there are probabilities of the options, which RAS and calibration need."""
        return self.given is None

    @cached_property
    def clean_predictions(self) -> NDArray[np.int64]:
        """Index of the chosen option on the clean image, shape (samples,); -1 where invalid or missing."""
        return _predictions(self.clean_distributions()) if self.given is None else self.given.clean

    @cached_property
    def corrupted_predictions(self) -> NDArray[np.int64]:
        """The same under corruption, shape (samples, corruptions, severities)."""
        return _predictions(self.corrupted_distributions()) if self.given is None else self.given.corrupted

    @cached_property
    def temperature(self) -> Temperature:
        """The temperature of its clean answers, see `benchc_metrics.responses.tempering`; nan without distributions."""
        return fit_temperature(self.clean, self.answers)

    @property
    def note_on_temperature(self) -> str:
        """A sentence on the temperature's bound that was hit, if any; empty where a caution says it."""
        return "" if any(caution.name == "temperature" for caution in self.cautions) else self.temperature.note

    @cached_property
    def cautions(self) -> tuple[Caution, ...]:
        """What a reader must know before believing the run, the gravest first."""
        return cautions_of(self)

    @property
    def complete(self) -> bool:
        """Whether the run counts as complete; False if one of its cautions says otherwise."""
        return not any(caution.incomplete for caution in self.cautions)

    def clean_letter_mass(self) -> NDArray[np.float64]:
        """Total probability of the options on clean images, shape (samples,); nan where it is not known."""
        return _letter_mass(self.clean, known=self.obtained == "log-likelihoods")

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


def read_runs(paths: Sequence[str | PathLike[str]], mapping: Callable[..., Iterable[Run]] = map) -> list[Run]:
    """Read several runs, and give each a name of its own.

    Parameters
    ----------
    paths : sequence of str or path-like
        Folders of runs. A results file stands for its folder, together with all logs beside it, so that a shell's
        `runs/*` also finds a run that lmms-eval wrote without a folder for its model. Samples logs without their
        results file stand for themselves. Other files are left out, and a note of the first run names them.
    mapping : callable
        Applies a function to each element, as `map` does; that of a pool of processes reads many runs at once.

    Returns
    -------
    list of Run
        In the order of the paths; of runs of one name, those from the second on get the folder's name behind it.

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
        A folder with `*_results.json` and the samples logs of the same date, which may be compressed (`.gz`). With
        several results files the newest is read, and a note says so. A results file stands for its folder; a samples
        log is read alone.

    Returns
    -------
    Run
        A part of a run is named as such: `metadata.complete`, `metadata.gaps` and a caution.

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
    """Turn paths into runs - a folder, or some of its logs - and the files that are none."""
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
    """List the logs of inspect_ai in a folder, which holds those of all models."""
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
        _metadata(files.results, arrays.shared, length_normalised=arrays.obtained == "mean losses"),
        complete=not files.gaps,
        gaps=files.gaps,
        answered_by=arrays.models,
        design=arrays.design,
    )
    restored = f" with restoration {metadata.restoration}" if metadata.restoration else ""
    notes = (*files.notes, *_notes_on_ras(files.results)) if arrays.obtained in _WITH_DISTRIBUTIONS else files.notes
    return _run_of_arrays(f"{metadata.model or _unnamed(files)}{restored}", metadata, arrays, notes)


def _notes_on_ras(results: Mapping[str, Any]) -> Iterator[str]:
    """Say of which version RAS is in a results file of an older or newer benchc."""
    of_tasks = [_mapping(_mapping(task).get("metadata")) for task in _mapping(results.get("configs")).values()]
    versions = {str(task.get("ras_version", 1)) for task in of_tasks if {"dataset", "engine"} <= task.keys()}
    for version in sorted(versions - {str(RAS_VERSION)}):
        yield (
            f"The results file has RAS of version {version[:20]}, which is not compared with version {RAS_VERSION}; "
            "here RAS is computed from the records, which hold what every reading needs."
        )


def _unnamed(files: RunFiles) -> str:
    """Name a run whose model has no name: the model `benchc` without arguments is the bundled one."""
    config = _mapping(files.results.get("config"))
    arguments = _model_arguments(config.get("model_args"))
    is_bundled = config.get("model") == "benchc" and not {"backend", "model"} & arguments.keys()
    return BUNDLED_MODEL if is_bundled else files.place.resolve().name


def run_of_records(name: str, logs: Mapping[str, Sequence[SampleRecord]]) -> Run:
    """Make a run of records alone, before a stack has written anything.

    Parameters
    ----------
    name : str
        Stands in errors.
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
    metadata = _metadata({"config": {}}, arrays.shared, length_normalised=arrays.obtained == "mean losses")
    return _run_of_arrays(name, replace(metadata, design=arrays.design), arrays)


def run_of_log_likelihoods(
    log_likelihoods: ArrayLike, answers: ArrayLike, option_counts: ArrayLike | None = None, name: str = "run"
) -> Run:
    """Make a run of arrays of log-likelihoods.

    Parameters
    ----------
    log_likelihoods : array_like of float, shape (samples, conditions, options)
        In nats; the first condition is the clean one. nan marks an invalid condition, -inf pads samples with fewer
        options.
    answers : array_like of int, shape (samples,)
        Index of the right option.
    option_counts : array_like of int, shape (samples,), optional
        Each sample's own number of options; the width of the options axis where it is not given.
    name : str

    Returns
    -------
    Run
        The corrupted conditions have made-up names; model and backend are unknown.

    Raises
    ------
    ValueError
        If the array has not three axes or no condition, an answer is none of its sample's options, or an option count
        is impossible.
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
        metadata=_metadata({"config": {}}, defaultdict(str), length_normalised=False),
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


def part_of_run(run: Run, asked: NDArray[np.bool_], design: str | None = None) -> Run:
    """Keep some conditions of a run, as if the others had never been asked.

    Parameters
    ----------
    run : Run
    asked : ndarray of bool, shape (samples, corruptions, severities)
        What to keep; what the run was not asked stays unasked.
    design : str, optional
        The name of the design that chose these conditions, see `benchc_metrics.designs`; by default the run's own.

    Returns
    -------
    Run
    """
    kept = asked & run.asked
    left_out = {
        (run.sample_ids[sample], str(Condition(run.corruptions[corruption], SEVERITIES[severity])))
        for sample, corruption, severity in np.argwhere(run.asked & ~kept).tolist()
    }
    given = run.given
    return replace(
        run,
        metadata=replace(run.metadata, design=design or run.metadata.design),
        corrupted=np.where(kept[..., np.newaxis], run.corrupted, np.nan),
        asked=kept,
        invalid={cell: reason for cell, reason in run.invalid.items() if cell not in left_out},
        missing=tuple(cell for cell in run.missing if cell not in left_out),
        given=None if given is None else replace(given, corrupted=np.where(kept, given.corrupted, -1)),
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


def with_control_apart(run: Run) -> Run:
    """Move the control from the corruptions of a run to its `control`, unless there is nothing else.

    Parameters
    ----------
    run : Run
        One that may have the control among its corruptions.

    Returns
    -------
    Run
    """
    corruptions = [place for place, name in enumerate(run.corruptions) if name != CONTROL]
    if not corruptions or len(corruptions) == len(run.corruptions):
        return run
    return replace(_under(run, corruptions), control=_under(run, [run.corruptions.index(CONTROL)]))


def _under(run: Run, places: Sequence[int]) -> Run:
    """Take the conditions of some of a run's corruptions."""
    names = tuple(run.corruptions[place] for place in places)
    kept = {None, *names}
    return replace(
        run,
        corruptions=names,
        corrupted=run.corrupted[:, places],
        asked=run.asked[:, places],
        invalid={key: why for key, why in run.invalid.items() if Condition.parse(key[1]).corruption in kept},
        missing=tuple(key for key in run.missing if Condition.parse(key[1]).corruption in kept),
        given=None if run.given is None else replace(run.given, corrupted=run.given.corrupted[:, places]),
        votes=None if run.votes is None else run.votes.under(places),
    )


def _predictions(distributions: NDArray[np.float64]) -> NDArray[np.int64]:
    """Index of the most probable option, the lowest on a tie; -1 where there is no distribution."""
    known = ~np.isnan(distributions[..., 0])
    return np.where(known, np.where(known[..., np.newaxis], distributions, 0.0).argmax(axis=-1), -1).astype(np.int64)


def _letter_mass(log_likelihoods: NDArray[np.float64], *, known: bool) -> NDArray[np.float64]:
    mass = np.asarray(np.exp(log_likelihoods).sum(axis=-1))
    return mass if known else np.full_like(mass, np.nan)


def _metadata(results: Mapping[str, Any], shared: Mapping[str, str | None], *, length_normalised: bool) -> RunMetadata:
    config = _mapping(results.get("config"))
    arguments = _model_arguments(config.get("model_args"))
    stack, version = _stack(results)
    model = arguments.get("pretrained") or ""
    if stack == "lmms-eval":
        model = results.get("model_name") or model
    elif not model:
        # lm-evaluation-harness draws a name at random where the arguments give none.
        model = arguments.get("model") or str(config.get("model") or "")
    tasks = [value for value in _mapping(results.get("configs")).values() if isinstance(value, Mapping)]
    of_tasks = [_mapping(task.get("metadata")) for task in tasks]
    ours = [metadata for metadata in of_tasks if {"corruption", "design"} & metadata.keys()]
    return RunMetadata(
        model=str(model),
        backend=str(arguments.get("backend") or config.get("model") or "unknown"),
        model_args=",".join(f"{key}={value}" for key, value in arguments.items()),
        date=_iso_date(results),
        benchc=str(shared["benchc"]),
        lmms_eval=version,
        stack=stack,
        engine=str(shared["engine"]),
        dataset=str(shared["dataset"]),
        dataset_size=_dataset_size(results),
        demonstration=any(bool(task.get("demonstration")) for task in ours),
        prompt=str(shared["prompt"]),
        length_normalised=length_normalised,
        context=shared["context"],
        sampling=shared["sampling"],
        thinking=shared["thinking"],
        restoration=shared["restoration"],
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
        if task.startswith("benchc")
    }
    known = [size for size in sizes if isinstance(size, int)]
    return max(known, default=None)


def _stack(results: Mapping[str, Any]) -> tuple[str, str]:
    """Return the name of the stack that wrote the results, and its version."""
    if "lm_eval_version" in results:
        return "lm-eval", str(results["lm_eval_version"])
    if "stack" in results:
        return str(results["stack"]), str(results.get("stack_version") or "unknown")
    return "lmms-eval", str(results.get("lmms_eval_version") or "unknown").partition("@")[0]


def _iso_date(results: Mapping[str, Any]) -> str | None:
    """Return when an evaluation began as ISO 8601.

    lmms-eval writes `YYYYMMDD_HHMMSS` in the zone of its `--timezone`, lm-evaluation-harness seconds, and inspect_ai
    ISO 8601 itself.
    """
    written = results.get("date")
    if isinstance(written, (int, float)):
        return datetime.fromtimestamp(written, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    if "stack" in results:
        return None if written is None else str(written).replace("+00:00", "Z")
    try:
        date = datetime.strptime(str(results.get("date")), "%Y%m%d_%H%M%S")
    except ValueError:
        return None
    zone = _mapping(_mapping(results.get("config")).get("resolved_cli_args")).get("timezone")
    try:
        return date.replace(tzinfo=ZoneInfo(str(zone))).astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (ZoneInfoNotFoundError, ValueError):
        return date.isoformat()
