"""Define the lmms-eval tasks: one doc is one sample with all its conditions.

`SampleTask` is the shared pipeline. `BenchCTask` asks for option log-likelihoods, and `GenerationTask` in
`benchc_tasks.stacks.lmms_eval.generation_task` asks for a text.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping, MutableSequence
from pathlib import Path
from typing import Any, ClassVar

from lmms_eval.api.instance import Instance
from lmms_eval.api.task import ConfigurableTask
from loguru import logger

from benchc_metrics.messages import close_to_it, closest, quoted
from benchc_metrics.metrics.ras import DEFAULT_READING
from benchc_metrics.metrics.registry import EVERY_METRIC, METRICS, METRICS_OF_VOTES
from benchc_metrics.records import RECORD_KEY
from benchc_tasks.datasets import decode_image
from benchc_tasks.models.processes import fail_together
from benchc_tasks.stacks.common import (
    AnsweringModel,
    AskedConditions,
    load_samples,
    reading_of,
    refuse_examples,
    settings_of_ras,
    settings_of_samples,
    split_of,
)
from benchc_tasks.stacks.ending import EvaluationEnd
from benchc_tasks.stacks.lmms_eval.documents import DocsOfTask
from benchc_tasks.stacks.output_folder import check_output_folder
from benchc_tasks.stacks.pictures import ConditionedPicture
from benchc_tasks.stacks.prompting import Prompt
from benchc_tasks.stacks.sample_tasks import OptionScoring, SamplesAsDocs

__all__ = ["BenchCTask", "SampleTask"]

_END = EvaluationEnd()

TASK_OPTIONS = (
    "conditions_per_sample",
    "corruption",
    "dataset",
    "demonstration",
    "design",
    "engine",
    "module",
    "ras_reading",
    "ras_version",
    "seed",
    "thinking",
    "thinking_tokens",
    "version",
    "votes",
)
"""Keys of a task's `metadata` that this module reads, or writes for lmms-eval's response cache."""

LOST_ANSWERS = (
    "without --log_samples the answers of this run are lost when it ends, and intervals, reports and submissions are "
    "impossible: add --log_samples --output_path runs, or start it with `benchc run`"
)


class SampleTask(SamplesAsDocs, ConfigurableTask):  # type: ignore[misc]  # lmms-eval is untyped
    """Evaluate one corruption, or one design over all corruptions, over one dataset.

    A doc is a sample. It becomes one or more requests for each condition, numbered by `idx`, so a sample's clean and
    corrupted responses come together in `process_results`. A subclass defines the requests (`arguments_of`) and makes
    the record from the responses (`record_of`).

    Parameters
    ----------
    config : mapping
        The task's YAML. `metadata.corruption` names the corruption. If it is not one of the benchmark's,
        `metadata.module` names the module that registers it. Instead of a corruption, `metadata.design: lite` asks each
        sample under all corruptions, at one severity each, and `metadata.conditions_per_sample` is the number of
        conditions; see `benchc_metrics.designs`. `dataset_path` names the dataset and `dataset_kwargs.split` its split;
        see `benchc_tasks.datasets.load_dataset`. `metadata.ras_reading` chooses a reading of RAS; see
        `benchc_metrics.metrics.ras.READINGS`.
    """

    request_type: ClassVar[str]
    other_metrics: tuple[str, ...] = ()
    """Keys that `metrics_of_record` returns in addition to the metrics of the registry."""

    @fail_together()
    def __init__(self, config: Mapping[str, Any]) -> None:
        settings = {key: value for key, value in config.items() if key != "class"}
        metadata = dict(settings.get("metadata") or {})
        _refuse_misspelt(str(settings.get("task")), metadata)
        refuse_examples(str(settings.get("task")), settings.get("num_fewshot"))
        self.asked = AskedConditions.of_metadata(metadata)
        self.samples = load_samples(settings.get("dataset_path"), split_of(settings.get("dataset_kwargs")))
        self.reading = reading_of(metadata.get("ras_reading", DEFAULT_READING))
        self._contexts = {}
        # lmms-eval's response cache identifies a task only by its configuration, so the configuration must hold
        # everything that an answer depends on.
        settings["metadata"] = metadata | settings_of_samples(self.samples) | settings_of_ras(self.reading)
        super().__init__(config=settings)

    def download(self, dataset_kwargs: Mapping[str, Any] | None = None) -> None:
        """Pass the samples to lmms-eval, with and without images; lmms-eval's own method would retry after faults."""
        split = self.config.test_split
        self.dataset = DocsOfTask({split: self.samples})
        self.dataset_no_image = {split: self.samples.without_images()}

    @property
    def prompt(self) -> Prompt:
        """The prompt for the evaluated model, after the YAML's `description`."""
        model = getattr(getattr(self, "args", None), "model", None)
        prompt = Prompt.for_model(self.config.lmms_eval_specific_kwargs, model if isinstance(model, str) else None)
        return prompt.after(self.config.description or "")

    def doc_to_visual(self, doc: Mapping[str, Any]) -> list[Any]:
        """Return the clean picture of a sample."""
        return [decode_image(doc["image"], sample=doc["id"])]

    def fewshot_context(self, doc: Mapping[str, Any], *settings: Any, **named_settings: Any) -> str:
        """Write the context of a sample; lmms-eval's own method would add other texts, which are refused."""
        return str(self.doc_to_text(doc))

    @fail_together()
    def build_all_requests(self, **settings: Any) -> None:
        """Build the requests of all samples.

        Raises
        ------
        ValueError
            If a setting would change the prompt without a trace in the record; or if requests are to be stored
            (`--cache_requests`), because lmms-eval does not store functions and so loses each picture's condition.
        OutputFolderError
            If the results cannot be written.
        """
        _refuse_settings(self.task_name, self.config.num_fewshot, settings)
        _END.begin(self.task_name, (type(self), self.samples.fingerprint, self.asked.design))
        super().build_all_requests(**settings)
        arguments = getattr(self, "args", None)
        if settings.get("rank", 0) == 0 and not getattr(arguments, "log_samples", True):
            _warn_of_lost_answers()
        output_path = getattr(arguments, "output_path", None)
        if output_path and settings.get("rank", 0) == 0:
            check_output_folder(Path(output_path), len(self._instances))

    def construct_requests(self, doc_id: int, ctx: str, **settings: Any) -> list[Instance]:
        """Build the requests of one sample, condition by condition.

        Parameters
        ----------
        doc_id : int
            The sample's place in the dataset.
        ctx : str
            The prompt.
        **settings
            The `metadata` of the instances.

        Returns
        -------
        list of Instance
            Instances with `idx` counting up.
        """
        doc = self.dataset_no_image[self.config.test_split][doc_id]
        self.note_context(doc, ctx)
        return [
            Instance(
                request_type=self.request_type,
                arguments=(*arguments, self.config.task, self.config.test_split),
                idx=idx,
                **settings,
            )
            for idx, arguments in enumerate(self.arguments_of(doc_id, doc, ctx))
        ]

    def arguments_of(self, doc_id: int, doc: Mapping[str, Any], ctx: str) -> Iterable[tuple[Any, ...]]:
        """Return the arguments of a sample's requests, without task and split; each kind of task overrides it."""
        raise NotImplementedError

    # It raises a fault at once; lmms-eval's own method retries.
    process_results = fail_together()(SamplesAsDocs.process_results)

    def answering(self) -> AnsweringModel:
        """Return what the model says of itself, if anything."""
        return self.dataset.model or AnsweringModel()

    def aggregation(self) -> dict[str, Any]:
        """Return the aggregators, and for the records one that reports cautions."""
        return {**self._aggregation_list, RECORD_KEY: self._cautions}

    def _cautions(self, records: MutableSequence[Mapping[str, Any]]) -> list[str]:
        return _END.end(self.task_name, records)

    def _prepare_metric_and_aggregation(self) -> None:
        """Read `metric_list`; lmms-eval's own method accepts only metrics of its registry."""
        named = [entry["metric"] for entry in self.config.metric_list]
        known = (*METRICS, *METRICS_OF_VOTES, *self.other_metrics)
        unknown = [name for name in named if name not in known]
        if unknown:
            raise ValueError(
                f"metric_list names {quoted(unknown[0])}, which is not one of {', '.join(known)}: correct the task's "
                "YAML"
                f"{close_to_it(unknown[0], known)}"
            )
        self.metric_names = [name for name in named if name in EVERY_METRIC]
        self._metric_fn_list: dict[str, Any] = {entry["metric"]: None for entry in self.config.metric_list}
        self._metric_fn_kwargs: dict[str, Any] = {entry["metric"]: {} for entry in self.config.metric_list}
        self._aggregation_list = {entry["metric"]: entry["aggregation"] for entry in self.config.metric_list}
        self._higher_is_better = {entry["metric"]: entry["higher_is_better"] for entry in self.config.metric_list}

    def _prepare_model_specific_config(self) -> None:
        """Do nothing: `prompt` handles model-specific settings; lmms-eval's own method does not know the model."""


