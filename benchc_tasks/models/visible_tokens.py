"""From the log-probabilities that an engine shows for one generated token to the responses of the options.

A token is whatever the engine names it by: its id in process, its text or bytes behind a server.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Iterable, Sequence
from numbers import Real
from typing import TypeVar

from benchc_metrics.messages import quoted
from benchc_metrics.responses import OptionResponse
from benchc_tasks.models.questions import Question, ScoringError

__all__ = ["missing_mass", "only_token", "refuse_improbable", "score_visible_options"]

Token = TypeVar("Token", bound=Hashable)

ROUNDING = 1e-3
"""How far above 0 a log-probability may lie that an engine computed in half precision."""
SUM_ROUNDING = 1e-2
"""How far above 1 the probabilities of different tokens may sum that an engine computed in half precision."""
LARGEST_VOCABULARY = 1e6
"""More tokens than any model has: so many hidden ones, each less probable than those shown, can hold the rest."""


def score_visible_options(
    question: Question,
    tokens: Sequence[Token],
    visible: Iterable[tuple[Token, float]],
    *,
    asked_for_by_name: bool = False,
) -> list[OptionResponse]:
    """Score the options of a question by what an engine shows of the distribution of one token.

    Parameters
    ----------
    question : Question
        Named in errors; its options are the ones that are scored.
    tokens : sequence of hashable
        The token of each option.
    visible : iterable of (hashable, float)
        Tokens and their natural log-probabilities, in any order. The most probable token must be among them, as it is
        in every list of top log-probabilities and where the greedy choice is shown beside the tokens that were asked
        for.
    asked_for_by_name : bool
        Whether the engine was asked for these very tokens. Then nothing is hidden, and no missing mass is recorded.

    Returns
    -------
    list of OptionResponse
        One an option, in order. The missing mass is the same for all.

    Raises
    ------
    ScoringError
        If an option is not visible, nothing is visible, or the numbers are not log-probabilities (see
        `refuse_improbable`).
    """
    shown = list(visible)
    refuse_improbable(question.name, shown, shows_all=asked_for_by_name)
    shown.sort(key=lambda entry: entry[1], reverse=True)
    best = shown[0][0]
    log_probabilities = dict(shown)
    hidden = [option for option, token in zip(question.options, tokens, strict=True) if token not in log_probabilities]
    if hidden:
        raise ScoringError(
            f"{question.name}: the options {', '.join(map(repr, hidden))} are not among the {len(shown)} tokens that "
            f"the engine shows, and {missing_mass(value for _, value in shown):.2g} of the probability is hidden"
        )
    mass = None if asked_for_by_name else missing_mass(value for _, value in shown)
    return [OptionResponse(min(log_probabilities[token], 0.0), token == best, mass) for token in tokens]


def refuse_improbable(name: str, shown: Sequence[tuple[Hashable, object]], *, shows_all: bool = False) -> None:
    """Refuse numbers that cannot be the log-probabilities of different tokens in one place.

    Parameters
    ----------
    name : str
        What the message calls the question.
    shown : sequence of (hashable, object)
        Tokens and what the engine gives as their natural log-probabilities.
    shows_all : bool
        Whether the tokens were asked for by name. Else they are the most probable ones, and those that are hidden are
        less probable than they.

    Raises
    ------
    ScoringError
        If there are none, a value is not a number, nan or above 0, a token stands there twice, the probabilities sum to
        more than 1, or to less than hidden tokens can make up for. A little is left to rounding.
    """
    values: list[float] = []
    for token, value in shown:
        if isinstance(value, bool) or not isinstance(value, Real):
            raise ScoringError(
                f"{name}: the engine gives token {quoted(token)} the log-probability {quoted(value)}, not a number"
            )
        if math.isnan(number := float(value)) or number > ROUNDING:
            raise ScoringError(f"{name}: the engine gives token {quoted(token)} the log-probability {value}")
        values.append(number)
    if not shown:
        raise ScoringError(f"{name}: the engine shows no log-probabilities")
    token, count = Counter(token for token, _ in shown).most_common(1)[0]
    if count > 1:
        raise ScoringError(f"{name}: the engine shows token {quoted(token)} {count} times")
    total = math.fsum(map(math.exp, values))
    if total > 1 + SUM_ROUNDING:
        raise ScoringError(
            f"{name}: the probabilities of the {len(values)} tokens that the engine shows sum to {total:.3g}"
        )
    most_hidden = LARGEST_VOCABULARY * math.exp(min(values))
    if not shows_all and 1 - total > most_hidden + SUM_ROUNDING:
        raise ScoringError(
            f"{name}: the probabilities of the {len(values)} tokens that the engine shows sum to {total:.3g}, and less "
            "probable ones cannot make up for the rest"
        )


def missing_mass(log_probabilities: Iterable[float]) -> float:
    """Return the probability that is not shown: 1 less the sum of what is, and 0 where rounding makes that negative."""
    return max(0.0, 1.0 - math.fsum(map(math.exp, log_probabilities)))


def only_token(question: Question, option: str, tokens: Sequence[Token]) -> Token:
    """Return the token of an option that has exactly one.

    Raises
    ------
    ScoringError
        If it has none or several: engines are asked for one token.
    """
    if len(tokens) != 1:
        raise ScoringError(
            f"{question.name}: the option {quoted(option)} has {len(tokens)} tokens, and engines are asked for one: "
            "ask for letters, or leave backend out"
        )
    return tokens[0]
