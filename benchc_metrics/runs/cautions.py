"""Find cautions: what a reader must know before trusting a run.

Each is a pure function of a `Run`. A caution has a name and one sentence, and may mark the run as incomplete.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchc_metrics.benchmark import CONTROL, LETTERS, STANDARD_PROMPT
from benchc_metrics.messages import quoted

if TYPE_CHECKING:
    from benchc_metrics.runs.run import Run

__all__ = ["Caution", "cautions_of"]

NOISE = 0.03
"""The change of a log-likelihood, in nats, that batching, precision and variation of a server can cause.

In all trial runs, every corruption moved 5 % of the pairs of any 2 samples by more than 0.038, and of any 8 samples by
more than 0.15. A blind server moves them by 1e-6 to 1e-2.
"""

NOISE_OF_ONE_SAMPLE = 0.005
"""The same for a run of one sample; the smallest change of one sample in a trial run was 0.016."""

MOVED_PAIRS = 0.95
LEAST_MOVED = 0.5
"""A run in which corruption moves fewer pairs than this share by more than noise is nearly blind.

In the trial runs it moved .94 to .98 of the pairs, .69 under the mildest corruption.
"""

LEAST_SAMPLES_MOVED = 8
"""From so many samples on, that share says something about the model."""

SHARE_OF_ONE_LETTER = 0.99
LEAST_CHANCE = 0.02
"""Below this probability, chance does not explain a run."""

LEAST_MOVING_SAMPLES = 0.03
"""A model that sees changes its letter under some corruption for at least this share of samples."""

MOST_INVALID = 0.2

LEAST_MEDIAN_MASS = 0.5
"""Below this median probability of all letters on clean images, there is a caution."""

LEAST_FITTED = 20
"""With at least this many clean answers, a temperature at its upper bound is not bad luck."""

LEAST_USABLE_MASS = 0.05
"""Below this median, the run counts as incomplete."""


class Caution(NamedTuple):
    """A reason to doubt a run.

    Attributes
    ----------
    name : str
        Short and fixed: "blind", "nearly blind", "one letter", "letter mass", "partial", ...
    sentence : str
        The reason, with its numbers and the cure.
    incomplete : bool
        True if the run must not count as complete.
    """

    name: str
    sentence: str
    incomplete: bool = False


def cautions_of(run: Run) -> tuple[Caution, ...]:
    """Find everything that a reader of a run must know.

    Parameters
    ----------
    run : Run

    Returns
    -------
    tuple of Caution
        The most serious first; empty if there is nothing to doubt.
    """
    found = (check(run) for check in _CHECKS)
    return tuple(sorted((caution for caution in found if caution), key=lambda caution: not caution.incomplete))


def _partial(run: Run) -> Caution | None:
    if run.metadata.complete:
        return None
    return Caution("partial", "A part of the run is missing: " + " ".join(run.metadata.gaps), incomplete=True)


def _letter_mass(run: Run) -> Caution | None:
    masses = run.clean_letter_mass()
    known = masses[~np.isnan(masses)]
    if not known.size or (median := float(np.median(known))) >= LEAST_MEDIAN_MASS:
        return None
    return Caution(
        "letter mass",
        f"The letters of the options hold a median of {median:.2g} of the probability on clean images: the model would "
        "write something else, such as its reasoning; check the prompt and the chat template.",
        incomplete=median < LEAST_USABLE_MASS,
    )


def _one_letter(run: Run) -> Caution | None:
    """Find a run in which nearly every response is the same letter and chance does not explain it."""
    predictions = np.concatenate([run.clean_predictions, run.corrupted_predictions.ravel()])
    chosen = np.bincount(predictions[predictions >= 0], minlength=1)
    seen = run.clean_predictions >= 0
    if not chosen.sum() or chosen.max() < SHARE_OF_ONE_LETTER * chosen.sum():
        return None
    # By chance, all right options have one letter in 1 of K ** (n - 1) sets of n samples with K options.
    log_chance = float(np.log(run.option_counts[seen].astype(float)).sum() - np.log(run.option_counts.max()))
    if log_chance < -np.log(LEAST_CHANCE):
        return None
    letter = LETTERS[int(chosen.argmax())]
    same_answer = bool((run.answers[seen] == chosen.argmax()).all())
    return Caution(
        "one letter",
        f"The letter {letter} is the response to {chosen.max() / chosen.sum():.1%} of all {chosen.sum():,} questions, "
        "so the model may not see the pictures: "
        + (
            "all right options have this letter too, so evaluate samples with other letters."
            if same_answer
            else "check the model, its prompt and how its responses are read."
        ),
    )


def _blind(run: Run) -> Caution | None:
    """Find a run in which corruption moved no response beyond noise; the control is left out, as it should move none."""
    places = [number for number, name in enumerate(run.corruptions) if name != CONTROL]
    if not places:
        return None
    pairs = (run.corrupted_predictions[:, places] >= 0) & (run.clean_predictions >= 0)[:, np.newaxis, np.newaxis]
    if not pairs.any():
        return None
    how = _moved_log_likelihoods(run, places, pairs) if run.has_distributions else _moved_letters(run, places, pairs)
    if how is None:
        return None
    return Caution(
        "blind", f"{how}: the model seems not to see the pictures; check that they reach it, then evaluate again."
    )


def _nearly_blind(run: Run) -> Caution | None:
    """Find a run in which corruption moved few responses beyond noise, and some."""
    places = [number for number, name in enumerate(run.corruptions) if name != CONTROL]
    if not places or not run.has_distributions:
        return None
    pairs = (run.corrupted_predictions[:, places] >= 0) & (run.clean_predictions >= 0)[:, np.newaxis, np.newaxis]
    if int(pairs.any(axis=(1, 2)).sum()) < LEAST_SAMPLES_MOVED:
        return None
    # A model whose log-likelihoods are all small is not blind: its temperature is small too.
    temperature = run.temperature.value
    moved = _movement(run, places)[pairs] / (temperature if temperature < 1 else 1.0)
    share = float((moved > NOISE).mean())
    if share >= LEAST_MOVED or float(np.quantile(moved, MOVED_PAIRS, method="higher")) <= NOISE:
        return None
    return Caution(
        "nearly blind",
        f"Corruption moved the log-likelihoods of only {share:.0%} of the {int(pairs.sum()):,} pairs by more than {NOISE} "
        "nats, which is noise: the model seems to see little of the pictures; check that they reach it.",
    )


def _movement(run: Run, places: list[int]) -> NDArray[np.float64]:
    """By how many nats corruption moved the option that it moved most, shape (samples, places, severities)."""
    clean, corrupted = run.clean[:, np.newaxis, np.newaxis], run.corrupted[:, places]
    finite = np.isfinite(clean) & np.isfinite(corrupted)
    with np.errstate(invalid="ignore"):
        moved = np.asarray(np.where(finite, np.abs(corrupted - clean), 0.0).max(axis=-1))
    # If only one of the two probabilities is 0, the change is infinite.
    moved[(np.isneginf(clean) != np.isneginf(corrupted)).any(axis=-1)] = np.inf
    return moved


def _moved_log_likelihoods(run: Run, places: list[int], pairs: NDArray[np.bool_]) -> str | None:
    moved = _movement(run, places)
    largest = float(np.quantile(moved[pairs], MOVED_PAIRS, method="higher"))
    if largest > (NOISE if int(pairs.any(axis=(1, 2)).sum()) > 1 else NOISE_OF_ONE_SAMPLE):
        return None
    return (
        f"Corruption moved the log-likelihoods of 95 % of the {int(pairs.sum()):,} pairs by at most "
        f"{largest:.2g} nats, which is noise"
    )


def _moved_letters(run: Run, places: list[int], pairs: NDArray[np.bool_]) -> str | None:
    """Check letters, which say less: none moved, although more samples were asked than a robust model leaves unmoved."""
    moved = (run.corrupted_predictions[:, places] != run.clean_predictions[:, np.newaxis, np.newaxis]) & pairs
    if moved.any():
        return None
    samples = pairs.any(axis=(1, 2))
    right = float((run.clean_predictions == run.answers)[samples].mean())
    moving = max(LEAST_MOVING_SAMPLES, (1 - right) / 2)
    if int(samples.sum()) * -np.log1p(-moving) < -np.log(LEAST_CHANCE):
        return None
    return f"Not one of {int(pairs.sum()):,} pairs ({int(samples.sum()):,} samples) has another letter under corruption"


def _temperature(run: Run) -> Caution | None:
    """Find a run whose clean answers are not better than chance, if it has enough samples to decide."""
    if np.count_nonzero(run.clean_predictions >= 0) < LEAST_FITTED or run.temperature.bound != "flattest":
        return None
    return Caution("temperature", run.temperature.note)


def _invalid(run: Run) -> Caution | None:
    """Find a run in which many conditions have no usable response."""
    clean = run.clean_predictions
    asked = int(run.asked.sum()) + clean.size
    usable = int((run.corrupted_predictions[run.asked] >= 0).sum() + (clean >= 0).sum())
    if usable >= (1 - MOST_INVALID) * asked:
        return None
    reason = next(iter(run.invalid.values()), "no response was kept")
    return Caution(
        "invalid",
        f"Only {usable:,} of {asked:,} responses can be used; the first reason is: {reason.rstrip('.')}.",
        incomplete=usable == 0,
    )


def _models(run: Run) -> Caution | None:
    names = run.metadata.answered_by
    if len(names) < 2:
        return None
    return Caution(
        "models", f"The responses name {len(names)} models ({', '.join(names)}): evaluate with one.", incomplete=True
    )


def _prompt(run: Run) -> Caution | None:
    # Records of older versions do not hold the context that was really sent.
    if run.metadata.context is None or run.metadata.prompt == STANDARD_PROMPT:
        return None
    return Caution(
        "prompt",
        f"The prompt is not that of the benchmark: {quoted(run.metadata.prompt)}; compare only runs with the same prompt.",
    )


_CHECKS: tuple[Callable[[Run], Caution | None], ...] = (
    _partial,
    _models,
    _blind,
    _nearly_blind,
    _one_letter,
    _letter_mass,
    _temperature,
    _invalid,
    _prompt,
)
