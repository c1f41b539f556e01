"""Runs of votes drawn from the published logits of 26 models, whose RAS is known."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchc_metrics.metrics.ras import robustness_alignment_score
from benchc_metrics.responses import option_distribution
from benchc_metrics.runs import GivenPredictions, Run, run_of_log_likelihoods
from benchc_metrics.runs.vote_counts import VoteCounts

LOGITS = Path(__file__).parent / "fixtures" / "mmbench_logits" / "all_questions.npz"


def real_distributions(file: Path = LOGITS) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Option distributions (models, questions, rotations, options) and right options (questions,)."""
    stored = np.load(file)
    return option_distribution(stored["logits"].astype(np.float64)), stored["answer"].astype(np.int64)


def true_ras(distributions: NDArray[np.float64], answers: NDArray[np.int64]) -> float:
    """RAS of the distributions of one model (questions, rotations, options); the first rotation is the clean one."""
    return float(robustness_alignment_score(distributions[:, :1], distributions[:, 1:], answers).mean())


def run_of_votes(counts: NDArray[np.int64], answers: NDArray[np.int64]) -> Run:
    """A run whose answers are votes (questions, conditions, options); the first condition is the clean one."""
    run = run_of_log_likelihoods(np.zeros(counts.shape), answers)
    corrupted = np.zeros(run.corrupted.shape, dtype=np.int64)
    flat = corrupted.reshape(len(counts), -1, counts.shape[-1])
    flat[:, : counts.shape[1] - 1] = counts[:, 1:]
    clean = counts[:, 0]
    of_clean, of_corrupted = np.zeros(len(counts), dtype=np.int64), np.zeros(corrupted.shape[:-1], dtype=np.int64)
    votes = VoteCounts(clean, corrupted, of_clean, of_corrupted, of_clean, of_corrupted)
    given = GivenPredictions("votes", _chosen(clean), _chosen(corrupted))
    return replace(run, votes=votes, given=given)


def vote(run: Run, number: int, seed: int = 0, *, unparsed: float = 0.0) -> Run:
    """Draw votes from the option distributions of a run, of its control too; a share of them names no option."""
    draw = np.random.default_rng(seed)
    parts = [part for part in (run, run.control) if part is not None]
    clean = _drawn(draw, run.clean_distributions(), number, unparsed)
    voted = []
    for part in parts:
        corrupted = _drawn(draw, part.corrupted_distributions(), number, unparsed)
        corrupted = corrupted * part.asked[..., np.newaxis]
        unread, under = (number - clean.sum(axis=-1), part.asked * (number - corrupted.sum(axis=-1)))
        none = np.zeros_like(unread), np.zeros_like(under)
        metadata = replace(part.metadata, sampling=f"number={number} temperature=1.0 seed={seed}")
        voted.append(
            replace(
                part,
                metadata=metadata,
                clean=np.full_like(part.clean, np.nan),
                corrupted=np.full_like(part.corrupted, np.nan),
                votes=VoteCounts(clean, corrupted, unread, under, *none),
                given=GivenPredictions("votes", _chosen(clean), _chosen(corrupted)),
                control=None,
            )
        )
    return replace(voted[0], control=voted[1] if len(voted) > 1 else None)


def _drawn(
    draw: np.random.Generator, distributions: NDArray[np.float64], number: int, unparsed: float
) -> NDArray[np.int64]:
    """Draw votes; at least one of a condition names an option."""
    read = np.maximum(draw.binomial(number, 1 - unparsed, distributions.shape[:-1]), 1)
    return draw.multinomial(read, np.nan_to_num(distributions))


def _chosen(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.where(counts.sum(axis=-1) > 0, counts.argmax(axis=-1), -1)
