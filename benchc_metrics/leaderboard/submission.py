"""Check that a run is whole, and write it as a submission."""

from __future__ import annotations

import csv
import hashlib
import io
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from functools import partial
from math import isfinite
from os import PathLike
from pathlib import Path
from types import MappingProxyType

import numpy as np
from pydantic import ValidationError

from benchc_metrics.benchmark import CONTROL, CORRUPTION_FAMILIES, SEVERITIES, Condition
from benchc_metrics.designs import asked_by_design
from benchc_metrics.leaderboard.answers import answers_to_parquet
from benchc_metrics.leaderboard.eval_results import write_eval_results
from benchc_metrics.leaderboard.every_eval_ever import dump, evaluation_log, instance_logs, log_paths
from benchc_metrics.leaderboard.schema import (
    ANSWERS_FILE,
    EVAL_RESULTS_FILE,
    RECORD_FILE,
    STANDARD_BOOTSTRAP,
    SUBMISSION_SCHEMA,
    UNAGGREGATED_FILE,
    BootstrapFacts,
    CellMetrics,
    DatasetFacts,
    EstimateRecord,
    FileFacts,
    FloorMetrics,
    ModelFacts,
    RasFacts,
    Relationship,
    SourceFacts,
    SubmissionRecord,
    Versions,
    cell_metrics,
    metrics_of_record,
)
from benchc_metrics.messages import quoted
from benchc_metrics.metrics.pairs import PairValues
from benchc_metrics.metrics.ras import DEFAULT_READING, Reading
from benchc_metrics.metrics.registry import METRICS
from benchc_metrics.metrics.views import condition_views
from benchc_metrics.runs import Run
from benchc_metrics.statistics.estimates import EstimatedRun, estimate
from benchc_metrics.statistics.floor import estimate_floor

__all__ = [
    "SubmissionDetails",
    "derived_files",
    "floor_of_run",
    "metrics_of_run",
    "what_is_missing",
    "write_submission",
]

EVERY_EVAL_EVER_FOLDER = "every_eval_ever"
_VIEWS_AT_ONCE = 19
_HUB_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*/[A-Za-z0-9][A-Za-z0-9._-]*")


@dataclass(frozen=True)
class SubmissionDetails:
    """Details of a submission that a run does not hold.

    Attributes
    ----------
    dataset_id : str
        The dataset's id on the hub, ORG/NAME.
    dataset_revision : str or None
        Its git revision there.
    model_id : str or None
        The model's id ORG/NAME; the name under which it was evaluated if None.
    ras_reading : {"brier", "probability", "confidence", "certainty"}
        Of RAS, where the run has probabilities.
    organisation : str
        Who evaluated.
    relationship : {"first_party", "third_party", "collaborative", "other"}
        Of those to the makers of the model.
    source_url, source_name : str
        Where the evaluation is described.
    parameters : int or None
        How many the model has.
    licence : str or None
        The short name of the model's licence, such as `apache-2.0`.
    link : str or None
        Web address where the model is described.
    """

    dataset_id: str
    dataset_revision: str | None = None
    model_id: str | None = None
    ras_reading: Reading = DEFAULT_READING
    organisation: str = "unknown"
    relationship: Relationship = "other"
    source_url: str = "https://arxiv.org/abs/2511.19032"
    source_name: str = "Bench-C"
    parameters: int | None = None
    licence: str | None = None
    link: str | None = None


def what_is_missing(run: Run) -> list[str]:
    """List what keeps a run from being whole, a sentence each.

    Parameters
    ----------
    run : Run

    Returns
    -------
    list of str
        Empty if every sample has a valid answer under every condition that the run's design asks.
    """
    absent = [name for name in CORRUPTION_FAMILIES if name not in run.corruptions]
    foreign = [name for name in run.corruptions if name not in (*CORRUPTION_FAMILIES, CONTROL)]
    size, found = run.metadata.dataset_size, len(run.sample_ids)
    missing = []
    if size is None:
        missing.append("the results file does not say how many samples the dataset has")
    elif found < size:
        missing.append(f"{size - found} of the {size} samples were not evaluated (was --limit given?)")
    elif found > size:
        missing.append(f"{found} samples were evaluated of a dataset that has {size}")
    missing += [f"{name} was not evaluated, at any severity" for name in absent]
    missing += [f"{name} is not a corruption of the benchmark" for name in foreign]
    if not absent and not foreign:
        missing += _not_asked(run)
    without_answer, invalid_answers = _unusable(run)
    unanswered = Counter(condition for _, condition in without_answer)
    first = {condition: sample for sample, condition in reversed(without_answer)}
    missing += [
        f"{condition} has no answer for {number} samples, {quoted(first[condition])} the first"
        for condition, number in unanswered.items()
    ]
    invalid = Counter(condition for _, condition in invalid_answers)
    examples = {condition: (sample, reason) for (sample, condition), reason in reversed(invalid_answers.items())}
    missing += [
        f"{condition} has {number} invalid answers, the first for {quoted(examples[condition][0])}: "
        f"{examples[condition][1]}"
        for condition, number in invalid.items()
    ]
    return missing


