"""Say what is being waited for, as long as it takes: a run must not look dead before its first answer."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from loguru import logger

from benchc_metrics.messages import quoted

__all__ = ["EVERY_SECONDS", "reading", "waiting_for"]

EVERY_SECONDS = 5.0
"""Seconds between two lines."""


@contextmanager
def waiting_for(what: str, say: Callable[[str], None] = logger.info) -> Iterator[None]:
    """Write a line whenever another `EVERY_SECONDS` have passed inside the block; none if it is left before.

    Only the first of several processes writes.

    Parameters
    ----------
    what : str
        What is happening: "loading the model".
    say : callable
        Takes a line; it is called from another thread.
    """
    if os.environ.get("RANK", "0") != "0":
        yield
        return
    over = threading.Event()
    started = time.monotonic()

    def tell() -> None:
        while not over.wait(EVERY_SECONDS):
            say(f"benchc: {what}, {time.monotonic() - started:.0f} s so far")

    teller = threading.Thread(target=tell, name="benchc-waiting", daemon=True)
    teller.start()
    try:
        yield
    finally:
        over.set()
        teller.join()


def reading(source: str | None) -> str:
    """Say which dataset is being read; None is the bundled one."""
    return f"reading the dataset {quoted(source)}" if source else "reading the bundled demonstration set"
