"""How a chat template is kept from letting the model think, so that the option's letter can come next."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from benchc_metrics.messages import quoted

__all__ = [
    "CLOSES_THINKING",
    "FORMS",
    "OPENS_THINKING",
    "SKIP",
    "Skip",
    "check_think",
    "closing_of",
    "find_skip",
    "open_thinking",
]

SKIP = "skip"
"""Value of the model's argument `think` that asks for it."""

THOUGHT = r"(?!end_of_)(?:begin_of_)?[\w:]*(?:think|thought|reason)\w*"
OPENS_THINKING = re.compile(rf"<\|?{THOUGHT}\|?>|\[THINK\]|◁think▷|<\|channel\|>\s*analysis", re.IGNORECASE)
CLOSES_THINKING = re.compile(
    r"</[\w:]*(?:think|thought|reason)\w*>|<\|end_of_\w+\|>|\[/THINK\]|◁/think▷|<\|channel\|>\s*final", re.IGNORECASE
)
FORMS: tuple[Mapping[str, Any], ...] = ({"enable_thinking": False}, {"thinking": False}, {"reasoning": False})
"""Settings by which chat templates are asked not to let the model think."""
HARMONY = "<|end|><|start|>assistant<|channel|>final<|message|>"


@dataclass(frozen=True)
class Skip:
    """The means to keep a model from thinking.

    Attributes
    ----------
    settings : mapping
        Of the chat template.
    suffix : str
        Written behind the prompt.
    """

    settings: Mapping[str, Any] = field(default_factory=dict)
    suffix: str = ""

    def __str__(self) -> str:
        """Say it for the record."""
        said = ", ".join(f"{name}={value}" for name, value in self.settings.items())
        return f"skipped: {said}" if said else f"skipped: closed by benchc with {self.suffix.split()[-1]}"


def open_thinking(text: str) -> str | None:
    """Return the mark that opens a thinking block which nothing closes behind it; None if there is none."""
    opened = list(OPENS_THINKING.finditer(text))
    if not opened or CLOSES_THINKING.search(text, opened[-1].end()):
        return None
    return opened[-1][0]


def closing_of(mark: str) -> str:
    """Return the mark that closes what another opens."""
    if "channel" in mark:
        return HARMONY
    if "begin_of_" in mark:
        return mark.replace("begin_of_", "end_of_")
    return mark.replace("◁", "◁/", 1) if mark.startswith("◁") else f"{mark[0]}/{mark[1:]}"


def find_skip(render: Callable[..., str], template: str, called: str) -> Skip:
    """Find how a template is kept from opening a thinking block.

    Parameters
    ----------
    render : callable
        Writes the beginning of an answer, with further settings of the template.
    template : str
        Its source.
    called : str
        What the message calls it.

    Returns
    -------
    Skip
        The template's own form without thinking, or the closing mark where it has none.

    Raises
    ------
    ValueError
        If it knows no thinking.
    """
    plain = render()
    for settings in FORMS:
        try:
            written = render(**settings)
        except Exception:  # a template may refuse a setting in any way it likes
            continue
        # A template may close the block unless a setting opens it.
        if open_thinking(written) is None and (written != plain or CLOSES_THINKING.search(written)):
            return Skip(settings)
    if (mark := open_thinking(plain)) is not None:
        return Skip(suffix=_closed(plain, mark))
    # The model may begin to think by itself where the template only knows the marks of its answers.
    marks = OPENS_THINKING.search(template) or CLOSES_THINKING.search(template)
    if marks is None:
        raise ValueError(f"{called} knows no thinking, so that there is none to skip: leave think out")
    mark = marks[0] if OPENS_THINKING.fullmatch(marks[0]) else _opening_of(marks[0])
    return Skip(suffix=f"{mark}\n{_closed(mark + chr(10), mark)}")


def check_think(think: object) -> None:
    """Refuse a value of the argument `think` that means nothing."""
    if think not in (None, SKIP):
        raise ValueError(f"think is {quoted(think)}: give think={SKIP}, or leave it out")


def _closed(written: str, mark: str) -> str:
    closing = closing_of(mark)
    return closing if closing == HARMONY else f"{'' if written.endswith(chr(10)) else chr(10)}\n{closing}\n\n"


def _opening_of(mark: str) -> str:
    return mark.replace("end_of_", "begin_of_") if "end_of_" in mark else mark.replace("/", "", 1)
