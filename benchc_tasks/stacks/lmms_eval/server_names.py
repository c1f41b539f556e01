"""Name lmms-eval's backends for servers, for use before lmms-eval is imported."""

from __future__ import annotations

__all__ = ["SERVED_BACKENDS"]

SERVED_BACKENDS = (
    "openai",
    "openai_compatible",
    "openai_compatible_chat",
    "async_openai",
    "async_openai_compatible",
    "async_openai_compatible_chat",
)
"""The names of lmms-eval's backends for OpenAI-compatible servers."""
