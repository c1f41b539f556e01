"""What the published benchmark asks of a run: its corruptions, in the order of the papers, and its severities."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType

__all__ = ["CORRUPTION_FAMILIES", "SEVERITIES", "in_paper_order"]

CORRUPTION_FAMILIES: Mapping[str, str] = MappingProxyType(
    {
        "gaussian_noise": "noise",
        "shot_noise": "noise",
        "impulse_noise": "noise",
        "defocus_blur": "blur",
        "glass_blur": "blur",
        "motion_blur": "blur",
        "zoom_blur": "blur",
        "snow": "weather",
        "frost": "weather",
        "fog": "weather",
        "brightness": "weather",
        "contrast": "digital",
        "elastic_transform": "digital",
        "pixelate": "digital",
        "jpeg_compression": "digital",
        "speckle_noise": "noise",
        "gaussian_blur": "blur",
        "spatter": "weather",
        "saturate": "digital",
    }
)
"""The corruptions of Bench-C and the family of each.

They stand here too because what reads answers must not import what makes pictures.
"""

SEVERITIES = (1, 2, 3, 4, 5)


def in_paper_order(corruptions: Iterable[str]) -> tuple[str, ...]:
    """Order corruptions as the papers do; others follow in the order of the alphabet."""
    places = {name: place for place, name in enumerate(CORRUPTION_FAMILIES)}
    return tuple(sorted(corruptions, key=lambda name: (places.get(name, len(places)), name)))
