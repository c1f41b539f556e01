"""What `corrupt` and `corrupt_many` take, give and refuse."""

import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from benchc_tasks.corruptions import CORRUPTIONS, SEVERITIES, Picture, condition_seed, corrupt, corrupt_many
from benchc_tasks.corruptions import picture as picture_module
from benchc_tasks.corruptions.picture import pad

EXCEPT_FROST = [name for name in CORRUPTIONS if name != "frost"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "rain"}, "no corruption 'rain': choose one of gaussian_noise, "),
        ({"name": 3}, "no corruption 3"),
        ({"severity": 0}, "Severity 0 is none: choose a whole number from 1 to 5"),
        ({"severity": 6}, "Severity 6"),
        ({"severity": 2.5}, "Severity 2.5"),
        ({"severity": float("nan")}, "Severity nan"),
        ({"severity": True}, "Severity True"),
        ({"seed": 0.5}, "Seed 0.5 is none: choose a whole number"),
        ({"image": np.zeros((40, 40, 3))}, "dtype float64: give grey levels 0..255 of dtype uint8"),
        ({"image": np.zeros((40, 40, 3), np.int64)}, "dtype int64"),
        ({"image": np.full((40, 40, 3), np.nan, np.float32)}, "contains NaN"),
        ({"image": np.zeros((0, 40, 3), np.uint8)}, "is empty"),
        ({"image": np.zeros((40, 0, 3), np.uint8)}, "is empty"),
        ({"image": np.zeros((40, 40), np.uint8)}, r"shape \(40, 40\): give an RGB image of shape \(height, width, 3\)"),
        ({"image": np.zeros((40, 40, 4), np.uint8)}, r"shape \(40, 40, 4\): give an RGB"),
        ({"image": np.zeros((1, 40, 40, 3), np.uint8)}, "give an RGB"),
        ({"image": Image.new("L", (40, 40))}, "mode L: convert it"),
        ({"image": Image.new("RGBA", (40, 40))}, "mode RGBA: convert it"),
        ({"image": [[0, 1], [2, 3]]}, "is a list: give a PIL image or a numpy array"),
    ],
)
def test_one_clear_error(arguments: dict[str, Any], message: str, photograph: np.ndarray) -> None:
    with pytest.raises(ValueError, match=message):
        corrupt(**{"image": photograph, "name": "fog", "severity": 3, **arguments})


def test_a_seed_for_each_condition(photograph: np.ndarray) -> None:
    with pytest.raises(ValueError, match="1 seeds for 2 conditions: give one for each"):
        corrupt_many(photograph, [("fog", 1), ("fog", 2)], seeds=[0])


def test_no_conditions(photograph: np.ndarray) -> None:
    assert corrupt_many(photograph, []) == []


@pytest.mark.parametrize("name", EXCEPT_FROST)
def test_same_kind_back_and_the_image_is_left_alone(name: str, photograph: np.ndarray) -> None:
    before = photograph.copy()
    array = corrupt(photograph, name, 3, seed=5)
    assert (array.dtype, array.shape) == (np.uint8, photograph.shape)
    assert not np.shares_memory(array, photograph)
    assert not np.array_equal(array, photograph)
    assert np.array_equal(photograph, before)
    picture = Image.fromarray(photograph)
    output = corrupt(picture, name, 3, seed=5)
    assert isinstance(output, Image.Image)
    assert output.mode == "RGB"
    assert np.array_equal(np.array(output), array)
    assert np.array_equal(np.array(picture), before)


@pytest.mark.parametrize("name", EXCEPT_FROST)
def test_any_memory_layout(name: str, photograph: np.ndarray) -> None:
    expected = corrupt(photograph, name, 2)
    read_only = photograph.copy()
    read_only.flags.writeable = False
    wide = np.zeros((96, 192, 3), np.uint8)
    wide[:, ::2] = photograph
    for image in (read_only, np.asfortranarray(photograph), wide[:, ::2]):
        assert np.array_equal(corrupt(image, name, 2), expected)


def test_numpy_integers_serve(photograph: np.ndarray) -> None:
    assert np.array_equal(corrupt(photograph, "fog", np.int64(2), np.uint8(7)), corrupt(photograph, "fog", 2, 7))


