"""Aggregators of Bench-C's tasks: lmms-eval's face of the figures of a run.

Each takes the items of one metric, one a sample, as `sample_figures` makes them, and returns a float, the same to the
last bit in whatever order the items come: of several processes, lmms-eval lines up one's samples behind another's. In a
task's YAML:

```yaml
metric_list:
  - metric: ras
    aggregation: !function benchc_tasks.stacks.lmms_eval.aggregators.mean
  - metric: ece_corrupted
    aggregation: !function benchc_tasks.stacks.lmms_eval.aggregators.ece_corrupted
```

and in a group's, where a mean over the tasks would not be the figure of all answers:

```yaml
aggregate_metric_list:
  - metric: ece_corrupted
    aggregation: !function benchc_tasks.stacks.lmms_eval.aggregators.group_ece
```
"""

from __future__ import annotations

from collections.abc import MutableSequence, Sequence
from functools import reduce
from itertools import chain
from math import fsum, nan
from operator import add
from typing import Any

from benchc_metrics.metrics.calibration import DEFAULT_BINS, CalibrationBins
from benchc_metrics.metrics.sample_metrics import relative_drop

__all__ = [
    "CalibrationErrorOfBins",
    "acc_drop",
    "ece_clean",
    "ece_corrupted",
    "group_ece",
    "group_sum",
    "invalid_pairs",
    "mean",
    "ras_corrective",
    "ras_destructive",
    "sort_figures",
]


class CalibrationErrorOfBins(float):
    """An ECE that lmms-eval treats as any float and that still knows the bins it was computed from.

    Attributes
    ----------
    bins : CalibrationBins
        Empty bins make the value nan.
    """

    bins: CalibrationBins

    def __new__(cls, bins: CalibrationBins) -> CalibrationErrorOfBins:
        """Compute the ECE of the bins."""
        value = super().__new__(cls, bins.error() if bins.answers else nan)
        value.bins = bins
        return value

    def __reduce__(self) -> tuple[type[CalibrationErrorOfBins], tuple[CalibrationBins]]:
        """Pickle and copy by the bins, where float's own way would hand `__new__` a number."""
        return CalibrationErrorOfBins, (self.bins,)


def sort_figures(items: MutableSequence[Any]) -> None:
    """Sort figures of samples where they are, None last.

    lmms-eval computes the standard error from the list that it gave to an aggregator before, and by sums that depend on
    the order.

    Parameters
    ----------
    items : mutable sequence of float or None
    """
    items[:] = sorted(items, key=lambda item: (item is None, item))


def mean(items: MutableSequence[float | None]) -> float:
    """Mean over the samples that have the figure; nan if none has.

    Parameters
    ----------
    items : mutable sequence of float or None
        Sorted here, see `sort_figures`.
    """
    sort_figures(items)
    present = [item for item in items if item is not None]
    return fsum(present) / len(present) if present else nan


def ras_destructive(items: MutableSequence[float | None]) -> float:
    """Mean RAS over the samples whose clean answer is right; nan if there is none.

    Parameters
    ----------
    items : mutable sequence of float or None
        A sample's RAS, None where its clean answer is wrong or it has no valid pair. Sorted here, see
        `sort_figures`.
    """
    return mean(items)


def ras_corrective(items: MutableSequence[float | None]) -> float:
    """Mean RAS over the samples whose clean answer is wrong; nan if there is none.

    Parameters
    ----------
    items : mutable sequence of float or None
        A sample's RAS, None where its clean answer is right or it has no valid pair. Sorted here, see
        `sort_figures`.
    """
    return mean(items)


def acc_drop(items: Sequence[Sequence[float] | None]) -> float:
    """Relative drop of accuracy over the samples that have a valid pair; nan if none of them was right when clean.

    Parameters
    ----------
    items : sequence of (clean accuracy, corrupted accuracy) or None
    """
    present = [item for item in items if item is not None]
    return relative_drop(mean([clean for clean, _ in present]), mean([corrupted for _, corrupted in present]))


def ece_clean(items: Sequence[Sequence[Sequence[float]]]) -> CalibrationErrorOfBins:
    """ECE over all clean answers; nan if there is none.

    Parameters
    ----------
    items : sequence of lists of (confidence, correctness)
        One list a sample.
    """
    return _calibration_error(items)


def ece_corrupted(items: Sequence[Sequence[Sequence[float]]]) -> CalibrationErrorOfBins:
    """ECE over the corrupted answers of all valid pairs; nan if there is none.

    Parameters
    ----------
    items : sequence of lists of (confidence, correctness)
        One list a sample.
    """
    return _calibration_error(items)


def invalid_pairs(items: Sequence[Sequence[int]]) -> float:
    """Count the invalid pairs of the task.

    Parameters
    ----------
    items : sequence of (number of invalid pairs, number of pairs)
        One a sample.
    """
    return float(sum(invalid for invalid, _ in items))


def group_ece(metrics: Sequence[float], sizes: Sequence[int], weight_by_size: bool = True) -> float:
    """ECE over the answers of all tasks of a group, from their bins.

    Parameters
    ----------
    metrics : sequence of float
        The tasks' ECEs, as `ece_clean` and `ece_corrupted` return them.
    sizes, weight_by_size
        lmms-eval's; the bins hold the number of answers, and each answer weighs the same.

    Returns
    -------
    float
        nan, and no number that would only look right, if there is no answer or one of the tasks gives a plain float
        without bins.
    """
    bins = [metric.bins for metric in metrics if isinstance(metric, CalibrationErrorOfBins)]
    if not bins or len(bins) < len(metrics):
        return nan
    return CalibrationErrorOfBins(reduce(add, bins))


def group_sum(metrics: Sequence[float], sizes: Sequence[int], weight_by_size: bool = True) -> float:
    """Sum over the tasks of a group, for the number of invalid pairs.

    Parameters
    ----------
    metrics : sequence of float
        The tasks' sums.
    sizes, weight_by_size
        lmms-eval's; a sum has no weights.
    """
    return float(sum(metrics))


def _calibration_error(items: Sequence[Sequence[Sequence[float]]]) -> CalibrationErrorOfBins:
    answers = sorted(chain.from_iterable(items), key=tuple)
    confidences, corrects = [answer[0] for answer in answers], [answer[1] for answer in answers]
    return CalibrationErrorOfBins(CalibrationBins.from_answers(confidences, corrects, DEFAULT_BINS))
