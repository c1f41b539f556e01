"""What the tasks of every evaluation stack share: conditions, datasets, and the facts of a record. Imports no stack."""

from __future__ import annotations

import functools
import hashlib
import importlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import entry_points, version
from typing import Any, cast

from loguru import logger

from benchc_metrics.benchmark import CONTROL, CORRUPTION_FAMILIES, RAS_VERSION, Condition, conditions_under
from benchc_metrics.designs import FULL, LITE, LITE_CONDITIONS, conditions_per_sample, lite_conditions, lite_design
from benchc_metrics.messages import close_to_it, quoted
from benchc_metrics.metrics.ras import READINGS, Reading
from benchc_metrics.metrics.registry import METRICS, METRICS_OF_VOTES
from benchc_tasks.corruptions import CORRUPTIONS, ENGINE_VERSION
from benchc_tasks.datasets import SOURCE_VARIABLE, SampleDataset, load_dataset
from benchc_tasks.datasets.file_states import FileState, file_states
from benchc_tasks.stacks.prompting import question_with_options
from benchc_tasks.stacks.waiting import reading, waiting_for

__all__ = [
    "CORRUPTIONS_GROUP",
    "AnsweringModel",
    "AskedConditions",
    "SentContext",
    "conditions_of",
    "facts_of",
    "load_samples",
    "metrics_of_letters",
    "reading_of",
    "refuse_examples",
    "say_that_ras_is_not_defined",
    "sent_context",
    "settings_of_ras",
    "settings_of_samples",
    "split_of",
    "text_of",
]

CORRUPTIONS_GROUP = "benchc.corruptions"
"""Entry point group of packages that bring corruptions; each entry names a module that registers some."""

LONGEST_PROMPT = 1000
"""Characters of a prompt that a record keeps as text; of a longer one it keeps the SHA-256."""

DEMONSTRATION_NOTICE = (
    "benchc runs on its bundled demonstration set, for demonstration only: its numbers are not Bench-C results; "
    "name a dataset with BENCHC_DATASET or with dataset_path in the task's YAML."
)

RAS_NOTICE = (
    "benchc-gen tasks report accuracy, flips, destroyed and corrected answers; RAS is not defined for them, because it "
    "needs the log-likelihoods of all options, which the benchc_* tasks ask for."
)

_QUESTION = question_with_options("{question}", ["{option}"])


@dataclass(frozen=True)
class AnsweringModel:
    """Facts about a model that a record keeps.

    Attributes
    ----------
    name : str or None
        Its own name for itself, as a server gives it.
    system_prompt : str or None
        The system message that is put before every question.
    chat_settings : mapping
        What is handed to the chat template, such as `enable_thinking`.
    restoration : str or None
        What is done to every picture before the model sees it.
    thinking : str or None
        How thinking is skipped; None where it is not.
    draws_by_seed : bool
        Whether a seed decides which answers it draws.
    """

    name: str | None = None
    system_prompt: str | None = None
    chat_settings: Mapping[str, object] | None = None
    restoration: str | None = None
    thinking: str | None = None
    draws_by_seed: bool = False


@dataclass(frozen=True)
class SentContext:
    """The text sent around a question.

    Attributes
    ----------
    prompt : str
        The text with `{question}` and `{option}` in place of the sample's own, or its SHA-256 if it is long.
    fingerprint : str
        Of everything that was sent around the question: prompt, system text and chat settings.
    """

    prompt: str
    fingerprint: str


def conditions_of(corruption: str, module: str | None = None) -> tuple[Condition, ...]:
    """Return the conditions of a corruption's task: clean, then the corruption at every severity.

    Parameters
    ----------
    corruption : str
    module : str, optional
        A module that registers the corruption when it is imported. Without it, the entry points of the group
        `benchc.corruptions` are asked for a corruption that is not known.

    Raises
    ------
    ValueError
        If the module cannot be imported, or no corruption has that name.
    """
    if module is not None:
        try:
            importlib.import_module(module)
        except ImportError as fault:
            raise ValueError(
                f"metadata.module {quoted(module)} cannot be imported ({fault}): name a module that Python "
                "finds, such as a file in the current folder"
            ) from fault
    elif corruption not in CORRUPTIONS and corruption != CONTROL:
        for entry in entry_points(group=CORRUPTIONS_GROUP):
            entry.load()
    if corruption not in CORRUPTIONS and corruption != CONTROL:
        raise ValueError(
            f"metadata.corruption is {quoted(corruption)}, which is none of {', '.join(CORRUPTIONS)}: "
            f"correct the task's YAML, or name the module that registers it with metadata.module"
            f"{close_to_it(corruption, CORRUPTIONS)}"
        )
    return conditions_under(corruption)


