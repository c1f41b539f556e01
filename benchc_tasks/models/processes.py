"""One run in several processes, as torchrun and accelerate start them: each process has a part of the samples."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from loguru import logger

__all__ = ["fail_together", "is_one_in_place_of_several", "processes", "processes_on_this_machine"]


def processes() -> int:
    """Return of how many processes this one is, over all machines."""
    return _number("WORLD_SIZE")


def processes_on_this_machine() -> int:
    """Return how many of the run's processes a launcher started on this machine."""
    return _number("LOCAL_WORLD_SIZE")


@contextmanager
def fail_together() -> Iterator[None]:
    """Let a failure inside the block end this process, if it is one of several, so that the launcher ends the others.

    lmms-eval notes a failure and goes on to its end with exit status 0: a launcher sees nothing, and the other
    processes wait for this one, on GPUs for hours.

    Raises
    ------
    SystemExit
        With exit status 1, behind a line in the log, in one of several processes.
    Exception
        What the block raised, in a single process.
    """
    try:
        yield
    except Exception as fault:
        if processes() == 1:
            raise
        logger.opt(exception=fault).debug("what ends this process")
        logger.error(f"rank {os.environ.get('RANK', '0')} of {processes()} ends, and the run with it: {fault}")
        raise SystemExit(1) from fault


def is_one_in_place_of_several(environment: Mapping[str, str]) -> bool:
    """Tell whether `accelerate launch --cpu` was asked for several processes; it starts one, whatever it is asked for.

    Parameters
    ----------
    environment : mapping
        The process's environment variables.
    """
    on_cpu = environment.get("ACCELERATE_USE_CPU", "").lower() in {"true", "1", "yes"}
    # Asked for several, accelerate tells the process where they meet; of several, each knows its rank too.
    return on_cpu and "MASTER_ADDR" in environment and "RANK" not in environment


def _number(variable: str) -> int:
    written = os.environ.get(variable, "")
    return max(1, int(written)) if written.isdecimal() else 1
