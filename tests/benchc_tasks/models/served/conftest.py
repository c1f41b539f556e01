"""A server on loopback, and scorers of it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from openai_server import MODEL, OpenAIServer
from served_support import PATIENCE

from benchc_tasks.models.served.scoring import ServedChoiceScorer, load_served_scorer


@pytest.fixture(autouse=True)
def _no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in [name for name in os.environ if "OPENAI" in name]:
        monkeypatch.delenv(variable)


@pytest.fixture
def server() -> Iterator[OpenAIServer]:
    running = OpenAIServer()
    yield running
    running.close()


@pytest.fixture
def scorer_of(server: OpenAIServer) -> Callable[..., ServedChoiceScorer]:
    """Build a scorer of the server, for one of lmms-eval's backends and with arguments of it."""

    def build(backend: str = "openai", *, system_prompt: str | None = None, **arguments: Any) -> ServedChoiceScorer:
        given = {"model": MODEL, "base_url": server.url, **PATIENCE, **arguments}
        return load_served_scorer(backend, given, system_prompt=system_prompt)

    return build