def _not_asked(run: Run) -> list[str]:
    """Say what the design of a run asks and the run was not asked, or the reverse."""
    expected = asked_by_design(run.metadata.design, run.sample_ids)
    conditions = [
        str(Condition(run.corruptions[corruption], SEVERITIES[severity]))
        for corruption, severity in np.argwhere((expected & ~run.asked).any(axis=0)).tolist()
    ]
    said = []
    if conditions:
        more = f" and {len(conditions) - 5} more" if len(conditions) > 5 else ""
        said.append(f"not all samples were asked under {', '.join(conditions[:5])}{more}")
    if (run.asked & ~expected).any():
        said.append(f"there are answers that the design {quoted(run.metadata.design)} does not ask")
    return said


def _unusable(run: Run) -> tuple[list[tuple[str, str]], dict[tuple[str, str], str]]:
    """List the missing and the invalid answers, those under the control too; the clean ones are of both."""
    if run.control is None:
        return list(run.missing), dict(run.invalid)
    return [*run.missing, *run.control.missing], {**run.invalid, **run.control.invalid}


def write_submission(
    run: Run,
    folder: str | PathLike[str],
    details: SubmissionDetails,
    *,
    bootstrap: BootstrapFacts = STANDARD_BOOTSTRAP,
    created: datetime | None = None,
) -> SubmissionRecord:
    """Write the submission of a whole run.

    Parameters
    ----------
    run : Run
    folder : str or path-like
        Made if it is not there; must be empty.
    details : SubmissionDetails
    bootstrap : BootstrapFacts
        Anything but the standard is refused by `benchc verify`.
    created : datetime, optional
        Now by default.

    Returns
    -------
    SubmissionRecord
        What `benchc.json` says.

    Raises
    ------
    ValueError
        If the run is not whole (everything that is missing is listed), the model has no id ORG/NAME, or a detail is
        refused.
    FileExistsError
        If the folder holds anything.
    """
    missing = what_is_missing(run)
    if missing:
        raise ValueError("\n  - ".join([f"{run.name} is not whole, and cannot be submitted:", *missing]))
    place = Path(folder)
    if place.exists() and (not place.is_dir() or any(place.iterdir())):
        raise FileExistsError(f"{place} is there already: give a folder that is empty or does not exist")
    answers = answers_to_parquet(run)
    body = _record_without_files(run, details, bootstrap, created or datetime.now(timezone.utc))
    files = {ANSWERS_FILE: answers, **derived_files(body, run)}
    record = body.model_copy(
        update={
            "files": tuple(
                FileFacts(path=path, bytes=len(content), sha256=hashlib.sha256(content).hexdigest())
                for path, content in sorted(files.items())
            )
        }
    )
    for path, content in {**files, RECORD_FILE: record.to_json().encode()}.items():
        target = place / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
    return record


def derived_files(
    record: SubmissionRecord, run: Run, submitted: Mapping[str, bytes] = MappingProxyType({})
) -> dict[str, bytes]:
    """Make the files that follow from a record and its answers.

    Parameters
    ----------
    record : SubmissionRecord
        Its `files` are not looked at.
    run : Run
    submitted : mapping of str to bytes
        Files as they were submitted. Another machine computes other last digits of the instances' scores, so that the
        instances are compared number by number, and the checksum that the record states of them is that of the file.

    Returns
    -------
    dict of str to bytes
        From path to content.
    """
    record_path, instances_path = (f"{EVERY_EVAL_EVER_FOLDER}/{path}" for path in log_paths(record))
    instances = "".join(dump(log) + "\n" for log in instance_logs(record, run)).encode()
    log = evaluation_log(record, submitted.get(instances_path, instances))
    return {
        EVAL_RESULTS_FILE: write_eval_results(record).encode(),
        record_path: (dump(log, indent=1) + "\n").encode(),
        instances_path: instances,
        UNAGGREGATED_FILE: _unaggregated_results(record).encode(),
    }


def metrics_of_run(
    run: Run, bootstrap: BootstrapFacts, reading: Reading = DEFAULT_READING
) -> tuple[dict[str, EstimateRecord], tuple[CellMetrics, ...]]:
    """Compute what a record says of a run: all metrics, and the corruption x severity table.

    Parameters
    ----------
    run : Run
        A whole run.
    bootstrap : BootstrapFacts
    reading : {"brier", "probability", "confidence", "certainty"}
        Of RAS.

    Returns
    -------
    metrics : dict of str to EstimateRecord
    table : tuple of CellMetrics
    """
    pairs = PairValues.of_run(run, reading)
    estimated_in = partial(estimate, pairs, resamples=bootstrap.resamples, seed=bootstrap.seed, level=bootstrap.level)
    whole = estimated_in()
    cells = condition_views(run)
    # Not all at once: what each sample adds to the sums of 95 views would not fit into a gigabyte.
    blocks = [cells[start : start + _VIEWS_AT_ONCE] for start in range(0, len(cells), _VIEWS_AT_ONCE)]
    table = tuple(
        CellMetrics(
            corruption=cell.corruptions[0],
            severity=cell.severities[0],
            metrics={name: _estimate_record(estimated, name, cell.name) for name in cell_metrics(run.obtained)},
        )
        for block in blocks
        for estimated in (estimated_in(block),)
        for cell in block
    )
    return {name: _estimate_record(whole, name) for name in metrics_of_record(run.obtained)}, table


