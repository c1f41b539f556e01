"""The same pixels: on every processor, in every process and thread, in any order, compiled or not."""

import json
import random
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from benchc_tasks.corruptions import CONTROLS, CORRUPTIONS, ENGINE_VERSION, SEVERITIES, corrupt, corrupt_many

sys.path.insert(0, str(Path(__file__).parent))
from pinned_pixels import IMAGES, PINNED, digests, fixed_image, refusal

ARM_SCRIPT = Path(__file__).parents[3] / ".ci" / "aarch64"
EXCEPT_FROST = [name for name in (*CORRUPTIONS, *CONTROLS) if name != "frost"]

ELSEWHERE = f"""
import json, sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
from pinned_pixels import IMAGES, digests, fixed_image
"""

OTHER_MACHINES = {
    "generic processor": {"NUMBA_CPU_NAME": "generic"},
    "OpenCV without vector instructions": {
        "OPENCV_CPU_DISABLE": "SSE4.1,SSE4.2,POPCNT,AVX,FP16,AVX2,FMA3,AVX512-SKX",
        "OPENCV_IPP": "disabled",
    },
}


def pinned(image: str, names: list[str]) -> dict[str, str]:
    return {
        f"{name}@{severity}": PINNED["sha256"][image][f"{name}@{severity}"] for name in names for severity in SEVERITIES
    }


def test_pins_are_of_this_version() -> None:
    assert PINNED["engine_version"] == ENGINE_VERSION, "run tests/benchc_tasks/corruptions/pinned_pixels.py"
    assert set(PINNED["sha256"]) == set(IMAGES)
    assert all(len(conditions) == 95 + 5 for conditions in PINNED["sha256"].values())


@pytest.mark.parametrize("image", IMAGES)
def test_pixels_did_not_change_under_this_version(image: str) -> None:
    assert refusal(PINNED, ENGINE_VERSION, {image: digests(image, fixed_image(image), EXCEPT_FROST)}) is None


@pytest.mark.parametrize("image", IMAGES)
def test_frost_did_not_change_under_this_version(image: str, frost_textures: None) -> None:
    assert refusal(PINNED, ENGINE_VERSION, {image: digests(image, fixed_image(image), ["frost"])}) is None


def test_changed_pixels_are_refused_under_an_unchanged_version() -> None:
    other = {"astro96": {**PINNED["sha256"]["astro96"], "fog@3": "0" * 64}}
    assert "fog@3" in str(refusal(PINNED, ENGINE_VERSION, other))
    assert refusal(PINNED, ENGINE_VERSION + ".1", other) is None


@pytest.mark.parametrize("machine", OTHER_MACHINES)
def test_other_machines(machine: str, python: Callable[..., str]) -> None:
    script = ELSEWHERE + f"print(json.dumps([digests(name, fixed_image(name), {EXCEPT_FROST}) for name in IMAGES]))"
    found = json.loads(python(script, PYTHONWARNINGS="ignore", **OTHER_MACHINES[machine]))
    assert found == [pinned(image, EXCEPT_FROST) for image in IMAGES]


def test_the_comparison_that_the_arm_script_makes(python: Callable[..., str]) -> None:
    """The Python of the script on this machine; what it adds is an emulator, which takes hours."""
    _, _, compare = ARM_SCRIPT.read_text(encoding="utf-8").partition("<<'PYTHON'\n")
    beginning = (
        f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r}); sys.argv[1:] = ['contrast@2', 'control']\n"
    )
    lines = python(beginning + compare.partition("\nPYTHON\n")[0], NUMBA_CPU_NAME="generic").splitlines()
    assert [line.partition(",")[0] for line in lines[:2]] == [
        "contrast@2: 2 of 2 are equal",
        "control: 10 of 10 are equal",
    ]
    assert lines[2].endswith("numba for generic: 12 of 12 are equal")


# numpy 2.4 named its targets anew, so they are asked for.
NUMPY_TARGETS = """
try:
    from numpy._core._multiarray_umath import __cpu_dispatch__, __cpu_features__
except ImportError:
    from numpy.core._multiarray_umath import __cpu_dispatch__, __cpu_features__
"""


def test_numpy_without_vector_instructions(python: Callable[..., str]) -> None:
    targets = python(NUMPY_TARGETS + "print(*__cpu_dispatch__)").split()
    assert targets
    script = f"""{NUMPY_TARGETS}
assert set(__cpu_dispatch__) == set({targets})
assert not [name for name in __cpu_dispatch__ if __cpu_features__[name]]
{ELSEWHERE}
print(json.dumps([digests(name, fixed_image(name), {EXCEPT_FROST}) for name in IMAGES]))
"""
    found = json.loads(python(script, PYTHONWARNINGS="ignore", NPY_DISABLE_CPU_FEATURES=" ".join(targets)))
    assert found == [pinned(image, EXCEPT_FROST) for image in IMAGES]


def test_without_compilation(python: Callable[..., str], photograph: np.ndarray) -> None:
    small = photograph[30:54, 40:60]
    script = ELSEWHERE + (
        f"image = fixed_image('astro96')[30:54, 40:60]\nprint(json.dumps(digests('small', image, {EXCEPT_FROST})))"
    )
    assert json.loads(python(script, NUMBA_DISABLE_JIT="1")) == digests("small", small, EXCEPT_FROST)


def test_threads_and_order(photograph: np.ndarray) -> None:
    conditions = [(name, severity) for name in EXCEPT_FROST for severity in SEVERITIES]
    seeds = list(range(len(conditions)))
    one_by_one = [corrupt(photograph, *condition, seed) for condition, seed in zip(conditions, seeds, strict=True)]
    order = random.Random(0).sample(seeds, len(seeds))
    at_once = corrupt_many(photograph, [conditions[i] for i in order], seeds=[seeds[i] for i in order], workers=4)
    for position, i in enumerate(order):
        assert np.array_equal(at_once[position], one_by_one[i]), conditions[i]


def test_shared_draws_give_the_same_pixels(photograph: np.ndarray) -> None:
    conditions = [(name, severity) for name in EXCEPT_FROST for severity in SEVERITIES]
    shared = corrupt_many(photograph, conditions, seed=3)
    for condition, output in zip(conditions, shared, strict=True):
        assert np.array_equal(output, corrupt(photograph, *condition, 3)), condition


@pytest.mark.parametrize("name", [name for name in EXCEPT_FROST if name in CORRUPTIONS and CORRUPTIONS[name].together])
def test_severities_made_together_are_those_made_alone(name: str, photograph: np.ndarray) -> None:
    for image in (photograph[:57], photograph[:31, :70], photograph[:3, :40], photograph[:1, :1]):
        alone = {severity: corrupt(image, name, severity, 7) for severity in SEVERITIES}
        for severities in (SEVERITIES, (2, 1), (4, 4, 3, 5), (5, 4, 1)):
            together = corrupt_many(image, [(name, severity) for severity in severities], seed=7)
            for severity, output in zip(severities, together, strict=True):
                assert np.array_equal(output, alone[severity]), (image.shape, severities, severity)


def test_frost_made_together_is_that_made_alone(frost_textures: None, photograph: np.ndarray) -> None:
    for image in (photograph, photograph[:31, :70], photograph[:1, :1]):
        for seed in range(3):
            together = corrupt_many(image, [("frost", severity) for severity in SEVERITIES], seed=seed)
            for severity, output in zip(SEVERITIES, together, strict=True):
                assert np.array_equal(output, corrupt(image, "frost", severity, seed)), severity
