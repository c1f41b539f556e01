"""Copies of an object that only one thread at a time may use."""

from __future__ import annotations

import copy
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Generic, TypeVar

__all__ = ["Copies"]

Object = TypeVar("Object")


class Copies(Generic[Object]):
    """Lends an object to a thread, and copies of it to others that ask while it is lent.

    Parameters
    ----------
    original : object
        If it cannot be copied, it is lent to all of them, and its owner has to keep them apart.
    """

    def __init__(self, original: Object) -> None:
        self._original = original
        self._idle = [original]
        self._lock = threading.Lock()
        self._can_be_copied = True

    @contextmanager
    def one(self) -> Iterator[Object]:
        """Lend the original if it is idle, else a copy."""
        lent = self._take()
        try:
            yield lent
        finally:
            with self._lock:
                self._idle.append(lent)

    def _take(self) -> Object:
        with self._lock:
            if self._idle:
                return self._idle.pop()
            if self._can_be_copied:
                try:
                    return copy.deepcopy(self._original)
                except Exception:  # an object may refuse to be copied in any way it likes
                    self._can_be_copied = False
            return self._original
