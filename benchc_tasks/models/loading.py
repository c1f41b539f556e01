"""Load models and their processors by transformers."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch

from benchc_metrics.messages import close_to_it, quoted
from benchc_tasks.datasets.schema import reason_of
from benchc_tasks.models.arguments import BENCHC_ARGUMENTS, MODEL_ARGUMENTS, PROCESSOR_ARGUMENTS

__all__ = [
    "LoadedModel",
    "load_checkpoint",
    "named_reason",
    "one_sentence",
    "refuse_missing_weights",
    "with_head",
]

IMAGE_CLASS, MULTIMODAL_CLASS = "AutoModelForImageTextToText", "AutoModelForMultimodalLM"
TEXT_CLASS = "AutoModelForCausalLM"
"""What many a checkpoint with code of its own names for a model that takes images as well."""

HUB_ID = re.compile(r"[\w-][\w.-]*(/[\w-][\w.-]*)?", re.ASCII)


@dataclass(frozen=True)
class LoadedModel:
    """A model that is ready to score.

    Attributes
    ----------
    model : transformers.PreTrainedModel
        With a language-model head, in evaluation mode.
    processor : transformers.ProcessorMixin
        Makes its input.
    tokenizer : transformers.PreTrainedTokenizerBase
        Its tokenizer.
    """

    model: Any
    processor: Any
    tokenizer: Any


def load_processor(pretrained: str, arguments: Mapping[str, Any]) -> Any:
    """Load the processor of a checkpoint, without its model.

    Parameters
    ----------
    pretrained, arguments
        As in `load_checkpoint`.

    Raises
    ------
    ValueError
        If it cannot be loaded, is none of images and text, or an argument is unknown.
    """
    from transformers import AutoProcessor

    # Where nothing is said, transformers asks whoever sits at the terminal, and waits.
    said = {"trust_remote_code": False, **arguments}
    for_processor = {name: value for name, value in said.items() if name in PROCESSOR_ARGUMENTS}
    for_images = {name: value for name, value in arguments.items() if name not in MODEL_ARGUMENTS}
    called = f"model {quoted(pretrained)}"
    with one_sentence(called, pretrained, arguments):
        processor = AutoProcessor.from_pretrained(pretrained, **for_processor, **for_images)
    if not hasattr(processor, "tokenizer"):
        raise ValueError(
            f"{called} has no processor of images and text: name the checkpoint of a vision-language model"
        )
    _refuse_unknown(for_images, processor)
    return processor


def load_checkpoint(
    pretrained: str, arguments: Mapping[str, Any], *, device: torch.device, dtype: torch.dtype | None
) -> LoadedModel:
    """Load a checkpoint by transformers' automatic classes: for images and text, or else for several modalities.

    Parameters
    ----------
    pretrained : str
        A folder or a hub id.
    arguments : mapping
        `attn_implementation`, `device_map`, `low_cpu_mem_usage`, `max_memory`, `revision`, `trust_remote_code`, and
        settings of the image processor such as `max_pixels`.
    device : torch.device
        Where to put it, unless `device_map` says otherwise.
    dtype : torch.dtype or None
        Precision of its weights; None for the checkpoint's own.

    Raises
    ------
    ValueError
        If the checkpoint cannot be loaded, lacks weights such as the head's, or an argument is unknown.
    """
    said = {"trust_remote_code": False, **arguments}
    for_model = {name: value for name, value in said.items() if name in MODEL_ARGUMENTS}
    for_processor = {name: value for name, value in said.items() if name in PROCESSOR_ARGUMENTS}
    called = f"model {quoted(pretrained)}"
    processor = load_processor(pretrained, arguments)
    with one_sentence(called, pretrained, arguments):
        model, report = _model_class(pretrained, for_processor).from_pretrained(
            pretrained, dtype=dtype or "auto", output_loading_info=True, **for_model
        )
        if "device_map" not in for_model:
            model = model.to(device)
    refuse_missing_weights(report, called)
    return with_head(LoadedModel(model.eval(), processor, processor.tokenizer), called)


def _model_class(pretrained: str, arguments: Mapping[str, Any]) -> Any:
    """Return the automatic class that loads a checkpoint: by its configuration, or by what its own code names."""
    import transformers

    config = transformers.AutoConfig.from_pretrained(pretrained, **arguments)
    own = getattr(config, "auto_map", None) or {}
    known = transformers.models.auto.modeling_auto
    families = known.MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES
    if config.model_type in families or IMAGE_CLASS in own:
        return getattr(transformers, IMAGE_CLASS)
    several = getattr(known, "MODEL_FOR_MULTIMODAL_LM_MAPPING_NAMES", {})
    if config.model_type in several or MULTIMODAL_CLASS in own:
        return getattr(transformers, MULTIMODAL_CLASS)
    return getattr(transformers, TEXT_CLASS if TEXT_CLASS in own else IMAGE_CLASS)


def with_head(loaded: LoadedModel, called: str) -> LoadedModel:
    """Return a loaded model; refuse one without a language-model head, and one that encodes the prompt apart.

    Parameters
    ----------
    loaded : LoadedModel
        The model.
    called : str
        What the message calls it.

    Raises
    ------
    ValueError
        If it has no head, or is an encoder-decoder.
    """
    if getattr(loaded.model.config, "is_encoder_decoder", False):
        raise ValueError(
            f"{called} is a {type(loaded.model).__name__}, an encoder-decoder, whose options benchc cannot score: name "
            "a decoder-only model"
        )
    embeddings = getattr(loaded.model, "get_output_embeddings", lambda: None)()
    if embeddings is None:
        raise ValueError(
            f"{called} is a {type(loaded.model).__name__} without a language-model head, which gives no logits: name "
            "a checkpoint with its head"
        )
    return loaded


@contextmanager
def one_sentence(called: str, pretrained: str, arguments: Mapping[str, Any]) -> Iterator[None]:
    """Raise whatever the block raises as a ValueError of one sentence, with the cure.

    Parameters
    ----------
    called : str
        What the message calls the model.
    pretrained : str
        Folder or hub id; may be empty.
    arguments : mapping
        What it is built with. They are named without their values, one of which may be a key.

    Raises
    ------
    ValueError
        If the block raises any exception.
    """
    try:
        yield
    except Exception as fault:
        if pretrained and not os.path.isdir(pretrained) and not HUB_ID.fullmatch(pretrained):
            raise ValueError(
                f"{called} could not be loaded: {quoted(pretrained)} is neither a folder on this machine nor a hub id "
                "OWNER/NAME, so correct pretrained"
            ) from fault
        built_with = f" with {', '.join(sorted(arguments))}" if arguments else ""
        failure = f"{called} could not be loaded{built_with} ({named_reason(fault)})"
        raise ValueError(f"{failure}: {_cure(pretrained, arguments, fault)}") from fault


def _cure(pretrained: str, arguments: Mapping[str, Any], fault: Exception) -> str:
    if "trust_remote_code" in str(fault):
        return "its code is not part of transformers; give trust_remote_code=True if you have read it and trust it"
    if missing := _missing_packages(fault):
        return f"install what its processor or model needs: pip install {' '.join(missing)}"
    if pretrained and not os.path.isdir(pretrained) and isinstance(fault, OSError):
        return "correct the name, log in if it is private, or download it once with a network"
    if arguments:
        return f"correct these arguments, or {'name another checkpoint' if pretrained else 'give pretrained'}"
    return "name a whole checkpoint of a vision-language model"


def _missing_packages(fault: Exception) -> list[str]:
    """Return the packages whose absence a fault tells of, as pip knows them; empty if it tells of none."""
    if not isinstance(fault, ImportError):
        return []
    asked = re.findall(r"pip install ([\w.\[\] -]+)", str(fault))
    named = [word for words in asked for word in words.split() if not word.startswith("-")]
    return named or ([fault.name] if fault.name else [])


def refuse_missing_weights(report: Mapping[str, Any], called: str) -> None:
    """Refuse weights that transformers would fill with random numbers.

    Parameters
    ----------
    report : mapping
        What `from_pretrained` returns with `output_loading_info`.
    called : str
        What the message calls the model.

    Raises
    ------
    ValueError
        If weights are missing.
    """
    if missing := sorted(report["missing_keys"]):
        raise ValueError(
            f"{called} lacks {len(missing)} of its weights, {missing[0]} first: "
            "name a checkpoint with its language-model head"
        )


def _refuse_unknown(settings: Mapping[str, Any], processor: Any) -> None:
    images = getattr(processor, "image_processor", None)
    known = set(getattr(getattr(images, "valid_kwargs", None), "__annotations__", {}))
    for name in settings:
        if name not in known and not hasattr(images, name):
            cure = close_to_it(name, [*BENCHC_ARGUMENTS, *MODEL_ARGUMENTS, *known], "leave it out", likeness=0.7)
            raise ValueError(
                f"argument {quoted(name)} is unknown to benchc and to the image processor {type(images).__name__}{cure}"
            )


def named_reason(fault: Exception) -> str:
    """Return the type of a fault and its reason in one line."""
    return f"{type(fault).__name__}: {reason_of(fault)}"
