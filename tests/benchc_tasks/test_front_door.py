from __future__ import annotations

import ast
import subprocess
import sys

import numpy as np
import pytest

import benchc_tasks
import benchc_tasks.corruptions
import benchc_tasks.datasets

HEAVY = {"torch", "transformers", "lmms_eval", "lm_eval", "vlmeval", "inspect_ai", "huggingface_hub", "datasets"}


@pytest.mark.parametrize(
    ("code", "allowed"),
    [
        ("import benchc_tasks", set()),
        ("from benchc_tasks import load_dataset; load_dataset()", {"pyarrow", "numpy"}),
        ("from benchc_tasks import corrupt", {"numba", "cv2", "numpy", "scipy"}),
    ],
)
def test_a_name_imports_what_it_needs_and_no_stack(code, allowed):
    script = f"import sys; {code}; print([name for name in sys.modules if '.' not in name])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    imported = set(ast.literal_eval(done.stdout.splitlines()[-1]))
    assert imported & HEAVY == set()
    assert imported & {"pyarrow", "numpy", "numba", "cv2", "scipy"} <= allowed


def test_the_names_are_those_of_the_rooms():
    assert benchc_tasks.load_dataset is benchc_tasks.datasets.load_dataset
    assert benchc_tasks.corrupt is benchc_tasks.corruptions.corrupt
    assert {"corrupt", "load_dataset"} <= set(dir(benchc_tasks))
    pixels = np.zeros((8, 8, 3), dtype=np.uint8)
    assert benchc_tasks.corrupt(pixels, "fog", 3).shape == (8, 8, 3)
    assert len(benchc_tasks.load_dataset()) > 0


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'benchc_tasks' has no attribute 'nothing'"):
        _ = benchc_tasks.nothing
