"""The lmms-eval tasks: one doc is one sample with all its conditions.

`SampleTask` is what all of them share, `BenchCTask` the one that asks for option log-likelihoods.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from lmms_eval.api.instance import Instance
from lmms_eval.api.task import ConfigurableTask
from loguru import logger

from benchc_metrics.assembly import assemble_record
from benchc_metrics.benchmark import LETTERS, Condition, conditions_under
from benchc_metrics.metrics.registry import METRICS
from benchc_metrics.records import RECORD_KEY
from benchc_tasks.corruptions import CORRUPTIONS, ENGINE_VERSION
from benchc_tasks.datasets import SOURCE_VARIABLE, SampleDataset, decode_image, load_dataset
from benchc_tasks.datasets.file_states import FileState, file_states
from benchc_tasks.models.processes import fail_together
from benchc_tasks.stacks.lmms_eval.aggregators import items_of_record
from benchc_tasks.stacks.output_folder import check_output_folder
from benchc_tasks.stacks.pictures import ConditionedPicture
from benchc_tasks.stacks.prompting import Prompt

__all__ = ["BenchCTask", "SampleTask", "conditions_of"]

DEMONSTRATION_NOTICE = (
    "benchc runs on its bundled demonstration set, whose figures show how things work and are no Bench-C result: "
    "name a dataset with BENCHC_DATASET or with dataset_path in the task's YAML."
)


def conditions_of(corruption: str) -> tuple[Condition, ...]:
    """Return the conditions of a corruption's task: clean, then the corruption at every severity.

    Raises
    ------
    ValueError
        If no corruption has that name.
    """
    if corruption not in CORRUPTIONS:
        raise ValueError(
            f"metadata.corruption is {corruption!r}, which is none of {', '.join(CORRUPTIONS)}: correct the task's YAML"
        )
    return conditions_under(corruption)


class SampleTask(ConfigurableTask):  # type: ignore[misc]  # lmms-eval is untyped
    """One corruption over one dataset, whose docs are samples: what it loads, and the words of a question.

    Parameters
    ----------
    config : mapping
        The task's YAML. `metadata.corruption` names the corruption; `dataset_path` the dataset, and
        `dataset_kwargs.split` its split, see `benchc_tasks.datasets.load_dataset`.
    """

    other_metrics: tuple[str, ...] = ()
    """What `metrics_of` returns beside the metrics of the registry."""

    @fail_together()
    def __init__(self, config: Mapping[str, Any]) -> None:
        settings = {key: value for key, value in config.items() if key != "class"}
        metadata = dict(settings.get("metadata") or {})
        self.conditions = conditions_of(str(metadata.get("corruption")))
        self.samples = _load_samples(settings.get("dataset_path"), settings.get("dataset_kwargs") or {})
        # lmms-eval's response cache knows a task by its configuration alone: what an answer depends on stands there.
        settings["metadata"] = metadata | {
            "dataset": self.samples.fingerprint,
            "demonstration": self.samples.is_demonstration,
            "engine": ENGINE_VERSION,
        }
        super().__init__(config=settings)

    def download(self, dataset_kwargs: Mapping[str, Any] | None = None) -> None:
        """Hand the samples to lmms-eval, with their images and without; lmms-eval's own method would retry faults."""
        split = self.config.test_split
        self.dataset: dict[str, Sequence[dict[str, Any]]] = {split: self.samples}
        self.dataset_no_image = {split: self.samples.without_images()}

    @property
    def prompt(self) -> Prompt:
        """The prompt for the model that is being evaluated."""
        model = getattr(getattr(self, "args", None), "model", None)
        return Prompt.for_model(self.config.lmms_eval_specific_kwargs, model if isinstance(model, str) else None)

    def doc_to_text(self, doc: Mapping[str, Any]) -> str:
        """Write the prompt of a sample."""
        return self.prompt.text(doc["question"], doc["options"])

    def doc_to_target(self, doc: Mapping[str, Any]) -> str:
        """Return the letter of the right option."""
        return LETTERS[doc["answer"]]

    def doc_to_choice(self, doc: Mapping[str, Any]) -> list[str]:
        """Return the letters of the options."""
        return list(LETTERS[: len(doc["options"])])

    def doc_to_visual(self, doc: Mapping[str, Any]) -> list[Any]:
        """Return the clean picture of a sample."""
        return [decode_image(doc["image"], sample=doc["id"])]

    def facts_of(self, doc: Mapping[str, Any]) -> dict[str, Any]:
        """Return what a sample's record says beside the answers, by the names that records give it."""
        return {
            "sample": doc["id"],
            "source": doc["source"],
            "category": doc["category"],
            "answer": doc["answer"],
            "option_count": len(doc["options"]),
            "conditions": [str(condition) for condition in self.conditions],
            "dataset": self.samples.fingerprint,
            "engine": ENGINE_VERSION,
            "benchc": version("benchc"),
            "prompt": self.prompt.text("{question}", ["{option}"]),
        }

    @fail_together()
    def build_all_requests(self, **settings: Any) -> None:
        """Build the requests of all samples.

        Raises
        ------
        ValueError
            If they are to be kept (`--cache_requests`): lmms-eval keeps no function, and so no picture's condition.
        OutputFolderError
            If the results could not be written.
        """
        if settings.get("cache_requests"):
            raise ValueError(
                f"--cache_requests cannot keep the requests of {self.task_name}, whose pictures lmms-eval forgets: "
                "leave it out"
            )
        super().build_all_requests(**settings)
        output_path = getattr(getattr(self, "args", None), "output_path", None)
        if output_path and settings.get("rank", 0) == 0:
            check_output_folder(Path(output_path), len(self._instances))

    @fail_together()
    def process_results(
        self, doc: Mapping[str, Any], results: Sequence[Any], full_docs: object = None
    ) -> dict[str, Any]:
        """Turn the answers to one sample into its metrics and its record.

        Without the retries that lmms-eval's own method has: a fault is told at once.

        Parameters
        ----------
        doc : mapping
            The sample.
        results : sequence
            The filtered answers in the order of `construct_requests`.
        full_docs : object
            Not used.

        Returns
        -------
        dict
            Metric name to what the sample gives to its aggregator, and `benchc`, the record that the samples log keeps.
        """
        return self.metrics_of(doc, results)

    def metrics_of(self, doc: Mapping[str, Any], results: Sequence[Any]) -> dict[str, Any]:
        """Return what `process_results` does; each kind of task has its own."""
        raise NotImplementedError

    def _prepare_metric_and_aggregation(self) -> None:
        """Read `metric_list`; lmms-eval's own method asks for metrics of its registry."""
        named = [entry["metric"] for entry in self.config.metric_list]
        unknown = [name for name in named if name not in METRICS and name not in self.other_metrics]
        if unknown:
            raise ValueError(
                f"metric_list names {unknown[0]!r}, which is none of {', '.join((*METRICS, *self.other_metrics))}: "
                "correct the task's YAML"
            )
        self.registered_metrics = [name for name in named if name in METRICS]
        self._metric_fn_list: dict[str, Any] = {entry["metric"]: None for entry in self.config.metric_list}
        self._metric_fn_kwargs: dict[str, Any] = {entry["metric"]: {} for entry in self.config.metric_list}
        self._aggregation_list = {entry["metric"]: entry["aggregation"] for entry in self.config.metric_list}
        self._higher_is_better = {entry["metric"]: entry["higher_is_better"] for entry in self.config.metric_list}

    def _prepare_model_specific_config(self) -> None:
        """Leave the model-specific settings to `prompt`, which knows the model; lmms-eval's own method does not."""


