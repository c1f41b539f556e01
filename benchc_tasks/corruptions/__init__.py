"""The nineteen corruptions: pixels in, pixels out."""

from benchc_tasks.corruptions import blur, control, digital, noise, weather
from benchc_tasks.corruptions.engine import ENGINE_VERSION, condition_seed, corrupt, corrupt_many
from benchc_tasks.corruptions.picture import Picture
from benchc_tasks.corruptions.registry import (
    CONTROLS,
    CORRUPTIONS,
    SEVERITIES,
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

arrange(
    [
        "gaussian_noise",
        "shot_noise",
        "impulse_noise",
        "defocus_blur",
        "glass_blur",
        "motion_blur",
        "zoom_blur",
        "snow",
        "frost",
        "fog",
        "brightness",
        "contrast",
        "elastic_transform",
        "pixelate",
        "jpeg_compression",
        "speckle_noise",
        "gaussian_blur",
        "spatter",
        "saturate",
    ]
)
