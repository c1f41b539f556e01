"""Groups of models that cannot be told apart, as letters: two models that share one are not significantly different.

That two models cannot be told apart does not make them equivalent: A may be like B and B like C while A and C differ.
So a model can be in several groups, and no cut into tiers would be true.

References
----------
Piepho, An algorithm for a letter-based representation of all-pairwise comparisons, Journal of Computational and
Graphical Statistics 13, 2004 (insert and absorb).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence, Set
from string import ascii_lowercase

__all__ = ["group_letters"]


def group_letters(ranking: Sequence[int], apart: Set[tuple[int, int]]) -> list[str]:
    """Name the groups of models, the best model's first.

    Parameters
    ----------
    ranking : sequence of int
        The models 0..n-1 from best to worst.
    apart : set of (int, int)
        The pairs that differ significantly, in either order.

    Returns
    -------
    list of str
        The letters of model 0, 1, ...; every model has at least one.

    Examples
    --------
    >>> group_letters([0, 1, 2], {(0, 2)})
    ['a', 'ab', 'b']
    """
    groups = [frozenset(ranking)]
    for first, second in sorted(tuple(sorted(pair)) for pair in apart):
        groups = _without_subsets(
            part
            for group in groups
            for part in ((group - {first}, group - {second}) if {first, second} <= group else (group,))
        )
    place = {model: rank for rank, model in enumerate(ranking)}
    ordered = sorted(groups, key=lambda group: sorted(place[model] for model in group))
    names = [_name(number) for number in range(len(ordered))]
    return [
        "".join(name for name, group in zip(names, ordered, strict=True) if model in group)
        for model in range(len(ranking))
    ]


def _without_subsets(groups: Iterable[frozenset[int]]) -> list[frozenset[int]]:
    kept: list[frozenset[int]] = []
    for group in sorted(set(groups), key=lambda group: (-len(group), sorted(group))):
        if not any(group <= other for other in kept):
            kept.append(group)
    return kept


def _name(number: int) -> str:
    """Return a, b, ..., z, then a1, b1, ..."""
    cycle, letter = divmod(number, len(ascii_lowercase))
    return ascii_lowercase[letter] + (str(cycle) if cycle else "")