class BenchCTask(SampleTask):
    """One corruption over one dataset, by option log-likelihoods.

    A doc is a sample. It becomes one loglikelihood request for each (condition, option), numbered through by `idx`, so
    that a sample's clean and corrupted answers meet in `process_results`.

    Parameters
    ----------
    config : mapping
        As in `SampleTask`.
    """

    other_metrics = ("length_normalised",)

    def construct_requests(self, doc_id: int, ctx: str, **settings: Any) -> list[Instance]:
        """Build the requests of one sample, condition by condition and option by option.

        Parameters
        ----------
        doc_id : int
            The sample's place in the dataset.
        ctx : str
            The prompt.
        **settings
            `metadata` of the instances.

        Returns
        -------
        list of Instance
            Conditions x options requests, `idx` counting through.
        """
        doc = self.dataset_no_image[self.config.test_split][doc_id]
        requests = [
            (ctx, letter, ConditionedPicture(self.samples.fingerprint, doc["id"], condition))
            for condition in self.conditions
            for letter in self.doc_to_choice(doc)
        ]
        return [
            Instance(
                request_type="loglikelihood",
                arguments=(*request, doc_id, self.config.task, self.config.test_split),
                idx=idx,
                **settings,
            )
            for idx, request in enumerate(requests)
        ]

    def metrics_of(self, doc: Mapping[str, Any], results: Sequence[Any]) -> dict[str, Any]:
        """Return the metrics and the record of one sample."""
        record = assemble_record(results, **self.facts_of(doc))
        return {
            **items_of_record(record, self.registered_metrics),
            "length_normalised": float(record.length_normalised),
            RECORD_KEY: record.to_json_dict(),
        }


def _load_samples(dataset_path: str | None, dataset_kwargs: Mapping[str, Any]) -> SampleDataset:
    """Load a dataset once for all tasks of a run."""
    unknown = dataset_kwargs.keys() - {"split"}
    if unknown:
        raise ValueError(
            f"dataset_kwargs has {', '.join(sorted(unknown))}, but benchc takes only split: leave the rest out"
        )
    source = dataset_path or os.environ.get(SOURCE_VARIABLE) or None
    return _load_samples_of(source, dataset_kwargs.get("split"), file_states(source) if source else ())


@functools.lru_cache(maxsize=4)
def _load_samples_of(source: str | None, split: str | None, states: tuple[FileState, ...]) -> SampleDataset:
    """Keep a dataset as long as its files stay as they are."""
    samples = load_dataset(source, split)
    if os.environ.get("RANK", "0") == "0":
        if samples.is_demonstration:
            logger.warning(DEMONSTRATION_NOTICE)
        for note in samples.notes:
            logger.warning(f"{samples.source}: {note}")
    return samples
