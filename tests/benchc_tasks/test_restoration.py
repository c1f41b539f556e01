"""What is done to pictures before a model sees them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchc_tasks import restoration
from benchc_tasks.corruptions import corrupt
from benchc_tasks.restoration import RESTORERS, RestorationError, find_restorer

OPENCV = ("nlm", "median", "bilateral", "clahe", "unsharp")
OWN = """
import numpy as np
from PIL import Image

def negative(pixels):
    return 255 - pixels

def halved(pixels):
    return Image.fromarray(pixels).resize((32, 24))

def numbers(pixels):
    return pixels / 255.0

def broken(pixels):
    raise RuntimeError("no weights")

def narrow(pixels):
    assert pixels.shape[1] < 100, "too wide"
    return pixels

value = 3
"""


def scene() -> Image.Image:
    """Smooth areas with edges, in which noise and blur are clear."""
    pixels = np.full((96, 128, 3), (60, 120, 180), dtype=np.uint8)
    pixels[24:72, 32:96] = (200, 80, 40)
    return Image.fromarray(pixels)


def error(image: Image.Image) -> float:
    return float(np.sqrt(((np.asarray(image, dtype=float) - np.asarray(scene(), dtype=float)) ** 2).mean()))


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A module of a user's, in a folder where Python finds it."""
    name = f"own_restorers_{tmp_path.name}"
    (tmp_path / f"{name}.py").write_text(OWN)
    monkeypatch.syspath_prepend(tmp_path)
    return name


@pytest.mark.parametrize("name", ["nlm", "median", "bilateral", "wavelet", "tv"])
def test_noise_is_taken_away(name: str) -> None:
    for module in RESTORERS[name][1]:
        pytest.importorskip(module)
    noisy = corrupt(scene(), "gaussian_noise", 2, seed=1)
    assert error(find_restorer(name)(noisy)) < 0.75 * error(noisy)


@pytest.mark.parametrize("name", OPENCV)
def test_a_restorer_changes_pixels_alike_each_time_and_keeps_the_size(name: str) -> None:
    picture = corrupt(scene(), "fog", 3, seed=1)
    restored = find_restorer(name)(picture)
    assert restored.size == picture.size
    assert restored.mode == "RGB"
    assert restored.tobytes() == find_restorer(name)(picture).tobytes() != picture.tobytes()


def test_edges_are_sharpened_and_contrast_is_raised() -> None:
    noise = np.random.default_rng(3).integers(0, 256, (96, 128, 3), dtype=np.uint8)
    blurred, dull = corrupt(scene(), "defocus_blur", 1, seed=1), Image.fromarray(noise // 4 + 90)
    steepest = [
        np.abs(np.diff(np.asarray(image, dtype=int), axis=1)).max()
        for image in (blurred, find_restorer("unsharp")(blurred))
    ]
    assert steepest[1] > 1.2 * steepest[0]
    assert np.asarray(find_restorer("clahe")(dull)).std() > 1.2 * np.asarray(dull).std()


def test_a_function_of_a_user_s_is_applied(own: str) -> None:
    assert np.array_equal(np.asarray(find_restorer(f"{own}:negative")(scene())), 255 - np.asarray(scene()))
    assert find_restorer(f"{own}:halved")(scene()).size == (32, 24)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        (
            "sharpen",
            r"^restore is 'sharpen': give one of nlm, median, .*, or module:function of a function of your own$",
        ),
        ("no_such_module:f", r"^restore=no_such_module:f cannot be imported \(ModuleNotFoundError: .*: name a module"),
        ("OWN:missing", r"has no function 'missing': correct the name$"),
        ("OWN:value", r"has no function 'value': correct the name$"),
        ("OWN:broken", r" failed \(RuntimeError: no weights\), on a picture of 64 x 48 pixels: correct the function"),
        ("OWN:numbers", r" returned an array of float64 of shape \(48, 64, 3\): return RGB pixels, uint8 of shape"),
    ],
)
def test_what_cannot_restore_is_refused_in_a_sentence(name: str, sentence: str, own: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        find_restorer(name.replace("OWN", own))


def test_a_missing_library_is_refused_with_its_cure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(RESTORERS, "wavelet", (restoration.wavelet, ("no_such_library",)))
    monkeypatch.setitem(restoration.PACKAGES, "no_such_library", "scikit-image")
    with pytest.raises(ValueError, match=r"^restore=wavelet needs scikit-image: pip install 'benchc\[restoration\]'$"):
        find_restorer("wavelet")


def test_the_state_tells_functions_and_their_texts_apart(own: str, tmp_path: Path) -> None:
    states = [find_restorer(name).state for name in (*OPENCV, f"{own}:negative", f"{own}:halved")]
    assert len(set(states)) == len(states)
    (tmp_path / "own_other.py").write_text(OWN.replace("255 - pixels", "254 - pixels"))
    assert find_restorer("own_other:negative").state.split()[1:] != find_restorer(f"{own}:negative").state.split()[1:]


def test_a_wrong_picture_is_an_error_of_its_own(own: str) -> None:
    with pytest.raises(RestorationError, match=r"failed \(AssertionError: too wide\)$"):
        find_restorer(f"{own}:narrow")(scene())
