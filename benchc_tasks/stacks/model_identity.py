"""Tell a stack's model from any other by its name, its arguments and what they point to."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path

from huggingface_hub import try_to_load_from_cache

from benchc_tasks.models.checkpoints import checkpoint_state, library_versions

__all__ = ["PACKAGES", "model_identity"]

PACKAGES = ("benchc", "lmms-eval", "torch", "torchvision", "transformers", "vllm")
"""Packages whose versions an answer may depend on, beside Pillow's."""

_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+>")
_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")
_SECRET = re.compile(r"(^|_)(api_key|secret|password)$|^(hf_)?token$", re.IGNORECASE)
_CHANGE_NO_ANSWER = frozenset({"max_passes", "budget", "price_input", "price_output"})
# A Jupyter hub's variables of such a name differ from session to session.
_SERVER = re.compile(
    r"(ANTHROPIC|AZURE|DASHSCOPE|GEMINI|GOOGLE|LITELLM|OPENAI|REKA)\w*_(API_BASE|API_URL|API_VERSION|BASE_URL|ENDPOINT)"
)


def model_identity(model: object, arguments: Mapping[str, object]) -> str | None:
    """Describe what the answers of a model depend on, as far as it can be seen from outside.

    Parameters
    ----------
    model : object
        The name by which a stack knows it; or the model itself, which then has to name itself in its `repr`.
    arguments : mapping
        The arguments that the stack builds it with.

    Returns
    -------
    str or None
        The name; the arguments in any order, without keys to a server and limits of a run, which change no answer; the
        state of each file and checkpoint that they name; the servers that environment variables name; and the versions
        of `PACKAGES`.
        None for an object whose `repr` is an address, which tells it from no other.
    """
    if not isinstance(model, str) and _ADDRESS.search(repr(model)):
        return None
    said = {
        name: value for name, value in arguments.items() if not _SECRET.search(name) and name not in _CHANGE_NO_ANSWER
    }
    states = {name: _named(value, arguments.get("revision")) for name, value in said.items()}
    servers = {name: value for name, value in os.environ.items() if _SERVER.fullmatch(name)}
    versions = library_versions(*PACKAGES)
    return json.dumps([str(model), said, states, servers, versions], sort_keys=True, default=str)


def _named(value: object, revision: object) -> str:
    """Describe what an argument names: a checkpoint in a folder, a file, or a checkpoint of the hub as it is cached."""
    if not isinstance(value, str) or not value:
        return ""
    if os.path.isdir(value):
        # Another folder may be one that the model writes into.
        return checkpoint_state(value) if any(Path(value).glob("*config.json")) else ""
    if os.path.exists(value):
        return checkpoint_state(value)
    if not _HUB_ID.fullmatch(value):
        return ""
    cached = try_to_load_from_cache(value, "config.json", revision=revision if isinstance(revision, str) else None)
    return checkpoint_state(value, Path(cached).parent.name if isinstance(cached, str) else None)
