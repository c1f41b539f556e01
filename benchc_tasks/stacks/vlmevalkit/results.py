"""Make records of the answers that VLMEvalKit kept, and write them as the other stacks write theirs."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any

from benchc_metrics.files import replace_file
from benchc_metrics.metrics.registry import METRICS
from benchc_metrics.records import RECORD_KEY, SampleRecord, Sampling
from benchc_metrics.records.assembly import assemble_generation_record, assemble_record, assemble_votes_record
from benchc_metrics.runs.layouts import RESULTS_SUFFIX
from benchc_tasks.stacks.aggregators import items_of_record, over_samples
from benchc_tasks.stacks.common import AnsweringModel, facts_of, sent_context, settings_of_samples
from benchc_tasks.stacks.vlmevalkit.answers import FAILED, read_answer, read_text
from benchc_tasks.stacks.vlmevalkit.names import NamedData
from benchc_tasks.stacks.vlmevalkit.rows import Row

__all__ = ["Results", "records_of"]

STACK = "VLMEvalKit"

MISSING = f"{FAILED}: the prediction file lacks this row"


def records_of(
    data: NamedData,
    rows: Sequence[Row],
    predictions: Mapping[str, str],
    model: AnsweringModel,
    *,
    scores_options: bool,
    sampling: Sampling | None = None,
) -> list[SampleRecord]:
    """Make the records of a dataset.

    Parameters
    ----------
    data : NamedData
    rows : sequence of Row
        All of it, sample by sample.
    predictions : mapping of str to str
        The text of each row by its index. A row without one is an invalid answer.
    model : AnsweringModel
        What the model says of itself.
    scores_options : bool
        Whether the texts are those of `write_answer`; else a model wrote them.
    sampling : Sampling, optional
        How each condition's texts were drawn, where there are several.
    """
    records = []
    for position, of_sample in groupby(rows, key=lambda row: row.position):
        shown = list(of_sample)
        doc = shown[0].samples.without_images()[position]
        texts = [predictions.get(row.index, MISSING) for row in shown]
        conditions = list(dict.fromkeys(row.condition for row in shown))
        context = sent_context(shown[0].prompt, doc["question"], doc["options"], model)
        facts = facts_of(
            doc,
            shown[0].samples,
            conditions,
            context,
            model=model.name,
            restoration=model.restoration,
            design=data.asked.design,
        )
        options = doc["options"]
        if scores_options:
            responses = [option for text in texts for option in read_answer(text, len(options))]
            records.append(assemble_record(responses, option_count=len(options), **facts))
        elif sampling is not None:
            read = [read_text(text) for text in texts]
            records.append(assemble_votes_record(read, options=options, sampling=sampling, **facts))
        else:
            records.append(assemble_generation_record([read_text(text) for text in texts], options=options, **facts))
    return records


@dataclass
class Results:
    """The results of one launch: a samples log for each dataset, and one results file for all that are done.

    Attributes
    ----------
    folder : Path
        Where VLMEvalKit writes what the model answered.
    date : str
        When the launch began, `YYYYMMDD_HHMMSS`.
    began : str
        The same as ISO 8601.
    model : str
        As VLMEvalKit calls it.
    arguments : mapping
        Those of the model.
    version : str
        Of VLMEvalKit.
    """

    folder: Path
    date: str
    began: str
    model: str
    arguments: Mapping[str, object]
    version: str
    _tasks: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def tasks(self) -> frozenset[str]:
        """Return the tasks whose records are written."""
        return frozenset(self._tasks)

    def add(self, data: NamedData, rows: Sequence[Row], records: Sequence[SampleRecord]) -> dict[str, Any]:
        """Write the log of a dataset, and the results file anew.

        Returns
        -------
        dict
            The metrics by their names; text where one is not defined.
        """
        samples = rows[0].samples
        lines = [
            json.dumps({"doc_id": number, RECORD_KEY: record.to_json_dict()}) for number, record in enumerate(records)
        ]
        self.folder.mkdir(parents=True, exist_ok=True)
        replace_file(self.folder / f"{self.date}_samples_{data.task}.jsonl", "\n".join(lines) + "\n")
        metrics = metrics_of(records)
        self._tasks[data.task] = {
            "metrics": metrics,
            "metadata": {**data.metadata, **settings_of_samples(samples)},
            "samples": {"original": len(samples), "effective": len(records)},
        }
        written = {
            "stack": STACK,
            "stack_version": self.version,
            "date": self.began,
            "config": {"model": self.model, "model_args": dict(self.arguments)},
            "results": {task: facts["metrics"] for task, facts in self._tasks.items()},
            "configs": {task: {"metadata": facts["metadata"]} for task, facts in self._tasks.items()},
            "n-samples": {task: facts["samples"] for task, facts in self._tasks.items()},
        }
        path = self.folder / f"{self.date}{RESULTS_SUFFIX}"
        replace_file(path, json.dumps(written, indent=2, default=str) + "\n")
        return metrics


def metrics_of(records: Sequence[SampleRecord]) -> dict[str, Any]:
    """Compute the metrics of some records as every stack does."""
    items = [items_of_record(record, list(METRICS)) for record in records]
    aggregate: Callable[[Any], Any] = over_samples
    values = {name: aggregate([item[name] for item in items]) for name in METRICS}
    return {name: float(value) if isinstance(value, float) else value for name, value in values.items()}