@pytest.mark.parametrize("name", EXCEPT_FROST)
def test_sides_under_32(name: str, photograph: np.ndarray) -> None:
    for height, width in ((1, 1), (1, 31), (31, 1), (2, 3), (5, 4), (7, 9), (16, 31), (31, 33), (8, 96)):
        image = photograph[:height, :width]
        for severity in SEVERITIES:
            output = corrupt(image, name, severity)
            assert output.shape == image.shape
            assert output.dtype == np.uint8


def test_frost_of_any_size(frost_textures: None, photograph: np.ndarray) -> None:
    for height, width in ((1, 1), (3, 40), (31, 31), (700, 40), (40, 1200)):
        image = np.resize(photograph, (height, width, 3))
        for seed in range(6):
            assert corrupt(image, "frost", 3, seed).shape == image.shape


@settings(max_examples=60, deadline=None)
@given(
    height=st.integers(1, 70),
    width=st.integers(1, 70),
    name=st.sampled_from(EXCEPT_FROST),
    severity=st.sampled_from(SEVERITIES),
    seed=st.integers(0, 2**63 - 1),
    grey=st.sampled_from([None, 0, 255]),
)
def test_every_size_and_flat_images(
    height: int, width: int, name: str, severity: int, seed: int, grey: int | None
) -> None:
    image = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    if grey is not None:
        image[:] = grey
    first = corrupt(image, name, severity, seed)
    assert first.shape == image.shape
    assert np.array_equal(first, corrupt(image, name, severity, seed))


@pytest.mark.parametrize("name", [name for name in EXCEPT_FROST if CORRUPTIONS[name].is_random])
def test_random_corruptions_depend_on_the_seed(name: str, photograph: np.ndarray) -> None:
    assert not np.array_equal(corrupt(photograph, name, 3, 1), corrupt(photograph, name, 3, 2))


@pytest.mark.parametrize("name", [name for name in EXCEPT_FROST if not CORRUPTIONS[name].is_random])
def test_others_do_not(name: str, photograph: np.ndarray) -> None:
    assert np.array_equal(corrupt(photograph, name, 3, 1), corrupt(photograph, name, 3, 2))


