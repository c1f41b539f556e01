"""Identify a checkpoint by what is in its files."""

from __future__ import annotations

import functools
import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from importlib.metadata import PackageNotFoundError, version
from typing import BinaryIO

from huggingface_hub import try_to_load_from_cache

from benchc_tasks.datasets.file_states import FileState, file_states

__all__ = ["checkpoint_state", "library_versions"]

READ_WHOLE = 64 * 1024**2
"""Bytes of the largest file of which everything is read; a larger one is sampled."""
PIECE = 4096
PIECES_OF_A_TENSOR = 3
PIECES_OF_A_FILE = 4096
LONGEST_HEADER = 256 * 1024**2


def checkpoint_state(name: str, commit: str | None = None) -> str:
    """Name a checkpoint so that another one in its place has another name.

    Parameters
    ----------
    name : str
        A folder, a file of weights, or a hub id.
    commit : str or None
        The commit of the hub that it was loaded from, where it was.

    Returns
    -------
    str
        For a hub id with a commit, both. Else a hash over its files: their names, sizes and times of change, and their
        content, which is read as a whole up to `READ_WHOLE` bytes a file. Of larger ones samples are read: of a
        safetensors file the header and pieces of every tensor, of any other file pieces that are spread evenly.
    """
    if os.path.exists(name):
        return _state_of_files(os.path.abspath(name), file_states(name))
    if commit is not None:
        return f"{name}@{commit}"
    cached = try_to_load_from_cache(name, "config.json") if name.count("/") <= 1 else None
    if isinstance(cached, str):
        folder = os.path.dirname(cached)
        return f"{name}@{_state_of_files(folder, file_states(folder))}"
    return f"{name}@{commit}"


def library_versions(*packages: str) -> str:
    """Return the versions of packages that answers depend on, and of Pillow, as text."""
    return " ".join(f"{package} {_version(package)}" for package in (*packages, "pillow"))


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "unknown"


@functools.lru_cache(maxsize=64)
def _state_of_files(path: str, states: tuple[FileState, ...]) -> str:
    """Hash files in the states that they have now; once a process, which goes on with what it has loaded."""
    found = hashlib.sha256(repr(states).encode())
    for name, _, size in states:
        file = path if name == "." else os.path.join(path, name)
        # What cannot be read cannot be loaded either.
        try:
            with open(file, "rb") as opened:
                for start, length in _parts(opened, file, size):
                    opened.seek(start)
                    found.update(opened.read(length))
        except OSError:
            continue
    return found.hexdigest()[:16]


def _parts(file: BinaryIO, name: str, size: int) -> Iterable[tuple[int, int]]:
    """Return the starts and lengths of what is read of a file."""
    if size <= READ_WHOLE:
        return [(0, size)]
    if name.endswith(".safetensors") and (tensors := list(_parts_of_tensors(file))):
        return tensors
    step = max(PIECE, (size - PIECE) // (PIECES_OF_A_FILE - 1))
    return [*((start, PIECE) for start in range(0, size - PIECE, step)), (size - PIECE, PIECE)]


def _parts_of_tensors(file: BinaryIO) -> Iterator[tuple[int, int]]:
    """Yield the header of a safetensors file, then the beginning, middle and end of each tensor."""
    length = int.from_bytes(file.read(8), "little")
    if length > LONGEST_HEADER:
        return
    try:
        header = json.loads(file.read(length))
        offsets = [entry["data_offsets"] for name, entry in header.items() if name != "__metadata__"]
    except (ValueError, KeyError, TypeError, AttributeError):
        return
    begin = 8 + length
    yield 0, begin
    for start, end in offsets:
        last = max(start, end - PIECE)
        for number in range(PIECES_OF_A_TENSOR):
            place = start + (last - start) * number // (PIECES_OF_A_TENSOR - 1)
            yield begin + place, min(PIECE, end - place)
