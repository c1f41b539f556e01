"""Compute the fingerprint: equal for datasets that ask the same questions about the same images, in any form."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any

__all__ = ["COVERED_COLUMNS", "fingerprint", "image_digest"]

COVERED_COLUMNS = ("id", "question", "options", "answer", "source", "category")

# Part of what is hashed: a change of this module's encoding must not be taken for a change of the data.
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
        Of each sample its columns, of which `COVERED_COLUMNS` count (one that is absent counts as None), and its
        image's digest.

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
        # JSON keeps the borders of the values, and a line break inside of one is escaped.
        line = json.dumps([*(row.get(name) for name in COVERED_COLUMNS), image])
        digest.update(b"\n" + line.encode())
    return digest.hexdigest()
