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
from itertools import combinations
from string import ascii_lowercase

import numpy as np

from benchc_metrics.metrics.pairs import PairValues
from benchc_metrics.metrics.registry import EVERY_METRIC
from benchc_metrics.metrics.sums import MetricSums
from benchc_metrics.metrics.views import View
from benchc_metrics.statistics.resampling import holm, paired_comparison

__all__ = ["SIGNIFICANT", "group_letters", "undistinguished_groups"]

SIGNIFICANT = 0.05
"""The adjusted p-value up to which two models can be told apart."""


def undistinguished_groups(
    runs: Sequence[PairValues], views: Sequence[View], metric: str = "ras_tempered"
) -> dict[str, list[str]]:
    """Find the models that cannot be told apart.

    Parameters
    ----------
    runs : sequence of PairValues
        Over the same samples.
    views : sequence of View
    metric : str

    Returns
    -------
    dict of str to list of str
        From a view's name to the letters of each run; two runs that share a letter cannot be told apart (paired
        sign-flip test, Holm-corrected over all pairs of runs in that view, p > 0.05).
    """
    sums = MetricSums((EVERY_METRIC[metric],))
    terms = [sums.stacked_terms(pairs, views) for pairs in runs]
    values = np.stack([sums.metrics(one.sum(axis=0))[..., 0] for one in terms], axis=1)
    pairs = list(combinations(range(len(runs)), 2))
    tests = [paired_comparison(terms[first], terms[second], sums.metrics).p_value[:, 0] for first, second in pairs]
    adjusted = holm(tests) if tests else np.empty((0, len(views)))
    groups = {}
    for place, view in enumerate(views):
        apart = {pair for pair, p_value in zip(pairs, adjusted[:, place], strict=True) if p_value <= SIGNIFICANT}
        ranking = sorted(range(len(runs)), key=lambda run: -values[place, run])
        groups[view.name] = group_letters(ranking, apart)
    return groups


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
