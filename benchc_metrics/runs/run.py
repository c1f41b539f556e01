"""Hold a run, one model's answers over one dataset, as dense arrays; take parts of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from benchc_metrics.benchmark import CONTROL, SEVERITIES, Condition
from benchc_metrics.records import Obtained
from benchc_metrics.responses import option_distribution
from benchc_metrics.responses.tempering import Temperature, fit_temperature
from benchc_metrics.runs.cautions import Caution, cautions_of
from benchc_metrics.runs.metadata import RunMetadata
from benchc_metrics.runs.vote_counts import VoteCounts

__all__ = ["GivenPredictions", "Run", "part_of_run", "with_control_apart"]

_ALL_ASKED: NDArray[np.bool_] = np.ones(0, dtype=bool)


@dataclass(frozen=True, eq=False)
class GivenPredictions:
    """Predictions that do not follow from a distribution.

    Attributes
    ----------
    obtained : str
        As in `SampleRecord`.
    clean : ndarray of int64, shape (samples,)
        Indices of options, -1 where invalid or missing.
    corrupted : ndarray of int64, shape (samples, corruptions, severities)
    """

    obtained: Obtained
    clean: NDArray[np.int64]
    corrupted: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Run:
    """Hold the responses of one model over one dataset.

    Samples are in the order of their ids, corruptions in that of the papers. A run has distributions over the options
    (`clean`, `corrupted`), or only predictions (`given`), as from generated letters. Both kinds have
    `clean_predictions` and `corrupted_predictions`.

    Attributes
    ----------
    name : str
        The name in tables and charts: the model's name, or the folder's if lmms-eval did not know the model's.
    metadata : RunMetadata
    sample_ids : tuple of str
    answers : ndarray of int64, shape (samples,)
        Index of each sample's right option.
    option_counts : ndarray of int64, shape (samples,)
    sources, categories : tuple of (str or None)
        One for each sample.
    corruptions : tuple of str
    clean : ndarray of float64, shape (samples, options)
        Log-likelihoods in nats; -inf beyond a sample's own options; all nan if the response is invalid or missing, and
        in a run without distributions.
    corrupted : ndarray of float64, shape (samples, corruptions, severities, options)
        The same under corruption; severities 1..5.
    invalid : mapping of (str, str) to str
        From (sample, condition) to the reason why the answer cannot be used.
    missing : tuple of (str, str)
        The (sample, condition) that were asked and have no response at all.
    notes : tuple of str
        What a reader of the metrics should know, one sentence each.
    asked : ndarray of bool, shape (samples, corruptions, severities)
        The conditions that were asked, by default all. The others are absent by design; they are neither invalid nor
        missing.
    given : GivenPredictions or None
        The predictions of a run without distributions.
    votes : VoteCounts or None
        The sampled answers, if predictions come from votes.
    control : Run or None
        The same samples, clean and under the control, as a run with `corruptions` equal to `("control",)`; None if the
        control was not run. So no metric of the corruptions includes the control. A run of the control alone has it in
        `corruptions`.
    """

    name: str
    metadata: RunMetadata
    sample_ids: tuple[str, ...]
    answers: NDArray[np.int64]
    option_counts: NDArray[np.int64]
    sources: tuple[str | None, ...]
    categories: tuple[str | None, ...]
    corruptions: tuple[str, ...]
    clean: NDArray[np.float64]
    corrupted: NDArray[np.float64]
    invalid: Mapping[tuple[str, str], str] = field(default_factory=dict)
    missing: tuple[tuple[str, str], ...] = ()
    notes: tuple[str, ...] = ()
    asked: NDArray[np.bool_] = field(default_factory=lambda: _ALL_ASKED)
    given: GivenPredictions | None = None
    votes: VoteCounts | None = None
    control: Run | None = None

    def __post_init__(self) -> None:
        """Set `asked` to all conditions by default, and check the shape of a given one."""
        shape = self.corrupted.shape[:-1]
        if self.asked is _ALL_ASKED:
            object.__setattr__(self, "asked", np.ones(shape, dtype=bool))
        if self.asked.shape != shape:
            raise ValueError(f"{self.name}: `asked` has the shape {self.asked.shape}, but the run has {shape}")

    @property
    def obtained(self) -> Obtained:
        """The source of the predictions: log-likelihoods, mean losses, votes or generated letters."""
        if self.given is not None:
            return self.given.obtained
        return "mean losses" if self.metadata.length_normalised else "log-likelihoods"

    @property
    def has_distributions(self) -> bool:
        """True if the run has probabilities of the options, which RAS and calibration need."""
        return self.given is None

    @cached_property
    def clean_predictions(self) -> NDArray[np.int64]:
        """Index of the chosen option on the clean image, shape (samples,); -1 where invalid or missing."""
        return _predictions(self.clean_distributions()) if self.given is None else self.given.clean

    @cached_property
    def corrupted_predictions(self) -> NDArray[np.int64]:
        """The same under corruption, shape (samples, corruptions, severities)."""
        return _predictions(self.corrupted_distributions()) if self.given is None else self.given.corrupted

    @cached_property
    def temperature(self) -> Temperature:
        """The temperature of its clean answers, see `benchc_metrics.responses.tempering`; nan without distributions."""
        return fit_temperature(self.clean, self.answers)

    @property
    def note_on_temperature(self) -> str:
        """A sentence if the temperature is at a bound; empty if a caution already says so."""
        return "" if any(caution.name == "temperature" for caution in self.cautions) else self.temperature.note

    @cached_property
    def cautions(self) -> tuple[Caution, ...]:
        """What a reader must know before trusting the run, the most serious first."""
        return cautions_of(self)

    @property
    def complete(self) -> bool:
        """True if the run counts as complete; False if one of its cautions marks it as incomplete."""
        return not any(caution.incomplete for caution in self.cautions)

    def clean_letter_mass(self) -> NDArray[np.float64]:
        """Total probability of the options on clean images, shape (samples,); nan if unknown."""
        return _letter_mass(self.clean, known=self.obtained == "log-likelihoods")

    @property
    def severities(self) -> tuple[int, ...]:
        """The severities of the third axis of `corrupted`."""
        return SEVERITIES

    def clean_distributions(self) -> NDArray[np.float64]:
        """Option distributions on the clean images, shape (samples, options); nan if there is none."""
        return option_distribution(self.clean, self.option_counts)

    def corrupted_distributions(self) -> NDArray[np.float64]:
        """Option distributions under corruption, shape (samples, corruptions, severities, options)."""
        return option_distribution(self.corrupted, self.option_counts)


def part_of_run(run: Run, asked: NDArray[np.bool_], design: str | None = None) -> Run:
    """Keep some conditions of a run, as if the others were never asked.

    Parameters
    ----------
    run : Run
    asked : ndarray of bool, shape (samples, corruptions, severities)
        The conditions to keep; conditions that the run was not asked stay unasked.
    design : str, optional
        The name of the design that chose these conditions, see `benchc_metrics.designs`; by default the run's own.

    Returns
    -------
    Run
    """
    kept = asked & run.asked
    left_out = {
        (run.sample_ids[sample], str(Condition(run.corruptions[corruption], SEVERITIES[severity])))
        for sample, corruption, severity in np.argwhere(run.asked & ~kept).tolist()
    }
    given = run.given
    return replace(
        run,
        metadata=replace(run.metadata, design=design or run.metadata.design),
        corrupted=np.where(kept[..., np.newaxis], run.corrupted, np.nan),
        asked=kept,
        invalid={cell: reason for cell, reason in run.invalid.items() if cell not in left_out},
        missing=tuple(cell for cell in run.missing if cell not in left_out),
        given=None if given is None else replace(given, corrupted=np.where(kept, given.corrupted, -1)),
        votes=None if run.votes is None else run.votes.where(kept),
    )


def with_control_apart(run: Run) -> Run:
    """Move the control from the corruptions of a run to its `control`, unless the run has only the control.

    Parameters
    ----------
    run : Run
        A run that may have the control among its corruptions.

    Returns
    -------
    Run
    """
    corruptions = [place for place, name in enumerate(run.corruptions) if name != CONTROL]
    if not corruptions or len(corruptions) == len(run.corruptions):
        return run
    return replace(_under(run, corruptions), control=_under(run, [run.corruptions.index(CONTROL)]))


def _under(run: Run, places: Sequence[int]) -> Run:
    """Keep the conditions of some of a run's corruptions."""
    names = tuple(run.corruptions[place] for place in places)
    kept = {None, *names}
    return replace(
        run,
        corruptions=names,
        corrupted=run.corrupted[:, places],
        asked=run.asked[:, places],
        invalid={key: why for key, why in run.invalid.items() if Condition.parse(key[1]).corruption in kept},
        missing=tuple(key for key in run.missing if Condition.parse(key[1]).corruption in kept),
        given=None if run.given is None else replace(run.given, corrupted=run.given.corrupted[:, places]),
        votes=None if run.votes is None else run.votes.under(places),
    )


def _predictions(distributions: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the index of the most probable option, the lowest on a tie; -1 without a distribution."""
    known = ~np.isnan(distributions[..., 0])
    return np.where(known, np.where(known[..., np.newaxis], distributions, 0.0).argmax(axis=-1), -1).astype(np.int64)


def _letter_mass(log_likelihoods: NDArray[np.float64], *, known: bool) -> NDArray[np.float64]:
    mass = np.asarray(np.exp(log_likelihoods).sum(axis=-1))
    return mass if known else np.full_like(mass, np.nan)
