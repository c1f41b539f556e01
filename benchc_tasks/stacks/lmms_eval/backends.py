"""Build scorers on lmms-eval's backends."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import inspect
import sys
import types
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any, NoReturn

import torch

from benchc_metrics.messages import close_to_it, quoted
from benchc_tasks.models.engines import EngineSettings, served_scorer, transformers_scorer, vllm_scorer
from benchc_tasks.models.generation.engines import served_generator
from benchc_tasks.models.generation.questions import TextGenerator
from benchc_tasks.models.loading import LoadedModel, named_reason, one_sentence, refuse_missing_weights, with_head
from benchc_tasks.models.questions import ChoiceScorer
from benchc_tasks.stacks.lmms_eval.server_names import SERVED_BACKENDS

__all__ = ["SERVED_BACKENDS", "build_generator", "build_scorer", "find_backend", "load_backend"]

HEADLESS_BACKENDS = ("huggingface", "async_hf_model", "async_hf")
MODEL_NAMES = ("model", "_model")
PROCESSOR_NAMES = ("processor", "_processor", "_image_processor", "image_processor")
TOKENIZER_NAMES = ("tokenizer", "_tokenizer")


def build_scorer(settings: EngineSettings) -> ChoiceScorer[Any]:
    """Build the scorer of a backend.

    Parameters
    ----------
    settings : EngineSettings
        The user's settings; the backend has its name from lmms-eval's `--model`.

    Raises
    ------
    ValueError
        If an argument names something that does not exist; the message names it and the cure.
    EngineError
        If the engine cannot answer at all.
    """
    name = settings.backend
    if name is None:
        return transformers_scorer(settings)
    if name == "vllm":
        return vllm_scorer(settings, _start_vllm)
    if name in SERVED_BACKENDS:
        return served_scorer(settings, _parameters(find_backend(name)))
    return transformers_scorer(settings, partial(_load, settings))


def build_generator(settings: EngineSettings) -> TextGenerator[Any] | None:
    """Build a separate text generator if the scorer's model cannot write texts, as behind a server; else return None.

    Raises
    ------
    ValueError, EngineError
        As in `build_scorer`.
    """
    if settings.backend not in SERVED_BACKENDS:
        return None
    return served_generator(settings, _parameters(find_backend(str(settings.backend))))


def _load(settings: EngineSettings, dtype: torch.dtype | None) -> LoadedModel:
    named = {"pretrained": settings.pretrained} if settings.pretrained else {}
    arguments = {**named, **settings.arguments}
    return load_backend(str(settings.backend), arguments, device=settings.device, dtype=dtype)


def _start_vllm(model: str, settings: Mapping[str, Any]) -> tuple[Any, str | None]:
    """Return vLLM's engine and the chat template that its arguments name."""
    backend: Any = find_backend("vllm")(model=model, **settings)
    return backend.client, backend.chat_template


def _parameters(backend_class: type) -> set[str]:
    """Return the keyword arguments of a class and of its parents in lmms-eval."""
    return {
        parameter.name
        for parent in backend_class.__mro__
        if "__init__" in vars(parent) and parent.__module__.startswith("lmms_eval.models.")
        for parameter in inspect.signature(parent).parameters.values()
        if parameter.kind not in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL)
    }


def load_backend(
    name: str, arguments: Mapping[str, Any], *, device: torch.device, dtype: torch.dtype | None
) -> LoadedModel:
    """Build an lmms-eval backend and take its model, processor and tokenizer.

    Parameters
    ----------
    name : str
        The backend's name, as in lmms-eval's `--model`.
    arguments : mapping
        Its arguments. On a CPU, arguments whose defaults need a GPU are set.
    device : torch.device
        The device to run on.
    dtype : torch.dtype or None
        Precision of its weights; None for the backend's own.

    Raises
    ------
    ValueError
        If the backend does not exist, or cannot be imported or built; if it has no transformers model with a head, or
        no processor; or if the checkpoint belongs to another family than the backend.
    """
    backend_class = find_backend(name)
    settings = {**_defaults(backend_class, device), **arguments}
    called = f"backend {quoted(name)}"
    with one_sentence(called, str(arguments.get("pretrained", "")), settings):
        backend = backend_class(**settings)
    loaded = with_head(_parts_of(name, backend), called)
    _refuse_other_family(loaded.model, called)
    return _in_precision(loaded, dtype, called)


