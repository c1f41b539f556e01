"""The samples of a selected set: ids and hashes, which find them again in their pool."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from benchc_tasks.datasets.schema import DatasetError

__all__ = ["SELECTION_SCHEMA", "SelectedSample", "read_members", "text_digest"]

SELECTION_SCHEMA = "benchc.selection/2"
"""Name and version of the manifest that `benchc select` writes and that a named set comes with."""


class SelectedSample(BaseModel):
    """A sample of a selected set.

    Attributes
    ----------
    id : str
    digest : str or None
        SHA-256 over its columns and its image, in hexadecimal digits; None where the subset was selected without the
        images.
    text : str or None
        SHA-256 over its question, options and right option, whatever their white space; None in a manifest of the first
        version.
    """

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    id: str
    digest: str | None
    text: str | None


_MEMBERS = TypeAdapter(list[SelectedSample])


def read_members(path: Path) -> list[SelectedSample]:
    """Read the samples of a manifest.

    Raises
    ------
    DatasetError
        If it is not a manifest of `SELECTION_SCHEMA`.
    """
    try:
        written: dict[str, Any] = json.loads(path.read_bytes())
        if written["schema"] == SELECTION_SCHEMA:
            return _MEMBERS.validate_python(written["samples"])
    except (OSError, ValueError, KeyError, TypeError, ValidationError) as error:
        raise DatasetError(f"{path} is not a manifest of {SELECTION_SCHEMA}; install benchc again") from error
    raise DatasetError(f"{path} is not a manifest of {SELECTION_SCHEMA}; install benchc again")


def text_digest(question: str, options: Sequence[str], answer: int) -> str:
    """Hash a sample's question, options and right option; white space counts as one blank.

    Returns
    -------
    str
        SHA-256 in hexadecimal digits.
    """
    texts = [" ".join(text.split()) for text in (question, *options)]
    return hashlib.sha256(json.dumps([*texts, answer]).encode()).hexdigest()
