"""Conditions: `clean`, or a corruption at a severity, written `fog@3`."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

__all__ = ["CLEAN", "Condition", "fault_of_conditions"]


class Condition(NamedTuple):
    """What was done to a sample's image before a model saw it.

    Attributes
    ----------
    corruption : str or None
        Name of the corruption, None for the clean image.
    severity : int
        1..5, and 0 for the clean image.
    """

    corruption: str | None
    severity: int

    def __str__(self) -> str:
        """Write the condition as logs and reports do: `clean` or `fog@3`."""
        return "clean" if self.corruption is None else f"{self.corruption}@{self.severity}"

    @property
    def is_clean(self) -> bool:
        """Whether the image is left as it is."""
        return self.corruption is None

    @classmethod
    def parse(cls, text: str) -> Condition:
        """Read a condition as `str()` writes it.

        Raises
        ------
        ValueError
            If the text is neither `clean` nor `NAME@SEVERITY` with a severity of 1..5.
        """
        if text == "clean":
            return CLEAN
        corruption, at, severity = text.rpartition("@")
        if not at or not corruption or severity not in {"1", "2", "3", "4", "5"}:
            raise ValueError(f"condition {text!r} is neither 'clean' nor 'NAME@SEVERITY' with a severity of 1 to 5")
        return cls(corruption, int(severity))


CLEAN = Condition(None, 0)


@lru_cache(maxsize=1024)
def fault_of_conditions(conditions: tuple[str, ...]) -> str | None:
    """Say what is wrong with a list of conditions; None if nothing is.

    Kept, because all samples of a task share one list.

    Parameters
    ----------
    conditions : tuple of str
        As `Condition` writes them.

    Returns
    -------
    str or None
        A sentence if they do not begin with `clean`, one stands twice, or one is no condition.
    """
    if conditions[:1] != (str(CLEAN),):
        return "conditions do not begin with 'clean'"
    if len(set(conditions)) != len(conditions):
        return "a condition stands twice in conditions"
    for condition in conditions:
        try:
            Condition.parse(condition)
        except ValueError as error:
            return str(error)
    return None
