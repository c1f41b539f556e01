from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from metrics_reference import metrics_by_loops
from run_folders import made_run

from benchc_metrics.metrics.pairs import PairValues
from benchc_metrics.metrics.registry import METRICS, headline_metrics
from benchc_metrics.metrics.sums import MetricSums
from benchc_metrics.metrics.views import (
    View,
    category_views,
    condition_views,
    corruption_views,
    severity_views,
    whole_run,
)

CORRUPTIONS = ("fog", "frost", "snow")


def with_invalid(run, share=0.1, seed=0):
    """The run with some answers invalid, one sample's clean one among them, and one sample's pairs all."""
    draw = np.random.default_rng(seed)
    clean, corrupted = run.clean.copy(), run.corrupted.copy()
    corrupted[draw.random(corrupted.shape[:-1]) < share] = np.nan
    clean[3] = np.nan
    corrupted[5] = np.nan
    return replace(run, clean=clean, corrupted=corrupted)


def reference(run, view, samples=None):
    """The same metrics, by plain loops, over the responses of a view cut out of the run."""
    chosen = np.arange(len(run.sample_ids)) if samples is None else samples
    if view.category is not None:
        chosen = chosen[[run.categories[sample] == view.category for sample in chosen]]
    corruptions = [run.corruptions.index(name) for name in view.corruptions]
    severities = [severity - 1 for severity in view.severities]
    cells = run.corrupted[np.ix_(chosen, corruptions, severities)]
    answers = np.concatenate(
        [run.clean[chosen][:, np.newaxis], cells.reshape(len(chosen), -1, cells.shape[-1])], axis=1
    )
    temperature = run.temperature.value if samples is None else None
    return metrics_by_loops(answers, run.answers[chosen], run.option_counts[chosen], temperature)


RUN = made_run(40, corruptions=CORRUPTIONS)
RUNS = {"whole": RUN, "invalid": with_invalid(RUN), "two options": made_run(20, widths=(2, 2), corruptions=CORRUPTIONS)}
SUMS = MetricSums.of_run(RUN)
INVALID_TERMS = SUMS.terms(PairValues.of_run(RUNS["invalid"]), whole_run(RUN))


def metrics_of(run):
    return dict(zip(METRICS, SUMS.metrics(SUMS.terms(PairValues.of_run(run), whole_run(run)).sum(axis=0)), strict=True))


@pytest.mark.parametrize("name", RUNS)
def test_metrics_of_every_view_are_those_of_plain_loops(name):
    run = RUNS[name]
    pairs = PairValues.of_run(run)
    views = (
        whole_run(run),
        *corruption_views(run),
        *severity_views(run),
        *condition_views(run),
        *category_views(run),
        View("two of them", ("snow", "fog"), (2, 5), "shape"),
    )
    found = SUMS.metrics(SUMS.stacked_terms(pairs, views).sum(axis=0))
    assert found.shape == (1 + 3 + 5 + 15 + 3 + 1, len(METRICS))
    for row, view in zip(found, views, strict=True):
        np.testing.assert_allclose(row, list(reference(run, view).values()), rtol=1e-12, atol=1e-12, err_msg=view.name)


@given(st.integers(0, 1 << 30))
def test_metrics_of_a_resample_are_those_of_its_samples(seed):
    run = RUNS["invalid"]
    drawn = np.random.default_rng(seed).integers(0, len(run.sample_ids), len(run.sample_ids))
    counts = np.bincount(drawn, minlength=len(run.sample_ids))
    found = SUMS.metrics(counts @ INVALID_TERMS)
    expected = np.array(list(reference(run, whole_run(run), drawn).values()))
    is_tempered = np.array([metric.computed.of_whole_run for metric in SUMS.of])
    np.testing.assert_allclose(found[~is_tempered], expected[~is_tempered], rtol=1e-12, atol=1e-12)


def test_a_resample_has_its_own_temperature_to_first_order():
    run = made_run(400, seed=3, corruptions=CORRUPTIONS)
    terms = SUMS.terms(PairValues.of_run(run), whole_run(run))
    places = [SUMS.names.index(name) for name in ("ras_tempered", "temperature")]
    fixed = SUMS.metrics(terms.sum(axis=0))[places]
    draw = np.random.default_rng(0)
    moved, missed = [], []
    for _ in range(20):
        drawn = draw.integers(0, 400, 400)
        found = SUMS.metrics(np.bincount(drawn, minlength=400) @ terms)[places]
        expected = np.array([reference(run, whole_run(run), drawn)[SUMS.names[place]] for place in places])
        moved.append(abs(expected - fixed))
        missed.append(abs(found - expected))
    # The temperature of a resample differs by some per cent, and what the first order misses is small beside that.
    assert np.mean(moved, axis=0)[1] > 0.03
    assert (np.mean(missed, axis=0) < 0.1 * np.mean(moved, axis=0)).all()


def test_ras_is_what_its_two_parts_make():
    found = metrics_of(RUN)
    parts = found["acc_clean"] * found["ras_destructive"] + (1 - found["acc_clean"]) * found["ras_corrective"]
    assert found["ras"] == pytest.approx(parts, abs=1e-12)


def test_what_no_sample_has_is_undefined():
    none = SUMS.metrics(np.zeros((2, SUMS.width)))
    defined = np.isfinite(none).all(axis=0)
    assert [name for name, is_defined in zip(METRICS, defined, strict=True) if is_defined] == ["invalid_pairs"]


def test_accuracy_that_was_never_there_has_no_drop():
    answers = (RUN.clean.argmax(axis=1) + 1) % RUN.option_counts
    run = replace(RUN, answers=answers)
    found = metrics_of(run)
    assert found["acc_clean"] == 0
    assert np.isnan(found["acc_drop"])
    assert np.isnan(found["ras_destructive"])
    assert found["ras"] == found["ras_corrective"]


def test_every_metric_is_known_and_lies_within_its_range():
    assert SUMS.names == tuple(METRICS)
    assert set(headline_metrics()) <= set(METRICS)
    found = SUMS.metrics(SUMS.stacked_terms(PairValues.of_run(RUN), condition_views(RUN)).sum(axis=0))
    for column, metric in zip(found.T, METRICS.values(), strict=True):
        assert np.all((column >= metric.minimum) & (column <= metric.maximum)), metric.name


def test_noise_of_the_samples_as_they_are_is_none():
    total = SUMS.terms(PairValues.of_run(RUN), whole_run(RUN)).sum(axis=0)
    assert np.all(SUMS.noise(total[np.newaxis], total) == 0)
    calibrated = total.copy()
    calibrated[SUMS.columns["ece_clean"]] = calibrated[SUMS.columns["ece_corrupted"]] = 0
    # Without gaps of its own, all that a resample shows is noise.
    ece = [metrics_of(RUN)[name] for name in ("ece_clean", "ece_corrupted")]
    np.testing.assert_allclose(SUMS.noise(total[np.newaxis], calibrated)[0], ece)


def test_a_corruption_that_was_not_run_is_named():
    with pytest.raises(ValueError, match="lab/model was not run under brightness"):
        SUMS.terms(PairValues.of_run(RUN), View("brightness", ("brightness",), (1,)))


def test_samples_without_categories_make_no_views_of_them():
    assert category_views(replace(RUN, categories=(None,) * 40)) == ()
