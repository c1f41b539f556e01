"""Disks of their own for tests: small ones that get full, and ones that cannot be written."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

__all__ = ["Disk", "disk"]


class Disk:
    """A file system in memory.

    Attributes
    ----------
    path : Path
        Where it is mounted.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def fill(self, *, but: int = 0) -> None:
        """Take all its room but so many bytes."""
        with (self.path / "ballast").open("wb", buffering=0) as ballast:
            try:
                while True:
                    ballast.write(bytes(4096))
            except OSError:
                pass
            ballast.truncate(max(0, ballast.tell() - but))

    def make_room(self) -> None:
        """Give back what was taken."""
        (self.path / "ballast").unlink()

    def set_writable(self, writable: bool) -> None:
        """Mount it anew, to be read only or to be written too."""
        _run("mount", "-o", f"remount,{'rw' if writable else 'ro'}", str(self.path))


@contextmanager
def disk(path: Path, *, size: int = 64 << 20) -> Iterator[Disk]:
    """Mount a disk; the test is skipped where that is not allowed."""
    path.mkdir(parents=True)
    if os.geteuid() != 0:
        pytest.skip("only root may mount a disk")
    try:
        _run("mount", "-t", "tmpfs", "-o", f"size={size}", "none", str(path))
    except (OSError, subprocess.CalledProcessError) as fault:
        pytest.skip(f"no disk can be mounted here ({fault})")
    try:
        yield Disk(path)
    finally:
        _run("umount", "--lazy", str(path))


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)
