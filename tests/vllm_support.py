"""A checkpoint that vLLM 0.32 loads, for tests that ask a real engine."""

from __future__ import annotations

import shutil
from pathlib import Path

from safetensors.torch import load_file, save_file

from benchc_tasks.demonstration import DEMONSTRATION_MODEL

__all__ = ["vllm_checkpoint"]

TOWER, TOWER_IN_VLLM = "vision_tower.", "vision_tower.vision_model."
WEIGHTS = "model.safetensors"


def vllm_checkpoint(folder: Path) -> Path:
    """Copy the bundled model with the names that vLLM 0.32 and transformers before 5.23 give a CLIP tower's weights.

    Parameters
    ----------
    folder : Path
        Where the copy goes; made if it is not there.

    Returns
    -------
    Path
        The folder. transformers, old and new, loads the copy too.
    """
    shutil.copytree(DEMONSTRATION_MODEL, folder, ignore=shutil.ignore_patterns(WEIGHTS), dirs_exist_ok=True)
    weights = load_file(DEMONSTRATION_MODEL / WEIGHTS)
    renamed = {name.replace(TOWER, TOWER_IN_VLLM, 1): weight for name, weight in weights.items()}
    save_file(renamed, folder / WEIGHTS, metadata={"format": "pt"})
    return folder
