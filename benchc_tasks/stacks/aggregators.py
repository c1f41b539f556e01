"""Aggregators of Bench-C's tasks and groups: the metrics of the registry, in lmms-eval's form.

What a sample gives to an aggregator carries the sample's record, and what a task gives to its group carries the
records of all its samples. So a task's row is the metric of its records, a group's row that of all its tasks'
records, put together as `benchc summary` puts them together; invalid responses are left out in the same way.

In a task's YAML, and in a group's:

```yaml
metric_list:
  - metric: ras
    aggregation: !function benchc_tasks.stacks.aggregators.over_samples
aggregate_metric_list:
  - metric: ras
    aggregation: !function benchc_tasks.stacks.aggregators.over_tasks
```
"""

from __future__ import annotations

from collections.abc import Iterable, MutableSequence, Sequence
from functools import lru_cache
from math import fsum, isnan, nan
from typing import Any, TypeAlias

from loguru import logger

from benchc_metrics.metrics.pairs import PairValues
from benchc_metrics.metrics.ras import DEFAULT_READING, Reading
from benchc_metrics.metrics.registry import EVERY_METRIC, NOT_DEFINED, Metric
from benchc_metrics.metrics.sums import MetricSums
from benchc_metrics.records import SampleRecord
from benchc_metrics.runs import Run, run_of_records

__all__ = [
    "MetricOfSample",
    "MetricOfTask",
    "SumsOfSample",
    "UndefinedOfSample",
    "items_of_record",
    "mean",
    "over_samples",
    "over_tasks",
]

Records: TypeAlias = tuple[SampleRecord, ...]


class _OfSample:
    """The part of one sample in a metric, as an aggregator takes it.

    Attributes
    ----------
    metric : str
        Name of the metric.
    record : SampleRecord
    reading : str
        Of RAS.
    """

    metric: str
    record: SampleRecord
    reading: Reading


class MetricOfSample(_OfSample, float):
    """A sample's own value of a metric that is a mean over samples; lmms-eval takes a standard error of such items."""


class SumsOfSample(_OfSample, list[float]):
    """Sums of a sample for a metric other than a mean over samples; lmms-eval takes no standard error of it."""


class UndefinedOfSample(_OfSample, str):
    """Stands for a metric that one sample alone does not have; lmms-eval leaves it out of a standard error."""


class MetricOfTask(float):
    """A metric of a task or group, which still knows the records that it comes from.

    Attributes
    ----------
    metric : str
        Name of the metric.
    tasks : tuple of tuple of SampleRecord
        The records of each task.
    reading : str
        Of RAS.
    """

    metric: str
    tasks: tuple[Records, ...]
    reading: Reading

    def __copy__(self) -> MetricOfTask:
        """Return itself, as any float does."""
        return self

    def __deepcopy__(self, memo: object) -> MetricOfTask:
        """Return itself: records do not change."""
        return self


def items_of_record(record: SampleRecord, metrics: Iterable[str], reading: Reading = DEFAULT_READING) -> dict[str, Any]:
    """Make what one sample gives to the aggregator of each metric.

    Parameters
    ----------
    record : SampleRecord
    metrics : iterable of str
    reading : {"brier", "probability", "confidence", "certainty"}
        Of RAS.

    Returns
    -------
    dict
        For each metric a `MetricOfSample`, a `SumsOfSample`, or an `UndefinedOfSample`, which are JSON numbers, lists
        and texts.
    """
    run = _run_of(((record,),))
    named = {name: EVERY_METRIC[name] for name in metrics}
    defined = (metric for metric in named.values() if metric.is_defined_for(run) and not metric.computed.of_whole_run)
    sums = _sums_of(tuple(defined))
    terms = sums.viewed_terms(PairValues.of_run(run, reading).all_pairs())[0]
    values = dict(zip(sums.names, sums.metrics(terms).tolist(), strict=True))
    items: dict[str, MetricOfSample | SumsOfSample | UndefinedOfSample] = {}
    for name, metric in named.items():
        if metric.computed.of_whole_run:
            items[name] = UndefinedOfSample(NOT_DEFINED)
        elif name in values and not metric.computed.is_mean:
            items[name] = SumsOfSample(sums.of_metric(metric, terms))
        elif isnan(values.get(name, nan)):
            items[name] = UndefinedOfSample(NOT_DEFINED)
        else:
            items[name] = MetricOfSample(values[name])
        items[name].metric, items[name].record, items[name].reading = name, record, reading
    return items


