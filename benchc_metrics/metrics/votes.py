"""RAS from votes: n sampled answers a condition in place of the option probabilities.

Shares of a few votes are noisy, and noise looks like a shift of uncertainty: RAS of the shares themselves is too low by
.04 for 16 votes. The bias is found by a parametric bootstrap and taken off:

1. The votes of a condition are drawn from an option distribution, and that distribution from a mixture of Dirichlet
   distributions, around the sample's votes under all conditions or around the uniform distribution, more or less
   closely. The weights of the mixture are those of maximum likelihood over the whole run, for the clean conditions and
   for the corrupted ones (empirical Bayes).
2. Option distributions are drawn from the posterior of each condition, and new votes from each of them.
3. The bias of a pair is the mean of RAS of the new shares less RAS of what they were drawn from.

The bias of a pair depends on the other samples of its run through the weights. An interval by resampling samples holds
the noise of the votes, because the votes of different samples are independent of one another.

References
----------
Efron, Large-Scale Inference, 2010, chapter 1 (empirical Bayes). Minka, Estimating a Dirichlet distribution, 2000.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchc_metrics.metrics.ras import DEFAULT_READING, Reading, robustness_alignment_score

if TYPE_CHECKING:
    from benchc_metrics.runs.vote_counts import VoteCounts

__all__ = ["BOOTSTRAPS", "UNCERTAIN_SHARE", "RasOfVotes", "ras_of_votes"]

BOOTSTRAPS = 24
"""Option distributions, each with new votes, that are drawn for a condition."""
SEED = 20251119
CONCENTRATIONS = 2.0 ** np.arange(-3, 11)
"""How closely distributions may lie around a centre; 1024 is hardly told from the centre itself."""
ROUNDS = 60
UNCERTAIN_SHARE = 0.15
"""Share of the bias by which its own estimate may be off: what stays of it, on average over 26 real models, is below an
eighth for 16 votes and a sixth for 32. Intervals reach that much further on both sides."""
LEAST_LOG_CONCENTRATION, LARGEST_LOG_CONCENTRATION = -7.0, 4.0

Array = NDArray[np.float64]


class RasOfVotes(NamedTuple):
    """RAS of each pair from votes, and what was taken off; shape (samples, corruptions, severities), nan if invalid.

    Attributes
    ----------
    values : ndarray of float64
        RAS of the shares less their bias; the noise of single pairs may carry it out of [-2, 1].
    bias : ndarray of float64
    """

    values: Array
    bias: Array


@dataclass(frozen=True, eq=False)
class _Cells:
    """The conditions that have votes, one a row.

    Attributes
    ----------
    places : tuple of ndarray
        Index the array (samples, conditions).
    votes : ndarray of float64, shape (cells, options)
    is_real : ndarray of bool, shape (cells, options)
        Whether the sample has the option.
    """

    places: tuple[NDArray[np.intp], ...]
    votes: Array
    is_real: NDArray[np.bool_]

    @property
    def samples(self) -> NDArray[np.intp]:
        return self.places[0]

    @property
    def is_clean(self) -> NDArray[np.bool_]:
        return np.asarray(self.places[1] == 0)


def ras_of_votes(
    votes: VoteCounts,
    answers: NDArray[np.int64],
    option_counts: NDArray[np.int64],
    reading: Reading = DEFAULT_READING,
    *,
    bootstraps: int = BOOTSTRAPS,
    seed: int = SEED,
) -> RasOfVotes:
    """Compute RAS of each pair from votes, less its bias.

    Parameters
    ----------
    votes : VoteCounts
        Of all samples of a run.
    answers, option_counts : ndarray of int64, shape (samples,)
    reading : {"brier", "probability", "confidence", "certainty"}
        Of calibration alignment, see `benchc_metrics.metrics.ras.READINGS`.
    bootstraps, seed : int
        Of the bootstrap that finds the bias.

    Returns
    -------
    RasOfVotes
        nan where one of the two conditions has no vote for an option.
    """
    samples, corruptions, severities, width = votes.corrupted.shape
    counts = np.concatenate([votes.clean[:, np.newaxis], votes.corrupted.reshape(samples, -1, width)], axis=1)
    shares = _shares(counts)
    found = _ras(shares, answers, option_counts, reading)
    cells = _cells_of(counts, option_counts)
    bias = np.zeros_like(found)
    if len(cells.votes):
        bias = _bias(cells, shares, answers, option_counts, reading, bootstraps, seed)
    shape = samples, corruptions, severities
    return RasOfVotes((found - bias).reshape(shape), bias.reshape(shape))


def _bias(
    cells: _Cells,
    shares: Array,
    answers: NDArray[np.int64],
    option_counts: NDArray[np.int64],
    reading: Reading,
    bootstraps: int,
    seed: int,
) -> Array:
    centres = _centres(cells)
    weights = _posterior_weights(cells, centres)
    cumulative = weights.cumsum(axis=-1)
    numbers = cells.votes.sum(axis=-1).astype(np.int64)
    rows = np.arange(len(numbers))
    # A stream of its own, so that it shares no random numbers with the bootstrap of the intervals.
    random = np.random.Generator(np.random.Philox(key=seed + (1 << 65)))
    total = np.zeros((shares.shape[0], shares.shape[1] - 1))
    true, drawn = np.full_like(shares, np.nan), np.full_like(shares, np.nan)
    for _ in range(bootstraps):
        chosen = (random.random(len(rows))[:, np.newaxis] > cumulative).sum(axis=-1).clip(max=cumulative.shape[-1] - 1)
        centre, concentration = np.divmod(chosen, len(CONCENTRATIONS))
        gammas = random.standard_gamma(cells.votes + CONCENTRATIONS[concentration, np.newaxis] * centres[centre, rows])
        distributions = gammas / np.maximum(gammas.sum(axis=-1, keepdims=True), np.finfo(float).tiny)
        true[cells.places] = distributions
        drawn[cells.places] = random.multinomial(numbers, distributions) / numbers[:, np.newaxis]
        total += _ras(drawn, answers, option_counts, reading) - _ras(true, answers, option_counts, reading)
    return total / bootstraps


def _ras(distributions: Array, answers: NDArray[np.int64], option_counts: NDArray[np.int64], reading: Reading) -> Array:
    """RAS of each corrupted condition with the clean one, which comes first; shape (samples, conditions - 1)."""
    return robustness_alignment_score(distributions[:, :1], distributions[:, 1:], answers, option_counts, reading)


def _shares(counts: NDArray[np.int64]) -> Array:
    with np.errstate(invalid="ignore"):
        return np.asarray(counts / counts.sum(axis=-1, keepdims=True))


def _cells_of(counts: NDArray[np.int64], option_counts: NDArray[np.int64]) -> _Cells:
    places = np.nonzero(counts.sum(axis=-1))
    real = np.arange(counts.shape[-1]) < option_counts[places[0], np.newaxis]
    return _Cells(places, counts[places].astype(np.float64), real)


def _centres(cells: _Cells) -> Array:
    """Return what distributions may lie around: the sample's votes, and uniform; shape (2, cells, options)."""
    uniform = cells.is_real / cells.is_real.sum(axis=-1, keepdims=True)
    together = np.zeros((int(cells.samples.max()) + 1, cells.votes.shape[-1]))
    np.add.at(together, cells.samples, cells.votes)
    smoothed = together[cells.samples] + _symmetric_concentration(cells) * cells.is_real
    return np.asarray(np.stack([smoothed / smoothed.sum(axis=-1, keepdims=True), uniform]))


