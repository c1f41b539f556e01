"""Provide `GenerationTask`, the lmms-eval task for models without log-probabilities: they write a text."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from lmms_eval.api.reasoning import parse_reasoning_tags_config

from benchc_metrics.messages import quoted
from benchc_metrics.records import SampleRecord, Sampling
from benchc_metrics.records.assembly import assemble_generation_record, assemble_votes_record
from benchc_metrics.responses.letters import REASONING_TAGS
from benchc_tasks.models.processes import fail_together
from benchc_tasks.stacks.common import say_that_ras_is_not_defined, whole_number_of
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

ANSWER_TOKENS = 32
"""Default number of tokens of an answer."""
OPENED = "opened"
"""Value of `metadata.thinking` for a template that opens the thinking."""


class GenerationTask(SampleTask):
    """Evaluate one corruption over one dataset by generated texts, with one request for each condition.

    Parameters
    ----------
    config : mapping
        As in `SampleTask`; `generation_kwargs` are lmms-eval's. `metadata.votes` is the number of sampled answers a
        condition, and `metadata.seed` their seed for a model that takes one. `metadata.thinking_tokens` is the number
        of tokens that a model may think before its answer, in addition to `max_new_tokens`. `metadata.thinking: opened`
        means that the chat template opens the thinking; an answer without a closing tag is then still thinking.
    """

    request_type = "generate_until"

    def __init__(self, config: Mapping[str, Any]) -> None:
        self._undecodable: dict[str, str] = {}
        metadata = dict(config.get("metadata") or {})
        self.votes = whole_number_of(metadata, "votes", least=2)
        self.seed = whole_number_of(metadata, "seed") or 0
        self.thinking_tokens = whole_number_of(metadata, "thinking_tokens", least=1)
        self.begins_in_thought = _begins_in_thought(str(config.get("task")), metadata.get("thinking"))
        if self.votes is None:
            say_that_ras_is_not_defined()
        super().__init__(config)

    def download(self, dataset_kwargs: Mapping[str, Any] | None = None) -> None:
        """Pass the samples to lmms-eval so that its models can look them up with their condition."""
        super().download(dataset_kwargs)
        self.dataset = DocsOfTask({self.config.test_split: ConditionedDocs(self.samples)})

    @fail_together()
    def build_all_requests(self, **settings: Any) -> None:
        """Build the requests of all samples.

        Raises
        ------
        ValueError
            As in `SampleTask`, or if requests are to be repeated, because a sample's requests are its conditions.
        """
        if self.config.repeats > 1:
            raise ValueError(f"{self.task_name} asks each question once: leave --repeats out")
        if self.votes is not None and not self._temperature() > 0:
            raise ValueError(
                f"{self.task_name} counts {self.votes} sampled answers a condition, which are all the same at "
                "temperature 0: set temperature in its generation_kwargs, or with --gen_kwargs temperature=1"
            )
        super().build_all_requests(**settings)

    def arguments_of(self, doc_id: int, doc: Mapping[str, Any], ctx: str) -> Iterable[tuple[Any, ...]]:
        """Return the arguments of `benchc_tasks.stacks.lmms_eval.generation_requests`, condition by condition."""
        if reason := why_undecodable(self.samples, doc_id):
            self._undecodable[doc["id"]] = reason
        prompt = self.prompt
        expects_thinking = self.thinking_tokens is not None
        return (
            (
                ctx,
                SettingsAndMessages(
                    self._generation_settings(), prompt, expects_thinking=expects_thinking, seed=self.seed
                ),
                SettingsAndPictures(self._generation_settings()),
                ConditionedDocId(doc_id, self.samples.fingerprint, condition, vote),
            )
            for condition in self.conditions_of(doc)
            for vote in ([None] if self.votes is None else range(self.votes))
        )

    def record_of(self, doc: Mapping[str, Any], results: Sequence[Any]) -> SampleRecord:
        """Make the record of one sample from the texts; no text counts if the image cannot be decoded."""
        if reason := self._undecodable.get(doc["id"]):
            results = [{"invalid": reason}] * len(results)
        facts = {
            "options": doc["options"],
            "reasoning_tags": self._reasoning_tags(),
            "begins_in_thought": self.begins_in_thought,
            **self.facts_of(doc),
        }
        if self.votes is None:
            return assemble_generation_record(results, **facts)
        seed = self.seed if self.answering().draws_by_seed else None
        sampling = Sampling(number=self.votes, temperature=self._temperature(), seed=seed)
        return assemble_votes_record(results, sampling=sampling, **facts)

    def facts_of(self, doc: Mapping[str, Any]) -> dict[str, Any]:
        """Return the other fields of a sample's record, including the budget for thinking."""
        facts = super().facts_of(doc)
        if self.thinking_tokens is not None and facts.get("thinking") is None:
            facts["thinking"] = f"up to {self.thinking_tokens} tokens"
        return facts

    def _temperature(self) -> float:
        settings = self.config.generation_kwargs
        return float(settings.get("temperature") or 0.0) if settings.get("do_sample", True) else 0.0

    def _generation_settings(self) -> dict[str, Any]:
        """Copy the settings, because models change them, and leave out an empty list of stop texts."""
        settings = copy.deepcopy(self.config.generation_kwargs)
        if self.thinking_tokens is not None:
            settings["max_new_tokens"] = int(settings.get("max_new_tokens") or ANSWER_TOKENS) + self.thinking_tokens
        return {name: value for name, value in settings.items() if not (name == "until" and not value)}

    def _reasoning_tags(self) -> Sequence[Sequence[str]]:
        """Return the tags of the task or of `--reasoning_tags`, and the standard ones."""
        given = parse_reasoning_tags_config(
            cli_value=getattr(getattr(self, "args", None), "reasoning_tags", None),
            task_value=self.config.reasoning_tags,
        )
        return [*REASONING_TAGS, *(given or ())]


def _begins_in_thought(task: str, thinking: object) -> bool:
    if thinking not in (None, OPENED):
        raise ValueError(f"metadata.thinking of {task} is {quoted(thinking)}: write {OPENED}, or leave it out")
    return thinking == OPENED