@lru_cache(maxsize=8)
def _sums_of(metrics: tuple[Metric, ...]) -> MetricSums:
    return MetricSums(metrics)


def over_samples(items: MutableSequence[MetricOfSample | SumsOfSample | UndefinedOfSample]) -> float | str:
    """Compute a metric of a task.

    Parameters
    ----------
    items : mutable sequence
        Of one metric, see `items_of_record`. Sorted here by sample, because lmms-eval computes the standard error from
        this list afterwards, and by sums that depend on the order: of several processes, it lines up one's samples
        behind another's.

    Returns
    -------
    MetricOfTask or str
        nan where the metric is undefined; the text `not defined` where it needs probabilities and there are none.
    """
    if not items:
        return nan
    items[:] = sorted(items, key=lambda item: item.record.sample)
    return _metric_of(items[0].metric, items[0].reading, (tuple(item.record for item in items),))


def over_tasks(metrics: Sequence[float | str], sizes: Sequence[int], weight_by_size: bool = True) -> float | str:
    """Compute a metric of a group, over the records of all its tasks.

    Parameters
    ----------
    metrics : sequence of MetricOfTask or str
        The tasks' metrics, as `over_samples` returns them.
    sizes, weight_by_size
        lmms-eval's; not used, each sample weighs the same.

    Returns
    -------
    MetricOfTask or str
        As `over_samples`; nan, and no number that would only look right, if a task gives a number without records.
    """
    if metrics and all(metric == NOT_DEFINED for metric in metrics):
        return NOT_DEFINED
    known = [metric for metric in metrics if isinstance(metric, MetricOfTask)]
    if not known or len(known) < len(metrics):
        return nan
    if len({metric.reading for metric in known}) > 1:
        logger.warning(f"{known[0].metric} is undefined for the group: its tasks read RAS in different ways")
        return nan
    return _metric_of(known[0].metric, known[0].reading, tuple(records for metric in known for records in metric.tasks))


def mean(items: MutableSequence[float | None]) -> float:
    """Mean of plain numbers, for what is no metric; nan if there is none.

    Parameters
    ----------
    items : mutable sequence of float or None
        Sorted here, see `over_samples`.
    """
    items[:] = sorted(items, key=lambda item: (item is None, item))
    present = [item for item in items if item is not None]
    return fsum(present) / len(present) if present else nan


def _metric_of(name: str, reading: Reading, tasks: tuple[Records, ...]) -> float | str:
    pairs = _pairs_of(_Key(tasks), reading)
    if pairs is None:
        return nan
    if not EVERY_METRIC[name].is_defined_for(pairs.run):
        return NOT_DEFINED
    sums = MetricSums((EVERY_METRIC[name],))
    value = MetricOfTask(sums.metrics(sums.viewed_terms(pairs.all_pairs()).sum(axis=0))[0])
    value.metric, value.tasks, value.reading = name, tasks, reading
    return value


class _Key:
    """Records as the key of a cache; records of the same content are the same key."""

    def __init__(self, tasks: tuple[Records, ...]) -> None:
        self.tasks = tasks
        ids = tuple((len(records), records[0].conditions, records[0].sample, records[-1].sample) for records in tasks)
        self._hash = hash(ids)

    def __hash__(self) -> int:
        """Hash what is quickly told."""
        return self._hash

    def __eq__(self, other: object) -> bool:
        """Compare the records."""
        return isinstance(other, _Key) and self.tasks == other.tasks


# The metrics of a task are computed one after another, then those of the next task, and groups at the end.
@lru_cache(maxsize=2)
def _pairs_of(key: _Key, reading: Reading) -> PairValues | None:
    """Pair the responses of tasks; None, and one warning, if their records do not belong together."""
    try:
        return PairValues.of_run(_run_of(key.tasks), reading)
    except ValueError as fault:
        logger.warning(f"these metrics are undefined: {fault}")
        return None


def _run_of(tasks: tuple[Records, ...]) -> Run:
    # In the order of the samples logs' names, which decides between clean responses that differ.
    ordered = sorted(tasks, key=lambda records: records[0].conditions[1:])
    return run_of_records("the evaluation", {str(place): records for place, records in enumerate(ordered)})
