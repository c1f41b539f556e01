"""Check the settings of a run before lmms-eval starts, without importing torch or lmms-eval."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from benchc_metrics.messages import close_to_it, closest, quoted, shortened
from benchc_tasks.models.arguments import BENCHC_ARGUMENTS, MODEL_ARGUMENTS
from benchc_tasks.stacks.lmms_eval import catalogue, installation
from benchc_tasks.stacks.lmms_eval.server_names import SERVED_BACKENDS
from benchc_tasks.stacks.output_folder import check_output_folder
from task_yamls import tasks_path

__all__ = [
    "HUB_SECONDS",
    "check_arguments",
    "check_checkpoint",
    "check_installation",
    "check_options",
    "check_output_folder",
    "check_tasks",
    "parse_arguments",
    "task_names",
]

HUB_SECONDS = 2.0
"""Seconds to wait for the hub's answer about a model; after that, loading the model decides."""

IN_THIS_PROCESS = ("vllm",)
"""Backends whose `pretrained` is also a checkpoint, but whose other arguments belong to an engine."""

IMAGE_ARGUMENTS = ("max_pixels", "min_pixels", "size", "do_resize", "do_image_splitting", "use_fast")
"""Common settings of image processors, used to suggest corrections of a misspelt one."""

_HUB_ID = re.compile(r"[\w-][\w.-]*(/[\w-][\w.-]*)?", re.ASCII)


def check_installation() -> None:
    """Refuse to start without a supported version of lmms-eval.

    Raises
    ------
    ValueError
    """
    is_sound, message = installation.check_version()
    if not is_sound:
        raise ValueError(f"lmms-eval: {message}")


def parse_arguments(written: str) -> dict[str, str]:
    """Read lmms-eval's `--model_args`: `KEY=VALUE,KEY=VALUE`; commas inside quotes and brackets do not separate.

    Raises
    ------
    ValueError
        If a part has no `=`, or a name occurs twice.

    Examples
    --------
    >>> parse_arguments('pretrained=lab/model,extra={"a": 1, "b": 2}')
    {'pretrained': 'lab/model', 'extra': '{"a": 1, "b": 2}'}
    """
    arguments: dict[str, str] = {}
    for part in _at_commas(written):
        name, equals, value = part.partition("=")
        if not equals or not name.strip():
            raise ValueError(
                f"--model_args has {quoted(part)}, which is not NAME=VALUE: write pretrained=...,dtype=..."
            )
        if name.strip() in arguments:
            raise ValueError(f"--model_args gives {name.strip()} twice: leave one out")
        arguments[name.strip()] = value.strip()
    return arguments


def check_arguments(model: str, arguments: Mapping[str, str]) -> None:
    """Refuse a model, a backend or an argument that does not exist.

    Parameters
    ----------
    model : str
        lmms-eval's `--model`.
    arguments : mapping of str to str
        Its arguments.

    Raises
    ------
    ValueError
        One sentence with the cure.
    """
    _check_name("model", model)
    if "batch_size" in arguments:
        # lmms-eval hands its own to every model, so that Python would find two.
        raise ValueError(
            f"batch_size={shortened(arguments['batch_size'], 20)} stands in --model_args: "
            "give --batch_size as an option of its own"
        )
    backend = arguments.get("backend") if model == "benchc" else model
    if model == "benchc" and backend is not None:
        _check_backend(backend)
    if backend in SERVED_BACKENDS and model == "benchc":
        _check_server(str(backend), arguments)
        return
    taken = catalogue.backend_arguments(str(backend)) if backend else None
    ours = set(BENCHC_ARGUMENTS) if model == "benchc" else set()
    theirs = set(taken.names) if taken else set(MODEL_ARGUMENTS) | set(IMAGE_ARGUMENTS)
    for name in arguments.keys() - ours - theirs:
        # Only an engine or an image processor itself knows all of its arguments.
        is_certain = taken is not None and not taken.takes_others
        if is_certain or closest(name, ours | theirs):
            called = f"the backend {quoted(backend)}" if backend else "benchc"
            cure = close_to_it(name, sorted(ours | theirs), "leave it out")
            raise ValueError(f"argument {quoted(name)} is unknown to {called}{cure}")
    if backend in (None, *IN_THIS_PROCESS) or (taken is not None and "pretrained" in taken.names):
        check_checkpoint(arguments.get("pretrained"), arguments.get("revision"))


