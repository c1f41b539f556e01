"""A checkpoint whose weights are others is another checkpoint, whatever its files are called."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

from benchc_tasks.models import checkpoints
from benchc_tasks.models.checkpoints import _state_of_files, checkpoint_state, library_versions
from benchc_tasks.stacks.lmms_eval.model import BenchCModel


@pytest.fixture(autouse=True)
def _new_process() -> None:
    """Forget what was read, as another process would not know it."""
    _state_of_files.cache_clear()


def change_in_place(file: Path, place: int, content: bytes) -> None:
    """Write into a file and put its time of change back."""
    times = file.stat()
    with file.open("r+b") as opened:
        opened.seek(place)
        opened.write(content)
    os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))
    _state_of_files.cache_clear()


def weights(folder: Path, names: tuple[str, ...], size: int = 3000) -> list[Path]:
    folder.mkdir()
    draw = np.random.default_rng(1)
    for name in names:
        tensors = {f"layer.{number}": draw.standard_normal(size).astype(np.float32) for number in range(3)}
        if name.endswith(".safetensors"):
            save_file(tensors, folder / name)
        else:
            (folder / name).write_bytes(b"".join(tensor.tobytes() for tensor in tensors.values()))
    (folder / "config.json").write_text("{}")
    return [folder / name for name in names]


NAMES = {
    "safetensors": ("model.safetensors",),
    "sharded": ("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"),
    "bin": ("pytorch_model.bin",),
    "gguf": ("tiny.Q8_0.gguf",),
}


@pytest.mark.parametrize("place", [0.02, 0.5, 0.98], ids=["at the beginning", "in the middle", "at the end"])
@pytest.mark.parametrize("names", NAMES.values(), ids=NAMES)
@pytest.mark.parametrize("read_whole", [checkpoints.READ_WHOLE, 0], ids=["read whole", "sampled"])
def test_weights_changed_in_place_are_another_checkpoint(
    read_whole: int, names: tuple[str, ...], place: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With size and time of change kept, in the last file of the folder."""
    monkeypatch.setattr(checkpoints, "READ_WHOLE", read_whole)
    files = weights(tmp_path / "model", names)
    before = checkpoint_state(str(tmp_path / "model"))
    _state_of_files.cache_clear()
    assert checkpoint_state(str(tmp_path / "model")) == before
    states = os.stat(files[-1])
    change_in_place(files[-1], int(place * states.st_size), b"\x01\x02\x03\x04")
    assert (files[-1].stat().st_size, files[-1].stat().st_mtime_ns) == (states.st_size, states.st_mtime_ns)
    assert checkpoint_state(str(tmp_path / "model")) != before


def test_every_tensor_of_a_large_file_is_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tensors that were trained on differ at their beginning, in the middle or at the end, as everywhere."""
    monkeypatch.setattr(checkpoints, "READ_WHOLE", 0)
    (file,) = weights(tmp_path / "model", ("model.safetensors",), size=100_000)
    before = checkpoint_state(str(tmp_path / "model"))
    begin = 8 + int.from_bytes(file.read_bytes()[:8], "little")
    for tensor in range(3):
        whole = file.read_bytes()
        change_in_place(file, begin + tensor * 400_000, bytes(400_000))
        assert checkpoint_state(str(tmp_path / "model")) != before
        change_in_place(file, 0, whole)
        assert checkpoint_state(str(tmp_path / "model")) == before


def test_a_single_file_of_weights_has_a_state_too(tmp_path: Path) -> None:
    (file,) = weights(tmp_path / "model", ("tiny.gguf",))
    before = checkpoint_state(str(file))
    change_in_place(file, 100, b"\x01\x02")
    assert checkpoint_state(str(file)) != before


def test_a_hub_id_is_known_by_its_commit() -> None:
    assert checkpoint_state("org/model", "abc") == "org/model@abc"
    assert checkpoint_state("org/no-such-model") == "org/no-such-model@None"


def test_a_link_to_nothing_is_passed_over(tmp_path: Path) -> None:
    weights(tmp_path / "model", ("model.safetensors",))
    (tmp_path / "model" / "gone.bin").symlink_to("nowhere")
    assert checkpoint_state(str(tmp_path / "model"))


def test_the_scorer_s_fingerprint_follows_weights_and_libraries(
    checkpoint: Callable[[str], Path], tmp_path: Path
) -> None:
    folder = shutil.copytree(checkpoint("llava"), tmp_path / "model")

    def fingerprint() -> str:
        _state_of_files.cache_clear()
        return BenchCModel(pretrained=str(folder), device="cpu").fingerprint

    first = fingerprint()
    assert fingerprint() == first
    change_in_place(
        folder / "model.safetensors", (folder / "model.safetensors").stat().st_size - 8, b"\x01\x02\x03\x3f"
    )
    assert fingerprint() != first
    for package in ("torch", "transformers", "pillow"):
        assert f"{package} {version(package)}" in first
    assert version("torch").split("+")[0] == torch.__version__.split("+")[0]
    assert library_versions("no-such-package") == f"no-such-package unknown pillow {version('pillow')}"
