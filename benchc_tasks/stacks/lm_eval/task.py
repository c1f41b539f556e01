"""The tasks of lm-evaluation-harness: one doc is one sample with all its conditions.

`SampleTask` is the pipeline that both share; `BenchCTask` asks for option log-likelihoods, `GenerationTask` for a text.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, MutableSequence, Sequence
from typing import Any, ClassVar

from lm_eval.api.instance import Instance
from lm_eval.api.task import Task
from lm_eval.config.task import TaskConfig

from benchc_metrics.messages import quoted
from benchc_metrics.metrics.ras import DEFAULT_READING
from benchc_metrics.metrics.registry import METRICS
from benchc_metrics.records import RECORD_KEY, SampleRecord
from benchc_metrics.records.assembly import assemble_generation_record
from benchc_tasks.datasets import SampleDataset
from benchc_tasks.stacks.aggregators import mean, over_samples
from benchc_tasks.stacks.common import (
    AnsweringModel,
    AskedConditions,
    load_samples,
    metrics_of_letters,
    reading_of,
    refuse_examples,
    say_that_ras_is_not_defined,
    settings_of_ras,
    settings_of_samples,
    split_of,
)
from benchc_tasks.stacks.ending import EvaluationEnd
from benchc_tasks.stacks.lm_eval.model import answering_model
from benchc_tasks.stacks.lm_eval.pictures import ShownPicture
from benchc_tasks.stacks.lm_eval.registration import register
from benchc_tasks.stacks.model_identity import model_identity
from benchc_tasks.stacks.pictures import why_undecodable
from benchc_tasks.stacks.prompting import Prompt, task_prompt
from benchc_tasks.stacks.sample_tasks import OptionScoring, SamplesAsDocs

__all__ = ["BenchCTask", "GenerationTask", "SampleTask"]

IMAGE_PLACEHOLDER = "<image>"
"""Where the harness's models put the picture."""

NO_CAUTION = "no caution"

_END = EvaluationEnd()

register()


