"""The parts that are written out here, against the libraries whose functions they stand in for."""

import cv2
import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from benchc_tasks.corruptions import CORRUPTIONS, Picture, corrupt, droplets
from benchc_tasks.corruptions.exact_math import cosine_and_sine, exponential
from benchc_tasks.corruptions.filters import blur_field, enlarge, means_of_zooms
from benchc_tasks.corruptions.picture import pad

SIZES = ((96, 96), (33, 50), (64, 17), (120, 211), (1, 40), (3, 3))


def smooth_noise(shape: tuple[int, int], sigma: float, seed: int) -> np.ndarray:
    field = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=shape), sigma)
    field = (field - field.min()) / max(np.ptp(field), 1e-9)
    return (field * 255).astype(np.uint8)


@pytest.mark.parametrize("shape", SIZES)
@pytest.mark.parametrize("sigma", [1.0, 2.0, 4.0])
def test_droplets_against_opencv(shape: tuple[int, int], sigma: float) -> None:
    grey = smooth_noise(shape, sigma, seed=1)
    grey[grey < 140] = 0
    edges = droplets.edges(grey, 50, 150)
    assert np.array_equal(edges, cv2.Canny(grey, 50, 150) == 255)
    if edges.any():
        distance = cv2.distanceTransform(np.where(edges, 0, 255).astype(np.uint8), cv2.DIST_L2, 5)
        assert np.abs(droplets.distance_to_edges(edges, 20) / 65536 - np.minimum(distance, 20)).max() < 1e-4
    levels = grey.astype(np.int32)
    assert np.array_equal(droplets.equalize(levels), cv2.equalizeHist(grey))
    kernel = np.array([[-2, -1, 0], [-1, 1, 1], [0, 1, 2]], np.float32)
    if min(shape) > 1:
        assert np.array_equal(droplets.emboss(levels), cv2.filter2D(grey, cv2.CV_8U, kernel))
        assert np.array_equal(droplets.box_blur(levels, rounds=True), cv2.blur(grey, (3, 3)))


@pytest.mark.parametrize("border", ["edge", "reflect", "symmetric"])
def test_pad_against_numpy(border: str) -> None:
    for shape in ((5, 7), (1, 1), (2, 9), (40, 50)):
        for image in (np.random.default_rng(0).normal(size=shape), np.zeros((*shape, 3), np.uint8) + np.uint8(9)):
            width = [(3, 3), (12, 12), *[(0, 0)] * (image.ndim - 2)]
            expected = np.pad(image, width, mode=border)  # type: ignore[call-overload]
            assert np.array_equal(pad(image, 3, 12, border), expected)  # type: ignore[arg-type]


def test_no_edges_are_far_away() -> None:
    distance = droplets.distance_to_edges(np.zeros((5, 7), bool), 20)
    assert np.array_equal(distance, np.full((5, 7), 20 << 16))


@pytest.mark.parametrize(("border", "mode"), [("edge", "nearest"), ("symmetric", "reflect")])
def test_blur_field_against_scipy(border: str, mode: str) -> None:
    for shape in SIZES:
        field = np.random.default_rng(0).normal(size=shape)
        for sigma in ((0.3, 0.2), (1.0, 1.0), (5.1, 2.2)):
            expected = ndimage.gaussian_filter(field, sigma, mode=mode, truncate=3.0)
            assert np.allclose(blur_field(field, sigma, 3.0, border), expected, atol=1e-12)  # type: ignore[arg-type]
            single = blur_field(field.astype(np.float32), sigma, 3.0, border, scale=2.0)  # type: ignore[arg-type]
            assert np.allclose(single, 2 * expected, atol=1e-5)


@pytest.mark.parametrize("factor", [1.0, 1.01, 1.1, 1.2, 2.0, 2.5, 3.0, 4.5])
def test_zooms_against_scipy(factor: float) -> None:
    for shape in ((96, 96), (57, 80), (33, 34), (224, 100)):
        field = np.random.default_rng(0).uniform(0, 1, shape).astype(np.float32)
        assert np.allclose(enlarge(field, factor), ndimage.zoom(field, factor, order=1), atol=1e-5)
        image = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
        part = [int(np.ceil(side / factor)) for side in shape]
        top, left = ((side - inner) // 2 for side, inner in zip(shape, part, strict=True))
        middle = image[top : top + part[0], left : left + part[1]].astype(float)
        zoomed = ndimage.zoom(middle, (factor, factor, 1), order=1)[: shape[0], : shape[1]]
        difference = means_of_zooms(Picture(image).packed(), [[factor]])[0] - (image + zoomed) / 2
        assert difference.max() < 1e-3
        assert difference.min() > -1 - 1e-3


@pytest.mark.parametrize("severity", [1, 2, 3, 4, 5])
def test_pixelate_against_pillow(severity: int) -> None:
    part = CORRUPTIONS["pixelate"].parameters[severity - 1]["resolution"]
    generator = np.random.default_rng(0)
    for _ in range(40):
        height, width = generator.integers(4, 200, 2)
        image = generator.integers(0, 256, (height, width, 3), dtype=np.uint8)
        small = Image.fromarray(image).resize((int(width * part), int(height * part)), Image.Resampling.BOX)
        expected = np.array(small.resize((width, height), Image.Resampling.NEAREST))
        difference = np.abs(corrupt(image, "pixelate", severity).astype(int) - expected)
        assert difference.max() <= 1, (height, width)
        if width >= height:  # newer versions of Pillow round after the columns, not the rows, in tall images
            assert not difference.any(), (height, width)


@pytest.mark.parametrize("severity", [1, 2, 3, 4, 5])
def test_jpeg_against_pillow(severity: int, photograph: np.ndarray, tmp_path) -> None:
    quality = CORRUPTIONS["jpeg_compression"].parameters[severity - 1]["quality"]
    for image in (photograph, photograph[:37, :53], photograph[:1, :9]):
        path = tmp_path / "photograph.jpg"
        Image.fromarray(image).save(path, quality=quality)
        assert np.array_equal(corrupt(image, "jpeg_compression", severity), np.array(Image.open(path)))


def test_frost_enlarges_as_opencv(frost_textures: None) -> None:
    from benchc_tasks.corruptions.textures import frost_texture
    from benchc_tasks.corruptions.weather import FrostWindow, enlarged_shape

    for texture in range(5):
        photograph = frost_texture(texture)
        height, width = enlarged_shape(photograph.shape, (200, 300))
        whole = cv2.resize(photograph, (width, height), interpolation=cv2.INTER_CUBIC)
        black = Picture(np.zeros((200, 300, 3), np.uint8))
        window = FrostWindow(texture, 11, 17)
        ice = CORRUPTIONS["frost"].function(black, window, keep=0.0, amount=1.0)
        assert np.abs(ice.astype(int) - whole[11:211, 17:317]).max() <= 1


def test_exact_math() -> None:
    for x in np.linspace(-60, 5, 200).tolist():
        assert exponential(x) == pytest.approx(np.exp(x), rel=1e-14)
    for degrees in np.linspace(-180, 180, 200).tolist():
        cosine, sine = cosine_and_sine(degrees)
        assert cosine == pytest.approx(np.cos(np.deg2rad(degrees)), abs=1e-14)
        assert sine == pytest.approx(np.sin(np.deg2rad(degrees)), abs=1e-14)