@dataclass(frozen=True)
class AskedConditions:
    """The conditions that a task asks.

    Attributes
    ----------
    conditions : tuple of Condition
        All that it may ask, clean first.
    design : str or None
        The design that chooses some of them for each sample, see `benchc_metrics.designs`; None where every sample is
        asked all.
    """

    conditions: tuple[Condition, ...]
    design: str | None = None

    @classmethod
    def of_metadata(cls, metadata: Mapping[str, Any]) -> AskedConditions:
        """Read a task's metadata: `corruption` and `module`, or `design: lite` and `conditions_per_sample`.

        Raises
        ------
        ValueError
            If they name no corruption or no design; one sentence.
        """
        if "design" in metadata:
            return cls(conditions_under(*CORRUPTION_FAMILIES), _design_of(metadata))
        if "conditions_per_sample" in metadata:
            raise ValueError("metadata.conditions_per_sample needs a design: write metadata.design: lite beside it")
        module = metadata.get("module")
        return cls(conditions_of(str(metadata.get("corruption")), str(module) if module else None))

    def of_sample(self, sample: str) -> tuple[Condition, ...]:
        """Return the conditions of the sample of this id, clean first."""
        return self.conditions if self.design is None else lite_conditions(sample, conditions_per_sample(self.design))


def _design_of(metadata: Mapping[str, Any]) -> str | None:
    if metadata.get("corruption") is not None:
        raise ValueError("metadata has a corruption and a design: leave one of them out")
    if metadata["design"] != LITE:
        raise ValueError(f"metadata.design is {quoted(metadata['design'])}: write {LITE}")
    try:
        design = lite_design(metadata.get("conditions_per_sample", LITE_CONDITIONS))
    except ValueError as fault:
        raise ValueError(f"metadata.{fault}") from None
    return None if design == FULL else design


def whole_number_of(metadata: Mapping[str, Any], name: str, least: int = 0) -> int | None:
    """Read a whole number of a task's metadata; None where it is not given.

    Raises
    ------
    ValueError
        If it is not a whole number of `least` or more.
    """
    given = metadata.get(name)
    if given is not None and (not isinstance(given, int) or isinstance(given, bool) or given < least):
        raise ValueError(f"metadata.{name} is {quoted(given)}: write a whole number of {least} or more")
    return given


def load_samples(source: str | None, split: str | None) -> SampleDataset:
    """Load a dataset once for all tasks of a run.

    Parameters
    ----------
    source : str or None
        As in `load_dataset`; without one that of BENCHC_DATASET, else the bundled demonstration set.
    split : str or None
        As in `load_dataset`.
    """
    named = source or os.environ.get(SOURCE_VARIABLE) or None
    return _load_samples_of(named, split, file_states(named) if named else ())


def settings_of_samples(samples: SampleDataset) -> dict[str, Any]:
    """Return what a task's configuration says about its data, which results files keep and caches look at."""
    return {"dataset": samples.fingerprint, "demonstration": samples.is_demonstration, "engine": ENGINE_VERSION}


def settings_of_ras(reading: Reading) -> dict[str, Any]:
    """Return what a task's configuration says about RAS, so that results files say which one they hold."""
    return {"ras_version": RAS_VERSION, "ras_reading": reading}


def split_of(dataset_kwargs: Mapping[str, Any] | None) -> str | None:
    """Read a task's `dataset_kwargs`.

    Raises
    ------
    ValueError
        If there is more than a split.
    """
    unknown = (dataset_kwargs or {}).keys() - {"split"}
    if unknown:
        raise ValueError(
            f"dataset_kwargs has {', '.join(sorted(unknown))}, but benchc takes only split: leave the rest out"
        )
    return (dataset_kwargs or {}).get("split")