class SampleTask(SamplesAsDocs, Task):  # type: ignore[misc]  # lm-evaluation-harness is skipped
    """One corruption, or one design over all of them, over one dataset, whose docs are samples.

    Parameters
    ----------
    config : mapping
        The task's YAML. `metadata.corruption` names the corruption, and `metadata.module` the module that registers it
        where it is not one of the benchmark's; in their place `metadata.design` and `metadata.conditions_per_sample`
        choose conditions, see `benchc_metrics.designs`. `dataset_path` names the dataset and `dataset_kwargs.split` its
        split, see `benchc_tasks.datasets.load_dataset`. `metadata.ras_reading` chooses a reading of RAS, and
        `metadata.prompt` has the texts `pre_prompt` and `post_prompt`.
    """

    VERSION = 1.0
    MULTIMODAL = True
    request_type: ClassVar[str]

    def __init__(self, config: Mapping[str, Any]) -> None:
        settings = {key: value for key, value in config.items() if key != "class"}
        metadata = dict(settings.get("metadata") or {})
        refuse_examples(str(settings.get("task")), settings.get("num_fewshot"))
        self.asked = AskedConditions.of_metadata(metadata)
        self.samples = load_samples(settings.get("dataset_path"), split_of(settings.get("dataset_kwargs")))
        self.reading = reading_of(metadata.get("ras_reading", DEFAULT_READING))
        prompt = Prompt.for_model(metadata["prompt"], None) if "prompt" in metadata else task_prompt()
        self._prompt = prompt.after(settings.get("description") or "")
        self.metric_names = self._metric_names([entry["metric"] for entry in settings.get("metric_list") or ()])
        self._answering = AnsweringModel()
        self._contexts = {}
        self._docs = self.samples.without_images()
        self._positions = {sample: place for place, sample in enumerate(self.samples.ids)}
        super().__init__()
        self._config = TaskConfig(
            **{**settings, "metadata": metadata | settings_of_samples(self.samples) | settings_of_ras(self.reading)}
        )

    def download(self, *settings: object, **named_settings: object) -> None:
        """Do nothing: the samples are loaded already."""

    def has_training_docs(self) -> bool:
        """Say that there are no examples."""
        return False

    def has_validation_docs(self) -> bool:
        """Say that there are no examples."""
        return False

    def has_test_docs(self) -> bool:
        """Say that there are samples."""
        return True

    def test_docs(self) -> SampleDataset:
        """Return the samples, without their images."""
        return self._docs

    @property
    def prompt(self) -> Prompt:
        """The prompt, a YAML's `description` before it."""
        return self._prompt

    def fewshot_context(self, doc: Mapping[str, Any], *settings: Any, **named_settings: Any) -> str:
        """Write the context of a sample; the harness's own method would glue other texts on, which are refused."""
        return self.doc_to_text(doc)

    def build_all_requests(self, **settings: Any) -> None:
        """Build the requests of all samples.

        Raises
        ------
        ValueError
            If something is asked for that would change the prompt behind the record's back, or the requests are to be
            kept (`--cache_requests`): they hold pictures.
        """
        name = self.task_name
        refuse_examples(name, self.config.num_fewshot)
        if settings.get("cache_requests"):
            raise ValueError(f"--cache_requests cannot keep the requests of {name}, which show pictures: leave it out")
        if self.config.repeats > 1:
            raise ValueError(f"{name} asks for each answer once: leave repeats out")
        self._refuse_prompting(settings)
        _END.begin(name, (type(self), self.samples.fingerprint, self.asked.design))
        super().build_all_requests(**settings)

    def construct_requests(self, doc: Mapping[str, Any], ctx: str, **settings: Any) -> list[Instance]:
        """Build the requests of one sample, condition by condition; `idx` counts through."""
        # Without the chat template, which is the model's own.
        self.note_context(doc, self.doc_to_text(doc))
        return [
            Instance(
                request_type=self.request_type, doc=doc, arguments=arguments, idx=idx, metadata=settings["metadata"]
            )
            for idx, arguments in enumerate(self.arguments_of(doc, ctx))
        ]

    def arguments_of(self, doc: Mapping[str, Any], ctx: str) -> Iterable[tuple[Any, ...]]:
        """Return the arguments of a sample's requests; each kind of task has its own."""
        raise NotImplementedError

    def answering(self) -> AnsweringModel:
        """Return what is known of the model that answers."""
        return self._answering

    def aggregation(self) -> dict[str, Callable[..., Any]]:
        """Return the aggregators; that of the records says what a reader must know."""
        return {**dict.fromkeys(self.metric_names, over_samples), RECORD_KEY: self._cautions}

    def higher_is_better(self) -> dict[str, bool | None]:
        """Return for each metric whether more is better."""
        return {name: METRICS[name].higher_is_better for name in self.metric_names}

    def _cautions(self, records: MutableSequence[Mapping[str, Any]]) -> str:
        return ", ".join(_END.end(self.task_name, records)) or NO_CAUTION

    def _metric_names(self, named: Sequence[str]) -> list[str]:
        unknown = [name for name in named if name not in METRICS]
        if unknown:
            raise ValueError(
                f"metric_list names {quoted(unknown[0])}, which is none of {', '.join(METRICS)}: correct the "
                "task's YAML"
            )
        return list(named) or self.all_metrics()

    def all_metrics(self) -> list[str]:
        """List the metrics of a task whose YAML names none."""
        return list(METRICS)

    def _refuse_prompting(self, settings: Mapping[str, Any]) -> None:
        """Refuse what would change the prompt."""
        if settings.get("system_instruction") is not None:
            raise ValueError(
                f"--system_instruction is not for {self.task_name}: give the text with --model_args system_prompt=..., "
                "or as metadata.prompt.pre_prompt in the task's YAML"
            )
        if settings.get("apply_chat_template"):
            raise ValueError(
                f"--apply_chat_template is not for {self.task_name}, whose model puts every question into its own chat "
                "template: leave it out"
            )


