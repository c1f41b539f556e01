"""Write files so that a failure keeps the old content."""

from __future__ import annotations

import os
import secrets
import stat
from pathlib import Path

__all__ = ["replace_file"]


def replace_file(path: str | os.PathLike[str], content: str | bytes) -> None:
    """Write a new file beside the old one, then replace the old one by it.

    A full disk or an interrupt does not change the old file. The folder of the file is created if it does not exist.

    Parameters
    ----------
    path : str or path-like
        A link is followed; a device or a pipe is written to directly.
    content : str or bytes
        Text is written as UTF-8, its line ends unchanged.

    Raises
    ------
    OSError
        If the file cannot be written; the error names it.
    """
    written = content.encode("utf-8") if isinstance(content, str) else content
    place = Path(path).resolve()
    if place.exists() and not stat.S_ISREG(place.stat().st_mode):
        place.write_bytes(written)
        return
    place.parent.mkdir(parents=True, exist_ok=True)
    beside = place.with_name(f".{place.name[:100]}.{secrets.token_hex(4)}.part")
    try:
        with beside.open("xb") as file:
            file.write(written)
            file.flush()
            os.fsync(file.fileno())
        if place.exists():
            beside.chmod(stat.S_IMODE(place.stat().st_mode))
        beside.replace(place)
    except OSError as fault:
        beside.unlink(missing_ok=True)
        raise OSError(fault.errno, f"{os.strerror(fault.errno or 0)}, nothing was changed", str(path)) from None
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
