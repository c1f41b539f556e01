"""Colours can be read, and told apart by people who see fewer of them."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from benchc_metrics.pages.palette import COLOURS, DIVERGING_STEPS, SEQUENTIAL_STEPS, SERIES, contrast

THEMES = ("light", "dark")

# Machado, Oliveira and Fernandes 2009, full severity, on linear RGB.
SEEN_BY = {
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}


def lab(colour: str, seen_by: str) -> np.ndarray:
    """CIELAB of a colour as people with a colour vision deficiency see it."""
    srgb = np.array([int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)])
    linear = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
    seen = np.clip(np.array(SEEN_BY[seen_by]) @ linear, 0, 1)
    xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]) @ seen
    x, y, z = np.cbrt(np.maximum(xyz / [0.9505, 1.0, 1.089], 0.008856))
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


@pytest.mark.parametrize("theme", THEMES)
def test_text_is_legible_on_every_cell(theme: str) -> None:
    texts = [name for name in COLOURS if name.endswith("-text")]
    assert len(texts) == SEQUENTIAL_STEPS + DIVERGING_STEPS
    for text in texts:
        pair = getattr(COLOURS[text], theme), getattr(COLOURS[text.removesuffix("-text")], theme)
        assert contrast(*pair) >= 4.5, (text, pair)


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("name", ["ink", "muted", "accent", "warm", *SERIES])
def test_letters_are_legible_on_paper_and_panel(theme: str, name: str) -> None:
    for ground in ("paper", "panel"):
        assert contrast(getattr(COLOURS[name], theme), getattr(COLOURS[ground], theme)) >= 4.5


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("seen_by", SEEN_BY)
def test_gain_and_loss_are_told_apart_by_everyone(theme: str, seen_by: str) -> None:
    for distance in range(2, DIVERGING_STEPS // 2 + 1):
        below, above = (
            lab(getattr(COLOURS[f"diverging-{DIVERGING_STEPS // 2 + side * distance}"], theme), seen_by)
            for side in (-1, 1)
        )
        assert np.linalg.norm(below - above) > 25, distance


def test_contrast_has_the_known_ends() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


def test_a_scale_gets_steadily_darker_on_light_paper_and_lighter_on_dark() -> None:
    shades = [COLOURS[f"sequential-{step}"] for step in range(SEQUENTIAL_STEPS)]
    assert all(contrast(shade.light, "#ffffff") < contrast(after.light, "#ffffff") for shade, after in pairwise(shades))
    assert all(contrast(shade.dark, "#000000") < contrast(after.dark, "#000000") for shade, after in pairwise(shades))
