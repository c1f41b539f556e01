"""Make the model `benchc` known to lm-evaluation-harness, which loads no plugins.

The harness imports the class that a task's YAML names before it looks a model up by its name; that class calls
`register`.
"""

from __future__ import annotations

import functools
import inspect
from typing import Any

from loguru import logger

__all__ = ["register"]

_CACHE_CURE = "with --use_cache the answers of a killed run are asked again"


@functools.lru_cache(maxsize=1)
def register() -> None:
    """Register the model, and let `--use_cache` keep its answers as `benchc_tasks.stacks.answer_cache` does."""
    # Without this import first, the harness would take our model for all that there are.
    import lm_eval.models  # noqa: F401
    from lm_eval.api import model as api_model
    from lm_eval.api.registry import register_model

    from benchc_tasks.stacks.lm_eval.model import BenchCModel, caching_model

    register_model("benchc")(BenchCModel)
    original: Any = getattr(api_model, "CachingLM", None)
    if original is None or tuple(inspect.signature(original).parameters) != ("lm", "cache_db"):
        logger.warning(
            f"benchc leaves lm-evaluation-harness as it is, because CachingLM is not the class it was in 0.4.13: "
            f"{_CACHE_CURE}."
        )
        return
    api_model.CachingLM = caching_model(original)
