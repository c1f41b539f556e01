"""Build the scorer of an engine; what a stack knows about its own backends is handed in."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

import torch

from benchc_metrics.messages import quoted
from benchc_tasks.demonstration import DEMONSTRATION_MODEL
from benchc_tasks.models.chat import ChatFormat
from benchc_tasks.models.choice import TransformersChoiceScorer
from benchc_tasks.models.devices import choose_dtype
from benchc_tasks.models.loading import LoadedModel, load_checkpoint
from benchc_tasks.models.prefixes import PrefixSharingScorer
from benchc_tasks.models.questions import ChoiceScorer
from benchc_tasks.models.vllm import BATCH_SIZE, EngineStarter, VllmChoiceScorer, start_engine

__all__ = ["EngineSettings", "served_scorer", "transformers_scorer", "vllm_scorer"]

AUTOMATIC_BATCH_SIZE = {"cuda": 16, "cpu": 8}


@dataclass(frozen=True)
class EngineSettings:
    """The settings of an engine.

    Attributes
    ----------
    backend : str or None
        The engine as the stack names it; None for a checkpoint that transformers loads.
    pretrained : str or None
        Folder, hub id, or the name under which a server has the model.
    arguments : mapping
        The backend's own arguments.
    device : torch.device
        Where the model is to run, if it runs in this process.
    dtype : str or None
        Precision of the weights.
    batch_size : int or str
        Questions that the engine is given at once, or "auto".
    max_batch_size : int or None
        The most that "auto" chooses.
    system_prompt : str or None
        Text of a system message.
    template_settings : mapping
        Further settings of the chat template, such as `enable_thinking`.
    skips_thinking : bool
        Whether the model is kept from thinking before it answers.
    shares_prefixes : bool
        Whether a picture is read once for all questions about it.
    """

    backend: str | None
    pretrained: str | None
    arguments: Mapping[str, Any]
    device: torch.device
    dtype: str | None = None
    batch_size: int | str = 1
    max_batch_size: int | None = None
    system_prompt: str | None = None
    template_settings: Mapping[str, Any] | None = None
    skips_thinking: bool = False
    shares_prefixes: bool = False


def transformers_scorer(
    settings: EngineSettings, load: Callable[[torch.dtype | None], LoadedModel] | None = None
) -> ChoiceScorer[Any]:
    """Build the scorer of a transformers model in this process.

    Parameters
    ----------
    settings : EngineSettings
        What the user asked for.
    load : callable, optional
        Loads the model in a precision; `load_checkpoint` with `pretrained`, or with the bundled model, by default.

    Raises
    ------
    ValueError
        If an argument names nothing that exists; the message says what and the cure.
    """
    automatic = AUTOMATIC_BATCH_SIZE.get(settings.device.type, 1)
    size = _batch_size(settings.batch_size, settings.max_batch_size, automatic)
    dtype = choose_dtype(settings.dtype, settings.device)
    if load is None:
        pretrained = str(settings.pretrained or DEMONSTRATION_MODEL)
        loaded = load_checkpoint(pretrained, settings.arguments, device=settings.device, dtype=dtype)
    else:
        loaded = load(dtype)
    chat = ChatFormat(
        loaded.processor,
        loaded.tokenizer,
        system_prompt=settings.system_prompt,
        template_settings=settings.template_settings,
        skips_thinking=settings.skips_thinking,
    )
    scorer = TransformersChoiceScorer(loaded.model, chat, size)
    return PrefixSharingScorer(scorer) if settings.shares_prefixes else scorer


def vllm_scorer(settings: EngineSettings, start: EngineStarter) -> ChoiceScorer[Any]:
    """Build the scorer of a vLLM engine in this process.

    Parameters
    ----------
    settings : EngineSettings
        What the user asked for.
    start : callable
        Starts the engine.

    Raises
    ------
    ValueError
        If an argument is wrong or the engine does not start; the message says what and the cure.
    """
    if settings.shares_prefixes:
        raise ValueError(
            "share_prefix is for transformers models: leave it out, and give enable_prefix_caching=True, the cache of "
            "vLLM's own"
        )
    arguments = dict(settings.arguments)
    model = settings.pretrained or arguments.pop("model", None)
    if not model or "model" in arguments:
        raise ValueError("backend 'vllm' needs one model: give pretrained, a folder or a hub id")
    # One at a time would leave the engine idle: vLLM cuts its batches itself, out of the questions that it has.
    wanted = "auto" if str(settings.batch_size) == "1" else settings.batch_size
    size = _batch_size(wanted, settings.max_batch_size, BATCH_SIZE)
    engine = start_engine(str(model), arguments, start, dtype=settings.dtype)
    template = {"chat_template": engine.chat_template} if engine.chat_template else {}
    chat = ChatFormat(
        engine.processor,
        engine.processor.tokenizer,
        system_prompt=settings.system_prompt,
        template_settings={**template, **(settings.template_settings or {})},
        skips_thinking=settings.skips_thinking,
    )
    return VllmChoiceScorer(engine.client, chat, size)


def served_scorer(settings: EngineSettings, without_effect: Collection[str] = ()) -> ChoiceScorer[Any]:
    """Build the scorer of a model behind an OpenAI-compatible server.

    Parameters
    ----------
    settings : EngineSettings
        What the user asked for.
    without_effect : collection of str
        Arguments that the stack's backend takes beside ours; they are accepted with a warning.

    Raises
    ------
    ValueError
        If an argument is wrong.
    EngineError
        If the server can answer nothing; the message says why and the cure.
    """
    from benchc_tasks.models.served.scoring import load_served_scorer  # the client library, a second's import

    if settings.dtype:
        raise ValueError(f"dtype has no meaning for backend {quoted(settings.backend)}: the server decides it")
    if settings.shares_prefixes:
        raise ValueError(
            f"share_prefix has no meaning for backend {quoted(settings.backend)}: leave it out, and let the server "
            "cache prefixes"
        )
    named = {"pretrained": settings.pretrained} if settings.pretrained else {}
    return load_served_scorer(
        str(settings.backend),
        {**named, **settings.arguments},
        system_prompt=settings.system_prompt,
        template_settings=settings.template_settings,
        without_effect=without_effect,
        skips_thinking=settings.skips_thinking,
    )


def _batch_size(wanted: int | str, limit: int | None, automatic: int) -> int:
    """Choose a batch size; lmms-eval's own `auto:N` is `auto`."""
    if not re.fullmatch(r"auto(:\d+)?|0*[1-9]\d*", str(wanted)):
        raise ValueError(f"batch_size is {quoted(wanted)}: give a number of 1 or more, or auto")
    if limit is not None and not re.fullmatch(r"0*[1-9]\d*", str(limit)):
        raise ValueError(f"max_batch_size is {quoted(limit)}: give a number of 1 or more, or leave it out")
    if not str(wanted).startswith("auto"):
        return int(wanted)
    return automatic if limit is None else min(automatic, int(limit))
