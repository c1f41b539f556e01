"""The sha256 of all 95 outputs of two fixed images, those of the control, and the engine version that they belong to.

Run as a script it writes `pinned_pixels.json` anew, which it refuses where pixels changed and the version did not.
"""

import hashlib
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchc_tasks.corruptions import CONTROLS, CORRUPTIONS, ENGINE_VERSION, SEVERITIES, condition_seed, corrupt_many

FOLDER = Path(__file__).parent
PINNED: dict[str, Any] = json.loads((FOLDER / "pinned_pixels.json").read_text(encoding="utf-8"))
IMAGES = ("astro96", "coffee80x120")


def fixed_image(name: str) -> np.ndarray:
    with np.load(FOLDER / "golden" / f"golden_{name}.npz") as golden:
        return golden["input"]


def digests(
    name: str,
    image: np.ndarray,
    corruptions: list[str],
    workers: int | None = 1,
    severities: Sequence[int] = SEVERITIES,
) -> dict[str, str]:
    conditions = [(corruption, severity) for corruption in corruptions for severity in severities]
    seeds = [condition_seed(name, *condition) for condition in conditions]
    outputs = corrupt_many(image, conditions, seeds=seeds, workers=workers)
    return {
        f"{corruption}@{severity}": hashlib.sha256(output.tobytes()).hexdigest()
        for (corruption, severity), output in zip(conditions, outputs, strict=True)
    }


def refusal(pinned: dict[str, Any], version: str, found: dict[str, dict[str, str]]) -> str | None:
    """Say why these pixels may not stand under this version; None if they may."""
    changed = [
        f"{image} {condition}"
        for image, conditions in found.items()
        for condition, digest in conditions.items()
        if pinned["sha256"][image].get(condition, digest) != digest
    ]
    if changed and version == pinned["engine_version"]:
        return f"{len(changed)} outputs changed, {changed[0]} first: raise ENGINE_VERSION, then run pinned_pixels.py."
    return None


def main() -> int:
    found = {name: digests(name, fixed_image(name), [*CORRUPTIONS, *CONTROLS]) for name in IMAGES}
    refused = refusal(PINNED, ENGINE_VERSION, found) if PINNED["sha256"] else None
    if refused is not None:
        print(refused, file=sys.stderr)
        return 1
    pinned = {"engine_version": ENGINE_VERSION, "sha256": found}
    (FOLDER / "pinned_pixels.json").write_text(json.dumps(pinned, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
