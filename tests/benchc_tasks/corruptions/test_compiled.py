"""The folder of the compiled kernels: the user's, never the source's, and none where nothing can be written."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numba
import pytest

import benchc_tasks.corruptions
from benchc_tasks.corruptions.compiled import kernel_cache
from support import logged

SOURCE = Path(benchc_tasks.corruptions.__file__).parent
CORRUPTED = """
import numpy as np
from benchc_tasks.corruptions import corrupt
print(corrupt(np.full((8, 8, 3), 90, np.uint8), "contrast", 3).shape)
"""


@pytest.fixture
def fresh() -> Iterator[None]:
    kernel_cache.cache_clear()
    yield
    kernel_cache.cache_clear()


def corrupted_with(**environment: str) -> str:
    """Corrupt a picture in a fresh process; return what it says, and check that nothing is left beside the source."""
    kept = {name: value for name, value in os.environ.items() if name not in ("NUMBA_CACHE_DIR", "XDG_CACHE_HOME")}
    before = set(SOURCE.rglob("*.nb?"))
    finished = subprocess.run(
        [sys.executable, "-c", CORRUPTED],
        env={**kept, **environment},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    assert finished.stdout.strip() == "(8, 8, 3)"
    assert set(SOURCE.rglob("*.nb?")) == before
    return finished.stderr


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="other systems name the cache folder otherwise")
def test_kernels_are_kept_in_the_users_cache_folder(tmp_path: Path) -> None:
    assert corrupted_with(XDG_CACHE_HOME=str(tmp_path)) == ""
    (folder,) = (tmp_path / "benchc").iterdir()
    assert folder.name.startswith("kernels-")
    assert folder.name.endswith(f"-numba-{numba.__version__}")
    assert list(folder.rglob("*.nbi"))


def test_the_users_own_choice_wins(tmp_path: Path) -> None:
    chosen = tmp_path / "chosen"
    assert corrupted_with(NUMBA_CACHE_DIR=str(chosen), XDG_CACHE_HOME=str(tmp_path / "cache")) == ""
    assert list(chosen.rglob("*.nbi"))
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize("variable", ["NUMBA_CACHE_DIR", "XDG_CACHE_HOME", "HOME"])
def test_kernels_are_compiled_without_a_cache_where_nothing_can_be_written(tmp_path: Path, variable: str) -> None:
    # Even root cannot make a folder below a file.
    (tmp_path / "file").touch()
    (warning,) = corrupted_with(**{variable: str(tmp_path / "file" / "cache")}).splitlines()
    assert "Not a directory): set NUMBA_CACHE_DIR to a folder that can be written" in warning


def test_a_user_without_a_home_folder_has_no_cache(
    fresh: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(numba.config, "CACHE_DIR", "")
    monkeypatch.setattr("benchc_tasks.corruptions.compiled.user_cache_path", lambda *_, **__: Path("~/.cache/benchc"))
    with logged() as lines:
        assert kernel_cache() is None
        assert kernel_cache() is None
    (line,) = lines
    assert "this user has no home folder" in line
    assert not list(tmp_path.iterdir())


def test_a_full_disk_has_no_cache(fresh: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    if not os.path.exists("/dev/full"):
        pytest.skip("this system has no device that is always full")
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path))
    monkeypatch.setattr("tempfile.TemporaryFile", lambda **_: os.fdopen(os.open("/dev/full", os.O_WRONLY), "wb"))
    with logged() as lines:
        assert kernel_cache() is None
    assert "No space left on device" in lines[0]
