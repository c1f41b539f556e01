from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from run_folders import made_run

from benchc_metrics.metrics.sample_metrics import METRICS, run_figures
from benchc_metrics.metrics.sums import (
    FIGURES,
    HEADLINE,
    TERMS,
    PairValues,
    View,
    calibration_noise,
    category_views,
    condition_views,
    corruption_views,
    figures_of_sums,
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
    """The same figures, by the metrics' own function, on the answers of a view cut out of the run."""
    chosen = np.arange(len(run.sample_ids)) if samples is None else samples
    if view.category is not None:
        chosen = chosen[[run.categories[sample] == view.category for sample in chosen]]
    corruptions = [run.corruptions.index(name) for name in view.corruptions]
    severities = [severity - 1 for severity in view.severities]
    cells = run.corrupted[np.ix_(chosen, corruptions, severities)]
    answers = np.concatenate(
        [run.clean[chosen][:, np.newaxis], cells.reshape(len(chosen), -1, cells.shape[-1])], axis=1
    )
    return run_figures(answers, run.answers[chosen], run.option_counts[chosen])


RUN = made_run(40, corruptions=CORRUPTIONS)
RUNS = {"whole": RUN, "invalid": with_invalid(RUN), "two options": made_run(20, widths=(2, 2), corruptions=CORRUPTIONS)}


@pytest.mark.parametrize("name", RUNS)
def test_figures_of_every_view_are_those_of_the_metrics(name):
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
    found = figures_of_sums(pairs.stacked_terms(views).sum(axis=0))
    assert found.shape == (1 + 3 + 5 + 15 + 3 + 1, len(METRICS))
    for row, view in zip(found, views, strict=True):
        np.testing.assert_allclose(row, list(reference(run, view).values()), rtol=1e-12, atol=1e-12, err_msg=view.name)


@given(st.integers(0, 1 << 30))
def test_figures_of_a_resample_are_those_of_its_samples(seed):
    run = RUNS["invalid"]
    drawn = np.random.default_rng(seed).integers(0, len(run.sample_ids), len(run.sample_ids))
    counts = np.bincount(drawn, minlength=len(run.sample_ids))
    found = figures_of_sums(counts @ PairValues.of_run(run).terms(whole_run(run)))
    np.testing.assert_allclose(found, list(reference(run, whole_run(run), drawn).values()), rtol=1e-12, atol=1e-12)


def test_ras_is_what_its_two_parts_make():
    found = dict(zip(FIGURES, figures_of_sums(PairValues.of_run(RUN).terms(whole_run(RUN)).sum(axis=0)), strict=True))
    parts = found["acc_clean"] * found["ras_destructive"] + (1 - found["acc_clean"]) * found["ras_corrective"]
    assert found["ras"] == pytest.approx(parts, abs=1e-12)


def test_what_no_sample_has_is_undefined():
    none = figures_of_sums(np.zeros((2, TERMS)))
    defined = np.isfinite(none).all(axis=0)
    assert [name for name, is_defined in zip(FIGURES, defined, strict=True) if is_defined] == ["invalid_pairs"]


def test_accuracy_that_was_never_there_has_no_drop():
    answers = (RUN.clean.argmax(axis=1) + 1) % RUN.option_counts
    run = replace(RUN, answers=answers)
    found = dict(zip(FIGURES, figures_of_sums(PairValues.of_run(run).terms(whole_run(run)).sum(axis=0)), strict=True))
    assert found["acc_clean"] == 0
    assert np.isnan(found["acc_drop"])
    assert np.isnan(found["ras_destructive"])
    assert found["ras"] == found["ras_corrective"]


def test_every_figure_is_known_and_lies_within_its_range():
    assert tuple(FIGURES) == METRICS
    assert set(HEADLINE) <= set(FIGURES)
    found = figures_of_sums(PairValues.of_run(RUN).stacked_terms(condition_views(RUN)).sum(axis=0))
    for column, figure in zip(found.T, FIGURES.values(), strict=True):
        assert np.all((column >= figure.minimum) & (column <= figure.maximum)), figure.name


def test_noise_of_the_samples_as_they_are_is_none():
    total = PairValues.of_run(RUN).terms(whole_run(RUN)).sum(axis=0)
    assert np.all(calibration_noise(total[np.newaxis], total) == 0)
    calibrated = total.copy()
    calibrated[20:] = 0
    # Without gaps of its own, all that a resample shows is noise.
    ece = figures_of_sums(total)[[METRICS.index("ece_clean"), METRICS.index("ece_corrupted")]]
    np.testing.assert_allclose(calibration_noise(total[np.newaxis], calibrated)[0], ece)


def test_a_corruption_that_was_not_run_is_named():
    with pytest.raises(ValueError, match="lab/model was not run under brightness"):
        PairValues.of_run(RUN).terms(View("brightness", ("brightness",), (1,)))


def test_samples_without_categories_make_no_views_of_them():
    assert category_views(replace(RUN, categories=(None,) * 40)) == ()
