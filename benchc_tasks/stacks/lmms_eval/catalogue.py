"""Read the models of lmms-eval, their arguments and its options from its source code.

Importing lmms-eval takes 9 s of processor time. This module finds a typing mistake in less than one second.
"""

from __future__ import annotations

import ast
import functools
import importlib.util
import os
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path

__all__ = ["BackendArguments", "backend_arguments", "manifest_names", "model_names", "option_names"]

_REGISTRIES = ("AVAILABLE_SIMPLE_MODELS", "AVAILABLE_CHAT_TEMPLATE_MODELS")
_ALIASES = "MODEL_ALIASES"
_OURS = "benchc"


@dataclass(frozen=True)
class BackendArguments:
    """The arguments of a backend.

    Attributes
    ----------
    names : frozenset of str
        The arguments with their own names.
    takes_others : bool
        True if it also takes any other name, as with `**kwargs`.
    """

    names: frozenset[str]
    takes_others: bool


def model_names() -> frozenset[str]:
    """Return the possible names for `--model` and `backend=`, including aliases.

    Returns
    -------
    frozenset of str
        Empty if only an import of lmms-eval can tell them: for another version, or with plugins other than benchc.
    """
    plugins = {point.name for point in entry_points(group="lmms_eval.models")}
    if plugins - {_OURS} or os.environ.get("LMMS_EVAL_PLUGINS"):
        return frozenset()
    registries = _registries()
    if not all(name in registries for name in (*_REGISTRIES, _ALIASES)):
        return frozenset()
    aliases = (alias for names in registries[_ALIASES].values() for alias in names)
    return frozenset([*(name for registry in _REGISTRIES for name in registries[registry]), *aliases])


def manifest_names() -> tuple[str, ...]:
    """Return the names of lmms-eval's own models without aliases, in alphabetical order."""
    registries = _registries()
    return tuple(sorted({name for registry in _REGISTRIES for name in registries.get(registry, {})}))


def option_names() -> frozenset[str]:
    """Return the long options of lmms-eval's evaluation; empty if its source code cannot be read."""
    calls = (node for node in ast.walk(_parsed("__main__.py")) if isinstance(node, ast.Call))
    words = (
        word.value
        for call in calls
        if isinstance(call.func, ast.Attribute) and call.func.attr == "add_argument"
        for word in call.args
        if isinstance(word, ast.Constant) and isinstance(word.value, str)
    )
    return frozenset(word for word in words if word.startswith("--"))


def backend_arguments(name: str) -> BackendArguments | None:
    """Return the arguments of a backend of lmms-eval, including those of its base classes.

    Parameters
    ----------
    name : str
        The name in `--model`, or an alias.

    Returns
    -------
    BackendArguments or None
        None if its source code cannot be found.
    """
    registries = _registries()
    named = next((model for model, aliases in registries.get(_ALIASES, {}).items() if name in aliases), name)
    places = [f"models/{kind}/{named}.py" for kind in ("chat", "simple")]
    found = [parameters for place in places for parameters in _parameters(place, frozenset())]
    if not found:
        return None
    names = frozenset(argument.arg for each in found for argument in (*each.args, *each.kwonlyargs)) - {"self"}
    return BackendArguments(names, any(each.kwarg is not None for each in found))


@functools.cache
def _root() -> Path | None:
    spec = importlib.util.find_spec("lmms_eval")
    folders = list(spec.submodule_search_locations or ()) if spec is not None else []
    return Path(folders[0]) if folders else None


@functools.cache
def _parsed(place: str) -> ast.Module:
    """Parse a file of lmms-eval; return an empty module if the file is missing or Python cannot parse it."""
    root = _root()
    try:
        return ast.parse((root / place).read_text(encoding="utf-8")) if root is not None else ast.parse("")
    except (OSError, SyntaxError, ValueError):
        return ast.parse("")


def _registries() -> dict[str, dict[str, tuple[str, ...]]]:
    """Return the dictionaries in which lmms-eval registers its models, by their names."""
    found: dict[str, dict[str, tuple[str, ...]]] = {}
    for node in _parsed("models/__init__.py").body:
        if not isinstance(node, (ast.Assign, ast.AnnAssign)) or not isinstance(node.value, ast.Dict):
            continue
        for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
            if isinstance(target, ast.Name) and target.id in (*_REGISTRIES, _ALIASES):
                found[target.id] = ast.literal_eval(node.value)
    return found


def _parameters(place: str, seen: frozenset[str]) -> Iterator[ast.arguments]:
    """Yield the parameters of every constructor in a module of models and in the modules that it imports."""
    if place in seen:
        return
    for node in ast.walk(_parsed(place)):
        if isinstance(node, ast.FunctionDef) and node.name == "__init__":
            yield node.args
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("lmms_eval.models.simple."):
            yield from _parameters(
                f"{str(node.module).removeprefix('lmms_eval.').replace('.', '/')}.py", seen | {place}
            )
