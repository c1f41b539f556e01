"""Aggregators of `benchc-gen` tasks: lmms-eval's face of `benchc_metrics.generation_figures`.

A figure of a task is the mean over its samples of their shares. Where answers are invalid, a group's figure is not the
mean over its tasks': a sample weighs by its valid pairs within each of them. So the numbers here remember which samples
they come from; lmms-eval treats them as any float.

In a task's YAML:

```yaml
metric_list:
  - metric: flip
    aggregation: !function benchc_tasks.stacks.lmms_eval.generation_aggregators.share
```

and in a group's:

```yaml
aggregate_metric_list:
  - metric: flip
    aggregation: !function benchc_tasks.stacks.lmms_eval.generation_aggregators.group_share
```
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, MutableSequence, Sequence
from math import fsum, nan
from typing import NamedTuple

from benchc_metrics.metrics.sample_metrics import relative_drop
from benchc_tasks.stacks.lmms_eval.aggregators import sort_figures

__all__ = [
    "RAS_NOT_DEFINED",
    "PairedCounts",
    "RelativeDrop",
    "SampleShare",
    "ShareOfSamples",
    "group_ras_not_defined",
    "group_relative_drop",
    "group_share",
    "ras_not_defined",
    "relative_accuracy_drop",
    "share",
]


RAS_NOT_DEFINED = "not defined"
"""What results show in place of a RAS."""


class SampleShare(float):
    """How large a share of a sample's answers has some property, together with the numbers behind it.

    Attributes
    ----------
    sample : str
        The sample's id.
    having, answers : int
        How many of its answers (or pairs) have the property, and how many there are; at least one.
    """

    sample: str
    having: int
    answers: int

    def __new__(cls, sample: str, having: int, answers: int) -> SampleShare:
        """Compute the share."""
        made = super().__new__(cls, having / answers)
        made.sample, made.having, made.answers = sample, having, answers
        return made

    def __reduce__(self) -> tuple[type[SampleShare], tuple[str, int, int]]:
        """Pickle and copy by the numbers: lmms-eval gathers the items of several processes."""
        return SampleShare, (self.sample, self.having, self.answers)


class PairedCounts(NamedTuple):
    """A sample's right answers before and under corruption; no number, so that lmms-eval takes no mean of it.

    Attributes
    ----------
    sample : str
        The sample's id.
    clean_right, corrupted_right : int
        In how many of its valid pairs the clean, and the corrupted, answer is right.
    pairs : int
        The number of its valid pairs; at least one.
    """

    sample: str
    clean_right: int
    corrupted_right: int
    pairs: int


class ShareOfSamples(float):
    """The mean over samples of their shares, that still knows each sample's numbers.

    Attributes
    ----------
    counts : mapping of str to (int, int)
        For each sample how many of its answers have the property, and how many answers there are.
    """

    counts: Mapping[str, tuple[int, int]]

    def __new__(cls, counts: Mapping[str, tuple[int, int]]) -> ShareOfSamples:
        """Compute the mean; nan without a sample."""
        value = fsum(having / answers for having, answers in counts.values()) / len(counts) if counts else nan
        made = super().__new__(cls, value)
        made.counts = counts
        return made

    def __reduce__(self) -> tuple[type[ShareOfSamples], tuple[Mapping[str, tuple[int, int]]]]:
        """Pickle and copy by the counts."""
        return ShareOfSamples, (self.counts,)

    @classmethod
    def of(cls, shares: Iterable[tuple[str, int, int]]) -> ShareOfSamples:
        """Put shares together; those of one sample become one.

        Parameters
        ----------
        shares : iterable of (sample, number of answers that have the property, number of answers)
        """
        having: dict[str, int] = defaultdict(int)
        answers: dict[str, int] = defaultdict(int)
        for sample, number, total in shares:
            having[sample] += number
            answers[sample] += total
        return cls({sample: (having[sample], answers[sample]) for sample in answers})

    @classmethod
    def over(cls, parts: Iterable[ShareOfSamples]) -> ShareOfSamples:
        """Put the shares of several tasks over the same samples together."""
        return cls.of((sample, *numbers) for part in parts for sample, numbers in part.counts.items())


class RelativeDrop(float):
    """A relative drop of accuracy that still knows each sample's numbers.

    Attributes
    ----------
    clean, corrupted : ShareOfSamples
        Accuracy over the valid pairs.
    """

    clean: ShareOfSamples
    corrupted: ShareOfSamples

    def __new__(cls, clean: ShareOfSamples, corrupted: ShareOfSamples) -> RelativeDrop:
        """Compute the drop."""
        made = super().__new__(cls, relative_drop(clean, corrupted))
        made.clean, made.corrupted = clean, corrupted
        return made

    def __reduce__(self) -> tuple[type[RelativeDrop], tuple[ShareOfSamples, ShareOfSamples]]:
        """Pickle and copy by the accuracies."""
        return RelativeDrop, (self.clean, self.corrupted)


def share(items: MutableSequence[SampleShare | None]) -> ShareOfSamples:
    """Mean over the samples that have the figure; nan if none has.

    Parameters
    ----------
    items : mutable sequence of SampleShare or None
        Sorted here, see `benchc_tasks.stacks.lmms_eval.aggregators.sort_figures`.
    """
    sort_figures(items)
    present = [item for item in items if item is not None]
    return ShareOfSamples.of((item.sample, item.having, item.answers) for item in present)


def relative_accuracy_drop(items: Sequence[PairedCounts | None]) -> RelativeDrop:
    """Relative drop of accuracy over the samples that have a valid pair; nan if none of them was right when clean.

    Parameters
    ----------
    items : sequence of PairedCounts or None
    """
    present = [item for item in items if item is not None]
    return RelativeDrop(
        ShareOfSamples.of((item.sample, item.clean_right, item.pairs) for item in present),
        ShareOfSamples.of((item.sample, item.corrupted_right, item.pairs) for item in present),
    )


def ras_not_defined(items: Sequence[object]) -> str:
    """Say in the results that there is no RAS: it needs a distribution over the options, and a text has none.

    Parameters
    ----------
    items : sequence
        Not looked at.
    """
    return RAS_NOT_DEFINED


def group_share(metrics: Sequence[float], sizes: Sequence[int], weight_by_size: bool = True) -> float:
    """Mean over the samples of their shares in all tasks of a group.

    Parameters
    ----------
    metrics : sequence of ShareOfSamples
        The tasks' figures.
    sizes, weight_by_size
        lmms-eval's; each sample weighs the same, and within it each valid pair.

    Returns
    -------
    float
        nan, and no number that would only look right, if one of the tasks gives a plain float.
    """
    known = [metric for metric in metrics if isinstance(metric, ShareOfSamples)]
    return ShareOfSamples.over(known) if len(known) == len(metrics) else nan


def group_relative_drop(metrics: Sequence[float], sizes: Sequence[int], weight_by_size: bool = True) -> float:
    """Relative drop of accuracy over the valid pairs of all tasks of a group.

    Parameters
    ----------
    metrics : sequence of RelativeDrop
        The tasks' figures.
    sizes, weight_by_size
        As in `group_share`.

    Returns
    -------
    float
        As in `group_share`.
    """
    known = [metric for metric in metrics if isinstance(metric, RelativeDrop)]
    if len(known) < len(metrics):
        return nan
    return RelativeDrop(
        ShareOfSamples.over(metric.clean for metric in known),
        ShareOfSamples.over(metric.corrupted for metric in known),
    )


def group_ras_not_defined(metrics: Sequence[str], sizes: Sequence[int], weight_by_size: bool = True) -> str:
    """Say that a group has no RAS either.

    Parameters
    ----------
    metrics, sizes, weight_by_size
        lmms-eval's; not looked at.
    """
    return RAS_NOT_DEFINED
