"""The colours of report and site: one name for each use, one value for light and one for dark.

Charts and page ask for a colour by its name, as a CSS variable, so that one drawing serves light, dark and print. Hues
are blue and orange throughout, which every common kind of colour vision tells apart; series follow Okabe and Ito.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

__all__ = ["COLOURS", "DIVERGING_STEPS", "SEQUENTIAL_STEPS", "SERIES", "Shades", "contrast"]

SEQUENTIAL_STEPS = 11
DIVERGING_STEPS = 13


class Shades(NamedTuple):
    """One colour as it is on light and on dark paper, in hexadecimal."""

    light: str
    dark: str


_PLAIN = {
    "paper": Shades("#ffffff", "#14181e"),
    "panel": Shades("#f5f7f9", "#1b2129"),
    "ink": Shades("#1b2430", "#e7ebf0"),
    "muted": Shades("#566272", "#a0abb9"),
    "line": Shades("#d9dfe6", "#323b47"),
    "accent": Shades("#0a5ea8", "#74b9f7"),
    "warm": Shades("#b8500b", "#f5a35f"),
    "accent-soft": Shades("#e3eef8", "#1d3348"),
    "warm-soft": Shades("#fbeadd", "#432b18"),
    "context": Shades("#c3cad3", "#465160"),
}
_SERIES = (
    Shades("#0a5ea8", "#74b9f7"),
    Shades("#b35000", "#f5a35f"),
    Shades("#00785a", "#4fd1a5"),
    Shades("#a8487f", "#e79cc8"),
    Shades("#6b5b00", "#e6d250"),
    Shades("#3d4653", "#c3cad3"),
)
_SEQUENTIAL = Shades("#f3f7fb #a9cbe8 #4b93cc #0f5a9e #083a6b", "#1a212a #1f4160 #2f6fa5 #5ca5df #b5dafb")
_DIVERGING = Shades(
    "#8a3a05 #cf6b1e #f0b486 #f4f4f2 #9ec5e6 #3f87c3 #0b4a86", "#ffc08a #d9843f #7a4a22 #232a33 #26517a #4a93d1 #a8d4fb"
)


def _rgb(colour: str) -> tuple[int, int, int]:
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


def _ramp(anchors: str, steps: int) -> list[str]:
    """Colours at equal distances along straight lines between anchors."""
    points = [_rgb(anchor) for anchor in anchors.split()]
    colours = []
    for step in range(steps):
        segment, share = divmod(step * (len(points) - 1), steps - 1)
        first, second = points[segment], points[min(segment + 1, len(points) - 1)]
        mixed = [round(a + (b - a) * share / (steps - 1)) for a, b in zip(first, second, strict=True)]
        colours.append("#" + "".join(f"{channel:02x}" for channel in mixed))
    return colours


def _luminance(colour: str) -> float:
    linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in (v / 255 for v in _rgb(colour))]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(first: str, second: str) -> float:
    """Contrast of two colours after WCAG 2, from 1 (none) to 21 (black on white); text wants 4.5.

    Parameters
    ----------
    first, second : str
        In hexadecimal, `#rrggbb`.

    Returns
    -------
    float
    """
    high, low = sorted((_luminance(first), _luminance(second)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def _legible_on(colour: str) -> str:
    # Of white and true black one always reaches 4.5; a softer black leaves a gap in the middle.
    return max(("#ffffff", "#000000"), key=lambda text: contrast(text, colour))


def _with_text(name: str, anchors: Shades, steps: int) -> dict[str, Shades]:
    """Colours `name-0`, ... of a scale, and for each the colour `name-0-text` of text that stands on it."""
    shades = [Shades(*pair) for pair in zip(_ramp(anchors.light, steps), _ramp(anchors.dark, steps), strict=True)]
    named = {f"{name}-{step}": shade for step, shade in enumerate(shades)}
    texts = {f"{key}-text": Shades(_legible_on(shade.light), _legible_on(shade.dark)) for key, shade in named.items()}
    return named | texts


def _numbered(name: str, shades: Sequence[Shades]) -> dict[str, Shades]:
    return {f"{name}-{number}": shade for number, shade in enumerate(shades)}


COLOURS: dict[str, Shades] = {
    **_PLAIN,
    **_numbered("series", _SERIES),
    **_with_text("sequential", _SEQUENTIAL, SEQUENTIAL_STEPS),
    **_with_text("diverging", _DIVERGING, DIVERGING_STEPS),
}
"""Every colour by its name; in CSS `var(--NAME)`."""

SERIES = tuple(name for name in COLOURS if name.startswith("series-"))
"""Names of the colours that tell models apart."""
