"""Check that the results can be written, before anything is scored."""

from __future__ import annotations

import tempfile
from pathlib import Path

__all__ = ["OutputFolderError", "check_output_folder"]

BYTES_OF_A_REQUEST = 256
"""Bytes that a request takes in the samples log; 120 to 200 were measured."""


class OutputFolderError(OSError):
    """Raised where the results of a run could not be written; the message names the folder and the cure."""


def check_output_folder(folder: Path, requests: int) -> None:
    """Write and remove a file of about the size of the results, since lmms-eval only warns when it cannot save them.

    Parameters
    ----------
    folder : Path
        `--output_path`; it is made if it does not exist.
    requests : int
        How many requests the results answer; with 0 only the folder is checked, not its room.

    Raises
    ------
    OutputFolderError
        If that fails.
    """
    size = requests * BYTES_OF_A_REQUEST
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder, buffering=0) as probe:
            while size > 0:
                size -= probe.write(bytes(min(size, 1 << 20)))
    except OSError as fault:
        room = f", with room for {requests * BYTES_OF_A_REQUEST:,} bytes" if requests else ""
        raise OutputFolderError(
            f"the results could not be written to --output_path {folder} ({fault.strerror}): nothing was scored yet; "
            f"name a folder that can be written{room}"
        ) from fault