def find_backend(name: str) -> type:
    """Import the class of an lmms-eval backend; if there are two, the one for chat.

    Parameters
    ----------
    name : str
        The backend's name, as in lmms-eval's `--model`.

    Raises
    ------
    ValueError
        If lmms-eval does not have the backend, if a package for it is not installed, or if it cannot serve.
    """
    from lmms_eval.models import get_model, list_available_models

    known = list_available_models(include_aliases=True)
    if name == "benchc":
        raise ValueError("backend 'benchc' is this model itself: leave backend out, or name another")
    if name in HEADLESS_BACKENDS:
        raise ValueError(
            f"backend {quoted(name)} loads models without their language-model head: leave backend out, "
            "and benchc loads pretrained by transformers itself"
        )
    if name not in known:
        cure = close_to_it(name, known, "`benchc info` lists them")
        raise ValueError(f"backend {quoted(name)} is not one of lmms-eval's models{cure}")
    try:
        with _without_video("decord"):
            backend_class: type = get_model(name)
            return backend_class
    except ImportError as fault:
        raise ValueError(f"backend {quoted(name)} needs {fault.name or 'a package'}, which is not installed") from fault
    except Exception as fault:
        raise ValueError(f"backend {quoted(name)} could not be imported: {named_reason(fault)}") from fault


def _defaults(backend_class: type, device: torch.device) -> dict[str, Any]:
    """Return the arguments that a backend needs to run on `device` if its own defaults need a GPU."""
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
            f"backend {quoted(name)} has no transformers model in this process, and benchc reads the logits of one: "
            "name another backend, or leave backend out"
        )
    if tokenizer is None or not hasattr(processor, "apply_chat_template"):
        raise ValueError(
            f"backend {quoted(name)} has no processor with a chat template: name the backend of the "
            "model's transformers port"
        )
    return LoadedModel(model.eval(), processor, getattr(processor, "tokenizer", tokenizer))


def _first_attribute(backend: Any, names: tuple[str, ...]) -> Any:
    for name in names:
        if (found := getattr(backend, name, None)) is not None:
            return found
    return None


def _refuse_other_family(model: Any, called: str) -> None:
    """Refuse a checkpoint of another family, because the class would fill in random weights."""
    from transformers import PretrainedConfig

    try:
        stored, _ = PretrainedConfig.get_config_dict(model.name_or_path, local_files_only=True)
    # Without a configuration of transformers' own kind, the family is unknown.
    except Exception:
        return
    expected = getattr(getattr(type(model), "config_class", None), "model_type", None)
    family = stored.get("model_type")
    if family and expected and family != expected:
        raise ValueError(
            f"{called} is made for {expected}, but {quoted(model.name_or_path)} is a checkpoint of {family}: "
            "leave backend out, or name one for this family"
        )


def _refuse_random_weights(model: Any, called: str) -> None:
    """Compare the names of the checkpoint's weights with the model's, without reading the weights."""
    try:
        _, report = type(model).from_pretrained(
            model.name_or_path, output_loading_info=True, device_map="meta", local_files_only=True
        )
    # Names say nothing about models that transformers does not load itself, such as adapters.
    except Exception:
        return
    refuse_missing_weights(report, called)


def _in_precision(loaded: LoadedModel, dtype: torch.dtype | None, called: str) -> LoadedModel:
    """Load the weights again if the backend loaded them in another precision, so that nothing is rounded twice."""
    model = loaded.model
    if dtype is None or model.dtype == dtype:
        _refuse_random_weights(model, called)
        return loaded
    settings = {"dtype": dtype, "attn_implementation": model.config._attn_implementation}
    again, report = type(model).from_pretrained(model.name_or_path, output_loading_info=True, **settings)
    refuse_missing_weights(report, called)
    return LoadedModel(again.to(model.device).eval(), loaded.processor, loaded.tokenizer)


@contextmanager
def _without_video(package: str) -> Iterator[None]:
    """Allow modules to import a video decoder that is not installed.

    Many backends import one at their top, but images do not need it. A substitute module exists only inside the block.
    If it is used, it raises an error with one sentence.
    """
    if package in sys.modules or importlib.util.find_spec(package) is not None:
        yield
        return

    def missing(*arguments: object, **settings: object) -> NoReturn:
        raise ImportError(f"{package} is not installed, and videos need it", name=package)

    def attribute(name: str) -> Callable[..., NoReturn]:
        # Code that inspects all modules, as torch does, expects a module's __file__ to be a path.
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
