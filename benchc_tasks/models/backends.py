"""Models and their processors: loaded by transformers, or taken out of an lmms-eval backend."""

from __future__ import annotations

import difflib
import importlib.machinery
import importlib.util
import inspect
import os
import re
import sys
import types
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NoReturn

import torch

from benchc_tasks.datasets.schema import reason_of

__all__ = ["LoadedModel", "find_backend", "load_backend", "load_checkpoint"]

HEADLESS_BACKENDS = ("huggingface", "async_hf_model", "async_hf")
MODEL_NAMES = ("model", "_model")
PROCESSOR_NAMES = ("processor", "_processor", "_image_processor", "image_processor")
TOKENIZER_NAMES = ("tokenizer", "_tokenizer")

MODEL_ARGUMENTS = (
    "attn_implementation",
    "device_map",
    "low_cpu_mem_usage",
    "max_memory",
    "revision",
    "trust_remote_code",
)
PROCESSOR_ARGUMENTS = ("revision", "trust_remote_code")
BENCHC_ARGUMENTS = (
    "backend",
    "batch_size",
    "device",
    "dtype",
    "enable_thinking",
    "heartbeat",
    "look_ahead",
    "max_batch_size",
    "pretrained",
    "render_threads",
    "system_prompt",
)
"""What the model `benchc` takes itself: a misspelt one arrives here among a checkpoint's arguments."""

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


