"""Define the published benchmark once: its corruptions, severities, conditions and letters."""

from __future__ import annotations

import string
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from types import MappingProxyType
from typing import Literal, NamedTuple, TypeAlias, get_args

from benchc_metrics.messages import quoted

__all__ = [
    "CLEAN",
    "CONDITIONS",
    "CONTROL",
    "CONTROL_CHANGES",
    "CONTROL_CONDITIONS",
    "CORRUPTION_FAMILIES",
    "DEMONSTRATION_FINGERPRINT",
    "FAMILIES",
    "INSTRUCTION",
    "LETTERS",
    "RAS_VERSION",
    "SEVERITIES",
    "STANDARD_PROMPT",
    "Condition",
    "Family",
    "are_of_control",
    "conditions_under",
    "fault_of_conditions",
    "in_paper_order",
]

RAS_VERSION = 2
"""Version of RAS: 1 read calibration alignment as `confidence`; 2 reads it as `brier` unless another reading is named.

RAS of different versions or readings is not compared.
"""

Family: TypeAlias = Literal["noise", "blur", "weather", "digital"]
"""The kinds of corruption that the papers distinguish."""

FAMILIES: tuple[Family, ...] = get_args(Family)

INSTRUCTION = "Answer with the option's letter from the given choices directly."
"""The end of every question."""

STANDARD_PROMPT = f"{{question}}\nA. {{option}}\n{INSTRUCTION}"
"""The benchmark's prompt, as records write it."""

CONTROL: Literal["control"] = "control"
"""Name of the control in conditions (`control@1`): changes of a picture that nobody can see; it has no family."""

CONTROL_CHANGES = ("dither", "jpeg", "brighter", "resize", "shift")
"""The change at each severity of the control; the changes are not ordered from mild to strong."""

CORRUPTION_FAMILIES: Mapping[str, Family] = MappingProxyType(
    {
        "gaussian_noise": "noise",
        "shot_noise": "noise",
        "impulse_noise": "noise",
        "defocus_blur": "blur",
        "glass_blur": "blur",
        "motion_blur": "blur",
        "zoom_blur": "blur",
        "snow": "weather",
        "frost": "weather",
        "fog": "weather",
        "brightness": "weather",
        "contrast": "digital",
        "elastic_transform": "digital",
        "pixelate": "digital",
        "jpeg_compression": "digital",
        "speckle_noise": "noise",
        "gaussian_blur": "blur",
        "spatter": "weather",
        "saturate": "digital",
    }
)
"""The corruptions of Bench-C in the order of the papers, and the family of each."""

SEVERITIES = (1, 2, 3, 4, 5)
"""From mild to strong."""

LETTERS = string.ascii_uppercase
"""The options' letters; a sample cannot have more options."""


class Condition(NamedTuple):
    """A treatment of a sample's image before a model sees it.

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
        """True if the image is not changed."""
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
        if not at or not corruption or severity not in map(str, SEVERITIES):
            raise ValueError(
                f"condition {quoted(text)} is neither 'clean' nor 'NAME@SEVERITY' with a severity of 1 to 5"
            )
        return cls(corruption, int(severity))


CLEAN = Condition(None, 0)


def conditions_under(*corruptions: str) -> tuple[Condition, ...]:
    """Return the conditions of corruptions: clean, then each corruption at every severity."""
    return (CLEAN, *(Condition(name, severity) for name in corruptions for severity in SEVERITIES))


CONDITIONS = tuple(map(str, conditions_under(*CORRUPTION_FAMILIES)))
"""All conditions of the benchmark as text, clean first."""

CONTROL_CONDITIONS = tuple(map(str, conditions_under(CONTROL)[1:]))
"""The conditions of the control as text, without the clean one."""


def are_of_control(conditions: Sequence[str]) -> bool:
    """Check if conditions, clean first, are those of the control's task."""
    return any(condition in CONTROL_CONDITIONS for condition in conditions[1:2])


@lru_cache(maxsize=1024)
def fault_of_conditions(conditions: tuple[str, ...]) -> str | None:
    """Describe the fault of a list of conditions; None if it has none.

    Results are cached, because all samples of a task share one list.

    Parameters
    ----------
    conditions : tuple of str
        As `Condition` writes them.

    Returns
    -------
    str or None
        A sentence if they do not begin with `clean`, if one occurs twice, or if one is not a condition.
    """
    if conditions[:1] != (str(CLEAN),):
        return "conditions do not begin with 'clean'"
    if len(set(conditions)) != len(conditions):
        return "a condition occurs twice in conditions"
    for condition in conditions:
        try:
            Condition.parse(condition)
        except ValueError as error:
            return str(error)
    return None


DEMONSTRATION_FINGERPRINT = "ab8fd994b694975eb1f06ed74bd9228bb6bf6fa5ed4d991b6c227b1d4085399f"
"""Fingerprint of the bundled demonstration set, whose results are not Bench-C results."""


def in_paper_order(corruptions: Iterable[str]) -> tuple[str, ...]:
    """Order corruptions as in the papers; others follow in alphabetical order."""
    places = {name: place for place, name in enumerate(CORRUPTION_FAMILIES)}
    return tuple(sorted(corruptions, key=lambda name: (places.get(name, len(places)), name)))
