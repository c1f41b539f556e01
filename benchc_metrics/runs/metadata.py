"""Gather facts about a run from its results file and its records."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from benchc_metrics.designs import FULL

__all__ = ["RunMetadata", "is_bundled_model", "mapping_of", "metadata_of_results", "model_arguments"]


@dataclass(frozen=True)
class RunMetadata:
    """Facts about a run.

    Attributes
    ----------
    model : str
        The model's name, as published by its authors if lmms-eval knew it (`pretrained=...`).
    backend : str
        The lmms-eval model that loaded it.
    model_args : str
        lmms-eval's `--model_args`.
    date : str or None
        Start of the evaluation, ISO 8601; in UTC if lmms-eval's time zone is known.
    benchc, lmms_eval : str
        Versions, of benchc and of the stack.
    engine : str
        Version of the corruption engine.
    dataset : str
        Fingerprint of the dataset.
    dataset_size : int or None
        The number of samples in the dataset, if the results file has it.
    demonstration : bool
        True for the bundled demonstration set.
    prompt : str
        The fixed part of the prompt.
    length_normalised : bool
        True if the backend returned mean losses, which make flatter distributions than summed log-likelihoods.
    context : str or None
        Fingerprint of everything that was sent around the questions; None if the records do not have it.
    complete : bool
        True if every requested sample and condition is there; False for a part of a run.
    gaps : tuple of str
        Missing parts of the run, one sentence each.
    answered_by : tuple of str
        The names that the model's server or checkpoint gave with its responses, if known.
    design : str
        The conditions that each sample was asked, see `benchc_metrics.designs`.
    stack : str
        The evaluation framework.
    sampling : str or None
        Number, temperature and seed of votes.
    thinking : str or None
        How the thinking of a model was handled that thinks before it answers.
    restoration : str or None
        How every picture, also clean ones, was restored before the model saw it.
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
    sampling: str | None = None
    thinking: str | None = None
    restoration: str | None = None

    @property
    def evaluated_with(self) -> str:
        """The stack and its version."""
        return f"{self.stack} {self.lmms_eval}"


def metadata_of_results(
    results: Mapping[str, Any], shared: Mapping[str, str | None], *, length_normalised: bool
) -> RunMetadata:
    """Gather the facts about a run.

    Parameters
    ----------
    results : mapping
        The results file of any stack; `{"config": {}}` where there is none.
    shared : mapping of str to (str or None)
        What all records agree on, see `benchc_metrics.runs.arrays.RunArrays`.
    length_normalised : bool
        Whether the backend answered mean losses.

    Returns
    -------
    RunMetadata
    """
    config = mapping_of(results.get("config"))
    arguments = model_arguments(config.get("model_args"))
    stack, version = _stack(results)
    model = arguments.get("pretrained") or ""
    if stack == "lmms-eval":
        model = results.get("model_name") or model
    elif not model and not is_bundled_model(results):
        # lm-evaluation-harness draws a random name if the arguments have none.
        model = arguments.get("model") or str(config.get("model") or "")
    tasks = [value for value in mapping_of(results.get("configs")).values() if isinstance(value, Mapping)]
    of_tasks = [mapping_of(task.get("metadata")) for task in tasks]
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


def is_bundled_model(results: Mapping[str, Any]) -> bool:
    """Tell whether a results file is of the bundled model, which the model `benchc` is without arguments."""
    config = mapping_of(results.get("config"))
    named = {"backend", "model", "pretrained"} & model_arguments(config.get("model_args")).keys()
    return config.get("model") == "benchc" and not named


def mapping_of(value: Any) -> Mapping[str, Any]:
    """Return a value of a results file if it is a mapping, else an empty one."""
    return value if isinstance(value, Mapping) else {}


def model_arguments(written: Any) -> dict[str, str]:
    """Read lmms-eval's `model_args`, written as `KEY=VALUE,KEY=VALUE` or as a mapping."""
    if isinstance(written, Mapping):
        return {str(key): str(value) for key, value in written.items()}
    pairs = (part.partition("=") for part in str(written or "").split(","))
    return {key.strip(): value for key, equals, value in pairs if equals}


def _dataset_size(results: Mapping[str, Any]) -> int | None:
    sizes = {
        mapping_of(size).get("original")
        for task, size in mapping_of(results.get("n-samples")).items()
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
    """Return the start of an evaluation as ISO 8601.

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
    zone = mapping_of(mapping_of(results.get("config")).get("resolved_cli_args")).get("timezone")
    try:
        return date.replace(tzinfo=ZoneInfo(str(zone))).astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (ZoneInfoNotFoundError, ValueError):
        return date.isoformat()
