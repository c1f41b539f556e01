"""Compare a model's first answers with slower passes that rely on less."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

import torch

from benchc_tasks.models.passes import Reader, Tokens
from benchc_tasks.models.questions import Outcome, ScoringError, describe

__all__ = ["Trial", "Way", "largest_difference", "tolerance", "try_out"]

LARGEST_DIFFERENCE = 1e-2
"""The largest difference of log-likelihoods, in nats, that computing in another order makes in float32 and wider."""
LARGEST_DIFFERENCE_IN_HALF = 5e-2
"""The same in bfloat16 and float16."""
STEPS = 2
"""How many neighbouring numbers of its precision a logit may be off."""


class Way(Enum):
    """Ways to read log-likelihoods from a model, from the fastest to the safest.

    Attributes
    ----------
    FAST
        Batches of prompts, and options of several tokens from the prompts' cache.
    ALONE
        The same, one question at a time.
    WHOLE_REST
        Batches of prompts; options of several tokens as whole sequences without a cache, one at a time.
    WHOLE
        One question at a time; options of several tokens as whole sequences; the model counts its own positions.
    """

    FAST = auto()
    ALONE = auto()
    WHOLE_REST = auto()
    WHOLE = auto()


@dataclass(frozen=True)
class Trial:
    """Result of trying out a model on its first questions.

    Attributes
    ----------
    way : Way
        How to read it.
    tolerance : float
        The largest difference in nats that its precision explains.
    finding : str
        What is to be said; empty if all is as it should be.
    """

    way: Way
    tolerance: float
    finding: str = ""


def tolerance(dtype: torch.dtype, rounding: float = 0.0) -> float:
    """Return the largest difference of log-likelihoods, in nats, that a precision explains.

    Parameters
    ----------
    dtype : torch.dtype
        The model's.
    rounding : float
        The distance of neighbouring numbers of that precision, at the largest logit.
    """
    least = LARGEST_DIFFERENCE_IN_HALF if torch.finfo(dtype).bits < 32 else LARGEST_DIFFERENCE
    return max(least, STEPS * rounding)


def largest_difference(first: Sequence[Outcome], second: Sequence[Outcome]) -> float:
    """Return the largest difference of log-likelihoods in nats, of those that are finite on both sides."""
    pairs = [
        (one.value, other.value)
        for ones, others in zip(first, second, strict=True)
        if not isinstance(ones, ScoringError) and not isinstance(others, ScoringError)
        for one, other in zip(ones, others, strict=True)
    ]
    return max((abs(one - other) for one, other in pairs if math.isfinite(one) and math.isfinite(other)), default=0.0)


def try_out(reader: Reader, inputs: Any, option: Tokens, allowed: float) -> Trial:
    """Read one option behind one prompt from the cache and as a whole sequence, and compare.

    Parameters
    ----------
    reader : Reader
        The model's.
    inputs : transformers.BatchFeature
        One prompt.
    option : tuple of int
        Two tokens or more.
    allowed : float
        The largest difference in nats.

    Returns
    -------
    Trial
    """
    try:
        plain = reader.read_prompts(inputs, keep_cache=False, count_positions=False)
        whole = reader.read_whole(plain, option)
    except Exception as fault:  # the model may raise anything, and what it is asked next tells why
        return Trial(Way.FAST, allowed, f"its answers could not be compared with whole sequences ({describe(fault)})")
    expected = whole.log_probabilities.tolist()
    allowed = max(allowed, STEPS * whole.rounding)
    try:
        prefix = reader.read_prompts(inputs, keep_cache=True)
    except torch.OutOfMemoryError:
        return Trial(Way.FAST, allowed)
    except Exception as fault:
        return Trial(Way.WHOLE, allowed, f"it cannot be read with a cache ({describe(fault)}); {_SLOW[Way.WHOLE]}")
    first = float(prefix.log_probabilities[0, option[0]])
    if (difference := _apart(first, expected[0])) > allowed:
        said = f"its letters differ by {difference:.2g} nats from what it says without a cache and padding"
        return Trial(Way.WHOLE, allowed, f"{said}; {_SLOW[Way.WHOLE]}")
    try:
        rest = float(reader.read_tails(prefix, [0], [option])[0])
    except torch.OutOfMemoryError:
        return Trial(Way.FAST, allowed)
    except Exception as fault:
        said = f"its cache cannot be continued ({describe(fault)})"
        return Trial(Way.WHOLE_REST, allowed, f"{said}; {_SLOW[Way.WHOLE_REST]}")
    if (difference := _apart(rest, sum(expected[1:]))) > allowed:
        said = (
            f"what it says behind a first token differs by {difference:.2g} nats between its cache and whole sequences"
        )
        return Trial(Way.WHOLE_REST, allowed, f"{said}; {_SLOW[Way.WHOLE_REST]}")
    return Trial(Way.FAST, allowed)


_SLOW = {
    Way.WHOLE_REST: "options of several tokens are read as whole sequences, which is slower",
    Way.WHOLE: "its questions are asked one by one, options of several tokens as whole sequences, which is slower",
}


def _apart(one: float, other: float) -> float:
    """Return the difference of two log-likelihoods; 0 where both are infinite or nan, which says nothing."""
    if not (math.isfinite(one) and math.isfinite(other)):
        return 0.0
    return abs(one - other)