def floor_of_run(run: Run, bootstrap: BootstrapFacts, reading: Reading = DEFAULT_READING) -> FloorMetrics | None:
    """Compute what a record says of a run's floor; None for a run without the control.

    Parameters
    ----------
    run : Run
        A whole run.
    bootstrap : BootstrapFacts
    reading : {"brier", "probability", "confidence", "certainty"}
        Of RAS.
    """
    means = [name for name, metric in METRICS.items() if metric.computed.of_pairs is not None]
    floor = estimate_floor(
        run,
        metrics=means,
        reading=reading,
        resamples=bootstrap.resamples,
        seed=bootstrap.seed,
        level=bootstrap.level,
    )
    if floor is None:
        return None
    return FloorMetrics(
        metrics={name: _record_of(*floor.of(name)) for name in floor.metrics},
        distances={name: _record_of(*floor.distance(name)[:3]) for name in floor.metrics},
    )


def _estimate_record(estimated: EstimatedRun, metric: str, view: str | None = None) -> EstimateRecord:
    return _record_of(*estimated.of(metric, view))


def _record_of(*bounds: float) -> EstimateRecord:
    # An interval of a metric without a limit can have none either.
    value, low, high = (number if isfinite(number) else None for number in bounds)
    return EstimateRecord(value=value, low=low, high=high)


def _record_without_files(
    run: Run, details: SubmissionDetails, bootstrap: BootstrapFacts, created: datetime
) -> SubmissionRecord:
    facts = run.metadata
    model_id = details.model_id or facts.model
    if not _HUB_ID.fullmatch(model_id):
        raise ValueError(
            f"the model's name {quoted(model_id)} is not an id of the form ORG/NAME: give one with --model-id"
        )
    reading = details.ras_reading
    metrics, table = metrics_of_run(run, bootstrap, reading)
    try:
        return SubmissionRecord(
            schema=SUBMISSION_SCHEMA,
            created=created.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
            evaluated=facts.date,
            # A checkpoint's place on the evaluator's machine says nothing to others.
            model=ModelFacts(
                id=model_id,
                backend=facts.backend,
                arguments=_public_arguments(facts.model_args, facts.model, model_id),
                parameters=details.parameters,
                licence=details.licence,
                link=details.link,
            ),
            versions=Versions(benchc=facts.benchc, lmms_eval=facts.lmms_eval, stack=facts.stack),
            engine=facts.engine,
            prompt=facts.prompt,
            context=facts.context,
            obtained=run.obtained,
            design=facts.design,
            ras=RasFacts.read_as(reading) if run.has_distributions or run.votes is not None else None,
            sampling=facts.sampling,
            thinking=facts.thinking,
            restoration=facts.restoration,
            answered_by=facts.answered_by,
            cautions=tuple(caution.name for caution in run.cautions),
            dataset=DatasetFacts(
                fingerprint=facts.dataset,
                id=details.dataset_id,
                revision=details.dataset_revision,
                samples=len(run.sample_ids),
                demonstration=facts.demonstration,
            ),
            source=SourceFacts(
                url=details.source_url,
                name=details.source_name,
                organisation=details.organisation,
                relationship=details.relationship,
            ),
            bootstrap=bootstrap,
            metrics=metrics,
            table=table,
            floor=floor_of_run(run, bootstrap, reading),
            files=(),
        )
    except ValidationError as refusal:
        fault = refusal.errors(include_url=False, include_context=False)[0]
        raise ValueError(
            f"{'.'.join(map(str, fault['loc']))} {quoted(fault['input'])} is refused: "
            f"{fault['msg'].removeprefix('Value error, ')}"
        ) from None


def _public_arguments(arguments: str, model: str, model_id: str) -> str:
    parts = (part.partition("=") for part in arguments.split(","))
    return ",".join(
        f"{key}{equals}{model_id if value == model or value.startswith(('/', '~', '.')) else value}"
        for key, equals, value in parts
    )


def _unaggregated_results(record: SubmissionRecord) -> str:
    """Write accuracy as RobustBench does: a header line of corruptions, one of severities, and a row for the model."""
    written = io.StringIO()
    writer = csv.writer(written, lineterminator="\n")
    writer.writerow(["", *(cell.corruption for cell in record.table)])
    writer.writerow(["", *(cell.severity for cell in record.table)])
    writer.writerow([record.model.id, *(cell.metrics["acc_corrupted"].value for cell in record.table)])
    return written.getvalue()
