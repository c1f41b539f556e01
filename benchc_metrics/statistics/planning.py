"""Find how many samples and conditions reach an interval of RAS of a given width.

RAS of a run is the mean over samples of each sample's mean over its k corrupted conditions. The variance of such a
sample's mean is `between + within / k`: samples differ, and conditions of one sample differ. Both parts are fitted to
the designs of a run (5, 10, 19 and 95 conditions, as far as the run has them), whose variances are computed from its
answers. A 95 % interval is then 2 x 1.96 standard errors wide, and a little more with fewer than 100 samples.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil, sqrt
from statistics import NormalDist
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
from scipy.special import stdtrit

from benchc_metrics.designs import MOST_CONDITIONS, asked_by_design, conditions_per_sample, lite_design
from benchc_metrics.metrics.pairs import PairValues
from benchc_metrics.metrics.ras import DEFAULT_READING, Reading
from benchc_metrics.runs import Run
from benchc_metrics.statistics.resampling import CONFIDENCE_LEVEL, FEW_SAMPLES

__all__ = ["PLANNED_DESIGNS", "TRIAL_SPREADS", "Spread", "spread_of_run"]

PLANNED_DESIGNS = ("full", "lite", "lite-10", "lite-5")
"""From many conditions a sample to few."""

FITTED_CONDITIONS = (5, 10, 19, MOST_CONDITIONS)
LEAST_SAMPLES = 8
"""Fewer samples say nothing about how samples differ."""

_KEYINGS = 10
_UPPER = (1 + CONFIDENCE_LEVEL) / 2


class Spread(NamedTuple):
    """Variance of RAS between samples, and between the conditions of one sample.

    Attributes
    ----------
    between : float
        Variance between samples, of their means over all conditions.
    within : float
        Variance between the conditions of a sample, as a design of few conditions feels it.
    """

    between: float
    within: float

    def variance(self, conditions: int) -> float:
        """Return the variance of a sample's mean over so many conditions."""
        return self.between + self.within / conditions

    def width(self, samples: int, design: str) -> float:
        """Return the width of the 95 % interval of RAS of so many samples."""
        return _reach(samples) * sqrt(self.variance(conditions_per_sample(design)) / samples)

    def samples(self, width: float, design: str) -> int:
        """Return how many samples have an interval of that width at most."""
        number = LEAST_SAMPLES
        # Few samples have a wider interval, so that the number is found and not computed.
        for _ in range(20):
            following = ceil(_reach(number) ** 2 * self.variance(conditions_per_sample(design)) / width**2)
            if following <= number:
                break
            number = following
        while number > LEAST_SAMPLES and self.width(number - 1, design) <= width:
            number -= 1
        return number


def _reach(samples: int) -> float:
    """Return how many standard errors wide an interval is: Student's where samples are few, as the bootstrap's."""
    return 2 * (float(stdtrit(samples - 1, _UPPER)) if samples < FEW_SAMPLES else NormalDist().inv_cdf(_UPPER))


def spread_of_run(run: Run, reading: Reading = DEFAULT_READING) -> Spread:
    """Find how much RAS differs between the samples of a run and between their conditions.

    Parameters
    ----------
    run : Run
        Of all conditions, or of a design of at least 10; its first samples are enough.
    reading : {"brier", "probability", "confidence", "certainty"}
        Of RAS.

    Returns
    -------
    Spread

    Raises
    ------
    ValueError
        If it has no probabilities, fewer than 8 samples with valid pairs, or too few conditions.
    """
    if not run.has_distributions:
        raise ValueError(
            f"{run.name} has no option probabilities, which RAS needs: name a run of benchc or benchc-lite"
        )
    pairs = PairValues.of_run(run, reading)
    values, valid = pairs.values["ras"], pairs.valid
    most = int(np.median(valid.sum(axis=(1, 2))))
    numbers = [number for number in FITTED_CONDITIONS if number <= most]
    samples = int(np.count_nonzero(valid.any(axis=(1, 2))))
    if samples < LEAST_SAMPLES or len(numbers) < 2 or valid.shape[1:] != (19, 5):
        raise ValueError(
            f"{run.name} has {samples} samples with about {most} valid pairs each, too few to plan from: evaluate 8 "
            "samples or more with the task benchc-lite or benchc"
        )
    variances = []
    for number in numbers:
        found = []
        # A design that the run has whole can be keyed in many ways; a part of its own design only in one.
        for keying in range(_KEYINGS if most == MOST_CONDITIONS and number < most else 1):
            ids = run.sample_ids if keying == 0 else [f"{keying}/{sample}" for sample in run.sample_ids]
            kept = valid & asked_by_design(lite_design(number), ids)
            counts = kept.sum(axis=(1, 2))
            means = (values * kept).sum(axis=(1, 2))[counts > 0] / counts[counts > 0]
            found.append(means.var(ddof=1))
        variances.append(float(np.mean(found)))
    slope, intercept = np.polyfit([1 / number for number in numbers], variances, 1)
    within = max(0.0, float(slope))
    between = max(float(intercept), 0.0) if within else float(np.mean(variances))
    return Spread(between, within)


TRIAL_SPREADS: Mapping[Reading, Mapping[str, Spread]] = MappingProxyType(
    {
        "brier": {
            "noise-augmented": Spread(0.00735, 0.04017),
            "noise-augmented-half": Spread(0.01006, 0.04250),
            "plain": Spread(0.00998, 0.03732),
            "plain-half": Spread(0.01266, 0.02833),
            "start": Spread(0.01358, 0.09037),
        },
        "probability": {
            "noise-augmented": Spread(0.00833, 0.04342),
            "noise-augmented-half": Spread(0.01288, 0.05000),
            "plain": Spread(0.01036, 0.03817),
            "plain-half": Spread(0.01289, 0.02571),
            "start": Spread(0.01857, 0.11589),
        },
        "confidence": {
            "noise-augmented": Spread(0.00804, 0.03250),
            "noise-augmented-half": Spread(0.01129, 0.03531),
            "plain": Spread(0.01014, 0.03093),
            "plain-half": Spread(0.01681, 0.02683),
            "start": Spread(0.01619, 0.09731),
        },
        "certainty": {
            "noise-augmented": Spread(0.01702, 0.04119),
            "noise-augmented-half": Spread(0.03135, 0.07117),
            "plain": Spread(0.03022, 0.06760),
            "plain-half": Spread(0.05841, 0.05732),
            "start": Spread(0.02251, 0.09259),
        },
    }
)
"""Of the published trial runs, by reading and run: tiny models over the bundled set of generated pictures."""
