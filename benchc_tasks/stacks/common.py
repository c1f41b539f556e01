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
from typing import Any

from loguru import logger

from benchc_metrics.benchmark import CONTROL, CORRUPTION_FAMILIES, Condition, conditions_under
from benchc_metrics.designs import FULL, LITE, LITE_CONDITIONS, conditions_per_sample, lite_conditions, lite_design
from benchc_metrics.messages import close_to_it, quoted
from benchc_tasks.corruptions import CORRUPTIONS, ENGINE_VERSION
from benchc_tasks.datasets import SOURCE_VARIABLE, SampleDataset, load_dataset
from benchc_tasks.datasets.file_states import FileState, file_states
from benchc_tasks.stacks.prompting import question_with_options

__all__ = [
    "CORRUPTIONS_GROUP",
    "AnsweringModel",
    "AskedConditions",
    "SentContext",
    "conditions_of",
    "facts_of",
    "load_samples",
    "sent_context",
]

CORRUPTIONS_GROUP = "benchc.corruptions"
"""Entry point group of packages that bring corruptions; each entry names a module that registers some."""

LONGEST_PROMPT = 1000
"""Characters of a prompt that a record keeps as text; of a longer one it keeps the SHA-256."""

DEMONSTRATION_NOTICE = (
    "benchc runs on its bundled demonstration set, for demonstration only: its numbers are not Bench-C results; "
    "name a dataset with BENCHC_DATASET or with dataset_path in the task's YAML."
)

_QUESTION = question_with_options("{question}", ["{option}"])


@dataclass(frozen=True)
class AnsweringModel:
    """What a model says of itself that belongs into a record.

    Attributes
    ----------
    name : str or None
        Its own name for itself, as a server gives it.
    system_prompt : str or None
        The system message that is put before every question.
    chat_settings : mapping
        What is handed to the chat template, such as `enable_thinking`.
    """

    name: str | None = None
    system_prompt: str | None = None
    chat_settings: Mapping[str, object] | None = None


@dataclass(frozen=True)
class SentContext:
    """What was sent around a question.

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
    """Which conditions a task asks.

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


def facts_of(
    doc: Mapping[str, Any], samples: SampleDataset, conditions: Sequence[Condition], design: str | None = None
) -> dict[str, Any]:
    """Return what a sample's record says beside the responses and the context, by the names of its fields."""
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
    }


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
