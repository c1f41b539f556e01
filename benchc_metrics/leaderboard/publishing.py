"""Replace an old site: the new one is built beside it and swapped in, so that no old page stays."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

__all__ = ["publish_site"]

MARK = "Made with benchc from verified submissions"
"""Text of every page; a folder whose first page lacks it is not replaced."""

_INDEX = "index.html"
_MODELS = "models"


def publish_site(pages: Mapping[str, str], output: Path) -> None:
    """Write a site, or leave the old one as it is.

    Parameters
    ----------
    pages : mapping of str to str
        From the path of a file to its content.
    output : Path
        Folder of the site. Pages that are not in `pages` go, such as those of withdrawn models; files and folders that
        no site has, such as `CNAME`, stay.

    Raises
    ------
    FileExistsError
        If the folder holds an `index.html` or `models` of something else, or is a file.
    OSError
        If the site cannot be written; the old one is still there.
    """
    output = Path(os.path.abspath(output))
    _check_replaceable(output)
    output.parent.mkdir(parents=True, exist_ok=True)
    beside = Path(tempfile.mkdtemp(prefix=f".{output.name}-", dir=output.parent))
    try:
        new = beside / "new"
        for path, page in pages.items():
            file = new / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(page.encode("utf-8"))
        if output.is_dir():
            shutil.copymode(output, new)
            old = beside / "old"
            os.rename(output, old)
            _swap(old, new, output, {Path(path).parts[0] for path in pages} | {_MODELS, *_FILES_OF_A_SITE})
        else:
            os.rename(new, output)
    finally:
        shutil.rmtree(beside, ignore_errors=True)


_FILES_OF_A_SITE = (_INDEX, "charts.html", "submit.html", "leaderboard.csv", "leaderboard.json")


def _check_replaceable(output: Path) -> None:
    if output.is_symlink() or (output.exists() and not output.is_dir()):
        raise FileExistsError(f"{output} is not a folder: give another one with -o")
    index = output / _INDEX
    if index.is_file() and MARK not in index.read_text(encoding="utf-8", errors="replace"):
        raise FileExistsError(f"{index} is not a page of a leaderboard: give an empty folder with -o")
    if (output / _MODELS).exists():
        foreign = [path for path in (output / _MODELS).iterdir() if path.suffix != ".html" or not path.is_file()]
        if foreign or not index.is_file():
            raise FileExistsError(
                f"{output / _MODELS} is not the folder of a leaderboard's pages: give an empty folder with -o"
            )


def _swap(old: Path, new: Path, output: Path, of_site: set[str]) -> None:
    """Put the new folder into place with what no site has; put everything back if that fails."""
    carried: list[str] = []
    try:
        for path in sorted(old.iterdir()):
            if path.name not in of_site:
                os.rename(path, new / path.name)
                carried.append(path.name)
        os.rename(new, output)
    except OSError:
        for name in carried:
            os.rename(new / name, old / name)
        os.rename(old, output)
        raise