def check_checkpoint(pretrained: str | None, revision: str | None = None) -> None:
    """Refuse a checkpoint that is neither a folder with a model, nor in the hub's cache, nor on the hub.

    Parameters
    ----------
    pretrained : str or None
        A folder or a hub id; None for a model's own default.
    revision : str or None
        The revision of the hub id.

    Raises
    ------
    ValueError
        One sentence with the cure. If the hub does not answer within `HUB_SECONDS`, nothing is refused.
    """
    if not pretrained:
        return
    folder = Path(pretrained).expanduser()
    if folder.is_dir():
        if not any((folder / name).is_file() for name in ("config.json", "adapter_config.json", "params.json")):
            raise ValueError(f"pretrained={pretrained} is a folder without a config.json: name one with a checkpoint")
        return
    if folder.exists() or not _HUB_ID.fullmatch(pretrained):
        raise ValueError(
            f"pretrained={pretrained} is neither a folder nor a hub id OWNER/NAME"
            f"{close_to_it(folder.name, _siblings(folder), 'correct it')}"
        )
    _check_hub_id(pretrained, revision)


def task_names() -> dict[str, Path]:
    """Return the tasks and groups of benchc and their files."""
    return {path.stem: path for path in sorted(tasks_path().glob("benchc*.yaml"))}


def check_tasks(tasks: Iterable[str]) -> None:
    """Refuse a name that looks like one of our tasks but does not exist.

    Raises
    ------
    ValueError
    """
    known = task_names()
    for task in tasks:
        if task in known or "*" in task or not (task.startswith("benchc") or closest(task, known)):
            continue
        raise ValueError(f"there is no task {quoted(task)}{close_to_it(task, known, '`benchc info` lists them')}")


def check_options(words: Iterable[str]) -> None:
    """Refuse an option that lmms-eval does not have.

    Raises
    ------
    ValueError
    """
    known = catalogue.option_names()
    for word in words:
        name = word.partition("=")[0]
        if known and word.startswith("--") and name not in known:
            raise ValueError(f"neither benchc run nor lmms-eval has the option {name}{close_to_it(name, known)}")


def _check_name(what: str, name: str) -> None:
    known = catalogue.model_names()
    if known and name not in known | {"benchc"}:
        cure = close_to_it(name, sorted(known | {"benchc"}), "`benchc info` lists them")
        raise ValueError(f"{what} {quoted(name)} is not one of lmms-eval's models{cure}")


def _check_backend(backend: str) -> None:
    if backend == "benchc":
        raise ValueError("backend 'benchc' is this model itself: leave backend out, or name another")
    _check_name("backend", backend)


def _check_server(backend: str, arguments: Mapping[str, str]) -> None:
    from benchc_tasks.models.served.backend import load_served_backend  # the client library, a second's import

    taken = catalogue.backend_arguments(backend)
    served = {name: value for name, value in arguments.items() if name not in ("backend", "system_prompt")}
    load_served_backend(backend, served, taken.names if taken else served.keys())


def _check_hub_id(name: str, revision: str | None) -> None:
    from huggingface_hub import HfApi, constants, try_to_load_from_cache
    from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError, RevisionNotFoundError

    if isinstance(try_to_load_from_cache(name, "config.json", revision=revision), str):
        return
    cached = _cached_models(Path(constants.HF_HUB_CACHE))
    if constants.HF_HUB_OFFLINE:
        raise ValueError(
            f"pretrained={name} is not in the hub's cache, and HF_HUB_OFFLINE is set"
            f"{close_to_it(name, cached, 'download it once with a network')}"
        )
    try:
        HfApi().model_info(name, revision=revision, timeout=HUB_SECONDS)
    except GatedRepoError as fault:
        raise ValueError(f"pretrained={name} is gated: ask for access on its page, then set HF_TOKEN") from fault
    except RevisionNotFoundError as fault:
        raise ValueError(f"pretrained={name} has no revision {quoted(revision)}: correct it") from fault
    except RepositoryNotFoundError as fault:
        raise ValueError(
            f"the hub has no model {name}, or it is private"
            f"{close_to_it(name, cached, 'correct the name, or set HF_TOKEN')}"
        ) from fault
    # The network may be missing or slow, or a mirror may lack this interface; then loading decides.
    except Exception:
        return


def _cached_models(folder: Path) -> list[str]:
    try:
        return sorted(path.name.removeprefix("models--").replace("--", "/") for path in folder.glob("models--*"))
    except OSError:
        return []


def _siblings(path: Path) -> list[str]:
    try:
        return [entry.name for entry in path.parent.iterdir()]
    except OSError:
        return []


def _at_commas(written: str) -> list[str]:
    parts, depth, quote = [""], 0, ""
    for character in written:
        if quote:
            quote = "" if character == quote else quote
        elif character in "\"'":
            quote = character
        elif character in "{[(":
            depth += 1
        elif character in "}])":
            depth -= 1
        elif character == "," and depth <= 0:
            parts.append("")
            continue
        parts[-1] += character
    return [part.strip() for part in parts if part.strip()]
