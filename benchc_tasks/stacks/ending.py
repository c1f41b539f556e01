"""The end of an evaluation: what a reader must know is said once, when the last task has been aggregated."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from loguru import logger

from benchc_metrics.findings.designs import note_on_run
from benchc_metrics.records import SampleRecord
from benchc_metrics.runs import Run, run_of_records
from benchc_metrics.runs.cautions import Caution

__all__ = ["EvaluationEnd", "cautions_of_records"]


def cautions_of_records(logs: Mapping[str, Sequence[Mapping[str, Any]]]) -> tuple[Caution, ...]:
    """Find what a reader of some tasks' records must know.

    Parameters
    ----------
    logs : mapping of str to sequence of mapping
        The written records of each task. One that stands twice, as several processes leave it, counts once.

    Returns
    -------
    tuple of Caution
    """
    return _run_of(logs).cautions


def _run_of(logs: Mapping[str, Sequence[Mapping[str, Any]]]) -> Run:
    records = {
        task: list({record.sample: record for record in map(SampleRecord.from_json_dict, written)}.values())
        for task, written in logs.items()
    }
    return run_of_records("this run", records)


class EvaluationEnd:
    """Notes the tasks of an evaluation as they begin and end.

    lmms-eval builds the requests of all tasks, then asks the model, then aggregates task after task. Tasks of one
    kind over one dataset are judged together.
    """

    def __init__(self) -> None:
        self._kinds: dict[str, object] = {}
        self._ended: dict[str, Sequence[Mapping[str, Any]]] = {}

    def begin(self, task: str, kind: object) -> None:
        """Note that a task builds its requests; the first one after an end begins an evaluation."""
        if self._ended or task in self._kinds:
            self._kinds.clear()
            self._ended.clear()
        self._kinds[task] = kind

    def end(self, task: str, records: Sequence[Mapping[str, Any]]) -> list[str]:
        """Note a task's records, and log the cautions if it is the last task.

        Returns
        -------
        list of str
            Names of the task's own cautions.
        """
        self._ended[task] = records
        if self._ended.keys() >= self._kinds.keys():
            of_kinds: dict[object, dict[str, Sequence[Mapping[str, Any]]]] = defaultdict(dict)
            for name, written in self._ended.items():
                of_kinds[self._kinds.get(name)][name] = written
            for logs in of_kinds.values():
                _log(logs)
        return [caution.name for caution in _cautions({task: records})]


def _cautions(logs: Mapping[str, Sequence[Mapping[str, Any]]]) -> tuple[Caution, ...]:
    try:
        return cautions_of_records(logs)
    except ValueError as fault:
        logger.warning(f"benchc: the records of {', '.join(logs)} could not be judged together: {fault}")
        return ()


def _log(logs: Mapping[str, Sequence[Mapping[str, Any]]]) -> None:
    for caution in _cautions(logs):
        level = "ERROR" if caution.incomplete else "WARNING"
        state = "this run does not count as complete" if caution.incomplete else "doubt this run"
        logger.log(level, f"benchc: CAUTION, {state} ({caution.name}): {caution.sentence}")
    if any(record.get("design") for records in logs.values() for record in records[:1]) and (
        note := _note_on_design(logs)
    ):
        logger.info(f"benchc: {note}")


def _note_on_design(logs: Mapping[str, Sequence[Mapping[str, Any]]]) -> str | None:
    # Records that do not belong together have been warned of.
    with suppress(ValueError):
        return note_on_run(_run_of(logs))
    return None
