"""From the log-probabilities that an engine shows for one generated token to the scores of the options.

A token is whatever the engine names it by: its id in process, its text or bytes behind a server.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Sequence
from typing import TypeVar

from benchc_metrics.responses import OptionResponse
from benchc_tasks.models.questions import Question, ScoringError

__all__ = ["missing_mass", "only_token", "score_visible_options"]

Token = TypeVar("Token", bound=Hashable)

ROUNDING = 1e-3
"""How far above 0 a log-probability may lie that an engine computed in half precision."""


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
        for. Of a token that is there more than once, as two ids may have one text, the most probable counts.
    asked_for_by_name : bool
        Whether the engine was asked for these very tokens. Then nothing is hidden, and no missing mass is recorded.

    Returns
    -------
    list of OptionResponse
        One an option, in order. The missing mass is the same for all.

    Raises
    ------
    ScoringError
        If an option is not visible, nothing is visible, or a log-probability is none: nan or above 0.
    """
    shown = sorted(visible, key=lambda entry: entry[1], reverse=True)
    if not shown:
        raise ScoringError(f"{question.name}: the engine shows no log-probabilities")
    for token, value in shown:
        if math.isnan(value) or value > ROUNDING:
            raise ScoringError(f"{question.name}: the engine gives token {token!r} the log-probability {value}")
    best = shown[0][0]
    log_probabilities = dict(reversed(shown))
    hidden = [option for option, token in zip(question.options, tokens, strict=True) if token not in log_probabilities]
    if hidden:
        raise ScoringError(
            f"{question.name}: the options {', '.join(map(repr, hidden))} are not among the {len(shown)} tokens that "
            f"the engine shows, and {missing_mass(value for _, value in shown):.2g} of the probability is hidden"
        )
    mass = None if asked_for_by_name else missing_mass(value for _, value in shown)
    return [OptionResponse(min(log_probabilities[token], 0.0), token == best, mass) for token in tokens]


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
            f"{question.name}: the option {option!r} has {len(tokens)} tokens, and engines are asked for one: "
            "ask for letters, or leave backend out"
        )
    return tokens[0]
