"""The datasets of VLMEvalKit that benchc brings: one for each corruption, the control, and each design."""

from __future__ import annotations

from dataclasses import dataclass

from benchc_metrics.benchmark import CONTROL, CORRUPTION_FAMILIES
from benchc_metrics.designs import LITE
from benchc_metrics.messages import close_to_it, quoted
from benchc_tasks.stacks.common import AskedConditions

__all__ = ["ALL", "DATASET_NAMES", "NamedData", "datasets_of"]

PREFIX = "BenchC_"

ALL = "BenchC"
"""Stands for the datasets of all corruptions."""

DATASET_NAMES = tuple(f"{PREFIX}{name}" for name in (*CORRUPTION_FAMILIES, CONTROL, LITE))
"""Names of the datasets."""


@dataclass(frozen=True)
class NamedData:
    """A dataset of VLMEvalKit.

    Attributes
    ----------
    name : str
        As VLMEvalKit calls it, `BenchC_fog`.
    task : str
        As the other stacks call the same samples under the same conditions, `benchc_fog`.
    metadata : dict
        What a task's YAML would say.
    """

    name: str
    task: str
    metadata: dict[str, str]

    @property
    def asked(self) -> AskedConditions:
        """Which conditions are asked."""
        return AskedConditions.of_metadata(self.metadata)


def datasets_of(names: list[str]) -> list[NamedData]:
    """Return the datasets that names stand for, each once.

    Parameters
    ----------
    names : list of str
        `BenchC_fog`, ..., or `BenchC` for those of all corruptions.

    Raises
    ------
    ValueError
        If a name is none of them.
    """
    wanted = [f"{PREFIX}{name}" for name in CORRUPTION_FAMILIES] if ALL in names else []
    for name in names:
        if name != ALL and name not in DATASET_NAMES:
            raise ValueError(
                f"--data {quoted(name)} is none of benchc's datasets: give {ALL}, or some of "
                f"{', '.join(DATASET_NAMES)}{close_to_it(name, DATASET_NAMES)}"
            )
    return [_named(name) for name in dict.fromkeys([*wanted, *(name for name in names if name != ALL)])]


def _named(name: str) -> NamedData:
    short = name.removeprefix(PREFIX)
    if short == LITE:
        return NamedData(name, "benchc-lite", {"design": LITE})
    return NamedData(name, "benchc-control" if short == CONTROL else f"benchc_{short}", {"corruption": short})