def test_corrupt_many_shares(photograph: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    pads: list[str] = []
    monkeypatch.setattr(picture_module, "pad", lambda *a: pads.append(a[3]) or pad(*a))
    corrupt_many(photograph, [(n, s) for n in ("gaussian_blur", "motion_blur", "defocus_blur") for s in SEVERITIES])
    assert sorted(pads) == ["edge", "reflect"]

    draws: list[int] = []
    draw = type(CORRUPTIONS["fog"]).draw
    monkeypatch.setattr(type(CORRUPTIONS["fog"]), "draw", lambda self, *a: draws.append(a[1]) or draw(self, *a))
    conditions = [("gaussian_noise", severity) for severity in SEVERITIES]
    corrupt_many(photograph, conditions, seed=4, workers=1)
    assert len(draws) == 1
    corrupt_many(photograph, conditions, seeds=[1, 2, 3, 4, 5], workers=1)
    assert len(draws) == 6


def test_severities_are_made_together_whatever_the_seeds_of_what_is_not_random(
    photograph: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[tuple[int, ...]] = []
    apply = type(CORRUPTIONS["fog"]).apply_together
    monkeypatch.setattr(
        type(CORRUPTIONS["fog"]), "apply_together", lambda self, *a: made.append(tuple(a[1])) or apply(self, *a)
    )
    conditions = [("zoom_blur", severity) for severity in SEVERITIES]
    conditions += [("gaussian_blur", 1), ("gaussian_blur", 2)]
    corrupt_many(photograph, conditions, seeds=range(7), workers=3)
    assert sorted(made) == [(1,), (1, 2, 3, 4, 5), (2,)]
    made.clear()
    corrupt_many(photograph, conditions, seeds=range(7), workers=5)  # no core is left without work
    assert sorted(made) == [(1,), (1, 5), (2,), (2, 4), (3,)]


def test_an_error_in_a_thread_reaches_the_caller(photograph: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(self: Picture, border: str) -> None:
        raise MemoryError("no room")

    monkeypatch.setattr(Picture, "padded", fail)
    with pytest.raises(MemoryError, match="no room"):
        corrupt_many(photograph, [("fog", 1), ("motion_blur", 1)], workers=2)


def test_no_global_generator_is_touched(photograph: np.ndarray) -> None:
    state, global_state = random.getstate(), np.random.get_state()  # noqa: NPY002
    corrupt_many(photograph, [(name, 3) for name in EXCEPT_FROST])
    assert random.getstate() == state
    after = np.random.get_state()  # noqa: NPY002
    assert after[0] == global_state[0]
    assert np.array_equal(after[1], global_state[1])
    assert after[2:] == global_state[2:]


def test_condition_seed_is_stable() -> None:
    assert condition_seed("sample-1", "fog", 3) == PINNED_SEED
    seeds = {
        condition_seed(f"sample-{i}", name, severity)
        for i in range(50)
        for name in CORRUPTIONS
        for severity in SEVERITIES
    }
    assert len(seeds) == 50 * 95
    assert all(0 <= seed < 2**63 for seed in seeds)


PINNED_SEED = 2540694334499248408


def test_import_is_light(python: Callable[..., str]) -> None:
    loaded = python(
        "import sys, benchc_tasks.corruptions\n"
        "print(*sorted({name.split('.')[0] for name in sys.modules} | {n for n in sys.modules if 'benchc' in n}))"
    ).split()
    for unwanted in (
        "torch",
        "lmms_eval",
        "transformers",
        "benchc_tasks.datasets",
        "imagecorruptions",
    ):
        assert unwanted not in loaded
    # The names of the corruptions and the form of messages are defined there, by the standard library alone.
    assert {name for name in loaded if "benchc_metrics" in name} == {
        "benchc_metrics",
        "benchc_metrics.benchmark",
        "benchc_metrics.messages",
    }
    assert "benchc_tasks.corruptions.engine" in loaded


def test_compiled_code_is_cached_between_processes(python: Callable[..., str], photograph: np.ndarray) -> None:
    corrupt(photograph, "saturate", 1)
    script = (
        "import numpy as np\n"
        "from benchc_tasks.corruptions import corrupt, digital\n"
        "corrupt(np.zeros((40, 40, 3), np.uint8), 'saturate', 1)\n"
        "stats = digital._saturate.stats\n"
        "print(sum(stats.cache_hits.values()), sum(stats.cache_misses.values()))"
    )
    assert python(script).split() == ["1", "0"]


MEMORY_SCRIPT = """
import json, resource
import numpy as np
from benchc_tasks.corruptions import CORRUPTIONS, SEVERITIES, corrupt, corrupt_many

def peak():
    for line in open("/proc/self/status"):
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024

def resident():
    for line in open("/proc/self/status"):
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024

conditions = [(name, severity) for name in %r for severity in (1, 3, 5)]
small = np.zeros((64, 64, 3), np.uint8)
image = np.random.default_rng(0).integers(0, 256, (1024, 1024, 3), dtype=np.uint8)
for name, severity in conditions:  # compiled code and tables are not a picture's memory
    corrupt(small, name, severity)
    corrupt_many(small, [(name, severity) for severity in SEVERITIES])
before = resident()
found = {}
for name, severity in conditions:
    open("/proc/self/clear_refs", "w").write("5")
    corrupt(image, name, severity)
    found[f"{name}@{severity}"] = (peak() - before) / (image.size * 4)
for name in {name for name, _ in conditions}:
    open("/proc/self/clear_refs", "w").write("5")
    corrupt_many(image, [(name, severity) for severity in SEVERITIES], workers=1)
    found[f"{name}, all"] = (peak() - before) / (image.size * 4)
print(json.dumps(found))
"""


def test_peak_memory_is_under_12_float_images(python: Callable[..., str]) -> None:
    import json
    import os

    if not os.access("/proc/self/clear_refs", os.W_OK):
        pytest.skip("This system does not let a process reset its peak memory.")
    peaks = json.loads(python(MEMORY_SCRIPT % EXCEPT_FROST))
    assert max(peaks.values()) < 12, peaks
    assert max(peaks.values()) > 1  # what is measured is there
