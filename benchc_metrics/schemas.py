"""What all readers of records refuse in the same words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["record_of_schema"]


def record_of_schema(written: object, schema: str) -> Mapping[str, Any]:
    """Return a record as it was written, if it is one of a schema.

    Parameters
    ----------
    written : object
        What a row of a samples log has in a record's place.
    schema : str
        Name and version that are read.

    Raises
    ------
    ValueError
        If it is no mapping, or of another schema; one sentence, which names the sample.
    """
    if not isinstance(written, Mapping):
        raise ValueError(f"a sample's record must be a mapping of its fields, not {type(written).__name__}")
    if written.get("schema") != schema:
        raise ValueError(
            f"sample {written.get('sample')!r}: schema {written.get('schema')!r} is not {schema!r}, "
            "the one that this version of benchc reads"
        )
    return written
