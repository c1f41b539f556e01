"""Build the generator of an engine, which has the same model as the scorer of options."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from benchc_tasks.models.choice import TransformersChoiceScorer
from benchc_tasks.models.engines import EngineSettings
from benchc_tasks.models.generation.questions import TextGenerator
from benchc_tasks.models.generation.transformers import TransformersGenerator
from benchc_tasks.models.questions import ChoiceScorer
from benchc_tasks.models.thinking import FORMS

__all__ = ["generator_of", "served_generator"]


def generator_of(scorer: ChoiceScorer[Any]) -> TextGenerator[Any]:
    """Build the generator that writes with the model of a scorer.

    Raises
    ------
    ValueError
        If the engine has none.
    """
    scorer = getattr(scorer, "plain", scorer)  # texts share no prefixes
    if isinstance(scorer, TransformersChoiceScorer):
        return TransformersGenerator(scorer)
    from benchc_tasks.models.vllm import VllmChoiceScorer

    if isinstance(scorer, VllmChoiceScorer):
        from benchc_tasks.models.generation.vllm import VllmGenerator

        return VllmGenerator(scorer)
    raise ValueError(f"the engine {type(scorer).__name__} writes no texts: name another backend")


def served_generator(settings: EngineSettings, without_effect: Any = ()) -> TextGenerator[Any]:
    """Build the generator of a model behind an OpenAI-compatible server.

    Parameters
    ----------
    settings : EngineSettings
        What the user asked for.
    without_effect : collection of str
        Arguments that the stack's backend takes beside ours.

    Raises
    ------
    ValueError
        If an argument is wrong.
    EngineError
        If the server can answer nothing; the message says why and the cure.
    """
    from benchc_tasks.models.generation.served import ServedGenerator  # the client library, a second's import
    from benchc_tasks.models.served.scoring import load_served_model

    named = {"pretrained": settings.pretrained} if settings.pretrained else {}
    model, chat, concurrency = load_served_model(
        str(settings.backend),
        {**named, **settings.arguments},
        system_prompt=settings.system_prompt,
        template_settings=settings.template_settings,
        without_effect=without_effect,
    )
    if settings.skips_thinking:
        # Without log-probabilities nothing tells which form a template knows.
        off = FORMS[0]
        said = ", ".join(f"{name}={value}" for name, value in off.items())
        chat = replace(chat, template_settings={**chat.template_settings, **off}, thinking=f"skipped: {said}")
    return ServedGenerator(model, chat, concurrency=concurrency)
