"""What a run costs: tokens that an engine reads and writes, their price, and where to stop."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import inf, isfinite
from threading import Lock

from benchc_metrics.messages import quoted

__all__ = ["Limits", "Prices", "StoppedError", "Usage"]

MILLION = 1_000_000


class StoppedError(RuntimeError):
    """A run has reached its limit; the message says what is left, and that the same command goes on."""


@dataclass
class Usage:
    """Tokens that an engine has read and written so far; safe to add to from several threads.

    Attributes
    ----------
    passes : int
        How many forward passes are counted here.
    read, written : int
        Tokens of their prompts, those of pictures with them, and of what was generated.
    """

    passes: int = 0
    read: int = 0
    written: int = 0
    _lock: Lock = field(default_factory=Lock, repr=False)

    def add(self, read: int, written: int = 0, passes: int = 1) -> None:
        """Count the tokens of some passes."""
        with self._lock:
            self.passes += passes
            self.read += read
            self.written += written

    @property
    def read_per_pass(self) -> float:
        """Mean tokens that a pass reads; 0 before the first one."""
        return self.read / self.passes if self.passes else 0.0

    @property
    def written_per_pass(self) -> float:
        """Mean tokens that a pass writes; 0 before the first one."""
        return self.written / self.passes if self.passes else 0.0


@dataclass(frozen=True)
class Prices:
    """Prices of a million tokens, in any currency.

    Attributes
    ----------
    read, written : float
        Of tokens that the model reads, and of those that it writes.
    """

    read: float = 0.0
    written: float = 0.0

    def __post_init__(self) -> None:
        """Refuse prices that are not numbers of 0 or more."""
        for name, price in (("price_input", self.read), ("price_output", self.written)):
            if not _is_number(price) or price < 0:
                raise ValueError(
                    f"{name} is {quoted(price)}: give the price of a million tokens, a number of 0 or more"
                )

    @property
    def are_given(self) -> bool:
        """Whether anything costs anything."""
        return self.read > 0 or self.written > 0

    def of(self, read: float, written: float = 0.0) -> float:
        """Return the price of so many tokens."""
        return (read * self.read + written * self.written) / MILLION

    def spent(self, usage: Usage) -> float:
        """Return the price of what was used."""
        return self.of(usage.read, usage.written)


@dataclass(frozen=True)
class Limits:
    """Where a run stops; the same command then goes on from the kept answers.

    Attributes
    ----------
    max_passes : int or None
        Forward passes that the run may make.
    budget : float or None
        What it may spend, in the currency of the prices.
    prices : Prices
    """

    max_passes: int | None = None
    budget: float | None = None
    prices: Prices = field(default_factory=Prices)

    def __post_init__(self) -> None:
        """Refuse limits that are not positive, and a budget without prices."""
        passes, budget = self.max_passes, self.budget
        if passes is not None and (not isinstance(passes, int) or isinstance(passes, bool) or passes < 1):
            raise ValueError(f"max_passes is {quoted(passes)}: give a number of 1 or more")
        if budget is not None and (not _is_number(budget) or budget <= 0):
            raise ValueError(f"budget is {quoted(budget)}: give a number above 0")
        if budget is not None and not self.prices.are_given:
            raise ValueError(
                "budget needs prices: give price_input=..., and price_output=..., for a million tokens each"
            )

    @property
    def are_given(self) -> bool:
        """Whether there is a limit."""
        return self.max_passes is not None or self.budget is not None

    def share(self, processes: int) -> Limits:
        """Return the limits of one of several processes, which divide the run between them."""
        if processes == 1:
            return self
        return Limits(
            None if self.max_passes is None else max(1, self.max_passes // processes),
            None if self.budget is None else self.budget / processes,
            self.prices,
        )

    def allowance(self, made: int, usage: Usage, batch: int) -> int | None:
        """Say how many passes may be made now, so that none that is under way passes the limit.

        Parameters
        ----------
        made : int
            Passes that were made.
        usage : Usage
            What they used. Before the first pass nobody knows what one costs: a budget then allows one batch.
        batch : int
            Passes of a batch.

        Returns
        -------
        int or None
            0 where the limit is reached; None without a limit.
        """
        allowed = inf if self.max_passes is None else self.max_passes - made
        if self.budget is not None:
            price = self.prices.spent(usage) / made if made else 0.0
            left = self.budget - self.prices.spent(usage)
            if price > 0:
                # Rounded down to what is surely within: later passes may read more than those before.
                allowed = min(allowed, int(left / price * 0.95))
            elif made == 0:
                allowed = min(allowed, batch)
            else:
                raise StoppedError(
                    "the engine does not say how many tokens it read, so that a budget cannot be kept: give max_passes"
                )
        return None if allowed == inf else max(0, int(allowed))

    def reached(self, made: int, left: int, usage: Usage) -> str:
        """Say that a run stops here."""
        limit = (
            f"max_passes={self.max_passes}"
            if self.max_passes is not None and made >= self.max_passes
            else f"budget={self.budget:g}"
        )
        spent = f" and about {self.prices.spent(usage):.2f} spent" if self.prices.are_given else ""
        return (
            f"stopped by {limit} after {made:,} forward passes{spent}, {left:,} are left: the answers are kept, and "
            "the same command goes on from them"
        )


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and isfinite(value)
