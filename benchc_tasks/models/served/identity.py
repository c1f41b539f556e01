"""What a server says about the model that it serves."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from pydantic import RootModel

from benchc_tasks.models.served.faults import listed_models
from benchc_tasks.models.served.reading import Completion
from benchc_tasks.models.served.requests import RequestFault, ServedModel

__all__ = ["server_identity"]

LISTED = ("id", "root", "owned_by", "max_model_len", "meta")
"""What an entry in the list of models says; not `created`, which is the time of the question in vLLM and llama.cpp."""
PAGES = {
    # vLLM
    "/version": ("version",),
    # llama.cpp: the file, its chat template, the build
    "/props": ("model_path", "model_ftype", "chat_template", "build_info", "modalities", "bos_token", "eos_token"),
    # SGLang
    "/get_model_info": ("model_path", "tokenizer_path", "weight_version"),
    # text-generation-inference
    "/info": ("model_id", "model_sha", "model_dtype", "version"),
}
"""Pages below the server's root that say what it serves, and what of them stays the same from run to run."""
LONGEST_VALUE = 200


class Page(RootModel[dict[str, Any]]):
    """A JSON object."""


def server_identity(model: ServedModel, completion: Completion) -> dict[str, str]:
    """Collect what tells one model from another under the same name.

    Left out is what changes by itself. So does `system_fingerprint`, but for vLLM's: hosted models answer with several
    in turns.

    Parameters
    ----------
    model : ServedModel
        The model.
    completion : Completion
        One of its answers.

    Returns
    -------
    dict of str to str
        Long values, such as chat templates, by their hash.
    """
    identity = {"model": completion.model or ""}
    if (completion.system_fingerprint or "").startswith("vllm-"):
        identity["system"] = completion.system_fingerprint or ""
    listed = listed_models(model)
    # llama.cpp has one model and answers to every name.
    only = listed[0] if len(listed) == 1 else {}
    entry = next((entry for entry in listed if entry.get("id") == model.name), only)
    identity |= _facts(entry, LISTED)
    for page, names in PAGES.items():
        try:
            said = model.look(page, Page).root
        except RequestFault:  # most servers have one of these pages at most
            continue
        identity |= {name: fact for name, fact in _facts(said, names).items() if name not in identity}
    return identity


def _facts(said: Mapping[str, Any], names: tuple[str, ...]) -> dict[str, str]:
    return {name: _short(said[name]) for name in names if said.get(name) is not None}


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, sort_keys=True)
    return text if len(text) <= LONGEST_VALUE else hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()