def _symmetric_concentration(cells: _Cells) -> float:
    """Fit one symmetric Dirichlet to all conditions; returns what it adds to the votes of each option."""
    # Slow to import, and not needed where there are no votes.
    from scipy.optimize import minimize_scalar

    patterns, numbers = np.unique(
        np.where(cells.is_real, np.sort(cells.votes * cells.is_real, axis=-1)[:, ::-1], -1.0),
        axis=0,
        return_counts=True,
    )

    def loss(logarithm: float) -> float:
        added = np.where(patterns >= 0, np.exp(logarithm), 0.0)
        return -float(numbers @ _log_likelihood(np.maximum(patterns, 0.0), added))

    bounds = (LEAST_LOG_CONCENTRATION, LARGEST_LOG_CONCENTRATION)
    return float(np.exp(minimize_scalar(loss, bounds=bounds, method="bounded").x))


def _posterior_weights(cells: _Cells, centres: Array) -> Array:
    """Say how probable each part of the mixture is for each condition; shape (cells, parts)."""
    parts = [concentration * centre for centre in centres for concentration in CONCENTRATIONS]
    logs = np.stack([_log_likelihood(cells.votes, part) for part in parts], axis=-1)
    likelihoods = np.exp(logs - logs.max(axis=-1, keepdims=True))
    weights = np.empty(likelihoods.shape)
    for of_kind in (cells.is_clean, ~cells.is_clean):
        weights[of_kind] = _mixture_weights(likelihoods[of_kind])
    return weights


def _mixture_weights(likelihoods: Array) -> Array:
    """Fit the weights of a mixture by expectation and maximisation; return those of each row."""
    rows, parts = likelihoods.shape
    mixture = np.full(parts, 1 / parts)
    for _ in range(ROUNDS if rows else 0):
        mixture = mixture * ((1 / (likelihoods @ mixture)) @ likelihoods) / rows
    posterior = likelihoods * mixture
    return np.asarray(posterior / posterior.sum(axis=-1, keepdims=True))


def _log_likelihood(votes: Array, concentrations: Array) -> Array:
    """Log-likelihood of votes under a Dirichlet-multinomial, but for what depends on the votes alone.

    An option of concentration 0 is one that the sample does not have.
    """
    # Slow to import, and not needed where there are no votes.
    from scipy.special import gammaln

    known = np.where(concentrations > 0, concentrations, 1.0)
    of_options = np.where(concentrations > 0, gammaln(votes + known) - gammaln(known), 0.0)
    total = concentrations.sum(axis=-1)
    return np.asarray(gammaln(total) - gammaln(total + votes.sum(axis=-1)) + of_options.sum(axis=-1))
