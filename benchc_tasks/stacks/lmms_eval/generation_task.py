"""`GenerationTask`, the lmms-eval task for models that give no log-probabilities: they write a text."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from lmms_eval.api.reasoning import parse_reasoning_tags_config

from benchc_metrics.assembly import assemble_generation_record
from benchc_metrics.letters import REASONING_TAGS
from benchc_metrics.records import SampleRecord
from benchc_tasks.models.processes import fail_together
from benchc_tasks.stacks.common import say_that_ras_is_not_defined
from benchc_tasks.stacks.lmms_eval.documents import DocsOfTask
from benchc_tasks.stacks.lmms_eval.generation_requests import (
    ConditionedDocId,
    ConditionedDocs,
    SettingsAndMessages,
    SettingsAndPictures,
)
from benchc_tasks.stacks.lmms_eval.task import SampleTask
from benchc_tasks.stacks.pictures import why_undecodable

__all__ = ["GenerationTask"]


class GenerationTask(SampleTask):
    """One corruption over one dataset, by generated texts: a request for each condition.

    Parameters
    ----------
    config : mapping
        As in `SampleTask`; `generation_kwargs` are lmms-eval's.
    """

    request_type = "generate_until"

    def __init__(self, config: Mapping[str, Any]) -> None:
        say_that_ras_is_not_defined()
        self._undecodable: dict[str, str] = {}
        super().__init__(config)

    def download(self, dataset_kwargs: Mapping[str, Any] | None = None) -> None:
        """Hand the samples to lmms-eval so that its models can look them up with their condition."""
        super().download(dataset_kwargs)
        self.dataset = DocsOfTask({self.config.test_split: ConditionedDocs(self.samples)})

    @fail_together()
    def build_all_requests(self, **settings: Any) -> None:
        """Build the requests of all samples.

        Raises
        ------
        ValueError
            As in `SampleTask`, or if they are to be repeated: a sample's requests are its conditions.
        """
        if self.config.repeats > 1:
            raise ValueError(f"{self.task_name} asks for each answer once: leave --repeats out")
        super().build_all_requests(**settings)

    def arguments_of(self, doc_id: int, doc: Mapping[str, Any], ctx: str) -> Iterable[tuple[Any, ...]]:
        """Return the arguments of `benchc_tasks.stacks.lmms_eval.generation_requests`, condition by condition."""
        if reason := why_undecodable(self.samples, doc_id):
            self._undecodable[doc["id"]] = reason
        prompt = self.prompt
        return (
            (
                ctx,
                SettingsAndMessages(self._generation_settings(), prompt),
                SettingsAndPictures(self._generation_settings()),
                ConditionedDocId(doc_id, self.samples.fingerprint, condition),
            )
            for condition in self.conditions_of(doc)
        )

    def record_of(self, doc: Mapping[str, Any], results: Sequence[Any]) -> SampleRecord:
        """Make the record of one sample from the texts; none counts where the image cannot be decoded."""
        if reason := self._undecodable.get(doc["id"]):
            results = [{"invalid": reason}] * len(results)
        return assemble_generation_record(
            results, options=doc["options"], reasoning_tags=self._reasoning_tags(), **self.facts_of(doc)
        )

    def _generation_settings(self) -> dict[str, Any]:
        """Copy the settings, which models change, without an empty list of texts to stop at."""
        settings = copy.deepcopy(self.config.generation_kwargs)
        return {name: value for name, value in settings.items() if not (name == "until" and not value)}

    def _reasoning_tags(self) -> Sequence[Sequence[str]]:
        """Return the tags of the task or of `--reasoning_tags`, and those that are always known."""
        given = parse_reasoning_tags_config(
            cli_value=getattr(getattr(self, "args", None), "reasoning_tags", None),
            task_value=self.config.reasoning_tags,
        )
        return [*REASONING_TAGS, *(given or ())]
