"""Golden files: what version 0.1 did, see tests/golden/README.md."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

GOLDEN = Path(__file__).parent / "golden"
TOLERANCE = 1e-12


def golden(name: str) -> Any:
    """Read a golden file."""
    return json.loads(gzip.decompress((GOLDEN / f"{name}.json.gz").read_bytes()))
