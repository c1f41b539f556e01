"""Compute a dataset's fingerprint; it is equal if two datasets ask the same questions about the same images."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any

__all__ = ["COVERED_COLUMNS", "fingerprint", "image_digest"]

COVERED_COLUMNS = ("id", "question", "options", "answer", "source", "category")

# Hashed too, so that a change of this module's encoding cannot look like a change of the data.
_ENCODING = "benchc-dataset-1"


def image_digest(encoded: bytes) -> str:
    """Hash an encoded image, byte for byte.

    Returns
    -------
    str
        SHA-256 in hexadecimal digits.
    """
    return hashlib.sha256(encoded).hexdigest()


def fingerprint(rows: Iterable[tuple[Mapping[str, Any], str]]) -> str:
    """Hash samples in their order.

    Parameters
    ----------
    rows : iterable of (mapping, str)
        For each sample its columns and its image's digest. Only `COVERED_COLUMNS` count; an absent column counts as
        None.

    Returns
    -------
    str
        SHA-256 in hexadecimal digits.

    Examples
    --------
    >>> row = {"id": "a", "question": "Red?", "options": ["yes", "no"], "answer": 0}
    >>> fingerprint([(row, image_digest(b"..."))])[:12]
    'bf51bbcf50a8'
    """
    digest = hashlib.sha256(_ENCODING.encode())
    for row, image in rows:
        # JSON separates the values and escapes line breaks inside them.
        line = json.dumps([*(row.get(name) for name in COVERED_COLUMNS), image])
        digest.update(b"\n" + line.encode())
    return digest.hexdigest()