class BenchCTask(OptionScoring, SampleTask):
    """One corruption over one dataset, by option log-likelihoods: a request for each (condition, option).

    Parameters
    ----------
    config : mapping
        As in `SampleTask`.
    """

    OUTPUT_TYPE = request_type = "loglikelihood"

    def answering(self) -> AnsweringModel:
        """Return what the model `benchc` says of itself."""
        return answering_model()

    def arguments_of(self, doc: Mapping[str, Any], ctx: str) -> Iterable[tuple[Any, ...]]:
        """Return context, letter and picture, condition by condition and option by option."""
        position = self._positions[doc["id"]]
        for condition in self.conditions_of(doc):
            shown = ShownPicture(self.samples, position, condition)
            for letter in self.doc_to_choice(doc):
                yield ctx, letter, shown

    def aggregation(self) -> dict[str, Callable[..., Any]]:
        """Return the aggregators."""
        return {**super().aggregation(), "length_normalised": mean}

    def higher_is_better(self) -> dict[str, bool | None]:
        """Return for each metric whether more is better."""
        return {**super().higher_is_better(), "length_normalised": False}


class GenerationTask(SampleTask):
    """One corruption over one dataset, by generated texts: a request for each condition.

    Parameters
    ----------
    config : mapping
        As in `SampleTask`; `generation_kwargs` are the harness's.
    """

    OUTPUT_TYPE = request_type = "generate_until"

    def __init__(self, config: Mapping[str, Any]) -> None:
        say_that_ras_is_not_defined()
        self._answered_by = ""
        self._undecodable: dict[str, str] = {}
        super().__init__(config)

    def fewshot_context(
        self,
        doc: Mapping[str, Any],
        *settings: Any,
        chat_template: Callable[..., str] | None = None,
        system_instruction: str | None = None,
        **named_settings: Any,
    ) -> str:
        """Write the context of a sample, in the model's chat template where `--apply_chat_template` asks for it."""
        text = f"{IMAGE_PLACEHOLDER}{self.doc_to_text(doc)}"
        if chat_template is None:
            return text
        system = [{"role": "system", "content": system_instruction}] if system_instruction else []
        return chat_template([*system, {"role": "user", "content": text}])

    def build_all_requests(self, **settings: Any) -> None:
        """Build the requests of all samples, whose kept answers are those of one model."""
        self._answering = AnsweringModel(system_prompt=settings.get("system_instruction"))
        model = getattr(settings.get("chat_template"), "__self__", None)
        arguments = {name: value for name, value in self.config.metadata.items() if name not in _OUR_METADATA}
        identity = model_identity(type(model).__name__ if model is not None else "model", arguments)
        self._answered_by = f"answers of {hashlib.sha256((identity or '').encode()).hexdigest()[:16]}"
        super().build_all_requests(**settings)

    def arguments_of(self, doc: Mapping[str, Any], ctx: str) -> Iterable[tuple[Any, ...]]:
        """Return context, settings and picture, condition by condition."""
        position = self._positions[doc["id"]]
        if reason := why_undecodable(self.samples, position):
            self._undecodable[doc["id"]] = reason
        for condition in self.conditions_of(doc):
            shown = ShownPicture(self.samples, position, condition, self._answered_by)
            yield ctx, dict(self.config.generation_kwargs), {"visual": shown}

    def record_of(self, doc: Mapping[str, Any], results: Sequence[Any]) -> SampleRecord:
        """Make the record of one sample from the texts; none counts where the image cannot be decoded."""
        if reason := self._undecodable.get(doc["id"]):
            results = [{"invalid": reason}] * len(results)
        return assemble_generation_record(results, options=doc["options"], **self.facts_of(doc))

    def all_metrics(self) -> list[str]:
        """List the metrics that predictions alone define, and `ras`, to say that it is not defined."""
        return metrics_of_letters()

    def _refuse_prompting(self, settings: Mapping[str, Any]) -> None:
        if settings.get("system_instruction") is not None and not settings.get("apply_chat_template"):
            raise ValueError(
                f"--system_instruction needs --apply_chat_template for {self.task_name}: add it, or leave both out"
            )


_OUR_METADATA = frozenset(
    {"version", "corruption", "corruptions", "design", "conditions_per_sample", "module", "ras_reading", "prompt"}
    | {"config_source", "dataset", "demonstration", "engine", "ras_version"}
)
"""Keys of a task's metadata that are not arguments of the model, which the harness adds."""