def load_checkpoint(
    pretrained: str, arguments: Mapping[str, Any], *, device: torch.device, dtype: torch.dtype | None
) -> LoadedModel:
    """Load a checkpoint by transformers' AutoModelForImageTextToText and AutoProcessor.

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
    from transformers import AutoModelForImageTextToText, AutoProcessor

    for_model = {name: value for name, value in arguments.items() if name in MODEL_ARGUMENTS}
    for_processor = {name: value for name, value in arguments.items() if name in PROCESSOR_ARGUMENTS}
    for_images = {name: value for name, value in arguments.items() if name not in MODEL_ARGUMENTS}
    called = f"model {pretrained!r}"
    with _one_sentence(called, pretrained, arguments):
        processor = AutoProcessor.from_pretrained(pretrained, **for_processor, **for_images)
    if not hasattr(processor, "tokenizer"):
        raise ValueError(
            f"{called} has no processor of images and text: name the checkpoint of a vision-language model"
        )
    _refuse_unknown(for_images, processor)
    with _one_sentence(called, pretrained, arguments):
        model, report = AutoModelForImageTextToText.from_pretrained(
            pretrained, dtype=dtype or "auto", output_loading_info=True, **for_model
        )
        if "device_map" not in for_model:
            model = model.to(device)
    _refuse_missing_weights(report, called)
    return _checked(LoadedModel(model.eval(), processor, processor.tokenizer), called)


def load_backend(
    name: str, arguments: Mapping[str, Any], *, device: torch.device, dtype: torch.dtype | None
) -> LoadedModel:
    """Build an lmms-eval backend and take its model, processor and tokenizer.

    Parameters
    ----------
    name : str
        The backend, as lmms-eval's `--model` names it.
    arguments : mapping
        Its arguments. On a CPU, those that would ask for a GPU are filled in.
    device : torch.device
        Where it is to run.
    dtype : torch.dtype or None
        Precision of its weights; None for what the backend loads.

    Raises
    ------
    ValueError
        If there is no such backend, it cannot be imported or built, it holds no transformers model with a head and
        no processor, or the checkpoint is of another family than the backend.
    """
    backend_class = find_backend(name)
    settings = {**_defaults(backend_class, device), **arguments}
    called = f"backend {name!r}"
    with _one_sentence(called, str(arguments.get("pretrained", "")), settings):
        backend = backend_class(**settings)
    loaded = _checked(_parts_of(name, backend), called)
    _refuse_other_family(loaded.model, called)
    return _in_precision(loaded, dtype, called)


def find_backend(name: str) -> type:
    """Import the class of an lmms-eval backend, the one for chat where it has two.

    Parameters
    ----------
    name : str
        The backend, as lmms-eval's `--model` names it.

    Raises
    ------
    ValueError
        If lmms-eval has no such backend, what it needs is not installed, or it is one that cannot serve.
    """
    from lmms_eval.models import get_model, list_available_models

    known = list_available_models(include_aliases=True)
    if name == "benchc":
        raise ValueError("backend 'benchc' is this model itself: leave backend out, or name another")
    if name in HEADLESS_BACKENDS:
        raise ValueError(
            f"backend {name!r} loads models without their language-model head: leave backend out, and benchc loads "
            "pretrained by transformers itself"
        )
    if name not in known:
        close = difflib.get_close_matches(str(name), known, n=3)
        cure = f"close to it: {', '.join(close)}" if close else "`benchc info` lists them"
        raise ValueError(f"backend {name!r} is none of lmms-eval's models; {cure}")
    try:
        with _without_video("decord"):
            backend_class: type = get_model(name)
            return backend_class
    except ImportError as fault:
        raise ValueError(f"backend {name!r} needs {fault.name or 'a package'}, which is not installed") from fault
    except Exception as fault:
        raise ValueError(f"backend {name!r} could not be imported: {_named_reason(fault)}") from fault


def _defaults(backend_class: type, device: torch.device) -> dict[str, Any]:
    """Return the arguments that make a backend run on `device` where its own defaults need a GPU."""
    parameters = inspect.signature(backend_class.__init__).parameters  # type: ignore[misc]
    wanted: dict[str, Any] = {"device": str(device)}
    if device.type == "cpu":
        wanted["device_map"] = "cpu"
        if "attn_implementation" in parameters and parameters["attn_implementation"].default == "flash_attention_2":
            wanted["attn_implementation"] = "sdpa"
    return {name: value for name, value in wanted.items() if name in parameters}


def _parts_of(name: str, backend: Any) -> LoadedModel:
    model = _first_attribute(backend, MODEL_NAMES)
    processor = _first_attribute(backend, PROCESSOR_NAMES)
    tokenizer = _first_attribute(backend, TOKENIZER_NAMES) or getattr(processor, "tokenizer", None)
    if not isinstance(model, torch.nn.Module):
        raise ValueError(
            f"backend {name!r} holds no transformers model in this process, whose logits benchc would read: name the "
            "backend of one, or leave backend out"
        )
    if tokenizer is None or not hasattr(processor, "apply_chat_template"):
        raise ValueError(
            f"backend {name!r} has no processor with a chat template: name the backend of the model's transformers port"
        )
    return LoadedModel(model.eval(), processor, getattr(processor, "tokenizer", tokenizer))


def _first_attribute(backend: Any, names: tuple[str, ...]) -> Any:
    for name in names:
        if (found := getattr(backend, name, None)) is not None:
            return found
    return None


def _checked(loaded: LoadedModel, called: str) -> LoadedModel:
    embeddings = getattr(loaded.model, "get_output_embeddings", lambda: None)()
    if embeddings is None:
        raise ValueError(
            f"{called} is a {type(loaded.model).__name__} without a language-model head, which gives no logits: name "
            "a checkpoint with its head"
        )
    return loaded


@contextmanager
def _one_sentence(called: str, pretrained: str, arguments: Mapping[str, Any]) -> Iterator[None]:
    """Say in one sentence what keeps a model from being built, and what to do; it may fail in any way.

    Arguments are named without their values, one of which may be a key.
    """
    try:
        yield
    except Exception as fault:
        if pretrained and not os.path.isdir(pretrained) and not HUB_ID.fullmatch(pretrained):
            raise ValueError(
                f"{called} could not be loaded: {pretrained!r} is neither a folder on this machine nor a hub id "
                "OWNER/NAME, so correct pretrained"
            ) from fault
        built_with = f" with {', '.join(sorted(arguments))}" if arguments else ""
        failure = f"{called} could not be loaded{built_with} ({_named_reason(fault)})"
        raise ValueError(f"{failure}: {_cure(pretrained, arguments, fault)}") from fault


def _cure(pretrained: str, arguments: Mapping[str, Any], fault: Exception) -> str:
    if pretrained and not os.path.isdir(pretrained) and isinstance(fault, OSError):
        return "correct the name, log in if it is private, or download it once with a network"
    if arguments:
        return f"correct these arguments, or {'name another checkpoint' if pretrained else 'give pretrained'}"
    return "name a whole checkpoint of a vision-language model"


def _refuse_missing_weights(report: Mapping[str, Any], called: str) -> None:
    """Refuse what transformers would fill with random numbers."""
    if missing := sorted(report["missing_keys"]):
        raise ValueError(
            f"{called} lacks {len(missing)} of its weights, {missing[0]} first: "
            "name a checkpoint with its language-model head"
        )


def _refuse_other_family(model: Any, called: str) -> None:
    """Refuse a checkpoint of which a class of another family took little or nothing, and made up the rest."""
    from transformers import PretrainedConfig

    try:
        stored, _ = PretrainedConfig.get_config_dict(model.name_or_path, local_files_only=True)
    # What has no configuration of transformers' own kind tells nothing.
    except Exception:
        return
    expected = getattr(getattr(type(model), "config_class", None), "model_type", None)
    family = stored.get("model_type")
    if family and expected and family != expected:
        raise ValueError(
            f"{called} is made for {expected}, and {model.name_or_path!r} is a checkpoint of {family}: "
            "leave backend out, or name one for this family"
        )


def _refuse_random_weights(model: Any, called: str) -> None:
    """Compare the names of the checkpoint's weights with the model's; the weights themselves are not read."""
    try:
        _, report = type(model).from_pretrained(
            model.name_or_path, output_loading_info=True, device_map="meta", local_files_only=True
        )
    # What is not loaded as transformers loads its own models, adapters for instance, is not known by names.
    except Exception:
        return
    _refuse_missing_weights(report, called)


def _in_precision(loaded: LoadedModel, dtype: torch.dtype | None, called: str) -> LoadedModel:
    """Load the weights anew where the backend loaded them in another precision, so that nothing is rounded twice."""
    model = loaded.model
    if dtype is None or model.dtype == dtype:
        _refuse_random_weights(model, called)
        return loaded
    settings = {"dtype": dtype, "attn_implementation": model.config._attn_implementation}
    again, report = type(model).from_pretrained(model.name_or_path, output_loading_info=True, **settings)
    _refuse_missing_weights(report, called)
    return LoadedModel(again.to(model.device).eval(), loaded.processor, loaded.tokenizer)


def _refuse_unknown(settings: Mapping[str, Any], processor: Any) -> None:
    images = getattr(processor, "image_processor", None)
    known = set(getattr(getattr(images, "valid_kwargs", None), "__annotations__", {}))
    for name in settings:
        if name not in known and not hasattr(images, name):
            close = difflib.get_close_matches(name, [*BENCHC_ARGUMENTS, *MODEL_ARGUMENTS, *known], n=3)
            cure = f"close to it: {', '.join(close)}" if close else "leave it out"
            raise ValueError(
                f"argument {name!r} is unknown to benchc and to the image processor {type(images).__name__}; {cure}"
            )


@contextmanager
def _without_video(package: str) -> Iterator[None]:
    """Let modules that import a video decoder be imported where it is not installed.

    Many backends import one at their top, and images need none. What stands in for it fails, with a sentence, when it
    is used, and is known to the import system only inside the block.
    """
    if package in sys.modules or importlib.util.find_spec(package) is not None:
        yield
        return

    def missing(*arguments: object, **settings: object) -> NoReturn:
        raise ImportError(f"{package} is not installed, and videos need it", name=package)

    def attribute(name: str) -> Callable[..., NoReturn]:
        # What looks over all modules, as torch does, takes a module's __file__ for a path.
        if name.startswith("__"):
            raise AttributeError(name)
        return missing

    stand_in = types.ModuleType(package)
    stand_in.__spec__ = importlib.machinery.ModuleSpec(package, loader=None)
    stand_in.__getattr__ = attribute  # type: ignore[method-assign]
    sys.modules[package] = stand_in
    try:
        yield
    finally:
        del sys.modules[package]


def _named_reason(fault: Exception) -> str:
    return f"{type(fault).__name__}: {reason_of(fault)}"