def reading_of(written: object) -> Reading:
    """Read a task's `metadata.ras_reading`.

    Raises
    ------
    ValueError
        If it does not name a reading of RAS.
    """
    if written not in READINGS:
        raise ValueError(
            f"metadata.ras_reading is {quoted(written)}, which is none of {', '.join(READINGS)}: correct "
            f"the task's YAML{close_to_it(written, READINGS)}"
        )
    return cast(Reading, written)


def refuse_examples(task: str, num_fewshot: object) -> None:
    """Refuse examples before a question.

    Raises
    ------
    ValueError
        If some are asked for.
    """
    if num_fewshot:
        raise ValueError(f"num_fewshot is {num_fewshot}, but {task} is asked without examples: set it to 0")


def facts_of(
    doc: Mapping[str, Any],
    samples: SampleDataset,
    conditions: Sequence[Condition],
    context: SentContext,
    *,
    model: str | None = None,
    restoration: str | None = None,
    thinking: str | None = None,
    design: str | None = None,
) -> dict[str, Any]:
    """Return what a sample's record says beside the responses, by the names of its fields.

    Parameters
    ----------
    doc : mapping
        The sample.
    samples : SampleDataset
    conditions : sequence of Condition
        Those of the sample.
    context : SentContext
        What was sent around the question.
    model : str, optional
        The model's own name for itself.
    restoration : str, optional
        What was done to every picture before the model saw it.
    thinking : str, optional
        What was done about the model's thinking.
    design : str, optional
        See `AskedConditions`.
    """
    return {
        "design": design,
        "sample": doc["id"],
        "source": doc["source"],
        "category": doc["category"],
        "answer": doc["answer"],
        "conditions": [str(condition) for condition in conditions],
        "dataset": samples.fingerprint,
        "engine": ENGINE_VERSION,
        "benchc": version("benchc"),
        "prompt": context.prompt,
        "context": context.fingerprint,
        "model": model,
        "restoration": restoration,
        "thinking": thinking,
    }


def metrics_of_votes() -> list[str]:
    """List the metrics of runs of votes; RAS from log-likelihoods is not among them."""
    return [*(name for name, metric in METRICS.items() if not metric.needs_distribution), *METRICS_OF_VOTES]


def metrics_of_letters() -> list[str]:
    """List the metrics that predictions alone define, and `ras`, which says there that it is not defined."""
    return [*(name for name, metric in METRICS.items() if not metric.needs_distribution), "ras"]


def sent_context(text: str, question: str, options: Sequence[str], model: AnsweringModel | None = None) -> SentContext:
    """Describe the context that was really sent for one sample.

    Parameters
    ----------
    text : str
        The prompt as it was sent.
    question, options
        The sample's own.
    model : AnsweringModel, optional
        The model that answers, where it is known.
    """
    system = model.system_prompt if model is not None else None
    written = text.replace(question_with_options(question, options), _QUESTION, 1)
    if system:
        written = f"[system] {system}\n{written}"
    settings = dict(model.chat_settings or {}) if model is not None else {}
    said = json.dumps([written, settings], sort_keys=True, default=str)
    digest = hashlib.sha256(said.encode("utf-8", "surrogatepass")).hexdigest()
    if len(written) > LONGEST_PROMPT:
        written = f"sha256:{hashlib.sha256(written.encode('utf-8', 'surrogatepass')).hexdigest()}"
    return SentContext(written, digest)


def text_of(system_prompt: str | None) -> str | None:
    """Read the file that a system prompt may name; a text stands for itself."""
    if system_prompt and os.path.isfile(system_prompt):
        with open(system_prompt, encoding="utf-8") as file:
            return file.read().strip()
    return system_prompt


@functools.lru_cache(maxsize=1)
def say_that_ras_is_not_defined() -> None:
    """Warn once that generated letters have no RAS."""
    if os.environ.get("RANK", "0") == "0":
        logger.warning(RAS_NOTICE)


@functools.lru_cache(maxsize=4)
def _load_samples_of(source: str | None, split: str | None, states: tuple[FileState, ...]) -> SampleDataset:
    """Keep a dataset as long as its files stay as they are."""
    with waiting_for(reading(source)):
        samples = load_dataset(source, split)
    if os.environ.get("RANK", "0") == "0":
        if samples.is_demonstration:
            logger.warning(DEMONSTRATION_NOTICE)
        for note in samples.notes:
            logger.warning(f"{samples.source}: {note}")
    return samples
