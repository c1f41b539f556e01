"""The control: changes that no person sees, against plain numpy and Pillow, and in no list of corruptions."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from benchc_metrics.benchmark import CORRUPTION_FAMILIES
from benchc_tasks.corruptions import CONTROLS, CORRUPTIONS, SEVERITIES, corrupt
from benchc_tasks.corruptions.control import _FUNCTIONS, CHANGES
from benchc_tasks.datasets import decode_image, load_dataset
from benchc_tasks.demonstration import DEMONSTRATION_SET

LEAST_DECIBELS = {"dither": 49, "jpeg": 44, "brighter": 48, "resize": 36, "shift": 23}
"""Of the sum over the bundled set's pictures; a shift moves textures, so that its number is low."""


def severity_of(change: str) -> int:
    return CHANGES.index(change) + 1


def test_it_is_no_corruption_of_the_benchmark() -> None:
    assert list(CONTROLS) == ["control"]
    assert "control" not in CORRUPTIONS
    assert "control" not in CORRUPTION_FAMILIES
    assert tuple(_FUNCTIONS) == CHANGES
    assert len(CHANGES) == len(SEVERITIES)


@pytest.mark.parametrize("change", CHANGES)
def test_no_person_sees_it(change: str) -> None:
    samples = load_dataset(DEMONSTRATION_SET)
    errors = []
    for number in range(0, len(samples), 6):
        clean = np.array(decode_image(samples[number]["image"], sample=samples[number]["id"]))
        changed = corrupt(clean, "control", severity_of(change), seed=number)
        assert not np.array_equal(changed, clean)
        errors.append(np.mean((changed.astype(float) - clean) ** 2))
    assert 10 * np.log10(255**2 / np.mean(errors)) > LEAST_DECIBELS[change]


def test_dither_is_one_level_up_down_or_none_alike_often() -> None:
    grey = np.full((300, 400, 3), 100, np.uint8)
    steps = corrupt(grey, "control", severity_of("dither"), seed=4).astype(int) - 100
    shares = [np.mean(steps == step) for step in (-1, 0, 1)]
    assert sum(shares) == 1
    # 360,000 draws: a share's standard error is 0.0008
    np.testing.assert_allclose(shares, 1 / 3, atol=0.004)
    assert not np.array_equal(steps, corrupt(grey, "control", severity_of("dither"), seed=5).astype(int) - 100)


def test_dither_stays_within_the_levels() -> None:
    for level in (0, 255):
        changed = corrupt(np.full((50, 50, 3), level, np.uint8), "control", severity_of("dither"))
        assert np.abs(changed.astype(int) - level).max() == 1


def test_jpeg_is_pillows_own(photograph: np.ndarray) -> None:
    stream = io.BytesIO()
    Image.fromarray(photograph).save(stream, "JPEG", quality=98, subsampling="4:4:4")
    expected = np.array(Image.open(stream).convert("RGB"))
    np.testing.assert_array_equal(corrupt(photograph, "control", severity_of("jpeg")), expected)


def test_brighter_is_one_level_more_and_white_stays() -> None:
    levels = np.arange(256, dtype=np.uint8).reshape(16, 16)[..., None].repeat(3, axis=2)
    changed = corrupt(levels, "control", severity_of("brighter"))
    np.testing.assert_array_equal(changed.reshape(-1, 3)[:, 0], [*range(1, 256), 255])


def test_resizing_keeps_size_and_flat_areas(photograph: np.ndarray) -> None:
    flat = np.full((31, 47, 3), (10, 120, 250), np.uint8)
    np.testing.assert_array_equal(corrupt(flat, "control", severity_of("resize")), flat)
    assert corrupt(photograph, "control", severity_of("resize")).shape == photograph.shape


def test_shift_moves_every_pixel_right_by_one(photograph: np.ndarray) -> None:
    changed = corrupt(photograph, "control", severity_of("shift"))
    np.testing.assert_array_equal(changed[:, 1:], photograph[:, :-1])
    np.testing.assert_array_equal(changed[:, 0], photograph[:, 0])


@pytest.mark.parametrize("severity", SEVERITIES)
def test_pictures_of_a_single_pixel(severity: int) -> None:
    assert corrupt(np.full((1, 1, 3), 7, np.uint8), "control", severity).shape == (1, 1, 3)
