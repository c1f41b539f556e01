"""What tasks of every stack share, if their docs are samples. It imports no stack."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from benchc_metrics.benchmark import LETTERS, Condition
from benchc_metrics.metrics.ras import Reading
from benchc_metrics.records import RECORD_KEY, SampleRecord
from benchc_metrics.records.assembly import assemble_record
from benchc_tasks.datasets import SampleDataset
from benchc_tasks.stacks.aggregators import items_of_record
from benchc_tasks.stacks.common import AnsweringModel, AskedConditions, SentContext, facts_of, sent_context
from benchc_tasks.stacks.prompting import Prompt

__all__ = ["OptionScoring", "SamplesAsDocs"]


class SamplesAsDocs:
    """A task whose docs are samples, each asked under all its conditions.

    Attributes
    ----------
    samples : SampleDataset
    asked : AskedConditions
    reading : str
        Of RAS.
    metric_names : list of str
        Those of the registry that the task reports.
    """

    samples: SampleDataset
    asked: AskedConditions
    reading: Reading
    metric_names: list[str]
    _contexts: dict[str, SentContext]

    @property
    def prompt(self) -> Prompt:
        """The prompt for the model that is being evaluated."""
        raise NotImplementedError

    def answering(self) -> AnsweringModel:
        """Return what is known of the model that answers."""
        raise NotImplementedError

    def record_of(self, doc: Mapping[str, Any], results: Sequence[Any]) -> SampleRecord:
        """Make the record of one sample; each kind of task overrides it."""
        raise NotImplementedError

    def doc_to_text(self, doc: Mapping[str, Any]) -> str:
        """Write the prompt of a sample."""
        return self.prompt.text(doc["question"], doc["options"])

    def doc_to_target(self, doc: Mapping[str, Any]) -> str:
        """Return the letter of the right option."""
        return LETTERS[doc["answer"]]

    def doc_to_choice(self, doc: Mapping[str, Any]) -> list[str]:
        """Return the letters of the options."""
        return list(LETTERS[: len(doc["options"])])

    def conditions_of(self, doc: Mapping[str, Any]) -> tuple[Condition, ...]:
        """Return the conditions of a sample, clean first."""
        return self.asked.of_sample(doc["id"])

    def note_context(self, doc: Mapping[str, Any], text: str) -> None:
        """Note what is sent around the question of a sample, whose prompt is `text`."""
        self._contexts[doc["id"]] = sent_context(text, doc["question"], doc["options"], self.answering())

    def process_results(
        self, doc: Mapping[str, Any], results: Sequence[Any], full_docs: object = None
    ) -> dict[str, Any]:
        """Turn the responses to one sample into its metrics and its record.

        Parameters
        ----------
        doc : mapping
            The sample.
        results : sequence
            The responses in the order of the requests.
        full_docs : object
            Not used.

        Returns
        -------
        dict
            From each metric name to the sample's input for the aggregator; and `benchc`, the record for the samples
            log.
        """
        record = self.record_of(doc, results)
        return {**self.metrics_of_record(record), RECORD_KEY: record.to_json_dict()}

    def metrics_of_record(self, record: SampleRecord) -> dict[str, Any]:
        """Return one sample's input for each aggregator."""
        return items_of_record(record, self.metric_names, self.reading)

    def facts_of(self, doc: Mapping[str, Any]) -> dict[str, Any]:
        """Return the other fields of a sample's record, by name."""
        if doc["id"] not in self._contexts:
            self.note_context(doc, self.doc_to_text(doc))
        model = self.answering()
        return facts_of(
            doc,
            self.samples,
            self.conditions_of(doc),
            self._contexts[doc["id"]],
            model=model.name,
            restoration=model.restoration,
            thinking=model.thinking,
            design=self.asked.design,
        )


class OptionScoring(SamplesAsDocs):
    """A task that asks for option log-likelihoods."""

    def record_of(self, doc: Mapping[str, Any], results: Sequence[Any]) -> SampleRecord:
        """Make the record of one sample from the responses for its options."""
        return assemble_record(results, option_count=len(doc["options"]), **self.facts_of(doc))

    def metrics_of_record(self, record: SampleRecord) -> dict[str, Any]:
        """Return one sample's input for each aggregator."""
        return {**super().metrics_of_record(record), "length_normalised": float(record.length_normalised)}