class BenchCTask(OptionScoring, SampleTask):
    """Evaluate one corruption over one dataset by option log-likelihoods, one request for each (condition, option).

    Parameters
    ----------
    config : mapping
        As in `SampleTask`.
    """

    request_type = "loglikelihood"
    other_metrics = ("length_normalised",)

    def arguments_of(self, doc_id: int, doc: Mapping[str, Any], ctx: str) -> Iterable[tuple[Any, ...]]:
        """Return context, letter, picture and doc id, condition by condition and option by option."""
        return (
            (ctx, letter, ConditionedPicture(self.samples.fingerprint, doc["id"], condition), doc_id)
            for condition in self.conditions_of(doc)
            for letter in self.doc_to_choice(doc)
        )


@functools.lru_cache(maxsize=1)
def _warn_of_lost_answers() -> None:
    logger.warning(LOST_ANSWERS)


def _refuse_misspelt(task: str, metadata: Mapping[str, Any]) -> None:
    """Refuse a key that looks like a misspelt option of ours; other keys are the user's own notes."""
    for name in metadata.keys() - set(TASK_OPTIONS):
        if meant := closest(name, TASK_OPTIONS, most=1, likeness=0.8):
            raise ValueError(
                f"metadata of {task} has {quoted(name)}: write {meant[0]}, or use another name for your own note"
            )


def _refuse_settings(task: str, num_fewshot: int | None, settings: Mapping[str, Any]) -> None:
    """Refuse settings that would add text to the prompt, and requests that cannot be stored."""
    if settings.get("system_instruction") is not None:
        raise ValueError(
            f"--system_instruction would be added before the question of {task}, not in its place in the chat "
            "template: give the text with --model_args system_prompt=..., or as pre_prompt in the task's YAML"
        )
    if settings.get("apply_chat_template"):
        raise ValueError(f"--apply_chat_template is not for {task}: models apply their own chat template; leave it out")
    refuse_examples(task, num_fewshot)
    if settings.get("cache_requests"):
        raise ValueError(
            f"--cache_requests cannot store the requests of {task}, as lmms-eval loses their pictures: leave it out"
        )
