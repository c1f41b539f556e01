"""The nineteen corruptions: pixels in, pixels out."""

from benchc_metrics.benchmark import CORRUPTION_FAMILIES, SEVERITIES
from benchc_tasks.corruptions import blur, control, digital, noise, weather
from benchc_tasks.corruptions.engine import ENGINE_VERSION, condition_seed, corrupt, corrupt_many
from benchc_tasks.corruptions.picture import Picture
from benchc_tasks.corruptions.registry import (
    CONTROLS,
    CORRUPTIONS,
    Corruption,
    arrange,
    corruption,
    register,
    unregister,
)
from benchc_tasks.corruptions.textures import frost_textures_path

__all__ = [
    "CONTROLS",
    "CORRUPTIONS",
    "ENGINE_VERSION",
    "SEVERITIES",
    "Corruption",
    "Picture",
    "blur",
    "condition_seed",
    "control",
    "corrupt",
    "corrupt_many",
    "corruption",
    "digital",
    "frost_textures_path",
    "noise",
    "register",
    "unregister",
    "weather",
]

arrange(tuple(CORRUPTION_FAMILIES))
