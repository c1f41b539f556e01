"""The scorer of inspect_ai: the record that the solver made, and the metrics of all records with standard errors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isfinite, sqrt
from statistics import stdev
from typing import Any

from inspect_ai.scorer import NOANSWER, Metric, SampleScore, Score, Scorer, Target, metric, scorer
from inspect_ai.solver import TaskState

from benchc_metrics.metrics.ras import DEFAULT_READING, Reading
from benchc_metrics.metrics.registry import EVERY_METRIC, NOT_DEFINED
from benchc_metrics.records import RECORD_KEY, SampleRecord
from benchc_tasks.stacks.aggregators import MetricOfSample, items_of_record, over_samples

__all__ = ["benchc_metrics", "benchc_scorer"]

STANDARD_ERROR = "{}_stderr"


@metric
def benchc_metrics(ras_reading: Reading = DEFAULT_READING) -> Metric:
    """Compute the metrics of a task over the records of all samples.

    Parameters
    ----------
    ras_reading : {"brier", "probability", "confidence", "certainty"}
        Of RAS.

    Returns
    -------
    inspect_ai.scorer.Metric
        Each metric that is defined, and behind a mean over samples its standard error.
    """

    def compute(scores: list[SampleScore]) -> dict[str, float]:
        records = [_record_of(score.score) for score in scores]
        items = [items_of_record(record, EVERY_METRIC, ras_reading) for record in records if record is not None]
        found: dict[str, float] = {}
        for name in EVERY_METRIC if items else ():
            of_metric = [item[name] for item in items]
            value = over_samples(of_metric)
            if value == NOT_DEFINED:
                continue
            found[name] = float(value)
            error = _standard_error(of_metric) if EVERY_METRIC[name].computed.is_mean else None
            if error is not None:
                found[STANDARD_ERROR.format(name)] = error
        return found

    return compute


@scorer(metrics=[benchc_metrics()])
def benchc_scorer(ras_reading: Reading = DEFAULT_READING) -> Scorer:
    """Score a sample by the record that the solver left in the state.

    Parameters
    ----------
    ras_reading : {"brier", "probability", "confidence", "certainty"}
        Of RAS.

    Returns
    -------
    inspect_ai.scorer.Scorer
        Its value is RAS of the sample, or the accuracy under corruption where there are no probabilities, or
        inspect_ai's "no answer" where no pair is valid; the metadata hold the record.
    """

    async def score(state: TaskState, target: Target) -> Score:
        written: Mapping[str, Any] = state.metadata[RECORD_KEY]
        record = SampleRecord.from_json_dict(written)
        headline = "ras" if record.has_distribution else "acc_corrupted"
        item = items_of_record(record, [headline], ras_reading)[headline]
        return Score(
            value=float(item) if isinstance(item, float) else NOANSWER,
            answer=_answer(record),
            explanation=_explanation(record),
            metadata={RECORD_KEY: dict(written)},
        )

    return score


def _record_of(score: Score) -> SampleRecord | None:
    written = (score.metadata or {}).get(RECORD_KEY)
    return None if written is None else SampleRecord.from_json_dict(written)


def _standard_error(items: Sequence[object]) -> float | None:
    values = [float(item) for item in items if isinstance(item, MetricOfSample) and isfinite(item)]
    return stdev(values) / sqrt(len(values)) if len(values) > 1 else None


def _answer(record: SampleRecord) -> str:
    """Write the predictions as letters, in the order of the conditions."""
    return "".join("-" if option is None else chr(ord("A") + option) for option in record.predictions)


def _explanation(record: SampleRecord) -> str:
    reasons = [f"{condition}: {reason}" for condition, reason in record.invalid.items()]
    return "\n".join([f"letters under {', '.join(record.conditions)}", *reasons])
